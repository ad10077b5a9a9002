//! Attacks that leave out: executions that nobody is shown, and promises that are not kept.

use gantral_evidence::container::Scope;
use gantral_vectors::log::receipt_line;

use super::Attack;
use super::attacker::{Attacker, OTHERS, after, allowed, overridden};
use super::auditor::Scene;

pub fn all() -> Vec<Attack> {
    vec![hidden(), unlogged(), unlogged_whole()]
}

fn hidden() -> Attack {
    let mut attacker = Attacker::begin();
    let (shown, hidden) = (attacker.anchored(overridden(7)), attacker.anchored(allowed(8)));
    attacker.logs(&shown.statements);
    attacker.logs(&hidden.statements);
    let published = attacker.publish(after(&shown)).unwrap();
    let scene = || Scene {
        window: Some(OTHERS..published.log.size()),
        ..Scene::of(attacker.bundle(&shown, &published), &published)
    };
    let others = vec![attacker.bundle(&hidden, &published)];
    Attack {
        number: 4,
        what: "hides an execution that the log holds",
        rules: "L49",
        honest: Scene { others, ..scene() },
        attacked: scene(),
    }
}

fn unlogged() -> Attack {
    let scene = |kept: usize| {
        let mut attacker = Attacker::begin();
        let mut story = attacker.anchored(overridden(7));
        let receipts: String = story.statements.iter().map(receipt_line).collect();
        story.statements.truncate(story.statements.len() - kept);
        let published = attacker.runs(&story);
        let bundle = attacker.bundle(&story, &published);
        Scene { receipts, ..Scene::of(bundle, &published) }
    };
    let attacked = scene(1);
    assert_eq!(attacked.bundle.scope, Scope::Prefix);
    Attack {
        number: 14,
        what: "never logs the end of an execution, for which there are receipts",
        rules: "V54, L48",
        honest: scene(0),
        attacked,
    }
}

fn unlogged_whole() -> Attack {
    let scene = |logs: bool| {
        let mut attacker = Attacker::begin();
        let (shown, other) = (attacker.anchored(overridden(7)), attacker.anchored(allowed(8)));
        if logs {
            attacker.logs(&other.statements);
        }
        let published = attacker.runs(&shown);
        let receipts = other.statements.iter().map(receipt_line).collect();
        Scene { receipts, ..Scene::of(attacker.bundle(&shown, &published), &published) }
    };
    Attack {
        number: 14,
        what: "never logs a whole execution, for which there are receipts; the bundle is of another",
        rules: "L48",
        honest: scene(true),
        attacked: scene(false),
    }
}

#[test]
fn an_execution_that_nobody_handed_over_is_counted_in_the_log() {
    hidden().shows(["VALID", "INCONCLUSIVE E_COMPLETENESS_UNPROVED", "VALID", "found E_HIDDEN", "cosign"]);
}

#[test]
fn what_a_receipt_promises_is_missed() {
    unlogged().shows([
        "VALID N_PREFIX",
        "INCONCLUSIVE E_COMPLETENESS_UNPROVED E_REQUIRE N_PREFIX",
        "INVALID E_COMPLETENESS_UNPROVED E_RECEIPT E_REQUIRE N_MORE_EXISTS N_PREFIX",
        "found E_RECEIPT",
        "cosign",
    ]);
    let unproved = "INCONCLUSIVE E_COMPLETENESS_UNPROVED";
    unlogged_whole().shows(["VALID", unproved, "VALID", "found E_RECEIPT", "cosign"]);
}
