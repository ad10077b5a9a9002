//! Where others ask: Envoy over gRPC and HTTP, proxies that forward a request to be judged, and whoever reports what came of it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body as HttpBody, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use gantral_core::ids::{GrantId, InstanceId};
use gantral_listen::ServeLimits;
use tokio::sync::watch;

use super::envoy::{self, GRANT, INSTANCE, Told, allows, refuses, whole};
use super::grpc::{self, MESSAGE_BYTES_MAX, Status};
use super::{About, Authorizer, Came, Pass, access};
use crate::ask::ask;
use crate::choice::Choice;
use crate::proxy::{ClientHeader, Door, same, session};
use crate::reply::Problem;
use crate::request::{BadRequest, Head};
use crate::rules::{Rules, Treatment};

/// What connections are granted.
const LIMITS: ServeLimits = ServeLimits {
    connections_max: Some(1024),
    headers_within: Duration::from_secs(60),
    drain: Duration::from_secs(5),
};
/// How long a message may take to come whole.
const MESSAGE_WITHIN: Duration = Duration::from_secs(30);
/// What stands before the path of a request that Envoy asks about over HTTP.
const CHECK: &str = "/ext_authz";
/// Where proxies ask that send the request's method and target in headers.
const FORWARDED: &str = "/forward_auth";
const OUTCOME: &str = "/gantral/outcome";
const GRPC_CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const GRPC_LOGS: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
/// The token of whoever asks: `Authorization` is the client's.
const TOKEN: HeaderName = HeaderName::from_static("gantral-token");
/// What came of a request, for `/gantral/outcome`.
const STATUS: HeaderName = HeaderName::from_static("gantral-status");
/// Tells Envoy which headers of the client do not go on.
const REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");
/// Where proxies put the method and the target, in the order in which they are looked for.
const METHODS: [&str; 2] = ["x-forwarded-method", "x-original-method"];
const TARGETS: [&str; 2] = ["x-forwarded-uri", "x-original-uri"];

/// What is done with questions.
#[derive(Debug)]
pub struct ChecksConfig {
    /// Which requests are asked for.
    pub rules: Rules,
    /// What policy is told of them.
    pub choice: Choice,
    /// The token that each question must carry as `Gantral-Token`, if any.
    pub token: Option<String>,
    /// The header that tells clients apart; `Authorization` and `Cookie` where none is named.
    pub client_header: Option<ClientHeader>,
    /// What the service is called in actions; the host of each request where there is no name.
    pub service: Option<String>,
    /// Whether Envoy is configured to send whole bodies.
    pub bodies: bool,
}

struct App {
    authorizer: Arc<Authorizer>,
    config: ChecksConfig,
}

/// Answers questions until `stop` turns true.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    authorizer: Arc<Authorizer>,
    config: ChecksConfig,
    door: Door,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let app = Arc::new(App { authorizer, config });
    let router = Router::new().fallback(answer).with_state(app);
    gantral_listen::serve(router, door.into_listening(), LIMITS, stop).await
}

async fn answer(State(app): State<Arc<App>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let grpc = matches!(path.as_str(), GRPC_CHECK | GRPC_LOGS);
    if !app.admits(request.headers()) {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", "the token is missing");
        return if grpc { grpc::answer(Status::Unauthenticated, None) } else { problem.into_response() };
    }
    match path.as_str() {
        GRPC_CHECK => app.grpc_check(request).await,
        GRPC_LOGS => app.grpc_logs(request).await,
        FORWARDED => app.over_http(forwarded(request.headers())).await,
        access::ONE | access::MANY if request.method() == Method::POST => {
            access::answer(&app.authorizer, request).await
        }
        OUTCOME if request.method() == Method::POST => app.outcome(request.headers()).await,
        _ if path.strip_prefix(CHECK).is_some_and(|rest| rest.starts_with('/')) => {
            let told = app.envoys(request).await;
            app.over_http(told).await
        }
        _ => Problem::new(StatusCode::NOT_FOUND, "not_found", "nobody asks here").into_response(),
    }
}

impl App {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.config.token else { return true };
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let given = headers.get(TOKEN).map(HeaderValue::as_bytes).or(bearer);
        given.is_some_and(|given| same(given, token.as_bytes()))
    }

    async fn grpc_check(&self, request: Request) -> Response {
        let read =
            tokio::time::timeout(MESSAGE_WITHIN, to_bytes(request.into_body(), MESSAGE_BYTES_MAX)).await;
        let Ok(Ok(bytes)) = read else { return grpc::answer(Status::ResourceExhausted, None) };
        let mut bytes = bytes.to_vec();
        let message = match grpc::next(&mut bytes) {
            Ok(Some(message)) if bytes.is_empty() => message,
            Ok(_) => return grpc::answer(Status::InvalidArgument, None),
            Err(status) => return grpc::answer(status, None),
        };
        let told = envoy::read(&message, self.config.bodies).map_err(Problem::from);
        let judged = match told {
            Ok(told) => self.judge(told).await,
            Err(problem) => Err(problem),
        };
        let message = match judged {
            Ok(pass) => allows(pass),
            Err(problem) => refuses(&problem),
        };
        grpc::answer(Status::Ok, Some(message))
    }

    /// Takes what came of requests from an access log, for as long as Envoy sends.
    async fn grpc_logs(&self, request: Request) -> Response {
        let mut stream = request.into_body().into_data_stream();
        let mut bytes = Vec::new();
        while let Some(Ok(chunk)) = stream.next().await {
            bytes.extend_from_slice(&chunk);
            loop {
                match grpc::next(&mut bytes) {
                    Ok(Some(message)) => {
                        let Some(came) = envoy::came(&message) else {
                            tracing::warn!("an access log says nothing that can be read");
                            return grpc::answer(Status::InvalidArgument, None);
                        };
                        came.into_iter().for_each(|(pass, came)| self.authorizer.came_later(pass, came));
                    }
                    Ok(None) => break,
                    Err(status) => return grpc::answer(status, None),
                }
            }
        }
        grpc::answer(Status::Ok, Some(Vec::new()))
    }

    /// Reads the request that Envoy asks about over HTTP: its own, with something before the path.
    async fn envoys(&self, request: Request) -> Result<Told, Problem> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().strip_prefix(CHECK).unwrap_or_default();
        let head = Head::of(&parts.method, path, parts.uri.query(), &parts.headers)?;
        // What a client says in `X-Forwarded-Host` is not what Envoy routes by.
        let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = named.or_else(|| parts.uri.authority().map(axum::http::uri::Authority::as_str));
        let host = host.unwrap_or_default().to_owned();
        let body = if self.config.bodies { Some(whole(&parts.headers, read(body).await?)?) } else { None };
        Ok(Told { head, body, host })
    }

    async fn over_http(&self, told: Result<Told, Problem>) -> Response {
        let judged = match told {
            Ok(told) => self.judge(told).await,
            Err(problem) => Err(problem),
        };
        match judged {
            Ok(pass) => permission(pass),
            Err(problem) => problem.into_response(),
        }
    }

    /// Judges a request; `None` if it passes by a rule.
    async fn judge(&self, told: Told) -> Result<Option<Pass>, Problem> {
        let Told { head, body, host } = told;
        let treated = self.config.rules.treat(&head.method, &head.path);
        match treated.treatment {
            Treatment::Pass => Ok(None),
            Treatment::Refuse => {
                let detail = "a rule refuses the request";
                Err(Problem::new(StatusCode::FORBIDDEN, "refused_by_rule", detail))
            }
            Treatment::Ask => {
                let named = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_[]".contains(&byte);
                let host = host.to_ascii_lowercase();
                let service = self.config.service.as_deref().unwrap_or(&host);
                if service.is_empty() || !service.bytes().all(named) {
                    return Err(BadRequest::Target.into());
                }
                let asked = ask(service, &head, &treated, &self.config.choice, body.as_ref())?;
                let named = self.config.client_header.as_ref();
                let session = session(self.authorizer.spool(), named, &head.headers)?;
                let wanted = asked.wanted.clone();
                let same = |action: &gantral_api::wire::Action| asked.is_same(action);
                self.authorizer.authorise(About::Request, wanted, session, same).await.map(Some)
            }
        }
    }

    async fn outcome(&self, headers: &HeaderMap) -> Response {
        let Some((pass, came)) = reported(headers) else {
            let detail =
                "`Gantral-Instance`, `Gantral-Grant` and `Gantral-Status` say of what, and what came of it";
            return Problem::new(StatusCode::BAD_REQUEST, "outcome_unreadable", detail).into_response();
        };
        match self.authorizer.came(pass, came).await {
            Ok(()) => StatusCode::NO_CONTENT.into_response(),
            Err(error) if error.is_refusal() => {
                let detail = "no such outcome is owed";
                Problem::new(StatusCode::CONFLICT, "outcome_not_owed", detail).into_response()
            }
            Err(error) => Problem::unasked(&error).into_response(),
        }
    }
}

pub(super) async fn read(body: HttpBody) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(MESSAGE_WITHIN, to_bytes(body, MESSAGE_BYTES_MAX)).await;
    let failed =
        || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is too large, or late");
    read.map_err(|_| failed())?.map_err(|_| failed())
}

/// Reads a request that another proxy tells of by headers. Of the body it says nothing.
fn forwarded(headers: &HeaderMap) -> Result<Told, Problem> {
    let method = said(headers, METHODS)?;
    let target = said(headers, TARGETS)?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| BadRequest::Method)?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut own = headers.clone();
    // These are of the question.
    for name in ["content-length", "transfer-encoding"] {
        own.remove(name);
    }
    let head = Head::of(&method, path, query, &own)?;
    let named = headers.get("x-forwarded-host").or_else(|| headers.get(HOST));
    let host = named.and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    Ok(Told { head, body: None, host })
}

/// Returns what one of these headers says; two that differ say nothing.
fn said<'a, const N: usize>(headers: &'a HeaderMap, names: [&str; N]) -> Result<&'a str, Problem> {
    let mut values = names.iter().flat_map(|name| headers.get_all(*name));
    let first = values.next().ok_or_else(|| {
        let detail = format!("`{}` must say what is asked about", names.join("` or `"));
        Problem::new(StatusCode::BAD_REQUEST, "target_refused", detail)
    })?;
    if values.any(|other| other != first) {
        return Err(BadRequest::Header.into());
    }
    first.to_str().map_err(|_| BadRequest::Header.into())
}

fn permission(pass: Option<Pass>) -> Response {
    let mut headers = HeaderMap::new();
    match pass {
        Some(pass) => {
            let grant = pass.grant.map(|grant| (GRANT, grant.to_string()));
            for (name, value) in [(INSTANCE, pass.instance.to_string())].into_iter().chain(grant) {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    headers.insert(HeaderName::from_static(name), value);
                }
            }
        }
        None => drop(headers.insert(REMOVE, HeaderValue::from_static("gantral-instance, gantral-grant"))),
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    (StatusCode::OK, headers).into_response()
}

/// Reads a report.
fn reported(headers: &HeaderMap) -> Option<(Pass, Came)> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let instance = InstanceId::parse(text(INSTANCE)?).ok()?;
    let grant = text(GRANT).filter(|grant| !grant.is_empty()).map(GrantId::parse).transpose().ok()?;
    let came = match text(STATUS.as_str())? {
        "succeeded" => Came::Done(true),
        "failed" => Came::Done(false),
        status => Came::Answered(StatusCode::from_bytes(status.as_bytes()).ok()?),
    };
    Some((Pass { instance, grant }, came))
}
