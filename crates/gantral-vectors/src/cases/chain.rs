//! How artifacts follow one another.

use gantral_core::ids::{InstanceId, TenantId};
use gantral_evidence::container::Scope;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::statement::Statement;

use crate::case::{Case, FileMap, lean};
use crate::cast::*;
use crate::story::Story;
use crate::tales;

const TWIN: &str = "025-never-asked";

fn changed(
    number: u16,
    slug: &'static str,
    about: &'static str,
    scope: Scope,
    change: impl FnOnce(&mut FileMap),
) -> Case {
    let story = tales::ungated();
    let mut files = lean(&story);
    change(&mut files);
    Case::from_files(number, slug, about, &story, scope, files)
}

/// One statement changed, and nothing behind it linked anew.
fn unlinked(
    number: u16,
    slug: &'static str,
    about: &'static str,
    at: usize,
    change: fn(&mut Statement),
) -> Case {
    let mut story = tales::ungated();
    change(&mut story.statements[at]);
    Case::of(number, slug, about, &story)
}

/// One more artifact beside the chain, made from its second.
fn beside(number: u16, slug: &'static str, about: &'static str, change: impl FnOnce(&mut Statement)) -> Case {
    let mut other = tales::ungated().statements[1].clone();
    change(&mut other);
    changed(number, slug, about, Scope::Complete, |files| {
        files.insert("artifacts/other.dsse.json".to_owned(), sign(&other, &issuer()).envelope);
    })
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = links();
    cases.extend(gaps());
    cases.push(damaged_beginning());
    cases.extend(mixtures());
    cases.extend(strangers());
    cases
}

fn links() -> Vec<Case> {
    let last = tales::ungated().statements.len() - 1;
    let mut after = tales::ungated();
    let mut again = after.statements[last].clone();
    again.from_state = Some(again.state);
    after.statements.push(again);
    after.relink();
    vec![
        unlinked(200, "another-predecessor", "An artifact names another predecessor", last, |statement| {
            statement.previous = Some(tales::elsewhere());
        })
        .invalid(&["E_CHAIN", "N_WITHHELD"], TWIN),
        unlinked(201, "no-predecessor", "A later artifact names no predecessor", last, |statement| {
            statement.previous = None
        })
        .invalid(&["E_GENESIS", "N_WITHHELD"], TWIN),
        unlinked(202, "first-with-a-predecessor", "The first artifact names a predecessor", 0, |statement| {
            statement.previous = Some(tales::elsewhere());
        })
        .invalid(&["E_CHAIN", "E_GENESIS", "N_WITHHELD"], TWIN),
        Case::of(203, "after-the-end", "Something follows a final state", &after)
            .invalid(&["E_AFTER_TERMINAL", "N_WITHHELD"], TWIN),
    ]
}

/// A file that is no envelope has a place, and is not the first artifact.
fn damaged_beginning() -> Case {
    let about = "Damage has the first place, and the second artifact is not there";
    let damaged = |files: &mut FileMap| {
        files.insert(artifact(0), b"{}".to_vec());
        files.remove(&artifact(1));
    };
    changed(216, "damage-before-the-beginning", about, Scope::Complete, damaged)
        .invalid(&["E_CONTAINER", "E_NO_GENESIS"], TWIN)
}

fn gaps() -> Vec<Case> {
    let without = |number, slug, about, scope, at: usize| {
        changed(number, slug, about, scope, |files| _ = files.remove(&artifact(at)))
    };
    let last = tales::ungated().statements.len() - 1;
    vec![
        without(210, "no-beginning", "The first artifact is missing", Scope::Complete, 0)
            .inconclusive(&["E_NO_GENESIS", "N_WITHHELD"]),
        without(211, "gap-of-a-prefix", "One in the middle is missing", Scope::Prefix, 2)
            .inconclusive(&["E_GAP", "N_WITHHELD"]),
        without(
            212,
            "gap-of-a-whole",
            "One in the middle is missing where the list claims all",
            Scope::Complete,
            2,
        )
        .invalid(&["E_GAP", "N_WITHHELD"], TWIN),
        without(213, "cut-end", "The last one is missing where the list claims all", Scope::Complete, last)
            .inconclusive(&["E_OPEN", "N_WITHHELD"]),
        without(
            214,
            "prefix",
            "The last one is missing, and the list does not claim it",
            Scope::Prefix,
            last,
        )
        .valid(&["N_PREFIX", "N_WITHHELD"]),
        changed(215, "empty", "There are no artifacts", Scope::Complete, FileMap::clear)
            .inconclusive(&["E_EMPTY"]),
    ]
}

fn mixtures() -> Vec<Case> {
    let mut version = tales::ungated();
    let last = version.statements.len() - 1;
    version.statements[last].identity.workflow.digest = tales::elsewhere();
    let mut rules = tales::ungated();
    rules.statements[last].semantics = tales::elsewhere();
    let kept = ["E_MIXED", "N_UNGATED", "N_WITHHELD"];
    vec![
        beside(220, "another-instance", "An artifact of another execution", |other| {
            other.identity.instance = InstanceId::from_random([8; 16]);
        })
        .invalid(&kept, TWIN),
        beside(221, "another-tenant", "An artifact of another tenant", |other| {
            other.identity.tenant = TenantId::parse("other").unwrap();
        })
        .invalid(&kept, TWIN),
        Case::of(222, "another-version", "The workflow changes along the chain", &version)
            .invalid(&["E_MIXED", "N_WITHHELD"], TWIN),
        Case::of(223, "other-rules", "The rules change along the chain", &rules)
            .invalid(&["E_MIXED", "N_WITHHELD"], TWIN),
        beside(224, "fork", "Two signed artifacts claim one place", |other| other.blind = [9; 32])
            .invalid(&["E_FORK", "N_WITHHELD"], TWIN),
        beside(225, "copy", "An artifact is there twice", |_| {}).valid(&[
            "N_DUP",
            "N_UNGATED",
            "N_WITHHELD",
        ]),
    ]
}

fn strangers() -> Vec<Case> {
    let story = tales::ungated();
    let mut other = story.statements[1].clone();
    other.blind = [9; 32];
    let by_a_stranger = sign(&other, &stranger()).envelope;
    let mut forged = Envelope::parse(&sign(&other, &issuer()).envelope).unwrap();
    forged.signatures[0].signature[5] ^= 1;
    let mut after = story.statements[story.statements.len() - 1].clone();
    after.sequence += 1;
    let behind = sign(&after, &stranger()).envelope;
    let ignored = ["N_UNAUTH", "N_UNGATED", "N_WITHHELD"];
    let put = |name: &str, content: Vec<u8>| {
        let path = format!("artifacts/{name}.dsse.json");
        move |files: &mut FileMap| _ = files.insert(path, content)
    };
    let cut = Story::begin();
    let mut early = lean(&cut);
    early.insert(artifact(1), sign(&story.statements[1], &stranger()).envelope);
    vec![
        changed(
            230,
            "file-of-a-stranger",
            "A stranger's file claims a place that is taken",
            Scope::Complete,
            put("a", by_a_stranger),
        )
        .valid(&ignored),
        changed(
            231,
            "forged-file",
            "A forged file claims a place that is taken",
            Scope::Complete,
            put("b", forged.encode()),
        )
        .valid(&ignored),
        changed(
            232,
            "file-behind-the-end",
            "A stranger's file stands behind the end",
            Scope::Complete,
            put("c", behind),
        )
        .valid(&ignored),
        Case::from_files(
            233,
            "file-where-the-chain-is-open",
            "A stranger's file stands where the chain goes on",
            &cut,
            Scope::Prefix,
            early,
        )
        .inconclusive(&["E_KEY_UNKNOWN"]),
    ]
}
