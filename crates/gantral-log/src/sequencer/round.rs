//! One round, step by step.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use gantral_core::ids::TenantId;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::note::{NoteKey, NoteKeyKind, signature_line};
use gantral_evidence::log::tree::TreeHead;
use gantral_keys::{SignError, SigningContext};
use gantral_store::{LOG_PAGE_MAX, LogGrowth, LogHold, LogRow, LogSwap, StoreError, SwapOutcome};

use super::leaves::{Batch, Part, parts};
use super::{CHECKPOINT, Log, Sequencer, SequencerError, Unusable, tree_of};
use crate::objects::{Object, ReadObjects as _, Shelf, WriteObjects};
use crate::tile::{LEVELS_MAX, Row, TILE_WIDTH, Tile};
use crate::tree::Edge;

/// One log on its way to its next tree.
pub(super) struct Growing<O> {
    tenant: TenantId,
    log: Log<O>,
    batch: Arc<Batch>,
    /// Its tree before; `None` when it begins.
    before: Option<TreeHead>,
}

impl<S: Shelf> Sequencer<S> {
    /// Runs one round upon logs that are those of the store. A log that may not take an artifact stands still from there on; the
    /// others grow.
    pub(super) async fn take(&mut self) -> Result<usize, SequencerError> {
        let page = self.store.committed(self.taken, LOG_PAGE_MAX).await?;
        if page.through == self.taken {
            return Ok(0);
        }
        let mut parts = parts(&page, |tenant| self.stopped.contains_key(tenant));
        let (growing, rows) = loop {
            match self.swap(&parts, page.through).await {
                Ok(swapped) => break swapped,
                Err(error) => hold(&mut parts, error)?,
            }
        };
        for (tenant, part) in parts {
            let Some(first) = part.held.first() else { continue };
            match part.fault {
                Some(fault) => self.stop(&tenant, Some(*first), &fault),
                None => self.waits_from(&tenant, *first),
            }
        }
        self.publish(growing, rows).await?;
        self.taken = page.through;
        Ok(page.artifacts.len().saturating_add(page.damaged.len()))
    }

    /// Stages what the logs take, and swaps their checkpoints in the store.
    async fn swap(
        &self,
        parts: &BTreeMap<TenantId, Part>,
        through: u64,
    ) -> Result<Swapped<S>, SequencerError> {
        let takes = parts.iter().filter(|(_, part)| !part.batch.links.is_empty());
        let growing: Result<Vec<_>, _> =
            takes.map(|(tenant, part)| self.growing(tenant, Arc::clone(&part.batch))).collect();
        let (growing, growths) = self.staged(growing?).await?;
        let holds = parts.iter().filter(|(_, part)| !part.held.is_empty());
        let holds =
            holds.map(|(tenant, part)| LogHold { tenant: tenant.clone(), numbers: part.held.clone() });
        let holds = holds.collect();
        let rows = growths.iter().map(|growth| growth.row.clone()).collect();
        let swap = LogSwap { fence: self.fence, after: self.taken, through, growths, holds };
        let tenants: Vec<TenantId> = growing.iter().map(|growing| growing.tenant.clone()).collect();
        let swapped = self.store.swap_logs(swap).await;
        self.settled(swapped, &tenants).await?;
        Ok((growing, rows))
    }

    /// Turns what came of a swap into an error, unless it was done.
    pub(super) async fn settled(
        &self,
        outcome: Result<SwapOutcome, StoreError>,
        tenants: &[TenantId],
    ) -> Result<(), SequencerError> {
        match outcome {
            Ok(SwapOutcome::Swapped) => Ok(()),
            Ok(SwapOutcome::Stale) => Err(SequencerError::Stale),
            Ok(SwapOutcome::Moved) => Err(SequencerError::Moved),
            Ok(SwapOutcome::Refused { tenant, number, tag, sequence }) => {
                Err(SequencerError::Refused { tenant, number, tag, sequence })
            }
            Err(error) => {
                if matches!(error, StoreError::Damaged { .. }) {
                    // Whose row it is says which log stops.
                    for tenant in tenants {
                        self.stored(tenant).await?;
                    }
                }
                Err(error.into())
            }
        }
    }

    pub(super) fn growing(
        &self,
        tenant: &TenantId,
        batch: Arc<Batch>,
    ) -> Result<Growing<S::Log>, SequencerError> {
        let (log, before) = match self.logs.get(tenant) {
            Some(log) => (log.clone(), Some(log.tree)),
            None => {
                let origin = self.config.origin(tenant)?;
                let objects = Arc::new(self.shelf.log(&origin, self.fence));
                (Log { origin, objects, edge: Edge::default(), tree: TreeHead::empty() }, None)
            }
        };
        Ok(Growing { tenant: tenant.clone(), log, batch, before })
    }

    /// Writes the tiles of the grown trees, and signs their checkpoints.
    pub(super) async fn staged(
        &self,
        growing: Vec<Growing<S::Log>>,
    ) -> Result<(Vec<Growing<S::Log>>, Vec<LogGrowth>), SequencerError> {
        let growing = self.stage(growing).await?;
        let mut growths = Vec::with_capacity(growing.len());
        for growing in &growing {
            growths.push(self.growth(growing).await?);
        }
        Ok((growing, growths))
    }

    /// Lets copies of the trees grow, and writes what they have more, durably. No checkpoint covers it yet.
    async fn stage(&self, mut growing: Vec<Growing<S::Log>>) -> Result<Vec<Growing<S::Log>>, SequencerError> {
        let staged = self.blocking(move || {
            for Growing { tenant, log, batch, before } in &mut growing {
                // A log that begins has published nothing.
                let published = if before.is_none() { log.objects.read(CHECKPOINT)? } else { None };
                if let Some(published) = published.as_deref().and_then(tree_of) {
                    return Ok(Err(Unusable::TakenBack(published.size).of(tenant)));
                }
                match log.edge.append(&batch.leaves) {
                    Ok(objects) => log.objects.write(&objects)?,
                    Err(error) => return Ok(Err(Unusable::Log(error).of(tenant))),
                }
                log.tree = log.edge.head();
            }
            Ok(Ok(growing))
        });
        staged.await?
    }

    /// Signs the checkpoint of a grown tree.
    async fn growth(&self, growing: &Growing<S::Log>) -> Result<LogGrowth, SequencerError> {
        let Growing { tenant, log, batch, before } = growing;
        let key = NoteKey::new(log.origin.as_str(), NoteKeyKind::Text, self.signer.public_key().clone());
        let key = key
            .map_err(|_| SequencerError::Origin { tenant: tenant.clone(), origin: log.origin.to_string() })?;
        let text = Checkpoint { origin: log.origin.clone(), tree: log.tree }.text();
        let signature = self.signer.sign(SigningContext::Checkpoint, text.as_bytes()).await?;
        // The note names the key of the log; what another key has signed under that name is no signature.
        if signature.key_id != key.key().id() {
            return Err(SignError::WrongContext.into());
        }
        let checkpoint = format!("{text}\n{}", signature_line(&key, &signature.bytes));
        Ok(LogGrowth {
            row: LogRow { tenant: tenant.clone(), size: log.tree.size, root: log.tree.root, checkpoint },
            before: before.map(|tree| (tree.size, tree.root)),
            links: batch.links.clone(),
        })
    }

    /// Publishes what the swap made true, and keeps the grown trees.
    pub(super) async fn publish(
        &mut self,
        growing: Vec<Growing<S::Log>>,
        rows: Vec<LogRow>,
    ) -> Result<(), SequencerError> {
        let claim = self.store.log_claim().await?;
        if claim.fence != self.fence {
            return Err(SequencerError::Stale);
        }
        for (Growing { tenant, log, before, .. }, row) in growing.into_iter().zip(rows) {
            let (objects, note) = (Arc::clone(&log.objects), row.checkpoint.clone().into_bytes());
            let (from, to) = (before.map_or(0, |tree| tree.size), log.tree.size);
            self.blocking(move || {
                objects.write(&[Object { name: CHECKPOINT.to_owned(), bytes: note }])?;
                // Only room is lost when this fails, and the next tile that is full tries it again.
                if let Err(error) = remove_partial(&*objects, from, to) {
                    tracing::warn!(%error, "partial tiles that are full by now were not removed");
                }
                Ok(())
            })
            .await?;
            self.logs.insert(tenant, log);
            self.announce(row);
        }
        Ok(())
    }
}

/// What was swapped: the grown logs, and their rows in the store.
pub(super) type Swapped<S> = (Vec<Growing<<S as Shelf>::Log>>, Vec<LogRow>);

/// Leaves out what an error stops, if it is a matter of one log alone.
///
/// # Errors
/// The error, if it is not, or if there is nothing more to leave out.
pub(super) fn hold(
    parts: &mut BTreeMap<TenantId, Part>,
    error: SequencerError,
) -> Result<(), SequencerError> {
    let stop = error.of_one_log();
    let Some(part) = stop.as_ref().and_then(|stop| parts.get_mut(stop.tenant)) else { return Err(error) };
    if !part.hold(stop.and_then(|stop| stop.artifact)) {
        return Err(error);
    }
    part.fault = Some(error);
    Ok(())
}

impl<O> Clone for Log<O> {
    fn clone(&self) -> Self {
        let Self { origin, objects, edge, tree } = self;
        Self { origin: origin.clone(), objects: Arc::clone(objects), edge: edge.clone(), tree: *tree }
    }
}

/// Removes the partial tiles of those that became full when the tree grew, which a reader finds in the full ones (L22), and what
/// a crash has left of the tile before each.
fn remove_partial(objects: &impl WriteObjects, from: u64, to: u64) -> io::Result<()> {
    for row in (0..LEVELS_MAX).map(Row::Hashes).chain([Row::Entries]) {
        let bits = match row {
            Row::Hashes(level) => 8 * u32::from(level),
            Row::Entries => 0,
        };
        let (first, end) = ((from >> bits) / TILE_WIDTH, (to >> bits) / TILE_WIDTH);
        if first == end {
            continue;
        }
        for index in first.saturating_sub(1)..=first {
            let tile = Tile { row, index, width: TILE_WIDTH };
            objects.remove_under(&format!("{tile}.p"))?;
        }
    }
    Ok(())
}

impl<S: Shelf> Sequencer<S> {
    /// Runs what waits for a disk where it holds nobody up.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, SequencerError> {
        if self.shelf.holds_nobody_up() {
            return Ok(work()?);
        }
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => Ok(done?),
            Err(lost) => Err(io::Error::other(lost).into()),
        }
    }
}
