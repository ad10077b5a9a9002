#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use gantral_core::ids::Name;

use super::*;
use crate::message::tests::row;

#[test]
fn a_message_says_what_happened_to_what_and_where_to_look() {
    let found = words(&row(), "https://gantral.example.com/");
    let gate = row().gate.id;
    assert_eq!(found.title, "Still waiting, 90 % of the time is over: refund");
    assert_eq!(found.url, format!("https://gantral.example.com/console/gates/{gate}"));
    let facts: Vec<_> = found.facts.iter().map(|(label, text)| (label.as_str(), text.as_str())).collect();
    let look = format!("gantral approvals show {gate}");
    let expected = [
        ("Action", "refund"),
        ("Workflow", "refund"),
        ("Team", "payments"),
        ("Who decides", "FINANCE_LEAD, CFO"),
        ("Until", "2026-01-01T00:01:00.000Z"),
        ("On the command line", look.as_str()),
    ];
    assert_eq!(facts, expected);
}

#[test]
fn what_has_ended_asks_nobody_to_decide() {
    for (kind, resolution, title) in [
        ("gate.decided", "approved", "Approved: refund"),
        ("gate.decided", "overridden", "Approved with changes: refund"),
        ("gate.decided", "rejected", "Rejected: refund"),
        ("gate.glass_broken", "approved", "Decided by one person alone, by break-glass: refund"),
        ("gate.expired", "timeout", "Nobody decided in time: refund"),
        ("gate.withdrawn", "withdrawn", "Withdrawn by whoever asked: refund"),
        ("gate.cancelled", "cancelled", "Cancelled: refund"),
    ] {
        let name = |text| Name::parse(text).unwrap();
        let ended = OutboxRow { kind: name(kind), resolution: Some(name(resolution)), ..row() };
        let found = words(&ended, "https://gantral.example.com");
        assert_eq!(found.title, title);
        assert!(
            !found.facts.iter().any(|(label, _)| label == "Who decides" || label == "Until"),
            "{found:?}"
        );
    }
}
