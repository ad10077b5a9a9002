//! The governance chain itself: its files, how they follow one another, and what contradicts what.

use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::ids::{InstanceId, LogOrigin, TenantId};
use gantral_core::time::UnixMillis;
use gantral_evidence::bundle::governance_path;
use gantral_evidence::disclosure::Disclosure;
use gantral_evidence::governance::{Detail, GovernanceStatement, Scope};
use gantral_evidence::trust::{KeyRole, Require};

use super::delegations::delegated;
use super::guards::*;
use crate::case::{Case, FileMap};
use crate::cast::*;
use crate::governance::*;
use crate::story::policy_version;

const EVERYTHING: &str = "901-every-event";
const TWO: &str = "940-two-artifacts";

pub(super) fn all() -> Vec<Case> {
    let mut cases = vec![every_event()];
    cases.extend(links());
    cases.extend(files());
    cases.extend(contradictions());
    cases.extend(erasures());
    cases.extend(repetitions());
    cases
}

/// A chain with every event, in which what was in force at its beginning is in force at its end.
fn everything() -> Governance {
    let (key, entry) = (public(&stranger()), Digest::of(b"entry"));
    let id = key.id();
    let governance = Governance::begin()
        .then(activated(Scope::Tenant, other_policy(), None))
        .then(activated(team(), other_policy(), None))
        .then(Detail::KeyAdded { key, role: KeyRole::Issuer })
        .then(Detail::KeyRetired { key: id })
        .then(Detail::KeyCompromised { key: id, from_index: 7 })
        .then(moded())
        .then(moded_action(own()))
        .then(frozen(team(), 1))
        .then(lifted(team(), 2))
        .then(Detail::Enrolled { person: person(1), entry })
        .then(Detail::EnrolmentRevoked { entry })
        .then(delegated(|_| {}));
    let delegation = governance.hash(12);
    governance.then(Detail::DelegationRevoked { delegation }).then(Detail::Erased {
        instance: None,
        commitment: entry,
        label: CommitmentLabel::Person,
    })
}

fn every_event() -> Case {
    let definition = r#"{"team":"payments"}"#;
    let governance = everything();
    let (story, path) = defined(governance.under(used()), definition);
    let mut files = governance.files();
    files.insert(path, definition.as_bytes().to_vec());
    beside(901, "every-event", "Every event of a governance chain", &story, files).valid(&KEPT)
}

fn two() -> Governance {
    Governance::begin().then(moded())
}

/// Two artifacts, the second of which is told otherwise.
fn retold(
    number: u16,
    slug: &'static str,
    about: &'static str,
    code: &'static str,
    change: impl FnOnce(&mut GovernanceStatement),
) -> Case {
    under(number, slug, about, &two().retell(1, change)).invalid(&and([code]), TWO)
}

fn links() -> Vec<Case> {
    let three = two().then(moded());
    let without = |number, slug, about, sequence| {
        let mut files = three.files();
        files.remove(&governance_path(sequence));
        beside(number, slug, about, &three.under(used()), files)
    };
    vec![
        under(940, "two-artifacts", "A governance chain of two artifacts", &two()).valid(&KEPT),
        retold(941, "governance-begins-twice", "The second names no predecessor", "E_GENESIS", |next| {
            next.previous = None;
        }),
        retold(942, "governance-not-linked", "The second names another predecessor", "E_CHAIN", |next| {
            next.previous = Some(Digest::of(b"another"));
        }),
        retold(943, "governance-time-back", "The second is older than the first", "E_TIME_BACK", |next| {
            next.at = UnixMillis::new(next.at.get() - 2).unwrap();
        }),
        retold(944, "governance-of-another-tenant", "The second is another tenant's", "E_MIXED", |next| {
            next.tenant = TenantId::parse("other").unwrap();
        }),
        retold(945, "governance-of-another-log", "The second belongs to another log", "E_MIXED", |next| {
            next.origin = LogOrigin::parse("log.example/other").unwrap();
        }),
        without(946, "governance-without-beginning", "The first is not there", 0)
            .inconclusive(&and(["E_NO_GENESIS"])),
        without(947, "governance-with-a-gap", "The second of three is not there", 1)
            .inconclusive(&and(["E_GAP"])),
        without(948, "governance-cut-before-the-head", "The chain ends before the head that is named", 2)
            .valid(&KEPT),
    ]
}

fn files() -> Vec<Case> {
    let chain = two();
    let story = chain.under(used());
    let put = |number, slug, about, path: String, content: Vec<u8>| {
        let mut files = chain.files();
        files.insert(path, content);
        beside(number, slug, about, &story, files)
    };
    let second =
        |number, slug, about, content: Vec<u8>| put(number, slug, about, governance_path(1), content);
    let payload = chain.statements[1].encode();
    let respelled = |from: &str, to: &str| {
        let text = String::from_utf8(payload.clone()).unwrap();
        assert!(text.contains(from), "the payload holds what is changed in it");
        envelope(text.replacen(from, to, 1).into_bytes(), &issuer())
    };
    let forged = countersign(&envelope(payload.clone(), &stranger()), &issuer(), Some(b"other bytes"));
    vec![
        second(950, "governance-by-a-stranger", "A stranger signed", envelope(payload.clone(), &stranger()))
            .inconclusive(&and(["E_KEY_UNKNOWN"])),
        second(951, "governance-forged", "A signature of the issuer does not verify", forged)
            .invalid(&and(["E_SIG"]), TWO),
        second(952, "governance-that-is-no-envelope", "The file is no envelope", b"{}".to_vec())
            .invalid(&and(["E_CONTAINER"]), TWO),
        second(
            953,
            "artifact-in-its-place",
            "The artifact of an execution stands there",
            sign(&story.statements[1], &issuer()).envelope,
        )
        .inconclusive(&and(["E_UNSUPPORTED"])),
        second(954, "governance-misnamed", "The first stands in the place of the second", {
            chain.files()[&governance_path(0)].clone()
        })
        .invalid(&and(["E_CONTAINER"]), TWO),
        second(955, "governance-with-an-unknown-word", "A mode that there is not", {
            respelled("\"ENFORCE\"", "\"ENFORCED\"")
        })
        .invalid(&and(["E_SCHEMA"]), TWO),
        second(956, "governance-to-be-understood", "An extension that must be understood", {
            respelled("\"crit\":[]", "\"crit\":[\"x\"]")
        })
        .inconclusive(&and(["E_CRIT"])),
        second(957, "governance-extended", "An extension that may be ignored", {
            respelled("\"ext\":{}", "\"ext\":{\"x\":1}")
        })
        .valid(&and(["N_EXT"])),
        put(958, "governance-beside", "A file that is no artifact", "governance/notes.txt".to_owned(), {
            b"hello".to_vec()
        })
        .valid(&and(["N_UNAUTH"])),
        second(959, "mode-of-an-action-of-a-team", "A mode for one action, where the scope is a team", {
            let chain = Governance::begin().then(moded_action(team()));
            envelope(chain.statements[1].encode(), &issuer())
        })
        .invalid(&and(["E_SCHEMA"]), TWO),
    ]
}

/// What contradicts a chain, each as the only thing that is wrong with it.
fn contradictions() -> Vec<Case> {
    let key = public(&stranger());
    let added = || Governance::begin().then(Detail::KeyAdded { key: key.clone(), role: KeyRole::Issuer });
    let given = || Governance::begin().then(delegated(|_| {}));
    let revoked = Detail::DelegationRevoked { delegation: given().hash(1) };
    let backwards = delegated(|detail| {
        if let Detail::Delegated { not_before, not_after, .. } = detail {
            *not_after = *not_before;
        }
    });
    let case = |number, slug, about, chain: Governance| {
        under(number, slug, about, &chain).invalid(&and(["E_GUARD"]), EVERYTHING)
    };
    vec![
        case(960, "epoch-skipped", "An epoch is left out", Governance::begin().then(frozen(team(), 2))),
        case(961, "lifted-and-not-frozen", "What was not frozen is lifted", {
            Governance::begin().then(lifted(team(), 1))
        }),
        case(962, "frozen-twice", "What is frozen is frozen", {
            Governance::begin().then(frozen(own(), 1)).then(frozen(own(), 2)).then(lifted(own(), 3))
        }),
        case(963, "another-policy-before", "Another policy was in force before than is said", {
            Governance::begin().then(activated(own(), policy_version(), None))
        }),
        case(964, "key-added-twice", "A key is added twice", {
            added().then(Detail::KeyAdded { key: key.clone(), role: KeyRole::Issuer })
        }),
        case(965, "key-retired-that-never-was", "A key is retired that was not added", {
            Governance::begin().then(Detail::KeyRetired { key: key.id() })
        }),
        case(966, "key-compromised-that-never-was", "A key is compromised that was not added", {
            Governance::begin().then(Detail::KeyCompromised { key: key.id(), from_index: 0 })
        }),
        case(967, "delegation-ends-before-it-begins", "A delegation has no time", {
            Governance::begin().then(backwards)
        }),
        case(968, "delegation-revoked-twice", "A delegation is revoked twice", {
            given().then(revoked.clone()).then(revoked)
        }),
        case(969, "enrolment-revoked-that-never-was", "An enrolment is revoked that was not", {
            Governance::begin().then(Detail::EnrolmentRevoked { entry: Digest::of(b"entry") })
        }),
    ]
}

fn erasures() -> Vec<Case> {
    let whole = |label| {
        let mut story = used();
        let committed: Vec<_> = story.disclosures.iter().map(Disclosure::commitment).collect();
        let at = story.disclosures.iter().position(|one| one.label == label).unwrap();
        story.disclosures.retain(|one| one.label != CommitmentLabel::Outcome);
        (story, committed[at])
    };
    let case = |number, slug, about, label, instance: Option<InstanceId>, require: Require| {
        let (story, commitment) = whole(label);
        let governance = Governance::begin().then(Detail::Erased { instance, commitment, label });
        let story = governance.under(story);
        let mut files: FileMap = story.files();
        files.remove(&Disclosure::path(&commitment));
        files.extend(governance.files());
        Case::from_files(number, slug, about, &story, story.scope(), files).under(&trust_with(require))
    };
    let ours = Some(used().instance.identity.instance);
    let (label, signed) = (CommitmentLabel::Decision, Require::signed());
    let snapshots = Require { snapshots: true, ..signed };
    vec![
        case(970, "erased-by-right", "What is not disclosed was erased by right", label, ours, signed)
            .valid(&["N_PREFIX"]),
        case(
            971,
            "erased-of-another",
            "What was erased is of another execution",
            label,
            Some(InstanceId::from_random([8; 16])),
            signed,
        )
        .valid(&["N_PREFIX", "N_WITHHELD"]),
        case(
            972,
            "erased-and-asked",
            "What was erased cannot be shown to whoever requires it",
            CommitmentLabel::Action,
            None,
            snapshots,
        )
        .inconclusive(&["E_REQUIRE", "N_PREFIX"]),
    ]
}

/// What may be said again, and what not.
fn repetitions() -> Vec<Case> {
    let key = public(&stranger());
    let entry = Digest::of(b"entry");
    let enrolled = || Detail::Enrolled { person: person(1), entry };
    let revoked = Detail::EnrolmentRevoked { entry };
    let again = Governance::begin().then(enrolled()).then(revoked.clone()).then(enrolled()).then(revoked);
    let compromised = |from_index| Detail::KeyCompromised { key: key.id(), from_index };
    let ended = Governance::begin()
        .then(Detail::KeyAdded { key: key.clone(), role: KeyRole::Issuer })
        .then(compromised(9))
        .then(compromised(4))
        .then(Detail::KeyRetired { key: key.id() })
        .then(Detail::KeyRetired { key: key.id() });
    vec![
        under(973, "enrolled-twice", "What is enrolled is enrolled", &{
            Governance::begin().then(enrolled()).then(enrolled())
        })
        .invalid(&and(["E_GUARD"]), "974-enrolled-again"),
        under(974, "enrolled-again", "What was revoked is enrolled again, and revoked again", &again)
            .valid(&KEPT),
        under(975, "key-ended-again", "A key is compromised and retired twice", &ended).valid(&KEPT),
    ]
}
