//! What the file says of where commands run.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Bytes, SettingsError};
use crate::runner::executor::{ContainerConfig, EngineKind, ExecutorConfig, Pull};

/// How large `/tmp` of a container may become when nothing is said, in bytes: 64 MiB.
const TMP_BYTES: u64 = 64 << 20;
/// The most processors that can be meant.
const CPUS_MAX: u64 = 4_096;

/// Where commands run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ExecutorSettings {
    /// As processes of this machine.
    Process {},
    /// In containers of an engine on this machine.
    Container {
        /// The engine.
        engine: EngineName,
        /// Its program, when it is called otherwise or not on the path.
        program: Option<PathBuf>,
        /// The image, by digest or by tag.
        image: String,
        /// When it is fetched.
        #[serde(default)]
        pull: PullWhen,
        /// The network, as the engine names it.
        network: Option<String>,
        /// Where the server is, as containers reach it.
        url: Option<String>,
        /// Processors for all processes together.
        cpus: Option<Cpus>,
        /// Whether the file system of the image may be written to.
        #[serde(default)]
        writable: bool,
        /// How large `/tmp` may become.
        tmp: Option<Bytes>,
        /// What stands before each subcommand of the engine.
        #[serde(default)]
        engine_options: Vec<String>,
        /// Further options of its `run`.
        #[serde(default)]
        run_options: Vec<String>,
    },
}

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// Podman.
    Podman,
    /// Docker.
    Docker,
    /// nerdctl, of containerd.
    Nerdctl,
}

/// When an image is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullWhen {
    /// When it is not there.
    #[default]
    Missing,
    /// Never.
    Never,
    /// Each time.
    Always,
}

/// A number of processors in thousandths, written as `1500m`, or `2` for whole ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Cpus(u64);

impl TryFrom<String> for Cpus {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let milli = match text.strip_suffix('m') {
            Some(milli) => milli.parse().ok(),
            None => text.parse::<u64>().ok().and_then(|whole| whole.checked_mul(1_000)),
        };
        let milli = milli.filter(|milli| (1..=CPUS_MAX * 1_000).contains(milli));
        milli
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a number of processors such as `1500m` or `2`"))
    }
}

impl ExecutorSettings {
    pub(super) fn config(&self) -> Result<ExecutorConfig, SettingsError> {
        match self {
            Self::Process {} => Ok(ExecutorConfig::Process),
            Self::Container {
                engine,
                program,
                image,
                pull,
                network,
                url,
                cpus,
                writable,
                tmp,
                engine_options,
                run_options,
            } => {
                word("image", image)?;
                if let Some(network) = network {
                    word("network", network)?;
                }
                Ok(ExecutorConfig::Container(ContainerConfig {
                    engine: engine.kind(),
                    program: program.clone().unwrap_or_else(|| engine.program().into()),
                    engine_options: engine_options.clone(),
                    run_options: run_options.clone(),
                    image: image.clone(),
                    pull: pull.when(),
                    network: network.clone(),
                    url: url.clone(),
                    milli_cpus: cpus.map(|cpus| cpus.0),
                    writable: *writable,
                    tmp_bytes: tmp.map_or(TMP_BYTES, |bytes| bytes.0),
                }))
            }
        }
    }
}

impl EngineName {
    const fn kind(self) -> EngineKind {
        match self {
            Self::Podman => EngineKind::Podman,
            Self::Docker => EngineKind::Docker,
            Self::Nerdctl => EngineKind::Nerdctl,
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Docker => "docker",
            Self::Nerdctl => "nerdctl",
        }
    }
}

impl PullWhen {
    const fn when(self) -> Pull {
        match self {
            Self::Missing => Pull::Missing,
            Self::Never => Pull::Never,
            Self::Always => Pull::Always,
        }
    }
}

/// Refuses what an engine would take for something else.
fn word(member: &'static str, text: &str) -> Result<(), SettingsError> {
    let why = if text.is_empty() {
        "it is empty"
    } else if text.starts_with('-') {
        "it begins with `-`, and would be taken for an option"
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        "it holds a blank, or a letter that no engine knows"
    } else {
        return Ok(());
    };
    Err(SettingsError::Executor { member, why })
}
