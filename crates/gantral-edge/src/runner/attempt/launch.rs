//! Before the command: secrets, files, the socket, the log; then the executor is given all of it.

use std::ffi::OsString;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use gantral_api::client::TokenSource;
use gantral_core::ids::{AttemptNo, GrantId, Name, WorkflowId};
use gantral_core::workflow::Workflow;

use super::{Attempt, Running};
use crate::runner::desk::{Desk, bind};
use crate::runner::event::RunnerEvent;
use crate::runner::executor::{Facts, Members, Paths, StartError, Work};
use crate::runner::files::{AttemptDir, FilesError, open_log};
use crate::runner::mask::Mask;
use crate::runner::output::{Output, SharedMask};
use crate::runner::proof::Asks;
use crate::runner::secrets::{SecretError, resolve};
use crate::runner::verify::Verified;

/// The exit status that is reported when nothing was launched because this runner could not prepare it.
const EXIT_NOT_PREPARED: i32 = 125;

/// Why a process was not launched. The attempt has attached, so its end must be reported.
#[derive(Debug, thiserror::Error)]
pub(super) enum PrepareError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the socket `{path}` cannot be made: {error}; a work directory with a shorter path may help")]
    Socket { path: String, error: std::io::Error },
    #[error("the output cannot be read: {0}")]
    Output(std::io::Error),
}

impl PrepareError {
    pub(super) fn exit_status(&self) -> i32 {
        match self {
            Self::Start(error) => error.exit_status().unwrap_or(EXIT_NOT_PREPARED),
            Self::Secret(_) | Self::Files(_) | Self::Socket { .. } | Self::Output(_) => EXIT_NOT_PREPARED,
        }
    }
}

impl Attempt<'_> {
    pub(super) async fn launch(
        &self,
        verified: &Verified,
        token: &str,
        grant: Option<GrantId>,
    ) -> Result<Running, PrepareError> {
        let shared = self.shared;
        let secrets = resolve(&self.task.secrets, |name| std::env::var_os(name))?;
        let mask = Arc::new(Mutex::new(Mask::of(secrets.values().map(OsString::as_os_str))));
        let dir = shared.work.attempt(self.instance, self.attempt)?;
        dir.put_token(token)?;
        dir.put_context(&verified.context)?;
        let offered = self.offered();
        let socket = (!offered.is_empty()).then(|| shared.work.socket(self.instance, self.attempt));
        let listener = socket.as_deref().map(bind).transpose();
        let listener = listener.map_err(|error| PrepareError::Socket {
            path: socket.as_deref().map(|path| path.display().to_string()).unwrap_or_default(),
            error,
        })?;
        let path = shared.work.log(self.instance, self.attempt);
        let log = open_log(&path)?;
        let work = Work {
            config: &shared.config,
            lease: self.lease,
            facts: self.facts(grant),
            command: &self.task.command,
            secrets,
            paths: Paths {
                private: dir.path().to_owned(),
                told: dir.told(),
                token: dir.token(),
                context: dir.context(),
                journal: shared.journal.path().to_owned(),
                trust: shared.work.trust().to_owned(),
                mode_lease: shared.work.lease(&self.task.workflow.id),
                socket,
            },
        };
        let (launched, pipe) = shared.executor.launch(work).await?;
        let desk = listener
            .map(|listener| self.desk(offered, &dir, launched.members(), Arc::clone(&mask)).open(listener));
        let bytes_max = shared.config.log_bytes_max;
        let output = Output::copy(pipe, log, mask, bytes_max).map_err(PrepareError::Output)?;
        let (instance, attempt, process) = (self.instance, self.attempt, launched.process());
        shared.config.observer.tell(&RunnerEvent::Started { instance, attempt, process, log: path });
        Ok(Running { launched, output, dir, desk })
    }

    /// Returns the names of the secrets that this attempt may have for some action.
    fn offered(&self) -> Vec<Name> {
        // What was verified before: the definition is the one that the chain names.
        let definition = self.task.definition.to_value().ok();
        let workflow = definition.and_then(|value| Workflow::read(&value).ok());
        let queue = workflow.and_then(|workflow| workflow.run).map(|run| run.queue);
        let secrets = self.shared.vault.secrets.iter();
        let offered = secrets.filter(|secret| secret.is_for(&self.task.workflow.id, queue.as_ref()));
        offered.map(|secret| secret.name.clone()).collect()
    }

    fn desk(&self, offered: Vec<Name>, dir: &AttemptDir, members: Members, mask: SharedMask) -> Desk {
        let shared = self.shared;
        Desk {
            asks: Asks {
                instance: self.instance,
                workflow: WorkflowId::clone(&self.task.workflow.id),
                attempt: AttemptNo(self.attempt),
            },
            vault: Arc::clone(&shared.vault),
            offered,
            pinned: shared.config.pinned.clone(),
            client: shared.client.with_token(TokenSource::File(dir.token())),
            members,
            mask,
            records: shared.work.records(),
            observer: shared.config.observer.clone(),
            given: Mutex::default(),
            asked: AtomicUsize::new(0),
        }
    }

    fn facts(&self, grant: Option<GrantId>) -> Facts {
        Facts {
            instance: self.instance,
            attempt: self.attempt,
            url: self.shared.client.base().to_owned(),
            tenant: self.shared.config.pinned.tenant.clone(),
            workflow: WorkflowId::clone(&self.task.workflow.id),
            grant,
            traceparent: self.task.traceparent.clone().filter(|place| is_traceparent(place)),
        }
    }
}

/// Tells whether a text is what it is said to be: nothing signs it, so nothing else may come by it into an environment.
fn is_traceparent(text: &str) -> bool {
    let lengths = [2, 32, 16, 2];
    let mut members = text.split('-');
    let is_hex = |member: &str| member.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    lengths
        .into_iter()
        .all(|length| members.next().is_some_and(|member| member.len() == length && is_hex(member)))
        && members.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_place_in_a_trace_comes_into_the_environment_as_one() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(is_traceparent(good));
        for wrong in
            ["", "00", &good.to_uppercase(), &good.replace('7', "\n"), &format!("{good}-"), &good[1..]]
        {
            assert!(!is_traceparent(wrong), "{wrong}");
        }
    }
}
