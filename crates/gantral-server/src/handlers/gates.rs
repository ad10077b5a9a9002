//! Gates: what waits for humans, and what they say. GET never decides.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::{self, text};
use gantral_core::command::Refusal;
use gantral_core::ids::{GateId, Role, TenantId};
use gantral_core::state::DecisionKind;
use gantral_engine::{Answer as Said, Call, DecisionRequest, EngineError, GateOutline, Moved, ToSign};
use gantral_identity::{Approver, Principal, PrincipalKind};
use gantral_store::{Cursor, GateFilter, StoredGate};

use super::passkeys::assertion;
use super::{Path, Query, action, page};
use crate::app::App;
use crate::command::Write;
use crate::identity::{Caller, sees_team};
use crate::problems::{Answer, Failure};
use crate::views::{self, receipts};

/// How many gates of a page are read at once.
const OUTLINED_AT_ONCE: usize = 16;

/// Whoever looks at gates: with the roles that they hold, and those that others lend to them now.
struct Viewer<'a> {
    principal: &'a Principal,
    roles: BTreeSet<Role>,
}

impl<'a> Viewer<'a> {
    async fn of(app: &App, principal: &'a Principal) -> Answer<Self> {
        let mut roles = app.engine().lent_roles(principal, app.0.clock.now()).await?;
        roles.extend(principal.roles().iter().cloned());
        Ok(Self { principal, roles })
    }

    /// A gate is for the humans of its team and those who may decide there, and for the attempt or workload that asked.
    fn sees(&self, gate: &GateOutline) -> bool {
        let (principal, fold) = (self.principal, &gate.instance.instance);
        match (principal.attempt(), principal.kind()) {
            (Some(scope), _) => scope.instance == fold.identity.instance,
            (None, PrincipalKind::Human) => self.sees_row(&gate.row) || self.may_break_glass(gate),
            (None, PrincipalKind::Workload) => fold.created_by == *principal.client(),
            (None, PrincipalKind::Runner | PrincipalKind::Orchestrator) => false,
        }
    }

    /// Whoever may decide in an emergency must be able to look before it. A delegation lends no such role.
    fn may_break_glass(&self, gate: &GateOutline) -> bool {
        gate.rule.break_glass_roles.iter().any(|role| self.principal.roles().contains(role))
    }

    /// As `sees`, of a human.
    fn sees_row(&self, row: &StoredGate) -> bool {
        sees_team(self.principal, &row.gate.team)
            || row.gate.roles.iter().any(|role| self.roles.contains(role))
    }
}

fn unknown() -> Failure {
    Failure::new(Code::GateUnknown, "the gate was not found")
}

/// Returns the gate's row; to a human who does not see the gate there is none.
async fn row_for(app: &App, approver: &Approver, id: GateId) -> Answer<StoredGate> {
    let row = app.engine().store().gate(approver.principal().tenant(), id).await;
    let row = row.map_err(EngineError::from)?;
    let row = row.ok_or_else(unknown)?;
    let viewer = Viewer::of(app, approver.principal()).await?;
    if viewer.sees_row(&row) {
        return Ok(row);
    }
    let outline = app.engine().gate_outline(approver.principal().tenant(), row).await?;
    if viewer.sees(&outline) { Ok(outline.row) } else { Err(unknown()) }
}

/// Refuses whoever does not see a gate, and whoever is none of those whom it asks.
pub(crate) async fn askable(app: &App, approver: &Approver, id: GateId) -> Answer<()> {
    let row = row_for(app, approver, id).await?;
    let viewer = Viewer::of(app, approver.principal()).await?;
    if row.gate.roles.iter().any(|role| viewer.roles.contains(role)) {
        return Ok(());
    }
    let problem = Problem::new(Code::NotEligible, "the gate asks for other roles than those you hold");
    Err(Failure(problem.with("roles", asked_roles(&row))))
}

fn asked_roles(row: &StoredGate) -> Vec<&str> {
    row.gate.roles.iter().map(Role::as_str).collect()
}

/// Whoever holds no role for a gate is told which ones count, and whoever saw an earlier version how it has moved since.
async fn explained(app: &App, tenant: &TenantId, error: EngineError, row: &StoredGate) -> Failure {
    let seen = match &error {
        EngineError::Refused(Refusal::GateMoved { seen, .. }) => Some(*seen),
        _ => None,
    };
    let Failure(problem) = error.into();
    if problem.code() == Code::NotEligible {
        return Failure(problem.with("roles", asked_roles(row)));
    }
    let Some(seen) = seen else { return Failure(problem) };
    match app.engine().gate(tenant, row.gate.id).await {
        Ok(facts) => {
            let since = facts.moves.iter().filter(|moved| moved.to.version > seen);
            Failure(problem.with("changed", since.map(change).collect::<Vec<_>>()))
        }
        Err(error) => error.into(),
    }
}

/// Shows one move of a gate as a member of a problem.
fn change(moved: &Moved) -> serde_json::Value {
    let Moved { to, by, at } = moved;
    serde_json::json!({
        "version": to.version,
        "event": if to.step.is_some() { "escalated" } else { "extended" },
        "roles": to.roles.iter().map(Role::as_str).collect::<Vec<_>>(),
        "deadline": to.deadline.to_text(),
        "by": by.to_string(),
        "at": at.to_text(),
    })
}

/// GET /v1/gates
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::GateList>,
) -> Answer<Json<wire::GatePage>> {
    open(&app, &principal, &query).await.map(Json)
}

/// Returns the open gates that a principal sees.
pub(crate) async fn open(app: &App, principal: &Principal, query: &wire::GateList) -> Answer<wire::GatePage> {
    let machine = matches!(principal.kind(), PrincipalKind::Runner | PrincipalKind::Orchestrator);
    if principal.attempt().is_some() || machine {
        return Err(Failure::new(Code::Forbidden, "gates are listed for humans and workloads"));
    }
    let (cursor, limit) = page(query.cursor.as_deref(), query.limit)?;
    let roles = match query.mine.unwrap_or(false) {
        true => Some(Viewer::of(app, principal).await?.roles.into_iter().collect()),
        false => None,
    };
    let filter = GateFilter { roles, ..GateFilter::default() };
    seen(app, principal, filter, cursor, limit).await
}

/// Returns gates of a filter, as far as a principal sees them.
pub(crate) async fn seen(
    app: &App,
    principal: &Principal,
    filter: GateFilter,
    cursor: Option<Cursor>,
    limit: usize,
) -> Answer<wire::GatePage> {
    let tenant = principal.tenant();
    let found = app.engine().store().list_gates(tenant, filter, cursor, limit).await;
    let found = found.map_err(EngineError::from)?;
    let viewer = Viewer::of(app, principal).await?;
    let outlined = found.items.into_iter().map(|row| app.engine().gate_outline(tenant, row));
    let outlines: Vec<_> = stream::iter(outlined).buffered(OUTLINED_AT_ONCE).try_collect().await?;
    let shown = outlines.iter().filter(|gate| viewer.sees(gate));
    let items = shown.map(views::gate_summary).collect::<Answer<_>>()?;
    Ok(wire::GatePage { items, next: found.next.map(|cursor| cursor.to_string()) })
}

/// GET /v1/gates/{gate_id}
pub(crate) async fn show(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<text::GateId>,
) -> Answer<Json<wire::GateView>> {
    one(&app, &principal, id.into_inner()).await.map(Json)
}

/// Returns a gate that a principal sees.
pub(crate) async fn one(app: &App, principal: &Principal, id: GateId) -> Answer<wire::GateView> {
    let facts = app.engine().gate(principal.tenant(), id).await?;
    if Viewer::of(app, principal).await?.sees(&facts.outline) { views::gate(&facts) } else { Err(unknown()) }
}

/// POST /v1/gates/{gate_id}/decisions
pub(crate) async fn decide(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    write: Write<wire::Decide>,
) -> Answer<(StatusCode, Json<wire::Decided>)> {
    let decided = resolve(&app, &write.principal, write.call, id.into_inner(), write.body).await?;
    Ok((StatusCode::CREATED, Json(decided)))
}

/// Decides at a gate: the one way, wherever the decision comes from.
pub(crate) async fn resolve(
    app: &App,
    principal: &Principal,
    call: Call,
    id: GateId,
    body: wire::Decide,
) -> Answer<wire::Decided> {
    let approver = principal.approver()?;
    let row = row_for(app, &approver, id).await?;
    let request = decision(app, principal, id, body)?;
    let span = app.0.telemetry.of_instance(row.instance, "decide");
    let decided = span.scope(app.engine().decide_gate(call, &approver, id, request)).await;
    span.end();
    let done = match decided {
        Ok(done) => done,
        Err(error) => return Err(explained(app, principal.tenant(), error, &row).await),
    };
    let grant_id = match done.answer {
        Said::Voted { grant } => grant.map(Into::into),
        _ => None,
    };
    let artifacts = receipts(&done.receipts)?;
    Ok(wire::Decided { state: done.state.into(), grant_id, artifacts })
}

/// Says what the human's own authenticator is to sign for a decision.
pub(crate) async fn statement(
    app: &App,
    principal: &Principal,
    call: Call,
    id: GateId,
    body: wire::Decide,
) -> Answer<ToSign> {
    let approver = principal.approver()?;
    let row = row_for(app, &approver, id).await?;
    let request = decision(app, principal, id, body)?;
    match app.engine().decision_to_sign(call, &approver, id, &request).await {
        Ok(stated) => Ok(stated),
        Err(error) => Err(explained(app, principal.tenant(), error, &row).await),
    }
}

/// Reads a decision. Its salts follow from what it says, so that the statement that an authenticator signed can be made again.
fn decision(app: &App, principal: &Principal, id: GateId, mut body: wire::Decide) -> Answer<DecisionRequest> {
    let decision = body.decision.into_inner();
    if (decision == DecisionKind::Override) != body.action.is_some() {
        return Err(Failure::new(Code::ActionMismatch, "`action` is given with OVERRIDE, and only with it"));
    }
    let assertion = body.assertion.take().map(|document| assertion(&document)).transpose()?;
    let written = serde_json::to_vec(&body)
        .map_err(|_| Failure::new(Code::Internal, "the decision cannot be written"))?;
    let context = [
        principal.tenant().as_str().as_bytes(),
        principal.issuer().as_bytes(),
        principal.subject().as_bytes(),
        id.as_bytes(),
        &written,
    ];
    let seed = app.0.attempts.derive("gantral/decision-salts/v1", &context);
    Ok(DecisionRequest {
        decision,
        gate_version: body.gate_version,
        role: body.role.map(text::Text::into_inner),
        action: body.action.as_ref().map(action).transpose()?,
        justification: body.justification.as_str().to_owned(),
        delegation: body.delegation.map(text::Text::into_inner),
        break_glass: body.break_glass,
        seed: Some(seed.ok_or_else(|| Failure::new(Code::Internal, "no salts can be drawn"))?),
        assertion,
    })
}

/// POST /v1/gates/{gate_id}/extend
pub(crate) async fn extend(
    State(app): State<App>,
    Path(id): Path<text::GateId>,
    write: Write<wire::Extend>,
) -> Answer<Json<wire::Extended>> {
    prolong(&app, &write.principal, write.call, id.into_inner(), write.body).await.map(Json)
}

/// Gives a gate more time: the one way, wherever the request comes from.
pub(crate) async fn prolong(
    app: &App,
    principal: &Principal,
    call: Call,
    id: GateId,
    body: wire::Extend,
) -> Answer<wire::Extended> {
    let approver = principal.approver()?;
    let wire::Extend { gate_version, deadline } = body;
    let row = row_for(app, &approver, id).await?;
    let done = match app.engine().extend(call, &approver, id, gate_version, deadline.into_inner()).await {
        Ok(done) => done,
        Err(error) => return Err(explained(app, principal.tenant(), error, &row).await),
    };
    Ok(wire::Extended {
        gate_version: gate_version.saturating_add(1),
        deadline,
        artifacts: receipts(&done.receipts)?,
    })
}
