//! Policies that were evaluated again: what to evaluate, and what came of it.
//!
//! Evaluating needs an engine, which is not here: whoever has one is asked, and answers. Source: `spec/verification.md` §18.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::check::is_sufficient;
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Event, PolicyRecord};
use gantral_core::policy::{EvalFailure, EvaluatorId, PolicyVersionId, Verdict};

use super::chain::Chain;
use super::code::Code;
use super::demanded::in_document;
use super::disclosed::Opened;
use super::finding::Findings;
use crate::commitments::policy;
use crate::container::Files;

/// An evaluation to do again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayQuestion<'f> {
    /// The hash of the artifact that records it.
    pub artifact: Digest,
    /// The policy.
    pub version: PolicyVersionId,
    /// The engine that must evaluate it: no other name and no other version will do.
    pub evaluator: EvaluatorId,
    /// The policy bundle, whose digest nobody has checked; `None` if the bundle does not hold it.
    pub archive: Option<&'f [u8]>,
    /// The exact bytes to evaluate; `None` if they are not disclosed.
    pub input: Option<Vec<u8>>,
}

/// What came of an evaluation that was done again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The hash of the artifact that records the evaluation.
    pub artifact: Digest,
    /// What came of it.
    pub outcome: ReplayOutcome,
}

/// How an evaluation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// The policy answered.
    Answered {
        /// With this verdict.
        verdict: Verdict,
        /// In this document, canonical.
        decision: Vec<u8>,
    },
    /// The policy failed, and would again.
    Failed(EvalFailure),
    /// It was not done, for a reason.
    Unavailable(String),
}

/// Tells whether a record is of an evaluation that gives the same wherever it is done (V68).
const fn is_repeatable(record: &PolicyRecord) -> bool {
    match record.failure {
        None => true,
        Some(failure) => !failure.is_outage() && !matches!(failure, EvalFailure::ResourceLimit),
    }
}

/// Returns what is to be evaluated again.
pub(super) fn questions<'f>(files: &Files<'f>, chain: &Chain, opened: &Opened) -> Vec<ReplayQuestion<'f>> {
    let of = |artifact: &super::sealed::Artifact| {
        let record = policy(&artifact.statement.entry.event).filter(|record| is_repeatable(record))?;
        Some(ReplayQuestion {
            artifact: artifact.hash,
            version: record.version,
            evaluator: record.evaluator.clone(),
            archive: files.get(&alloc::format!("policy/{}.tar", record.version.0)),
            input: opened.get(CommitmentLabel::Input, &record.input).map(<[u8]>::to_vec),
        })
    };
    chain.lawful().iter().filter_map(of).collect()
}

/// Compares what came of evaluating again with what is recorded; returns how many evaluations gave the same.
pub(super) fn check(replays: &[Replay], chain: &Chain, opened: &Opened, findings: &mut Findings) -> usize {
    let replays: BTreeMap<Digest, &ReplayOutcome> =
        replays.iter().map(|replay| (replay.artifact, &replay.outcome)).collect();
    let mut same: usize = 0;
    for artifact in chain.lawful() {
        let record = policy(&artifact.statement.entry.event);
        let Some(record) = record.filter(|record| is_repeatable(record)) else { continue };
        let found = match replays.get(&artifact.hash) {
            None => Err((Code::ReplayUnavailable, "it was not evaluated again".to_string())),
            Some(ReplayOutcome::Unavailable(why)) => Err((Code::ReplayUnavailable, why.clone())),
            Some(ReplayOutcome::Failed(failure)) if record.failure == Some(*failure) => Ok(()),
            Some(ReplayOutcome::Failed(failure)) => {
                Err((Code::ReplayMismatch, alloc::format!("evaluated again it fails: {failure}")))
            }
            Some(ReplayOutcome::Answered { verdict, decision }) => {
                compare(record, *verdict, decision, opened)
                    .and_then(|()| compare_evidence(&artifact.statement.entry.event, decision))
            }
        };
        match found {
            Ok(()) => same = same.saturating_add(1),
            Err((code, message)) => findings.add(code, artifact.place(), message),
        }
    }
    same
}

/// Compares the evidence that policy asks for with what the gate that it opened takes (V70).
fn compare_evidence(event: &Event, decision: &[u8]) -> Result<(), (Code, String)> {
    let Event::HumanRequired(detail) = event else { return Ok(()) };
    let sealed = detail.rule.required_evidence;
    if in_document(decision).is_some_and(|asked| !is_sufficient(sealed, asked)) {
        let message = "evaluated again, the policy asks for stronger evidence than the gate takes";
        return Err((Code::ReplayMismatch, message.to_string()));
    }
    Ok(())
}

/// Compares an answer with what is recorded (V70).
fn compare(
    record: &PolicyRecord,
    verdict: Verdict,
    decision: &[u8],
    opened: &Opened,
) -> Result<(), (Code, String)> {
    let differs = |message: &str| Err((Code::ReplayMismatch, message.to_string()));
    if record.failure.is_some() {
        return differs("a failure is recorded, and evaluated again the policy answers");
    }
    if verdict > record.verdict {
        return differs("evaluated again, the policy gives a stricter verdict than the one that is recorded");
    }
    let disclosed = record.decision.as_ref();
    let disclosed = disclosed.and_then(|commitment| opened.get(CommitmentLabel::Decision, commitment));
    if disclosed.is_some_and(|disclosed| disclosed != decision) {
        return differs("evaluated again, the policy gives another document than the one that is recorded");
    }
    Ok(())
}
