//! The guardian: the process between a runner and the command of an attempt.
//!
//! A runner may die at any instant, and nothing that it launched may act any further. The guardian is therefore the
//! leader of the attempt's process group and holds one end of a pipe, its standard input, whose other end only the
//! runner holds: when that closes, for whatever reason, it ends everything that descends from it, and itself. It adopts
//! the orphans among them, so that leaving the group or the session leads nowhere. A command that ends its guardian
//! dies with it, and what that leaves behind is reached by the control group, where there is one.
//!
//! What a command started elsewhere, such as a container, does not descend from the guardian. For such a command the guardian is told what to
//! run behind it, and runs that when the pipe closes. When the command ends it only says so, and waits for the runner to let go: until then
//! the runner can ask what has become of the container.
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
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// How long clearing up behind a command may take: an engine that is busy takes its time.
const CLEAR_WITHIN: Duration = Duration::from_secs(15);
/// The pause between two looks whether it is done.
const CLEAR_PAUSE: Duration = Duration::from_millis(5);
/// How often it is tried: an engine may refuse to remove what was killed a moment ago.
const CLEAR_TRIES: u32 = 5;
/// The pause after a try that failed; each further one is longer by as much.
const CLEAR_AGAIN: Duration = Duration::from_millis(50);

/// Held by the thread that clears up, so that neither ends what the other one has begun.
static CLEARING: Mutex<()> = Mutex::new(());

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
        Some(FOLLOW) => follow(words, bounds.after),
        Some(_) | None => unusable("knows no such role"),
    }
}

/// `words` begin with the role.
fn follow(words: &[OsString], after: Vec<String>) -> ExitCode {
    // The group is what gets killed; whoever started this by hand would lose more than the command.
    if getpgrp() != getpid() {
        return unusable("is started by a runner, in a process group of its own");
    }
    let deaf = match Deaf::new() {
        Ok(deaf) => deaf,
        Err(error) => return unusable(&error.to_string()),
    };
    let report = match launch(words, after.clone()) {
        Ok(Ok(child)) => watch(child),
        Ok(Err(report)) => report,
        Err(error) => Report::Failed(error),
    };
    if let (false, Report::Exited(_) | Report::Killed(_)) = (after.is_empty(), &report) {
        let _ = tell(&report);
        loop {
            // The other thread ends this process.
            std::thread::park();
        }
    }
    {
        let _only = CLEARING.lock().unwrap_or_else(PoisonError::into_inner);
        clear(&after);
    }
    drop(deaf);
    if tell(&report).is_ok() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNUSABLE) }
}

/// Starts this program again as the step before the command. Returns the command's process id, or why it did not come so far.
fn launch(words: &[OsString], after: Vec<String>) -> io::Result<Result<u32, Report>> {
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
    std::thread::Builder::new().name("lifeline".to_owned()).spawn(move || die_with_the_runner(&after))?;
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
fn die_with_the_runner(after: &[String]) {
    let mut byte = [0];
    while io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
    // Until the end of this process: the other thread, which sees the command end, has nothing more to say.
    let _only = CLEARING.lock().unwrap_or_else(PoisonError::into_inner);
    clear(after);
    let _ = kill_process_group(getpgrp(), Signal::KILL);
    std::process::exit(i32::from(EXIT_UNUSABLE));
}

/// Ends everything that descends from this process, then clears up behind it.
fn clear(after: &[String]) {
    tree::end_descendants();
    let until = Instant::now() + CLEAR_WITHIN;
    for tried in 0..CLEAR_TRIES {
        if after.is_empty() || clear_once(after, until) || Instant::now() >= until {
            break;
        }
        std::thread::sleep(CLEAR_AGAIN.saturating_mul(tried + 1));
    }
    tree::end_descendants();
}

/// Tells whether it is done. The runner looks too, if it lives.
fn clear_once(after: &[String], until: Instant) -> bool {
    let [program, arguments @ ..] = after else { return true };
    let mut clearing = Command::new(program);
    clearing.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // What asks the command to end asks its group.
    clearing.process_group(0);
    let Ok(mut clearing) = clearing.spawn() else { return true };
    loop {
        match clearing.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < until => std::thread::sleep(CLEAR_PAUSE),
            // Time is up, or the other thread has buried it.
            Ok(None) | Err(_) => return false,
        }
    }
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
