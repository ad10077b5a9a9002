//! From facts to answers.

use std::collections::BTreeMap;

use gantral_api::wire::{self, Document, text};
use gantral_core::digest::{Digest, Salt};
use gantral_core::event::{EvidenceRef, WorkflowRef};
use gantral_core::ids::{GateId, GrantId, Name, Role};
use gantral_core::instance::{Instance, Phase};
use gantral_core::json::{Object, Value};
use gantral_core::rule::{CountedVote, Group, Rule, Stage};
use gantral_core::time::UnixMillis;
use gantral_engine::{GateFacts, GateOutline, InstanceFacts, Receipt};
use gantral_evidence::human::display_digest;
use gantral_store::StoredGate;

use crate::app::App;
use crate::problems::{Answer, Failure};

fn unreadable(what: &str) -> Failure {
    tracing::error!(what, "a stored document cannot be shown");
    Failure::new(gantral_api::problem::Code::Internal, "a stored document cannot be shown")
}

pub(crate) fn document(value: &Value) -> Answer<Document> {
    Document::from_value(value).map_err(|_| unreadable("document"))
}

/// Shows bytes that the ledger keeps, or that were just signed, as they are.
pub(crate) fn stored(bytes: &[u8], what: &str) -> Answer<Document> {
    Document::from_bytes(bytes).map_err(|_| unreadable(what))
}

pub(crate) fn receipts(receipts: &[Receipt]) -> Answer<Vec<wire::Receipt>> {
    // From the trace to the artifact. The other way there is none: artifacts have no member for it.
    if let Some(last) = receipts.last() {
        let hash = gantral_trace::Value::Text(last.hash.to_hex());
        gantral_trace::note("gantral.artifact.hash", hash);
    }
    receipts
        .iter()
        .map(|receipt| {
            Ok(wire::Receipt {
                sequence: receipt.sequence,
                event: receipt.event.into(),
                hash: receipt.hash.into(),
                envelope: stored(&receipt.envelope, "envelope")?,
            })
        })
        .collect()
}

pub(crate) fn workflow_ref(reference: &WorkflowRef) -> wire::WorkflowRef {
    wire::WorkflowRef {
        id: reference.id.clone().into(),
        version: reference.version.clone().into(),
        digest: reference.digest.into(),
        materiality: reference.materiality.into(),
    }
}

/// Reads an action document; an erased one is shown as such.
pub(crate) fn action(value: Option<&Value>) -> Answer<wire::Action> {
    let erased = Value::Object(Object::new().with("name", "erased").with("target", "erased"));
    let value = value.unwrap_or(&erased);
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("erased");
    let empty = Value::Object(Object::new());
    Ok(wire::Action {
        name: Name::parse(text("name")).map_err(|_| unreadable("action"))?.into(),
        target: text("target").to_owned(),
        parameters: document(value.get("parameters").unwrap_or(&empty))?,
    })
}

/// Reads the document that the engine gives of a grant.
pub(crate) fn grant(value: &Value) -> Answer<wire::GrantView> {
    let bad = || unreadable("grant");
    let text = |name: &str| value.get(name).and_then(Value::as_str).ok_or_else(bad);
    let gate = value.get("gate_id").and_then(Value::as_str);
    Ok(wire::GrantView {
        grant_id: GrantId::parse(text("grant_id")?).map_err(|_| bad())?.into(),
        action: action(value.get("action"))?,
        action_commitment: Digest::parse(text("action_commitment")?).map_err(|_| bad())?.into(),
        action_salt: Salt::parse(text("action_salt")?).map_err(|_| bad())?.into(),
        expires_at: UnixMillis::parse(text("expires_at")?).map_err(|_| bad())?.into(),
        gate_id: gate.map(|id| GateId::parse(id).map(text::GateId::from).map_err(|_| bad())).transpose()?,
        overridden: matches!(value.get("overridden"), Some(Value::Bool(true))),
    })
}

/// Returns an instance as it stands, with its open or last gate.
pub(crate) async fn instance(app: &App, facts: &InstanceFacts) -> Answer<wire::InstanceView> {
    let fold = &facts.instance;
    let tenant = &fold.identity.tenant;
    let id = fold.identity.instance;
    let gate_id = fold.gate().map(|gate| gate.asked.id).or(fold.decided.as_ref().map(|decided| decided.id));
    let gate = match gate_id {
        Some(gate_id) => Some(gate(&app.engine().gate(tenant, gate_id).await?)?),
        None => None,
    };
    let pending_grant = match fold.pending_grant() {
        // Of the instance as it was read: it may have been used up meanwhile.
        Some(grant_id) => Some(grant(&app.engine().grant_document(fold, grant_id).await?)?),
        None => None,
    };
    Ok(wire::InstanceView {
        instance_id: id.into(),
        workflow: workflow_ref(&fold.identity.workflow),
        team: facts.workflow.team.clone().into(),
        state: fold.state().into(),
        mode: fold.weakest_mode.into(),
        attempt: fold.attempt.0,
        created_at: facts.created_at.into(),
        updated_at: fold.last_at.into(),
        expires_at: fold.created.expires_at.into(),
        session_id: fold.created.session.clone().map(Into::into),
        requester: requesters(fold),
        gate,
        pending_grant,
        outcomes: outcomes(fold),
        cause: cause(fold),
        head: wire::Head { sequence: facts.head.sequence, hash: facts.head.hash.into() },
    })
}

pub(crate) fn summary(facts: &InstanceFacts) -> wire::InstanceSummary {
    let fold = &facts.instance;
    wire::InstanceSummary {
        instance_id: fold.identity.instance.into(),
        workflow: workflow_ref(&fold.identity.workflow),
        team: facts.workflow.team.clone().into(),
        state: fold.state().into(),
        mode: fold.weakest_mode.into(),
        attempt: fold.attempt.0,
        created_at: facts.created_at.into(),
        updated_at: fold.last_at.into(),
        session_id: fold.created.session.clone().map(Into::into),
        gate_id: fold.gate().map(|gate| gate.asked.id.into()),
        cause: cause(fold),
    }
}

fn requesters(fold: &Instance) -> Vec<wire::RequesterView> {
    let links = fold.created.requester.iter().map(|link| wire::RequesterView {
        id: link.id.clone().into(),
        kind: link.kind.into(),
        owner: link.owner.map(|owner| owner.actor().into()),
        display: None,
    });
    links.collect()
}

fn outcomes(fold: &Instance) -> Vec<wire::OutcomeView> {
    // The newest attempts first: how much is shown is limited.
    let mut newest: Vec<_> = fold.consumptions.iter().collect();
    newest.sort_by_key(|(_, consumption)| core::cmp::Reverse(consumption.attempt));
    let mut left = wire::EVIDENCE_SHOWN_MAX;
    let mut shown: BTreeMap<GrantId, Vec<wire::EvidenceItem>> = BTreeMap::new();
    for (id, consumption) in newest {
        let items: Vec<_> = consumption.evidence.iter().take(left).map(captured).collect();
        left = left.saturating_sub(items.len());
        shown.insert(*id, items);
    }
    let consumed = fold.consumptions.iter().map(|(id, consumption)| wire::OutcomeView {
        grant_id: (*id).into(),
        status: consumption.outcome.map(Into::into),
        evidence: shown.remove(id).unwrap_or_default(),
    });
    consumed.collect()
}

fn captured(item: &EvidenceRef) -> wire::EvidenceItem {
    let url = item.url.as_ref().map(|url| url.as_str().to_owned());
    wire::EvidenceItem { name: item.name.clone().into(), digest: item.digest.into(), url }
}

pub(crate) fn cause(fold: &Instance) -> Option<text::Cause> {
    match &fold.phase {
        Phase::Terminated(cause) | Phase::Rejected(cause) => Some((*cause).into()),
        _ => None,
    }
}

fn gate_state(row: &StoredGate) -> (wire::GateState, Option<text::Cause>) {
    let Some(closing) = &row.closing else { return (wire::GateState::Open, None) };
    match closing.resolution.as_str() {
        "approved" => (wire::GateState::Approved, None),
        "overridden" => (wire::GateState::Overridden, None),
        word => (wire::GateState::Rejected, gantral_core::state::Cause::parse(word).map(Into::into)),
    }
}

/// Returns how many votes a gate needs.
fn required(rule: &Rule) -> u32 {
    rule.stages.iter().flat_map(|stage| &stage.groups).map(|group| group.required).sum()
}

/// Returns the stage at which a gate stands, while it is open, with its place.
fn open_stage(outline: &GateOutline) -> Option<(usize, &Stage)> {
    outline.gate.as_ref().and_then(|gate| gate.rule.open_stage(gate.votes.iter()))
}

/// Returns the roles that count at a gate now; of a closed one, those that counted last.
fn roles(outline: &GateOutline) -> Vec<text::Role> {
    let roles: Vec<Role> = match open_stage(outline) {
        Some((_, stage)) => stage.roles().into_iter().collect(),
        None => outline.row.gate.roles.clone(),
    };
    roles.into_iter().map(Into::into).collect()
}

/// Returns the votes and the rejections that a gate has counted, while it is open.
fn counted(outline: &GateOutline) -> (&[CountedVote], &[CountedVote]) {
    outline.gate.as_ref().map(|gate| (gate.votes.as_slice(), gate.rejections.as_slice())).unwrap_or_default()
}

/// Returns on whose behalf an instance asks.
fn requested_by(fold: &Instance) -> text::ActorId {
    let last = fold.created.requester.last().map(|link| link.id.clone());
    last.unwrap_or_else(|| fold.created_by.clone()).into()
}

/// Returns a gate with everything that an approver is shown.
pub(crate) fn gate(facts: &GateFacts) -> Answer<wire::GateView> {
    let GateFacts { outline, opened, .. } = facts;
    let GateOutline { row, rule, instance, .. } = outline;
    let fold = &instance.instance;
    let (state, cause) = gate_state(row);
    let (votes, rejections) = counted(outline);
    let context = match &facts.context {
        Some(context) => document(context)?,
        None => document(&Value::Null)?,
    };
    Ok(wire::GateView {
        gate_id: row.gate.id.into(),
        version: row.gate.version,
        instance_id: fold.identity.instance.into(),
        workflow: workflow_ref(&fold.identity.workflow),
        team: row.gate.team.clone().into(),
        action: action(outline.action.as_ref())?,
        asked_action_commitment: opened.gate.action.into(),
        context,
        context_commitment: opened.gate.context.into(),
        roles: roles(outline),
        required: required(rule),
        stages: rule.stages.iter().map(stage).collect(),
        open_stage: open_stage(outline).and_then(|(index, _)| u32::try_from(index).ok()),
        votes: votes.iter().map(vote).collect(),
        required_rejections: rule.rejections,
        rejections: rejections.iter().map(vote).collect(),
        deadline: row.gate.deadline.into(),
        latest_deadline: opened.latest_deadline.into(),
        reasons: facts.reasons.clone(),
        policy_version_id: opened.policy.version.into(),
        requested_by: requested_by(fold),
        requester: requesters(fold),
        opened_at: row.gate.opened_at.into(),
        justification_min: instance.workflow.justification_of(false),
        required_evidence: rule.required_evidence.into(),
        break_glass_roles: rule.break_glass_roles.iter().cloned().map(Into::into).collect(),
        break_glass_justification_min: instance.workflow.justification_of(true),
        state,
        cause,
        display_digest: display_digest(&opened.gate, row.gate.version).into(),
    })
}

fn vote(vote: &CountedVote) -> wire::VoteView {
    wire::VoteView { person: vote.person.actor().into(), role: vote.role.clone().into(), at: None }
}

fn stage(stage: &Stage) -> wire::GateStage {
    let group = |group: &Group| wire::GateGroup {
        any_of: group.roles.iter().cloned().map(Into::into).collect(),
        count: group.required,
    };
    wire::GateStage { all_of: stage.groups.iter().map(group).collect() }
}

/// Returns what a list shows of a gate.
pub(crate) fn gate_summary(outline: &GateOutline) -> Answer<wire::GateSummary> {
    let GateOutline { row, rule, instance, .. } = outline;
    let fold = &instance.instance;
    let wire::Action { name, target, .. } = action(outline.action.as_ref())?;
    let (votes, rejections) = counted(outline);
    let (state, _) = gate_state(row);
    Ok(wire::GateSummary {
        gate_id: row.gate.id.into(),
        version: row.gate.version,
        instance_id: fold.identity.instance.into(),
        workflow: workflow_ref(&fold.identity.workflow),
        team: row.gate.team.clone().into(),
        action_name: name,
        target,
        roles: roles(outline),
        required: required(rule),
        votes: u32::try_from(votes.len()).unwrap_or(u32::MAX),
        required_rejections: rule.rejections,
        rejections: u32::try_from(rejections.len()).unwrap_or(u32::MAX),
        requested_by: requested_by(fold),
        opened_at: row.gate.opened_at.into(),
        deadline: row.gate.deadline.into(),
        state,
    })
}
