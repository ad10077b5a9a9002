//! The decision statement: what a human agrees to, as bytes that everybody makes from the chain.
//!
//! Source: `spec/human.md` §1.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use gantral_core::digest::{Digest, Hasher};
use gantral_core::event::{Asked, Ballot, GateMoved, HumanRequired, Identity};
use gantral_core::ids::PersonId;
use gantral_core::instance::Gate;
use gantral_core::json::Writer;
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;

/// The format of a decision statement, and the label of its digest.
pub const DECISION_FORMAT: &str = "gantral/decision/v1";

/// What a decision statement takes from the gate and not from the ballot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionTerms {
    /// Commitment of the snapshot that was displayed.
    pub context: Digest,
    /// The deadline of the gate in its present version.
    pub not_after: UnixMillis,
    /// The policy version under which it was asked.
    pub policy: PolicyVersionId,
}

/// What one human agrees to at one gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionStatement<'a> {
    /// Tenant, log and instance of the chain.
    pub identity: &'a Identity,
    /// What the gate says.
    pub terms: DecisionTerms,
    /// Who decides.
    pub person: PersonId,
    /// What they say. The members about evidence do not matter: they come after the statement.
    pub ballot: &'a Ballot,
}

impl DecisionTerms {
    /// Returns the terms of a gate when it opens.
    pub const fn of(opened: &HumanRequired) -> Self {
        Self { context: opened.gate.context, not_after: opened.deadline, policy: opened.policy.version }
    }

    /// Returns the terms of a gate as it stands.
    pub const fn of_gate(gate: &Gate) -> Self {
        Self { context: gate.asked.context, not_after: gate.deadline, policy: gate.policy_version }
    }

    /// Returns the terms after the gate escalated or was extended.
    #[must_use]
    pub const fn moved(self, moved: &GateMoved) -> Self {
        Self { not_after: moved.deadline, ..self }
    }
}

impl DecisionStatement<'_> {
    /// Returns the canonical bytes (H1).
    pub fn encode(&self) -> Vec<u8> {
        let Self { identity, terms, person, ballot } = self;
        Writer::object(2_048, |out| {
            out.opt_hex("acts_for", bytes(ballot.acts_for.as_ref().map(|person| &person.0)))
                .hex("approved_action_commitment", ballot.approved.as_bytes())
                .hex("asked_action_commitment", ballot.asked.as_bytes())
                .bool("break_glass", ballot.break_glass)
                .hex("context_commitment", terms.context.as_bytes())
                .str("decision", ballot.decision.as_str())
                .opt_hex("delegation_hash", bytes(ballot.delegation.as_ref()))
                .hex("display_digest", ballot.display.as_bytes())
                .str("format", DECISION_FORMAT)
                .str("gate_id", &ballot.gate.to_string())
                .u64("gate_version", u64::from(ballot.gate_version))
                .str("instance_id", &identity.instance.to_string())
                .opt_hex("justification_commitment", bytes(ballot.justification.as_ref()))
                .str("log_origin", identity.origin.as_str())
                .str("not_after", &terms.not_after.to_text())
                .hex("person_id", person.0.as_bytes())
                .hex("policy_version_id", terms.policy.0.as_bytes())
                .hex("request_artifact_hash", ballot.request_artifact_hash.as_bytes())
                .str("role", ballot.role.as_str())
                .str("tenant_id", identity.tenant.as_str());
        })
    }

    /// Returns `decision_digest` (H2): the challenge of an assertion.
    pub fn digest(&self) -> Digest {
        Hasher::new(DECISION_FORMAT).bytes(&self.encode()).finish()
    }
}

fn bytes(digest: Option<&Digest>) -> Option<&[u8]> {
    digest.map(|digest| digest.as_bytes().as_slice())
}

/// Returns the digest of what there is to be displayed for a gate in some version of it (H3).
pub fn display_digest(asked: &Asked, version: u32) -> Digest {
    Hasher::new("gantral/display/v1")
        .bytes(asked.action.as_bytes())
        .bytes(asked.context.as_bytes())
        .bytes(&version.to_be_bytes())
        .finish()
}
