//! The port to whatever evaluates policy.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use gantral_core::policy::{EvalFailure, Evaluation, EvaluatorId, PolicyVersionId};

/// A future that is sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Evaluates policy. An evaluator advises: it never sees how its failures are resolved.
///
/// Contract: `evaluate` returns within `limit`, is free of side effects and may be called concurrently. An evaluator that
/// did not answer in time is `DeadlineExceeded`, an outage; where it is known that the policy itself was at work until
/// then, the failure is `ResourceLimit`: whoever writes the input must not be able to choose an outage. `input` is the canonical input document: exactly the bytes that are committed to.
pub trait PolicyPoint: Send + Sync {
    /// Names the engine and its version, as recorded in artifacts.
    fn id(&self) -> EvaluatorId;

    /// Evaluates one input under one policy version within `limit`.
    fn evaluate<'a>(
        &'a self,
        version: PolicyVersionId,
        input: &'a [u8],
        limit: Duration,
    ) -> BoxFuture<'a, Result<Evaluation, EvalFailure>>;

    /// Tells whether this version could be evaluated now.
    fn ready<'a>(&'a self, version: PolicyVersionId) -> BoxFuture<'a, Result<(), EvalFailure>>;
}
