//! Commands in containers, by the command line of an engine on this machine.
//!
//! The guardian launches the engine's `run` as it launches any command, follows it, and removes the container when that ends or the runner
//! is gone: a container outlives neither. What the container is made of is said by who runs the runner, and by nobody else; a definition
//! says only the command. Values of secrets go by a file that only the runner's user may read: arguments can be read by everybody, and
//! variables of the engine's own could change what the engine does.

mod engine;
mod members;
mod run;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::PipeReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;

pub(super) use self::engine::Engine;
pub use self::engine::EngineError;
pub(in crate::runner) use self::members::Inside;
use self::run::{environment_file, inside, words};
use super::{EXIT_LOST, StartError, Work, owner};
use crate::child::{self, Ended, Limits, Plan};
use crate::private;

/// How many digits tell one runner from others.
const NAME_LEN: usize = 16;

/// Which engine, and how its command line is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Podman, which needs no daemon.
    Podman,
    /// Docker.
    Docker,
    /// nerdctl, of containerd.
    Nerdctl,
}

/// When an image is fetched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pull {
    /// When it is not there.
    #[default]
    Missing,
    /// Never: a runner whose engine does not have it does not start.
    Never,
    /// Each time.
    Always,
}

/// What containers are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerConfig {
    /// The engine.
    pub engine: EngineKind,
    /// Its program; found on the path when it is a name.
    pub program: PathBuf,
    /// What stands before each subcommand of it.
    pub engine_options: Vec<String>,
    /// Further options of `run`, as the last of them.
    pub run_options: Vec<String>,
    /// The image, by digest or by tag.
    pub image: String,
    /// When it is fetched.
    pub pull: Pull,
    /// The network, as the engine names it; the engine's usual one when absent.
    pub network: Option<String>,
    /// Where the server is, as containers reach it; as the runner does when absent.
    pub url: Option<String>,
    /// Thousandths of processors that all processes may use together.
    pub milli_cpus: Option<u64>,
    /// Whether the file system of the image may be written to.
    pub writable: bool,
    /// How large `/tmp` may become, in bytes.
    pub tmp_bytes: u64,
}

/// What launches containers.
#[derive(Debug)]
pub(in crate::runner) struct Containers {
    config: ContainerConfig,
    engine: Arc<Engine>,
}

/// A container that runs, by the engine's command line below a guardian.
pub(in crate::runner) struct Contained {
    pub(super) launched: child::Launched,
    is_killed: bool,
    /// Asks it to end, as long as it is there.
    asking: JoinSet<()>,
    engine: Arc<Engine>,
    name: String,
    /// How the command ended, as the engine said.
    outcome: Option<Ended>,
    is_gone: bool,
}

impl Containers {
    /// `work` is the work directory of the runner: its containers are told from those of others by it.
    pub(super) fn new(config: ContainerConfig, work: &Path) -> Self {
        let engine = Arc::new(Engine::new(&config, owner(work, NAME_LEN)));
        Self { config, engine }
    }

    /// Ends what an earlier runner with this work directory left, and sees that the engine can be asked at all.
    pub(super) async fn ready(&self) -> Result<(), EngineError> {
        self.engine.sweep().await?;
        match self.config.pull {
            Pull::Never => self.engine.find_image(&self.config.image).await,
            Pull::Missing | Pull::Always => Ok(()),
        }
    }

    pub(super) async fn launch(&self, work: Work<'_>) -> Result<(Contained, PipeReader), StartError> {
        let name = self.engine.name(work.facts.instance, work.facts.attempt);
        let mut variables = variables(&work);
        let mut facts = work.facts;
        facts.url = self.config.url.clone().unwrap_or(facts.url);
        variables.extend(work.secrets);
        variables.extend(facts.variables(&inside(&work.paths)));
        let file = work.paths.private.join("environment");
        let written = environment_file(&variables).map_err(StartError::Variable)?;
        private::replace(&file, &written).map_err(StartError::Environment)?;
        // Mounted into the container, and so it must be there.
        private::make_sure(&work.paths.journal).map_err(StartError::Environment)?;
        let mut command = self.engine.command(&["run"]);
        command.extend(words(&self.config, work.config, &work.paths, &file));
        command.extend([format!("--name={name}"), format!("--label={}", self.engine.label())]);
        command.extend(self.config.run_options.iter().cloned());
        let (program, arguments) = work.command.split_first().ok_or(StartError::NoCommand)?;
        // Not the image's: the command is that of the definition.
        command.extend([format!("--entrypoint={program}"), self.config.image.clone()]);
        command.extend(arguments.iter().cloned());
        let plan = Plan {
            command: &command,
            environment: self.engine.environment(),
            // An engine may leave a note where it runs.
            directory: Some(&work.paths.private),
            // Of the container, and not of the engine's command line.
            limits: &Limits::default(),
            cgroup: None,
            after: &self.engine.removal(&name),
            until: work.lease.kill_at(),
        };
        let (launched, pipe) = work.config.launcher.launch(plan).await?;
        let engine = Arc::clone(&self.engine);
        Ok((
            Contained {
                launched,
                is_killed: false,
                asking: JoinSet::new(),
                engine,
                name,
                outcome: None,
                is_gone: false,
            },
            pipe,
        ))
    }
}

impl Contained {
    /// Waits until the command has ended and its container is gone. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Ended {
        // The engine's command line may end before the container, and well: a signal does that. The engine itself knows.
        if self.outcome.is_none()
            && !self.is_killed
            && let Some(said) = self.launched.said().await
        {
            self.outcome = Some(self.engine.outcome(&self.name, said).await);
        }
        self.asking.abort_all();
        self.launched.kill();
        let ended = self.launched.ended().await;
        if !self.is_gone {
            // The guardian has removed it, unless somebody killed the guardian.
            self.engine.see_it_gone(&self.name).await;
            self.is_gone = true;
        }
        match (self.outcome, ended) {
            (Some(outcome), _) => outcome,
            // Nobody knows that it ended well.
            (None, Ended::Exited(0)) => Ended::Exited(EXIT_LOST),
            (None, ended) => ended,
        }
    }

    /// Ends and removes it, by the guardian.
    pub(super) fn kill(&mut self) {
        self.is_killed = true;
        self.launched.kill();
    }

    /// Asks the first process of the container to end, by the engine. Its command line would pass a signal on too, but not from its first
    /// moment.
    pub(super) fn ask_to_end(&mut self) {
        let (engine, name) = (Arc::clone(&self.engine), self.name.clone());
        self.asking.spawn(async move { engine.ask_to_end(&name).await });
    }

    pub(super) fn inside(&self) -> Inside {
        Inside::new(Arc::clone(&self.engine), self.name.clone())
    }
}

/// Returns what is passed on of the runner's own environment: path and home are those of the image.
fn variables(work: &Work<'_>) -> BTreeMap<OsString, OsString> {
    let mut variables =
        crate::runner::secrets::inherited(&work.config.inherit, |name| std::env::var_os(name));
    variables.retain(|name, _| name != "PATH" && name != "HOME");
    variables
}
