//! Signed notes and their keys: a text, and who signed it.
//!
//! Two kinds of signature are known: Ed25519 over the text, by which a log signs its checkpoint, and the timestamped
//! cosignature of a witness. Others are left alone. Source: C2SP `signed-note` and `tlog-cosignature`, `spec/log.md` §3.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_core::digest::parse_hex;
use sha2::{Digest as _, Sha256};

use crate::keys::{KeyError, PublicKey};

/// The largest note, in bytes.
pub const NOTE_BYTES_MAX: usize = 32 << 10;
/// The most signatures of one note.
pub const SIGNATURES_MAX: usize = 64;
/// The longest name of a key, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// What a line of a signature begins with: an em dash and a space.
const SIGNATURE_START: &str = "\u{2014} ";

/// A text and its signatures, none of them checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    /// What is signed, with its last newline.
    pub text: &'a str,
    /// One to [`SIGNATURES_MAX`], in the order of the note.
    pub signatures: Vec<NoteSignature<'a>>,
}

/// One line of a note: which key is said to have signed, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature<'a> {
    /// The name of the key.
    pub name: &'a str,
    /// The short id of the key.
    pub key_id: [u8; 4],
    /// What follows the id: its form depends on the kind of the key.
    pub signature: Vec<u8>,
}

/// Why bytes are not a note. The bytes are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than [`NOTE_BYTES_MAX`], or more than [`SIGNATURES_MAX`] signatures.
    #[error("note is over its limit")]
    Limit,
    /// Not UTF-8, or a control character beside newline.
    #[error("note is not clean text")]
    Text,
    /// No empty line between a text and at least one signature, or no newline at the end.
    #[error("note has no signatures below its text")]
    Shape,
    /// A line of a signature that is none.
    #[error("a signature of the note cannot be read")]
    Signature,
}

impl<'a> Note<'a> {
    /// Reads a note.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Limit);
        }
        let note = core::str::from_utf8(bytes).map_err(|_| NoteError::Text)?;
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::Text);
        }
        // The last empty line parts them, because the text may have empty lines of its own.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Shape)?;
        let text = note.get(..=text.len()).ok_or(NoteError::Shape)?;
        let signatures = parse_signatures(signatures)?;
        if signatures.is_empty() { Err(NoteError::Shape) } else { Ok(Self { text, signatures }) }
    }
}

/// Reads lines of signatures, as they stand below a text and in the answer of a witness.
///
/// # Errors
/// [`NoteError`] when a line is no signature, is not ended by a newline, or there are more than [`SIGNATURES_MAX`].
pub fn parse_signatures(lines: &str) -> Result<Vec<NoteSignature<'_>>, NoteError> {
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let lines = lines.strip_suffix('\n').ok_or(NoteError::Shape)?;
    if lines.split('\n').count() > SIGNATURES_MAX {
        return Err(NoteError::Limit);
    }
    lines.split('\n').map(|line| parse_signature(line).ok_or(NoteError::Signature)).collect()
}

fn parse_signature(line: &str) -> Option<NoteSignature<'_>> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_START)?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (key_id, signature) = bytes.split_first_chunk::<4>()?;
    let whole = is_key_name(name) && !signature.is_empty();
    whole.then(|| NoteSignature { name, key_id: *key_id, signature: signature.to_vec() })
}

/// Returns one line of a signature, with its newline.
pub fn signature_line(key: &NoteKey, signature: &[u8]) -> String {
    let bytes: Vec<u8> = key.key_id.iter().chain(signature).copied().collect();
    format!("{SIGNATURE_START}{} {}\n", key.name, STANDARD.encode(bytes))
}

/// What a key signs, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKeyKind {
    /// The text of the note: how a log signs its checkpoint.
    Text = 1,
    /// A time and the text: how a witness cosigns.
    Cosignature = 4,
}

/// A key under a name, as logs and witnesses are known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    kind: NoteKeyKind,
    key: PublicKey,
    key_id: [u8; 4],
}

/// Why a text is not the key of a log or witness. The text is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteKeyError {
    /// Not `NAME+ID+KEY`.
    #[error("a key is written as its name, eight hexadecimal digits and base64, joined by `+`")]
    Syntax,
    /// An empty name, one with a space or a plus, or longer than [`NAME_BYTES_MAX`].
    #[error("a name of a key is not empty and has no spaces and no plus")]
    Name,
    /// Another kind than those of [`NoteKeyKind`].
    #[error("unknown kind of key: {0}")]
    Kind(u8),
    /// The key itself cannot be used.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The id is not that of the key.
    #[error("the id is not that of the key")]
    Id,
}

/// What a note says about one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// No signature claims to be by this key.
    No,
    /// The key signed this text. A cosignature says when, in seconds since 1970.
    Good {
        /// The time of a cosignature.
        time: Option<u64>,
    },
    /// Signatures claim to be by this key, and none verifies.
    Bad,
}

impl NoteKey {
    /// Names a key.
    pub fn new(name: &str, kind: NoteKeyKind, key: PublicKey) -> Result<Self, NoteKeyError> {
        if !is_key_name(name) {
            return Err(NoteKeyError::Name);
        }
        let mut hash = Sha256::new();
        hash.update(name);
        hash.update([b'\n', kind as u8]);
        hash.update(key.as_bytes());
        let [a, b, c, d, ..]: [u8; 32] = hash.finalize().into();
        Ok(Self { name: name.to_owned(), kind, key, key_id: [a, b, c, d] })
    }

    /// Says whether a key can have this name.
    pub fn is_name(name: &str) -> bool {
        is_key_name(name)
    }

    /// Reads `NAME+ID+KEY`.
    pub fn parse(text: &str) -> Result<Self, NoteKeyError> {
        let (name, rest) = text.split_once('+').ok_or(NoteKeyError::Syntax)?;
        let (key_id, encoded) = rest.split_once('+').ok_or(NoteKeyError::Syntax)?;
        let key_id: [u8; 4] = parse_hex(key_id).ok_or(NoteKeyError::Syntax)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| NoteKeyError::Syntax)?;
        let (kind, key) = bytes.split_first().ok_or(NoteKeyError::Syntax)?;
        let kind = [NoteKeyKind::Text, NoteKeyKind::Cosignature]
            .into_iter()
            .find(|known| *known as u8 == *kind)
            .ok_or(NoteKeyError::Kind(*kind))?;
        let key: &[u8; 32] = key.try_into().map_err(|_| NoteKeyError::Syntax)?;
        let parsed = Self::new(name, kind, PublicKey::from_bytes(key)?)?;
        if parsed.key_id == key_id { Ok(parsed) } else { Err(NoteKeyError::Id) }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the key signs.
    pub const fn kind(&self) -> NoteKeyKind {
        self.kind
    }

    /// Returns the key itself.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Says whether this key signed the text of a note. One good signature is enough: a line that does not verify can be
    /// added by anybody, and must not take away what the key did sign.
    pub fn check(&self, note: &Note<'_>) -> Signed {
        let own =
            note.signatures.iter().filter(|entry| entry.name == self.name && entry.key_id == self.key_id);
        let mut answer = Signed::No;
        for entry in own {
            match self.verify(note.text, &entry.signature) {
                Some(time) => return Signed::Good { time },
                None => answer = Signed::Bad,
            }
        }
        answer
    }

    /// Returns the time, where there is one, if the signature verifies.
    fn verify(&self, text: &str, signature: &[u8]) -> Option<Option<u64>> {
        match self.kind {
            NoteKeyKind::Text => {
                self.key.verify_strict(text.as_bytes(), signature).ok()?;
                Some(None)
            }
            NoteKeyKind::Cosignature => {
                let (time, signature) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                self.key.verify_strict(cosigned(time, text).as_bytes(), signature).ok()?;
                Some(Some(time))
            }
        }
    }
}

/// Writes `NAME+ID+KEY`.
impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = Vec::with_capacity(33);
        key.push(self.kind as u8);
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex::encode(self.key_id), STANDARD.encode(key))
    }
}

/// Returns what a witness signs: the time, in seconds since 1970, and the text of the note.
pub fn cosigned(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Returns a witness's signature as it stands in a note: the time, and what signing [`cosigned`] gave.
pub fn cosignature(time: u64, signature: &[u8]) -> Vec<u8> {
    time.to_be_bytes().iter().chain(signature).copied().collect()
}

fn is_key_name(name: &str) -> bool {
    let clean = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(clean)
}

#[cfg(test)]
mod tests;
