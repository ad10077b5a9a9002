//! Exact decimal numbers with one spelling each.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

/// The longest spelling of a number, as sent and as normalised, in bytes.
pub const NUMBER_BYTES_MAX: usize = 256;
/// The largest power of ten of a number's first digit, in either direction; every finite double fits.
pub const EXPONENT_MAX: i64 = 512;

/// An exact decimal number in its normal form: the layout of ECMAScript `Number::toString` (which RFC 8785 §3.2.2.3
/// uses) applied to all of its digits. Equal numbers have equal forms: `4800.00`, `4.8e3` and `4800` are one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Repr);

/// Every value within `i64` is `Int`, so that the derived equality is equality of the number.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Int(i64),
    Text(Box<str>),
}

/// Why a text is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not a number of the JSON grammar (RFC 8259 §6).
    #[error("not a JSON number")]
    Syntax,
    /// Longer than [`NUMBER_BYTES_MAX`], as sent or as normalised.
    #[error("a number has at most {NUMBER_BYTES_MAX} characters")]
    TooLong,
    /// Its first digit stands beyond ten to the [`EXPONENT_MAX`].
    #[error("a number lies within ten to the power of plus or minus {EXPONENT_MAX}")]
    Exponent,
}

/// The pieces of a spelling, as the grammar names them.
struct Spelling<'a> {
    negative: bool,
    int: &'a str,
    frac: &'a str,
    exp: Option<&'a str>,
}

impl Number {
    /// Reads any spelling that JSON allows.
    pub fn parse(spelling: &str) -> Result<Self, NumberError> {
        let pieces = split(spelling).ok_or(NumberError::Syntax)?;
        if spelling.len() > NUMBER_BYTES_MAX {
            return Err(NumberError::TooLong);
        }
        if pieces.frac.is_empty()
            && pieces.exp.is_none()
            && let Ok(int) = spelling.parse::<i64>()
        {
            return Ok(Self(Repr::Int(int)));
        }
        normalise(&pieces)
    }

    /// Returns the number if it is an integer within `i64`.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(int) => Some(*int),
            Repr::Text(_) => None,
        }
    }

    /// Returns the number if it is an integer within `u64`.
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Repr::Int(int) => u64::try_from(*int).ok(),
            Repr::Text(text) => text.parse().ok(),
        }
    }

    /// Appends the normal form.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Int(int) => write_i64(*int, out),
            Repr::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
}

impl From<i64> for Number {
    fn from(int: i64) -> Self {
        Self(Repr::Int(int))
    }
}

impl From<u32> for Number {
    fn from(int: u32) -> Self {
        Self(Repr::Int(i64::from(int)))
    }
}

impl From<u64> for Number {
    fn from(int: u64) -> Self {
        // Twenty digits at most: the plain form is the normal form.
        Self(i64::try_from(int).map_or_else(|_| Repr::Text(int.to_string().into()), Repr::Int))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(int) => fmt::Display::fmt(int, f),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Appends a decimal integer, without the formatting machinery: it runs for every member of every artifact.
pub(super) fn write_i64(int: i64, out: &mut Vec<u8>) {
    if int < 0 {
        out.push(b'-');
    }
    write_u64(int.unsigned_abs(), out);
}

/// Appends a decimal integer.
pub(super) fn write_u64(mut int: u64, out: &mut Vec<u8>) {
    let start = out.len();
    loop {
        out.push(b'0' + (int % 10) as u8);
        int /= 10;
        if int == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// Splits a spelling by the grammar of RFC 8259 §6; `None` if it does not follow it.
fn split(spelling: &str) -> Option<Spelling<'_>> {
    let (negative, rest) = match spelling.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, spelling),
    };
    let (mantissa, exp) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exp)) => (mantissa, Some(exp)),
        None => (rest, None),
    };
    let (int, frac) = match mantissa.split_once('.') {
        Some((_, "")) => return None,
        Some((int, frac)) => (int, frac),
        None => (mantissa, ""),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let int_ok = !int.is_empty() && digits(int) && (int.len() == 1 || !int.starts_with('0'));
    let exp_ok = exp.is_none_or(|exp| {
        let unsigned = exp.strip_prefix(['+', '-']).unwrap_or(exp);
        !unsigned.is_empty() && digits(unsigned)
    });
    (int_ok && digits(frac) && exp_ok).then_some(Spelling { negative, int, frac, exp })
}

fn normalise(pieces: &Spelling<'_>) -> Result<Number, NumberError> {
    let mut all = String::with_capacity(pieces.int.len() + pieces.frac.len());
    all.push_str(pieces.int);
    all.push_str(pieces.frac);
    let unpadded = all.trim_start_matches('0');
    let leading = all.len() - unpadded.len();
    let digits = unpadded.trim_end_matches('0');
    if digits.is_empty() {
        return Ok(Number(Repr::Int(0)));
    }
    let exp = pieces.exp.map_or(0, saturating_exponent);
    // Lengths are at most NUMBER_BYTES_MAX.
    let point = exp.saturating_add(pieces.int.len() as i64 - leading as i64);
    if point.saturating_sub(1).saturating_abs() > EXPONENT_MAX {
        return Err(NumberError::Exponent);
    }
    let text = lay_out(pieces.negative, digits, point);
    if text.len() > NUMBER_BYTES_MAX {
        return Err(NumberError::TooLong);
    }
    Ok(Number(text.parse::<i64>().map_or_else(|_| Repr::Text(text.into()), Repr::Int)))
}

/// Reads an exponent, ending at the border of `i64` where it is longer: far outside the limit either way.
fn saturating_exponent(exp: &str) -> i64 {
    let negative = exp.starts_with('-');
    let size = exp
        .bytes()
        .filter(u8::is_ascii_digit)
        .fold(0_i64, |size, digit| size.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -size } else { size }
}

/// ECMA-262 `Number::toString`, steps 6 to 10: `point` is its `n`, the number of digits before the decimal point.
fn lay_out(negative: bool, digits: &str, point: i64) -> String {
    let mut text = String::with_capacity(digits.len() + 24);
    if negative {
        text.push('-');
    }
    let count = digits.len() as i64;
    let zeros = |text: &mut String, n: i64| (0..n).for_each(|_| text.push('0'));
    match point {
        _ if count <= point && point <= 21 => {
            text.push_str(digits);
            zeros(&mut text, point - count);
        }
        1..=21 => {
            let (int, frac) = digits.split_at(point as usize);
            text.push_str(int);
            text.push('.');
            text.push_str(frac);
        }
        -5..=0 => {
            text.push_str("0.");
            zeros(&mut text, -point);
            text.push_str(digits);
        }
        _ => {
            let (first, rest) = digits.split_at(1);
            text.push_str(first);
            if !rest.is_empty() {
                text.push('.');
                text.push_str(rest);
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "e{:+}", point - 1);
        }
    }
    text
}
