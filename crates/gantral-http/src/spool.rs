//! What outlives this process: that a request was sent, what came of it until that is reported, and answers that nobody has read.
//!
//! A folder for its owner alone, of one process at a time. No header that a client sent and no body lies there under a name: a request that waits
//! and whose process dies goes on when it comes again. What was sent is durable before it is sent, so that it is never taken for unsent.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use gantral_api::wire::{Document, text};
use gantral_core::digest::Hasher;
use gantral_core::ids::SessionId;
use gantral_edge::private;
use serde::{Deserialize, Serialize};

use crate::reply::Problem;

/// The longest record that is read, in bytes: headers and a few words.
const RECORD_BYTES_MAX: u64 = 1 << 20;
/// How many characters of digests tell clients apart: 96 bits.
const CLIENT_DIGITS: usize = 24;
/// How much chance is in the name of who this is, in bytes.
const IDENTITY_BYTES: usize = 32;

/// A folder of calls.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    identity: String,
    _lock: File,
}

/// What is kept of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// It was sent, or is about to be: what came of it is not known.
    Begun,
    /// It is over, and that is not reported yet.
    Over {
        /// What is to be reported.
        owed: Owed,
        /// What whoever sent it is told.
        told: Told,
    },
    /// It is over and reported, and nobody has read the answer.
    Settled {
        /// What whoever sent it is told.
        told: Told,
        /// Until when it is kept, in milliseconds since 1970.
        until_ms: u64,
    },
}

/// A report that is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// The call.
    pub instance: text::InstanceId,
    /// The grant; none where policy is only observed.
    pub grant: Option<text::GrantId>,
    /// What came of it.
    pub status: text::OutcomeStatus,
    /// What there is to say of it.
    pub result: Option<Document>,
    /// Whether humans decided on it.
    pub waited: bool,
}

/// What whoever sent a request is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// The service answered; the body is in a file beside the record.
    Answer(AnswerHead),
    /// Nothing was sent.
    Problem(Problem),
}

/// The head of an answer of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerHead {
    /// The status.
    pub status: u16,
    /// The headers that are text and no credential.
    pub headers: Vec<(String, String)>,
}

impl Spool {
    /// Opens a folder, and makes it if it is not there.
    ///
    /// # Errors
    /// The system's, and `WouldBlock` while another process has it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        private::directory(folder)?;
        let lock = private::open(writing().create(true), &folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "another process uses it"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let identity = private::name_once(&folder.join("identity"), "", IDENTITY_BYTES)?;
        Ok(Self { folder: folder.to_owned(), identity, _lock: lock })
    }

    /// Returns the name of the session of a client, which is known by its credentials: it differs for others and in other folders, and tells
    /// nothing of them.
    ///
    /// # Errors
    /// None: it is always a name.
    pub fn session(&self, credentials: &[&[u8]]) -> io::Result<SessionId> {
        let name = Hasher::new("gantral/http/spool/v1").text(&self.identity).finish().to_hex();
        let mut hasher = Hasher::new("gantral/http/client/v1").text(&self.identity);
        for credential in credentials {
            hasher = hasher.bytes(credential);
        }
        let client = hasher.finish().to_hex();
        let cut = |text: &str| text.get(..CLIENT_DIGITS).unwrap_or_default().to_owned();
        SessionId::parse(&format!("http-{}-{}", cut(&name), cut(&client))).map_err(io::Error::other)
    }

    /// Reads what is kept of a call.
    ///
    /// # Errors
    /// The system's; whether it was sent is not known then.
    pub fn read(&self, key: &str) -> io::Result<Option<Record>> {
        let file = match File::open(self.record(key)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(RECORD_BYTES_MAX).read_to_end(&mut bytes)?;
        serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from)
    }

    /// Keeps a record in place of an earlier one, durable when this returns.
    ///
    /// # Errors
    /// The system's; the step that it speaks of may not be taken.
    pub fn keep(&self, key: &str, record: &Record) -> io::Result<()> {
        let beside = self.folder.join(format!("{key}.new"));
        let mut file = private::open(writing().create(true).truncate(true), &beside)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.sync_data()?;
        std::fs::rename(&beside, self.record(key))?;
        File::open(&self.folder)?.sync_all()
    }

    /// Makes the file for the body of an answer, empty.
    ///
    /// # Errors
    /// The system's.
    pub fn new_body(&self, key: &str) -> io::Result<File> {
        // One that is still read by a client stays as it is.
        private::remove(&self.body(key))?;
        private::open(writing().read(true).create_new(true), &self.body(key))
    }

    /// Opens the body of an answer.
    ///
    /// # Errors
    /// The system's.
    pub fn open_body(&self, key: &str) -> io::Result<File> {
        File::open(self.body(key))
    }

    /// Makes a file without a name.
    ///
    /// # Errors
    /// The system's.
    pub fn scratch(&self) -> io::Result<File> {
        let number = getrandom::u64().map_err(io::Error::other)?;
        let path = self.folder.join(format!("{number:016x}.scratch"));
        let file = private::open(writing().read(true).create_new(true), &path)?;
        std::fs::remove_file(&path)?;
        Ok(file)
    }

    /// Forgets a call.
    ///
    /// # Errors
    /// The system's.
    pub fn forget(&self, key: &str) -> io::Result<()> {
        private::remove(&self.record(key))?;
        private::remove(&self.body(key))
    }

    /// Returns the keys of the calls that are kept.
    ///
    /// # Errors
    /// The system's.
    pub fn keys(&self) -> io::Result<Vec<String>> {
        private::named(&self.folder, ".call")
    }

    fn record(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.call"))
    }

    fn body(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.answer"))
    }
}

fn writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn folder_is_of_one_process_and_remembers_who_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let spool = Spool::open(&path).unwrap();
        assert_eq!(Spool::open(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let of =
            |spool: &Spool, credential: &str| spool.session(&[credential.as_bytes()]).unwrap().to_string();
        let (one, other) = (of(&spool, "Bearer a"), of(&spool, "Bearer b"));
        assert_ne!(one, other);
        assert_eq!(one.rsplit_once('-').unwrap().0, other.rsplit_once('-').unwrap().0);
        drop(spool);
        assert_eq!(of(&Spool::open(&path).unwrap(), "Bearer a"), one);
        let elsewhere = Spool::open(&folder.path().join("other")).unwrap();
        assert_ne!(of(&elsewhere, "Bearer a"), one);
    }

    #[test]
    fn record_is_read_as_it_was_kept_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        assert_eq!(spool.read("a").unwrap(), None);
        spool.keep("a", &Record::Begun).unwrap();
        let head = AnswerHead { status: 201, headers: vec![("x".to_owned(), "y".to_owned())] };
        let settled = Record::Settled { told: Told::Answer(head), until_ms: 5 };
        spool.keep("a", &settled).unwrap();
        assert_eq!(spool.read("a").unwrap(), Some(settled));
        spool.new_body("a").unwrap().write_all(b"body").unwrap();
        for name in ["a.call", "a.answer", "identity"] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert_eq!(spool.keys().unwrap(), ["a"]);
        spool.forget("a").unwrap();
        assert!(spool.keys().unwrap().is_empty() && spool.open_body("a").is_err());
        std::fs::write(folder.path().join("b.call"), "{").unwrap();
        assert!(spool.read("b").is_err(), "what cannot be read is not taken for nothing");
    }

    #[test]
    fn scratch_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        let before = std::fs::read_dir(folder.path()).unwrap().count();
        let _scratch = spool.scratch().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before);
    }
}
