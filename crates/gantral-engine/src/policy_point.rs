//! The port to whatever evaluates policy.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use gantral_core::ids::Name;
use gantral_core::policy::{EvalFailure, Evaluation, EvaluatorId, PolicyVersionId};

/// A future that is sent between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an evaluator answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The engine and its version, as recorded in artifacts; where it failed, the one that was asked, as far as it is known.
    pub by: EvaluatorId,
    /// What the policy advises, or why nobody knows.
    pub result: Result<Evaluation, EvalFailure>,
}

/// Evaluates policy. An evaluator advises: it never sees how its failures are resolved.
///
/// Contract: `evaluate` returns within `limit`, is free of side effects and may be called concurrently. An evaluator that
/// did not answer in time is `DeadlineExceeded`, an outage; where it is known that the policy itself was at work until
/// then, the failure is `ResourceLimit`: whoever writes the input must not be able to choose an outage. `input` is the canonical
/// input document: exactly the bytes that are committed to.
pub trait PolicyPoint: Send + Sync {
    /// Evaluates one input under one policy version within `limit`.
    fn evaluate<'a>(
        &'a self,
        version: PolicyVersionId,
        input: &'a [u8],
        limit: Duration,
    ) -> BoxFuture<'a, Answered>;

    /// Tells whether this version could be evaluated now.
    fn ready<'a>(&'a self, version: PolicyVersionId) -> BoxFuture<'a, Result<(), EvalFailure>>;
}

/// What evaluates, and how long it may take for one evaluation.
#[derive(Clone)]
struct Evaluator {
    point: Arc<dyn PolicyPoint>,
    limit: Duration,
}

/// The evaluators of a deployment, side by side. A workflow chooses one by its name; one that names none gets the default.
#[derive(Clone)]
pub struct Evaluators {
    default: Evaluator,
    named: BTreeMap<Name, Evaluator>,
}

impl Evaluators {
    /// Begins with the evaluator of workflows that name none.
    pub fn new(point: Arc<dyn PolicyPoint>, limit: Duration) -> Self {
        Self { default: Evaluator { point, limit }, named: BTreeMap::new() }
    }

    /// Adds an evaluator under a name.
    #[must_use]
    pub fn with(mut self, name: Name, point: Arc<dyn PolicyPoint>, limit: Duration) -> Self {
        self.named.insert(name, Evaluator { point, limit });
        self
    }

    /// Tells whether a workflow may choose this one.
    pub fn has(&self, name: &Name) -> bool {
        self.named.contains_key(name)
    }

    /// Evaluates an input with the evaluator that a workflow chooses. One that the deployment does not have any more is unavailable.
    pub(crate) async fn evaluate(
        &self,
        chosen: Option<&Name>,
        version: PolicyVersionId,
        input: &[u8],
    ) -> Answered {
        let evaluator = match chosen {
            None => &self.default,
            Some(name) => match self.named.get(name) {
                Some(evaluator) => evaluator,
                None => {
                    let by = EvaluatorId::unknown(name.clone());
                    return Answered { by, result: Err(EvalFailure::Unavailable) };
                }
            },
        };
        evaluator.point.evaluate(version, input, evaluator.limit).await
    }
}
