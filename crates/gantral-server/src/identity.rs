//! From a request to a principal. No handler sees a token.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use gantral_api::problem::Code;
use gantral_core::ids::{InstanceId, TeamId};
use gantral_core::time::UnixMillis;
use gantral_identity::{AttemptBearer, Principal, PrincipalKind, TokenError, Verifier};
use gantral_listen::ClientCertificate;

use crate::app::App;
use crate::problems::{Answer, Failure};

/// The role of humans who write policies and workflows.
const DEVELOPER: &str = "DEVELOPER";
/// Headers by which a proxy says that a request came from elsewhere: a development token never passes with one.
const FORWARDED: [&str; 3] = ["forwarded", "via", "x-real-ip"];
/// What further such headers begin with.
const FORWARDED_PREFIX: &str = "x-forwarded-";

/// Whoever is asking, by a verified token.
pub(crate) struct Caller(pub Principal);

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let principal = principal(app, &parts.headers, peer_of(&parts.extensions)).await?;
        certificate_is_shown(&principal, &parts.extensions)?;
        Ok(Self(principal))
    }
}

/// Whoever is asking, where nobody needs to say who: a token that is sent must be good all the same.
pub(crate) struct MaybeCaller(pub Option<Principal>);

impl FromRequestParts<App> for MaybeCaller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Ok(Self(None));
        }
        Caller::from_request_parts(parts, app).await.map(|caller| Self(Some(caller.0)))
    }
}

async fn principal(app: &App, headers: &HeaderMap, peer: Option<SocketAddr>) -> Answer<Principal> {
    let missing = || Failure::new(Code::Unauthenticated, "a bearer token is required");
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    // Of two tokens it would be unclear who is asking.
    let (Some(value), None) = (values.next(), values.next()) else { return Err(missing()) };
    let text = value.to_str().map_err(|_| missing())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    let token = token.trim();
    // By a clock that is wrong a token would be good for too long.
    app.now()?;
    let principal = with_current_keys(app, token, |verifier, now| verifier.verify(token, now)).await?;
    development_is_near(&principal, headers, peer)?;
    Ok(principal)
}

/// Refuses a machine of an identity provider over a connection that has shown no certificate, where clients are asked for one. An attempt goes without: its
/// token lives for minutes, is good for this attempt alone, and was given to a machine that has shown one.
fn certificate_is_shown(principal: &Principal, extensions: &Extensions) -> Answer<()> {
    let machine = principal.kind() != PrincipalKind::Human && principal.attempt().is_none();
    if machine && extensions.get() == Some(&ClientCertificate::Absent) {
        let detail = "machines have to show a certificate, and this connection has shown none";
        return Err(Failure::new(Code::CertificateRequired, detail));
    }
    Ok(())
}

/// Returns who is at the other end of the connection.
pub(crate) fn peer_of(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)
}

/// Refuses a development identity that comes from another machine, or through anything that could hide that it does.
pub(crate) fn development_is_near(
    principal: &Principal,
    headers: &HeaderMap,
    peer: Option<SocketAddr>,
) -> Answer<()> {
    if !principal.is_development() {
        return Ok(());
    }
    let peer =
        peer.ok_or_else(|| Failure::new(Code::Unauthenticated, "nobody knows where this comes from"))?;
    principal.allowed_from(&peer)?;
    let forwarded = |name: &str| FORWARDED.contains(&name) || name.starts_with(FORWARDED_PREFIX);
    if headers.keys().any(|name| forwarded(name.as_str())) {
        return Err(Failure::new(Code::TokenRejected, "development tokens are not good through a proxy"));
    }
    Ok(())
}

/// Verifies a token; where its key is not known, its issuer is asked for newer ones, and it is verified once more.
pub(crate) async fn with_current_keys<T>(
    app: &App,
    token: &str,
    verify: impl Fn(&Verifier, UnixMillis) -> Result<T, TokenError>,
) -> Result<T, TokenError> {
    let shared = &app.0;
    match verify(&shared.verifier, shared.clock.now()) {
        Err(TokenError::UnknownKey | TokenError::KeysUnavailable) => {
            shared.providers.ask_for(&shared.verifier, token).await;
            verify(&shared.verifier, shared.clock.now())
        }
        verified => verified,
    }
}

/// Returns the bearer of the attempt of this very instance.
pub(crate) fn bearer_of(principal: &Principal, instance: InstanceId) -> Answer<AttemptBearer> {
    let bearer = principal.attempt_bearer()?;
    if bearer.scope().instance == instance { Ok(bearer) } else { Err(Failure::not_found("the instance")) }
}

/// Refuses whoever may not write policies and workflows: humans who develop or administer may.
pub(crate) fn governs(principal: &Principal) -> Answer<()> {
    principal.approver()?;
    let develops = principal.roles().iter().any(|role| role.as_str() == DEVELOPER);
    if develops || principal.administrator().is_ok() {
        return Ok(());
    }
    Err(Failure::new(Code::Forbidden, "this needs the role `DEVELOPER`, or one that administers"))
}

/// Tells whether a principal may see what a team owns: its members and the tenant's administrators may.
pub(crate) fn sees_team(principal: &Principal, team: &TeamId) -> bool {
    principal.teams().contains(team) || principal.administrator().is_ok()
}
