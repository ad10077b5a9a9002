//! The step between the guardian and the command: enters the control group, takes on the limits, and becomes the command.
//!
//! A process of its own, because limits and groups cannot be set on a command that runs already: it could have started others by then. Its
//! standard input is a pipe to the guardian, on which it says why it did not become the command; the pipe closes when it did.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::process::{Pid, getppid};
use rustix::stdio::{dup2_stdin, dup2_stdout};
use serde::{Deserialize, Serialize};

use super::EXIT_UNUSABLE;
use super::limits::Limits;
use super::report::Report;

/// What holds a command: said by the runner to the guardian, and by the guardian to this step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bounds {
    /// The control group that it enters.
    pub cgroup: Option<PathBuf>,
    /// What it may use.
    pub limits: Limits,
    /// What the guardian runs when nothing of the command is left, or the runner is gone: it clears up behind the command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

impl Bounds {
    /// Returns the one word that says it.
    pub(super) fn to_word(&self) -> io::Result<OsString> {
        Ok(serde_json::to_string(self)?.into())
    }

    /// Reads that word.
    pub(super) fn from_word(word: &OsString) -> io::Result<Self> {
        Ok(serde_json::from_slice(word.as_encoded_bytes())?)
    }
}

/// Becomes the command. Returns only when it cannot; the guardian has been told why.
pub(super) fn enter(bounds: &Bounds, program: &OsString, arguments: &[OsString]) -> ExitCode {
    let told = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let Ok(mut told) = told else { return ExitCode::from(EXIT_UNUSABLE) };
    let failed = match prepare(bounds) {
        Ok(()) => Report::Failed(Command::new(program).args(arguments).exec()),
        Err(error) => Report::Unbound(error),
    };
    // Without its ear there is nobody to tell.
    let _ = writeln!(told, "{failed}");
    ExitCode::from(EXIT_UNUSABLE)
}

fn prepare(bounds: &Bounds) -> io::Result<()> {
    die_with_the_guardian()?;
    if let Some(cgroup) = &bounds.cgroup {
        join(cgroup)?;
    }
    bounds.limits.set()?;
    dup2_stdin(File::open("/dev/null")?)?;
    // The guardian's own standard output is for the runner alone: the command gets the log for both of its outputs.
    dup2_stdout(io::stderr())?;
    Ok(())
}

/// Moves this process into a control group; everything that it starts begins there.
fn join(cgroup: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).open(cgroup.join("cgroup.procs"))?.write_all(b"0")
}

/// Asks for a signal at the death of the guardian, and notices if it has died before.
#[cfg(target_os = "linux")]
fn die_with_the_guardian() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    still_has_a_parent()
}

/// Elsewhere there is no such signal: the guardian's own end reaches the group.
#[cfg(not(target_os = "linux"))]
fn die_with_the_guardian() -> io::Result<()> {
    still_has_a_parent()
}

fn still_has_a_parent() -> io::Result<()> {
    match getppid() {
        Some(parent) if parent != Pid::INIT => Ok(()),
        Some(_) | None => Err(io::Error::other("the guardian is gone")),
    }
}
