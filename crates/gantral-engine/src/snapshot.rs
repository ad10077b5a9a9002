//! Plaintexts beside the chain: written with their commitment, read back by it, erasable.

use std::fmt;

use gantral_core::digest::{CommitmentLabel, Digest, Salt, commit};
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::json::{Profile, Value, parse};
use gantral_store::{Effect, SnapshotContent};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::fresh::Fresh;

/// Commits to a plaintext with a fresh salt and keeps it; returns the commitment.
pub(crate) fn keep(
    effects: &mut Vec<Effect>,
    label: CommitmentLabel,
    fresh: &mut Fresh,
    plaintext: Vec<u8>,
) -> Digest {
    let salt = fresh.salt();
    let commitment = commit(label, &salt, &plaintext);
    effects.push(Effect::PutSnapshot { commitment, label, salt, plaintext });
    commitment
}

/// A plaintext with its salt.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// The salt.
    pub salt: Salt,
    /// The bytes.
    pub plaintext: Vec<u8>,
}

/// Never shows the bytes, nor the salt that keeps them from being guessed.
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("bytes", &self.plaintext.len()).finish_non_exhaustive()
    }
}

impl Opened {
    /// Returns what these effects keep under a label, if they keep it.
    pub(crate) fn of(effects: &[Effect], wanted: CommitmentLabel) -> Option<Self> {
        effects.iter().find_map(|effect| match effect {
            Effect::PutSnapshot { label, salt, plaintext, .. } if *label == wanted => {
                Some(Self { salt: *salt, plaintext: plaintext.clone() })
            }
            _ => None,
        })
    }

    /// Tells whether a commitment commits to it.
    pub(crate) fn is(&self, label: CommitmentLabel, commitment: Digest) -> bool {
        commit(label, &self.salt, &self.plaintext) == commitment
    }

    /// Reads the plaintext as a document.
    ///
    /// # Errors
    /// `Damaged`: only documents are kept.
    pub fn document(&self) -> Result<Value, EngineError> {
        parse(&self.plaintext, &Profile::DOCUMENT)
            .map_err(|error| EngineError::Damaged { what: error.to_string() })
    }
}

impl Engine {
    /// Returns what a commitment commits to; `None` when it was erased.
    ///
    /// # Errors
    /// `Damaged` when the store's bytes do not match the commitment; the store's.
    pub async fn opened(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        label: CommitmentLabel,
        commitment: Digest,
    ) -> Result<Option<Opened>, EngineError> {
        let Some(snapshot) = self.0.store.snapshot(tenant, id, commitment).await? else { return Ok(None) };
        match snapshot.content {
            SnapshotContent::Kept { salt, plaintext } => {
                let opened = Opened { salt, plaintext };
                if opened.is(label, commitment) {
                    Ok(Some(opened))
                } else {
                    let what = format!("snapshot {commitment} does not match its commitment");
                    Err(EngineError::Damaged { what })
                }
            }
            SnapshotContent::Erased { .. } => Ok(None),
        }
    }
}
