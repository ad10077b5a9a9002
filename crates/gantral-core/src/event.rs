//! What is sealed: each event with its closed detail. Source: `spec/artifact.md` §4, matrix of event and member.

use alloc::string::String;
use alloc::vec::Vec;

use crate::address::EvidenceUrl;
use crate::digest::Digest;
use crate::ids::{
    ActorId, AttemptNo, GateId, GrantId, InstanceId, LogOrigin, Name, PersonId, Role, SessionId, TenantId,
    WorkflowId,
};
use crate::policy::{EvalFailure, EvaluatorId, Materiality, PolicyVersionId, Verdict};
use crate::rule::{EscalationStep, Rule};
use crate::state::{
    ActorKind, Cause, DecisionKind, EventKind, ExecutorKind, HumanEvidence, Mode, NextStep, OutcomeStatus,
};
use crate::time::{DurationMs, UnixMillis};

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The `person_id` of a human, the client of a workload or runner, `gantral` for the engine.
    pub id: ActorId,
    /// From issuer and client configuration.
    pub kind: ActorKind,
    /// Who vouched for the identity; `None` for the engine.
    pub issuer: Option<String>,
    /// The role under which a human acted.
    pub role: Option<Role>,
}

/// The workflow version that an instance executes, equal along its chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkflowRef {
    /// The workflow.
    pub id: WorkflowId,
    /// The version label that its owner gave.
    pub version: Name,
    /// `workflow_version_id`: the digest of the definition.
    pub digest: Digest,
    /// How much is at stake.
    pub materiality: Materiality,
}

/// What never changes along one instance's chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The tenant.
    pub tenant: TenantId,
    /// The log that the artifacts belong to.
    pub origin: LogOrigin,
    /// The instance.
    pub instance: InstanceId,
    /// The workflow version.
    pub workflow: WorkflowRef,
}

/// One recorded event, as folded: everything that a rule may look at, and nothing that only a signature needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// Who caused it.
    pub actor: Actor,
    /// The newest attempt when it was sealed (for an assignment: the new one).
    pub attempt: AttemptNo,
    /// Whether answers were enforced, as resolved for this event.
    pub mode: Mode,
    /// When it was sealed.
    pub at: UnixMillis,
}

/// One link of the requester chain: on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requester {
    /// The person or client.
    pub id: ActorId,
    /// Its kind.
    pub kind: ActorKind,
    /// Who vouched for it.
    pub issuer: String,
    /// The human who owns a workload.
    pub owner: Option<PersonId>,
}

/// The instance that asked for this one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parent {
    /// The parent instance.
    pub instance: InstanceId,
    /// The artifact of it that this instance rests on.
    pub artifact_hash: Digest,
}

/// Detail of `created`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Created {
    /// On whose behalf, outermost first; never empty.
    pub requester: Vec<Requester>,
    /// The parent, for a sub-agent's instance.
    pub parent: Option<Parent>,
    /// The session that ties instances together.
    pub session: Option<SessionId>,
    /// What set it off, in the word of the policy contract.
    pub trigger: Option<Name>,
    /// Commitment of the input that the instance was created with.
    pub context: Option<Digest>,
    /// The end of the instance's time.
    pub expires_at: UnixMillis,
}

/// Who carries an attempt out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Executor {
    /// Runner, interceptor, or the agent itself.
    pub kind: ExecutorKind,
    /// Which one.
    pub id: ActorId,
}

/// Detail of `attempt_assigned` and `resumed` (an assignment) and of `started` and `running` (an attachment).
///
/// Everything is absent when the engine only walks to the end of a cancelled or expired instance; `cause` then says
/// why, and nothing was launched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Launch {
    /// Who executes.
    pub executor: Option<Executor>,
    /// Commitment of the bytes handed to the process.
    pub context: Option<Digest>,
    /// How long the first lease lasts (assignments).
    pub lease: Option<DurationMs>,
    /// `Cancelled` or `Expired` on a walk to the end.
    pub cause: Option<Cause>,
}

/// Detail of `attempt_ended`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttemptEnded {
    /// Who executed.
    pub executor: Executor,
    /// `Exited` or `Lost`.
    pub cause: Cause,
    /// The exit status, as the runner claims it; negative for a signal.
    pub exit_status: Option<i32>,
}

/// Under which policy an event stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PolicyRecord {
    /// The policy version.
    pub version: PolicyVersionId,
    /// The engine that evaluated.
    pub evaluator: EvaluatorId,
    /// Commitment of the exact input bytes.
    pub input: Digest,
    /// Commitment of the decision document; absent when there is none.
    pub decision: Option<Digest>,
    /// The verdict that was enforced.
    pub verdict: Verdict,
    /// The failure that was resolved to that verdict.
    pub failure: Option<EvalFailure>,
}

/// What a gate asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The gate.
    pub id: GateId,
    /// Its version, from 1; moves with action, roles or deadline.
    pub version: u32,
    /// Commitment of the action.
    pub action: Digest,
    /// Commitment of the context snapshot.
    pub context: Digest,
    /// The step of the workflow, in the agent's words.
    pub step: Option<Name>,
}

/// Detail of `human_required`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HumanRequired {
    /// What is asked.
    pub gate: Asked,
    /// Who must agree.
    pub rule: Rule,
    /// When the gate escalates or closes.
    pub deadline: UnixMillis,
    /// Who is asked afterwards.
    pub escalation: Vec<EscalationStep>,
    /// The instant that no extension passes.
    pub latest_deadline: UnixMillis,
    /// Under which policy.
    pub policy: PolicyRecord,
}

/// The terms of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrantTerms {
    /// The grant.
    pub id: GrantId,
    /// When it lapses.
    pub expires_at: UnixMillis,
}

/// Detail of `allowed` and `observed`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Allowed {
    /// Commitment of the action.
    pub action: Digest,
    /// Commitment of the context snapshot.
    pub context: Digest,
    /// Under which policy.
    pub policy: PolicyRecord,
    /// The grant; never under SHADOW.
    pub grant: Option<GrantTerms>,
}

/// What one human said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ballot {
    /// The gate.
    pub gate: GateId,
    /// The version of it that the human saw.
    pub gate_version: u32,
    /// The hash of the artifact that opened the gate: covers the whole prefix.
    pub request_artifact_hash: Digest,
    /// What was said.
    pub decision: DecisionKind,
    /// Commitment of the action that was asked for.
    pub asked: Digest,
    /// Commitment of the action that this vote grants; equal to `asked` unless the decision is OVERRIDE.
    pub approved: Digest,
    /// Digest of what was displayed.
    pub display: Digest,
    /// The role under which the human acted.
    pub role: Role,
    /// Commitment of the justification.
    pub justification: Option<Digest>,
    /// For whom a delegate acted.
    pub acts_for: Option<PersonId>,
    /// The governance artifact of that delegation.
    pub delegation: Option<Digest>,
    /// Whether this was a break-glass decision.
    pub break_glass: bool,
    /// The directory entry of the authenticator.
    pub directory_entry: Option<Digest>,
    /// How strong the evidence is.
    pub evidence: HumanEvidence,
    /// Digest of the evidence file.
    pub evidence_digest: Option<Digest>,
}

/// Detail of `approved` and `overridden`: the deciding vote and the grant that follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Granted {
    /// The deciding vote.
    pub ballot: Ballot,
    /// The grant.
    pub grant: GrantTerms,
}

/// Detail of `rejected`: a human's ballot, or the cause for which the engine closed the gate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rejected {
    /// The gate.
    pub gate: GateId,
    /// A human's REJECT.
    pub ballot: Option<Ballot>,
    /// `Rejected` for a human's REJECT, else `Timeout`, `Withdrawn` or `Cancelled`.
    pub cause: Cause,
}

/// Detail of `escalated` and `extended`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GateMoved {
    /// The gate.
    pub gate: GateId,
    /// Its new version.
    pub version: u32,
    /// The escalation step that this is, from 1; absent for an extension.
    pub step: Option<u32>,
    /// The roles that are eligible from now on.
    pub roles: Vec<Role>,
    /// The new deadline.
    pub deadline: UnixMillis,
}

/// What consumption was checked against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GuardRecord {
    /// The head of the governance chain.
    pub governance_head: Option<Digest>,
    /// The freeze epoch.
    pub freeze_epoch: u64,
    /// The policy version in force.
    pub policy_version: PolicyVersionId,
    /// Its verdict on the action as granted.
    pub verdict: Verdict,
}

/// Detail of `consumed`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Consumed {
    /// The grant.
    pub grant: GrantId,
    /// Commitment of the action that may now start.
    pub action: Digest,
    /// Who executes.
    pub executor: Executor,
    /// Until when the action must have started.
    pub act_by: UnixMillis,
    /// What it was checked against.
    pub guard: GuardRecord,
    /// The evaluation of the action as granted.
    pub policy: PolicyRecord,
}

/// A reference to captured evidence of an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EvidenceRef {
    /// SHA-256 of the referred bytes.
    pub digest: Digest,
    /// What it is, in a name.
    pub name: Name,
    /// Where the bytes are kept, if somebody said so.
    pub url: Option<EvidenceUrl>,
}

/// Detail of `outcome`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// The grant that was consumed; absent for what was done under SHADOW.
    pub grant: Option<GrantId>,
    /// What came of it.
    pub status: OutcomeStatus,
    /// Commitment of the reported result.
    pub result: Option<Digest>,
    /// Captured evidence.
    pub evidence: Vec<EvidenceRef>,
    /// What it cost, in minor units of the workflow's currency.
    pub cost: Option<u64>,
}

/// Detail of `reconciled`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reconciled {
    /// The grant whose outcome was unknown.
    pub grant: GrantId,
    /// What a human found out: never UNKNOWN.
    pub status: OutcomeStatus,
    /// How the instance goes on.
    pub next: NextStep,
    /// Commitment of the justification.
    pub justification: Option<Digest>,
}

/// Detail of `completed` and `terminated`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ended {
    /// Why; absent for `completed`.
    pub cause: Option<Cause>,
    /// The evaluation that denied.
    pub policy: Option<PolicyRecord>,
}

/// One authority event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is documented at its kind and at its detail")]
pub enum Event {
    Created(Created),
    Started(Launch),
    HumanRequired(HumanRequired),
    Approved(Granted),
    Overridden(Granted),
    Rejected(Rejected),
    Resumed(Launch),
    Running(Launch),
    Completed(Ended),
    Terminated(Ended),
    AttemptAssigned(Launch),
    AttemptEnded(AttemptEnded),
    Allowed(Allowed),
    Observed(Allowed),
    Vote(Ballot),
    Escalated(GateMoved),
    Extended(GateMoved),
    Consumed(Consumed),
    Outcome(Outcome),
    Reconciled(Reconciled),
    EvaluatorFailed(PolicyRecord),
}

impl Event {
    /// Returns the kind of the event.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Created(_) => EventKind::Created,
            Self::Started(_) => EventKind::Started,
            Self::HumanRequired(_) => EventKind::HumanRequired,
            Self::Approved(_) => EventKind::Approved,
            Self::Overridden(_) => EventKind::Overridden,
            Self::Rejected(_) => EventKind::Rejected,
            Self::Resumed(_) => EventKind::Resumed,
            Self::Running(_) => EventKind::Running,
            Self::Completed(_) => EventKind::Completed,
            Self::Terminated(_) => EventKind::Terminated,
            Self::AttemptAssigned(_) => EventKind::AttemptAssigned,
            Self::AttemptEnded(_) => EventKind::AttemptEnded,
            Self::Allowed(_) => EventKind::Allowed,
            Self::Observed(_) => EventKind::Observed,
            Self::Vote(_) => EventKind::Vote,
            Self::Escalated(_) => EventKind::Escalated,
            Self::Extended(_) => EventKind::Extended,
            Self::Consumed(_) => EventKind::Consumed,
            Self::Outcome(_) => EventKind::Outcome,
            Self::Reconciled(_) => EventKind::Reconciled,
            Self::EvaluatorFailed(_) => EventKind::EvaluatorFailed,
        }
    }
}
