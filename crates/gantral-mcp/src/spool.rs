//! What outlives this process: calls that were asked for, that wait, that were sent, and results that nobody has read.
//!
//! One file for each call, for the owner alone, with a line for each step, written before the step is taken. One that was begun, and of which
//! nothing more is known, was perhaps done, and is never sent again.
//!
//! Against a crash of the machine, which takes what was not flushed: that a call was asked for is durable before it is sent, and says on
//! which start of the machine that was. On another start nobody knows what followed, so it was perhaps done too. That is flushed while
//! the server answers, and costs the call nothing. A call that waits for humans outlives the machine: that it waits is durable, and from then
//! on that it was begun is durable before it is sent.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use gantral_edge::{boot, private};
use serde::{Deserialize, Serialize};

use crate::authority::{Denial, Pending, Permit};
use crate::seal::Keyring;
use crate::task::{Handle, TaskId};
use crate::withheld::Withheld;

/// The most calls that are kept: one more is refused before it is asked for.
pub const CALLS_MAX: usize = 4096;
/// The largest file that is read back, in bytes: arguments and a result, each of which is limited.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// The largest file of what was refused, in bytes: of more, the older half goes.
const REFUSED_BYTES_MAX: u64 = 1 << 20;

/// What members are sealed for that are withheld.
const WITHHELD: &str = "gantral/mcp/withheld/v1";

/// How much chance is in the name of a session, in bytes.
const SESSION_BYTES: usize = 16;

/// A folder of calls.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
    /// The start of the machine, if it has a name.
    boot: Option<String>,
}

/// A call as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Names the call: the same server, tool, schema and arguments.
    pub key: String,
    /// The tool.
    pub tool: String,
    /// The digest of its schema; none if the server lists no such tool.
    pub schema_digest: Option<String>,
    /// The arguments with their defaults, canonical.
    pub arguments: String,
    /// The parameters beside name and arguments, as they were written.
    pub rest: Vec<(String, String)>,
    /// The task that stands for it, once a client was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Handle>,
    /// Whether members of it are withheld: without them it is not sent.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub withheld: bool,
    /// The states that clients hold and have not brought back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<String>,
    /// The start of the machine on which it was asked for, as long as what follows is not flushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
    /// How far it is.
    pub stage: Stage,
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is asked for; whether the server knows is not certain.
    Asking,
    /// It was asked for when the machine went down, and whatever followed is forgotten. Never written: it is what is found.
    Fallen,
    /// It was asked for without an answer, and its client was told so: nothing is done unless a client sends it again.
    Unasked,
    /// Humans decide.
    Waiting {
        /// The gate.
        pending: Pending,
    },
    /// It was sent, or is about to be: what came of it is not known.
    Begun {
        /// Under what.
        permit: Permit,
    },
    /// It was answered, and the answer is not reported yet.
    Answered {
        /// Under what.
        permit: Permit,
        /// What came of it.
        outcome: Outcome,
    },
    /// Nothing more happens; the client has not read it yet.
    Settled {
        /// What came of it.
        outcome: Outcome,
    },
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The server answered.
    Done {
        /// Whether it says that it did what was asked.
        succeeded: bool,
        /// The members of its answer but for the id: `result` or `error`, and the value as it was written.
        answer: (String, String),
    },
    /// Refused: nothing was sent.
    Denied {
        /// Why.
        denial: Denial,
    },
    /// Nothing was sent, for a reason that is no decision.
    NotDone {
        /// A stable word.
        code: String,
        /// Why.
        why: String,
    },
    /// It was sent, and nobody knows what came of it.
    Unknown {
        /// Why.
        why: String,
    },
}

/// A call of this process alone, as long as this is held.
#[derive(Debug)]
pub struct Owned {
    path: PathBuf,
    /// Locked.
    file: File,
}

impl Spool {
    /// Opens a folder, which is made if it is not there.
    ///
    /// # Errors
    /// The system's.
    pub fn open(folder: impl Into<PathBuf>) -> io::Result<Self> {
        Self::on(folder.into(), boot::id())
    }

    fn on(folder: PathBuf, boot: Option<String>) -> io::Result<Self> {
        private::directory(&folder)?;
        Ok(Self { folder, boot })
    }

    /// Returns the start of the machine, for a call that is to be asked for.
    pub fn boot(&self) -> Option<String> {
        self.boot.clone()
    }

    /// Returns the name of the session that the calls of this folder belong to: made once, at random.
    ///
    /// # Errors
    /// The system's.
    pub fn session(&self) -> io::Result<String> {
        private::name_once(&self.folder.join("session"), "mcp-", SESSION_BYTES)
    }

    /// Takes a call for this process; `None` while another one, or another part of this one, has it.
    ///
    /// # Errors
    /// The system's.
    pub fn own(&self, key: &str) -> io::Result<Option<(Owned, Option<Kept>)>> {
        let path = self.folder.join(format!("{key}.call"));
        loop {
            let file = open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // It may have been forgotten, and removed, before it was locked.
            let there = std::fs::metadata(&path).map(|there| there.ino());
            if there.is_ok_and(|inode| file.metadata().is_ok_and(|own| own.ino() == inode)) {
                let kept = last_line(&file)?.map(|kept| kept.found_on(self.boot.as_ref()));
                return Ok(Some((Owned { path, file }, kept)));
            }
        }
    }

    /// Returns the keys of the calls that are kept.
    ///
    /// # Errors
    /// The system's.
    pub fn calls(&self) -> io::Result<Vec<String>> {
        private::named(&self.folder, ".call")
    }

    /// Returns a call that is over and whose task may still be asked for.
    ///
    /// # Errors
    /// The system's.
    pub fn task(&self, id: &TaskId) -> io::Result<Option<Kept>> {
        let path = self.folder.join(format!("{id}.task"));
        match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => last_line(&file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the tasks of calls that are over.
    ///
    /// # Errors
    /// The system's.
    pub fn tasks(&self) -> io::Result<Vec<TaskId>> {
        Ok(private::named(&self.folder, ".task")?.iter().filter_map(|id| TaskId::parse(id)).collect())
    }

    /// Forgets a task: nobody may ask for it any more.
    ///
    /// # Errors
    /// The system's.
    pub fn forget_task(&self, id: &TaskId) -> io::Result<()> {
        private::remove(&self.folder.join(format!("{id}.task")))
    }

    /// Writes down, sealed, what is withheld of a call; durable before anything is asked.
    ///
    /// # Errors
    /// The system's; the call may not be asked for then.
    pub fn withhold(&self, key: &str, plain: &[u8]) -> io::Result<()> {
        let sealed = self.withheld_keys().seal(&format!("{WITHHELD}/{key}"), plain)?;
        let path = self.folder.join(format!("{key}.withheld"));
        let mut file = private::open(OpenOptions::new().write(true).create(true).truncate(true), &path)?;
        file.write_all(&sealed)?;
        file.sync_data()
    }

    /// Returns what is withheld of a call.
    ///
    /// # Errors
    /// It is gone, or is not what was sealed for this call.
    pub fn withheld(&self, key: &str) -> io::Result<Withheld> {
        let file = File::open(self.folder.join(format!("{key}.withheld")))?;
        let mut sealed = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut sealed)?;
        let plain = self.withheld_keys().open(&format!("{WITHHELD}/{key}"), &sealed);
        let plain = plain.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Withheld::read(&plain).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Erases what is withheld of a call: nothing of it is sent any more.
    ///
    /// # Errors
    /// The system's.
    pub fn erase_withheld(&self, key: &str) -> io::Result<()> {
        private::remove(&self.folder.join(format!("{key}.withheld")))
    }

    /// Returns the keys under which members are withheld.
    pub fn withheld_keys(&self) -> Keyring {
        self.keys("withheld.keys", None)
    }

    /// Returns a file of keys beside the calls.
    pub fn keys(&self, name: &str, rotates_after_ms: Option<u64>) -> Keyring {
        Keyring::new(self.folder.join(name), rotates_after_ms)
    }

    /// Writes down what was refused, one line each; a file that is full makes room for a new one.
    ///
    /// # Errors
    /// The system's.
    pub fn note_refusal(&self, line: &str) -> io::Result<()> {
        let path = self.folder.join("refused.jsonl");
        let mut file = open(&path)?;
        if file.metadata()?.len() >= REFUSED_BYTES_MAX {
            std::fs::rename(&path, self.folder.join("refused.old.jsonl"))?;
            file = open(&path)?;
        }
        file.write_all(format!("{line}\n").as_bytes())
    }
}

impl Kept {
    /// Returns it as it is found on a start of the machine.
    fn found_on(self, boot: Option<&String>) -> Self {
        match self.stage {
            Stage::Asking if self.boot.is_some() && self.boot.as_ref() != boot => {
                Self { stage: Stage::Fallen, ..self }
            }
            _ => self,
        }
    }

    /// Goes to another stage. A call that waits, or whose client was sent away, is on no start of the machine: it may outlive it.
    pub fn step(&mut self, stage: Stage) {
        if matches!(stage, Stage::Waiting { .. } | Stage::Unasked) {
            self.boot = None;
        }
        self.stage = stage;
    }

    /// Tells whether it must be flushed before the step that it tells of is taken.
    fn is_flushed(&self) -> bool {
        match self.stage {
            Stage::Begun { .. } => self.boot.is_none(),
            Stage::Waiting { .. } | Stage::Unasked => true,
            Stage::Asking | Stage::Fallen | Stage::Answered { .. } | Stage::Settled { .. } => false,
        }
    }
}

impl Owned {
    /// Writes a step down.
    ///
    /// # Errors
    /// The system's; the step may not be taken.
    pub fn keep(&self, call: &Kept) -> io::Result<()> {
        let mut line = serde_json::to_vec(call)?;
        line.push(b'\n');
        (&self.file).write_all(&line)?;
        if call.is_flushed() { self.file.sync_data() } else { Ok(()) }
    }

    /// Returns what makes durable that there is the call, and what was written of it. Blocks on the disk.
    ///
    /// # Errors
    /// The system's.
    pub fn flush(&self) -> io::Result<impl FnOnce() -> io::Result<()> + Send + 'static> {
        let (file, folder) = (self.file.try_clone()?, self.path.parent().map(Path::to_owned));
        Ok(move || {
            file.sync_data()?;
            folder.map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        })
    }

    /// Forgets the call: its client has what came of it.
    ///
    /// # Errors
    /// The system's.
    pub fn forget(&self) -> io::Result<()> {
        // What is withheld of it is erased as it is settled; of a call that never was, a crash may have left it.
        private::remove(&self.path.with_extension("withheld"))?;
        private::remove(&self.path)
    }

    /// Lets the same call be a new one, and keeps what came of it under its task.
    ///
    /// # Errors
    /// The system's.
    pub fn retire(&self, task: &TaskId) -> io::Result<()> {
        std::fs::rename(&self.path, self.path.with_file_name(format!("{task}.task")))
    }
}

fn open(path: &Path) -> io::Result<File> {
    private::open(OpenOptions::new().read(true).append(true).create(true), path)
}

/// Reads the last step. A crash of the machine may have cut off a line, whose step was not taken then; a whole line that cannot be read is an
/// error, because its step was.
fn last_line(file: &File) -> io::Result<Option<Kept>> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end.saturating_add(1));
    if whole < bytes.len() {
        file.set_len(u64::try_from(whole).unwrap_or_default())?;
        bytes.truncate(whole);
    }
    let last = bytes.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    last.map(serde_json::from_slice).transpose().map_err(io::Error::from)
}

#[cfg(test)]
mod tests;
