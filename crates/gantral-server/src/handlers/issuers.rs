//! Identity providers: how people log in, for anybody, and their keys, for administrators.

use axum::Json;
use axum::extract::State;
use gantral_api::wire;
use gantral_identity::{LoginConfig, LoginToken};
use gantral_oidc::{ProviderStatus, Refreshed};

use crate::app::App;
use crate::command::Write;
use crate::identity::Caller;
use crate::problems::Answer;

/// GET /v1/login
pub(crate) async fn logins(State(app): State<App>) -> Json<wire::Logins> {
    let view = |(issuer, login): (String, LoginConfig)| wire::LoginView {
        issuer,
        client_id: login.client,
        scopes: login.scopes,
        audience: login.audience,
        resource: login.resource,
        prompt: login.prompt,
        token: match login.token {
            LoginToken::Access => wire::LoginToken::Access,
            LoginToken::Id => wire::LoginToken::Id,
        },
    };
    Json(wire::Logins { items: app.0.verifier.logins().into_iter().map(view).collect() })
}

/// GET /v1/issuers
pub(crate) async fn list(State(app): State<App>, Caller(principal): Caller) -> Answer<Json<wire::Issuers>> {
    principal.administrator()?;
    let view = |status: ProviderStatus| wire::IssuerView {
        issuer: status.issuer,
        keys_age_seconds: status.age.map(|age| age.as_secs()),
        failures: status.failures,
    };
    Ok(Json(wire::Issuers { items: app.0.providers.statuses().into_iter().map(view).collect() }))
}

/// POST /v1/issuers/refresh
pub(crate) async fn refresh(
    State(app): State<App>,
    write: Write<wire::Empty>,
) -> Answer<Json<wire::RefreshedIssuers>> {
    write.principal.administrator()?;
    let refreshed = app.0.providers.refresh(&app.0.verifier).await;
    let view = |Refreshed { issuer, outcome }| wire::RefreshedIssuer {
        issuer,
        changed: matches!(outcome, Ok(true)),
        failure: outcome.err().map(|error| error.to_string()),
    };
    Ok(Json(wire::RefreshedIssuers { items: refreshed.into_iter().map(view).collect() }))
}
