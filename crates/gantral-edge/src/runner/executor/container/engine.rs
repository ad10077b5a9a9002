//! What the runner asks of an engine beside running: what is there, and that it goes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use gantral_core::ids::InstanceId;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::Instant;

use super::{ContainerConfig, EngineKind};
use crate::child::Ended;
use crate::runner::executor::EXIT_LOST;

/// How long one question may take. An engine that is busy with images takes its time.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The most that is read of an answer, in bytes: the numbers of a thousand containers.
const ANSWER_BYTES_MAX: u64 = 128 << 10;
/// The most that is read of a complaint, in bytes.
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;
/// How long it is seen to that a container goes.
const GONE_WITHIN: Duration = Duration::from_secs(20);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// The label of every container of a runner; its value tells which runner.
const LABEL: &str = "gantral.runner";

/// The variables that engines are told of: where they keep their own things. Nothing else of the runner's environment is for them.
const VARIABLES: [&str; 18] = [
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "REGISTRY_AUTH_FILE",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "CONTAINERD_ADDRESS",
    "CONTAINERD_NAMESPACE",
    "NERDCTL_TOML",
];

/// Why an engine is of no use. The environment is at fault.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It is not there, or cannot be run.
    #[error("the engine `{program}` cannot be run: {error}")]
    Program {
        /// Its program.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// It does not answer.
    #[error("the engine `{program}` does not answer within {} s", ANSWER_WITHIN.as_secs())]
    Silent {
        /// Its program.
        program: String,
    },
    /// It refuses.
    #[error("the engine `{program}` refuses `{asked}`: {why}")]
    Refused {
        /// Its program.
        program: String,
        /// The subcommand.
        asked: String,
        /// What it said.
        why: String,
    },
}

/// The command line of an engine.
#[derive(Debug)]
pub(in crate::runner) struct Engine {
    kind: EngineKind,
    program: String,
    options: Vec<String>,
    environment: BTreeMap<OsString, OsString>,
    owner: String,
}

impl Engine {
    pub(super) fn new(config: &ContainerConfig, owner: String) -> Self {
        let variable = |name: &str| Some((OsString::from(name), std::env::var_os(name)?));
        Self {
            kind: config.engine,
            program: config.program.display().to_string(),
            options: config.engine_options.clone(),
            environment: VARIABLES.into_iter().filter_map(variable).collect(),
            owner,
        }
    }

    /// Returns the words of a subcommand, with what stands before each.
    pub(super) fn command(&self, words: &[&str]) -> Vec<String> {
        let program = std::iter::once(self.program.clone());
        program
            .chain(self.options.iter().cloned())
            .chain(words.iter().map(|word| (*word).to_owned()))
            .collect()
    }

    pub(super) const fn environment(&self) -> &BTreeMap<OsString, OsString> {
        &self.environment
    }

    /// Returns the label of every container of this runner.
    pub(super) fn label(&self) -> String {
        format!("{LABEL}={}", self.owner)
    }

    /// Returns the name of the container of an attempt.
    pub(super) fn name(&self, instance: InstanceId, attempt: u32) -> String {
        format!("gantral-{}-{instance}-{attempt}", self.owner)
    }

    /// Returns the command that ends and removes a container, at once.
    pub(super) fn removal(&self, name: &str) -> Vec<String> {
        let at_once: &[&str] = match self.kind {
            // Else it asks the container to end first, and waits.
            EngineKind::Podman => &["--time=0", "--ignore"],
            EngineKind::Docker | EngineKind::Nerdctl => &[],
        };
        self.command(&[&["rm", "--force", "--volumes"], at_once, &[name]].concat())
    }

    /// Says how a container ended. `said` is how the engine's command line did.
    pub(super) async fn outcome(&self, name: &str, said: Ended) -> Ended {
        let asked =
            self.command(&["container", "inspect", "--format={{.State.Status}} {{.State.ExitCode}}", name]);
        let found = self.ask(&asked).await;
        let found = found.inspect_err(|error| tracing::warn!(%error, "a container that ended is not known"));
        ended(found.ok().as_deref().unwrap_or_default(), said)
    }

    /// Asks a container to end, again and again until it has heard it or is gone.
    pub(super) async fn ask_to_end(&self, name: &str) {
        let until = Instant::now() + ANSWER_WITHIN;
        while self.ask(&self.command(&["kill", "--signal=TERM", name])).await.is_err()
            && Instant::now() < until
        {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends and removes every container that a runner of the same work directory left.
    pub(super) async fn sweep(&self) -> Result<(), EngineError> {
        let found = self.find(&format!("label={}", self.label())).await?;
        for container in found.lines().map(str::trim).filter(|line| !line.is_empty()) {
            tracing::warn!(container, "a container that an earlier runner left is removed");
            self.remove(container).await?;
        }
        Ok(())
    }

    /// Removes a container. An engine may refuse that for one that was killed a moment ago.
    async fn remove(&self, container: &str) -> Result<(), EngineError> {
        let until = Instant::now() + GONE_WITHIN;
        loop {
            match self.ask(&self.removal(container)).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    pub(super) async fn find_image(&self, image: &str) -> Result<(), EngineError> {
        self.ask(&self.command(&["image", "inspect", "--format={{.Id}}", image])).await.map(drop)
    }

    /// Returns the number that this machine gives the first process of a container; `None` if it does not run.
    pub(super) async fn first_process(&self, name: &str) -> Result<Option<i32>, EngineError> {
        let asked = self.command(&["container", "inspect", "--format={{.State.Pid}}", name]);
        Ok(self.ask(&asked).await?.trim().parse().ok().filter(|process| *process > 0))
    }

    /// Waits until there is no such container, and removes it as often as that needs.
    pub(super) async fn see_it_gone(&self, name: &str) {
        let until = Instant::now() + GONE_WITHIN;
        loop {
            let why = match self.find(&format!("name={name}")).await {
                Ok(found) if found.trim().is_empty() => return,
                Ok(_) => match self.ask(&self.removal(name)).await {
                    Ok(_) => continue,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if Instant::now() >= until {
                tracing::error!(%why, container = name, "the engine does not remove a container: it may still run");
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn find(&self, filter: &str) -> Result<String, EngineError> {
        self.ask(&self.command(&["ps", "--all", "--quiet", "--no-trunc", "--filter", filter])).await
    }

    async fn ask(&self, words: &[String]) -> Result<String, EngineError> {
        let program = || self.program.clone();
        let asked = tokio::time::timeout(ANSWER_WITHIN, self.answer(words));
        let answer = asked.await.map_err(|_| EngineError::Silent { program: program() })?;
        let (status, said, complaint) =
            answer.map_err(|error| EngineError::Program { program: program(), error })?;
        if status.success() {
            return Ok(said);
        }
        let asked = words.get(1 + self.options.len()).cloned().unwrap_or_default();
        let why = complaint.trim().lines().next_back().unwrap_or("it does not say why").to_owned();
        Err(EngineError::Refused { program: program(), asked, why })
    }

    async fn answer(&self, words: &[String]) -> io::Result<(std::process::ExitStatus, String, String)> {
        let mut child = Command::new(&self.program)
            .args(words.iter().skip(1))
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (mut said, mut complaint) = (Vec::new(), Vec::new());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let hear = async {
            if let Some(stdout) = stdout {
                stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut said).await?;
            }
            io::Result::Ok(())
        };
        let hear_why = async {
            if let Some(stderr) = stderr {
                stderr.take(COMPLAINT_BYTES_MAX).read_to_end(&mut complaint).await?;
            }
            io::Result::Ok(())
        };
        tokio::try_join!(hear, hear_why)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((child.wait().await?, text(said), text(complaint)))
    }
}

/// Reads state and exit status of a container; what is missing there is said by the engine's command line, if that is no good end.
fn ended(found: &str, said: Ended) -> Ended {
    let mut words = found.split_whitespace();
    let (state, status) = (words.next(), words.next().and_then(|status| status.parse().ok()));
    match (state, status) {
        (Some("exited" | "stopped" | "dead"), Some(status)) => Ended::Exited(status),
        // It runs on without the command line, and is removed: what it would have said is lost.
        (Some("running" | "paused" | "stopping"), _) => Ended::Exited(EXIT_LOST),
        (_, _) if said == Ended::Exited(0) => Ended::Exited(EXIT_LOST),
        (_, _) => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ended_well_that_the_engine_does_not_say_ended_well() {
        let (well, badly) = (Ended::Exited(0), Ended::Exited(127));
        for (found, said, expected) in [
            ("exited 0\n", well, 0),
            ("exited 9\n", well, 9),
            ("stopped 137", Ended::Killed(9), 137),
            ("running 0", well, EXIT_LOST),
            ("created 0", badly, 127),
            ("created 0", well, EXIT_LOST),
            ("", well, EXIT_LOST),
            ("", badly, 127),
            ("exited", well, EXIT_LOST),
            ("exited x", well, EXIT_LOST),
            ("", Ended::Killed(9), -9),
        ] {
            assert_eq!(ended(found, said).exit_status(), expected, "{found} {said:?}");
        }
    }
}
