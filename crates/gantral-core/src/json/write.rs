//! Canonical writing (RFC 8785), from values and member by member.

use alloc::vec::Vec;

use super::number::{write_i64, write_u64};
use super::object::compare_names;
use super::{Number, Value};

/// Writes canonical JSON member by member, without building a [`Value`]: the way artifacts are sealed.
#[derive(Debug)]
pub struct Writer;

impl Writer {
    /// Writes one object into a buffer that starts with room for `capacity` bytes.
    ///
    /// # Panics
    /// If members are not written in strictly ascending order: bytes that are not canonical must never be signed.
    pub fn object(capacity: usize, members: impl FnOnce(&mut ObjectWriter<'_>)) -> Vec<u8> {
        let mut out = Vec::with_capacity(capacity);
        write_object(&mut out, members);
        out
    }
}

/// Writes the members of one object, in strictly ascending order of their names.
#[derive(Debug)]
pub struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    last: Option<&'static str>,
}

impl ObjectWriter<'_> {
    fn name(&mut self, name: &'static str) -> &mut Vec<u8> {
        if let Some(last) = self.last {
            assert!(compare_names(last, name).is_lt(), "member `{name}` written after `{last}`");
            self.out.push(b',');
        }
        self.last = Some(name);
        write_string(name, self.out);
        self.out.push(b':');
        self.out
    }

    /// Writes `null`.
    pub fn null(&mut self, name: &'static str) -> &mut Self {
        self.name(name).extend_from_slice(b"null");
        self
    }

    /// Writes a truth value.
    pub fn bool(&mut self, name: &'static str, value: bool) -> &mut Self {
        write_bool(value, self.name(name));
        self
    }

    /// Writes an integer. One beyond 2^53 - 1 does not belong into an artifact.
    pub fn u64(&mut self, name: &'static str, value: u64) -> &mut Self {
        write_u64(value, self.name(name));
        self
    }

    /// Writes a signed integer.
    pub fn i64(&mut self, name: &'static str, value: i64) -> &mut Self {
        write_i64(value, self.name(name));
        self
    }

    /// Writes an exact number.
    pub fn number(&mut self, name: &'static str, value: &Number) -> &mut Self {
        value.write(self.name(name));
        self
    }

    /// Writes a text.
    pub fn str(&mut self, name: &'static str, value: &str) -> &mut Self {
        write_string(value, self.name(name));
        self
    }

    /// Writes a text, or `null`.
    pub fn opt_str(&mut self, name: &'static str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.str(name, value),
            None => self.null(name),
        }
    }

    /// Writes bytes as lower-case hexadecimal.
    pub fn hex(&mut self, name: &'static str, value: &[u8]) -> &mut Self {
        write_hex(value, self.name(name));
        self
    }

    /// Writes bytes as lower-case hexadecimal, or `null`.
    pub fn opt_hex(&mut self, name: &'static str, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(value) => self.hex(name, value),
            None => self.null(name),
        }
    }

    /// Writes an object.
    pub fn object(&mut self, name: &'static str, members: impl FnOnce(&mut ObjectWriter<'_>)) -> &mut Self {
        write_object(self.name(name), members);
        self
    }

    /// Writes an object of what is there, or `null`.
    pub fn opt_object<T>(
        &mut self,
        name: &'static str,
        value: Option<T>,
        members: impl FnOnce(&mut ObjectWriter<'_>, T),
    ) -> &mut Self {
        match value {
            Some(value) => self.object(name, |out| members(out, value)),
            None => self.null(name),
        }
    }

    /// Writes an array.
    pub fn array(&mut self, name: &'static str, elements: impl FnOnce(&mut ArrayWriter<'_>)) -> &mut Self {
        write_array(self.name(name), elements);
        self
    }

    /// Writes a value.
    pub fn value(&mut self, name: &'static str, value: &Value) -> &mut Self {
        write_value(value, self.name(name));
        self
    }
}

/// Writes the elements of one array.
#[derive(Debug)]
pub struct ArrayWriter<'a> {
    out: &'a mut Vec<u8>,
    is_first: bool,
}

impl ArrayWriter<'_> {
    fn next(&mut self) -> &mut Vec<u8> {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        self.out
    }

    /// Writes an integer.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        write_u64(value, self.next());
        self
    }

    /// Writes a text.
    pub fn str(&mut self, value: &str) -> &mut Self {
        write_string(value, self.next());
        self
    }

    /// Writes bytes as lower-case hexadecimal.
    pub fn hex(&mut self, value: &[u8]) -> &mut Self {
        write_hex(value, self.next());
        self
    }

    /// Writes an object.
    pub fn object(&mut self, members: impl FnOnce(&mut ObjectWriter<'_>)) -> &mut Self {
        write_object(self.next(), members);
        self
    }

    /// Writes an array.
    pub fn array(&mut self, elements: impl FnOnce(&mut ArrayWriter<'_>)) -> &mut Self {
        write_array(self.next(), elements);
        self
    }

    /// Writes a value.
    pub fn value(&mut self, value: &Value) -> &mut Self {
        write_value(value, self.next());
        self
    }
}

fn write_object(out: &mut Vec<u8>, members: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.push(b'{');
    members(&mut ObjectWriter { out, last: None });
    out.push(b'}');
}

fn write_array(out: &mut Vec<u8>, elements: impl FnOnce(&mut ArrayWriter<'_>)) {
    out.push(b'[');
    elements(&mut ArrayWriter { out, is_first: true });
    out.push(b']');
}

/// Appends the canonical form of a value. Recurses as deep as the value, which its reader has limited.
pub(super) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => write_bool(*value, out),
        Value::Number(number) => number.write(out),
        Value::String(text) => write_string(text, out),
        Value::Array(elements) => {
            out.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(element, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write_value(member, out);
            }
            out.push(b'}');
        }
    }
}

fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex_digits(byte: u8) -> [u8; 2] {
    let digit = |half: u8| HEX.get(usize::from(half)).copied().unwrap_or_default();
    [digit(byte >> 4), digit(byte & 15)]
}

fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in bytes {
        out.extend_from_slice(&hex_digits(*byte));
    }
    out.push(b'"');
}

/// Appends a quoted text with the few escapes of RFC 8785 §3.2.2.2.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((clean, byte, after)) = split_at_escape(rest) {
        out.extend_from_slice(clean);
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&hex_digits(control));
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Returns what stands before the first byte that needs an escape, that byte, and what follows.
fn split_at_escape(bytes: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let at = bytes.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))?;
    let (clean, rest) = bytes.split_at_checked(at)?;
    let (byte, after) = rest.split_first()?;
    Some((clean, *byte, after))
}
