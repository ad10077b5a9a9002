//! The sequencer: committed artifacts of the ledger become leaves of their tenant's log, in the order of the commits.
//!
//! A round reads what was committed, writes the tiles that the grown trees need, signs their checkpoints, swaps them in the
//! store, and publishes them. What was written before the swap counts for nothing; what the swap made true is published by
//! whoever comes next, if not by this one. So a crash at any step loses no artifact, logs none twice, and takes nothing
//! back that anybody has seen. Carrying checkpoints to witnesses is not here. Source: `spec/log.md` §7.

mod error;
mod leaves;
mod round;
mod standing;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::note::{Note, parse_signatures};
use gantral_evidence::log::tree::TreeHead;
use gantral_keys::Signer;
use gantral_store::{Held, LOG_PAGE_MAX, LogRow, Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use crate::objects::{Object, ReadObjects, Shelf, WriteObjects as _};
use crate::proving::Prover;
use crate::published::{Published, PublishedCheckpoint, SequencerState};
use crate::tree::{Edge, LogError};

pub use error::SequencerError;
pub use leaves::{kind, leaf, leaf_of_envelope, link};
use standing::Stopped;

/// The name of the object that is the newest checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// At most one round begins in this time, unless the one before was full: what is committed meanwhile shares its cost.
pub const ROUND_PACE: Duration = Duration::from_millis(100);
/// How often the ledger is looked at without news: another server may have committed something of which none came.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long after a round that failed the next one begins.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many signatures of witnesses wait to be added; who comes later waits for room.
const SIGNATURES_WAITING_MAX: usize = 64;

/// Which logs a sequencer keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequencerConfig {
    /// What follows the tenant and a slash in the origin of its log. Changing it makes the logs that exist unreadable.
    pub suffix: String,
}

impl SequencerConfig {
    fn origin(&self, tenant: &TenantId) -> Result<LogOrigin, SequencerError> {
        let origin = format!("{tenant}/{}", self.suffix);
        LogOrigin::parse(&origin).map_err(|_| SequencerError::Origin { tenant: tenant.clone(), origin })
    }
}

/// Lets logs grow, as the only one: it has [`gantral_store::Duty::Logs`], and has claimed the logs under it. A sequencer that starts later takes the right
/// to from every one before.
///
/// The store gives its right to one process at a time. Where several processes reach the objects of a log, one that was passed by writes none;
/// in a folder it may still write tiles that nobody reads until its next step, and nothing else.
pub struct Sequencer<S: Shelf> {
    store: Store,
    shelf: S,
    signer: Arc<dyn Signer>,
    config: SequencerConfig,
    published: Published,
    signatures: (mpsc::Sender<Signatures>, mpsc::Receiver<Signatures>),
    fence: u64,
    /// Up to which number of the ledger everything is in a log.
    taken: u64,
    logs: BTreeMap<TenantId, Log<S::Log>>,
    /// The logs that stand still; one that can be read is among `logs` all the same.
    stopped: BTreeMap<TenantId, Stopped>,
    /// Whether `taken` and `logs` are known to be those of the store.
    is_current: bool,
}

/// What a sequencer works with.
#[derive(Clone)]
pub struct SequencerParts<S> {
    /// The ledger.
    pub store: Store,
    /// Where the objects of the logs are kept.
    pub shelf: S,
    /// Holds the key of the logs.
    pub signer: Arc<dyn Signer>,
    /// Which logs.
    pub config: SequencerConfig,
    /// Where it says what it has published.
    pub published: Published,
}

/// One log as the store has it.
struct Log<O> {
    origin: LogOrigin,
    objects: Arc<O>,
    edge: Edge,
    tree: TreeHead,
}

/// Lines for the checkpoint of one tree, and who waits to hear whether they were added.
struct Signatures {
    tenant: TenantId,
    tree: TreeHead,
    lines: Vec<String>,
    caller: oneshot::Sender<Result<bool, StoreError>>,
}

/// Adds the signatures of witnesses to checkpoints. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AddSignatures(mpsc::Sender<Signatures>);

impl AddSignatures {
    /// Adds lines to the checkpoint of a log and publishes it anew; a line that is there stays. Returns whether that was done:
    /// not when the log has grown since. The caller has checked the signatures.
    ///
    /// # Errors
    /// [`StoreError`]; may be asked again, since doing it twice does nothing more. `Stopped` when the sequencer has ended.
    pub async fn add(
        &self,
        tenant: &TenantId,
        tree: TreeHead,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        let ended = || StoreError::Stopped { reason: "the sequencer has ended".to_owned() };
        let (caller, answer) = oneshot::channel();
        let signatures = Signatures { tenant: tenant.clone(), tree, lines, caller };
        self.0.send(signatures).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl<S: Shelf> Sequencer<S> {
    /// Claims the logs, checks that the objects of each are those of its checkpoint and that it extends what is published, and publishes
    /// what was not published before a crash. A log whose objects are not stands still, as [`Published::stopped`] says, and holds up no
    /// other.
    ///
    /// # Errors
    /// See [`SequencerError::is_final`]: whether it is worth trying again.
    pub async fn start(parts: SequencerParts<S>, held: &Held) -> Result<Self, SequencerError> {
        let SequencerParts { store, shelf, signer, config, published } = parts;
        let claim = store.claim_logs(held).await?.ok_or(SequencerError::Stale)?;
        let mut sequencer = Self {
            store,
            shelf,
            signer,
            config,
            published,
            signatures: mpsc::channel(SIGNATURES_WAITING_MAX),
            fence: claim.fence,
            taken: claim.taken,
            logs: BTreeMap::new(),
            stopped: BTreeMap::new(),
            is_current: false,
        };
        sequencer.load().await?;
        Ok(sequencer)
    }

    /// Returns where published checkpoints are seen.
    pub fn published(&self) -> Published {
        self.published.clone()
    }

    /// Returns how signatures of witnesses are added while the sequencer runs.
    pub fn signatures(&self) -> AddSignatures {
        AddSignatures(self.signatures.0.clone())
    }

    /// Lets the logs grow until `stop` is ready or the store is closed; a round that has begun is ended first. May be cancelled: what a round
    /// has begun then is ended by whoever comes next.
    ///
    /// # Errors
    /// [`SequencerError::Stale`], when another one has taken over; otherwise an error that trying again does not heal, and [`Published::state`] says
    /// it too. Every other is tried again here.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), SequencerError> {
        let ran = self.rounds(stop).await;
        if ran.is_ok() {
            self.published.set_state(SequencerState::Stopped("the sequencer has ended".to_owned()));
        }
        ran
    }

    async fn rounds(&mut self, stop: impl Future<Output = ()>) -> Result<(), SequencerError> {
        let mut stop = pin!(stop);
        let mut newest = self.store.newest();
        loop {
            let began = Instant::now();
            let (pause, is_idle) = match self.round().await {
                Ok(taken) => {
                    self.published.set_state(SequencerState::Working);
                    let pause = if taken >= LOG_PAGE_MAX { began } else { began + ROUND_PACE };
                    (pause, taken == 0)
                }
                Err(SequencerError::Stale) => {
                    tracing::info!("another server lets the logs grow");
                    return Err(SequencerError::Stale);
                }
                Err(error) if error.is_final() => {
                    tracing::error!(code = "logs_stopped", %error, "the logs have stopped growing");
                    self.published.set_state(SequencerState::Stopped(error.to_string()));
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!(%error, "the logs did not grow; another round follows");
                    self.published.set_state(SequencerState::Failing(error.to_string()));
                    (Instant::now() + RETRY_AFTER, false)
                }
            };
            loop {
                let taken = self.taken;
                // What is not known to be current is read again without waiting for news.
                let waits = is_idle && self.is_current;
                let next_try = self.next_try();
                let more = async {
                    sleep_until(pause).await;
                    if !waits {
                        return true;
                    }
                    tokio::select! {
                        open = newest.above(taken) => open,
                        () = until(next_try) => true,
                        () = sleep(LOOK_EVERY) => true,
                    }
                };
                tokio::select! {
                    biased;
                    () = &mut stop => return Ok(()),
                    open = more => if open { break } else { return Ok(()) },
                    Some(signatures) = self.signatures.1.recv() => self.sign_more(signatures).await,
                }
            }
        }
    }

    /// Takes what was committed since the last round, at most [`LOG_PAGE_MAX`] artifacts, and what waited for logs that stood still;
    /// returns how many. A fault of one log stops that one alone, as [`Published::stopped`] says, and is no error. When the round
    /// fails, what is in memory is read anew before the next.
    ///
    /// # Errors
    /// See [`SequencerError::is_final`]: whether another round may do better.
    pub async fn round(&mut self) -> Result<usize, SequencerError> {
        if !self.is_current {
            self.load().await?;
        }
        self.is_current = false;
        let taken = match self.take_what_there_is().await {
            // Whoever was passed by is refused by the storage as well: then that is why.
            Err(SequencerError::Storage(error)) => match self.check_fence().await {
                Err(SequencerError::Stale) => return Err(SequencerError::Stale),
                Ok(()) | Err(_) => return Err(error.into()),
            },
            taken => taken?,
        };
        self.is_current = true;
        Ok(taken)
    }

    async fn take_what_there_is(&mut self) -> Result<usize, SequencerError> {
        Ok(self.take().await?.saturating_add(self.try_stopped().await?))
    }

    /// Reads how far the logs are, checks their objects, and publishes what differs.
    async fn load(&mut self) -> Result<(), SequencerError> {
        self.check_fence().await?;
        self.load_logs().await?;
        self.is_current = true;
        Ok(())
    }

    /// Makes sure that nobody has claimed the logs since, and reads how far the ledger was taken.
    async fn check_fence(&mut self) -> Result<(), SequencerError> {
        let claim = self.store.log_claim().await?;
        self.taken = claim.taken;
        if claim.fence == self.fence { Ok(()) } else { Err(SequencerError::Stale) }
    }

    /// Reads one log, and publishes its checkpoint if that is not what is published.
    async fn open(&self, row: &LogRow) -> Result<Log<S::Log>, SequencerError> {
        let origin = self.config.origin(&row.tenant)?;
        let tree = TreeHead { size: row.size, root: row.root };
        let text = Checkpoint { origin: origin.clone(), tree }.text();
        if !Note::parse(row.checkpoint.as_bytes()).is_ok_and(|note| note.text == text) {
            let (tenant, origin) = (row.tenant.clone(), origin.to_string());
            return Err(SequencerError::Origin { tenant, origin });
        }
        let objects = Arc::new(self.shelf.log(&origin, self.fence));
        let (reader, note) = (Arc::clone(&objects), row.checkpoint.clone().into_bytes());
        let opened = self.blocking(move || {
            let edge = match Edge::load(&*reader, &tree) {
                Err(LogError::Storage(error)) => return Err(error),
                Err(error) => return Ok(Err(Unusable::Log(error))),
                Ok(edge) => edge,
            };
            let found = reader.read(CHECKPOINT)?;
            if let Some(published) = found.as_deref().and_then(tree_of)
                && let Some(error) = extends(&*reader, &tree, &published)
            {
                return Ok(Err(error));
            }
            if found.as_ref() != Some(&note) {
                reader.write(&[Object { name: CHECKPOINT.to_owned(), bytes: note }])?;
            }
            Ok(Ok(edge))
        });
        let edge = opened.await?.map_err(|error| error.of(&row.tenant))?;
        Ok(Log { origin, objects, edge, tree })
    }

    fn announce(&self, row: LogRow) {
        let tree = TreeHead { size: row.size, root: row.root };
        self.published.announce(&row.tenant, PublishedCheckpoint { tree, note: row.checkpoint });
    }

    /// Adds signatures to a checkpoint and publishes it anew. When that fails after the store has them, the next round publishes.
    async fn sign_more(&mut self, signatures: Signatures) {
        let Signatures { tenant, tree, lines, caller } = signatures;
        let answer = self.add_signatures(&tenant, tree, lines).await;
        // An error says that the caller no longer waits.
        let _ = caller.send(answer);
    }

    async fn add_signatures(
        &mut self,
        tenant: &TenantId,
        tree: TreeHead,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        let lines: Vec<String> =
            lines.into_iter().map(|line| line.trim_end_matches('\n').to_owned() + "\n").collect();
        let Some(row) = self.store.log(tenant).await? else { return Ok(false) };
        // A note over its limits, or with a line that is none, could not be read again by anybody.
        let note = row.checkpoint + &lines.concat();
        if lines.iter().any(|line| parse_signatures(line).is_err()) || Note::parse(note.as_bytes()).is_err() {
            return Err(StoreError::Contradiction {
                what: "the lines are no signatures of a note".to_owned(),
            });
        }
        let tree = (tree.size, tree.root);
        let Some(row) = self.store.add_log_signatures(tenant, tree, lines).await? else { return Ok(false) };
        if self.check_fence().await.is_err() || self.open(&row).await.is_err() {
            self.is_current = false;
            return Ok(true);
        }
        self.announce(row);
        Ok(true)
    }
}

/// Waits for an instant; for ever if there is none.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Why a log is not let grow.
enum Unusable {
    Log(LogError),
    /// The published checkpoint has so many leaves, and this log does not begin with them.
    TakenBack(u64),
}

impl Unusable {
    fn of(self, tenant: &TenantId) -> SequencerError {
        let tenant = tenant.clone();
        match self {
            Self::Log(error) => SequencerError::Log { tenant, error },
            Self::TakenBack(size) => SequencerError::TakenBack { tenant, size },
        }
    }
}

/// Returns the tree of a published checkpoint. Bytes that are none were published by nobody: they may be written over.
pub(crate) fn tree_of(note: &[u8]) -> Option<TreeHead> {
    Some(Checkpoint::parse(Note::parse(note).ok()?.text).ok()?.tree)
}

/// Checks that a tree begins with one that was published (`spec/log.md` L27); returns why it is not so.
fn extends(objects: &impl ReadObjects, tree: &TreeHead, published: &TreeHead) -> Option<Unusable> {
    if published.size > tree.size {
        return Some(Unusable::TakenBack(published.size));
    }
    match Prover::new(objects, tree.size).and_then(|mut prover| prover.consistency(published.size)) {
        Ok(proof) => tree.check_extends(published, &proof).err().map(|_| Unusable::TakenBack(published.size)),
        Err(error) => Some(Unusable::Log(error)),
    }
}

impl<S: Shelf> Drop for Sequencer<S> {
    /// Says that no checkpoint comes from here any more, but perhaps from the next one.
    fn drop(&mut self) {
        if !matches!(self.published.state(), SequencerState::Stopped(_)) {
            self.published.set_state(SequencerState::StandingBy);
        }
    }
}
