//! A policy point whose answers follow from the input alone: small amounts pass, larger ones are asked for, huge ones are denied.

use std::sync::Arc;
use std::time::Duration;

use gantral_core::ids::Name;
use gantral_core::json::{Profile, Value, parse};
use gantral_core::policy::{Approvers, EvalFailure, Evaluation, EvaluatorId, PolicyVersionId, Verdict};
use gantral_engine::policy_point::{Answered, BoxFuture, PolicyPoint};

use crate::weather::{Trouble, Weather};

/// From which amount on humans are asked under the looser policy, in minor units.
const ASKS_FROM: u64 = 10_000;
/// From which amount on nothing may happen.
const DENIES_FROM: u64 = 900_000;

/// The policy point of a simulation.
#[derive(Debug)]
pub struct Rules {
    pub(crate) weather: Arc<Weather>,
    /// The version under which everything is asked for.
    pub(crate) strict: PolicyVersionId,
}

impl Rules {
    fn verdict(&self, version: PolicyVersionId, input: &[u8]) -> Result<Verdict, EvalFailure> {
        let input = parse(input, &Profile::DOCUMENT).map_err(|_| EvalFailure::Evaluation)?;
        let amount = amount(&input).ok_or(EvalFailure::Evaluation)?;
        Ok(match amount {
            DENIES_FROM.. => Verdict::Deny,
            ASKS_FROM.. => Verdict::RequireHuman,
            _ if version == self.strict => Verdict::RequireHuman,
            _ => Verdict::Allow,
        })
    }
}

/// Returns the amount that an action is about.
fn amount(input: &Value) -> Option<u64> {
    input.get("action")?.get("parameters")?.get("amount_minor")?.as_u64()
}

impl PolicyPoint for Rules {
    fn evaluate<'a>(
        &'a self,
        version: PolicyVersionId,
        input: &'a [u8],
        _: Duration,
    ) -> BoxFuture<'a, Answered> {
        Box::pin(async move {
            let name = |text: &str| Name::parse(text).unwrap_or_else(|_| unreachable!("a constant name"));
            tokio::time::sleep(self.weather.delay()).await;
            let by = EvaluatorId { engine: name("simulated"), version: name("1") };
            if self.weather.brings(Trouble::Evaluation) {
                return Answered { by, result: Err(EvalFailure::Unavailable) };
            }
            let result = self.verdict(version, input).map(|verdict| Evaluation {
                verdict,
                approvers: Approvers::Some { roles: Vec::new(), required: 1 },
                rejections: 1,
                required_evidence: None,
                timeout: None,
                escalation: Vec::new(),
                reasons: Vec::new(),
                standing_rules: Vec::new(),
                decision: verdict.as_str().as_bytes().to_vec(),
            });
            Answered { by, result }
        })
    }

    fn ready<'a>(&'a self, _: PolicyVersionId) -> BoxFuture<'a, Result<(), EvalFailure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
