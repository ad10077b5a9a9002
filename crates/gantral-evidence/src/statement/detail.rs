//! Reading the detail of each event: first the matrix, then the members.

use gantral_core::event::{
    Allowed, Asked, AttemptEnded, Ballot, Consumed, Created, Ended, Event, EvidenceRef, Executor, GateMoved,
    GrantTerms, Granted, GuardRecord, HumanRequired, Launch, Outcome, Parent, PolicyRecord, Reconciled,
    Rejected, Requester,
};
use gantral_core::json::Value;
use gantral_core::policy::EvaluatorId;
use gantral_core::rule::{APPROVALS_MAX, EscalationStep, Group, REJECTIONS_MAX, RULE_PARTS_MAX, Rule, Stage};
use gantral_core::state::EventKind;

use super::decode::Issuer;
use super::matrix::{Presence, members};
use super::{LIST_MAX, StatementError};
use crate::fields::{FieldError, Fields};

type Read<T> = Result<T, FieldError>;

/// The most roles that a rule of the largest size can name.
const ROLES_MAX: usize = RULE_PARTS_MAX * RULE_PARTS_MAX * RULE_PARTS_MAX;

/// Reads the detail of an event of this kind.
pub(super) fn read(kind: EventKind, value: &Value) -> Result<Event, StatementError> {
    let row = members(kind);
    let fields = Fields::open(value, "detail", row.iter().map(|(member, _)| *member))?;
    for (member, presence) in row {
        let present = !fields.value(member)?.is_null();
        let holds = match presence {
            Presence::Required => present,
            Presence::Null => !present,
            Presence::Optional => true,
        };
        if !holds {
            return Err(StatementError::Matrix { event: kind, member, present });
        }
    }
    Ok(event(kind, &fields)?)
}

fn event(kind: EventKind, fields: &Fields<'_>) -> Read<Event> {
    Ok(match kind {
        EventKind::Created => Event::Created(created(fields)?),
        EventKind::Started => Event::Started(launch(fields)?),
        EventKind::HumanRequired => Event::HumanRequired(human_required(fields)?),
        EventKind::Approved => Event::Approved(granted(fields)?),
        EventKind::Overridden => Event::Overridden(granted(fields)?),
        EventKind::Rejected => Event::Rejected(rejected(fields)?),
        EventKind::Resumed => Event::Resumed(launch(fields)?),
        EventKind::Running => Event::Running(launch(fields)?),
        EventKind::Completed => Event::Completed(ended(fields)?),
        EventKind::Terminated => Event::Terminated(ended(fields)?),
        EventKind::AttemptAssigned => Event::AttemptAssigned(launch(fields)?),
        EventKind::AttemptEnded => Event::AttemptEnded(attempt_ended(fields)?),
        EventKind::Allowed => Event::Allowed(allowed(fields)?),
        EventKind::Observed => Event::Observed(allowed(fields)?),
        EventKind::Vote => Event::Vote(ballot(fields.value("decision")?)?),
        EventKind::Escalated => Event::Escalated(gate_moved(fields)?),
        EventKind::Extended => Event::Extended(gate_moved(fields)?),
        EventKind::Consumed => Event::Consumed(consumed(fields)?),
        EventKind::Outcome => Event::Outcome(outcome(fields)?),
        EventKind::Reconciled => Event::Reconciled(reconciled(fields)?),
        EventKind::EvaluatorFailed => Event::EvaluatorFailed(policy(fields.value("policy")?)?),
    })
}

fn created(fields: &Fields<'_>) -> Read<Created> {
    Ok(Created {
        requester: fields.list("requester", LIST_MAX, requester)?,
        parent: fields.opt_with("parent", parent)?,
        session: fields.opt("session_id")?,
        trigger: fields.opt("trigger")?,
        context: fields.opt("context_commitment")?,
        expires_at: fields.get("expires_at")?,
    })
}

fn requester(value: &Value) -> Read<Requester> {
    let fields = Fields::open(value, "requester", ["id", "issuer", "kind", "owner"].into_iter())?;
    Ok(Requester {
        id: fields.get("id")?,
        kind: fields.get("kind")?,
        issuer: fields.get::<Issuer>("issuer")?.0,
        owner: fields.opt("owner")?,
    })
}

fn parent(value: &Value) -> Read<Parent> {
    let fields = Fields::open(value, "parent", ["artifact_hash", "instance_id"].into_iter())?;
    Ok(Parent { instance: fields.get("instance_id")?, artifact_hash: fields.get("artifact_hash")? })
}

fn launch(fields: &Fields<'_>) -> Read<Launch> {
    Ok(Launch {
        executor: fields.opt_with("executor", executor)?,
        context: fields.opt("context_commitment")?,
        lease: fields.opt("lease_ms")?,
        cause: fields.opt("cause")?,
    })
}

fn executor(value: &Value) -> Read<Executor> {
    let fields = Fields::open(value, "executor", ["id", "kind"].into_iter())?;
    Ok(Executor { kind: fields.get("kind")?, id: fields.get("id")? })
}

fn attempt_ended(fields: &Fields<'_>) -> Read<AttemptEnded> {
    Ok(AttemptEnded {
        executor: executor(fields.value("executor")?)?,
        cause: fields.get("cause")?,
        exit_status: fields.opt("exit_status")?,
    })
}

fn human_required(fields: &Fields<'_>) -> Read<HumanRequired> {
    Ok(HumanRequired {
        gate: asked(fields.value("gate")?)?,
        rule: rule(fields.value("rule")?)?,
        deadline: fields.get("deadline")?,
        escalation: fields.list("escalation", RULE_PARTS_MAX, escalation_step)?,
        latest_deadline: fields.get("latest_deadline")?,
        policy: policy(fields.value("policy")?)?,
    })
}

fn asked(value: &Value) -> Read<Asked> {
    let names = ["action_commitment", "context_commitment", "id", "step", "version"];
    let fields = Fields::open(value, "gate", names.into_iter())?;
    Ok(Asked {
        id: fields.get("id")?,
        version: fields.get("version")?,
        action: fields.get("action_commitment")?,
        context: fields.get("context_commitment")?,
        step: fields.opt("step")?,
    })
}

fn rule(value: &Value) -> Read<Rule> {
    // A15: the member is there only where it says more than its absence.
    let several = value.get("rejections").is_some();
    let names = ["break_glass_roles", "distinct", "rejections", "required_evidence", "separation", "stages"];
    let names = names.into_iter().filter(|name| several || *name != "rejections");
    let fields = Fields::open(value, "rule", names)?;
    let rejections = if several { fields.get("rejections")? } else { 1 };
    if several && !(2..=REJECTIONS_MAX).contains(&rejections) {
        return Err(fields.invalid(
            "rejections",
            fields.value("rejections")?,
            "a number of persons from 2 to 16",
        ));
    }
    Ok(Rule {
        stages: fields.list("stages", RULE_PARTS_MAX, stage)?,
        distinct: fields.get("distinct")?,
        separation: fields.get("separation")?,
        required_evidence: fields.get("required_evidence")?,
        break_glass_roles: fields.scalars("break_glass_roles", RULE_PARTS_MAX)?,
        rejections,
    })
}

fn stage(value: &Value) -> Read<Stage> {
    let fields = Fields::open(value, "stage", ["groups"].into_iter())?;
    Ok(Stage { groups: fields.list("groups", RULE_PARTS_MAX, group)? })
}

fn group(value: &Value) -> Read<Group> {
    let fields = Fields::open(value, "group", ["required", "roles"].into_iter())?;
    let required: u32 = fields.get("required")?;
    if required > APPROVALS_MAX {
        return Err(fields.invalid("required", fields.value("required")?, "a number of persons up to 16"));
    }
    Ok(Group { roles: fields.scalars("roles", RULE_PARTS_MAX)?, required })
}

fn escalation_step(value: &Value) -> Read<EscalationStep> {
    let fields = Fields::open(value, "escalation", ["duration_ms", "roles"].into_iter())?;
    Ok(EscalationStep {
        roles: fields.scalars("roles", RULE_PARTS_MAX)?,
        duration: fields.get("duration_ms")?,
    })
}

fn policy(value: &Value) -> Read<PolicyRecord> {
    let names = [
        "decision_commitment",
        "engine",
        "engine_version",
        "failure",
        "input_commitment",
        "policy_version_id",
        "verdict",
    ];
    let fields = Fields::open(value, "policy", names.into_iter())?;
    Ok(PolicyRecord {
        version: fields.get("policy_version_id")?,
        evaluator: EvaluatorId { engine: fields.get("engine")?, version: fields.get("engine_version")? },
        input: fields.get("input_commitment")?,
        decision: fields.opt("decision_commitment")?,
        verdict: fields.get("verdict")?,
        failure: fields.opt("failure")?,
    })
}

fn grant(value: &Value) -> Read<GrantTerms> {
    let fields = Fields::open(value, "grant", ["expires_at", "id"].into_iter())?;
    Ok(GrantTerms { id: fields.get("id")?, expires_at: fields.get("expires_at")? })
}

fn allowed(fields: &Fields<'_>) -> Read<Allowed> {
    Ok(Allowed {
        action: fields.get("action_commitment")?,
        context: fields.get("context_commitment")?,
        policy: policy(fields.value("policy")?)?,
        grant: fields.opt_with("grant", grant)?,
    })
}

fn ballot(value: &Value) -> Read<Ballot> {
    let names = [
        "acts_for",
        "approved_action_commitment",
        "asked_action_commitment",
        "break_glass",
        "decision",
        "delegation_hash",
        "directory_entry",
        "display_digest",
        "evidence_digest",
        "evidence_type",
        "gate_id",
        "gate_version",
        "justification_commitment",
        "request_artifact_hash",
        "role",
    ];
    let fields = Fields::open(value, "decision", names.into_iter())?;
    Ok(Ballot {
        gate: fields.get("gate_id")?,
        gate_version: fields.get("gate_version")?,
        request_artifact_hash: fields.get("request_artifact_hash")?,
        decision: fields.get("decision")?,
        asked: fields.get("asked_action_commitment")?,
        approved: fields.get("approved_action_commitment")?,
        display: fields.get("display_digest")?,
        role: fields.get("role")?,
        justification: fields.opt("justification_commitment")?,
        acts_for: fields.opt("acts_for")?,
        delegation: fields.opt("delegation_hash")?,
        break_glass: fields.get("break_glass")?,
        directory_entry: fields.opt("directory_entry")?,
        evidence: fields.get("evidence_type")?,
        evidence_digest: fields.opt("evidence_digest")?,
    })
}

fn granted(fields: &Fields<'_>) -> Read<Granted> {
    Ok(Granted { ballot: ballot(fields.value("decision")?)?, grant: grant(fields.value("grant")?)? })
}

fn rejected(fields: &Fields<'_>) -> Read<Rejected> {
    Ok(Rejected {
        gate: fields.get("gate_id")?,
        ballot: fields.opt_with("decision", ballot)?,
        cause: fields.get("cause")?,
    })
}

fn gate_moved(fields: &Fields<'_>) -> Read<GateMoved> {
    Ok(GateMoved {
        gate: fields.get("gate_id")?,
        version: fields.get("gate_version")?,
        step: fields.opt("step")?,
        roles: fields.scalars("roles", ROLES_MAX)?,
        deadline: fields.get("deadline")?,
    })
}

fn consumed(fields: &Fields<'_>) -> Read<Consumed> {
    Ok(Consumed {
        grant: fields.get("grant_id")?,
        action: fields.get("action_commitment")?,
        executor: executor(fields.value("executor")?)?,
        act_by: fields.get("act_by")?,
        guard: guard(fields.value("guard")?)?,
        policy: policy(fields.value("policy")?)?,
    })
}

fn guard(value: &Value) -> Read<GuardRecord> {
    let names = ["freeze_epoch", "governance_head", "policy_version_id", "verdict"];
    let fields = Fields::open(value, "guard", names.into_iter())?;
    Ok(GuardRecord {
        governance_head: fields.opt("governance_head")?,
        freeze_epoch: fields.get("freeze_epoch")?,
        policy_version: fields.get("policy_version_id")?,
        verdict: fields.get("verdict")?,
    })
}

fn outcome(fields: &Fields<'_>) -> Read<Outcome> {
    Ok(Outcome {
        grant: fields.opt("grant_id")?,
        status: fields.get("status")?,
        result: fields.opt("outcome_commitment")?,
        evidence: fields.list("evidence", LIST_MAX, evidence_ref)?,
        cost: fields.opt("cost")?,
    })
}

fn evidence_ref(value: &Value) -> Read<EvidenceRef> {
    // A16: its absence is the only way to say that no address is known.
    let fields = Fields::open_with(value, "evidence", ["digest", "name", "url"].into_iter(), &["url"])?;
    let url = if value.get("url").is_some() { Some(fields.get("url")?) } else { None };
    Ok(EvidenceRef { digest: fields.get("digest")?, name: fields.get("name")?, url })
}

fn reconciled(fields: &Fields<'_>) -> Read<Reconciled> {
    Ok(Reconciled {
        grant: fields.get("grant_id")?,
        status: fields.get("status")?,
        next: fields.get("next")?,
        justification: fields.opt("justification_commitment")?,
    })
}

fn ended(fields: &Fields<'_>) -> Read<Ended> {
    Ok(Ended { cause: fields.opt("cause")?, policy: fields.opt_with("policy", policy)? })
}
