//! What the file says of where commands run.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantral_api::wire::text;
use serde::Deserialize;

use super::{Bytes, SettingsError};
use crate::runner::executor::{ContainerConfig, EngineKind, ExecutorConfig, KubernetesConfig, Pull};

/// How large `/tmp` of a container may become when nothing is said, in bytes: 64 MiB.
const TMP_BYTES: u64 = 64 << 20;
/// How long one request to a cluster may take when nothing is said.
const KUBERNETES_TIMEOUT: Duration = Duration::from_secs(10);
/// The user of pods when nothing is said: what images without root call nobody.
const POD_USER: u32 = 65_532;
/// Where a pod finds what it needs to speak to its cluster.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What is said where no cluster is named, and the runner is in none.
const NO_SERVER: SettingsError =
    SettingsError::Executor { member: "server", why: "the runner is in no cluster, so say where the API is" };
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
    /// As Jobs of a Kubernetes cluster.
    Kubernetes {
        /// The namespace of everything that is made.
        namespace: text::Name,
        /// The image, by digest or by tag.
        image: String,
        /// Where the API is; that of the cluster that the runner is in when absent.
        server: Option<String>,
        /// The authorities to trust, PEM.
        ca_file: Option<PathBuf>,
        /// The file with the runner's token.
        token_file: Option<PathBuf>,
        /// How long one request may take.
        timeout: Option<text::Duration>,
        /// The service account of the pods.
        service_account: Option<String>,
        /// Where the server is, as pods reach it.
        url: Option<String>,
        /// Processors for all processes together.
        cpus: Option<Cpus>,
        /// The number of the user and the group that commands run as.
        user: Option<NonZeroU32>,
        /// Whether the file system of the image may be written to.
        #[serde(default)]
        writable: bool,
        /// How large `/tmp` may become.
        tmp: Option<Bytes>,
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
                    tmp_bytes: tmp_bytes(*tmp)?,
                }))
            }
            Self::Kubernetes {
                namespace,
                image,
                server,
                ca_file,
                token_file,
                timeout,
                service_account,
                url,
                cpus,
                user,
                writable,
                tmp,
            } => {
                word("image", image)?;
                // What is not said is that of the cluster that the runner is in.
                let inside = server.is_none();
                let own = |file: &str| Path::new(SERVICE_ACCOUNT).join(file);
                Ok(ExecutorConfig::Kubernetes(KubernetesConfig {
                    server: server.clone().or_else(in_cluster).ok_or(NO_SERVER)?,
                    ca_file: ca_file.clone().or_else(|| inside.then(|| own("ca.crt"))),
                    token_file: token_file.clone().unwrap_or_else(|| own("token")),
                    timeout: timeout.map_or(KUBERNETES_TIMEOUT, |time| Duration::from_millis(time.get())),
                    namespace: namespace.as_str().to_owned(),
                    service_account: service_account.clone(),
                    image: image.clone(),
                    url: url.clone(),
                    milli_cpus: cpus.map(|cpus| cpus.0),
                    user: user.map_or(POD_USER, NonZeroU32::get),
                    writable: *writable,
                    tmp_bytes: tmp_bytes(*tmp)?,
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

/// Engines take none for no limit at all.
fn tmp_bytes(said: Option<Bytes>) -> Result<u64, SettingsError> {
    match said.map_or(TMP_BYTES, |bytes| bytes.0) {
        0 => Err(SettingsError::Executor { member: "tmp", why: "it is 0: leave it out, or say how much" }),
        bytes => Ok(bytes),
    }
}

/// Returns where the API is of the cluster that this process is in, if it is in one.
fn in_cluster() -> Option<String> {
    let host = std::env::var("KUBERNETES_SERVICE_HOST").ok()?;
    let port = std::env::var("KUBERNETES_SERVICE_PORT").ok()?;
    Some(if host.contains(':') {
        format!("https://[{host}]:{port}")
    } else {
        format!("https://{host}:{port}")
    })
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
