use super::*;

fn at(text: &str) -> UnixMillis {
    UnixMillis::parse(text).unwrap()
}

fn page(rows: &Value) -> ShadowReport {
    serde_json::from_str(&json!({ "rows": rows, "instances": 3 }).to_string()).unwrap()
}

fn row(hour: &str, verdict: &str, roles: &[&str], reasons: &[&str], asks: u64) -> Value {
    json!({
        "hour": hour, "workflow_id": "refund", "action": "refund", "verdict": verdict, "roles": roles,
        "reasons": reasons, "asks": asks,
    })
}

#[test]
fn pages_add_up_to_what_one_page_would_have_said() {
    let rows = [
        row("2026-01-05T09:00:00.000Z", "ALLOW", &[], &[], 5),
        row("2026-01-05T09:00:00.000Z", "REQUIRE_HUMAN", &["CFO", "LEAD"], &["480.50 is above 100"], 2),
        row("2026-01-06T09:00:00.000Z", "REQUIRE_HUMAN", &["LEAD"], &["7 is above 100", "8 is above 100"], 3),
        row("2026-01-06T23:00:00.000Z", "DENY", &[], &["never"], 1),
    ];
    let (from, to) = (at("2026-01-04T12:00:00.000Z"), at("2026-01-07T11:00:00.000Z"));
    let mut at_once = Summary::new(from, to);
    at_once.add(&page(&json!(rows)));
    let mut summary = Summary::new(from, to);
    for row in rows {
        summary.add(&page(&json!([row])));
    }
    assert_eq!((at_once.executions, summary.executions), (3, 12));
    summary.executions = 3;
    assert_eq!(summary.to_json(), at_once.to_json());
    assert_eq!(summary.all, Tally { allowed: 5, waited: 5, denied: 1 });
    let days: Vec<_> = summary.pages["LEAD"].each_day(from, to).collect();
    let counts: Vec<_> = days.iter().map(|(day, count)| (day.as_str(), *count)).collect();
    assert_eq!(counts, [("2026-01-04", 0), ("2026-01-05", 2), ("2026-01-06", 3), ("2026-01-07", 0)]);
    // Two reasons of one rule are one line, and an ask counts under it once.
    let reasons: Vec<_> =
        summary.reasons.shown(9).iter().map(|(why, tally)| (why.as_str(), tally.asks())).collect();
    assert_eq!(reasons, [("N is above N", 5), ("never", 1)]);
    let lead = &summary.pages["LEAD"];
    assert_eq!((lead.all(), lead.a_day(summary.days())), (5, "1.6".to_owned()));
    assert_eq!(lead.busiest_day(), ("2026-01-06".to_owned(), 3));
    assert_eq!(lead.busiest_hour(), "09");
    assert_eq!(summary.pages["CFO"].all(), 2);
    let hours: Vec<u64> = summary.hours.shown(9).iter().map(|(hour, _)| **hour).collect();
    assert_eq!(hours, [9, 23]);
}

#[test]
fn failures_and_what_was_erased_are_counted_apart() {
    let mut failed = row("2026-01-05T09:00:00.000Z", "REQUIRE_HUMAN", &[], &[], 4);
    failed["failure"] = json!("CONFLICT");
    let mut summary = Summary::new(UnixMillis::EPOCH, at("2026-01-07T11:00:00.000Z"));
    summary.add(&page(&json!([failed])));
    assert_eq!((summary.failed, summary.erased, summary.failures().as_str()), (4, 4, "CONFLICT 4"));
}

#[test]
fn reasons_without_end_are_counted_under_one_line() {
    let mut summary = Summary::new(UnixMillis::EPOCH, at("2026-01-07T11:00:00.000Z"));
    for number in 0..REASONS_MAX + 5 {
        let letters: String =
            number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        summary.add(&page(&json!([row("2026-01-05T09:00:00.000Z", "DENY", &[], &[&letters], 1)])));
    }
    assert_eq!(summary.reasons.len(), REASONS_MAX + 1);
    assert_eq!(summary.reasons.0[OTHER].denied, 5);
}

#[test]
fn numbers_of_a_reason_are_taken_out() {
    for (reason, expected) in [
        ("a refund of 48000 is above 5000", "a refund of N is above N"),
        ("1,234.50 EUR.", "N EUR."),
        ("at 10. 5 more", "at N. N more"),
        ("none", "none"),
    ] {
        assert_eq!(without_numbers(reason), expected);
    }
}
