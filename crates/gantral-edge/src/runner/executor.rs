//! Where the command of an attempt runs.
//!
//! There is one contract, whatever the place: the same variables and files, secrets in no argument, an end that is asked for before it is
//! forced, and nothing left of an attempt when its end is reported. Source: `spec/runner.md` §5.

mod process;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::PipeReader;
use std::path::{Path, PathBuf};

use gantral_core::ids::{GrantId, InstanceId, TenantId, WorkflowId};

use self::process::Process;
use super::RunnerConfig;
use crate::child::{self, CgroupError, Ended, LaunchError, Tree};
use crate::secret::SOCKET_VARIABLE;

/// The exit status that is reported when the command exists and cannot be run.
const EXIT_NOT_RUN: i32 = 126;
/// The exit status that is reported when there is no such command.
const EXIT_NOT_FOUND: i32 = 127;

/// What launches the commands of one runner.
#[derive(Debug)]
pub(super) enum Executor {
    /// Processes of this machine, below a guardian.
    Process(Process),
}

/// A command that runs, with everything that it started.
///
/// Dropping it ends all of it.
pub(super) enum Launched {
    /// A process of this machine.
    Process(child::Launched),
}

/// Which processes belong to an attempt.
#[derive(Debug)]
pub(super) enum Members {
    /// Those that its guardian started.
    Tree(Tree),
}

/// Why a command was not launched. Nothing of it ran.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

/// What is to be launched, and what it is told.
pub(super) struct Work<'a> {
    pub config: &'a RunnerConfig,
    pub facts: Facts,
    /// Program and arguments.
    pub command: &'a [String],
    /// The secrets of the definition, by variable.
    pub secrets: BTreeMap<OsString, OsString>,
    pub paths: Paths,
}

/// What a command is told by value.
pub(super) struct Facts {
    pub instance: InstanceId,
    pub attempt: u32,
    /// Where it asks.
    pub url: String,
    pub tenant: TenantId,
    pub workflow: WorkflowId,
    /// What humans granted.
    pub grant: Option<GrantId>,
}

/// The files by which a command and its runner speak, as the runner sees them.
pub(super) struct Paths {
    pub token: PathBuf,
    pub context: PathBuf,
    pub journal: PathBuf,
    pub trust: PathBuf,
    pub mode_lease: PathBuf,
    /// Where it asks for governed secrets, if any are for it.
    pub socket: Option<PathBuf>,
}

impl Executor {
    /// Prepares what the configuration names. `work` is the work directory, which this runner holds.
    ///
    /// # Errors
    /// If it cannot be used as configured: then nothing is claimed.
    pub(super) fn open(config: &RunnerConfig, work: &Path) -> Result<Self, CgroupError> {
        Process::open(config, work).map(Self::Process)
    }

    /// Launches a command. The reader yields what it writes, both outputs in one stream.
    pub(super) async fn launch(&self, work: Work<'_>) -> Result<(Launched, PipeReader), StartError> {
        match self {
            Self::Process(process) => {
                process.launch(work).await.map(|(launched, pipe)| (Launched::Process(launched), pipe))
            }
        }
    }
}

impl Launched {
    /// Waits until the command has ended and nothing is left of what it started. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Ended {
        match self {
            Self::Process(launched) => launched.ended().await,
        }
    }

    /// Asks it to end.
    pub(super) fn ask_to_end(&self) {
        match self {
            Self::Process(launched) => launched.ask_to_end(),
        }
    }

    /// Ends all of it, without waiting for it.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Process(launched) => launched.kill(),
        }
    }

    /// Returns the number of a process of this machine that stands for it.
    pub(super) const fn process(&self) -> u32 {
        match self {
            Self::Process(launched) => launched.process,
        }
    }

    /// Returns what tells the processes of this attempt from all others.
    pub(super) fn members(&self) -> Members {
        match self {
            Self::Process(launched) => Members::Tree(launched.tree()),
        }
    }
}

impl Members {
    /// Tells whether a process, as this machine numbers it, is one of them.
    pub(super) fn hold(&self, process: i32) -> bool {
        match self {
            Self::Tree(tree) => tree.holds(process),
        }
    }
}

impl StartError {
    /// Returns the exit status that says what was wrong with the command; `None` where it was not the command.
    pub(super) fn exit_status(&self) -> Option<i32> {
        match self {
            Self::Launch(LaunchError::Command { error, .. })
                if error.kind() == std::io::ErrorKind::NotFound =>
            {
                Some(EXIT_NOT_FOUND)
            }
            Self::Launch(LaunchError::Command { .. }) => Some(EXIT_NOT_RUN),
            Self::Launch(_) | Self::Cgroup(_) => None,
        }
    }
}

impl Facts {
    /// Returns the variables that every command gets; `paths` are the files as it sees them.
    fn variables(&self, paths: &Paths) -> BTreeMap<OsString, OsString> {
        let mut variables: BTreeMap<OsString, OsString> = BTreeMap::from([
            ("GANTRAL_INSTANCE_ID".into(), self.instance.to_string().into()),
            ("GANTRAL_ATTEMPT".into(), self.attempt.to_string().into()),
            ("GANTRAL_URL".into(), self.url.as_str().into()),
            ("GANTRAL_TENANT".into(), self.tenant.as_str().into()),
            ("GANTRAL_WORKFLOW".into(), self.workflow.as_str().into()),
            ("GANTRAL_TOKEN_FILE".into(), paths.token.as_path().into()),
            ("GANTRAL_CONTEXT".into(), paths.context.as_path().into()),
            ("GANTRAL_JOURNAL".into(), paths.journal.as_path().into()),
            ("GANTRAL_TRUST".into(), paths.trust.as_path().into()),
            ("GANTRAL_MODE_LEASE".into(), paths.mode_lease.as_path().into()),
        ]);
        variables.extend(self.grant.map(|grant| ("GANTRAL_GRANT".into(), grant.to_string().into())));
        variables.extend(paths.socket.as_deref().map(|socket| (SOCKET_VARIABLE.into(), socket.into())));
        variables
    }
}
