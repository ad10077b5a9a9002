//! The guardian: the process between a runner and the command of an attempt.
//!
//! A runner may die at any instant, and nothing that it launched may act any further. The guardian is therefore the
//! leader of the attempt's process group and holds one end of a pipe, its standard input, whose other end only the
//! runner holds: when that closes, for whatever reason, it kills the whole group with itself. Unlike a death signal of
//! the kernel this reaches grandchildren, and does not depend on which thread of the runner launched it. What leaves
//! the group on purpose is not reached; contain such commands by other means.
//!
//! On its standard output the guardian tells the runner what became of the command; the command itself writes to the
//! guardian's standard error, which is the runner's log. Source: `spec/runner.md` §5.

mod launch;
mod report;

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, Stdio};

use rustix::process::{Pid, Signal, getpgrp, getpid, kill_process_group};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

pub use launch::{Ended, LaunchError, Launcher};
pub(crate) use launch::{Launched, Plan};
use report::Report;

/// The exit status of a guardian that could not do its work.
const EXIT_UNUSABLE: u8 = 125;

/// Becomes the guardian of a command: called by the hidden subcommand that [`Launcher`] names, never by people.
///
/// Launches `command` with an empty standard input, waits for its end, and tells the runner. Blocks the caller.
pub fn guard(command: &[OsString]) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else { return unusable("names no command") };
    // The group is what gets killed; whoever started this by hand would lose more than the command.
    if getpgrp() != getpid() {
        return unusable("is started by a runner, in a process group of its own");
    }
    let deaf = match Deaf::new() {
        Ok(deaf) => deaf,
        Err(error) => return unusable(&error.to_string()),
    };
    let report = match launch(program, arguments) {
        Ok(child) => follow(child),
        Err(error) => Report::Failed(error),
    };
    drop(deaf);
    if tell(&report).is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNUSABLE) }
}

fn launch(program: &OsString, arguments: &[OsString]) -> io::Result<Child> {
    // Standard output is for the runner alone: the command gets the log for both of its outputs.
    let log = io::stderr().as_fd().try_clone_to_owned()?;
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(log).spawn()?;
    std::thread::Builder::new().name("lifeline".to_owned()).spawn(die_with_the_runner)?;
    Ok(child)
}

fn follow(mut child: Child) -> Report {
    // A runner that is gone is noticed by the other thread.
    let _ = tell(&Report::Started(child.id()));
    match child.wait() {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Report::Exited(code),
            (None, signal) => Report::Killed(signal.unwrap_or_default()),
        },
        Err(error) => Report::Failed(error),
    }
}

/// Waits until the runner lets go, then kills everything that was launched, and this process with it.
fn die_with_the_runner() {
    let mut byte = [0];
    while io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
    let _ = kill_process_group(getpgrp(), Signal::KILL);
    std::process::exit(i32::from(EXIT_UNUSABLE));
}

fn tell(report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{report}")?;
    out.flush()
}

fn unusable(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: `runner-child` {why}");
    ExitCode::from(EXIT_UNUSABLE)
}

/// Deafness to the signals that ask a group to end: the command may take its time, the guardian waits for it.
struct Deaf {
    _runtime: tokio::runtime::Runtime,
    _signals: Vec<SignalStream>,
}

impl Deaf {
    fn new() -> io::Result<Self> {
        // On a thread of its own, because the caller may be inside a runtime, where no other may begin.
        let build = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            let signals = {
                let _inside = runtime.enter();
                [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()]
                    .into_iter()
                    .map(signal)
                    .collect::<io::Result<Vec<_>>>()?
            };
            Ok(Self { _runtime: runtime, _signals: signals })
        };
        std::thread::spawn(build).join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
    }
}

/// Returns the group of a process that leads one.
fn group_of(process: u32) -> Option<Pid> {
    i32::try_from(process).ok().and_then(Pid::from_raw)
}
