//! On whose behalf an execution ran: the chains of its parents.

use gantral_core::digest::Digest;
use gantral_core::event::{Event, Parent, Requester};
use gantral_core::ids::{ActorId, AttemptNo, InstanceId};
use gantral_core::state::{ActorKind, EventKind};
use gantral_evidence::bundle::proof_path;
use gantral_evidence::statement::artifact_hash;
use gantral_evidence::trust::TrustedKey;

use super::guards::beside;
use super::log::{changed, with};
use crate::case::{Case, FileMap};
use crate::cast::*;
use crate::log::*;
use crate::story::Story;
use crate::tales;

const TWIN: &str = "570-parent-proved";

/// Gives a story another instance, and a parent at an artifact.
fn placed(mut story: Story, number: u8, parent: Option<(&Story, usize)>) -> Story {
    let instance = InstanceId::from_random([number; 16]);
    for statement in &mut story.statements {
        statement.identity.instance = instance;
        if let (Event::Created(detail), Some((above, at))) = (&mut statement.entry.event, parent) {
            let artifact_hash = artifact_hash(&above.statements[at].encode());
            detail.parent = Some(Parent { instance: above.instance.identity.instance, artifact_hash });
            if let Event::Created(of) = &above.statements[0].entry.event {
                detail.requester = of.requester.iter().cloned().chain([inner(number)]).collect();
            }
        }
    }
    story.instance.identity.instance = instance;
    story.relink();
    story
}

/// Who stands further inside in a chain of requesters.
fn inner(number: u8) -> Requester {
    let id = ActorId::parse(&format!("agent-{number}")).unwrap();
    let issuer = "https://issuer.example".to_owned();
    Requester { id, kind: ActorKind::Workload, issuer, owner: Some(person(200)) }
}

fn folder(story: &Story) -> String {
    format!("parents/{}", story.instance.identity.instance)
}

/// Returns the chain of a parent up to an artifact, as files.
fn above(story: &Story, last: usize) -> FileMap {
    let artifacts = story.statements.iter().take(last + 1).enumerate();
    let file = |(at, statement)| {
        (format!("{}/{}", folder(story), artifact(at)), sign(statement, &issuer()).envelope)
    };
    artifacts.map(file).collect()
}

fn parent() -> Story {
    placed(tales::ungated(), 21, None)
}

fn child(of: &Story, at: usize) -> Story {
    placed(Story::begin(), 22, Some((of, at)))
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = proofs();
    cases.extend(contradictions());
    cases.extend(keys());
    cases
}

fn proofs() -> Vec<Case> {
    let parent = parent();
    let child = child(&parent, 2);
    let grandchild = placed(Story::begin(), 23, Some((&child, 0)));
    let mut both = above(&child, 0);
    both.extend(above(&parent, 2));
    let mut forged = above(&parent, 2);
    let path = format!("{}/{}", folder(&parent), artifact(1));
    forged.insert(path, sign(&parent.statements[1], &stranger()).envelope);
    vec![
        beside(570, "parent-proved", "The chain of the parent is there", &child, above(&parent, 2))
            .valid(&["N_PREFIX"]),
        beside(571, "parent-of-a-parent", "So is that of its own parent", &grandchild, both)
            .valid(&["N_PREFIX"]),
        beside(572, "parent-of-a-parent-not-there", "That of its own parent is not", &grandchild, {
            above(&child, 0)
        })
        .inconclusive(&["E_REQUESTER", "N_PREFIX"]),
        beside(
            573,
            "parent-cut",
            "The chain of the parent ends before what is named",
            &child,
            above(&parent, 1),
        )
        .inconclusive(&["E_REQUESTER", "N_PREFIX"]),
        beside(574, "parent-by-a-stranger", "A stranger signed an artifact of the parent", &child, forged)
            .inconclusive(&["E_REQUESTER", "N_PREFIX"]),
        beside(575, "parent-of-nobody", "The chain of an execution that is no parent", &Story::begin(), {
            above(&parent, 2)
        })
        .valid(&["N_PREFIX", "N_UNAUTH"]),
    ]
}

fn contradictions() -> Vec<Case> {
    let parent = parent();
    let child = child(&parent, 2);
    let last = parent.statements.len() - 1;
    let case = |number, slug, about, child: &Story, files| {
        beside(number, slug, about, child, files).invalid(&["E_REQUESTER", "N_PREFIX"], TWIN)
    };
    let told = |change: fn(&mut Vec<Requester>)| {
        self::child(&parent, 2).retell(EventKind::Created, |statement| {
            if let Event::Created(detail) = &mut statement.entry.event {
                change(&mut detail.requester);
            }
        })
    };
    let other = self::parent().retell(EventKind::Created, |statement| statement.blind = [0; 32]);
    let broken =
        self::parent().retell(EventKind::AttemptAssigned, |statement| statement.entry.attempt = AttemptNo(7));
    let mut unlinked = above(&parent, 2);
    let mut second = parent.statements[1].clone();
    second.previous = Some(Digest::of(b"another"));
    unlinked.insert(format!("{}/{}", folder(&parent), artifact(1)), sign(&second, &issuer()).envelope);
    vec![
        case(
            580,
            "requesters-of-the-parent-only",
            "Nobody asks beyond those of the parent",
            &told(|requesters| _ = requesters.pop()),
            above(&parent, 2),
        ),
        case(
            581,
            "requesters-of-somebody-else",
            "Others ask than those of the parent",
            &told(|requesters| requesters.reverse()),
            above(&parent, 2),
        ),
        case(
            582,
            "parent-without-what-is-named",
            "The parent ended without the artifact that is named",
            &child,
            above(&other, last),
        ),
        case(
            583,
            "parent-against-the-rules",
            "The parent breaks the rules",
            &self::child(&broken, 2),
            above(&broken, 2),
        ),
        case(
            584,
            "parent-not-linked",
            "The artifacts of the parent do not follow one another",
            &child,
            unlinked,
        ),
    ]
}

fn keys() -> Vec<Case> {
    let parent = parent();
    let mut log = Log::default();
    let places: Vec<u64> =
        parent.statements.iter().take(3).map(|statement| log.add(&leaf(statement))).collect();
    let told = Logged::as_told(log, placed(tales::ungated(), 22, Some((&parent, 2))));
    let case = |number, slug, about, proved: bool, from: u64| {
        let key = TrustedKey { valid_from: Some(from), ..TrustedKey::issuer(public(&issuer())) };
        let case = changed(number, slug, about, &told, |files| {
            files.extend(above(&parent, 2));
            for (at, index) in places.iter().enumerate().filter(|_| proved) {
                let proof = told.log.proof(*index, told.log.size(), &told.newest);
                files.insert(format!("{}/{}", folder(&parent), proof_path(at)), proof.encode().into_bytes());
            }
        });
        case.under(&trust_keyed(key, logged()))
    };
    vec![
        case(590, "parent-in-the-window", "The key was valid where the parent stands", true, 0)
            .valid(&with([])),
        case(591, "parent-without-its-places", "Nothing shows where the parent stands", false, 0)
            .inconclusive(&with(["E_REQUESTER"])),
        case(592, "parent-outside-the-window", "The key was not yet valid where the parent stands", true, 1)
            .inconclusive(&with(["E_REQUESTER"])),
    ]
}
