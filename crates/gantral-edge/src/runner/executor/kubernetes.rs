//! Commands as Jobs of a Kubernetes cluster, by its API.
//!
//! A Job is made suspended, then the Secret that belongs to it, then the Job is let go: at no point is there a Secret without an owner, or a
//! pod without its token. It runs one pod, once. Its deadline is that of the lease and is moved with each renewal, so that the cluster itself ends what a
//! runner has left. The runner looks at the pod once in a while, takes its output over, and deletes the Job, and all that belongs to it, before it
//! reports the end. Source: the API reference of Kubernetes, `batch/v1` and `core/v1`.

mod api;
mod drive;
mod log;
mod manifest;

use std::io::{self, PipeReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantral_core::digest::Digest;
use serde_json::json;
use tokio::net::unix::pipe::Sender;
use tokio::sync::watch;
use tokio::time::Instant;

pub use self::api::ClusterError;
use self::api::{Api, Kind};
use self::drive::Drive;
use super::{EXIT_LOST, StartError, Work, owner, short};
use crate::child::Ended;
use crate::runner::lease::Lease;

/// How many characters of a digest tell one attempt from others, and a runner: with what stands before them they fit a label.
const NAME_LEN: usize = 32;
/// The label that tells which runner a Job is of.
const RUNNER: &str = "gantral.dev/runner";
/// The label that tells which attempt it is for.
const ATTEMPT: &str = "gantral.dev/attempt";

/// What Jobs are made of, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// Where the API is. Plain `http` is for loopback.
    pub server: String,
    /// A PEM file with the authorities to trust, and no others; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// The file with the token that the runner shows; read anew for each request.
    pub token_file: PathBuf,
    /// How long one request may take.
    pub timeout: Duration,
    /// The namespace of everything that is made.
    pub namespace: String,
    /// The service account of the pods; the namespace's usual one when absent. Its token is not given to them.
    pub service_account: Option<String>,
    /// The image, by digest or by tag.
    pub image: String,
    /// Where the server is, as pods reach it; as the runner does when absent.
    pub url: Option<String>,
    /// Thousandths of processors.
    pub milli_cpus: Option<u64>,
    /// The number of the user and the group that the command runs as; never 0.
    pub user: u32,
    /// Whether the file system of the image may be written to.
    pub writable: bool,
    /// How large `/tmp` may become, in bytes.
    pub tmp_bytes: u64,
}

/// What launches Jobs.
#[derive(Debug)]
pub(in crate::runner) struct Cluster {
    config: KubernetesConfig,
    api: Arc<Api>,
    owner: String,
}

/// A Job that runs.
///
/// Dropping it has the Job deleted, as long as the runner lives; its deadline ends it otherwise.
pub(in crate::runner) struct Job {
    wish: watch::Sender<Wish>,
    ended: watch::Receiver<Option<Ended>>,
}

/// What is wanted of a Job.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wish {
    end: End,
    /// The token, as it was renewed last.
    token: String,
    /// When the cluster must ask it to end by itself.
    until: Instant,
}

/// How a Job is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    ByItself,
    Asked,
    AtOnce,
}

impl Cluster {
    /// `work` is the work directory of the runner: its Jobs are told from those of others by it.
    pub(super) fn new(config: KubernetesConfig, work: &Path) -> Result<Self, ClusterError> {
        let api = Arc::new(Api::new(&config)?);
        Ok(Self { config, api, owner: owner(work, NAME_LEN) })
    }

    /// Deletes what an earlier runner with this work directory left, and sees that the cluster lets this one in.
    pub(super) async fn ready(&self) -> Result<(), ClusterError> {
        let jobs = self.api.list(Kind::Job, &format!("{RUNNER}={}", self.owner)).await?;
        for job in &jobs {
            if let Some(name) = job.pointer("/metadata/name").and_then(serde_json::Value::as_str) {
                tracing::warn!(job = name, "a job that an earlier runner left is deleted");
                self.api.delete_job(name).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn launch(&self, work: Work<'_>) -> Result<(Job, PipeReader), StartError> {
        let attempt = format!("{} {} {}", self.owner, work.facts.instance, work.facts.attempt);
        let name = format!("gantral-{}", short(Digest::of(attempt.as_bytes()), NAME_LEN));
        let (lease, grace) = (work.lease, work.lease.grace());
        let said = manifest::Said::read(&work, self.config.url.as_deref())?;
        let (pipe, output) = io::pipe().map_err(StartError::Environment)?;
        let output = Sender::from_owned_fd(output.into()).map_err(StartError::Environment)?;
        let labels = json!({RUNNER: self.owner, ATTEMPT: name});
        let job = manifest::job(&self.config, &name, &labels, &said, work.config, grace);
        let made = self.api.create(Kind::Job, &job).await?;
        let uid = made.pointer("/metadata/uid").and_then(serde_json::Value::as_str).unwrap_or_default();
        let secret = manifest::secret(&name, uid, &labels, &said);
        let begun = Instant::now();
        let let_go = async {
            self.api.create(Kind::Secret, &secret).await?;
            let seconds = seconds_between(begun, lease.ask_at());
            let change = json!({"spec": {"suspend": false, "activeDeadlineSeconds": seconds}});
            self.api.patch(Kind::Job, &name, &change).await
        };
        if let Err(error) = let_go.await {
            // It may have been let go without an answer: then it is ended again.
            if let Err(error) = self.api.delete_job(&name).await {
                tracing::error!(%error, job = name, "a job that was not launched cannot be deleted: its deadline ends it");
            }
            return Err(error.into());
        }
        let (wish, wished) =
            watch::channel(Wish { end: End::ByItself, token: said.token, until: lease.ask_at() });
        let (tell, ended) = watch::channel(None);
        let drive = Drive::new(Arc::clone(&self.api), name, begun, grace, wished);
        tokio::spawn(async move {
            let outcome = drive.follow(output).await;
            // Nobody may be left who wants to know.
            let _ = tell.send(Some(outcome));
        });
        Ok((Job { wish, ended }, pipe))
    }
}

impl Job {
    /// Waits until the command has ended and the cluster has nothing left of it. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> Ended {
        let ended = self.ended.wait_for(Option::is_some).await;
        // Nobody knows that it ended well.
        ended.ok().and_then(|ended| *ended).unwrap_or(Ended::Exited(EXIT_LOST))
    }

    /// Has the cluster ask it to end, and end it after the grace.
    pub(super) fn ask_to_end(&self) {
        self.want(End::Asked);
    }

    /// Has the cluster end it at once.
    pub(super) fn kill(&self) {
        self.want(End::AtOnce);
    }

    /// Passes on what a renewal brought.
    pub(super) fn renewed(&self, token: &str, lease: &Lease) {
        self.wish.send_modify(|wish| {
            token.clone_into(&mut wish.token);
            wish.until = lease.ask_at();
        });
    }

    fn want(&self, end: End) {
        self.wish.send_if_modified(|wish| {
            let more = wish.end < end;
            wish.end = wish.end.max(end);
            more
        });
    }
}

/// Returns whole seconds, and never more than there are; at least one, because none is no deadline.
fn seconds_between(from: Instant, to: Instant) -> u64 {
    to.saturating_duration_since(from).as_secs().max(1)
}

#[cfg(test)]
mod tests;
