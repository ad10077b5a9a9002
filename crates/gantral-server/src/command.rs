//! A write as it comes in: who, under which idempotency key, with which body.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request};
use axum::http::{HeaderMap, header};
use gantral_api::problem::Code;
use gantral_api::wire::{BODY_BYTES_MAX, IDEMPOTENCY_KEY, IdempotencyKey, read_body};
use gantral_core::digest::{Digest, Hasher};
use gantral_core::event::Actor;
use gantral_core::ids::{ActorId, AttemptNo};
use gantral_engine::{Call, Fresh, RequestKey};
use gantral_identity::{Principal, PrincipalKind};
use gantral_store::IdempotencyScope;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::clock::seed;
use crate::identity::Caller;
use crate::problems::{Answer, Failure};
use crate::rates::NEVER_REFUSED;

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A write with a JSON body.
pub(crate) struct Write<T> {
    pub principal: Principal,
    pub call: Call,
    pub body: T,
}

impl<T: DeserializeOwned> FromRequest<App> for Write<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let raw = RawWrite::read(request, app, "application/json", BODY_BYTES_MAX).await?;
        let body = read_body(&raw.body).map_err(gantral_api::problem::Problem::from)?;
        Ok(Self { principal: raw.principal, call: raw.call, body })
    }
}

/// A write whose body is bytes of another kind.
pub(crate) struct RawWrite {
    pub principal: Principal,
    pub call: Call,
    pub body: axum::body::Bytes,
}

impl RawWrite {
    /// Authenticates first: nobody unknown makes the server read a body.
    pub(crate) async fn read(
        request: Request,
        app: &App,
        media_type: &str,
        bytes_max: usize,
    ) -> Answer<Self> {
        let (mut parts, body) = request.into_parts();
        let Caller(principal) = Caller::from_request_parts(&mut parts, app).await?;
        app.may_write()?;
        paced(app, &principal, parts.extensions.get::<MatchedPath>())?;
        let key = idempotency_key(&parts.headers)?;
        media_type_is(&parts.headers, media_type)?;
        let body = bounded(body, bytes_max).await?;
        let route = format!("{} {}", parts.method, parts.uri.path());
        let call = keyed(app, &principal, route, &key, &body)?;
        Ok(Self { principal, call, body })
    }
}

/// Refuses a command that comes too fast after the others of its tenant. A form of the console has no route, and is counted always.
pub(crate) fn paced(app: &App, principal: &Principal, route: Option<&MatchedPath>) -> Answer<()> {
    let ends = route.is_some_and(|route| NEVER_REFUSED.contains(&route.as_str()));
    let person = principal.kind() == PrincipalKind::Human;
    if ends || app.0.rates.takes(principal.tenant(), person) {
        return Ok(());
    }
    app.0.metrics.too_fast(principal.tenant());
    Err(Failure::new(
        Code::RateExceeded,
        "the tenant sends more commands in a second than this server takes of it",
    ))
}

/// Returns a call of a principal at this instant, under an idempotency key of a route; `body` is what makes two requests the same.
pub(crate) fn keyed(
    app: &App,
    principal: &Principal,
    route: String,
    key: &IdempotencyKey,
    body: &[u8],
) -> Answer<Call> {
    call(app, Some(request_key(principal, route, key, body)))
}

/// Returns a call at this instant, with fresh randomness.
pub(crate) fn call(app: &App, key: Option<RequestKey>) -> Answer<Call> {
    Ok(Call { now: app.now()?, fresh: Fresh::new(seed()?), key })
}

/// Returns who acts by a call, as it is sealed.
pub(crate) async fn acting(app: &App, call: &mut Call, principal: &Principal) -> Answer<Actor> {
    Ok(app.engine().actor(call, principal, None).await?)
}

/// Returns who a principal is, as it is sealed, where nothing is done but looked at.
pub(crate) async fn asking(app: &App, principal: &Principal) -> Answer<Actor> {
    acting(app, &mut call(app, None)?, principal).await
}

async fn bounded(body: Body, bytes_max: usize) -> Answer<axum::body::Bytes> {
    let late = |_| Failure::new(Code::InvalidBody, format!("the body did not arrive within {BODY_WITHIN:?}"));
    let read = tokio::time::timeout(BODY_WITHIN, to_bytes(body, bytes_max)).await.map_err(late)?;
    read.map_err(|_| {
        Failure::new(Code::BodyTooLarge, format!("the body was cut off or has more than {bytes_max} bytes"))
    })
}

/// Compares the media type, whatever its parameters say.
fn media_type_is(headers: &HeaderMap, expected: &str) -> Answer<()> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let found = value.split(';').next().unwrap_or_default().trim();
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Failure::new(Code::UnsupportedMediaType, format!("the route takes `{expected}`")))
}

fn idempotency_key(headers: &HeaderMap) -> Answer<IdempotencyKey> {
    let missing = || Failure::new(Code::IdempotencyKeyMissing, "the header `Idempotency-Key` is required");
    let value = headers.get(IDEMPOTENCY_KEY).ok_or_else(missing)?;
    let text = value.to_str().map_err(|_| missing())?;
    IdempotencyKey::parse(text).map_err(|error| Failure::parameter(IDEMPOTENCY_KEY, error.to_string()))
}

/// A key is one principal's, one attempt's and one route's.
fn request_key(principal: &Principal, route: String, key: &IdempotencyKey, body: &[u8]) -> RequestKey {
    let who = Hasher::new("gantral/principal/v1")
        .text(principal.issuer())
        .text(principal.subject())
        .bytes(principal.client().as_str().as_bytes())
        .finish();
    // The hexadecimal text of a digest is always an identifier.
    let principal_id = ActorId::parse(&who.to_hex()).unwrap_or_else(|_| principal.client().clone());
    let attempt = principal.attempt().map_or(AttemptNo::NONE, |scope| scope.attempt);
    let scope = IdempotencyScope { principal: principal_id, attempt, route, key: key.as_str().to_owned() };
    RequestKey { scope, body: Digest::of(body) }
}
