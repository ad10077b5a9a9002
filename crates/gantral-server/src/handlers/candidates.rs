//! Policies that are evaluated beside those in force: which they are, and what they made of the asks.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use gantral_api::problem::Code;
use gantral_api::wire;
use gantral_core::time::DurationMs;
use gantral_engine::EngineError;
use gantral_evidence::governance::Scope;
use gantral_identity::Principal;
use gantral_store::{CANDIDATES_MAX, CandidateOutcome, CandidateScope, PolicyCandidate};

use super::policies::{owned, scope_view};
use crate::app::App;
use crate::candidates::Named;
use crate::command::Write;
use crate::identity::{Caller, governs};
use crate::problems::{Answer, Failure};

/// The shortest span that a forecast of pages is made from: what came in a minute says nothing of a day.
const FORECAST_FROM: DurationMs = DurationMs::from_secs(3_600);

/// GET /v1/policy-candidates
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
) -> Answer<Json<wire::PolicyCandidates>> {
    governs(&principal)?;
    let named = app.0.candidates.named(&app).await.map_err(EngineError::from)?;
    shown(&app, &principal, named).await
}

/// POST /v1/policy-candidates
pub(crate) async fn name(
    State(app): State<App>,
    write: Write<wire::NameCandidate>,
) -> Answer<Json<wire::PolicyCandidates>> {
    governs(&write.principal)?;
    let (engine, tenant) = (app.engine(), write.principal.tenant());
    let scope = owned(&app, &write.principal, write.body.scope.clone()).await?;
    let kept = kept(&scope);
    let named = match write.body.policy_version_id {
        None => {
            let clear = engine.store().clear_policy_candidate(tenant, &kept);
            app.0.candidates.change(&app, clear).await.map_err(EngineError::from)?.1
        }
        Some(version) => {
            let version = version.into_inner();
            engine.may_be_in_force(tenant, version).await?;
            let in_force = engine.policies_in_force(tenant).await?;
            if in_force.iter().any(|policy| policy.scope == scope && policy.version == version) {
                return Err(Failure::member("policy_version_id", "is in force in this scope already"));
            }
            let candidate =
                PolicyCandidate { tenant: tenant.clone(), scope: kept, version, set_at: write.call.now };
            let set = engine.store().set_policy_candidate(candidate);
            let (outcome, named) = app.0.candidates.change(&app, set).await.map_err(EngineError::from)?;
            match outcome {
                CandidateOutcome::Set | CandidateOutcome::Same => named,
                CandidateOutcome::Full => {
                    let detail = format!("the tenant has {CANDIDATES_MAX} candidates already");
                    return Err(Failure::new(Code::CandidatesFull, detail));
                }
            }
        }
    };
    shown(&app, &write.principal, named).await
}

fn kept(scope: &Scope) -> CandidateScope {
    match scope {
        Scope::Tenant => CandidateScope::Tenant,
        Scope::Team(team) => CandidateScope::Team(team.clone()),
        Scope::Workflow(workflow) => CandidateScope::Workflow(workflow.clone()),
    }
}

/// Returns those of the scopes that are the caller's.
async fn shown(
    app: &App,
    principal: &Principal,
    named: Vec<Arc<Named>>,
) -> Answer<Json<wire::PolicyCandidates>> {
    let mut items = Vec::new();
    for one in named.iter().filter(|one| one.counting.candidate.tenant == *principal.tenant()) {
        match owned(app, principal, scope_view(one.counting.scope.clone())).await {
            Ok(_) => items.push(view(app, one)),
            Err(Failure(problem)) if matches!(problem.code(), Code::Forbidden | Code::WorkflowUnknown) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(Json(wire::PolicyCandidates { items }))
}

fn view(app: &App, named: &Named) -> wire::PolicyCandidate {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let counting = &named.counting;
    let (candidate, tally) = (&counting.candidate, counting.tally());
    wire::PolicyCandidate {
        scope: scope_view(counting.scope.clone()),
        policy_version_id: candidate.version.into(),
        set_at: candidate.set_at.into(),
        counted_from: counting.from.into(),
        evaluated: wide(tally.gates()),
        waiting: wide(named.waiting()),
        dropped: counting.dropped(),
        left_out: tally.left_out(),
        transitions: tally.transitions(),
        failures: tally.failures(),
        pages: tally.pages(app.0.clock.now().since(counting.from).max(FORECAST_FROM)),
    }
}
