//! What operators and clients ask of the service itself.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::{self, Document};
use gantral_core::state::ActorKind;
use gantral_engine::EngineError;
use gantral_evidence::keys::PublicKey;
use gantral_identity::{Principal, PrincipalKind};
use gantral_policy::opa::BreakerState;

use crate::app::App;
use crate::command::{acting, call};
use crate::identity::Caller;
use crate::logs::{Logs, hint};
use crate::metrics::{Logged, Seen, TenantUsage, Told};
use crate::problems::{Answer, Failure};
use crate::readiness::{self, Check};

/// GET /healthz: the process answers.
pub(crate) async fn health() -> Json<wire::Health> {
    Json(status("ok"))
}

fn status(status: &str) -> wire::Health {
    let (status, version) = (status.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let (evaluators_away, damaged_tenants, stopped_logs) = (Vec::new(), Vec::new(), Vec::new());
    wire::Health { status, version, evaluators_away, damaged_tenants, stopped_logs }
}

/// GET /readyz: authority can be written, and policy evaluated. A log that stands still while others grow is named and takes the
/// service from nobody; whose logs all do is not ready. An OPA that is away is named: what it is asked fails as its workflow says.
pub(crate) async fn ready(State(app): State<App>) -> Answer<Json<wire::Health>> {
    let looked = readiness::look(&app);
    let checks: serde_json::Map<String, serde_json::Value> = looked
        .iter()
        .map(|Check { name, wrong }| {
            let said = wrong.as_ref().map_or("ok", |(_, why)| why);
            ((*name).to_owned(), said.into())
        })
        .collect();
    if let Some((code, why)) = looked.into_iter().find_map(|check| check.wrong) {
        return Err(Failure(Problem::new(code, why).with("checks", checks)));
    }
    let logs = app.0.logs.as_ref().map(Logs::standing).unwrap_or_default();
    let stopped = logs.stopped.into_iter().map(|(tenant, stopped)| wire::StoppedLog {
        tenant: tenant.into(),
        code: stopped.fault.as_str().to_owned(),
    });
    let opas = app.0.opas.status();
    let away = opas.iter().filter(|(_, opa)| opa.breaker != BreakerState::Closed);
    Ok(Json(wire::Health {
        evaluators_away: away.map(|(name, _)| name.as_str().to_owned()).collect(),
        damaged_tenants: app.0.damaged.iter().cloned().map(Into::into).collect(),
        stopped_logs: stopped.collect(),
        ..status("ready")
    }))
}

/// GET /metrics
pub(crate) async fn metrics(State(app): State<App>) -> Answer<Response> {
    let store = app.engine().store();
    let seen = Seen {
        now: app.0.clock.now(),
        counts: store.counts().await.map_err(EngineError::from)?,
        restarts: app.0.policy.workers().iter().map(|worker| worker.restarts).sum(),
        evaluators: app.0.opas.status(),
        logged: match &app.0.logs {
            Some(logs) => logs.logged().await.map_err(EngineError::from)?,
            None => Logged::default(),
        },
        archive: app.archive_standing(),
        told: Told {
            channels: app.0.couriers.status(),
            counts: store.outbox_counts().await.map_err(EngineError::from)?,
        },
        providers: app.0.providers.statuses(),
        spans_dropped: app.0.telemetry.tracer.dropped(),
        checks: readiness::look(&app),
        tenants: tenants(&app).await?,
    };
    let text = app
        .0
        .metrics
        .exposition(&seen)
        .map_err(|_| Failure::new(Code::Internal, "the metrics cannot be written"))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Returns how much there is of each tenant, and how much there may be.
async fn tenants(app: &App) -> Answer<Vec<TenantUsage>> {
    let mut found = Vec::with_capacity(app.0.tenants.len());
    for tenant in &app.0.tenants {
        let usage = app.engine().store().usage(tenant).await.map_err(EngineError::from)?;
        found.push(TenantUsage { tenant: tenant.clone(), usage, room: app.engine().room(tenant) });
    }
    Ok(found)
}

/// GET /v1/openapi.json
pub(crate) async fn openapi() -> Answer<Response> {
    let text = gantral_api::openapi::document_text()
        .map_err(|_| Failure::new(Code::Internal, "the document cannot be written"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// GET /v1/keys
pub(crate) async fn keys(State(app): State<App>, Caller(principal): Caller) -> Answer<Json<wire::Keys>> {
    let issuer = |key: &PublicKey| wire::IssuerKey {
        key_id: key.id().to_string(),
        algorithm: "ed25519".to_owned(),
        public_key: key.to_hex(),
    };
    let keys = app.engine().issuer_keys().map(issuer).collect();
    let hint = hint(app.engine().issuer_keys(), app.0.logs.as_ref(), principal.tenant())?;
    let trust = Document::from_bytes(&hint.encode())
        .map_err(|_| Failure::new(Code::Internal, "the trust hint cannot be written"))?;
    Ok(Json(wire::Keys { keys, trust_hint: trust }))
}

/// GET /v1/me
pub(crate) async fn me(State(app): State<App>, Caller(principal): Caller) -> Answer<Json<wire::Me>> {
    let mut call = call(&app, None)?;
    let actor = acting(&app, &mut call, &principal).await?;
    let owner = match principal.owner() {
        Some(owner) => {
            let salt = call.fresh.salt();
            Some(app.engine().person(principal.tenant(), owner, salt).await?.actor().into())
        }
        None => None,
    };
    let display = (actor.kind == ActorKind::Human).then(|| principal.display_name().to_owned());
    Ok(Json(wire::Me {
        tenant: principal.tenant().clone().into(),
        id: actor.id.into(),
        kind: kind_of(&principal),
        issuer: principal.issuer().to_owned(),
        display,
        owner,
        roles: principal.roles().iter().cloned().map(Into::into).collect(),
        teams: principal.teams().iter().cloned().map(Into::into).collect(),
        instance_id: principal.attempt().map(|scope| scope.instance.into()),
        attempt: principal.attempt().map(|scope| scope.attempt.0),
    }))
}

fn kind_of(principal: &Principal) -> wire::CallerKind {
    match principal.kind() {
        PrincipalKind::Human => wire::CallerKind::Human,
        PrincipalKind::Workload => wire::CallerKind::Workload,
        PrincipalKind::Runner => wire::CallerKind::Runner,
        PrincipalKind::Orchestrator => wire::CallerKind::Orchestrator,
    }
}

/// Whatever has no route.
pub(crate) async fn nowhere() -> Failure {
    Failure::not_found("the route")
}

/// A route that exists, under another method.
pub(crate) async fn other_method() -> Failure {
    Failure::new(Code::MethodNotAllowed, "this route does not answer this method")
}
