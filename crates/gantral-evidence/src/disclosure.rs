//! Disclosures: what opens a commitment.
//!
//! An artifact holds only salted commitments. Whoever may know what was committed to receives a disclosure, one file
//! per commitment, named by it; deleting the file leaves everything else verifiable. Source: `spec/commitments.md`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_core::digest::{CommitmentLabel, Digest, Salt, commit};
use gantral_core::json::{self, DOCUMENT_BYTES_MAX, ParseError, Profile, Value, Writer};

/// The largest plaintext, in bytes: that of a document.
pub const PLAINTEXT_BYTES_MAX: usize = DOCUMENT_BYTES_MAX;
/// The largest file, in bytes: the plaintext in base64, and the other members.
pub const DISCLOSURE_BYTES_MAX: usize = PLAINTEXT_BYTES_MAX.div_ceil(3) * 4 + 256;

const DIRECTORY: &str = "disclosures/";
const SUFFIX: &str = ".json";

/// A plaintext with the salt and label under which it was committed to.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure {
    /// What the plaintext is.
    pub label: CommitmentLabel,
    /// The salt.
    pub salt: Salt,
    /// The exact bytes.
    pub plaintext: Vec<u8>,
}

/// Why bytes are not a disclosure. The bytes are at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DisclosureError {
    /// Not canonical JSON, or too large.
    #[error("disclosure is not acceptable JSON: {0}")]
    Json(#[from] ParseError),
    /// A member is missing or not what it must be.
    #[error("disclosure member `{0}` is missing or invalid")]
    Member(&'static str),
    /// A member that the format does not know.
    #[error("disclosure has an unknown member")]
    UnknownMember,
    /// A longer plaintext than [`PLAINTEXT_BYTES_MAX`].
    #[error("disclosed plaintext is over its limit")]
    Limit,
}

impl Disclosure {
    /// Returns the commitment that this opens.
    pub fn commitment(&self) -> Digest {
        commit(self.label, &self.salt, &self.plaintext)
    }

    /// Says whether this opens the commitment that an artifact holds under a label.
    pub fn opens(&self, label: CommitmentLabel, commitment: &Digest) -> bool {
        self.label == label && self.commitment() == *commitment
    }

    /// Returns the path of the disclosure of a commitment in a bundle: `disclosures/<commitment>.json`.
    pub fn path(commitment: &Digest) -> String {
        alloc::format!("{DIRECTORY}{commitment}{SUFFIX}")
    }

    /// Returns the commitment that the file at a path claims to open; `None` if the path is not of that form.
    pub fn commitment_of_path(path: &str) -> Option<Digest> {
        Digest::parse(path.strip_prefix(DIRECTORY)?.strip_suffix(SUFFIX)?).ok()
    }

    /// Reads a file. Only its canonical form is accepted: `{"label":…,"plaintext":base64,"salt":hex}`.
    ///
    /// # Errors
    /// What is wrong with the bytes; whether it opens anything is for [`Self::opens`] to say.
    pub fn parse(bytes: &[u8]) -> Result<Self, DisclosureError> {
        let value = json::parse_canonical(bytes, &Profile::ARTIFACT.with_bytes_max(DISCLOSURE_BYTES_MAX))?;
        let names = value.as_object().ok_or(DisclosureError::Member("disclosure"))?.names();
        if names.into_iter().any(|name| !["label", "plaintext", "salt"].contains(&name)) {
            return Err(DisclosureError::UnknownMember);
        }
        let text = |name| value.get(name).and_then(Value::as_str).ok_or(DisclosureError::Member(name));
        let label = CommitmentLabel::parse(text("label")?).ok_or(DisclosureError::Member("label"))?;
        let salt = Salt::parse(text("salt")?).map_err(|_| DisclosureError::Member("salt"))?;
        let plaintext =
            STANDARD.decode(text("plaintext")?).map_err(|_| DisclosureError::Member("plaintext"))?;
        if plaintext.len() > PLAINTEXT_BYTES_MAX {
            return Err(DisclosureError::Limit);
        }
        Ok(Self { label, salt, plaintext })
    }

    /// Returns the bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let plaintext = STANDARD.encode(&self.plaintext);
        Writer::object(plaintext.len() + 256, |out| {
            out.str("label", self.label.as_str())
                .str("plaintext", &plaintext)
                .hex("salt", self.salt.as_bytes());
        })
    }
}

/// Shows the label only: the rest is what commitments exist to hide.
impl fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disclosure({}, {} bytes)", self.label.as_str(), self.plaintext.len())
    }
}

#[cfg(test)]
mod tests;
