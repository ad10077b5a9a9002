//! The guardian: the process between a runner and the command of an attempt.
//!
//! A runner may die at any instant, and nothing that it launched may act any further. The guardian is therefore the
//! leader of the attempt's process group and holds one end of a pipe, its standard input, whose other end only the
//! runner holds: when that closes, for whatever reason, it ends everything that descends from it, and itself. It adopts
//! the orphans among them, so that leaving the group or the session leads nowhere. A command that ends its guardian
//! dies with it, and what that leaves behind is reached by the control group, where there is one.
//!
//! On its standard output the guardian tells the runner what became of the command; the command itself writes to the
//! guardian's standard error, which is the runner's log. Source: `spec/runner.md` §5.

mod cgroup;
mod enter;
mod launch;
mod limits;
mod report;
pub mod tree;

use std::ffi::OsString;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, Signal, getpgrp, getpid, kill_process_group};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

pub(crate) use cgroup::Cgroups;
pub use cgroup::{CgroupError, CgroupLimits, CgroupPlace};
use enter::Bounds;
pub use launch::{Ended, LaunchError, Launcher};
pub(crate) use launch::{Launched, Plan, Tree};
pub use limits::Limits;
use report::{LINE_BYTES_MAX, Report};
use tree::Waited;

/// The exit status of a guardian that could not do its work.
const EXIT_UNUSABLE: u8 = 125;
/// The role of the process that follows the command.
const FOLLOW: &str = "follow";
/// The role of the process that becomes the command.
const ENTER: &str = "enter";

/// Becomes the guardian of a command, or the step between the two: called by the hidden subcommand that [`Launcher`] names, never by
/// people, with the words that it was given.
///
/// Launches the command with an empty standard input, waits for its end, ends what is left of it, and tells the runner. Blocks the caller.
pub fn guard(words: &[OsString]) -> ExitCode {
    let [role, bounds, program, arguments @ ..] = words else { return unusable("names no command") };
    let bounds = match Bounds::from_word(bounds) {
        Ok(bounds) => bounds,
        Err(error) => return unusable(&error.to_string()),
    };
    match role.to_str() {
        Some(ENTER) => enter::enter(&bounds, program, arguments),
        Some(FOLLOW) => follow(words),
        Some(_) | None => unusable("knows no such role"),
    }
}

/// `words` begin with the role.
fn follow(words: &[OsString]) -> ExitCode {
    // The group is what gets killed; whoever started this by hand would lose more than the command.
    if getpgrp() != getpid() {
        return unusable("is started by a runner, in a process group of its own");
    }
    let deaf = match Deaf::new() {
        Ok(deaf) => deaf,
        Err(error) => return unusable(&error.to_string()),
    };
    let report = match launch(words) {
        Ok(Ok(child)) => watch(child),
        Ok(Err(report)) => report,
        Err(error) => Report::Failed(error),
    };
    tree::end_descendants();
    drop(deaf);
    if tell(&report).is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNUSABLE) }
}

/// Starts this program again as the step before the command. Returns the command's process id, or why it did not come so far.
fn launch(words: &[OsString]) -> io::Result<Result<u32, Report>> {
    tree::adopt_orphans()?;
    let own = std::env::args_os();
    let ours = own.len().saturating_sub(words.len());
    let before: Vec<OsString> = own.take(ours).skip(1).collect();
    let log = io::stderr().as_fd().try_clone_to_owned()?;
    let (said, ear) = io::pipe()?;
    // What the step itself prints is for nobody: its own standard output is the log from when it becomes the command.
    let child = Command::new(std::env::current_exe()?)
        .args(before)
        .arg(ENTER)
        .args(words.iter().skip(1))
        .stdin(OwnedFd::from(ear))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    std::thread::Builder::new().name("lifeline".to_owned()).spawn(die_with_the_runner)?;
    // Ends as soon as the step has become the command.
    let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut line = String::new();
    io::BufReader::new(said.take(limit)).read_line(&mut line)?;
    Ok(Report::parse(&line).map_or(Ok(child.id()), Err))
}

fn watch(child: u32) -> Report {
    // A runner that is gone is noticed by the other thread.
    let _ = tell(&Report::Started(child));
    match tree::wait_for(child) {
        Ok(Waited::Exited(code)) => Report::Exited(code),
        Ok(Waited::Killed(signal)) => Report::Killed(signal),
        Err(error) => Report::Failed(error),
    }
}

/// Waits until the runner lets go, then ends everything that was launched, and this process with it.
fn die_with_the_runner() {
    let mut byte = [0];
    while io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
    tree::end_descendants();
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
