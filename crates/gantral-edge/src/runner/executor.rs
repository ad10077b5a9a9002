//! Where the command of an attempt runs.
//!
//! There is one contract, whatever the place: the same variables and files, secrets in no argument, an end that is asked for before it is
//! forced, and nothing left of an attempt when its end is reported. Source: `spec/runner.md` §5.

mod container;
mod kubernetes;
mod process;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, PipeReader};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use gantral_core::digest::Digest;
use gantral_core::ids::{GrantId, InstanceId, TenantId, WorkflowId};

use self::container::{Contained, Containers, Inside};
pub use self::container::{ContainerConfig, EngineError, EngineKind, Pull};
use self::kubernetes::{Cluster, Job};
pub use self::kubernetes::{ClusterError, KubernetesConfig};
use self::process::Process;
use super::RunnerConfig;
use super::lease::Lease;
use crate::child::{self, CgroupError, CgroupPlace, Ended, LaunchError, Tree};
use crate::secret::SOCKET_VARIABLE;

/// The exit status that is reported when the command exists and cannot be run.
const EXIT_NOT_RUN: i32 = 126;
/// The exit status that is reported when there is no such command.
const EXIT_NOT_FOUND: i32 = 127;

/// The exit status of a command that was launched and of which nobody knows how it ended.
const EXIT_LOST: i32 = 125;

/// What launches the commands of one runner.
#[derive(Debug)]
pub(super) enum Executor {
    /// Processes of this machine, below a guardian.
    Process(Process),
    /// Containers of an engine on this machine.
    Container(Containers),
    /// Jobs of a Kubernetes cluster.
    Kubernetes(Cluster),
}

/// Which of them, and what it needs to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ExecutorConfig {
    /// Processes of this machine.
    #[default]
    Process,
    /// Containers of an engine on this machine.
    Container(ContainerConfig),
    /// Jobs of a Kubernetes cluster.
    Kubernetes(KubernetesConfig),
}

/// Why a runner cannot launch as it is configured to. Whoever runs it is at fault; nothing was claimed.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// Control groups cannot be used as configured.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// A setting that means nothing there.
    #[error("`{setting}` does not go with the executor `{executor}`: {why}")]
    Impossible {
        /// The setting.
        setting: &'static str,
        /// The executor.
        executor: &'static str,
        /// What may help.
        why: &'static str,
    },
    /// The engine is of no use.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The cluster is of no use.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// A command that runs, with everything that it started.
///
/// Dropping it ends all of it.
pub(super) enum Launched {
    /// A process of this machine.
    Process(child::Launched),
    /// A container, with the engine's command line that follows it.
    Container(Contained),
    /// A Job, with what follows it.
    Kubernetes(Job),
}

/// Which processes belong to an attempt.
#[derive(Debug)]
pub(super) enum Members {
    /// Those that its guardian started.
    Tree(Tree),
    /// Those inside its container.
    Inside(Inside),
    /// None of this machine.
    Nobody,
}

/// Why a command was not launched. Nothing of it ran.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error("the definition names no command")]
    NoCommand,
    #[error(
        "the value of `{0}` has a line end, a zero byte or is no text, and cannot be passed on so: make it a governed secret"
    )]
    Variable(String),
    #[error("what the command is told cannot be passed on: {0}")]
    Environment(io::Error),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// What is to be launched, and what it is told.
pub(super) struct Work<'a> {
    pub config: &'a RunnerConfig,
    pub lease: Lease,
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
    /// Which trace it is part of.
    pub traceparent: Option<String>,
}

/// The files by which a command and its runner speak, as the runner sees them.
pub(super) struct Paths {
    /// The folder of the attempt.
    pub private: PathBuf,
    /// A folder in it, with token and context and nothing else.
    pub told: PathBuf,
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
    pub(super) fn open(config: &RunnerConfig, work: &Path) -> Result<Self, ExecutorError> {
        match &config.executor {
            ExecutorConfig::Process => Ok(Self::Process(Process::open(config, work)?)),
            ExecutorConfig::Container(container) => {
                for_containers(config)?;
                Ok(Self::Container(Containers::new(container.clone(), work)))
            }
            ExecutorConfig::Kubernetes(cluster) => {
                for_jobs(config)?;
                Ok(Self::Kubernetes(Cluster::new(cluster.clone(), work)?))
            }
        }
    }

    /// Sees that something can be launched at all, and ends what an earlier runner with this work directory left.
    ///
    /// # Errors
    /// If it cannot be used: then nothing is claimed.
    pub(super) async fn ready(&self) -> Result<(), ExecutorError> {
        match self {
            // Its leftovers died with the runner, or were ended when the control groups were opened.
            Self::Process(_) => Ok(()),
            Self::Container(containers) => Ok(containers.ready().await?),
            Self::Kubernetes(cluster) => Ok(cluster.ready().await?),
        }
    }

    /// Launches a command. The reader yields what it writes, both outputs in one stream.
    pub(super) async fn launch(&self, work: Work<'_>) -> Result<(Launched, PipeReader), StartError> {
        match self {
            Self::Process(process) => {
                process.launch(work).await.map(|(launched, pipe)| (Launched::Process(launched), pipe))
            }
            Self::Container(containers) => {
                containers.launch(work).await.map(|(launched, pipe)| (Launched::Container(launched), pipe))
            }
            Self::Kubernetes(cluster) => {
                cluster.launch(work).await.map(|(launched, pipe)| (Launched::Kubernetes(launched), pipe))
            }
        }
    }
}

impl Launched {
    /// Waits until the command has ended and nothing is left of what it started. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Ended {
        match self {
            Self::Process(launched) => launched.ended().await,
            Self::Container(container) => container.ended().await,
            Self::Kubernetes(job) => job.ended().await,
        }
    }

    /// Asks it to end.
    pub(super) fn ask_to_end(&mut self) {
        match self {
            Self::Process(launched) => launched.ask_to_end(),
            Self::Container(container) => container.ask_to_end(),
            Self::Kubernetes(job) => job.ask_to_end(),
        }
    }

    /// Ends all of it, without waiting for it.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Process(launched) => launched.kill(),
            Self::Container(container) => container.kill(),
            Self::Kubernetes(job) => job.kill(),
        }
    }

    /// Passes on what a renewal of the lease brought, where a file of this machine is not enough.
    pub(super) fn renewed(&self, token: &str, lease: &Lease) {
        match self {
            Self::Process(_) | Self::Container(_) => {}
            Self::Kubernetes(job) => job.renewed(token, lease),
        }
    }

    /// Returns the number of a process of this machine that stands for it, if one does.
    pub(super) const fn process(&self) -> Option<u32> {
        match self {
            Self::Process(launched) => Some(launched.process),
            Self::Container(container) => Some(container.launched.process),
            Self::Kubernetes(_) => None,
        }
    }

    /// Returns what tells the processes of this attempt from all others.
    pub(super) fn members(&self) -> Members {
        match self {
            Self::Process(launched) => Members::Tree(launched.tree()),
            Self::Container(container) => Members::Inside(container.inside()),
            Self::Kubernetes(_) => Members::Nobody,
        }
    }
}

impl Members {
    /// Tells whether a process, as this machine numbers it, is one of them.
    pub(super) async fn hold(&self, process: i32) -> bool {
        match self {
            Self::Tree(tree) => tree.holds(process),
            Self::Inside(inside) => inside.holds(process).await,
            Self::Nobody => false,
        }
    }
}

impl StartError {
    /// Returns the exit status that says what was wrong with the command; `None` where it was not the command.
    pub(super) fn exit_status(&self) -> Option<i32> {
        match self {
            Self::Launch(LaunchError::Command { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                Some(EXIT_NOT_FOUND)
            }
            Self::Launch(LaunchError::Command { .. }) => Some(EXIT_NOT_RUN),
            Self::Launch(_)
            | Self::Cgroup(_)
            | Self::NoCommand
            | Self::Variable(_)
            | Self::Environment(_)
            | Self::Cluster(_) => None,
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
        variables.extend(self.traceparent.as_deref().map(|place| ("TRACEPARENT".into(), place.into())));
        variables.extend(paths.socket.as_deref().map(|socket| (SOCKET_VARIABLE.into(), socket.into())));
        variables
    }
}

/// Refuses what a container could not keep.
fn for_containers(config: &RunnerConfig) -> Result<(), ExecutorError> {
    let impossible = |setting, why| ExecutorError::Impossible { setting, executor: "container", why };
    if config.limits.address_bytes.is_some() {
        return Err(impossible("limits.address_space", "engines have no such limit, say `limits.memory`"));
    }
    if matches!(config.cgroups, CgroupPlace::Folder(_)) {
        return Err(impossible("cgroups", "the engine makes its own"));
    }
    if config.command_dir.is_some() {
        return Err(impossible("--command-dir", "give the engine `--workdir` in `run_options`"));
    }
    Ok(())
}

/// Refuses what a pod on another machine could not keep.
fn for_jobs(config: &RunnerConfig) -> Result<(), ExecutorError> {
    let impossible = |setting, why| ExecutorError::Impossible { setting, executor: "kubernetes", why };
    if !config.secrets.is_empty() {
        return Err(impossible("secrets", "their socket does not reach another machine"));
    }
    let each = &config.limits;
    let per_process = [each.cpu_seconds, each.open_files, each.file_bytes, each.address_bytes];
    if per_process.iter().any(Option::is_some) || config.group_limits.processes.is_some() {
        let why = "of its limits a pod has `time`, `memory`, `output` and `executor.cpus`";
        return Err(impossible("limits", why));
    }
    if matches!(config.cgroups, CgroupPlace::Folder(_)) {
        return Err(impossible("cgroups", "the cluster makes its own"));
    }
    if config.command_dir.is_some() {
        return Err(impossible("--command-dir", "the image says where its commands begin"));
    }
    Ok(())
}

/// Returns the first digits of a digest: as many as tell what is named by it from others.
fn short(digest: Digest, digits: usize) -> String {
    digest.to_hex().get(..digits).unwrap_or_default().to_owned()
}

/// Returns what tells a runner from others: its work directory, which it holds alone.
fn owner(work: &Path, digits: usize) -> String {
    short(Digest::of(work.as_os_str().as_bytes()), digits)
}
