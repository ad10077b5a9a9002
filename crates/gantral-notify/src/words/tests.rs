#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use gantral_core::ids::Name;

use super::*;
use crate::message::tests::{gate, proposal, row, told};

#[test]
fn a_message_says_what_happened_to_what_and_where_to_look() {
    let members = vec![Member { pointer: "/amount_minor".to_owned(), value: "4800".to_owned() }];
    let found = words(&told(members), "https://gantral.example.com/");
    let gate = gate().id;
    assert_eq!(found.title, "Still waiting, 90 % of the time is over: refund");
    assert_eq!(found.url, format!("https://gantral.example.com/console/gates/{gate}"));
    let facts: Vec<_> = found.facts.iter().map(|(label, text)| (label.as_str(), text.as_str())).collect();
    let look = format!("gantral approvals show {gate}");
    let expected = [
        ("Action", "refund"),
        ("Workflow", "refund"),
        ("Team", "payments"),
        ("/amount_minor", "4800"),
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
        let found = words(&Told::One(Box::new(ended), Vec::new()), "https://gantral.example.com");
        assert_eq!(found.title, title);
        assert!(
            !found.facts.iter().any(|(label, _)| label == "Who decides" || label == "Until"),
            "{found:?}"
        );
    }
}

#[test]
fn a_proposal_asks_for_somebody_else() {
    let found = words(&Told::One(Box::new(proposal()), Vec::new()), "https://gantral.example.com");
    assert_eq!(found.title, "A second person is wanted: policy_activated");
    let facts: Vec<_> = found.facts.iter().map(|(label, text)| (label.as_str(), text.as_str())).collect();
    assert!(facts.contains(&("For", "team payments")), "{facts:?}");
    assert!(facts.iter().any(|(_, text)| text.starts_with("gantral proposals show ")), "{facts:?}");
}

#[test]
fn a_digest_has_a_line_for_each_with_how_it_stands() {
    let name = |text| Name::parse(text).unwrap();
    let opened = OutboxRow { kind: name("gate.opened"), percent: None, ..row() };
    let decided =
        OutboxRow { kind: name("gate.decided"), resolution: Some(name("rejected")), ..opened.clone() };
    let items = vec![
        Gathered { row: opened.clone(), ended: None },
        Gathered { row: opened, ended: Some(name("approved")) },
        Gathered { row: decided, ended: Some(name("rejected")) },
        Gathered { row: proposal(), ended: None },
    ];
    let found = words(&Told::Many(items), "https://gantral.example.com");
    assert_eq!(found.title, "2 waiting, 2 ended");
    assert_eq!(found.url, "https://gantral.example.com/console");
    let lines: Vec<&str> = found.items.iter().map(|(text, _)| text.as_str()).collect();
    let expected = [
        "Approval wanted: refund (refund, payments), until 2026-01-01T00:01:00.000Z",
        "Approval wanted: refund (refund, payments), since then: approved",
        "Rejected: refund (refund, payments)",
        "A second person is wanted: policy_activated (team payments), until 2026-01-01T00:01:00.000Z",
    ];
    assert_eq!(lines, expected);
}
