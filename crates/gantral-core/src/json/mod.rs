//! Strict JSON: exact numbers, no duplicate members, one canonical form.
//!
//! Two profiles say what may be read. *Artifacts* are what gets signed: small, integers only, clean text. *Documents*
//! (actions, policy inputs, snapshots) are any JSON, with numbers compared as exact decimals, because a double would
//! merge big integers. The canonical form is RFC 8785; where a number has more digits than a double holds, its exact
//! digits are laid out by the same rules. Source: `spec/json.md`.
//!
//! Not here: schemas. Readers take a [`Value`] apart themselves and say what they miss.

mod number;
mod object;
mod parse;
mod pointer;
pub mod text;
mod value;
mod write;

pub use number::{EXPONENT_MAX, NUMBER_BYTES_MAX, Number, NumberError};
pub use object::Object;
pub use parse::{ParseClass, ParseError, ParseErrorKind, is_canonical, parse, parse_canonical};
pub use pointer::{POINTER_BYTES_MAX, POINTER_STEPS_MAX, Pointer};
pub use value::Value;
pub use write::{ArrayWriter, ObjectWriter, Writer};

/// The largest payload of an artifact: 64 KiB; typical ones stay under 3 KiB.
pub const ARTIFACT_BYTES_MAX: usize = 64 << 10;
/// The deepest nesting of an artifact, counted in arrays and objects.
pub const ARTIFACT_DEPTH_MAX: usize = 16;
/// The largest document: 1 MiB, which is also the largest request body.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// The deepest nesting of a document; bounds the recursion of reader and writer.
pub const DOCUMENT_DEPTH_MAX: usize = 64;
/// The largest integer of an artifact, 2^53 - 1: the last one that every JSON implementation agrees on.
pub const ARTIFACT_INTEGER_MAX: i64 = (1 << 53) - 1;

/// What a reader accepts. Both profiles refuse duplicate members, byte order marks, lone surrogates, invalid UTF-8 and
/// anything after the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    bytes_max: usize,
    depth_max: usize,
    strict: bool,
}

impl Profile {
    /// What is signed: integers within 2^53 - 1, no `-0`, ASCII member names, clean NFC text (see [`text`]).
    pub const ARTIFACT: Self =
        Self { bytes_max: ARTIFACT_BYTES_MAX, depth_max: ARTIFACT_DEPTH_MAX, strict: true };
    /// What people and programs send: any JSON within the limits.
    pub const DOCUMENT: Self =
        Self { bytes_max: DOCUMENT_BYTES_MAX, depth_max: DOCUMENT_DEPTH_MAX, strict: false };

    /// Returns the same profile with another size limit, in bytes; for listings that outgrow a document.
    #[must_use]
    pub const fn with_bytes_max(self, bytes_max: usize) -> Self {
        Self { bytes_max, ..self }
    }
}

#[cfg(test)]
mod tests;
