//! Counting what two policies say of the same asks, recorded ones or those that come in.

use std::collections::{BTreeMap, VecDeque};

use gantral_api::wire;
use gantral_core::ids::Role;
use gantral_core::policy::{Verdict, resolve_failure};
use gantral_core::time::DurationMs;
use gantral_core::workflow::Workflow;
use gantral_engine::RecordedGate;
use gantral_policy::compare::Said;

/// How many asks of one transition are shown.
const SAMPLES_MAX: usize = 5;
/// One day, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// What a policy makes of an ask, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Verdict(Verdict),
    Failed,
}

impl Class {
    fn of(said: &Said, workflow: &Workflow) -> Self {
        match said {
            Ok(evaluation) => Self::Verdict(evaluation.verdict.max(workflow.floors.least_verdict)),
            Err(_) => Self::Failed,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Verdict(verdict) => verdict.as_str(),
            Self::Failed => "FAILED",
        }
    }
}

/// What was counted so far.
#[derive(Default)]
pub(crate) struct Tally {
    gates: usize,
    left_out: u64,
    transitions: BTreeMap<(Class, Class), (u64, VecDeque<wire::DiffSample>)>,
    failures: BTreeMap<&'static str, [u64; 2]>,
    pages: BTreeMap<Role, [u64; 2]>,
}

impl Tally {
    /// Notes asks that nobody can be asked about.
    pub(crate) fn leave_out(&mut self, asks: usize) {
        self.left_out = self.left_out.saturating_add(u64::try_from(asks).unwrap_or(u64::MAX));
    }

    /// Returns how many asks were counted.
    pub(crate) const fn gates(&self) -> usize {
        self.gates
    }

    /// Counts one ask of those that are gone through from the newest to the oldest.
    pub(crate) fn count(&mut self, gate: &RecordedGate, a: &Said, b: &Said) {
        let samples = self.add(gate, a, b);
        if samples.len() < SAMPLES_MAX {
            samples.push_back(sample(gate, a, b));
        }
    }

    /// Counts one ask of those that come in: the newest.
    pub(crate) fn count_newest(&mut self, gate: &RecordedGate, a: &Said, b: &Said) {
        let samples = self.add(gate, a, b);
        samples.truncate(SAMPLES_MAX - 1);
        samples.push_front(sample(gate, a, b));
    }

    /// Adds one ask, and returns the samples of its transition.
    fn add(&mut self, gate: &RecordedGate, a: &Said, b: &Said) -> &mut VecDeque<wire::DiffSample> {
        self.gates = self.gates.saturating_add(1);
        let workflow = &gate.workflow;
        for (side, said) in [a, b].into_iter().enumerate() {
            if let Err(failure) = said {
                count(self.failures.entry(failure.as_str()).or_default(), side);
            }
            for role in asked(said, workflow) {
                count(self.pages.entry(role).or_default(), side);
            }
        }
        let classes = (Class::of(a, workflow), Class::of(b, workflow));
        let (gates, samples) = self.transitions.entry(classes).or_default();
        *gates = gates.saturating_add(1);
        samples
    }

    /// Returns how many asks nobody could be asked about.
    pub(crate) const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Returns what becomes of the asks.
    pub(crate) fn transitions(&self) -> Vec<wire::Transition> {
        let rows = self.transitions.iter().map(|((a, b), (gates, samples))| wire::Transition {
            a: a.as_str().to_owned(),
            b: b.as_str().to_owned(),
            gates: *gates,
            samples: samples.iter().cloned().collect(),
        });
        rows.collect()
    }

    /// Returns how often each side failed.
    pub(crate) fn failures(&self) -> Vec<wire::DiffFailure> {
        let rows = self.failures.iter().map(|(failure, [a, b])| wire::DiffFailure {
            failure: (*failure).to_owned(),
            a: *a,
            b: *b,
        });
        rows.collect()
    }

    /// Returns who would have been asked how often, and for each day of the span in which the asks came.
    pub(crate) fn pages(&self, span: DurationMs) -> Vec<wire::DiffPages> {
        let span_ms = span.get().max(1);
        let tenths = |pages: u64| pages.saturating_mul(10).saturating_mul(DAY_MS).div_ceil(span_ms);
        let rows = self.pages.iter().map(|(role, [a, b])| wire::DiffPages {
            role: role.clone().into(),
            a: *a,
            b: *b,
            a_per_day_tenths: tenths(*a),
            b_per_day_tenths: tenths(*b),
        });
        rows.collect()
    }
}

fn count(sides: &mut [u64; 2], side: usize) {
    if let Some(count) = sides.get_mut(side) {
        *count = count.saturating_add(1);
    }
}

/// Returns the roles that would be asked; none where nothing is asked of a human.
fn asked(said: &Said, workflow: &Workflow) -> Vec<Role> {
    let (verdict, plan) = match said {
        Ok(evaluation) => (evaluation.verdict, workflow.floors.plan(Some(evaluation))),
        Err(failure) => {
            (resolve_failure(workflow.materiality, *failure, workflow.failure), workflow.floors.plan(None))
        }
    };
    match verdict.max(workflow.floors.least_verdict) {
        Verdict::RequireHuman => plan.map(|plan| plan.rule.roles()).unwrap_or_default(),
        Verdict::Allow | Verdict::Deny => Vec::new(),
    }
}

fn sample(gate: &RecordedGate, a: &Said, b: &Said) -> wire::DiffSample {
    let failure = |said: &Said| said.as_ref().err().map(|failure| failure.as_str().to_owned());
    let action = gate.input.get("action").and_then(|action| action.get("name")?.as_str());
    wire::DiffSample {
        instance_id: gate.instance.into(),
        at: gate.at.into(),
        workflow_id: gate.workflow.id.clone().into(),
        action: action.map(str::to_owned),
        recorded: gate.policy.verdict.into(),
        failure_a: failure(a),
        failure_b: failure(b),
        reasons: b.as_ref().map(|evaluation| evaluation.reasons.clone()).unwrap_or_default(),
    }
}
