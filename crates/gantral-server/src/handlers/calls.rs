//! Governed calls: asked for, taken once they are granted, kept and settled by the program that an action passes through.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gantral_api::problem::Code;
use gantral_api::wire::{self, CallAnswer, text};
use gantral_core::ids::GateId;
use gantral_core::state::{Cause, State as Authority};
use gantral_core::time::UnixMillis;
use gantral_engine::{Answer as Said, Called, Done, EngineError, InstanceFacts, NewCall, Opened};
use gantral_identity::{Principal, PrincipalKind, Requester};

use super::authority::{Facts, facts_of, report_of};
use super::instances::{moved, visible};
use super::{Path, Query, action, workflows};
use crate::app::App;
use crate::command::Write;
use crate::problems::{Answer, Failure};
use crate::views::{self, receipts, stored};
use crate::waiting::Waiting;

/// POST /v1/calls
pub(crate) async fn ask(State(app): State<App>, write: Write<wire::AskCall>) -> Answer<Response> {
    let requester = caller(&write.principal)?;
    let body = write.body;
    workflows::visible(&app, &write.principal, &body.workflow).await?;
    let facts = facts_of(Facts {
        step: body.step,
        trigger: body.trigger,
        cost_estimate: body.cost_estimate,
        attributes: body.attributes,
    })?;
    let new = NewCall {
        workflow: body.workflow.into_inner(),
        version: body.version.map(text::Text::into_inner),
        session: body.session_id.map(text::Text::into_inner),
        action: action(&body.action)?,
        facts,
    };
    match app.engine().call(write.call, &requester, new).await {
        Ok(Called::Asked(done, action)) => answered(&app, &write.principal, done, action).await,
        Ok(Called::RefusedBefore(id)) => {
            refused(&app.engine().instance(write.principal.tenant(), id).await?, true)
        }
        Err(EngineError::CallKeyTaken { instance }) => {
            let open = visible(&app, &write.principal, instance).await?;
            match open.instance.state() {
                Authority::WaitingForHuman | Authority::Approved | Authority::Overridden => {
                    waiting_answer(&app, &open, true).await
                }
                // Somebody carries it out at this moment: there is nothing to join but its end.
                _ => Err(EngineError::CallKeyTaken { instance }.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// POST /v1/calls/{id}/take
pub(crate) async fn take(
    State(app): State<App>,
    Path(id): Path<text::InstanceId>,
    Query(query): Query<wire::WaitQuery>,
    mut write: Write<wire::Empty>,
) -> Answer<Response> {
    let requester = caller(&write.principal)?;
    let id = id.into_inner();
    let mut waiting = Waiting::start(&app, query.wait);
    loop {
        let facts = visible(&app, &write.principal, id).await?;
        write.call.now = app.now()?;
        match facts.instance.state() {
            Authority::WaitingForHuman => {
                if !waiting.news(|change| change.instance == id).await? {
                    return waiting_answer(&app, &facts, false).await;
                }
            }
            Authority::Rejected | Authority::Terminated => return refused(&facts, false),
            Authority::Completed
            | Authority::Created
            | Authority::Running
            | Authority::Approved
            | Authority::Overridden
            | Authority::Resumed => break,
        }
    }
    if app.engine().await_call_release(&write.principal, id).await? {
        write.call.now = app.now()?;
    }
    let done = app.engine().take_call(write.call, &requester, id).await?;
    answered(&app, &write.principal, done, None).await
}

/// POST /v1/calls/{id}/heartbeat
pub(crate) async fn heartbeat(
    State(app): State<App>,
    Path(id): Path<text::InstanceId>,
    mut write: Write<wire::Empty>,
) -> Answer<Json<wire::CallKept>> {
    let requester = caller(&write.principal)?;
    let id = id.into_inner();
    visible(&app, &write.principal, id).await?;
    let until = app.engine().keep_call(&mut write.call, &requester, id).await?;
    Ok(Json(wire::CallKept { lease_expires_at: until.into() }))
}

/// POST /v1/calls/{id}/settle
pub(crate) async fn settle(
    State(app): State<App>,
    Path(id): Path<text::InstanceId>,
    write: Write<wire::SettleCall>,
) -> Answer<Json<wire::Moved>> {
    let requester = caller(&write.principal)?;
    let id = id.into_inner();
    visible(&app, &write.principal, id).await?;
    let wire::SettleCall { grant_id, status, result, cost, evidence } = write.body;
    let grant = grant_id.map(text::Text::into_inner);
    let report = report_of(grant, wire::ReportOutcome { status, result, cost, evidence })?;
    moved(&app.engine().settle_call(write.call, &requester, id, report).await?)
}

/// Only programs make governed calls: a human who wants something done asks for an instance.
fn caller(principal: &Principal) -> Answer<Requester> {
    let requester = principal.requester()?;
    match principal.kind() {
        PrincipalKind::Workload => Ok(requester),
        PrincipalKind::Human | PrincipalKind::Runner | PrincipalKind::Orchestrator => {
            Err(Failure::new(Code::Forbidden, "only a workload makes governed calls"))
        }
    }
}

/// Says what the engine answered; with the action, if it is at hand.
async fn answered(app: &App, principal: &Principal, done: Done, action: Option<Opened>) -> Answer<Response> {
    let artifacts = receipts(&done.receipts)?;
    match &done.answer {
        Said::Observed { verdict, roles, reasons } => {
            let roles = roles.iter().cloned().map(Into::into).collect();
            let observed = Some(wire::ObservedVerdict { verdict: (*verdict).into(), roles });
            let reasons = reasons.clone();
            let begun = Begun { action, enforced: false, act_by: None, observed, reasons, artifacts };
            allowed(app, principal, &done, begun).await
        }
        Said::Allowed { act_by, reasons, .. } => {
            let (act_by, reasons) = (*act_by, reasons.clone());
            let begun = Begun { action, enforced: true, act_by, observed: None, reasons, artifacts };
            allowed(app, principal, &done, begun).await
        }
        Said::Consumed { act_by } => {
            let (act_by, reasons) = (Some(*act_by), Vec::new());
            let begun = Begun { action, enforced: true, act_by, observed: None, reasons, artifacts };
            allowed(app, principal, &done, begun).await
        }
        Said::Waiting { gate, deadline, roles, reasons } => {
            let waiting = wire::CallWaiting {
                instance_id: done.instance.into(),
                status: done.state.into(),
                gate_id: (*gate).into(),
                expires_at: (*deadline).into(),
                url: gate_url(app, *gate),
                roles: roles.iter().cloned().map(Into::into).collect(),
                reasons: reasons.clone(),
                joined: false,
                artifacts,
            };
            Ok((StatusCode::ACCEPTED, Json(CallAnswer::RequireHuman(waiting))).into_response())
        }
        Said::Denied { reasons } => Ok(Json(CallAnswer::Deny(wire::CallDenied {
            instance_id: done.instance.into(),
            cause: Cause::Denied.into(),
            reasons: reasons.clone(),
            remembered: false,
            artifacts,
        }))
        .into_response()),
        Said::Recorded | Said::Attempt { .. } | Said::Voted { .. } => {
            Err(Failure::new(Code::Internal, "the engine answered with something else than was asked"))
        }
    }
}

/// What is said of a call that may be carried out.
struct Begun {
    action: Option<Opened>,
    enforced: bool,
    act_by: Option<UnixMillis>,
    observed: Option<wire::ObservedVerdict>,
    reasons: Vec<String>,
    artifacts: Vec<wire::Receipt>,
}

async fn allowed(app: &App, principal: &Principal, done: &Done, begun: Begun) -> Answer<Response> {
    let provenance = app.engine().provenance(principal.tenant(), done).await?;
    let envelopes = |them: &[Vec<u8>], what| -> Answer<Vec<wire::Document>> {
        them.iter().map(|envelope| stored(envelope, what)).collect()
    };
    let begun_action = app.engine().begun_action(principal.tenant(), done, begun.action).await?;
    Ok(Json(CallAnswer::Allow(wire::CallAllowed {
        instance_id: done.instance.into(),
        enforced: begun.enforced,
        grant_id: begun_action.grant.map(Into::into),
        action: views::action(Some(&begun_action.opened.document()?))?,
        action_salt: begun_action.opened.salt.into(),
        act_by: begun.act_by.map(Into::into),
        observed: begun.observed,
        reasons: begun.reasons,
        earlier: envelopes(&provenance.earlier, "artifact")?,
        delegations: envelopes(&provenance.delegations, "delegation")?,
        artifacts: begun.artifacts,
    }))
    .into_response())
}

/// Says that a call waits, or was decided and is to be taken.
async fn waiting_answer(app: &App, facts: &InstanceFacts, joined: bool) -> Answer<Response> {
    let fold = &facts.instance;
    let gate = fold.gate().map(|gate| gate.asked.id).or(fold.decided.as_ref().map(|decided| decided.id));
    let gate = gate.ok_or_else(|| Failure::not_found("the gate"))?;
    let shown = views::gate(&app.engine().gate(&fold.identity.tenant, gate).await?)?;
    let waiting = wire::CallWaiting {
        instance_id: fold.identity.instance.into(),
        status: fold.state().into(),
        gate_id: shown.gate_id,
        expires_at: shown.deadline,
        url: gate_url(app, gate),
        roles: shown.roles,
        reasons: shown.reasons,
        joined,
        artifacts: Vec::new(),
    };
    Ok((StatusCode::ACCEPTED, Json(CallAnswer::RequireHuman(waiting))).into_response())
}

/// Says that a call was refused before.
fn refused(facts: &InstanceFacts, remembered: bool) -> Answer<Response> {
    let cause = views::cause(&facts.instance).unwrap_or_else(|| Cause::Rejected.into());
    Ok(Json(CallAnswer::Deny(wire::CallDenied {
        instance_id: facts.instance.identity.instance.into(),
        cause,
        reasons: Vec::new(),
        remembered,
        artifacts: Vec::new(),
    }))
    .into_response())
}

fn gate_url(app: &App, gate: GateId) -> String {
    format!("{}/console/gates/{gate}", app.0.public_url)
}
