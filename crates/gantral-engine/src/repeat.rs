//! Repetitions: a request under the key of one that was carried out gets the answer that was given first.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gantral_core::ids::{InstanceId, TenantId};
use gantral_store::{IdempotencyAnswer, IdempotencyLookup};

use crate::answer::{Answer, Done, Receipt};
use crate::engine::{Call, Engine};
use crate::error::EngineError;
use crate::loaded::{Loaded, open};

/// How many instances are remembered whose requests are being repeated; a full memory starts over.
const REPEATING_MAX: usize = 10_000;

/// Instances at which a repetition was the last request under a key. Only a hint: it says where to look before deciding.
#[derive(Default)]
pub(crate) struct Repeating(Mutex<HashSet<(TenantId, InstanceId)>>);

impl Repeating {
    fn all(&self) -> MutexGuard<'_, HashSet<(TenantId, InstanceId)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether the next request of an instance is probably a repetition too.
    pub(crate) fn has(&self, loaded: &Loaded) -> bool {
        let all = self.all();
        !all.is_empty() && all.contains(&named(loaded))
    }

    pub(crate) fn keep(&self, loaded: &Loaded) {
        let mut all = self.all();
        if all.len() >= REPEATING_MAX {
            all.clear();
        }
        all.insert(named(loaded));
    }

    pub(crate) fn forget(&self, loaded: &Loaded) {
        let mut all = self.all();
        if !all.is_empty() {
            all.remove(&named(loaded));
        }
    }
}

fn named(loaded: &Loaded) -> (TenantId, InstanceId) {
    let identity = &loaded.instance.identity;
    (identity.tenant.clone(), identity.instance)
}

impl Engine {
    /// Gives the first answer again when a command that failed is the repetition of one that was carried out.
    ///
    /// Where the store failed or its record is damaged, nothing is looked up: what a failing store says now may not be
    /// durable.
    pub(crate) async fn first_answer(
        &self,
        call: &Call,
        tenant: &TenantId,
        id: InstanceId,
        result: Result<Done, EngineError>,
    ) -> Result<Done, EngineError> {
        let error = match result {
            Ok(done) => return Ok(done),
            Err(error @ (EngineError::Store(_) | EngineError::Damaged { .. } | EngineError::KeyReused)) => {
                return Err(error);
            }
            Err(error) => error,
        };
        match self.lookup(call, tenant).await? {
            Some(first) if first.instance == id => self.replayed(tenant, first).await,
            Some(_) | None => Err(error),
        }
    }

    /// Finds the first answer to the request's key.
    ///
    /// # Errors
    /// `KeyReused` when the key was used with another body.
    pub(crate) async fn lookup(
        &self,
        call: &Call,
        tenant: &TenantId,
    ) -> Result<Option<IdempotencyAnswer>, EngineError> {
        let Some(key) = &call.key else { return Ok(None) };
        match self.0.store.lookup_idempotency(tenant, &key.scope, key.body, call.now).await? {
            IdempotencyLookup::Fresh => Ok(None),
            IdempotencyLookup::Replayed(answer) => Ok(Some(answer)),
            IdempotencyLookup::KeyReused => Err(EngineError::KeyReused),
        }
    }

    pub(crate) async fn replayed(
        &self,
        tenant: &TenantId,
        first: IdempotencyAnswer,
    ) -> Result<Done, EngineError> {
        let unreadable = || EngineError::Damaged { what: "a recorded answer cannot be read".to_owned() };
        let (state, answer) = Answer::decode(&first.answer).ok_or_else(unreadable)?;
        let count = first.last_sequence.saturating_sub(first.first_sequence).saturating_add(1);
        let limit = usize::try_from(count).map_err(|_| unreadable())?;
        let artifacts = self.0.store.chain(tenant, first.instance, first.first_sequence, limit).await?;
        let mut receipts = Vec::new();
        for artifact in &artifacts {
            receipts.push(Receipt::of(artifact, &open(artifact)?.entry));
        }
        Ok(Done { instance: first.instance, state, answer, receipts })
    }
}
