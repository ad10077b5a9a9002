//! A log as people look at it: how far it has come, who has cosigned that, and what still waits.

use gantral_console::pages::{ShownLog, ShownWitness};
use gantral_core::ids::TenantId;
use gantral_core::time::UnixMillis;
use gantral_engine::checkpoints::Checkpoints as _;
use gantral_evidence::log::note::{Note, Signed};
use gantral_store::StoreError;

use super::{Logs, WitnessSettings};
use crate::keys::log_of;
use crate::metrics::Logged;

/// How many commits at most are read to count what waits: as many as a second of a busy server leaves.
const LOOKED_AT: u64 = 10_000;
/// How many artifacts of a tenant are counted.
const COUNTED: usize = 1_000;

impl Logs {
    /// Returns how the log of a tenant stands. `url` is where it is published.
    ///
    /// # Errors
    /// What is wrong, in words, when the log has no name.
    pub(crate) async fn shown(
        &self,
        tenant: &TenantId,
        url: String,
        public: bool,
    ) -> Result<ShownLog, String> {
        let newest = self.published().newest(tenant);
        let checkpoint = newest.as_ref().map(|newest| newest.note.clone()).unwrap_or_default();
        let note = Note::parse(checkpoint.as_bytes()).ok();
        let witnesses = self.0.witnesses.iter().map(|witness| shown(witness, note.as_ref())).collect();
        let standing = self.standing();
        let stopped = standing.stopped.get(tenant).map(|stopped| stopped.why.clone());
        let stopped = stopped.or(standing.none_grows);
        let waiting = match stopped {
            // Everything that came since would be read.
            Some(_) => None,
            None => self.waiting(tenant).await.ok(),
        };
        let sizes =
            (1..=self.witnesses()).map(|count| self.newest(tenant, count).map_or(0, |tree| tree.size));
        Ok(ShownLog {
            origin: log_of(tenant).map_err(|error| error.to_string())?.as_str().to_owned(),
            size: newest.as_ref().map_or(0, |newest| newest.tree.size),
            waiting,
            stopped,
            witnesses,
            cosigned: sizes.collect(),
            policy: self.policy(tenant)?,
            url,
            public,
            checkpoint,
        })
    }

    /// Returns how far all logs are, from the ledger, and so the same on every server.
    pub(crate) async fn logged(&self) -> Result<Logged, StoreError> {
        let (store, taken) = (self.store(), self.store().log_claim().await?.taken);
        let mut logged = Logged {
            still: self.standing().still,
            behind: store.newest_commit().await?.saturating_sub(taken),
            leaves: Vec::new(),
        };
        for tenant in &self.0.tenants {
            let leaves = store.log(tenant).await?.map_or(0, |row| row.size);
            let witnessed = match self.witnesses() {
                0 => None,
                all => Some(store.cosigned(tenant, all).await?.map_or(0, |row| row.size)),
            };
            logged.leaves.push((tenant.clone(), leaves, witnessed));
        }
        Ok(logged)
    }

    /// Counts the artifacts of a tenant that are committed and in no log yet, as far as it is worth reading.
    async fn waiting(&self, tenant: &TenantId) -> Result<u64, StoreError> {
        let (store, taken) = (self.store(), self.store().log_claim().await?.taken);
        let newest = store.newest_commit().await?.min(taken.saturating_add(LOOKED_AT));
        if newest <= taken {
            return Ok(0);
        }
        let page = store.committed_of(tenant, taken.saturating_add(1), newest, COUNTED).await?;
        Ok(u64::try_from(page.artifacts.len()).unwrap_or(u64::MAX))
    }
}

/// Returns whether a witness has cosigned a checkpoint, and when, by its own clock.
fn shown(witness: &WitnessSettings, note: Option<&Note<'_>>) -> ShownWitness {
    let signed = note.map_or(Signed::No, |note| witness.key.check(note));
    let seconds = match signed {
        Signed::Good { time } => time,
        Signed::Bad | Signed::No => None,
    };
    let cosigned_at = seconds.and_then(|seconds| UnixMillis::new(seconds.saturating_mul(1_000)).ok());
    ShownWitness { name: witness.key.name().to_owned(), cosigned_at }
}
