//! Evaluating again what was evaluated once: archives that somebody brings, in a worker with the limits of any other.
//!
//! For programs without a runtime of their own. The calls block.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use gantral_core::policy::{EvalFailure, Evaluation, EvaluatorId, PolicyVersionId};
use gantral_engine::policy_point::{BoxFuture, PolicyPoint as _};
use tokio::runtime::{Builder, Runtime};

use crate::pool::PoolConfig;
use crate::process::WorkerCommand;
use crate::rego::{BundleSource, RegoPolicyPoint, SourceUnavailable, StartError};

/// Why nothing can be evaluated: the environment's fault.
#[derive(Debug, thiserror::Error)]
pub enum AgainError {
    /// The runtime that waits for the worker.
    #[error("cannot wait for policy workers: {0}")]
    Runtime(#[source] io::Error),
    /// The worker's thread.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Archives of policy bundles by the versions that they are said to be. Whoever loads one checks that it is.
#[derive(Default)]
pub(crate) struct Archives(pub(crate) BTreeMap<PolicyVersionId, Vec<u8>>);

impl BundleSource for Archives {
    fn bundle(&self, version: PolicyVersionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, SourceUnavailable>> {
        Box::pin(async move { Ok(self.0.get(&version).cloned()) })
    }
}

/// Evaluates policies that somebody brings.
pub struct EvaluateAgain {
    runtime: Runtime,
    point: RegoPolicyPoint,
}

impl EvaluateAgain {
    /// Has one worker for these archives.
    ///
    /// # Errors
    /// The environment's; may be tried again.
    pub fn start(
        worker: &WorkerCommand,
        archives: BTreeMap<PolicyVersionId, Vec<u8>>,
    ) -> Result<Self, AgainError> {
        let runtime = Builder::new_current_thread().enable_time().build().map_err(AgainError::Runtime)?;
        let config = PoolConfig { workers: NonZeroUsize::MIN, queue_max: 1 };
        let point = RegoPolicyPoint::start(worker, config, Arc::new(Archives(archives)))?;
        Ok(Self { runtime, point })
    }

    /// Returns the engine and its version.
    pub fn id(&self) -> EvaluatorId {
        self.point.id()
    }

    /// Evaluates an input, loading the policy included. Blocks up to `limit`.
    ///
    /// # Errors
    /// What an engine would record.
    pub fn evaluate(
        &self,
        version: PolicyVersionId,
        input: &[u8],
        limit: Duration,
    ) -> Result<Evaluation, EvalFailure> {
        self.runtime.block_on(self.point.evaluate(version, input, limit)).result
    }
}
