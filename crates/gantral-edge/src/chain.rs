//! Believing a chain: signed by pinned keys, linked, and without a broken rule. Pure: no clock, no network.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use gantral_api::wire::Document;
use gantral_core::check::Fault;
use gantral_core::digest::Digest;
use gantral_core::event::{Consumed, Event, Launch};
use gantral_core::ids::GrantId;
use gantral_core::instance::Instance;
use gantral_core::table::semantics_digest;
use gantral_core::time::UnixMillis;
use gantral_evidence::dsse::{Envelope, EnvelopeError};
use gantral_evidence::keyring::Keyring;
use gantral_evidence::statement::{Statement, StatementError, artifact_hash};
use gantral_evidence::trust::{KeyRole, Trust, TrustedKey};

/// The rules of this version: the digest is of all of their text.
static SEMANTICS: LazyLock<Digest> = LazyLock::new(semantics_digest);

/// Why a chain is not believed. The server, or whoever is between, is at fault; nothing may be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No chain.
    #[error("the chain is empty")]
    Empty,
    /// Not an envelope.
    #[error("artifact {sequence}: {error}")]
    Envelope {
        /// The place.
        sequence: usize,
        /// What is wrong.
        error: EnvelopeError,
    },
    /// No pinned issuer key signed it.
    #[error("artifact {sequence} is not signed by a pinned key of an issuer for tenant and log")]
    Untrusted {
        /// The place.
        sequence: usize,
    },
    /// Signed, and not a statement of this version.
    #[error("artifact {sequence}: {error}")]
    Statement {
        /// The place.
        sequence: usize,
        /// What is wrong.
        error: StatementError,
    },
    /// The links, the order or what never changes along a chain.
    #[error("artifact {sequence} does not continue the chain: another {what}")]
    Link {
        /// The place.
        sequence: usize,
        /// What differs.
        what: &'static str,
    },
    /// The event is against the rules.
    #[error("artifact {sequence} breaks rules: {}", faults.iter().map(|fault| fault.as_str()).collect::<Vec<_>>().join(", "))]
    Rules {
        /// The place.
        sequence: usize,
        /// Which rules.
        faults: Vec<Fault>,
    },
}

/// A chain that is good.
pub(crate) struct Folded {
    /// The instance.
    pub instance: Instance,
    /// The newest assignment.
    pub launch: Option<Launch>,
    /// The newest consumption.
    pub consumed: Option<Consumed>,
    /// Until when the action of each consumed grant must have started.
    pub act_by: BTreeMap<GrantId, UnixMillis>,
    /// The newest event that was only observed.
    pub observed: Option<Digest>,
}

/// Verifies a chain from its beginning and folds it.
///
/// # Errors
/// The first thing that is wrong; the same for the same bytes.
pub(crate) fn fold(chain: &[Document], keys: &Keyring<'_>) -> Result<Folded, ChainError> {
    let mut folded: Option<Instance> = None;
    let (mut launched, mut consumed, mut observed) = (None, None, None);
    let mut act_by = BTreeMap::new();
    let mut previous = None;
    for (sequence, document) in chain.iter().enumerate() {
        let Opened { hash, statement, by_ended } = open(sequence, document, keys)?;
        // Whoever signs the newest artifact vouches for all before it. A key that has ended vouches for nothing new.
        if by_ended && sequence + 1 == chain.len() {
            return Err(ChainError::Untrusted { sequence });
        }
        let link = |what| ChainError::Link { sequence, what };
        if u64::try_from(sequence) != Ok(statement.sequence) {
            return Err(link("place"));
        }
        if statement.previous != previous {
            return Err(link("predecessor"));
        }
        if statement.semantics != *SEMANTICS {
            return Err(link("set of rules"));
        }
        let before = folded.as_ref().map(Instance::state);
        let rules = |faults| ChainError::Rules { sequence, faults };
        let instance = match folded.take() {
            None => Instance::begin(statement.identity, &statement.entry).map_err(rules)?,
            Some(instance) if instance.identity != statement.identity => {
                return Err(link("instance or workflow"));
            }
            Some(mut instance) => {
                instance.apply(&statement.entry, hash).map_err(rules)?;
                instance
            }
        };
        if statement.from_state != before || statement.state != instance.state() {
            return Err(rules(vec![Fault::State]));
        }
        match statement.entry.event {
            Event::AttemptAssigned(launch) | Event::Resumed(launch) => launched = Some(launch),
            Event::Consumed(detail) => {
                act_by.insert(detail.grant, detail.act_by);
                consumed = Some(detail);
            }
            Event::Observed(detail) => observed = Some(detail.action),
            _ => {}
        }
        (folded, previous) = (Some(instance), Some(hash));
    }
    let instance = folded.ok_or(ChainError::Empty)?;
    Ok(Folded { instance, launch: launched, consumed, act_by, observed })
}

/// An artifact whose signature is good.
struct Opened {
    hash: Digest,
    statement: Statement,
    /// Whether the key has an end in the log.
    by_ended: bool,
}

/// Returns the pinned keys, and what they delegated; a delegation by a key that proves nothing counts for nothing.
pub(crate) fn keyring<'a>(trust: &'a Trust, delegations: &[Document]) -> Keyring<'a> {
    let mut keys = Keyring::new(trust);
    for document in delegations {
        keys.add(document.as_str().as_bytes(), |_, delegator| is_usable(delegator));
    }
    keys
}

fn open(sequence: usize, document: &Document, keys: &Keyring<'_>) -> Result<Opened, ChainError> {
    let envelope = Envelope::parse(document.as_str().as_bytes());
    let envelope = envelope.map_err(|error| ChainError::Envelope { sequence, error })?;
    let message = envelope.signed_bytes();
    let signer = envelope.signatures.iter().find_map(|signature| {
        let known = keys.known(&signature.key_id)?;
        let good = is_usable(known.pinned) && known.key.verify_strict(&message, &signature.signature).is_ok();
        good.then_some(known)
    });
    let signer = signer.ok_or(ChainError::Untrusted { sequence })?;
    let statement = Statement::decode(&envelope.payload);
    let statement = statement.map_err(|error| ChainError::Statement { sequence, error })?;
    let (tenant, origin) = (&statement.identity.tenant, &statement.identity.origin);
    if signer.permits(tenant, origin, statement.entry.at).is_err() {
        return Err(ChainError::Untrusted { sequence });
    }
    let by_ended = signer.pinned.valid_until.is_some();
    Ok(Opened { hash: artifact_hash(&envelope.payload), statement, by_ended })
}

/// A key that is compromised proves nothing here: no place in the log is known.
fn is_usable(key: &TrustedKey) -> bool {
    key.role == KeyRole::Issuer && key.compromised_from.is_none()
}
