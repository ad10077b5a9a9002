//! How long a receiver asks to be left alone (RFC 9110 §10.2.3).

use std::time::Duration;

use gantral_core::time::UnixMillis;

/// The longest time for which a receiver is left alone because it says so: what it takes may not be put off for ever by one answer.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads the value of `Retry-After`: seconds, or a date in the one form that is still sent. Nothing that cannot be read puts anything off.
pub(crate) fn retry_after(value: &str, now: UnixMillis) -> Option<Duration> {
    let value = value.trim();
    let asked = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are a long time.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        Duration::from_millis(date(value)?.since(now).get())
    };
    Some(asked.min(RETRY_AFTER_MAX))
}

/// Reads a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn date(value: &str) -> Option<UnixMillis> {
    let mut words = value.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if words.next() != Some("GMT") || words.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)?.saturating_add(1);
    UnixMillis::parse(&format!("{year}-{month:02}-{day}T{time}.000Z")).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_nothing_is_put_off_for_ever() {
        let now = UnixMillis::parse("1994-11-06T08:49:07.000Z").unwrap();
        let check = |value: &str, expected: Option<u64>| {
            assert_eq!(retry_after(value, now), expected.map(Duration::from_secs), "{value}");
        };
        check("0", Some(0));
        check(" 30 ", Some(30));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(30));
        check("Sun, 06 Nov 1994 08:48:37 GMT", Some(0));
        for long in ["3601", "99999999999999999999999", "Mon, 06 Nov 2034 08:49:37 GMT"] {
            check(long, Some(3_600));
        }
        for bad in ["", "-1", "1.5", "soon", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"]
        {
            check(bad, None);
        }
    }
}
