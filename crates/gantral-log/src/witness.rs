//! The witness: it remembers the newest tree of each log that it knows, and cosigns only what extends it.
//!
//! Whoever runs one is not whoever runs the log. The checks, their order and their answers are those of C2SP `tlog-witness`;
//! carrying them over HTTP is not here.

mod kept;
mod request;

use std::io;
use std::sync::Mutex;

use gantral_core::ids::LogOrigin;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::note::{Note, NoteKey, Signed, cosignature, cosigned, signature_line};
use gantral_evidence::log::tree::TreeHead;

use crate::objects::{Object, WriteObjects};

pub use kept::REFUSED;
pub use request::{REQUEST_BYTES_MAX, Request, RequestError};

use kept::{Remembered, keep_refusal, name, remembered};

/// Signs with the witness's own key.
pub trait Cosigner: Send + Sync {
    /// Returns the key under the name of the witness.
    fn key(&self) -> &NoteKey;

    /// Signs with Ed25519.
    ///
    /// # Errors
    /// When the key cannot be used now; the caller may try again.
    fn sign(&self, message: &[u8]) -> io::Result<[u8; 64]>;
}

/// Why a witness does not cosign. Each has the HTTP status that C2SP gives it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request cannot be read, or says that the log had more leaves than it has. 400.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// No log of this origin is known. 404.
    #[error("no log `{0}` is known here")]
    Unknown(String),
    /// None of the log's keys has signed. 403.
    #[error("the checkpoint is not signed by its log")]
    Signature,
    /// The log has been seen at another size than the request begins with. 409; the body of the answer is that size.
    #[error("the log was last seen with {0} leaves")]
    Size(u64),
    /// Two trees of one size: the log shows different histories. 409; both checkpoints prove it.
    #[error("the log was seen with another tree of this size")]
    SplitView,
    /// The proof does not lead from the tree that was seen to this one. 422.
    #[error("the tree does not extend the one that was seen")]
    Inconsistent,
    /// What is remembered cannot be read or kept, or the key cannot be used; nothing was cosigned. 500; may be tried again.
    #[error("the witness cannot answer now: {0}")]
    Unavailable(#[from] io::Error),
}

impl Refusal {
    /// Returns the status of the answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Request(_) => 400,
            Self::Signature => 403,
            Self::Unknown(_) => 404,
            Self::Size(_) | Self::SplitView => 409,
            Self::Inconsistent => 422,
            Self::Unavailable(_) => 500,
        }
    }
}

/// A witness of some logs.
pub struct Witness<O, S> {
    logs: Vec<NoteKey>,
    memory: Mutex<O>,
    cosigner: S,
}

impl<O: WriteObjects, S: Cosigner> Witness<O, S> {
    /// Starts a witness that knows these logs, by their keys; a log may have several. What it remembers is in `memory`,
    /// which nobody else writes to.
    pub fn new(logs: Vec<NoteKey>, memory: O, cosigner: S) -> Self {
        Self { logs, memory: Mutex::new(memory), cosigner }
    }

    /// Checks a checkpoint, remembers it, and returns the line with the cosignature. `now` is in seconds since 1970.
    ///
    /// What is remembered is durable before anything is signed, and no two requests are checked at a time: after a crash the
    /// witness may know of a tree that it has not cosigned, never the other way round.
    pub fn add_checkpoint(&self, request: &[u8], now: u64) -> Result<String, Refusal> {
        let request = Request::parse(request)?;
        let note = Note::parse(request.checkpoint.as_bytes()).map_err(RequestError::Note)?;
        let checkpoint = Checkpoint::parse(note.text).map_err(RequestError::Checkpoint)?;
        self.check_signed(&checkpoint, &note)?;
        if request.old_size > checkpoint.tree.size {
            return Err(RequestError::OldSize.into());
        }
        let memory = self.memory.lock().map_err(|_| io::Error::other("a request before has panicked"))?;
        let seen = remembered(&*memory, &checkpoint.origin)?;
        if let Err(refusal) = check_extends(&seen.tree, &checkpoint.tree, &request) {
            keep_refusal(&*memory, &checkpoint.origin, &seen, &request, &refusal, now);
            return Err(refusal);
        }
        if checkpoint.tree != seen.tree {
            let bytes = request.checkpoint.as_bytes().to_vec();
            memory.write(&[Object { name: name(&checkpoint.origin), bytes }])?;
        }
        let signature = self.cosigner.sign(cosigned(now, note.text).as_bytes())?;
        drop(memory);
        Ok(signature_line(self.cosigner.key(), &cosignature(now, &signature)))
    }

    /// Returns the newest tree of a log that was remembered, or the empty one.
    ///
    /// # Errors
    /// When what is remembered cannot be read.
    pub fn seen(&self, origin: &LogOrigin) -> io::Result<TreeHead> {
        let memory = self.memory.lock().map_err(|_| io::Error::other("a request before has panicked"))?;
        remembered(&*memory, origin).map(|seen: Remembered| seen.tree)
    }

    /// Returns the keys of the logs that are known.
    pub fn logs(&self) -> &[NoteKey] {
        &self.logs
    }

    /// Returns the key of the witness.
    pub fn key(&self) -> &NoteKey {
        self.cosigner.key()
    }

    fn check_signed(&self, checkpoint: &Checkpoint, note: &Note<'_>) -> Result<(), Refusal> {
        let mut keys = self.logs.iter().filter(|key| key.name() == checkpoint.origin.as_str()).peekable();
        if keys.peek().is_none() {
            return Err(Refusal::Unknown(checkpoint.origin.to_string()));
        }
        let good = keys.any(|key| matches!(key.check(note), Signed::Good { .. }));
        if good { Ok(()) } else { Err(Refusal::Signature) }
    }
}

fn check_extends(seen: &TreeHead, tree: &TreeHead, request: &Request) -> Result<(), Refusal> {
    if request.old_size != seen.size {
        return Err(Refusal::Size(seen.size));
    }
    if tree.size == seen.size && tree.root != seen.root {
        return Err(Refusal::SplitView);
    }
    tree.check_extends(seen, &request.proof).map_err(|_| Refusal::Inconsistent)
}

#[cfg(test)]
mod tests;
