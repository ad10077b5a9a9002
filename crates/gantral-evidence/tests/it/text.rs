//! The report as people and programs read it.

use gantral_core::json::{self, Profile, Value};
use gantral_evidence::container::Scope;
use gantral_evidence::report::{to_json, to_text};

use crate::story::*;

#[test]
fn a_valid_report_tells_the_story() {
    let text = to_text(&Story::refund().verify());
    for line in [
        "VALID\n",
        "asked for {\"name\":\"refund\",\"parameters\":{\"amount\":4800,\"currency\":\"EUR\"}",
        "policy said REQUIRE_HUMAN: waits for finance until",
        "        under policy ",
        ", evaluated by ",
        "        shown was {\"action\":{\"name\":\"refund\"",
        "changed it to {\"name\":\"refund\",\"parameters\":{\"amount\":480,",
        "reason given: within the goodwill limit",
        "reported SUCCEEDED",
        "What this does not prove",
        "what never touched the system leaves no artifact",
    ] {
        assert!(text.contains(line), "`{line}` is not in:\n{text}");
    }
}

#[test]
fn an_invalid_report_says_what_where_and_who() {
    let report = Story::refund().verify_changed(Scope::Complete, Some(&trust()), |files| {
        files.insert("artifacts/000003.dsse.json".to_owned(), b"{}".to_vec());
    });
    let text = to_text(&report);
    assert!(text.starts_with("INVALID\n"), "{text}");
    assert!(text.contains("E_CONTAINER  artifact 3: "), "{text}");
    assert!(text.contains("at fault: copy"), "{text}");
}

#[test]
fn content_cannot_disturb_the_report() {
    let mut story = Story::begin();
    story.launch();
    let mut action = refund(20);
    action.target = "Müller \u{1b}[31m\u{202e}\u{5d0}x\nVALID".to_owned();
    story.ask(&action, gantral_core::policy::Verdict::Allow, None);
    let text = to_text(&story.verify());
    assert!(text.lines().filter(|line| line.starts_with("VALID")).count() == 1, "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\u{5d0}']), "{text}");
    assert!(text.contains("Müller \\u001b[31m\\u{202e}\\u{5d0}x\\nVALID"), "{text}");
}

#[test]
fn the_json_form_has_verdict_codes_and_timeline() {
    let story = Story::refund();
    let value = json::parse(&to_json(&story.verify()), &Profile::DOCUMENT).unwrap();
    assert_eq!(value.get("verdict").and_then(Value::as_str), Some("VALID"));
    assert_eq!(value.get("scope").and_then(Value::as_str), Some("complete"));
    let timeline = value.get("timeline").and_then(Value::as_array).unwrap();
    assert_eq!(timeline.len(), story.statements.len());
}
