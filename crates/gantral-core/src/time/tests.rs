use super::*;
use alloc::string::ToString;

#[test]
fn every_day_of_four_centuries_reads_back() {
    for day in 0..146_097 {
        let instant = UnixMillis::new(day * DAY_MS + 12_345_678).unwrap();
        assert_eq!(UnixMillis::parse(&instant.to_string()), Ok(instant));
    }
}

#[test]
fn known_instants_have_their_known_text() {
    for (millis, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
        (MAX_MILLIS, "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(UnixMillis::new(millis).unwrap().to_text(), text);
    }
    assert_eq!(UnixMillis::new(MAX_MILLIS + 1), Err(TimeError));
}

#[test]
fn earlier_stops_at_the_beginning_and_later_at_the_end() {
    let (instant, second) = (UnixMillis::new(1_500).unwrap(), DurationMs::from_secs(1));
    assert_eq!(instant.minus(second), UnixMillis::new(500).unwrap());
    assert_eq!(instant.minus(second).minus(second), UnixMillis::EPOCH);
    assert_eq!(instant.plus(DurationMs::new(u64::MAX)), UnixMillis::new(MAX_MILLIS).unwrap());
}

#[test]
fn any_other_spelling_is_refused() {
    for text in [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.000+00:00",
        "1970-01-01 00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "2001-02-29T00:00:00.000Z",
        "2000-13-01T00:00:00.000Z",
        "2000-00-01T00:00:00.000Z",
        "2000-01-01T24:00:00.000Z",
        "2000-01-01T00:00:60.000Z",
        "+000-01-01T00:00:00.000Z",
    ] {
        assert_eq!(UnixMillis::parse(text), Err(TimeError), "{text}");
    }
}

#[test]
fn durations_need_a_positive_count_and_one_unit() {
    assert_eq!(DurationMs::parse("30m"), Some(DurationMs::new(1_800_000)));
    assert_eq!(DurationMs::parse("250ms"), Some(DurationMs::new(250)));
    for text in ["", "30", "m", "0s", "-1s", "1.5h", "1h30m", "99999999999999999999d", "30 m"] {
        assert_eq!(DurationMs::parse(text), None, "{text}");
    }
}
