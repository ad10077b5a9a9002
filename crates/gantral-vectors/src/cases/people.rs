//! Humans at gates, and what stands behind their decisions.

use gantral_core::digest::Digest;
use gantral_core::event::*;
use gantral_core::ids::InstanceId;
use gantral_core::state::*;
use gantral_evidence::human::Enrolment;
use gantral_evidence::statement::Statement;

use crate::authenticator::{Authenticator, directory, enrolled_by};
use crate::case::{Case, lean};
use crate::cast::*;
use crate::story::{Story, ballot_mut};
use crate::tales;

const REJECTED: &str = "006-rejected";

/// An approval that is told otherwise; the chain ends with it.
fn decided(
    number: u16,
    slug: &'static str,
    about: &'static str,
    codes: &[&'static str],
    change: impl FnOnce(&mut Statement),
) -> Case {
    let story = approval(change);
    let codes: Vec<&str> = codes.iter().copied().chain(["N_WITHHELD"]).collect();
    Case::of(number, slug, about, &story).invalid(&codes, "500-decided")
}

fn approval(change: impl FnOnce(&mut Statement)) -> Story {
    let mut story = tales::approved();
    story.statements.truncate(story.position(EventKind::Approved) + 1);
    story.retell(EventKind::Approved, change)
}

fn ballot(change: impl FnOnce(&mut Ballot)) -> impl FnOnce(&mut Statement) {
    move |statement| {
        if let Some(ballot) = ballot_mut(&mut statement.entry.event) {
            change(ballot);
        }
    }
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = decisions();
    cases.extend(quorums());
    cases.extend(rejections());
    cases.extend(miscounted_rejections());
    cases.extend(evidence());
    cases.extend(proofs_of_others());
    cases
}

fn decisions() -> Vec<Case> {
    vec![
        Case::of(500, "decided", "One person approves", &approval(|_| {})).valid(&["N_PREFIX", "N_WITHHELD"]),
        decided(
            501,
            "decided-by-the-owner",
            "Whoever owns what asked decides",
            &["E_SELF_APPROVAL"],
            |statement| {
                statement.entry.actor = human(200, "finance");
            },
        ),
        decided(
            502,
            "decided-by-a-workload",
            "What is not a human decides",
            &["E_SELF_APPROVAL"],
            |statement| {
                statement.entry.actor = Actor { role: Some(role("finance")), ..agent() };
            },
        ),
        decided(
            503,
            "role-that-was-not-asked",
            "A role decides that was not asked",
            &["E_QUORUM_HUMAN", "E_ROLE"],
            |statement| {
                statement.entry.actor = human(1, "intern");
                ballot(|ballot| ballot.role = role("intern"))(statement);
            },
        ),
        decided(
            504,
            "role-of-somebody-else",
            "A ballot names another role than its human has",
            &["E_DECISION"],
            |statement| {
                statement.entry.actor = human(1, "intern");
            },
        ),
        decided(
            505,
            "version-of-another-gate",
            "A decision about another version of the gate",
            &["E_DECISION"],
            ballot(|ballot| {
                ballot.gate_version = 2;
            }),
        ),
        decided(
            506,
            "opened-by-another-artifact",
            "A decision about another opening of the gate",
            &["E_DECISION"],
            ballot(|ballot| {
                ballot.request_artifact_hash = tales::elsewhere();
            }),
        ),
        decided(
            507,
            "another-action-is-approved",
            "Approved is another action than was asked for",
            &["E_ACTION_BINDING"],
            ballot(|ballot| {
                ballot.approved = tales::elsewhere();
            }),
        ),
        decided(
            508,
            "weaker-than-demanded",
            "Weaker evidence than the gate demanded",
            &["E_HUMAN_EVIDENCE"],
            ballot(|ballot| {
                ballot.evidence = HumanEvidence::Development;
            }),
        ),
        decided(
            509,
            "broken-glass-without-the-role",
            "The glass is broken by a role that may not",
            &["E_ROLE"],
            ballot(|ballot| {
                ballot.break_glass = true;
            }),
        ),
        Case::of(510, "refused-by-the-owner", "Whoever owns what asked refuses", &{
            tales::rejected()
                .retell(EventKind::Rejected, |statement| statement.entry.actor = human(200, "finance"))
        })
        .invalid(&["E_SELF_APPROVAL", "N_WITHHELD"], REJECTED),
    ]
}

fn quorums() -> Vec<Case> {
    let twin = "003-two-persons";
    let until = |mut story: Story| {
        story.statements.truncate(story.position(EventKind::Approved) + 1);
        story
    };
    let same =
        Story::quorum().retell(EventKind::Approved, |statement| statement.entry.actor = human(1, "finance"));
    let mut fewer = Story::quorum();
    fewer.statements.remove(fewer.position(EventKind::Vote));
    fewer.relink();
    let stage = tales::staged().retell(EventKind::Approved, |statement| {
        statement.entry.actor = human(2, "finance");
        ballot(|ballot| ballot.role = role("finance"))(statement);
    });
    vec![
        Case::of(520, "one-person-twice", "One person is two", &until(same))
            .invalid(&["E_QUORUM_HUMAN", "N_WITHHELD"], twin),
        Case::of(521, "too-few", "Fewer persons agree than were asked", &until(fewer))
            .invalid(&["E_QUORUM_HUMAN", "N_WITHHELD"], twin),
        Case::of(522, "stage-that-is-closed", "The second stage is decided by the role of the first", &stage)
            .invalid(&["E_QUORUM_HUMAN", "E_ROLE", "N_WITHHELD"], "009-two-stages"),
    ]
}

/// Gates that need several rejections.
fn rejections() -> Vec<Case> {
    let ended =
        |number, slug, about, story: Story| Case::of(number, slug, about, &story).valid(&["N_WITHHELD"]);
    vec![
        ended(550, "rejected-by-two", "Two rejections are needed, and come", tales::rejected_by_two()),
        ended(
            551,
            "approved-against-two",
            "Two of three rejections come, and two persons approve",
            tales::approved_against_two(3),
        ),
        ended(
            552,
            "vote-withdrawn",
            "Who approved rejects after all, and two others approve",
            tales::vote_withdrawn(),
        ),
        ended(
            559,
            "glass-broken-to-reject",
            "Three rejections are needed, and one who breaks the glass refuses alone",
            tales::glass_broken_to_reject(),
        ),
    ]
}

/// What those stories would be if rejections were counted otherwise.
fn miscounted_rejections() -> Vec<Case> {
    let broken = |number, slug, about, story: Story, twin| {
        Case::of(number, slug, about, &story).invalid(&["E_QUORUM_HUMAN", "N_WITHHELD"], twin)
    };
    let by_first = |statement: &mut Statement| statement.entry.actor = human(1, "finance");
    let mut fewer = tales::rejected_by_two();
    fewer.statements.remove(fewer.position(EventKind::Vote));
    fewer.relink();
    // The vote of the second person goes, so that the third decides with one that was withdrawn.
    let mut alone = refused_by(2, tales::vote_withdrawn());
    alone.statements.remove(alone.statements.len() - 2);
    alone.relink();
    let (refused, against) = ("550-rejected-by-two", "551-approved-against-two");
    let told_of = |rejections| refused_by(rejections, tales::approved_against_two(3));
    vec![
        broken(553, "rejected-by-too-few", "One rejection closes a gate that needs two", fewer, refused),
        broken(
            554,
            "rejected-by-one-twice",
            "One person rejects as two",
            tales::rejected_by_two().retell(EventKind::Rejected, by_first),
            refused,
        ),
        broken(
            555,
            "approved-although-rejected",
            "Two rejections are needed and come, and it is approved",
            told_of(2),
            against,
        ),
        broken(
            556,
            "rejection-counted-where-it-is-final",
            "A rejection is counted where any is final",
            told_of(1),
            against,
        ),
        broken(
            557,
            "approved-by-who-rejected",
            "Who rejected approves",
            told_of(3).retell(EventKind::Approved, by_first),
            against,
        ),
        broken(
            558,
            "approved-with-what-was-withdrawn",
            "A vote counts that its person withdrew by rejecting",
            alone,
            "552-vote-withdrawn",
        ),
    ]
}

/// A story up to its approval, whose gate is told to need so many rejections.
fn refused_by(rejections: u32, mut story: Story) -> Story {
    story.statements.truncate(story.position(EventKind::Approved) + 1);
    story.retell(EventKind::HumanRequired, |statement| {
        if let Event::HumanRequired(detail) = &mut statement.entry.event {
            detail.rule.rejections = rejections;
        }
    })
}

fn evidence() -> Vec<Case> {
    let refers = || approval(ballot(|ballot| ballot.evidence_digest = Some(Digest::of(b"a token"))));
    let with = |number, slug, about, content: Option<&[u8]>| {
        let story = refers();
        let mut files = lean(&story);
        if let Some(content) = content {
            files.insert(format!("human/{}.jwt", Digest::of(b"a token")), content.to_vec());
        }
        Case::from_files(number, slug, about, &story, story.scope(), files)
    };
    let webauthn = || tales::approved_with(HumanEvidence::Webauthn);
    let checked = tales::approved_with(HumanEvidence::Oidc)
        .retell(EventKind::Approved, ballot(|ballot| ballot.evidence_digest = Some(Digest::of(b"token"))));
    let mut files = lean(&checked);
    files.insert(format!("human/{}", Digest::of(b"token")), b"token".to_vec());
    vec![
        with(530, "evidence-withheld", "Evidence is referred to and not there", None).inconclusive(&[
            "E_EVIDENCE_WITHHELD",
            "N_PREFIX",
            "N_WITHHELD",
        ]),
        with(531, "evidence-there", "Evidence is referred to and there", Some(b"a token"))
            .valid(&["N_PREFIX", "N_WITHHELD"]),
        with(
            532,
            "evidence-of-something-else",
            "The evidence is not what it is named after",
            Some(b"another token"),
        )
        .invalid(&["E_CONTAINER", "N_PREFIX", "N_WITHHELD"], "531-evidence-there"),
        Case::of(
            533,
            "assertion-not-referred-to",
            "The gate demands an assertion, and neither it nor an enrolment is referred to",
            &webauthn(),
        )
        .inconclusive(&[
            "E_DIRECTORY",
            "E_EVIDENCE_WITHHELD",
            "E_WEBAUTHN",
            "N_PREFIX",
            "N_WITHHELD",
        ]),
        Case::from_files(
            534,
            "token-not-checked",
            "The gate demands a token that is bound to the decision, which no verifier reads yet",
            &checked,
            checked.scope(),
            files,
        )
        .inconclusive(&["E_UNSUPPORTED", "N_PREFIX", "N_WITHHELD"]),
    ]
}

fn proofs_of_others() -> Vec<Case> {
    let delegated = approval(ballot(|ballot| {
        ballot.acts_for = Some(person(9));
        ballot.delegation = Some(Digest::of(b"delegation"));
    }));
    let enrolment = |number| Authenticator::device_bound(number).enrolment(person(1));
    let named = enrolment(1).digest();
    let enrolled = || approval(ballot(|ballot| ballot.directory_entry = Some(named)));
    let entry = |number, slug, about, content: &Enrolment| {
        let story = enrolled();
        let mut files = lean(&story);
        files.insert(Enrolment::path(&named), enrolled_by(content, &directory()));
        Case::from_files(number, slug, about, &story, story.scope(), files)
    };
    let child = Story::begin().retell(EventKind::Created, |statement| {
        if let Event::Created(created) = &mut statement.entry.event {
            let instance = InstanceId::from_random([8; 16]);
            created.parent = Some(Parent { instance, artifact_hash: Digest::of(b"parent") });
        }
    });
    vec![
        Case::of(540, "delegation-not-proved", "A decision on behalf of somebody else", &delegated)
            .inconclusive(&["E_GUARD", "N_PREFIX", "N_WITHHELD"]),
        decided(
            541,
            "delegation-of-nobody",
            "A delegation without its delegator",
            &["E_DECISION"],
            ballot(|ballot| {
                ballot.delegation = Some(Digest::of(b"delegation"));
            }),
        ),
        Case::of(542, "enrolment-not-there", "An enrolment is referred to and not there", &enrolled())
            .inconclusive(&["E_DIRECTORY", "N_PREFIX", "N_WITHHELD"]),
        entry(543, "enrolment-there", "An enrolment is there", &enrolment(1))
            .valid(&["N_PREFIX", "N_WITHHELD"]),
        entry(
            544,
            "enrolment-of-something-else",
            "The enrolment is not what it is named after",
            &enrolment(2),
        )
        .invalid(&["E_CONTAINER", "N_PREFIX", "N_WITHHELD"], "543-enrolment-there"),
        Case::of(545, "parent-not-proved", "The execution on whose behalf this one ran is not there", &child)
            .inconclusive(&["E_REQUESTER", "N_PREFIX"]),
    ]
}
