//! The routes, as the API's table lists them, and the layers around them.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post, put};

use crate::app::App;
use crate::console;
use crate::handlers::{
    attempts, authority, bundles, calls, candidates, delegations, diffs, evidence, freezes, gates,
    governance, instances, issuers, logs, notifications, operations, orchestration, outages, passkeys,
    policies, proposals, shadow, standing, workflows,
};
use crate::limits::bounded;
use crate::observe::observed;
use crate::parameters::known_only;

/// Builds the router. A test compares it with `gantral_api::routes::ROUTES`.
pub fn router(app: App) -> Router {
    let limited = v1()
        .route("/log/{tenant}/{*object}", get(logs::object))
        .layer(from_fn_with_state(app.clone(), bounded));
    let limited = limited.merge(console::router(app.clone()).layer(from_fn_with_state(app.clone(), bounded)));
    let watched = Router::new()
        .route("/healthz", get(operations::health))
        .route("/readyz", get(operations::ready))
        .route("/metrics", get(operations::metrics));
    // Whoever watches the server gets answers while callers are refused for their number.
    limited
        .merge(watched)
        .layer(from_fn(known_only))
        .fallback(operations::nowhere)
        .method_not_allowed_fallback(operations::other_method)
        .layer(from_fn_with_state(app.clone(), observed))
        .with_state(app)
}

fn v1() -> Router<App> {
    Router::new()
        .route("/v1/openapi.json", get(operations::openapi))
        .route("/v1/login", get(issuers::logins))
        .route("/v1/keys", get(operations::keys))
        .route("/v1/me", get(operations::me))
        .route("/v1/policies", put(policies::publish).get(policies::list))
        .route("/v1/policies/{version}", get(policies::download))
        .route("/v1/policies/{version}/record", get(policies::record))
        .route("/v1/policy-diffs", post(diffs::compare))
        .route("/v1/policy-candidates", get(candidates::list).post(candidates::name))
        .route("/v1/workflows", get(workflows::list))
        .route("/v1/workflows/{id}", put(workflows::apply).get(workflows::show))
        .route("/v1/governance", get(governance::list))
        .route("/v1/bundles/tenant", get(bundles::of_tenant))
        .route("/v1/bundles/teams/{team}", get(bundles::of_team))
        .route("/v1/bundles/workflows/{workflow}", get(bundles::of_workflow))
        .route("/v1/activations", get(policies::in_force).post(policies::activate))
        .route("/v1/proposals", get(proposals::list))
        .route("/v1/proposals/{proposal_id}", get(proposals::show))
        .route("/v1/proposals/{proposal_id}/confirm", post(proposals::confirm))
        .route("/v1/proposals/{proposal_id}/withdraw", post(proposals::withdraw))
        .route("/v1/workflows/{id}/mode-lease", get(outages::mode_lease))
        .route("/v1/unobserved", get(outages::unobserved).post(outages::count))
        .route("/v1/modes", get(shadow::modes).post(shadow::set_mode))
        .route("/v1/shadow-report", get(shadow::report))
        .route("/v1/delegations", get(delegations::list).post(delegations::give))
        .route("/v1/delegations/{delegation}/revoke", post(delegations::revoke))
        .route("/v1/passkeys", get(passkeys::list).post(passkeys::request))
        .route("/v1/passkeys/draft", post(passkeys::draft))
        .route("/v1/passkeys/{entry_digest}", get(passkeys::show))
        .route("/v1/passkeys/{entry_digest}/enrol", post(passkeys::enrol))
        .route("/v1/passkeys/{entry_digest}/revoke", post(passkeys::revoke))
        .route("/v1/gates/{gate_id}/statement", post(passkeys::state))
        .route("/v1/freezes", get(freezes::list))
        .route("/v1/freeze", post(freezes::set))
        .route("/v1/issuers", get(issuers::list))
        .route("/v1/issuers/refresh", post(issuers::refresh))
        .route("/v1/dead-letters", get(notifications::dead))
        .route("/v1/dead-letters/retry", post(notifications::retry))
        .route("/v1/erasures", post(governance::erase))
        .route("/v1/journal", post(governance::journal))
        .route("/v1/calls", post(calls::ask))
        .route("/v1/calls/{id}/take", post(calls::take))
        .route("/v1/calls/{id}/heartbeat", post(calls::heartbeat))
        .route("/v1/calls/{id}/settle", post(calls::settle))
        .route("/v1/instances", post(instances::create).get(instances::list))
        .route("/v1/instances/{id}", get(instances::show))
        .route("/v1/instances/{id}/attempts", post(attempts::attach))
        .route("/v1/instances/{id}/attempts/{n}/heartbeat", post(attempts::heartbeat))
        .route("/v1/instances/{id}/attempts/{n}/end", post(attempts::end))
        .route("/v1/instances/{id}/authority", post(authority::ask))
        .route("/v1/instances/{id}/grants/{grant_id}/consume", post(authority::consume))
        .route("/v1/instances/{id}/grants/{grant_id}/outcome", post(authority::outcome))
        .route("/v1/instances/{id}/outcome", post(authority::observed_outcome))
        .route("/v1/instances/{id}/grants/{grant_id}/reconcile", post(authority::reconcile))
        .route("/v1/instances/{id}/complete", post(authority::complete))
        .route("/v1/instances/{id}/fail", post(authority::fail))
        .route("/v1/orchestration", get(orchestration::courses))
        .route("/v1/instances/{id}/look", post(orchestration::look))
        .route("/v1/instances/{id}/release", post(orchestration::release))
        .route("/v1/instances/{id}/withdraw", post(instances::withdraw))
        .route("/v1/instances/{id}/cancel", post(instances::cancel))
        .route("/v1/instances/{id}/evidence", get(evidence::export))
        .route("/v1/windows", post(evidence::window))
        .route("/v1/gates", get(gates::list))
        .route("/v1/gates/{gate_id}", get(gates::show))
        .route("/v1/gates/{gate_id}/decisions", post(gates::decide))
        .route("/v1/gates/{gate_id}/rules", post(standing::propose))
        .route("/v1/gates/{gate_id}/extend", post(gates::extend))
        .route("/v1/runner/claims", post(attempts::claim))
}
