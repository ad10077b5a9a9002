//! The runner's end: launching a guardian, following it, and killing what it leads.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout_at};

use super::cgroup::Cgroup;
use super::enter::Bounds;
use super::limits::Limits;
use super::report::{LINE_BYTES_MAX, LINES_MAX, Report};
use super::{CLEAR_WITHIN, EXIT_UNUSABLE, FOLLOW, cgroup, group_of, tree};

/// How long a guardian may take to end what it leads. One that a command has stopped is not waited for any longer.
const SWEEP_WITHIN: Duration = Duration::from_secs(2);

/// How a guardian is started: a program, and the words that stand before the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// What stands before the words of the command; the program must then call [`super::guard`] with those words.
    pub arguments: Vec<OsString>,
}

impl Launcher {
    /// Returns the launcher of the program that runs now: `<this program> runner-child -- <command…>`.
    ///
    /// # Errors
    /// If the system does not say which program this is.
    pub fn this_program() -> io::Result<Self> {
        let arguments = vec![OsString::from("runner-child"), OsString::from("--")];
        Ok(Self { program: std::env::current_exe()?, arguments })
    }
}

/// Why a command was not launched. Nothing of it ran.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The guardian did not start.
    #[error("`{program}` cannot be started: {error}")]
    Guardian {
        /// The program.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// The guardian did not find, or could not run, the command.
    #[error("the command `{program}` cannot be run: {error}")]
    Command {
        /// The first word of the command.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// A limit or the control group could not be set.
    #[error("the limits of `{program}` cannot be set: {error}")]
    Bounds {
        /// The first word of the command.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// The guardian ended without a word.
    #[error("`{program}` is not a guardian: it said nothing")]
    Silent {
        /// The program.
        program: String,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with a status.
    Exited(i32),
    /// By a signal.
    Killed(i32),
}

impl Ended {
    /// Returns the exit status as it is reported: the negative number of a signal.
    pub const fn exit_status(self) -> i32 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => signal.saturating_neg(),
        }
    }
}

/// What is to be launched.
pub(crate) struct Plan<'a> {
    /// Program and arguments.
    pub command: &'a [String],
    /// The whole environment.
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// The working directory.
    pub directory: Option<&'a Path>,
    /// What it may use.
    pub limits: &'a Limits,
    /// The control group that it enters.
    pub cgroup: Option<Cgroup>,
    /// What the guardian runs behind the command, however that ends; nothing when empty.
    pub after: &'a [String],
    /// Until when it is waited for a word on whether there is a command.
    pub until: Instant,
}

/// A process that runs, with everything that it started.
///
/// Dropping it kills all of them: the lifeline closes.
pub(crate) struct Launched {
    guardian: Child,
    /// The guardian's process id, which is the id of the group.
    leader: u32,
    /// The command's process id.
    pub process: u32,
    words: BufReader<ChildStdout>,
    /// What was read of a line that is not complete.
    line: Vec<u8>,
    /// What the guardian said of the end.
    report: Option<Report>,
    /// Open as long as the runner wants the processes to live.
    lifeline: Option<ChildStdin>,
    /// Holds the command and what it started.
    cgroup: Option<Cgroup>,
    /// How long the guardian may take to end what it leads, and to clear up.
    sweep_within: Duration,
    reaped: bool,
}

/// The processes of one attempt: what the guardian started, however far it has moved away. Good as long as the attempt lives.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    leader: u32,
    cgroup: Option<PathBuf>,
}

impl Tree {
    /// Tells whether a process is one of them.
    pub(crate) fn holds(&self, process: i32) -> bool {
        let by_group = self.cgroup.as_ref().is_some_and(|folder| cgroup::holds(folder, process));
        by_group || i32::try_from(self.leader).is_ok_and(|leader| tree::descends_from(process, leader))
    }
}

impl Launcher {
    /// Launches a command. The reader yields what it writes, both outputs in one stream.
    pub(crate) async fn launch(&self, plan: Plan<'_>) -> Result<(Launched, io::PipeReader), LaunchError> {
        let failed = |error| LaunchError::Guardian { program: self.program.display().to_string(), error };
        let (output, log) = io::pipe().map_err(failed)?;
        let cgroup = plan.cgroup;
        let bounds = Bounds {
            cgroup: cgroup.as_ref().map(|group| group.folder().to_owned()),
            limits: plan.limits.clone(),
            after: plan.after.to_vec(),
        };
        let sweep_within =
            if plan.after.is_empty() { SWEEP_WITHIN } else { SWEEP_WITHIN.saturating_add(CLEAR_WITHIN) };
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg(FOLLOW)
            .arg(bounds.to_word().map_err(failed)?)
            .args(plan.command)
            .env_clear()
            .envs(plan.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0);
        if let Some(directory) = plan.directory {
            command.current_dir(directory);
        }
        let mut guardian = command.spawn().map_err(failed)?;
        // The writing end of the log lives in `command`; while it does, the log would never end.
        drop(command);
        let silent = || LaunchError::Silent { program: self.program.display().to_string() };
        let (Some(leader), Some(words)) = (guardian.id(), guardian.stdout.take()) else {
            return Err(silent());
        };
        let lifeline = guardian.stdin.take();
        let words = BufReader::new(words);
        let (line, report) = (Vec::new(), None);
        let mut launched = Launched {
            guardian,
            leader,
            process: leader,
            words,
            line,
            report,
            lifeline,
            cgroup,
            sweep_within,
            reaped: false,
        };
        let program = || plan.command.first().map(String::as_str).unwrap_or_default().to_owned();
        // A command that was quick may have stopped the guardian before it could say a word.
        let Ok(word) = timeout_at(plan.until, launched.word()).await else { return Ok((launched, output)) };
        match word {
            Some(Report::Started(process)) => {
                launched.process = process;
                Ok((launched, output))
            }
            Some(Report::Failed(error)) => {
                launched.finish().await;
                Err(LaunchError::Command { program: program(), error })
            }
            Some(Report::Unbound(error)) => {
                launched.finish().await;
                Err(LaunchError::Bounds { program: program(), error })
            }
            Some(Report::Exited(_) | Report::Killed(_)) | None => match launched.finish().await {
                // By the command, perhaps, before it could say that there is one: nobody knows that nothing ran.
                Ended::Killed(signal) => {
                    launched.report = Some(Report::Killed(signal));
                    Ok((launched, output))
                }
                Ended::Exited(_) => Err(silent()),
            },
        }
    }
}

impl Launched {
    /// Waits until the command has ended and nothing is left of what it started. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Ended {
        if self.report.is_none() {
            self.report = match self.lifeline {
                Some(_) => self.word().await,
                // One that was stopped says nothing; it is killed next.
                None => tokio::time::timeout(self.sweep_within, self.word()).await.unwrap_or_default(),
            };
        }
        let guardian = self.finish().await;
        match &self.report {
            Some(Report::Exited(status)) => Ended::Exited(*status),
            Some(Report::Killed(signal)) => Ended::Killed(*signal),
            // The guardian was killed, and its group with it, or it could not follow the command: nobody knows that this ended well.
            Some(Report::Started(_) | Report::Failed(_) | Report::Unbound(_)) | None => match guardian {
                Ended::Exited(_) => Ended::Exited(i32::from(EXIT_UNUSABLE)),
                Ended::Killed(signal) => Ended::Killed(signal),
            },
        }
    }

    /// Waits until the guardian says how the command ended; `None` if it never will. May be dropped and called again.
    ///
    /// For a command that is cleared up behind: the guardian waits for [`Self::kill`] then.
    pub(crate) async fn said(&mut self) -> Option<Ended> {
        if self.report.is_none() {
            self.report = self.word().await;
        }
        match &self.report {
            Some(Report::Exited(status)) => Some(Ended::Exited(*status)),
            Some(Report::Killed(signal)) => Some(Ended::Killed(*signal)),
            Some(Report::Started(_) | Report::Failed(_) | Report::Unbound(_)) | None => None,
        }
    }

    /// Asks every process of the group to end.
    pub(crate) fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends everything that was launched: what is in the control group at once, the rest by the guardian.
    pub(crate) fn kill(&mut self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        self.lifeline = None;
    }

    /// Returns what tells the processes of this attempt from all others.
    pub(crate) fn tree(&self) -> Tree {
        Tree { leader: self.leader, cgroup: self.cgroup.as_ref().map(|group| group.folder().to_owned()) }
    }

    fn signal(&self, signal: Signal) {
        // Until the guardian is reaped its number belongs to this group and to nobody else.
        if let (false, Some(group)) = (self.reaped, group_of(self.leader)) {
            let _ = kill_process_group(group, signal);
        }
    }

    /// Waits for the guardian's end without reaping it, kills what is left of the group, and reaps it.
    async fn finish(&mut self) -> Ended {
        let leader = self.leader;
        let exited = move || {
            group_of(leader)
                .map(|leader| waitid(WaitId::Pid(leader), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT))
        };
        let mut exited = tokio::task::spawn_blocking(exited);
        if self.lifeline.is_some() {
            let _ = (&mut exited).await;
        } else if tokio::time::timeout(self.sweep_within, &mut exited).await.is_err() {
            tracing::warn!(guardian = self.leader, "a guardian did not end what it leads, and is killed");
        }
        self.signal(Signal::KILL);
        self.kill();
        let status = self.guardian.wait().await;
        self.reaped = true;
        if let Some(cgroup) = self.cgroup.take() {
            // Waits until it is empty, on a thread that may wait.
            let _ = tokio::task::spawn_blocking(move || drop(cgroup)).await;
        }
        match status.map(|status| (status.code(), status.signal())) {
            Ok((Some(code), _)) => Ended::Exited(code),
            Ok((None, Some(signal))) => Ended::Killed(signal),
            Ok((None, None)) | Err(_) => Ended::Killed(Signal::KILL.as_raw()),
        }
    }

    /// Reads what the guardian says next. The program around it may have said something before: that is passed over.
    async fn word(&mut self) -> Option<Report> {
        let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        for _ in 0..LINES_MAX {
            // Into a field, so that nothing is lost when this future is dropped half way.
            let read = (&mut self.words).take(limit).read_until(b'\n', &mut self.line).await.ok()?;
            let line = core::mem::take(&mut self.line);
            if let (1.., Ok(text)) = (read, core::str::from_utf8(&line)) {
                if let Some(report) = Report::parse(text) {
                    return Some(report);
                }
            } else {
                return None;
            }
        }
        None
    }
}

/// Kills what still runs: a runner that stops following a process must not leave it behind.
impl Drop for Launched {
    fn drop(&mut self) {
        self.kill();
    }
}
