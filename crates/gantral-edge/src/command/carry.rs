//! Running a command as it was approved, with everything of the terminal passed through.
//!
//! The command runs in the process group of its caller, so that the keys of the terminal reach it as if nothing stood between. What it
//! writes goes on as it is: to a terminal directly, and otherwise by way of a digest, so that what came of it can be proved.

use std::io::{self, IsTerminal as _, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};

use gantral_core::digest::Digest;
use gantral_core::json::{Object, Value};
use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::resolve::ResolveError;
use super::{Resolved, VARIABLES_USUAL};

/// How much of the output is passed on at once.
const CHUNK_BYTES: usize = 64 << 10;
/// What a shell adds to the number of a signal that ended a process.
const SIGNALLED: i32 = 128;

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
}

/// What a command wrote, where it did not write to a terminal.
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
    /// What it wrote to standard output.
    pub stdout: Option<Captured>,
    /// What it wrote to standard error.
    pub stderr: Option<Captured>,
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
            .with("stderr", captured(self.stderr));
        Value::Object(object)
    }
}

/// Runs a command once and waits for its end. Signals that ask this process to end are passed on to it, and this process stays to say what
/// came of it.
///
/// # Errors
/// [`CarryError`]: nothing ran. Whatever happens later is an end.
pub async fn carry_out(resolved: &Resolved) -> Result<Ended, CarryError> {
    resolved.unchanged()?;
    let program = resolved.executable.display().to_string();
    let failed = |error| CarryError::Start { program, error };
    let mut command = Command::new(&resolved.executable);
    command.args(&resolved.arguments).current_dir(&resolved.directory).env_clear();
    let names = VARIABLES_USUAL.iter().copied().chain(resolved.environment.iter().map(String::as_str));
    command.envs(names.filter_map(|name| std::env::var_os(name).map(|value| (name, value))));
    let (out_shown, err_shown) = (io::stdout().is_terminal(), io::stderr().is_terminal());
    let stdio = |shown: bool| if shown { Stdio::inherit() } else { Stdio::piped() };
    command.stdout(stdio(out_shown)).stderr(stdio(err_shown));
    // Before it starts, so that no signal that comes at once is lost.
    let signals = Signals::catch();
    let mut child = command.spawn().map_err(failed)?;
    let stdout = child.stdout.take().map(|from| tokio::spawn(pass_on(from, io::stdout())));
    let stderr = child.stderr.take().map(|from| tokio::spawn(pass_on(from, io::stderr())));
    let status = wait(&mut child, signals).await;
    let (stdout, stderr) = (captured(stdout).await, captured(stderr).await);
    let (status, signalled) = status_of(status);
    Ok(Ended { status, signalled, stdout, stderr })
}

fn status_of(status: io::Result<ExitStatus>) -> (i32, bool) {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => (code, false),
            (None, Some(number)) => (SIGNALLED.saturating_add(number), true),
            (None, None) => (1, true),
        },
        // The system lost it: how it ended is not known, and that is not well.
        Err(_) => (1, true),
    }
}

/// The signals that ask a process to end.
struct Signals(Vec<(tokio::signal::unix::Signal, Signal)>);

impl Signals {
    fn catch() -> Self {
        // The keys of a terminal reach its whole foreground group: passed on, they would arrive twice.
        let keys: &[_] = if io::stdin().is_terminal() {
            &[]
        } else {
            &[(SignalKind::interrupt(), Signal::INT), (SignalKind::quit(), Signal::QUIT)]
        };
        let always = [(SignalKind::terminate(), Signal::TERM), (SignalKind::hangup(), Signal::HUP)];
        let caught = always.iter().chain(keys);
        let passed = caught.filter_map(|(kind, number)| Some((signal(*kind).ok()?, *number)));
        let mut all: Vec<_> = passed.collect();
        if io::stdin().is_terminal() {
            // Caught and not passed on: this process stays to report.
            let stays = [SignalKind::interrupt(), SignalKind::quit()].into_iter();
            all.extend(stays.filter_map(|kind| Some((signal(kind).ok()?, Signal::CONT))));
        }
        Self(all)
    }

    /// Returns the next signal that has come.
    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (stream, number) in &mut self.0 {
                if let std::task::Poll::Ready(Some(())) = stream.poll_recv(context) {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

async fn wait(child: &mut Child, mut signals: Signals) -> io::Result<ExitStatus> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    loop {
        tokio::select! {
            status = child.wait() => return status,
            number = signals.next() => {
                if let Some(pid) = pid {
                    // It may have ended at this moment.
                    let _ = kill_process(pid, number);
                }
            }
        }
    }
}

/// Passes everything on as it comes, and says what it was. A reader that has gone stops nothing: the command is told as it would be.
async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: impl Write) -> Captured {
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

async fn captured(task: Option<JoinHandle<Captured>>) -> Option<Captured> {
    task?.await.ok()
}
