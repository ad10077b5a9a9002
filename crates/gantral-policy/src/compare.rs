//! Two policies side by side, over inputs that were recorded.
//!
//! They are evaluated in workers of their own, so that a long comparison takes nothing from the gates. Nothing is decided.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use gantral_core::policy::{EvalFailure, Evaluation, PolicyVersionId};
use gantral_engine::policy_point::PolicyPoint as _;

use crate::again::Archives;
use crate::bundle::{Bundle, BundleError};
use crate::pool::PoolConfig;
use crate::process::WorkerCommand;
use crate::rego::{RegoPolicyPoint, StartError};

/// How many inputs may be compared at once: enough to fill the workers' batches, few enough that none waits for long.
pub const COMPARED_AT_ONCE: usize = 64;
/// How long one evaluation may take, the wait behind the others included. A gate has less, and waits for fewer.
const COMPARED_WITHIN: Duration = Duration::from_secs(2);
/// How many evaluations may wait.
const QUEUE_MAX: usize = 2 * COMPARED_AT_ONCE;

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One of the two is no bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The workers cannot be started: the environment's fault.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// What one policy says of one input.
pub type Said = Result<Evaluation, EvalFailure>;

/// Two policies, ready to be asked.
pub struct Comparison {
    point: RegoPolicyPoint,
    versions: [PolicyVersionId; 2],
}

impl Comparison {
    /// Starts workers for two bundles.
    ///
    /// # Errors
    /// See [`CompareError`]; only `Start` is worth another try.
    pub fn start(
        worker: &WorkerCommand,
        workers: NonZeroUsize,
        bundles: [&Bundle; 2],
    ) -> Result<Self, CompareError> {
        let mut archives = Archives::default();
        for bundle in bundles {
            archives.0.insert(bundle.version(), bundle.to_archive()?);
        }
        let config = PoolConfig { workers, queue_max: QUEUE_MAX };
        let point = RegoPolicyPoint::start(worker, config, Arc::new(archives))?;
        Ok(Self { point, versions: bundles.map(Bundle::version) })
    }

    /// Returns the versions of both.
    pub const fn versions(&self) -> [PolicyVersionId; 2] {
        self.versions
    }

    /// Has both compiled; returns what is wrong with each.
    pub async fn ready(&self) -> [Result<(), EvalFailure>; 2] {
        let [a, b] = self.versions;
        [self.point.ready(a).await, self.point.ready(b).await]
    }

    /// Asks both, each about the input as it would have seen it. At most [`COMPARED_AT_ONCE`] of these may be under way.
    pub async fn ask(&self, [for_a, for_b]: [&[u8]; 2]) -> [Said; 2] {
        let [a, b] = self.versions;
        let answers = futures_util::future::join(
            self.point.evaluate(a, for_a, COMPARED_WITHIN),
            self.point.evaluate(b, for_b, COMPARED_WITHIN),
        );
        let (a, b) = answers.await;
        [a.result, b.result]
    }
}
