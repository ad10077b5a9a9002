//! The policy point that evaluates Rego in this crate's workers.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantral_core::ids::{IdError, Name};
use gantral_core::policy::{EvalFailure, EvaluatorId, PolicyVersionId};
use gantral_engine::policy_point::{Answered, BoxFuture, PolicyPoint};
use tokio::sync::oneshot;

use crate::output;
use crate::pool::{Begun, Job, Pool, PoolConfig, Work, WorkerStatus};
use crate::process::WorkerCommand;

/// The version of the engine, as pinned by the workspace and recorded in artifacts.
pub const ENGINE_VERSION: &str = "0.14.1";
/// How long [`PolicyPoint::ready`] waits: a bundle is fetched and compiled.
const READY_TIME_MAX: Duration = Duration::from_secs(5);
/// How many archives are kept for workers that do not have them loaded yet.
const ARCHIVES_MAX: usize = 64;
/// How many bytes of archives are kept.
const ARCHIVE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where bundles come from. Its failures are outages: the version may exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bundle store is unavailable")]
pub struct SourceUnavailable;

/// Finds bundles by version.
pub trait BundleSource: Send + Sync {
    /// Returns the `tar.gz` archive of a version, or `None` when there is no such version. Called once in a while, not
    /// for each evaluation. The content is verified by whoever loads it.
    fn bundle(&self, version: PolicyVersionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, SourceUnavailable>>;
}

/// Why the policy point could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A thread could not be started.
    #[error("cannot start the policy pool: {0}")]
    Threads(#[source] io::Error),
    /// The engine's name or version is no name: our own mistake.
    #[error(transparent)]
    Name(#[from] IdError),
}

/// Evaluates Rego bundles in supervised worker processes.
pub struct RegoPolicyPoint {
    id: EvaluatorId,
    pool: Pool,
    source: Arc<dyn BundleSource>,
    archives: Mutex<Archives>,
}

impl RegoPolicyPoint {
    /// Starts the pool. Bundles are loaded when they are first asked for.
    pub fn start(
        command: &WorkerCommand,
        config: PoolConfig,
        source: Arc<dyn BundleSource>,
    ) -> Result<Self, StartError> {
        let id = EvaluatorId { engine: Name::parse("regorus")?, version: Name::parse(ENGINE_VERSION)? };
        let pool = Pool::start(command, config).map_err(StartError::Threads)?;
        Ok(Self { id, pool, source, archives: Mutex::default() })
    }

    /// Names the engine and its version.
    pub fn id(&self) -> EvaluatorId {
        self.id.clone()
    }

    /// Returns the state of each worker, for metrics and diagnosis.
    pub fn workers(&self) -> Vec<WorkerStatus> {
        self.pool.status()
    }

    async fn run(
        &self,
        version: PolicyVersionId,
        work: Work,
        limit: Duration,
    ) -> Result<Vec<u8>, EvalFailure> {
        let deadline = Instant::now() + limit;
        let begun = Begun::default();
        let answered = async {
            let archive = self.archive(version).await?;
            let (answer, result) = oneshot::channel();
            self.pool.submit(Job {
                version,
                archive,
                work,
                limit,
                deadline,
                retried: false,
                alone: false,
                begun: begun.clone(),
                answer,
            });
            match result.await {
                // The detail may quote values of the input, which must not reach a log.
                Ok(result) => result.map_err(|refused| refused.failure),
                Err(_) => Err(EvalFailure::Unavailable),
            }
        };
        let in_time = tokio::time::timeout_at(deadline.into(), answered).await;
        in_time.unwrap_or_else(|_| Err(begun.too_late().failure))
    }

    async fn archive(&self, version: PolicyVersionId) -> Result<Arc<[u8]>, EvalFailure> {
        let kept = self.archives.lock().unwrap_or_else(PoisonError::into_inner).get(version);
        if let Some(archive) = kept {
            return Ok(archive);
        }
        let found =
            self.source.bundle(version).await.map_err(|SourceUnavailable| EvalFailure::Unavailable)?;
        let archive: Arc<[u8]> = found.ok_or(EvalFailure::VersionUnknown)?.into();
        self.archives.lock().unwrap_or_else(PoisonError::into_inner).keep(version, Arc::clone(&archive));
        Ok(archive)
    }
}

impl PolicyPoint for RegoPolicyPoint {
    fn evaluate<'a>(
        &'a self,
        version: PolicyVersionId,
        input: &'a [u8],
        limit: Duration,
    ) -> BoxFuture<'a, Answered> {
        Box::pin(async move {
            let answer = self.run(version, Work::Evaluate(input.to_vec()), limit).await;
            let read = |answer: Vec<u8>| output::read(&answer).map_err(|error| error.failure());
            Answered { by: self.id.clone(), result: answer.and_then(read) }
        })
    }

    fn ready<'a>(&'a self, version: PolicyVersionId) -> BoxFuture<'a, Result<(), EvalFailure>> {
        Box::pin(async move { self.run(version, Work::Ready, READY_TIME_MAX).await.map(drop) })
    }
}

/// Archives that were fetched, the most recently fetched last.
#[derive(Default)]
struct Archives(Vec<(PolicyVersionId, Arc<[u8]>)>);

impl Archives {
    fn get(&self, version: PolicyVersionId) -> Option<Arc<[u8]>> {
        self.0.iter().rev().find(|(kept, _)| *kept == version).map(|(_, archive)| Arc::clone(archive))
    }

    fn keep(&mut self, version: PolicyVersionId, archive: Arc<[u8]>) {
        self.0.retain(|(kept, _)| *kept != version);
        self.0.push((version, archive));
        let bytes =
            |archives: &[(_, Arc<[u8]>)]| archives.iter().map(|(_, archive)| archive.len()).sum::<usize>();
        while self.0.len() > ARCHIVES_MAX || (self.0.len() > 1 && bytes(&self.0) > ARCHIVE_BYTES_MAX) {
            self.0.remove(0);
        }
    }
}
