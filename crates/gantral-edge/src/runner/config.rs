//! What a runner is made of.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use gantral_core::ids::{Name, TenantId};
use gantral_evidence::trust::Trust;

use super::event::Observer;
use super::executor::ExecutorConfig;
use super::governed::Governed;
use super::openbao::OpenBaoConfig;
use crate::child::{CgroupLimits, CgroupPlace, Launcher, Limits};
use crate::journal::Journal;

/// The bytes that are kept of what one attempt writes, when the configuration does not say: 16 MiB.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// How long processes have between being asked to end and being killed.
const GRACE: Duration = Duration::from_secs(5);
/// How long attempts may go on after a runner was asked to stop.
const DRAIN: Duration = Duration::from_secs(60);

/// What a runner believes, whatever the server says: brought to it out of band.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The issuer keys that sign artifacts. What the file requires of bundles plays no part.
    pub trust: Trust,
    /// The tenant that the runner works for.
    pub tenant: TenantId,
}

/// What a runner is made of.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// The queues to claim from, in turns.
    pub queues: Vec<Name>,
    /// Keys and tenant.
    pub pinned: Pinned,
    /// The directory for tokens and contexts of running attempts; made if absent, used by one runner at a time.
    pub work_dir: PathBuf,
    /// The directory for what attempts write.
    pub log_dir: PathBuf,
    /// The file in which attempts keep the receipts that they are given; the server is shown the newest when the runner
    /// starts.
    pub journal: Journal,
    /// The working directory of commands; the runner's own when absent.
    pub command_dir: Option<PathBuf>,
    /// How many attempts run at the same time.
    pub concurrency: NonZeroUsize,
    /// How many of them may be of one queue, for the queues that do not share all places.
    pub per_queue: BTreeMap<Name, NonZeroUsize>,
    /// Names of further environment variables that commands inherit, beside `PATH`, `HOME`, `LANG` and `TZ`.
    pub inherit: Vec<String>,
    /// Secrets that attempts are given only against a grant that they have used up.
    pub secrets: Vec<Governed>,
    /// Where those are that are in OpenBao.
    pub openbao: Option<OpenBaoConfig>,
    /// Where commands run.
    pub executor: ExecutorConfig,
    /// How guardians are started.
    pub launcher: Launcher,
    /// What each process of an attempt may use.
    pub limits: Limits,
    /// What all processes of an attempt may use together.
    pub group_limits: CgroupLimits,
    /// Where control groups of attempts are made.
    pub cgroups: CgroupPlace,
    /// How long a process may run, if its lease lasts so long; then it is ended, and the attempt has failed.
    pub time_max: Option<Duration>,
    /// The most bytes that are kept of what one attempt writes.
    pub log_bytes_max: u64,
    /// How long processes have between being asked to end and being killed; a quarter of the lease at most.
    pub grace: Duration,
    /// How long attempts may go on after the runner was asked to stop.
    pub drain: Duration,
    /// Who is told what happens.
    pub observer: Observer,
}

impl RunnerConfig {
    /// Returns a configuration with one attempt at a time and the default limits. `work_dir` also holds the logs, in
    /// `logs`, and the journal, `journal.jsonl`.
    pub fn new(queues: Vec<Name>, pinned: Pinned, work_dir: PathBuf, launcher: Launcher) -> Self {
        Self {
            queues,
            pinned,
            log_dir: work_dir.join("logs"),
            journal: Journal::new(work_dir.join("journal.jsonl")),
            work_dir,
            command_dir: None,
            concurrency: NonZeroUsize::MIN,
            per_queue: BTreeMap::new(),
            inherit: Vec::new(),
            secrets: Vec::new(),
            openbao: None,
            executor: ExecutorConfig::default(),
            launcher,
            limits: Limits::default(),
            group_limits: CgroupLimits::default(),
            cgroups: CgroupPlace::default(),
            time_max: None,
            log_bytes_max: LOG_BYTES_MAX,
            grace: GRACE,
            drain: DRAIN,
            observer: Observer::none(),
        }
    }
}
