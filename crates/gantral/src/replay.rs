//! Evaluating the policies of a bundle again: under the very engine and version that the artifacts name, and in workers with hard
//! limits, because neither policy nor input is to be trusted. Source: `spec/verification.md` §18.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gantral_core::policy::{EvalFailure, EvaluatorId, PolicyVersionId};
use gantral_evidence::verify::{Replay, ReplayOutcome, ReplayQuestion};
use gantral_policy::EvaluateAgain;
use gantral_policy::bundle::Bundle;

use crate::commands::policy::worker;
use crate::failure::Failure;

/// How long one evaluation may take. The server's limit is 250 ms, but on another machine.
const EVAL_TIME_MAX: Duration = Duration::from_secs(5);

/// What evaluates again.
struct Evaluator {
    engine: EvaluateAgain,
    /// The policies that are what their names say: another one would have the issuer answer for whoever exchanged it.
    intact: BTreeSet<PolicyVersionId>,
    /// What came of it: a failure that is sealed, and what follows from it, record one evaluation.
    done: BTreeMap<(PolicyVersionId, Vec<u8>), ReplayOutcome>,
}

/// Evaluates everything again. What cannot be evaluated is said to be so, whatever the reason.
pub fn replay(questions: &[ReplayQuestion<'_>]) -> Vec<Replay> {
    let mut evaluator = Evaluator::start(questions);
    let mut outcome = |question: &ReplayQuestion<'_>| match &mut evaluator {
        Ok(evaluator) => evaluator.evaluate(question),
        Err(failure) => ReplayOutcome::Unavailable(failure.to_string()),
    };
    questions
        .iter()
        .map(|question| Replay { artifact: question.artifact, outcome: outcome(question) })
        .collect()
}

impl Evaluator {
    fn start(questions: &[ReplayQuestion<'_>]) -> Result<Self, Failure> {
        let brought: BTreeMap<PolicyVersionId, &[u8]> =
            questions.iter().filter_map(|question| Some((question.version, question.archive?))).collect();
        let is_intact = |version: &PolicyVersionId, archive: &[u8]| {
            Bundle::from_archive(archive).is_ok_and(|bundle| bundle.version() == *version)
        };
        let archives = brought.into_iter().filter(|(version, archive)| is_intact(version, archive));
        let archives: BTreeMap<_, _> =
            archives.map(|(version, archive)| (version, archive.to_vec())).collect();
        let intact = archives.keys().copied().collect();
        let engine = EvaluateAgain::start(&worker()?, archives);
        let engine = engine.map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self { engine, intact, done: BTreeMap::new() })
    }

    fn evaluate(&mut self, question: &ReplayQuestion<'_>) -> ReplayOutcome {
        let unavailable = |why: &str| ReplayOutcome::Unavailable(why.to_owned());
        let ours = self.engine.id();
        if question.evaluator != ours {
            let named = |id: &EvaluatorId| format!("{} {}", id.engine, id.version);
            let (theirs, ours) = (named(&question.evaluator), named(&ours));
            return ReplayOutcome::Unavailable(format!("it was evaluated by {theirs}, and here is {ours}"));
        }
        if question.archive.is_none() {
            return unavailable("the bundle does not hold the policy");
        }
        if !self.intact.contains(&question.version) {
            return unavailable("the policy in the bundle is not what its name says");
        }
        let Some(input) = &question.input else {
            return unavailable("what policy evaluated is not disclosed");
        };
        let key = (question.version, input.clone());
        if let Some(done) = self.done.get(&key) {
            return done.clone();
        }
        let outcome = match self.engine.evaluate(question.version, input, EVAL_TIME_MAX) {
            Ok(answer) => ReplayOutcome::Answered { verdict: answer.verdict, decision: answer.decision },
            Err(failure) if failure.is_outage() || failure == EvalFailure::ResourceLimit => {
                ReplayOutcome::Unavailable(format!("evaluating it again did not succeed: {failure}"))
            }
            Err(failure) => ReplayOutcome::Failed(failure),
        };
        self.done.insert(key, outcome.clone());
        outcome
    }
}
