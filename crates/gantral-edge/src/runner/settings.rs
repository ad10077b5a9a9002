//! The file in which an operator says what a runner does. Source: `docs/runners.md`.

mod executor;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use gantral_api::wire::text;
use gantral_core::ids::Name;
use serde::Deserialize;

pub use self::executor::{Cpus, EngineName, ExecutorSettings, PullWhen};
use super::config::RunnerConfig;
use super::governed::{Governed, Reference, ReferenceError};
use super::openbao::{Login, OPENBAO_TIMEOUT, OpenBaoConfig};
use crate::child::CgroupPlace;

/// The largest file, in bytes.
pub const SETTINGS_BYTES_MAX: usize = 1 << 20;
/// The longest name of a secret, in bytes: its record has a name that is a little longer.
const SECRET_NAME_BYTES_MAX: usize = 100;

/// Why a file of settings cannot be used. Whoever wrote it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not the name of a queue.
    #[error("`{0}` is no queue: {1}")]
    Queue(String, String),
    /// A limit of nothing.
    #[error("`limits.{0}` is 0: leave it out, or say how much")]
    Nothing(&'static str),
    /// Not the name of a secret, or one that is too long to be recorded.
    #[error("`{0}` is no name of a secret: {1}")]
    Secret(String, String),
    /// Not a reference.
    #[error("the secret `{0}`: {1}")]
    Reference(String, ReferenceError),
    /// A secret that nobody could have.
    #[error("the secret `{0}` names no {1}: nobody could have it")]
    Nobody(String, &'static str),
    /// Not a place for control groups.
    #[error("`cgroups` is `own`, `none`, or a folder from the root, not `{0}`")]
    Groups(String),
    /// An executor that cannot be meant.
    #[error("`executor.{member}`: {why}")]
    Executor {
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// What a file of settings holds; everything has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunnerSettings {
    /// How many attempts run at the same time, in all.
    pub concurrency: Option<NonZeroUsize>,
    /// How long attempts may go on after the runner was asked to stop.
    pub drain: Option<text::Duration>,
    /// How long processes have between being asked to end and being killed.
    pub grace: Option<text::Duration>,
    /// Where control groups are made: `own`, `none`, or a folder.
    pub cgroups: Option<String>,
    /// The queues to claim from.
    pub queues: BTreeMap<String, QueueSettings>,
    /// Where commands run.
    pub executor: Option<ExecutorSettings>,
    /// What an attempt may use.
    pub limits: LimitSettings,
    /// What attempts are given only against a grant that they have used up.
    pub secrets: BTreeMap<String, SecretSettings>,
    /// Where those are that are in OpenBao.
    pub openbao: Option<OpenBaoSettings>,
}

/// One governed secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretSettings {
    /// `env:NAME`, `file:/path` or `bao://mount/path#field`.
    pub from: String,
    /// The workflows whose attempts may have it.
    pub workflows: Vec<text::WorkflowId>,
    /// The actions for which they may have it.
    pub actions: Vec<text::Name>,
    /// The queues from which they may come; any when absent.
    #[serde(default)]
    pub queues: Vec<text::Name>,
}

/// An OpenBao, or a Vault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenBaoSettings {
    /// Its address.
    pub address: String,
    /// The namespace of everything that is asked.
    pub namespace: Option<String>,
    /// The authorities to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Option<text::Duration>,
    /// How to log in.
    pub login: LoginSettings,
}

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase", deny_unknown_fields)]
pub enum LoginSettings {
    /// By AppRole.
    AppRole {
        /// Where the method is mounted.
        #[serde(default = "approle")]
        mount: String,
        /// The identifier of the role.
        role_id: String,
        /// The file with the secret.
        secret_id_file: PathBuf,
    },
    /// By a token of an identity provider.
    Jwt {
        /// Where the method is mounted.
        #[serde(default = "jwt")]
        mount: String,
        /// The role.
        role: String,
        /// The file with the token.
        jwt_file: PathBuf,
    },
    /// By a token of OpenBao that somebody else renews.
    Token {
        /// The file.
        token_file: PathBuf,
    },
}

fn approle() -> String {
    "approle".to_owned()
}

fn jwt() -> String {
    "jwt".to_owned()
}

impl OpenBaoSettings {
    fn config(&self) -> OpenBaoConfig {
        OpenBaoConfig {
            address: self.address.clone(),
            namespace: self.namespace.clone(),
            ca_file: self.ca_file.clone(),
            timeout: self.timeout.map_or(OPENBAO_TIMEOUT, |time| Duration::from_millis(time.get())),
            login: match self.login.clone() {
                LoginSettings::AppRole { mount, role_id, secret_id_file } => {
                    Login::AppRole { mount, role_id, secret_id_file }
                }
                LoginSettings::Jwt { mount, role, jwt_file } => Login::Jwt { mount, role, jwt_file },
                LoginSettings::Token { token_file } => Login::Token { token_file },
            },
        }
    }
}

/// One queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSettings {
    /// How many attempts of it run at the same time; as many as of all when absent.
    pub max_concurrent: Option<NonZeroUsize>,
}

/// What an attempt may use. What is absent is not limited here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// How long its process may run.
    pub time: Option<text::Duration>,
    /// Processor time of each process.
    pub cpu_time: Option<text::Duration>,
    /// Open files of each process.
    pub open_files: Option<u64>,
    /// The largest file that a process may write.
    pub file_size: Option<Bytes>,
    /// The address space of each process.
    pub address_space: Option<Bytes>,
    /// Memory of all its processes together. Needs control groups.
    pub memory: Option<Bytes>,
    /// How many processes and threads it has at one time. Needs control groups.
    pub processes: Option<u64>,
    /// How much of its output is kept.
    pub output: Option<Bytes>,
}

/// A number of bytes, written as `512MiB`, `64KiB`, `2GiB`, or a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Bytes(u64);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a number of bytes such as `512MiB`")]
enum Written {
    Number(u64),
    Text(String),
}

impl TryFrom<Written> for Bytes {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let text = match written {
            Written::Number(bytes) => return Ok(Self(bytes)),
            Written::Text(text) => text,
        };
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
        let scaled = units.into_iter().find_map(|(unit, power)| {
            let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
            number.checked_mul(1 << power)
        });
        let plain = || text.parse().ok();
        let bytes = scaled.or_else(plain);
        bytes.map(Self).ok_or_else(|| format!("`{text}` is not a number of bytes such as `512MiB`"))
    }
}

impl RunnerSettings {
    /// Changes a configuration into what the file says; what it does not say stays.
    ///
    /// # Errors
    /// For the first setting that cannot be meant.
    pub fn apply(&self, config: &mut RunnerConfig) -> Result<(), SettingsError> {
        let time = |time: text::Duration| Duration::from_millis(time.get());
        config.concurrency = self.concurrency.unwrap_or(config.concurrency);
        config.drain = self.drain.map_or(config.drain, time);
        config.grace = self.grace.map_or(config.grace, time);
        if let Some(place) = &self.cgroups {
            config.cgroups = groups(place)?;
        }
        for (name, queue) in &self.queues {
            let parsed = Name::parse(name);
            let name = parsed.map_err(|error| SettingsError::Queue(name.clone(), error.to_string()))?;
            if let Some(count) = queue.max_concurrent {
                config.per_queue.insert(name.clone(), count);
            }
            if !config.queues.contains(&name) {
                config.queues.push(name);
            }
        }
        for (name, secret) in &self.secrets {
            config.secrets.push(secret.read(name)?);
        }
        config.openbao = self.openbao.as_ref().map(OpenBaoSettings::config).or(config.openbao.take());
        if let Some(executor) = &self.executor {
            config.executor = executor.config()?;
        }
        self.limits.apply(config)
    }
}

impl SecretSettings {
    fn read(&self, name: &str) -> Result<Governed, SettingsError> {
        let no_name = |why: String| SettingsError::Secret(name.to_owned(), why);
        let parsed = Name::parse(name).map_err(|error| no_name(error.to_string()))?;
        if name.len() > SECRET_NAME_BYTES_MAX {
            return Err(no_name(format!("it has more than {SECRET_NAME_BYTES_MAX} characters")));
        }
        for (list, what) in [(self.workflows.is_empty(), "workflow"), (self.actions.is_empty(), "action")] {
            if list {
                return Err(SettingsError::Nobody(name.to_owned(), what));
            }
        }
        let from = Reference::parse(&self.from);
        Ok(Governed {
            name: parsed,
            from: from.map_err(|error| SettingsError::Reference(name.to_owned(), error))?,
            workflows: self.workflows.iter().map(|id| (**id).clone()).collect(),
            actions: self.actions.iter().map(|action| (**action).clone()).collect(),
            queues: self.queues.iter().map(|queue| (**queue).clone()).collect(),
        })
    }
}

impl LimitSettings {
    fn apply(&self, config: &mut RunnerConfig) -> Result<(), SettingsError> {
        let millis = |time: Option<text::Duration>| time.map(|time| time.get());
        let bytes = |bytes: Option<Bytes>| bytes.map(|bytes| bytes.0);
        // The system counts whole seconds: less than one is one.
        let cpu_seconds = millis(self.cpu_time).map(|time| time.div_ceil(1_000));
        let said = [
            ("time", millis(self.time)),
            ("cpu_time", cpu_seconds),
            ("open_files", self.open_files),
            ("file_size", bytes(self.file_size)),
            ("address_space", bytes(self.address_space)),
            ("memory", bytes(self.memory)),
            ("processes", self.processes),
        ];
        if let Some((name, _)) = said.iter().find(|(_, limit)| *limit == Some(0)) {
            return Err(SettingsError::Nothing(name));
        }
        config.time_max = millis(self.time).map(Duration::from_millis).or(config.time_max);
        config.log_bytes_max = bytes(self.output).unwrap_or(config.log_bytes_max);
        config.limits.cpu_seconds = cpu_seconds.or(config.limits.cpu_seconds);
        config.limits.open_files = self.open_files.or(config.limits.open_files);
        config.limits.file_bytes = bytes(self.file_size).or(config.limits.file_bytes);
        config.limits.address_bytes = bytes(self.address_space).or(config.limits.address_bytes);
        config.group_limits.memory_bytes = bytes(self.memory).or(config.group_limits.memory_bytes);
        config.group_limits.processes = self.processes.or(config.group_limits.processes);
        Ok(())
    }
}

fn groups(place: &str) -> Result<CgroupPlace, SettingsError> {
    let folder = PathBuf::from(place);
    match place {
        "own" => Ok(CgroupPlace::Own),
        "none" => Ok(CgroupPlace::Nowhere),
        _ if folder.is_absolute() => Ok(CgroupPlace::Folder(folder)),
        _ => Err(SettingsError::Groups(place.to_owned())),
    }
}

#[cfg(test)]
mod tests;
