//! Instants and durations in whole milliseconds. A clock is never read here: instants come in as values.

use alloc::string::String;
use core::fmt::{self, Write as _};

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds; written `YYYY-MM-DDThh:mm:ss.sssZ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(u64);

/// A length of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationMs(u64);

/// The last instant that the text form can show: 9999-12-31T23:59:59.999Z.
const MAX_MILLIS: u64 = 253_402_300_799_999;
const DAY_MS: u64 = 86_400_000;

/// Why a value is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an instant is written `YYYY-MM-DDThh:mm:ss.sssZ`, years 1970 to 9999")]
pub struct TimeError;

impl UnixMillis {
    /// The beginning: 1970-01-01T00:00:00.000Z.
    pub const EPOCH: Self = Self(0);

    /// Wraps a count of milliseconds; refuses what the text form cannot show.
    pub const fn new(millis: u64) -> Result<Self, TimeError> {
        if millis > MAX_MILLIS { Err(TimeError) } else { Ok(Self(millis)) }
    }

    /// Returns the count of milliseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the instant `duration` later, at most the last instant that can be written.
    #[must_use]
    pub const fn plus(self, duration: DurationMs) -> Self {
        let sum = self.0.saturating_add(duration.0);
        Self(if sum > MAX_MILLIS { MAX_MILLIS } else { sum })
    }

    /// Returns the instant `duration` earlier, at least the beginning.
    #[must_use]
    pub const fn minus(self, duration: DurationMs) -> Self {
        Self(self.0.saturating_sub(duration.0))
    }

    /// Returns how long after `earlier` this is; zero when it is not after.
    pub const fn since(self, earlier: Self) -> DurationMs {
        DurationMs(self.0.saturating_sub(earlier.0))
    }

    /// Parses the one text form (24 characters, always three decimals, always `Z`).
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let bytes: &[u8; 24] = text.as_bytes().try_into().map_err(|_| TimeError)?;
        let [
            y1,
            y2,
            y3,
            y4,
            b'-',
            o1,
            o2,
            b'-',
            d1,
            d2,
            b'T',
            h1,
            h2,
            b':',
            m1,
            m2,
            b':',
            s1,
            s2,
            b'.',
            f1,
            f2,
            f3,
            b'Z',
        ] = *bytes
        else {
            return Err(TimeError);
        };
        let year = number(&[y1, y2, y3, y4])?;
        let (month, day) = (number(&[o1, o2])?, number(&[d1, d2])?);
        let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
        let millis = number(&[f1, f2, f3])?;
        if year < 1970 || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
            return Err(TimeError);
        }
        if day < 1 || day > days_in_month(year, month) {
            return Err(TimeError);
        }
        let days = days_from_civil(year, month, day);
        Self::new(days * DAY_MS + hour * 3_600_000 + minute * 60_000 + second * 1_000 + millis)
    }

    /// Returns the one text form.
    pub fn to_text(self) -> String {
        let mut text = String::with_capacity(24);
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{self}");
        text
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0 / DAY_MS);
        let rest = self.0 % DAY_MS;
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
        let (second, millis) = (rest / 1_000 % 60, rest % 1_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

impl DurationMs {
    /// Wraps a count of milliseconds.
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns a length of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Returns the count of milliseconds.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Parses `250ms`, `30s`, `30m`, `24h` or `7d`: a positive whole number and one unit.
    pub fn parse(text: &str) -> Option<Self> {
        let split = text.find(|c: char| !c.is_ascii_digit())?;
        let (digits, unit) = text.split_at_checked(split)?;
        let scale = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => DAY_MS,
            _ => return None,
        };
        let count: u64 = digits.parse().ok()?;
        if count == 0 {
            return None;
        }
        count.checked_mul(scale).filter(|&ms| ms <= MAX_MILLIS).map(Self)
    }
}

fn number(digits: &[u8]) -> Result<u64, TimeError> {
    digits.iter().try_fold(0u64, |sum, digit| {
        if digit.is_ascii_digit() { Ok(sum * 10 + u64::from(digit - b'0')) } else { Err(TimeError) }
    })
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, by eras of 400 years that begin on 1 March.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
