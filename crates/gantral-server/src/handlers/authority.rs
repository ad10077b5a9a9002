//! Asking for authority, using it, and saying what came of it: by attempts, with their own tokens.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gantral_api::problem::Code;
use gantral_api::wire::{self, AuthorityAnswer, ConsumeAnswer, text};
use gantral_core::address::EvidenceUrl;
use gantral_core::event::EvidenceRef;
use gantral_core::ids::{GateId, GrantId, InstanceId};
use gantral_core::json::{Object, Value};
use gantral_core::state::{ExecutorKind, NextStep, OutcomeStatus};
use gantral_engine::{Answer as Said, AskFacts, AskRequest, EngineError, OutcomeReport, Reconciliation};

use super::instances::{moved, trigger};
use super::{Path, action, value};
use crate::app::App;
use crate::command::Write;
use crate::identity::bearer_of;
use crate::problems::{Answer, Failure};
use crate::views::{self, receipts};

/// POST /v1/instances/{id}/authority
pub(crate) async fn ask(
    State(app): State<App>,
    Path(id): Path<text::InstanceId>,
    write: Write<wire::Ask>,
) -> Answer<Response> {
    let id = id.into_inner();
    let bearer = bearer_of(&write.principal, id)?;
    let body = write.body;
    let facts = facts_of(Facts {
        step: body.step,
        trigger: body.trigger,
        cost_estimate: body.cost_estimate,
        attributes: body.attributes,
    })?;
    let executor = executor(body.executor)?;
    let request =
        AskRequest { action: action(&body.action)?, facts, consume: body.consume.then_some(executor) };
    let done = app.engine().ask(write.call, &bearer, request).await?;
    let artifacts = receipts(&done.receipts)?;
    match done.answer {
        Said::Observed { verdict, roles, reasons } => {
            let roles = roles.into_iter().map(Into::into).collect();
            let observed = Some(wire::ObservedVerdict { verdict: verdict.into(), roles });
            let (grant_id, grant, act_by, enforced) = (None, None, None, false);
            let allowed = wire::Allowed { grant_id, grant, enforced, observed, act_by, reasons, artifacts };
            Ok(Json(AuthorityAnswer::Allow(allowed)).into_response())
        }
        Said::Allowed { grant, act_by, reasons, .. } => {
            let grant_id = grant.map(Into::into);
            let waiting = match (grant, act_by) {
                (Some(grant), None) => app.engine().grant(write.principal.tenant(), id, grant).await.ok(),
                (Some(_), Some(_)) | (None, _) => None,
            };
            let grant = waiting.as_ref().map(views::grant).transpose()?;
            let act_by = act_by.map(Into::into);
            let (enforced, observed) = (true, None);
            let allowed = wire::Allowed { grant_id, grant, enforced, observed, act_by, reasons, artifacts };
            Ok(Json(AuthorityAnswer::Allow(allowed)).into_response())
        }
        Said::Waiting { gate, deadline, roles, reasons } => {
            let waiting = waiting(&app, done.state, gate, deadline, &roles, reasons, artifacts);
            Ok((StatusCode::ACCEPTED, Json(AuthorityAnswer::RequireHuman(waiting))).into_response())
        }
        Said::Denied { reasons } => {
            let denied = wire::Denied { reasons, state: done.state.into(), enforced: true, artifacts };
            Ok(Json(AuthorityAnswer::Deny(denied)).into_response())
        }
        Said::Recorded | Said::Attempt { .. } | Said::Voted { .. } | Said::Consumed { .. } => {
            Err(misanswered())
        }
    }
}

/// POST /v1/instances/{id}/grants/{grant_id}/consume
pub(crate) async fn consume(
    State(app): State<App>,
    Path((id, grant)): Path<(text::InstanceId, text::GrantId)>,
    write: Write<wire::Consume>,
) -> Answer<Response> {
    let id = id.into_inner();
    let bearer = bearer_of(&write.principal, id)?;
    let executor = executor(write.body.executor)?;
    let action = action(&write.body.action)?;
    let grant = grant.into_inner();
    let mut call = write.call;
    if app.engine().await_release(&bearer, grant).await? {
        call.now = app.now()?;
    }
    let done = app.engine().consume(call, &bearer, grant, &action, executor).await?;
    let artifacts = receipts(&done.receipts)?;
    match done.answer {
        Said::Consumed { act_by } => {
            let consumed =
                wire::Consumed { consumed: true, enforced: true, act_by: act_by.into(), artifacts };
            Ok(Json(ConsumeAnswer::Allow(consumed)).into_response())
        }
        Said::Waiting { gate, deadline, roles, reasons } => {
            let waiting = waiting(&app, done.state, gate, deadline, &roles, reasons, artifacts);
            Ok((StatusCode::ACCEPTED, Json(ConsumeAnswer::RequireHuman(waiting))).into_response())
        }
        Said::Denied { reasons } => {
            let denied = wire::Denied { reasons, state: done.state.into(), enforced: true, artifacts };
            Ok(Json(ConsumeAnswer::Deny(denied)).into_response())
        }
        Said::Recorded
        | Said::Attempt { .. }
        | Said::Allowed { .. }
        | Said::Observed { .. }
        | Said::Voted { .. } => Err(misanswered()),
    }
}

/// POST /v1/instances/{id}/grants/{grant_id}/outcome
pub(crate) async fn outcome(
    State(app): State<App>,
    Path((id, grant)): Path<(text::InstanceId, text::GrantId)>,
    write: Write<wire::ReportOutcome>,
) -> Answer<Json<wire::Moved>> {
    report(&app, id.into_inner(), Some(grant.into_inner()), write).await
}

/// POST /v1/instances/{id}/outcome
pub(crate) async fn observed_outcome(
    State(app): State<App>,
    Path(id): Path<text::InstanceId>,
    write: Write<wire::ReportOutcome>,
) -> Answer<Json<wire::Moved>> {
    report(&app, id.into_inner(), None, write).await
}

async fn report(
    app: &App,
    id: InstanceId,
    grant: Option<GrantId>,
    write: Write<wire::ReportOutcome>,
) -> Answer<Json<wire::Moved>> {
    let bearer = bearer_of(&write.principal, id)?;
    let report = report_of(grant, write.body)?;
    moved(&app.engine().report(write.call, &bearer, report).await?)
}

/// Reads a report.
pub(crate) fn report_of(grant: Option<GrantId>, body: wire::ReportOutcome) -> Answer<OutcomeReport> {
    if body.evidence.len() > wire::EVIDENCE_ITEMS_MAX {
        return Err(Failure::member("evidence", "`evidence` has more than 32 items"));
    }
    if body.status.into_inner() == OutcomeStatus::Unknown {
        return Err(Failure::member(
            "status",
            "`status` is SUCCEEDED or FAILED: only the engine says UNKNOWN",
        ));
    }
    let evidence = body.evidence.into_iter().enumerate().map(|(index, item)| reference(index, item));
    Ok(OutcomeReport {
        grant,
        status: body.status.into_inner(),
        result: body.result.as_ref().map(|result| value(result, "result")).transpose()?,
        cost: body.cost,
        evidence: evidence.collect::<Answer<_>>()?,
    })
}

/// Reads a reference to captured evidence; whether it may be sealed is for the engine.
fn reference(index: usize, item: wire::EvidenceItem) -> Answer<EvidenceRef> {
    let wire::EvidenceItem { name, digest, url } = item;
    let url = url.as_deref().map(EvidenceUrl::parse).transpose();
    let url = url.map_err(|error| EngineError::Evidence { index, member: "url", error })?;
    Ok(EvidenceRef { digest: digest.into_inner(), name: name.into_inner(), url })
}

/// What is said beside an action, as sent.
pub(crate) struct Facts {
    pub step: Option<text::Name>,
    pub trigger: Option<text::Name>,
    pub cost_estimate: Option<wire::Document>,
    pub attributes: Option<wire::Document>,
}

/// Reads what is said beside an action.
pub(crate) fn facts_of(said: Facts) -> Answer<AskFacts> {
    let cost = said.cost_estimate.as_ref().map(|cost| value(cost, "cost_estimate")).transpose()?;
    let attributes =
        said.attributes.as_ref().map(|attributes| value(attributes, "attributes")).transpose()?;
    Ok(AskFacts {
        step: said.step.map(text::Text::into_inner),
        trigger: trigger(said.trigger.as_ref())?,
        cost_estimate: match cost {
            None => None,
            Some(Value::Number(number)) => Some(number),
            Some(_) => return Err(Failure::member("cost_estimate", "`cost_estimate` is not a number")),
        },
        attributes: match attributes {
            None => Object::new(),
            Some(Value::Object(object)) => object,
            Some(_) => return Err(Failure::member("attributes", "`attributes` is not an object")),
        },
    })
}

/// POST /v1/instances/{id}/grants/{grant_id}/reconcile
pub(crate) async fn reconcile(
    State(app): State<App>,
    Path((id, grant)): Path<(text::InstanceId, text::GrantId)>,
    write: Write<wire::Reconcile>,
) -> Answer<Json<wire::Moved>> {
    let administrator = write.principal.administrator()?;
    let status = write.body.status.into_inner();
    if status == OutcomeStatus::Unknown {
        return Err(Failure::member("status", "`status` is what was found out: SUCCEEDED or FAILED"));
    }
    let next: NextStep = write.body.next.into_inner();
    let justification = write.body.justification.as_str().to_owned();
    let found = Reconciliation { grant: grant.into_inner(), status, next, justification };
    moved(&app.engine().reconcile(write.call, &administrator, id.into_inner(), found).await?)
}

/// POST /v1/instances/{id}/complete
pub(crate) async fn complete(
    State(app): State<App>,
    Path(id): Path<text::InstanceId>,
    write: Write<wire::Empty>,
) -> Answer<Json<wire::Moved>> {
    finish(&app, id.into_inner(), write, true).await
}

/// POST /v1/instances/{id}/fail
pub(crate) async fn fail(
    State(app): State<App>,
    Path(id): Path<text::InstanceId>,
    write: Write<wire::Empty>,
) -> Answer<Json<wire::Moved>> {
    finish(&app, id.into_inner(), write, false).await
}

async fn finish(
    app: &App,
    id: InstanceId,
    write: Write<wire::Empty>,
    well: bool,
) -> Answer<Json<wire::Moved>> {
    let bearer = bearer_of(&write.principal, id)?;
    moved(&app.engine().finish(write.call, &bearer, well).await?)
}

/// An attempt's token is held by the agent itself; that it acts through something stronger is not its to claim.
fn executor(named: Option<text::ExecutorKind>) -> Answer<ExecutorKind> {
    match named.map(text::Text::into_inner) {
        None | Some(ExecutorKind::SelfExecuted) => Ok(ExecutorKind::SelfExecuted),
        Some(ExecutorKind::Runner | ExecutorKind::Interceptor) => {
            Err(Failure::new(Code::Forbidden, "an agent's own token executes as `self`"))
        }
    }
}

fn misanswered() -> Failure {
    Failure::new(Code::Internal, "the engine answered with something else than was asked")
}

fn waiting(
    app: &App,
    state: gantral_core::state::State,
    gate: GateId,
    deadline: gantral_core::time::UnixMillis,
    roles: &[gantral_core::ids::Role],
    reasons: Vec<String>,
    artifacts: Vec<wire::Receipt>,
) -> wire::Waiting {
    wire::Waiting {
        status: state.into(),
        enforced: true,
        gate_id: gate.into(),
        expires_at: deadline.into(),
        url: format!("{}/console/gates/{gate}", app.0.public_url),
        roles: roles.iter().cloned().map(Into::into).collect(),
        reasons,
        artifacts,
    }
}
