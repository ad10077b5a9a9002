//! One instance in memory: its fold, its head, and what the store's index needs to know.
//!
//! A slot serialises the commands of one instance in this process; the store's compare-and-swap serialises them over
//! all processes. A slot that may be behind is emptied, never trusted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantral_core::event::{Entry, Event};
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::instance::Instance;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::keys::{KeyId, PublicKey};
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_keys::Delegations;
use gantral_store::{CHAIN_PAGE_MAX, Head, InstanceRow, SealedArtifact, Store};

use crate::error::EngineError;

/// How many instances are kept folded; beyond it, those that nobody holds are dropped.
const SLOTS_MAX: usize = 20_000;

/// One instance, folded up to its head.
pub(crate) struct Loaded {
    pub instance: Instance,
    pub head: Head,
    pub workflow: Arc<Workflow>,
    pub row: InstanceRow,
    pub waiting_since: Option<UnixMillis>,
    /// The newest tree of the log that an artifact of the chain names.
    pub anchor: Option<TreeHead>,
}

impl Loaded {
    /// Returns the same with what this commit has decided so far applied: to decide what follows, never to write from.
    pub(crate) fn with(&self, instance: Instance) -> Self {
        Self {
            instance,
            head: self.head,
            workflow: Arc::clone(&self.workflow),
            row: self.row.clone(),
            waiting_since: self.waiting_since,
            anchor: self.anchor,
        }
    }
}

pub(crate) type Slot = Arc<tokio::sync::Mutex<Option<Loaded>>>;

/// The instances that this process has folded.
#[derive(Default)]
pub(crate) struct Slots(Mutex<HashMap<(TenantId, InstanceId), Slot>>);

impl Slots {
    pub(crate) fn slot(&self, tenant: &TenantId, id: InstanceId) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= SLOTS_MAX {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry((tenant.clone(), id)).or_default())
    }
}

/// Reads one stored artifact back.
pub(crate) fn open(artifact: &SealedArtifact) -> Result<Statement, EngineError> {
    read(artifact, &envelope(artifact)?)
}

/// Reads the statement of an envelope whose hash is known to be right.
pub(crate) fn statement(envelope: &[u8]) -> Result<Statement, EngineError> {
    let damaged = |what: String| EngineError::Damaged { what };
    let envelope = Envelope::parse(envelope).map_err(|error| damaged(error.to_string()))?;
    Statement::decode(&envelope.payload).map_err(|error| damaged(error.to_string()))
}

fn envelope(artifact: &SealedArtifact) -> Result<Envelope, EngineError> {
    Envelope::parse(&artifact.envelope).map_err(|error| EngineError::Damaged { what: error.to_string() })
}

fn read(artifact: &SealedArtifact, envelope: &Envelope) -> Result<Statement, EngineError> {
    if artifact_hash(&envelope.payload) != artifact.hash {
        let what = format!("artifact {} has another hash", artifact.sequence);
        return Err(EngineError::Damaged { what });
    }
    Statement::decode(&envelope.payload).map_err(|error| EngineError::Damaged { what: error.to_string() })
}

/// Returns the keys that an envelope names.
pub(crate) fn signers(envelope: &[u8]) -> Result<Vec<KeyId>, EngineError> {
    let envelope =
        Envelope::parse(envelope).map_err(|error| EngineError::Damaged { what: error.to_string() })?;
    Ok(envelope.signatures.iter().filter_map(|entry| KeyId::parse(&entry.key_id).ok()).collect())
}

/// The keys whose signatures count in a store.
pub(crate) struct Keyring<'a> {
    /// The current issuer key and those before it.
    pub own: Vec<&'a PublicKey>,
    /// What they delegated.
    pub delegations: Option<&'a Delegations>,
}

/// Tells whether one of these keys signed an envelope, or a delegate that was permitted to.
pub(crate) fn is_signed(envelope: &Envelope, keys: &Keyring<'_>) -> bool {
    let message = envelope.signed_bytes();
    envelope.signatures.iter().any(|entry| {
        let named = keys.own.iter().find(|key| key.id().to_string() == entry.key_id);
        if let Some(key) = named {
            return key.verify_strict(&message, &entry.signature).is_ok();
        }
        let delegation = keys.delegations.and_then(|kept| kept.find(&KeyId::parse(&entry.key_id).ok()?));
        delegation.is_some_and(|kept| kept.is_signed(&message, &entry.signature))
    })
}

/// Reads a whole chain, in pages.
pub(crate) async fn chain(
    store: &Store,
    tenant: &TenantId,
    id: InstanceId,
) -> Result<Vec<SealedArtifact>, EngineError> {
    let mut all = Vec::new();
    loop {
        let from = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let page = store.chain(tenant, id, from, CHAIN_PAGE_MAX).await?;
        let last = page.len() < CHAIN_PAGE_MAX;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

/// What a stored chain says.
pub(crate) struct Folded {
    pub instance: Instance,
    pub waiting_since: Option<UnixMillis>,
    pub anchor: Option<TreeHead>,
}

/// Folds a stored chain. The ledger is not trusted: signatures, hashes, links and rules are checked again, so that
/// whoever can write to the database cannot make authority.
pub(crate) fn fold(artifacts: &[SealedArtifact], keys: &Keyring<'_>) -> Result<Folded, EngineError> {
    let damaged = |what: &str| EngineError::Damaged { what: what.to_owned() };
    let mut folded: Option<Instance> = None;
    let (mut waiting_since, mut anchor) = (None, None);
    let mut previous = None;
    for artifact in artifacts {
        let envelope = envelope(artifact)?;
        if !is_signed(&envelope, keys) {
            return Err(damaged("an artifact is not signed by a key of this store"));
        }
        let statement = read(artifact, &envelope)?;
        if statement.previous != previous || statement.sequence != artifact.sequence {
            return Err(damaged("the chain is broken"));
        }
        previous = Some(artifact.hash);
        waiting_since = since(waiting_since, &statement.entry);
        anchor = later(statement.anchor, anchor);
        match &mut folded {
            None => {
                let begun = Instance::begin(statement.identity, &statement.entry);
                folded = Some(begun.map_err(|_| damaged("the first event breaks a rule"))?);
            }
            Some(instance) => instance.apply(&statement.entry, artifact.hash).map_err(|faults| {
                EngineError::Damaged { what: format!("event {}: {faults:?}", artifact.sequence) }
            })?,
        }
    }
    let folded = folded.map(|instance| Folded { instance, waiting_since, anchor });
    folded.ok_or_else(|| damaged("the chain is empty"))
}

/// Returns the larger of two trees of one log. What this server knows of the log may be older than what another one knew when it sealed the
/// artifact before, and along a chain no artifact names an older tree (`spec/verification.md` V38).
pub(crate) fn later(known: Option<TreeHead>, before: Option<TreeHead>) -> Option<TreeHead> {
    match (known, before) {
        (Some(known), Some(before)) if known.size < before.size => Some(before),
        (known, before) => known.or(before),
    }
}

/// Follows since when an instance waits for humans.
pub(crate) fn since(before: Option<UnixMillis>, entry: &Entry) -> Option<UnixMillis> {
    match &entry.event {
        Event::HumanRequired(_) => Some(entry.at),
        Event::Approved(_) | Event::Overridden(_) | Event::Rejected(_) => None,
        _ => before,
    }
}
