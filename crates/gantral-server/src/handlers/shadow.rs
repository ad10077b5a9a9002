//! Shadow mode: where it is on, what was observed under it, and the check before it is switched off.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use gantral_api::problem::{Code, Problem};
use gantral_api::wire;
use gantral_core::ids::{Role, TenantId};
use gantral_core::policy::Verdict;
use gantral_core::rule::GatePlan;
use gantral_core::state::Mode;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_engine::{EngineError, Governor, ModeInForce, ObservedAsk};
use gantral_evidence::governance::Scope;
use gantral_identity::{Holders, Principal};
use gantral_policy::output;
use gantral_store::{InstanceFilter, PAGE_MAX};

use super::instances::teams_of;
use super::policies::{owned, scope_view};
use super::proposals::ruled;
use super::{Query, page};
use crate::app::App;
use crate::command::{Write, acting};
use crate::identity::{Caller, governs};
use crate::problems::{Answer, Failure};

/// One hour, in milliseconds.
pub(super) const HOUR_MS: u64 = 3_600_000;
/// How many of the newest instances tell whom policy would have asked, before what it says is enforced.
const LOOKED_AT: usize = 200;

/// How many workflows of whose gates nobody is told are named.
const UNTOLD_MAX: usize = 100;

/// GET /v1/modes
pub(crate) async fn modes(
    State(app): State<App>,
    Caller(principal): Caller,
) -> Answer<Json<wire::ModesInForce>> {
    in_force(&app, &principal).await.map(Json)
}

/// Returns the modes that were set in the tenant of a principal.
pub(crate) async fn in_force(app: &App, principal: &Principal) -> Answer<wire::ModesInForce> {
    let modes = app.engine().modes_in_force(principal.tenant()).await?;
    let items = modes.into_iter().map(|ModeInForce { scope, action, mode }| wire::ModeInForce {
        scope: scope_view(scope),
        action: action.map(Into::into),
        mode: mode.into(),
    });
    Ok(wire::ModesInForce { items: items.collect() })
}

/// POST /v1/modes
pub(crate) async fn set_mode(
    State(app): State<App>,
    mut write: Write<wire::SetMode>,
) -> Answer<(StatusCode, Json<wire::Governed>)> {
    let approver = write.principal.approver()?;
    governs(&write.principal)?;
    let tenant = write.principal.tenant().clone();
    let scope = owned(&app, &write.principal, write.body.scope.clone()).await?;
    let action = write.body.action.clone().map(wire::text::Text::into_inner);
    if action.is_some() && !matches!(scope, Scope::Workflow(_)) {
        return Err(Failure::member("action", "only a workflow has actions"));
    }
    let wanted = ModeInForce { scope, action, mode: write.body.mode.into_inner() };
    if wanted.mode == Mode::Enforce && !write.body.confirmed {
        let mut found = unconfirmed(&app, &tenant, &wanted).await?;
        // In development whoever approves sits at this machine.
        found.untold.retain(|_| !write.principal.is_development());
        let detail = match (found.approvers.is_empty(), found.untold.is_empty()) {
            (true, true) => None,
            (false, _) => Some("the server does not know who would approve"),
            (true, false) => Some("nobody is told when a gate opens"),
        };
        if let Some(detail) = detail {
            let problem = Problem::new(Code::ApproversUnconfirmed, detail);
            let problem = problem.with("approvers", serde_json::json!(found.approvers));
            return Err(problem.with("untold", serde_json::json!(found.untold)).into());
        }
    }
    let actor = acting(&app, &mut write.call, approver.principal()).await?;
    let why = write.body.justification.as_ref().map(|why| why.as_str());
    let by = Governor { actor: &actor, why };
    ruled(app.engine().set_mode(&mut write.call, &tenant, by, &wanted).await?)
}

/// What nobody knows to work where a mode is to be in force.
struct Unconfirmed {
    /// The groups of approvers that gates would ask, and of which the configuration names no role.
    approvers: Vec<wire::Approvers>,
    /// The workflows of whose gates nobody is told when they open; the first of them.
    untold: Vec<wire::text::WorkflowId>,
}

/// Looks for approvers and for a way to reach them.
async fn unconfirmed(
    app: &App,
    tenant: &TenantId,
    ModeInForce { scope, action, .. }: &ModeInForce,
) -> Answer<Unconfirmed> {
    let mut asked: BTreeSet<Vec<Role>> = BTreeSet::new();
    let mut untold = Vec::new();
    let mut after = None;
    loop {
        let store = app.engine().store();
        let rows = store.list_workflows(tenant, after, PAGE_MAX).await.map_err(EngineError::from)?;
        let last = rows.len() < PAGE_MAX;
        after = rows.last().map(|row| row.id.clone());
        for row in rows {
            let within = match scope {
                Scope::Tenant => true,
                Scope::Team(team) => row.team == *team,
                Scope::Workflow(workflow) => row.id == *workflow,
            };
            if within {
                let workflow = app.engine().workflow(tenant, &row.id, Some(&row.version)).await?;
                asked.extend(workflow.floors.plan(None).iter().flat_map(groups));
                if untold.len() < UNTOLD_MAX && !app.engine().is_told_of_gates(tenant, &workflow) {
                    untold.push(workflow.id.clone().into());
                }
            }
        }
        if last {
            break;
        }
    }
    let (teams, workflow) = match scope {
        Scope::Tenant => (None, None),
        Scope::Team(team) => (Some(vec![team.clone()]), None),
        Scope::Workflow(workflow) => (None, Some(workflow.clone())),
    };
    let filter = InstanceFilter { teams, workflow, ..InstanceFilter::default() };
    let observed = app.engine().observed_in_newest(tenant, &filter, LOOKED_AT).await?;
    let would_wait = |ask: &&ObservedAsk| ask.policy.verdict == Verdict::RequireHuman;
    // Where the action was erased, it may have been this one.
    let concerned = |ask: &&ObservedAsk| action.is_none() || ask.action.is_none() || ask.action == *action;
    for ask in observed.iter().filter(would_wait).filter(concerned) {
        asked.extend(plan(ask).iter().flat_map(groups));
    }
    let known = |roles: &[Role]| roles.iter().map(|role| app.0.verifier.holders(tenant, role)).max();
    let unknown = asked.into_iter().filter_map(|roles| match known(&roles) {
        Some(Holders::Named) => None,
        found => {
            let any_of = roles.into_iter().map(Into::into).collect();
            Some(wire::Approvers { any_of, possible: found == Some(Holders::Unknown) })
        }
    });
    Ok(Unconfirmed { approvers: unknown.collect(), untold })
}

/// Returns the groups that must all be filled at a gate: of each, any role counts.
fn groups(plan: &GatePlan) -> Vec<Vec<Role>> {
    let groups = plan.rule.stages.iter().flat_map(|stage| &stage.groups);
    groups.map(|group| group.roles.clone()).collect()
}

/// Returns the gate that would have been opened; `None` when what policy answered was erased.
fn plan(ask: &ObservedAsk) -> Option<GatePlan> {
    match (&ask.decision, ask.policy.failure) {
        (Some(decision), None) => ask.workflow.floors.plan(Some(&output::read(decision).ok()?)),
        (None, Some(_)) => ask.workflow.floors.plan(None),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// GET /v1/shadow-report
pub(crate) async fn report(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::ShadowReportQuery>,
) -> Answer<Json<wire::ShadowReport>> {
    observed(&app, &principal, query).await.map(Json)
}

/// Returns one page of what was observed, as far as a human sees it.
pub(crate) async fn observed(
    app: &App,
    principal: &Principal,
    query: wire::ShadowReportQuery,
) -> Answer<wire::ShadowReport> {
    principal.approver()?;
    let (cursor, limit) = page(query.cursor.as_deref(), query.limit)?;
    let from = query.from.map_or(UnixMillis::EPOCH, wire::text::Text::into_inner);
    let to = query.to.map_or_else(|| end(app), wire::text::Text::into_inner);
    let filter = InstanceFilter {
        teams: teams_of(principal, query.team),
        workflow: query.workflow.map(wire::text::Text::into_inner),
        ..InstanceFilter::default()
    };
    let found = app.engine().observed(principal.tenant(), (from, to), &filter, cursor, limit).await;
    let found = found.map_err(|error| match error {
        EngineError::Text { member, why } => Failure::parameter(member, why),
        error => error.into(),
    })?;
    let mut counts: BTreeMap<Like, u64> = BTreeMap::new();
    for ask in &found.asks {
        let count = counts.entry(Like::of(ask)).or_default();
        *count = count.saturating_add(1);
    }
    let rows = counts.into_iter().map(|(like, asks)| like.row(asks)).collect::<Answer<_>>()?;
    let instances = u32::try_from(found.instances).unwrap_or(u32::MAX);
    Ok(wire::ShadowReport { rows, instances, next: found.next.map(|cursor| cursor.to_string()) })
}

/// Returns an instant after everything that there is.
fn end(app: &App) -> UnixMillis {
    app.0.clock.now().plus(DurationMs::new(1))
}

/// What asks have in common that are counted together.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Like {
    hour: u64,
    workflow: gantral_core::ids::WorkflowId,
    action: Option<gantral_core::ids::Name>,
    verdict: Verdict,
    failure: Option<&'static str>,
    roles: Vec<Role>,
    reasons: Vec<String>,
}

impl Like {
    fn of(ask: &ObservedAsk) -> Self {
        let verdict = ask.policy.verdict;
        let roles = match verdict {
            Verdict::RequireHuman => plan(ask).map(|plan| plan.rule.roles()).unwrap_or_default(),
            Verdict::Allow | Verdict::Deny => Vec::new(),
        };
        let evaluation = ask.decision.as_deref().and_then(|decision| output::read(decision).ok());
        let mut reasons = evaluation.map(|evaluation| evaluation.reasons).unwrap_or_default();
        reasons.sort();
        Self {
            hour: ask.at.get() / HOUR_MS,
            workflow: ask.workflow.id.clone(),
            action: ask.action.clone(),
            verdict,
            failure: ask.policy.failure.map(|failure| failure.as_str()),
            roles,
            reasons,
        }
    }

    fn row(self, asks: u64) -> Answer<wire::ShadowRow> {
        let hour = UnixMillis::new(self.hour.saturating_mul(HOUR_MS));
        let hour = hour.map_err(|_| Failure::new(Code::Internal, "a recorded time cannot be shown"))?;
        Ok(wire::ShadowRow {
            hour: hour.into(),
            workflow_id: self.workflow.into(),
            action: self.action.map(Into::into),
            verdict: self.verdict.into(),
            failure: self.failure.map(str::to_owned),
            roles: self.roles.into_iter().map(Into::into).collect(),
            reasons: self.reasons,
            asks,
        })
    }
}
