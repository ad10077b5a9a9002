//! From when a grant may be used: what the anchor of a consumption must hold.

use gantral_core::state::EventKind;
use gantral_evidence::trust::Require;
use gantral_evidence::verify::Report;
use gantral_vectors::governance::defined;
use gantral_vectors::log::{Log, Logged, logged, trust_logged};

use crate::story::*;

/// The refund under a definition; its consumption is anchored so many leaves after its grant, and two witnesses cosign.
fn check(definition: &str, after: Option<u64>, witnesses: &[(u8, u64)], require: Require) -> Report {
    let (mut story, path) = defined(Story::refund(), definition);
    let granted = story.position(EventKind::Overridden);
    let consumed = story.position(EventKind::Consumed);
    // Every artifact stands alone, so that its index is its sequence.
    let mut log = Log::default();
    let mut places = Vec::new();
    for at in 0..story.statements.len() {
        if at == consumed {
            story.statements[at].anchor = after.map(|after| log.tree(granted as u64 + after));
            story.relink();
        }
        places.push(log.add(&gantral_vectors::log::leaf(&story.statements[at])));
    }
    let anchor = granted as u64 + after.unwrap_or_default();
    let time = story.now / 1_000 - 30;
    let seen: Vec<(u8, u64)> = witnesses.iter().map(|(witness, later)| (*witness, time + later)).collect();
    let mut told = Logged::sealed(log, story, places);
    told.kept = [(anchor, told.log.checkpoint(anchor, &seen))].into();
    told.verify_changed(&trust_logged(require), |files| {
        _ = files.insert(path, definition.as_bytes().to_vec())
    })
}

const SEQUENCED: &str = r#"{"release":"sequenced"}"#;
const WITNESSED: &str = r#"{"release":"witnessed(2)"}"#;
const BOTH: [(u8, u64); 2] = [(1, 0), (2, 0)];

#[test]
fn the_anchor_of_a_consumption_holds_its_grant() {
    assert_valid(&check(SEQUENCED, Some(1), &BOTH, logged()));
    assert_answer(&check(SEQUENCED, Some(0), &BOTH, logged()), "INVALID", &["E_ANCHOR"]);
    assert_answer(&check(SEQUENCED, None, &BOTH, logged()), "INVALID", &["E_ANCHOR"]);
    for free in [r#"{"release":"committed"}"#, r#"{"team":"payments"}"#] {
        assert_valid(&check(free, Some(0), &BOTH, logged()));
        assert_valid(&check(free, None, &BOTH, logged()));
    }
}

#[test]
fn a_consumption_without_an_anchor_shows_without_a_log() {
    let (story, path) = defined(Story::refund(), SEQUENCED);
    let with = |definition: Option<&str>| {
        story.verify_changed(story.scope(), Some(&trust()), |files| {
            files.extend(definition.map(|text| (path.clone(), text.as_bytes().to_vec())));
        })
    };
    assert_answer(&with(Some(SEQUENCED)), "INVALID", &["E_ANCHOR"]);
    assert_valid(&with(None));
}

#[test]
fn a_report_says_what_grants_waited_for_and_where_nobody_can_know() {
    let released =
        |report: &Report| report.assurance.as_ref().unwrap().release.map(|release| release.to_string());
    let is_told = |report: &Report| {
        report
            .not_proved
            .iter()
            .any(|text| text.contains("what the workflow asks: its definition is not in the bundle"))
    };
    let plain = r#"{"team":"payments"}"#;
    for (definition, expected) in
        [(SEQUENCED, "sequenced"), (WITNESSED, "witnessed(2)"), (plain, "committed")]
    {
        let report = check(definition, Some(1), &BOTH, logged());
        assert_eq!(released(&report).as_deref(), Some(expected));
        assert!(!is_told(&report));
    }
    // Whoever takes the definition away, and its line of the list with it, takes assurance away.
    let (story, _) = defined(Story::refund(), SEQUENCED);
    let report = story.verify_changed(story.scope(), Some(&trust()), |_| {});
    assert_valid(&report);
    assert_eq!(released(&report), None);
    assert!(is_told(&report), "{:?}", report.not_proved);
}

#[test]
fn the_witnesses_that_a_workflow_waits_for_are_counted_where_witnesses_are_required() {
    assert_valid(&check(WITNESSED, Some(1), &BOTH, logged()));
    assert_answer(&check(WITNESSED, Some(1), &[], logged()), "INCONCLUSIVE", &["E_REQUIRE"]);
    assert_valid(&check(SEQUENCED, Some(1), &[], logged()));
    assert_valid(&check(WITNESSED, Some(1), &[], Require { witnessed: 0, ..logged() }));
}
