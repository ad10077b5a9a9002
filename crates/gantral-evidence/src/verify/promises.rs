//! What a signed artifact promises to be in the log, for whoever reads the whole of it: a monitor.
//!
//! Source: `spec/verification.md` V52, `spec/log.md` §9.

use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::ids::{LogOrigin, instance_tag};

use super::finding::Findings;
use super::keyring::Keyring;
use super::receipts::authentic;
use crate::container::Files;
use crate::dsse::Envelope;
use crate::statement::artifact_hash;
use crate::trust::Trust;

/// That an artifact is, or will be, in a log; by an issuer that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// The log.
    pub origin: LogOrigin,
    /// The instance, as its leaves name it.
    pub tag: Digest,
    /// The place in the chain, from 0.
    pub sequence: u64,
    /// The hash of the artifact.
    pub hash: Digest,
    /// The instant that the artifact claims, in milliseconds since 1970.
    pub issued_at: u64,
    /// The keys that have signed and that a leaf may name, as a leaf names them.
    pub issuers: Vec<[u8; 8]>,
    /// Whether its key is good in a part of the log only, so that it can also have been signed outside.
    pub windowed: bool,
}

/// Tells promises of issuers that are believed from the words of anybody.
#[derive(Debug)]
pub struct PromiseReader<'a>(Keyring<'a>);

impl<'a> PromiseReader<'a> {
    /// Believes the issuers of a trust file, and what they delegated under `keys/` of these files.
    pub fn new(trust: &'a Trust, delegations: &Files<'_>) -> Self {
        Self(Keyring::of(delegations, Some(trust)))
    }

    /// Reads what an envelope promises.
    ///
    /// # Errors
    /// Why it counts for nothing (V52), in a sentence.
    pub fn read(&self, envelope: &Envelope) -> Result<Promise, String> {
        let (statement, signer, others) = authentic(envelope, &self.0, &mut Findings::new())?;
        let signers = core::iter::once(&signer).chain(&others);
        Ok(Promise {
            tag: instance_tag(&statement.identity.tenant, &statement.identity.instance),
            sequence: statement.sequence,
            hash: artifact_hash(&envelope.payload),
            issued_at: statement.entry.at.get(),
            issuers: signers.map(|signer| signer.id.short()).collect(),
            windowed: signer.window.is_bounded(),
            origin: statement.identity.origin,
        })
    }
}
