//! Evaluating the policies of a bundle again: under the very engine and version that the artifacts name, and in workers with hard
//! limits, because neither policy nor input is to be trusted. Source: `spec/verification.md` §18.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gantral_core::ids::Name;
use gantral_core::policy::{EvalFailure, EvaluatorId, PolicyVersionId};
use gantral_evidence::verify::{Replay, ReplayOutcome, ReplayQuestion};
use gantral_policy::EvaluateAgain;
use gantral_policy::bundle::Bundle;
use gantral_policy::opa::program::{NotAnswered, OpaProgram};

use tempfile::TempDir;

use crate::commands::policy::worker;
use crate::failure::Failure;

/// How long one evaluation may take. The server's limit is 250 ms, but on another machine.
const EVAL_TIME_MAX: Duration = Duration::from_secs(5);

/// What evaluates again.
struct Evaluator {
    engine: EvaluateAgain,
    /// An OPA of the relying party's own, and the folder that it works in.
    opa: Option<(OpaProgram, TempDir)>,
    /// The policies that are what their names say: another one would have the issuer answer for whoever exchanged it.
    intact: BTreeMap<PolicyVersionId, Bundle>,
    /// What came of it: a failure that is sealed, and what follows from it, record one evaluation.
    done: BTreeMap<(Name, PolicyVersionId, Vec<u8>), ReplayOutcome>,
}

/// Evaluates everything again: what an OPA evaluated by the program that is given, if one is. What cannot be evaluated is said to be so,
/// whatever the reason.
pub fn replay(questions: &[ReplayQuestion<'_>], opa: Option<&Path>) -> Vec<Replay> {
    let mut evaluator = Evaluator::start(questions, opa);
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
    fn start(questions: &[ReplayQuestion<'_>], opa: Option<&Path>) -> Result<Self, Failure> {
        let brought: BTreeMap<PolicyVersionId, &[u8]> =
            questions.iter().filter_map(|question| Some((question.version, question.archive?))).collect();
        let intact: BTreeMap<PolicyVersionId, Bundle> = brought
            .iter()
            .filter_map(|(version, archive)| Some((*version, Bundle::from_archive(archive).ok()?)))
            .filter(|(version, bundle)| bundle.version() == *version)
            .collect();
        let archives = brought.into_iter().filter(|(version, _)| intact.contains_key(version));
        let archives = archives.map(|(version, archive)| (version, archive.to_vec())).collect();
        let engine = EvaluateAgain::start(&worker()?, archives);
        let engine = engine.map_err(|error| Failure::new(error.to_string()))?;
        let opa = opa.map(opened).transpose()?;
        Ok(Self { engine, opa, intact, done: BTreeMap::new() })
    }

    fn evaluate(&mut self, question: &ReplayQuestion<'_>) -> ReplayOutcome {
        let unavailable = |why: &str| ReplayOutcome::Unavailable(why.to_owned());
        let ours = self.engine.id();
        let opa = self.opa.as_ref().map(|(opa, _)| opa);
        let by_opa = opa.filter(|opa| *opa.id() == question.evaluator);
        if question.evaluator != ours && by_opa.is_none() {
            let named = |id: &EvaluatorId| format!("{} {}", id.engine, id.version);
            let (theirs, ours) = (named(&question.evaluator), named(&ours));
            let beside = opa.map(|opa| format!(" and {}", named(opa.id()))).unwrap_or_default();
            let why = format!("it was evaluated by {theirs}, and here is {ours}{beside}");
            return ReplayOutcome::Unavailable(why);
        }
        if question.archive.is_none() {
            return unavailable("the bundle does not hold the policy");
        }
        let Some(policy) = self.intact.get(&question.version) else {
            return unavailable("the policy in the bundle is not what its name says");
        };
        let Some(input) = &question.input else {
            return unavailable("what policy evaluated is not disclosed");
        };
        let key = (question.evaluator.engine.clone(), question.version, input.clone());
        if let Some(done) = self.done.get(&key) {
            return done.clone();
        }
        let answered = match by_opa {
            Some(opa) => opa.evaluate(policy, input, EVAL_TIME_MAX),
            None => self.engine.evaluate(question.version, input, EVAL_TIME_MAX).map_err(|failure| {
                if failure.is_outage() || failure == EvalFailure::ResourceLimit {
                    NotAnswered::NotDone(failure.to_string())
                } else {
                    NotAnswered::Failed(failure)
                }
            }),
        };
        let outcome = match answered {
            Ok(answer) => ReplayOutcome::Answered { verdict: answer.verdict, decision: answer.decision },
            Err(NotAnswered::NotDone(why)) => {
                ReplayOutcome::Unavailable(format!("evaluating it again did not succeed: {why}"))
            }
            Err(NotAnswered::Failed(failure)) => ReplayOutcome::Failed(failure),
        };
        self.done.insert(key, outcome.clone());
        outcome
    }
}

fn opened(program: &Path) -> Result<(OpaProgram, TempDir), Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::new(error.to_string()))?;
    let opa = OpaProgram::open(program, folder.path()).map_err(|error| Failure::new(error.to_string()))?;
    Ok((opa, folder))
}
