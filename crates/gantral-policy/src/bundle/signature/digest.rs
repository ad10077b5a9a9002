//! Digests of files as OPA signs them.
//!
//! A module counts with its bytes. Data and the manifest count with what they say: members in the order of the bytes of their names, texts
//! as Go writes them, numbers as they are spelt, and no space. So the digest is the same for every layout of the same JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::{Algorithm, Context, SHA224, SHA256, SHA384, SHA512, SHA512_256};
use gantral_core::json::{self, Profile};
use serde_json::value::RawValue;

use crate::bundle::{FILE_BYTES_MAX, MANIFEST};

/// A digest that a signature may use. OPA signs with SHA-256 and knows more, of which two can be forged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hash(&'static Algorithm);

impl Hash {
    /// Finds a digest by its name in a signature.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "SHA-224" => Some(Self(&SHA224)),
            "SHA-256" => Some(Self(&SHA256)),
            "SHA-384" => Some(Self(&SHA384)),
            "SHA-512" => Some(Self(&SHA512)),
            "SHA-512-256" => Some(Self(&SHA512_256)),
            _ => None,
        }
    }
}

/// Why a file of data has no digest.
#[derive(Debug)]
pub(super) struct DigestError {
    pub(super) reason: String,
}

/// Returns the digest of a file, in hexadecimal.
pub(super) fn of_file(hash: Hash, path: &str, content: &[u8]) -> Result<String, DigestError> {
    let mut context = Context::new(hash.0);
    if is_structured(path) {
        let mut text = String::new();
        // The strict reader goes first: it bounds the depth, and refuses members that stand twice, which readers resolve differently.
        json::parse(content, &Profile::DOCUMENT.with_bytes_max(FILE_BYTES_MAX))
            .map_err(|error| DigestError { reason: error.to_string() })?;
        let raw: &RawValue = serde_json::from_slice(content).map_err(unreadable)?;
        write(raw, &mut text)?;
        context.update(text.as_bytes());
    } else {
        context.update(content);
    }
    let mut digest = String::new();
    for byte in context.finish().as_ref() {
        // Writing to a `String` cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    Ok(digest)
}

fn is_structured(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("data.json" | MANIFEST))
}

/// Writes a value in the one form that is digested. Each level of nesting reads its text once more, and levels are few.
fn write(raw: &RawValue, out: &mut String) -> Result<(), DigestError> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            // Ordered by the bytes of the names, as Go orders texts.
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(unreadable)?;
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(name, out);
                out.push(':');
                write(value, out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(unreadable)?;
            out.push('[');
            for (index, value) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(value, out)?;
            }
            out.push(']');
        }
        Some(b'"') => {
            let string: String = serde_json::from_str(text).map_err(unreadable)?;
            write_text(&string, out);
        }
        // Numbers as they are spelt, `true`, `false`, `null`.
        _ => out.push_str(text),
    }
    Ok(())
}

/// Writes a text as Go's `encoding/json` does without escaping for HTML.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn unreadable(error: serde_json::Error) -> DigestError {
    DigestError { reason: error.to_string() }
}
