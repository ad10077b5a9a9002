//! What a monitor remembers of a log: the newest checkpoint that it has verified, the edge of that tree, how far each chain has
//! come, and the faults that the log has signed. One file, which is replaced as a whole.

use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use gantral_core::digest::Digest;
use gantral_core::json::{self, Profile, Value};
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::note::Note;

use super::chains::{CHAIN_BYTES, Chains};
use super::finding::{Finding, Findings};
use crate::folder::Folder;
use crate::objects::{Object, ReadObjects as _, WriteObjects as _};
use crate::tree::Edge;

/// What the file begins with.
const MAGIC: &[u8] = b"gantral-monitor-1\n";
/// The name of the file.
const STATE: &str = "state";
/// The file that is locked by whoever uses the folder.
const LOCK: &str = "lock";
/// The largest list of faults, in bytes: a thousand, each with two checkpoints.
const FAULTS_BYTES_MAX: usize = 80 << 20;

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub checkpoint: Checkpoint,
    /// The note of the checkpoint, as it was signed.
    pub note: String,
    pub edge: Edge,
    pub chains: Chains,
    /// What the log has signed, and can never be right again.
    pub faults: Findings,
}

/// The bytes are not what a monitor wrote: the file is damaged, or of another version. Whoever keeps the folder is at fault; without
/// the file, the log is read from its first leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not what this monitor remembers of a log")]
pub struct StateError;

impl State {
    pub fn encode(&self) -> Vec<u8> {
        let faults: Vec<Value> = self.faults.list.iter().map(Finding::to_value).collect();
        let faults = Value::from(faults).to_canonical();
        let edge = self.edge.encode();
        let mut bytes = Vec::with_capacity(
            self.chains.len() * CHAIN_BYTES + self.note.len() + faults.len() + edge.len() + 256,
        );
        bytes.extend_from_slice(MAGIC);
        for part in [self.note.as_bytes(), &faults, &edge] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes.extend_from_slice(&self.faults.more.to_be_bytes());
        self.chains.encode(&mut bytes);
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        Self::read(bytes).ok_or(StateError)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (content, digest) = bytes.split_last_chunk::<32>()?;
        if Digest::of(content).as_bytes() != digest {
            return None;
        }
        let rest = content.strip_prefix(MAGIC)?;
        let (note, rest) = part(rest)?;
        let (faults, rest) = part(rest)?;
        let (edge, rest) = part(rest)?;
        let (more, chains) = rest.split_first_chunk::<8>()?;
        let note = std::str::from_utf8(note).ok()?;
        let checkpoint = Checkpoint::parse(Note::parse(note.as_bytes()).ok()?.text).ok()?;
        let faults = json::parse(faults, &Profile::DOCUMENT.with_bytes_max(FAULTS_BYTES_MAX)).ok()?;
        let list = faults.as_array()?.iter().map(Finding::of_value).collect::<Option<_>>()?;
        let edge = Edge::decode(edge).filter(|edge| edge.head() == checkpoint.tree)?;
        let faults = Findings { list, more: u64::from_be_bytes(*more) };
        Some(Self { checkpoint, note: note.to_owned(), edge, chains: Chains::decode(chains)?, faults })
    }
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)
}

/// The folder of a monitor of one log, used by this process alone.
#[derive(Debug)]
pub struct StateFolder {
    folder: Folder,
    /// Locked as long as it is open.
    _lock: File,
}

/// Why a folder cannot be used. Whoever keeps it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum StateFolderError {
    /// It cannot be made or used.
    #[error("`{path}` cannot be used: {source}", path = path.display())]
    Folder {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses it; may be tried again when that has ended.
    #[error("`{path}` is in use by another monitor", path = .0.display())]
    Locked(PathBuf),
}

impl StateFolder {
    /// Opens a folder, or makes it.
    ///
    /// # Errors
    /// `StateFolderError`.
    pub fn open(root: &Path) -> Result<Self, StateFolderError> {
        let unusable = |source| StateFolderError::Folder { path: root.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(unusable)?;
        let file = File::options().create(true).truncate(false).write(true).open(root.join(LOCK));
        let file = file.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { folder: Folder::new(root), _lock: file }),
            Err(TryLockError::WouldBlock) => Err(StateFolderError::Locked(root.to_owned())),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Reads what was stored; `None` when nothing was.
    ///
    /// # Errors
    /// When it cannot be told; the caller may try again.
    pub fn load(&self) -> io::Result<Option<Vec<u8>>> {
        self.folder.read(STATE)
    }

    /// Stores the bytes in the place of what was stored. Durable when this returns; after a crash the old bytes are there, or the new.
    ///
    /// # Errors
    /// When they could not be written; the caller may try again.
    pub fn store(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.folder.write(&[Object { name: STATE.to_owned(), bytes }])
    }
}
