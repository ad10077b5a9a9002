//! Reading JSON under a profile.

use alloc::string::String;
use alloc::vec::Vec;

use super::text::{TextError, check_clean};
use super::{ARTIFACT_INTEGER_MAX, Number, NumberError, Object, Profile, Value};

/// Why bytes were refused, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct ParseError {
    /// The byte at which the trouble was noticed, counted from 0: of a text its opening quote, of an object with a
    /// duplicate member its closing brace.
    pub offset: usize,
    /// What is wrong.
    pub kind: ParseErrorKind,
}

/// What is wrong with the bytes. All of it is the sender's fault, and none of it is worth sending again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// More bytes than the profile allows.
    #[error("document is too large")]
    TooLarge,
    /// More nested arrays and objects than the profile allows.
    #[error("nesting is too deep")]
    TooDeep,
    /// A number beyond the limits of [`Number`].
    #[error("number is too long or too far from one")]
    NumberLimit,
    /// A byte order mark.
    #[error("byte order mark")]
    ByteOrderMark,
    /// Something after the value.
    #[error("something follows the value")]
    Trailing,
    /// Two members of one object have one name.
    #[error("duplicate member name")]
    DuplicateMember,
    /// Half of a surrogate pair in an escape.
    #[error("lone surrogate")]
    LoneSurrogate,
    /// A fraction or an exponent where only integers are allowed.
    #[error("number is not a plain integer")]
    NotInteger,
    /// An integer beyond 2^53 - 1 in either direction.
    #[error("integer is beyond 2^53 - 1")]
    IntegerRange,
    /// `-0`.
    #[error("minus zero")]
    MinusZero,
    /// Well formed, but not spelled in its canonical form.
    #[error("not in canonical form")]
    NotCanonical,
    /// A text that may not be signed.
    #[error("{0}")]
    Text(TextError),
    /// A member name outside ASCII.
    #[error("member name is not ASCII")]
    NonAsciiName,
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    InvalidUtf8,
    /// The bytes end inside the value.
    #[error("unexpected end")]
    UnexpectedEnd,
    /// A byte that the grammar does not allow here.
    #[error("unexpected character")]
    Unexpected,
}

/// The four ways in which a verifier treats refused bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseClass {
    /// Over a limit: nothing is known about the content.
    Limit,
    /// JSON that has another, canonical spelling, or that other parsers would read differently.
    Noncanonical,
    /// Text that does not look like what it is.
    Unicode,
    /// Not JSON.
    Malformed,
}

impl ParseErrorKind {
    /// Returns how a verifier treats it.
    pub const fn class(self) -> ParseClass {
        match self {
            Self::TooLarge | Self::TooDeep | Self::NumberLimit => ParseClass::Limit,
            Self::ByteOrderMark
            | Self::Trailing
            | Self::DuplicateMember
            | Self::LoneSurrogate
            | Self::NotInteger
            | Self::IntegerRange
            | Self::MinusZero
            | Self::NotCanonical => ParseClass::Noncanonical,
            Self::Text(_) | Self::NonAsciiName => ParseClass::Unicode,
            Self::InvalidUtf8 | Self::UnexpectedEnd | Self::Unexpected => ParseClass::Malformed,
        }
    }
}

/// Reads one value.
///
/// # Errors
/// The first reason found, and where; equal bytes give an equal error.
pub fn parse(bytes: &[u8], profile: &Profile) -> Result<Value, ParseError> {
    if bytes.len() > profile.bytes_max {
        return Err(ParseError { offset: profile.bytes_max, kind: ParseErrorKind::TooLarge });
    }
    if bytes.starts_with("\u{feff}".as_bytes()) {
        return Err(ParseError { offset: 0, kind: ParseErrorKind::ByteOrderMark });
    }
    let text = core::str::from_utf8(bytes)
        .map_err(|error| ParseError { offset: error.valid_up_to(), kind: ParseErrorKind::InvalidUtf8 })?;
    let mut parser = Parser { text, bytes, at: 0, profile };
    parser.skip_space();
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.at < bytes.len() {
        return Err(parser.error(ParseErrorKind::Trailing));
    }
    Ok(value)
}

/// Reads one value and requires that the bytes are its canonical form: `bytes == JCS(parse(bytes))`.
///
/// # Errors
/// As [`parse`]; and [`ParseErrorKind::NotCanonical`] at the first byte that differs.
pub fn parse_canonical(bytes: &[u8], profile: &Profile) -> Result<Value, ParseError> {
    let value = parse(bytes, profile)?;
    let canonical = value.to_canonical_with_capacity(bytes.len());
    if canonical == bytes {
        return Ok(value);
    }
    let same = canonical.iter().zip(bytes).take_while(|(ours, theirs)| ours == theirs).count();
    Err(ParseError { offset: same, kind: ParseErrorKind::NotCanonical })
}

/// Says whether bytes are acceptable and in canonical form.
pub fn is_canonical(bytes: &[u8], profile: &Profile) -> bool {
    parse_canonical(bytes, profile).is_ok()
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    profile: &'a Profile,
}

impl<'a> Parser<'a> {
    fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError { offset: self.at, kind }
    }

    /// The error for a byte that does not belong here, or for none at all.
    fn unexpected(&self) -> ParseError {
        let at_end = self.at >= self.bytes.len();
        self.error(if at_end { ParseErrorKind::UnexpectedEnd } else { ParseErrorKind::Unexpected })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes one byte after optional space if it is the given one.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Reads a value that stands inside `depth` arrays and objects. Recursion is bounded by the profile.
    fn value(&mut self, depth: usize) -> Result<Value, ParseError> {
        match self.peek() {
            Some(b'{') => self.enter(depth).and_then(|depth| self.object(depth)),
            Some(b'[') => self.enter(depth).and_then(|depth| self.array(depth)),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.unexpected()),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, ParseError> {
        let same = self.rest().iter().zip(word.bytes()).take_while(|(found, byte)| **found == *byte).count();
        self.at += same;
        if same == word.len() { Ok(value) } else { Err(self.unexpected()) }
    }

    fn enter(&mut self, depth: usize) -> Result<usize, ParseError> {
        if depth >= self.profile.depth_max {
            return Err(self.error(ParseErrorKind::TooDeep));
        }
        self.at += 1;
        Ok(depth + 1)
    }

    fn array(&mut self, depth: usize) -> Result<Value, ParseError> {
        let mut elements = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            self.skip_space();
            elements.push(self.value(depth)?);
            if self.take(b']') {
                return Ok(Value::Array(elements));
            }
            if !self.take(b',') {
                return Err(self.unexpected());
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, ParseError> {
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Object(Object::new()));
        }
        loop {
            members.push(self.member(depth)?);
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.unexpected());
            }
        }
        let offset = self.at - 1;
        Object::from_unordered(members)
            .map(Value::Object)
            .ok_or(ParseError { offset, kind: ParseErrorKind::DuplicateMember })
    }

    fn member(&mut self, depth: usize) -> Result<(String, Value), ParseError> {
        self.skip_space();
        let offset = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        let name = self.string()?;
        if self.profile.strict && !name.is_ascii() {
            return Err(ParseError { offset, kind: ParseErrorKind::NonAsciiName });
        }
        if !self.take(b':') {
            return Err(self.unexpected());
        }
        self.skip_space();
        Ok((name, self.value(depth)?))
    }

    fn string(&mut self) -> Result<String, ParseError> {
        let offset = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            text.push_str(self.plain());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(self.unexpected()),
            }
        }
        self.at += 1;
        if self.profile.strict {
            check_clean(&text).map_err(|error| ParseError { offset, kind: ParseErrorKind::Text(error) })?;
        }
        Ok(text)
    }

    /// Takes text up to the next quote, backslash or control character.
    fn plain(&mut self) -> &'a str {
        let rest = self.rest();
        let stop = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
        let length = rest.iter().position(stop).unwrap_or(rest.len());
        // Both ends stand beside ASCII bytes or the end, so they are character boundaries.
        let plain = self.text.get(self.at..self.at + length).unwrap_or_default();
        self.at += length;
        plain
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let offset = self.at;
        self.at += 1;
        let c = match self.peek() {
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape(offset);
            }
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(c)
    }

    /// Reads what follows `\u`, and the second half of a surrogate pair.
    fn unicode_escape(&mut self, offset: usize) -> Result<char, ParseError> {
        let lone = ParseError { offset, kind: ParseErrorKind::LoneSurrogate };
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(lone);
        }
        if !self.rest().starts_with(b"\\u") {
            return Err(lone);
        }
        self.at += 2;
        let second = self.hex4()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone);
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(lone)
    }

    fn hex4(&mut self) -> Result<u32, ParseError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.unexpected())?;
            self.at += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Number, ParseError> {
        let offset = self.at;
        let rest = self.rest();
        let stop = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.iter().position(stop).unwrap_or(rest.len());
        let spelling = self.text.get(offset..offset + length).unwrap_or_default();
        let error = |kind| ParseError { offset, kind };
        let number = match (Number::parse(spelling), self.profile.strict) {
            (Err(NumberError::Syntax), _) => return Err(error(ParseErrorKind::Unexpected)),
            (number, true) => check_integer(spelling, number.ok()).map_err(error)?,
            (number, false) => number.map_err(|_| error(ParseErrorKind::NumberLimit))?,
        };
        self.at += length;
        Ok(number)
    }
}

/// Applies the artifact profile to a number of valid syntax; one over the limits of [`Number`] comes as `None`.
fn check_integer(spelling: &str, number: Option<Number>) -> Result<Number, ParseErrorKind> {
    if spelling.contains(['.', 'e', 'E']) {
        return Err(ParseErrorKind::NotInteger);
    }
    if spelling == "-0" {
        return Err(ParseErrorKind::MinusZero);
    }
    let in_range = |number: &Number| {
        number.as_i64().is_some_and(|int| (-ARTIFACT_INTEGER_MAX..=ARTIFACT_INTEGER_MAX).contains(&int))
    };
    number.filter(in_range).ok_or(ParseErrorKind::IntegerRange)
}
