//! Attempts: claimed, attached, kept alive, ended. Tokens of attempts are minted here and never stored.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gantral_api::problem::Code;
use gantral_api::wire::{self, Attach, text};
use gantral_core::ids::{AttemptNo, InstanceId};
use gantral_core::state::ActorKind;
use gantral_engine::{Answer as Said, Done, Handed, InstanceFacts};
use gantral_identity::{ActingWorkload, AttemptScope, IssuedToken, Principal};

use gantral_store::Change;

use super::instances::{moved, visible};
use super::{Path, Query};
use crate::app::App;
use crate::command::Write;
use crate::problems::{Answer, Failure};
use crate::views::{self, receipts, stored, workflow_ref};
use crate::waiting::Waiting;

/// How late a release that another server was told of is found: it is no commit, and nothing announces it elsewhere.
const RELEASED_ELSEWHERE: Duration = Duration::from_secs(1);

/// Mints the token of an attempt: on behalf of the workload that asked for the instance, else of who executes it.
fn token(app: &App, principal: &Principal, facts: &InstanceFacts, attempt: AttemptNo) -> Answer<IssuedToken> {
    let fold = &facts.instance;
    let tenant = &fold.identity.tenant;
    let workload = fold.created.requester.last().filter(|link| link.kind == ActorKind::Workload);
    let acting = match workload {
        Some(link) => app.0.verifier.acting_workload(tenant, &link.issuer, &link.id).ok_or_else(|| {
            Failure::new(
                Code::Forbidden,
                "the workload that asked for this instance is not configured any more",
            )
        })?,
        None => ActingWorkload {
            tenant: tenant.clone(),
            issuer: principal.issuer().to_owned(),
            client: principal.client().clone(),
            display_name: principal.display_name().to_owned(),
            roles: std::collections::BTreeSet::new(),
            teams: std::iter::once(facts.workflow.team.clone()).collect(),
            owner: None,
        },
    };
    let scope = AttemptScope { instance: fold.identity.instance, attempt };
    app.0
        .attempts
        .mint(&acting, scope, app.now()?)
        .map_err(|error| Failure::new(Code::SignerUnavailable, error.to_string()))
}

fn attempt_no(attempt: u32) -> AttemptNo {
    AttemptNo(attempt)
}

/// POST /v1/runner/claims
pub(crate) async fn claim(
    State(app): State<App>,
    Query(query): Query<wire::WaitQuery>,
    mut write: Write<wire::Claim>,
) -> Answer<Response> {
    let runner = write.principal.runner()?;
    let queue = write.body.queue.into_inner();
    let mut waiting = Waiting::start(&app, query.wait);
    loop {
        write.call.now = app.now()?;
        if let Some(task) = app.engine().claim(&mut write.call, &runner, &queue).await? {
            let facts = app.engine().instance(write.principal.tenant(), task.instance).await?;
            let grant = match facts.instance.pending_grant() {
                Some(id) => {
                    let document = app.engine().grant(write.principal.tenant(), task.instance, id).await?;
                    Some(views::grant(&document)?)
                }
                None => None,
            };
            let envelopes = task.chain.iter().map(|artifact| stored(&artifact.envelope, "artifact"));
            let delegations = task.delegations.iter().map(|envelope| stored(envelope, "delegation"));
            let body = wire::Task {
                instance_id: task.instance.into(),
                attempt: task.attempt.0,
                workflow: workflow_ref(&task.workflow.reference()),
                definition: stored(&task.workflow.canonical, "definition")?,
                command: if task.resumed { task.run.resume_command } else { task.run.command },
                context: stored(&task.context.bytes, "context")?,
                context_commitment: task.context.commitment.into(),
                context_salt: task.context.salt.into(),
                lease_expires_at: task.lease_until.into(),
                chain: envelopes.collect::<Answer<_>>()?,
                delegations: delegations.collect::<Answer<_>>()?,
                grant,
                secrets: task.run.secrets,
                traceparent: app.0.telemetry.traceparent(task.instance),
            };
            return Ok(Json(body).into_response());
        }
        let matters = |change: &Change| change.queue.as_ref() == Some(&queue);
        let news = if app.engine().is_orchestrated() {
            waiting.news_within(RELEASED_ELSEWHERE, matters).await?
        } else {
            waiting.news(matters).await?
        };
        if !news {
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
    }
}

/// POST /v1/instances/{id}/attempts
pub(crate) async fn attach(
    State(app): State<App>,
    Path(id): Path<text::InstanceId>,
    write: Write<Attach>,
) -> Answer<(StatusCode, Json<wire::Attached>)> {
    let id = id.into_inner();
    let (done, handed) = match write.body {
        Attach::Assigned { attempt } => {
            let runner = write.principal.runner()?;
            let done = app.engine().attach(write.call, &runner, id, attempt_no(attempt)).await?;
            (done, app.engine().handed(write.principal.tenant(), id).await?)
        }
        Attach::SelfRun => {
            let requester = write.principal.requester()?;
            visible(&app, &write.principal, id).await?;
            app.engine().begin_self(write.call, &requester, id).await?
        }
    };
    let body = attached(&app, &write.principal, id, &done, &handed).await?;
    Ok((StatusCode::CREATED, Json(body)))
}

async fn attached(
    app: &App,
    principal: &Principal,
    id: InstanceId,
    done: &Done,
    handed: &Handed,
) -> Answer<wire::Attached> {
    let Said::Attempt { attempt, grant } = done.answer else {
        return Err(Failure::new(Code::Internal, "the attempt was answered with something else"));
    };
    let tenant = principal.tenant();
    let facts = app.engine().instance(tenant, id).await?;
    // A replayed answer may name a grant that was used since.
    let grant = match grant.filter(|grant| facts.instance.grants.contains_key(grant)) {
        Some(grant) => Some(views::grant(&app.engine().grant(tenant, id, grant).await?)?),
        None => None,
    };
    let token = token(app, principal, &facts, attempt)?;
    Ok(wire::Attached {
        attempt: attempt.0,
        token: token.expose().to_owned(),
        token_expires_at: token.expires_at().into(),
        context: stored(&handed.bytes, "context")?,
        grant,
        artifacts: receipts(&done.receipts)?,
    })
}

/// POST /v1/instances/{id}/attempts/{n}/heartbeat
pub(crate) async fn heartbeat(
    State(app): State<App>,
    Path((id, attempt)): Path<(text::InstanceId, u32)>,
    mut write: Write<wire::Empty>,
) -> Answer<Json<wire::HeartbeatAnswer>> {
    let (id, attempt) = (id.into_inner(), attempt_no(attempt));
    let runner = write.principal.runner()?;
    let until = app.engine().heartbeat(&mut write.call, &runner, id, attempt).await?;
    let facts = app.engine().instance(write.principal.tenant(), id).await?;
    let token = token(&app, &write.principal, &facts, attempt)?;
    Ok(Json(wire::HeartbeatAnswer {
        lease_expires_at: until.into(),
        token: token.expose().to_owned(),
        token_expires_at: token.expires_at().into(),
        retired: facts.instance.live.as_ref().is_some_and(|live| live.retired),
    }))
}

/// POST /v1/instances/{id}/attempts/{n}/end
pub(crate) async fn end(
    State(app): State<App>,
    Path((id, attempt)): Path<(text::InstanceId, u32)>,
    write: Write<wire::EndAttempt>,
) -> Answer<Json<wire::Moved>> {
    let runner = write.principal.runner()?;
    let (id, attempt) = (id.into_inner(), attempt_no(attempt));
    moved(&app.engine().end_attempt(write.call, &runner, id, attempt, write.body.exit_status).await?)
}
