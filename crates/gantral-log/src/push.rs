//! How a log asks a witness for its cosignature: the other side of [`crate::witness`].
//!
//! What comes back is believed only if it is a cosignature of this checkpoint, by the pinned key, of now. Who waits for it, and how
//! often it is tried, is the caller's. Source: C2SP `tlog-witness`, `spec/log.md` §8.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gantral_evidence::log::checkpoint::{Checkpoint, CheckpointError, parse_size};
use gantral_evidence::log::note::{Note, NoteError, NoteKey, Signed};
use gantral_evidence::log::tree::TreeHead;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url};
use tokio::task::spawn_blocking;

use crate::http::{self, NoAnswer};
use crate::objects::ReadObjects;
use crate::proving::Prover;
use crate::tree::LogError;
use crate::witness::Request;

pub use crate::http::AddressError;

/// How long an answer may take when the configuration does not say.
pub const WITNESS_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How far the time of a cosignature may lie from this machine's, in seconds. An old one would let a log that stands still seem watched.
pub const COSIGNATURE_SKEW_MAX: u64 = 300;
/// The largest answer, in bytes: some lines of signatures.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// How long a caller pauses after a failure; then twice as long after each, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How the body of a 409 is labelled, when it says how many leaves were seen.
const SIZE_TYPE: &str = "text/x.tlog.size";

/// A witness, as whoever keeps a log knows it.
#[derive(Debug, Clone)]
pub struct WitnessConfig {
    /// Its submission prefix: the address above `add-checkpoint`. Plain `http` is for loopback.
    pub url: String,
    /// Its key.
    pub key: NoteKey,
    /// A PEM file with the authorities to trust, and no others; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// Asks one witness about one log. It remembers what the witness has seen; a new one finds out with its first request.
#[derive(Debug)]
pub struct WitnessClient {
    http: Client,
    url: Url,
    key: NoteKey,
    timeout: Duration,
    /// How many leaves the witness has seen, as far as is known.
    seen: u64,
    failures: u32,
}

/// A cosignature that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The line to add to the checkpoint, with its newline.
    pub line: String,
    /// When, in seconds since 1970, by the clock of the witness.
    pub time: u64,
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
pub enum CosignError {
    /// What should be cosigned is no signed note: a defect of the caller.
    #[error("the checkpoint: {0}")]
    Note(#[from] NoteError),
    /// What should be cosigned is no checkpoint: a defect of the caller.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The proof cannot be made.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There is no answer. May be tried again.
    #[error("the witness cannot be reached: {0}")]
    Unreachable(String),
    /// The witness has seen more leaves than the checkpoint has. Either a newer checkpoint was there first, or this log has lost
    /// what it had published: then it must not grow.
    #[error("the witness has seen {seen} leaves, and the checkpoint has {size}")]
    Behind {
        /// How many leaves the witness has seen.
        seen: u64,
        /// How many leaves the checkpoint has.
        size: u64,
    },
    /// The witness has seen another tree of this size, or one that this tree does not extend. Trying again is pointless, and the log
    /// must not grow before somebody has looked.
    #[error("the witness has seen a tree that this one does not extend (status {0})")]
    Contradicts(u16),
    /// While the proof was on its way the witness has seen another size. May be tried again.
    #[error("others push checkpoints of this log to the witness")]
    Moved,
    /// Another status. 403 and 404 mean that the witness does not know this log; 5xx may be tried again.
    #[error("the witness answered with status {0}")]
    Status(u16),
    /// The answer cannot be read.
    #[error("the witness gave an answer that cannot be read: {0}")]
    Answer(&'static str),
    /// The answer holds no cosignature of this checkpoint by the pinned key: the witness is not who it should be.
    #[error("the witness gave no cosignature of this checkpoint by its key")]
    Signature,
    /// The cosignature is not of now.
    #[error("the witness gave a cosignature of {time}, and it is {now} here")]
    Time {
        /// Its time, in seconds since 1970.
        time: u64,
        /// The time here.
        now: u64,
    },
}

/// What a witness said to one request.
enum Said {
    Cosigned(Cosigned),
    /// It has seen so many leaves.
    Seen(u64),
}

impl WitnessClient {
    /// Makes a client. Connects to nothing yet.
    ///
    /// # Errors
    /// `AddressError`; trying again is pointless.
    pub fn new(config: &WitnessConfig) -> Result<Self, AddressError> {
        let base = http::address(&config.url)?;
        Ok(Self {
            http: http::client(&base, config.ca_file.as_deref())?,
            url: http::below(&base, "add-checkpoint"),
            key: config.key.clone(),
            timeout: config.timeout,
            seen: 0,
            failures: 0,
        })
    }

    /// Returns the key of the witness.
    pub const fn key(&self) -> &NoteKey {
        &self.key
    }

    /// Tells whether something answers where the witness is, whatever it says: nothing is submitted to it.
    pub async fn answers(&self) -> bool {
        self.http.get(self.url.clone()).timeout(self.timeout).send().await.is_ok()
    }

    /// Asks for the cosignature of a checkpoint. The proof is made from `objects`, which have the tiles of its tree. A witness that
    /// has seen another size than was thought is asked once more. May be cancelled, and repeated with the same checkpoint. Objects are read
    /// where that holds nobody up.
    ///
    /// # Errors
    /// `CosignError`; the variant says who may try again. [`WitnessClient::pause`] says when.
    pub async fn cosign(
        &mut self,
        objects: &(impl ReadObjects + Clone + Send + Sync + 'static),
        checkpoint: &str,
    ) -> Result<Cosigned, CosignError> {
        let answer = self.converse(objects, checkpoint).await;
        self.failures = if answer.is_ok() { 0 } else { self.failures.saturating_add(1) };
        answer
    }

    /// Returns how long to wait before the next attempt: nothing after a success, longer after each failure.
    pub fn pause(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            failures => PAUSE_MIN.saturating_mul(1 << (failures - 1).min(16)).min(PAUSE_MAX),
        }
    }

    async fn converse(
        &mut self,
        objects: &(impl ReadObjects + Clone + Send + Sync + 'static),
        checkpoint: &str,
    ) -> Result<Cosigned, CosignError> {
        let note = Note::parse(checkpoint.as_bytes())?;
        let tree = Checkpoint::parse(note.text)?.tree;
        for _ in 0..2 {
            let old = self.seen.min(tree.size);
            match self.ask(old, &tree, &note, checkpoint, objects).await? {
                Said::Cosigned(cosigned) => {
                    self.seen = tree.size;
                    return Ok(cosigned);
                }
                Said::Seen(seen) if seen > tree.size => {
                    self.seen = seen;
                    return Err(CosignError::Behind { seen, size: tree.size });
                }
                // It has just been told so.
                Said::Seen(seen) if seen == old => return Err(CosignError::Contradicts(409)),
                Said::Seen(seen) => self.seen = seen,
            }
        }
        Err(CosignError::Moved)
    }

    async fn ask(
        &self,
        old: u64,
        tree: &TreeHead,
        note: &Note<'_>,
        checkpoint: &str,
        objects: &(impl ReadObjects + Clone + Send + Sync + 'static),
    ) -> Result<Said, CosignError> {
        let (objects, size) = (objects.clone(), tree.size);
        let proof = spawn_blocking(move || Prover::new(&objects, size)?.consistency(old));
        let proof = proof.await.map_err(|lost| LogError::Storage(std::io::Error::other(lost)))??;
        let request = Request { old_size: old, proof, checkpoint: checkpoint.to_owned() };
        let request = self.http.post(self.url.clone()).timeout(self.timeout).body(request.encode());
        let lost = |why: NoAnswer| CosignError::Unreachable(why.to_string());
        let response = request.send().await.map_err(|error| lost(error.into()))?;
        let status = response.status();
        let is_size = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == SIZE_TYPE);
        let body = http::body(response, ANSWER_BYTES_MAX).await.map_err(lost)?;
        let body = String::from_utf8(body).map_err(|_| CosignError::Answer("no text"))?;
        match status {
            StatusCode::OK => self.believe(note.text, &body).map(Said::Cosigned),
            StatusCode::CONFLICT if is_size => {
                let size = body.strip_suffix('\n').and_then(parse_size);
                size.map(Said::Seen).ok_or(CosignError::Answer("no size of a tree"))
            }
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(CosignError::Contradicts(status.as_u16()))
            }
            other => Err(CosignError::Status(other.as_u16())),
        }
    }

    /// Returns the line of an answer that is a cosignature of this text, by this key, of now.
    fn believe(&self, text: &str, lines: &str) -> Result<Cosigned, CosignError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut answer = Err(CosignError::Signature);
        for line in lines.split_inclusive('\n') {
            let note = format!("{text}\n{line}");
            let Ok(note) = Note::parse(note.as_bytes()) else { continue };
            let Signed::Good { time: Some(time) } = self.key.check(&note) else { continue };
            if time.abs_diff(now) <= COSIGNATURE_SKEW_MAX {
                return Ok(Cosigned { line: line.to_owned(), time });
            }
            answer = Err(CosignError::Time { time, now });
        }
        answer
    }
}
