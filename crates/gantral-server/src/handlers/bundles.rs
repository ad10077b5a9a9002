//! The bundle that is in force, for an OPA that keeps itself up to date (OPA's bundle service).

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use gantral_api::problem::Code;
use gantral_api::wire::{WAIT_SECONDS_MAX, text};
use gantral_core::ids::TenantId;
use gantral_core::policy::PolicyVersionId;
use gantral_engine::EngineError;
use gantral_evidence::governance::Scope;
use gantral_identity::Principal;
use tokio::time::Instant;

use super::Path;
use crate::app::App;
use crate::identity::Caller;
use crate::problems::{Answer, Failure};

/// What says to OPA that it may wait for the next version (OPA's bundle service, long polling).
const LONG_POLLING: &str = "application/vnd.openpolicyagent.bundles";
/// How often the chain is looked at while somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// GET /v1/bundles/tenant
pub(crate) async fn of_tenant(
    State(app): State<App>,
    Caller(principal): Caller,
    headers: HeaderMap,
) -> Answer<Response> {
    serve(&app, &principal, &Scope::Tenant, &headers).await
}

/// GET /v1/bundles/teams/{team}
pub(crate) async fn of_team(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(team): Path<text::TeamId>,
    headers: HeaderMap,
) -> Answer<Response> {
    serve(&app, &principal, &Scope::Team(team.0), &headers).await
}

/// GET /v1/bundles/workflows/{workflow}
pub(crate) async fn of_workflow(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(workflow): Path<text::WorkflowId>,
    headers: HeaderMap,
) -> Answer<Response> {
    serve(&app, &principal, &Scope::Workflow(workflow.0), &headers).await
}

/// Answers with the bundle in force; `304` while it is the one that the caller has, waiting as long as it asks.
async fn serve(app: &App, principal: &Principal, scope: &Scope, headers: &HeaderMap) -> Answer<Response> {
    let tenant = principal.tenant();
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
    let until = Instant::now() + patience(headers);
    let mut place = None;
    loop {
        let version = app.engine().policy_for(tenant, scope).await?;
        let tag = format!("\"{}\"", version.0.to_hex());
        if known != Some(&tag) {
            return Ok((StatusCode::OK, named(&tag)?, bundle(app, tenant, version).await?).into_response());
        }
        if Instant::now() >= until {
            return Ok((StatusCode::NOT_MODIFIED, named(&tag)?, Body::empty()).into_response());
        }
        if place.is_none() {
            place = Some(app.0.limits.wait()?);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Returns how long the caller wants to wait for another version: `Prefer: …;wait=60` (RFC 7240 §4.3), at most [`WAIT_SECONDS_MAX`].
fn patience(headers: &HeaderMap) -> Duration {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut words = preferences.flat_map(|value| value.split([',', ';'])).map(str::trim);
    let wait = words.find_map(|word| word.strip_prefix("wait=")?.parse().ok()).unwrap_or(0);
    Duration::from_secs(wait.min(WAIT_SECONDS_MAX))
}

fn named(tag: &str) -> Answer<[(header::HeaderName, HeaderValue); 2]> {
    let tag = HeaderValue::from_str(tag)
        .map_err(|_| Failure::new(Code::Internal, "a policy version is no entity tag"))?;
    Ok([(header::ETAG, tag), (header::CONTENT_TYPE, HeaderValue::from_static(LONG_POLLING))])
}

async fn bundle(app: &App, tenant: &TenantId, version: PolicyVersionId) -> Answer<Vec<u8>> {
    let found = app.engine().store().policy_archive(tenant, version).await.map_err(EngineError::from)?;
    let found =
        found.ok_or_else(|| Failure::new(Code::PolicyUnknown, "the policy version is not known here"))?;
    // Every answer of an OPA that had it would count as one of another version.
    if found.signature.is_some_and(|signature| !signature.pinned) {
        return Err(EngineError::PolicyUnpinned.into());
    }
    Ok(found.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_read_from_the_preferences_and_bounded() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", HeaderValue::from_str(value).unwrap());
            }
            patience(&headers).as_secs()
        };
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&["modes=snapshot,delta;wait=30"]), 30);
        assert_eq!(of(&["modes=snapshot,delta", "wait=7"]), 7);
        assert_eq!(of(&["wait=9999999"]), WAIT_SECONDS_MAX);
        assert_eq!(of(&["wait=soon"]), 0);
    }
}
