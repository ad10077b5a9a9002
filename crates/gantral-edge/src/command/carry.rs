//! Running a command as it was approved, with everything of the terminal passed through.
//!
//! What the command writes goes on as it is, by way of a digest, so that what came of it can be proved. Where that is shown at a terminal the
//! command has a terminal of its own ([`super::terminal`]); otherwise it runs in the process group of its caller, and what it writes comes
//! through pipes.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};

use gantral_core::digest::Digest;
use gantral_core::json::{Object, Value};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::resolve::ResolveError;
use super::signals::Signals;
use super::terminal::{self, Keeper};
use super::{Resolved, VARIABLES_USUAL};

/// How much of the output is passed on at once.
const CHUNK_BYTES: usize = 64 << 10;
/// What a shell adds to the number of a signal that ended a process.
pub(super) const SIGNALLED: i32 = 128;
/// How a command that the system lost ended: not known, and that is not well.
pub(super) const LOST: (i32, bool) = (1, true);

/// Why a command did not run. Nothing of it did.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// It is not what was approved any more.
    #[error(transparent)]
    Changed(#[from] ResolveError),
    /// The system does not run it.
    #[error("`{program}` cannot be run: {error}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// It cannot be given a terminal.
    #[error("no terminal for it: {error}")]
    Terminal {
        /// Why.
        error: io::Error,
    },
}

/// What a command wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256.
    pub digest: Digest,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status, or what a shell makes of the signal that ended it: 128 and its number.
    pub status: i32,
    /// Whether a signal ended it.
    pub signalled: bool,
    /// What it wrote to standard output, if that is no terminal.
    pub stdout: Option<Captured>,
    /// What it wrote to standard error, if that is no terminal.
    pub stderr: Option<Captured>,
    /// What its terminal showed, byte for byte: lines end as the terminal was set to end them, and what was typed is there as far as it was
    /// echoed. None if it had no terminal of its own, or if ours took no more of it.
    pub terminal: Option<Captured>,
}

impl Ended {
    /// Tells whether it ended well.
    pub const fn is_well(&self) -> bool {
        self.status == 0 && !self.signalled
    }

    /// Returns what is reported of it.
    pub fn result(&self) -> Value {
        let captured = |captured: Option<Captured>| {
            captured.map(|it| Object::new().with("bytes", it.bytes).with("sha256", it.digest.to_hex()))
        };
        let object = Object::new()
            .with("exit_status", i64::from(self.status))
            .with("signalled", self.signalled)
            .with("stdout", captured(self.stdout))
            .with("stderr", captured(self.stderr))
            .with("terminal", captured(self.terminal));
        Value::Object(object)
    }
}

/// Runs a command once and waits for its end. Signals that ask this process to end are passed on to it, and this process stays to say what
/// came of it. `keeper` is how this program is started to keep the terminal of the command, where it needs one.
///
/// # Errors
/// [`CarryError`]: nothing ran. Whatever happens later is an end.
pub async fn carry_out(resolved: &Resolved, keeper: &Keeper) -> Result<Ended, CarryError> {
    resolved.unchanged()?;
    match (io::stdout().is_terminal(), io::stderr().is_terminal()) {
        (false, false) => piped(resolved).await,
        shown => terminal::carry(resolved, keeper, shown).await,
    }
}

/// Runs a command whose output is no terminal.
pub(super) async fn piped(resolved: &Resolved) -> Result<Ended, CarryError> {
    let program = resolved.executable.display().to_string();
    let failed = |error| CarryError::Start { program, error };
    let mut command = Command::new(&resolved.executable);
    command.args(&resolved.arguments).current_dir(&resolved.directory).env_clear().envs(variables(resolved));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // The keys of a terminal reach its whole foreground group: passed on, they would arrive twice. Caught they are, so that this process
    // stays to report.
    let keys_reach_it = io::stdin().is_terminal();
    // Before it starts, so that no signal that comes at once is lost.
    let signals = Signals::catch(&[Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT]);
    let mut child = command.spawn().map_err(failed)?;
    let stdout = child.stdout.take().map(|from| tokio::spawn(pass_on(from, io::stdout())));
    let stderr = child.stderr.take().map(|from| tokio::spawn(pass_on(from, io::stderr())));
    let status = wait(&mut child, signals, keys_reach_it).await;
    let (stdout, stderr) = (captured(stdout).await, captured(stderr).await);
    let (status, signalled) = status_of(status);
    Ok(Ended { status, signalled, stdout, stderr, terminal: None })
}

/// Returns the environment of a command.
pub(super) fn variables(resolved: &Resolved) -> impl Iterator<Item = (&str, OsString)> {
    let names = VARIABLES_USUAL.iter().copied().chain(resolved.environment.iter().map(String::as_str));
    names.filter_map(|name| std::env::var_os(name).map(|value| (name, value)))
}

fn status_of(status: io::Result<ExitStatus>) -> (i32, bool) {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => (code, false),
            (None, Some(number)) => (SIGNALLED.saturating_add(number), true),
            (None, None) => LOST,
        },
        Err(_) => LOST,
    }
}

async fn wait(child: &mut Child, mut signals: Signals, keys_reach_it: bool) -> io::Result<ExitStatus> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    loop {
        tokio::select! {
            status = child.wait() => return status,
            number = signals.next() => {
                let is_key = matches!(number, Signal::INT | Signal::QUIT);
                if let Some(pid) = pid && !(is_key && keys_reach_it) {
                    // It may have ended at this moment.
                    let _ = kill_process(pid, number);
                }
            }
        }
    }
}

/// Passes everything on as it comes, and says what it was. A reader that has gone stops nothing: the command is told as it would be.
pub(super) async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: impl Write) -> Captured {
    let mut sha = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut bytes: u64 = 0;
    while let Ok(read) = from.read(&mut chunk).await {
        let Some(some) = chunk.get(..read).filter(|some| !some.is_empty()) else { break };
        sha.update(some);
        bytes = bytes.saturating_add(u64::try_from(read).unwrap_or_default());
        if to.write_all(some).and_then(|()| to.flush()).is_err() {
            break;
        }
    }
    Captured { bytes, digest: Digest::from_bytes(sha.finalize().into()) }
}

pub(super) async fn captured(task: Option<JoinHandle<Captured>>) -> Option<Captured> {
    task?.await.ok()
}
