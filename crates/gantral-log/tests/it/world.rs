//! A ledger to append to, a key that signs checkpoints, and whoever reads a log and checks all of it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, InstanceId, LogOrigin, TeamId, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::leaf::{LEAF_BYTES, Leaf};
use gantral_evidence::log::note::{Note, NoteKey, NoteKeyKind, Signed};
use gantral_evidence::log::tree::{TreeHead, check_inclusion};
use gantral_keys::{BoxFuture, SignError, Signature, Signer, SigningContext};
use gantral_log::objects::{Object, READ_ONLY, ReadObjects, Shelf, WriteObjects};
use gantral_log::proving::Prover;
use gantral_log::published::Published;
use gantral_log::sequencer::{CHECKPOINT, Sequencer, SequencerConfig, SequencerError, SequencerParts};
use gantral_log::stored::{Kept, KeptLog};
use gantral_log::tile::{Row, TILE_WIDTH, Tile};
use gantral_store::fault::FaultPlan;
use gantral_store::{
    Append, AppendOutcome, ChainId, Duty, DutyTaken, Head, Held, Holder, InstanceIndex, LogRow, ModeCode,
    NewArtifact, SealedArtifact, StateCode, Store,
};

use gantral_testkit::cluster::Ledger;

pub const SUFFIX: &str = "log";
/// How long a process has the duty that is gone before its next step.
const A_MOMENT: Duration = Duration::from_millis(50);
/// The first bytes of the id of the key that signs artifacts here.
pub const ISSUER: [u8; 8] = *b"an issue";

pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub fn origin(of: &TenantId) -> LogOrigin {
    LogOrigin::parse(&format!("{of}/{SUFFIX}")).unwrap()
}

/// What happens at a step of the sequencer: a name, and whether it is done or about to be.
pub type Hook = Arc<dyn Fn(&str, bool) -> io::Result<()> + Send + Sync>;

/// The key of the logs, with something that happens before and after each signature.
pub struct LogKey {
    key: SigningKey,
    public: PublicKey,
    hook: Hook,
}

impl LogKey {
    pub fn new(hook: Hook) -> Self {
        let key = SigningKey::from_bytes(&[77; 32]);
        let public = PublicKey::from_bytes(key.verifying_key().as_bytes()).unwrap();
        Self { key, public, hook }
    }

    pub fn note_key(of: &LogOrigin) -> NoteKey {
        let public = Self::new(no_hook()).public;
        NoteKey::new(of.as_str(), NoteKeyKind::Text, public).unwrap()
    }
}

pub fn no_hook() -> Hook {
    Arc::new(|_, _| Ok(()))
}

impl Signer for LogKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        assert_eq!(context, SigningContext::Checkpoint);
        let sign = || {
            (self.hook)("sign", false)?;
            let bytes = self.key.sign(message).to_bytes();
            (self.hook)("sign", true)?;
            io::Result::Ok(Signature { key_id: self.public.id(), bytes })
        };
        Box::pin(std::future::ready(sign().map_err(|_| SignError::Unavailable)))
    }
}

/// Where objects are kept, with something that happens before and after each of them is written.
pub struct Hooked {
    pub kept: Kept,
    pub hook: Hook,
}

pub struct HookedLog {
    kept: KeptLog,
    origin: String,
    hook: Hook,
}

impl Shelf for Hooked {
    type Log = HookedLog;

    fn log(&self, origin: &LogOrigin, fence: u64) -> HookedLog {
        let hook = Arc::clone(&self.hook);
        HookedLog { kept: self.kept.log(origin, fence), origin: origin.to_string(), hook }
    }
}

impl ReadObjects for HookedLog {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.kept.read(name)
    }
}

impl WriteObjects for HookedLog {
    fn write(&self, objects: &[Object]) -> io::Result<()> {
        for object in objects {
            let name = format!("{} {}", self.origin, object.name);
            (self.hook)(&name, false)?;
            self.kept.write(std::slice::from_ref(object))?;
            (self.hook)(&name, true)?;
        }
        Ok(())
    }

    fn remove_under(&self, folder: &str) -> io::Result<()> {
        self.kept.remove_under(folder)
    }
}

/// One instance as its writer sees it.
pub struct Chain {
    pub tenant: TenantId,
    pub id: InstanceId,
    pub head: Option<Head>,
}

impl Chain {
    /// The chain of this name: the same one whenever it is asked for.
    pub fn new(of: &TenantId, name: &str) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&Digest::of(name.as_bytes()).as_bytes()[..16]);
        Self { tenant: of.clone(), id: InstanceId::from_random(id), head: None }
    }

    /// Returns an append of `count` artifacts that follow the head.
    pub fn append_of(&self, count: u64, ends: bool) -> Append {
        let first = self.head.map_or(0, |head| head.sequence + 1);
        let artifacts = (first..first + count)
            .map(|sequence| {
                let envelope = format!("{} {sequence}", self.id).into_bytes();
                let sealed = SealedArtifact { sequence, hash: Digest::of(&envelope), envelope };
                NewArtifact { sealed, ends_chain: ends && sequence == first + count - 1, signer: ISSUER }
            })
            .collect();
        let index = InstanceIndex {
            state: StateCode(1),
            mode: ModeCode(1),
            team: TeamId::parse("payments").unwrap(),
            workflow: WorkflowId::parse("refund").unwrap(),
            workflow_version: Digest::of(b"refund@1"),
            session: None,
            created_by: ActorId::parse("agent").unwrap(),
            created_at: UnixMillis::new(1_000).unwrap(),
            waiting_since: None,
            due_at: None,
            call_key: None,
            open: !ends,
        };
        Append {
            tenant: self.tenant.clone(),
            instance: self.id,
            expected: self.head,
            artifacts,
            index,
            guards: Vec::new(),
            effects: Vec::new(),
            idempotency: None,
        }
    }

    pub async fn commit(&mut self, store: &Store, count: u64) {
        let append = self.append_of(count, false);
        self.committed(store, append).await;
    }

    pub async fn committed(&mut self, store: &Store, append: Append) {
        let head = append.head();
        assert_eq!(store.append(append).await.unwrap(), AppendOutcome::Committed);
        self.head = head;
    }
}

/// What a ledger stands in.
#[derive(Debug, Clone, Copy)]
pub enum House {
    /// A file, with its logs in folders.
    Sqlite,
    /// A database, with its logs in it.
    Postgres,
}

impl House {
    pub async fn world(self) -> World {
        self.faulty(None).await
    }

    /// Makes a world whose writes fail as planned.
    pub async fn faulty(self, faults: Option<FaultPlan>) -> World {
        match (self, faults) {
            (Self::Sqlite, None) => World::new(),
            (Self::Sqlite, Some(plan)) => World::with(|path| Store::with_faults(path, plan).unwrap()),
            (Self::Postgres, faults) => {
                let Ledger { store, database } = Ledger::faulty(faults).await;
                World { database: Some(database), ..World::with(|_| store) }
            }
        }
    }
}

/// Runs each case upon a file and upon a database.
macro_rules! houses {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::world::House::Sqlite).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(crate::world::House::Postgres).await;
                }
            )*
        }
    };
}
pub(crate) use houses;

/// A store, and the folder of its logs if it has one.
pub struct World {
    pub store: Store,
    pub path: PathBuf,
    pub logs: PathBuf,
    /// The name of its database, if it is one.
    pub database: Option<String>,
    pub _folder: tempfile::TempDir,
}

/// Takes the duty of letting logs grow as a process of its own does, waiting until the one before has lost it.
pub async fn on_duty(store: &Store) -> Held {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut holder = [0; 16];
    holder[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    holder[8..12].copy_from_slice(&std::process::id().to_be_bytes());
    loop {
        let taken = store.take_duty(&Duty::Logs, Holder::from_random(holder), A_MOMENT).await.unwrap();
        match taken {
            DutyTaken::Held(held) => return held,
            DutyTaken::Others { left } => tokio::time::sleep(left).await,
        }
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(|path| Store::open_sqlite(path).unwrap())
    }

    pub fn with(open: impl FnOnce(&Path) -> Store) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gantral.db");
        let logs = folder.path().join("logs");
        Self { store: open(&path), path, logs, database: None, _folder: folder }
    }

    pub async fn start(&self) -> Sequencer<Hooked> {
        self.start_with(no_hook()).await.unwrap()
    }

    pub async fn start_with(&self, hook: Hook) -> Result<Sequencer<Hooked>, SequencerError> {
        start(&self.store, &self.logs, hook).await
    }

    /// The objects of a log; those in a database are read by a thread that may wait.
    pub fn log(&self, of: &TenantId) -> KeptLog {
        Kept::of(&self.store, &self.logs).log(&origin(of), READ_ONLY)
    }

    /// Reads the published checkpoint of a log.
    pub async fn checkpoint(&self, of: &TenantId) -> Vec<u8> {
        let log = self.log(of);
        blocking(move || log.read(CHECKPOINT).unwrap().unwrap()).await
    }

    /// Removes what it stands in.
    pub async fn gone(self) {
        let Self { store, database, .. } = self;
        if let Some(database) = database {
            Ledger { store, database }.gone().await;
        }
    }

    /// Takes everything that is committed, with a sequencer of its own.
    pub async fn take_all(&self) {
        let mut sequencer = self.start().await;
        while sequencer.round().await.unwrap() > 0 {}
    }
}

pub async fn start(store: &Store, logs: &Path, hook: Hook) -> Result<Sequencer<Hooked>, SequencerError> {
    let held = on_duty(store).await;
    Sequencer::start(parts(store, logs, hook), &held).await
}

pub fn parts(store: &Store, logs: &Path, hook: Hook) -> SequencerParts<Hooked> {
    SequencerParts {
        store: store.clone(),
        shelf: Hooked { kept: Kept::of(store, logs), hook: Arc::clone(&hook) },
        signer: Arc::new(LogKey::new(hook)),
        config: SequencerConfig { suffix: SUFFIX.to_owned() },
        published: Published::new(),
    }
}

/// Runs what waits for a database or a disk where it may.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Returns the tree of a note that its log has signed.
pub fn signed_tree(of: &TenantId, note: &[u8]) -> TreeHead {
    let note = Note::parse(note).unwrap();
    assert!(matches!(LogKey::note_key(&origin(of)).check(&note), Signed::Good { .. }));
    let checkpoint = Checkpoint::parse(note.text).unwrap();
    assert_eq!(checkpoint.origin, origin(of));
    checkpoint.tree
}

/// Reads all leaves of a log of this size.
pub fn leaves(log: &KeptLog, size: u64) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for index in 0..size.div_ceil(TILE_WIDTH) {
        let tile = Tile::of_tree(Row::Entries, index, size).unwrap();
        let bytes = log.read(&tile.to_string()).unwrap().unwrap();
        leaves.extend(bytes.chunks(2 + LEAF_BYTES).map(|entry| Leaf::parse(&entry[2..]).unwrap()));
    }
    assert_eq!(leaves.len() as u64, size);
    leaves
}

/// Checks a log as its reader does: it is what its store says and what is published, its tiles make its root, and every chain
/// stands in it as L5 wants. Returns its leaves.
pub async fn check_log(store: &Store, logs: &Path, of: &TenantId) -> Vec<Leaf> {
    let row = store.log(of).await.unwrap().unwrap();
    let log = Kept::of(store, logs).log(&origin(of), READ_ONLY);
    let of = of.clone();
    blocking(move || check(&of, &log, &row)).await
}

fn check(of: &TenantId, log: &KeptLog, row: &LogRow) -> Vec<Leaf> {
    assert_eq!(log.read(CHECKPOINT).unwrap().unwrap(), row.checkpoint.as_bytes());
    let tree = signed_tree(of, row.checkpoint.as_bytes());
    assert_eq!(tree, TreeHead { size: row.size, root: row.root });
    let mut prover = Prover::new(log, tree.size).unwrap();
    assert_eq!(prover.head().unwrap(), tree);
    let leaves = leaves(log, tree.size);
    let mut chains: BTreeMap<Digest, (u64, bool)> = BTreeMap::new();
    for (index, leaf) in (0..).zip(&leaves) {
        let (next, ended) = chains.entry(leaf.tag).or_default();
        assert!(*next == leaf.sequence && !*ended, "{leaf:?}");
        (*next, *ended) = (*next + 1, leaf.terminal);
        if index % 7 == 0 {
            let proof = prover.inclusion(index).unwrap();
            check_inclusion(index, tree.size, &tree.root, &leaf.tree_hash(), &proof).unwrap();
        }
    }
    leaves
}

/// Expects that a chain stands in a log at the places that the store says, up to its head.
pub async fn stands(store: &Store, leaves: &[Leaf], chain: &Chain) {
    let id = ChainId::Instance(chain.id);
    let places = store.log_positions(&chain.tenant, id, 0, 1_000).await.unwrap();
    assert_eq!(places.len() as u64, chain.head.map_or(0, |head| head.sequence + 1));
    for (sequence, place) in (0..).zip(&places) {
        let leaf = &leaves[*place as usize];
        assert_eq!((leaf.tag, leaf.sequence), (id.tag(&chain.tenant), sequence));
    }
    let last = places.last().map(|place| leaves[*place as usize].hash);
    assert_eq!(last, chain.head.map(|head| head.hash));
}
