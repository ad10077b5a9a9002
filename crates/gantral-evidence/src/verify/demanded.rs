//! The evidence of decisions that policy asked for, as far as what it answered is disclosed.
//!
//! Source: `spec/human.md` H26.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use gantral_core::check::is_sufficient;
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Consumed, Event, PolicyRecord};
use gantral_core::ids::GrantId;
use gantral_core::json::{self, Profile, Value};
use gantral_core::policy::{Verdict, evidence_asked_for};
use gantral_core::state::{DecisionKind, HumanEvidence};

use super::code::Code;
use super::disclosed::Opened;
use super::finding::Findings;
use super::sealed::Artifact;
use crate::commitments::ballot;

/// Returns the evidence that policy asked for in a document; `None` where it asked for none.
pub(super) fn in_document(decision: &[u8]) -> Option<HumanEvidence> {
    let document = json::parse(decision, &Profile::DOCUMENT).ok()?;
    document.get("required_evidence").and_then(Value::as_str).and_then(evidence_asked_for)
}

/// Returns the evidence that policy asked for; `None` where it asked for none, or its answer is not disclosed.
pub(super) fn asked_for(policy: &PolicyRecord, opened: &Opened) -> Option<HumanEvidence> {
    in_document(opened.get(CommitmentLabel::Decision, policy.decision.as_ref()?)?)
}

/// The evidence with which grants were made.
#[derive(Default)]
pub(super) struct Granting {
    /// The votes of the gate that was opened last, since then or since its last escalation: what each grants, and with which evidence.
    votes: Vec<(Digest, HumanEvidence)>,
    /// The strongest evidence behind each grant of humans.
    strongest: BTreeMap<GrantId, HumanEvidence>,
}

impl Granting {
    /// Counts what an event says of votes.
    pub(super) fn count(&mut self, event: &Event) {
        if matches!(event, Event::HumanRequired(_) | Event::Escalated(_)) {
            self.votes.clear();
        }
        let Some(ballot) = ballot(event).filter(|ballot| ballot.decision != DecisionKind::Reject) else {
            return;
        };
        self.votes.push((ballot.approved, ballot.evidence));
        if let Event::Approved(granted) | Event::Overridden(granted) = event {
            let same = self.votes.iter().filter(|(action, _)| *action == ballot.approved);
            let strongest = same.map(|(_, evidence)| *evidence).max();
            self.strongest.insert(granted.grant.id, strongest.unwrap_or(ballot.evidence));
        }
    }

    /// Checks that somebody granted with evidence that policy took at the consumption, where it asked for humans.
    pub(super) fn check(
        &self,
        artifact: &Artifact,
        detail: &Consumed,
        opened: &Opened,
        findings: &mut Findings,
    ) {
        let Some(strongest) = self.strongest.get(&detail.grant) else { return };
        let asked =
            asked_for(&detail.policy, opened).filter(|_| detail.policy.verdict == Verdict::RequireHuman);
        if asked.is_some_and(|asked| !is_sufficient(*strongest, asked)) {
            let message =
                "nobody granted it with evidence as strong as policy asked for when it was consumed";
            findings.add(Code::HumanEvidence, artifact.place(), message);
        }
    }
}
