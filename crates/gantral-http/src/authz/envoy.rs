//! What Envoy says and wants to hear: the messages of its external authorization and of its access log, as far as they concern us.
//! Source: envoy.service.auth.v3, envoy.service.accesslog.v3 and envoy.data.accesslog.v3; the numbers of the fields are theirs.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use gantral_core::ids::{GrantId, InstanceId};
use prost::Message;
use sha2::{Digest as _, Sha256};

use super::{Came, Pass};
use crate::answer::hex;
use crate::ask::{Body, Kept};
use crate::reply::Problem;
use crate::request::{BadRequest, Head};

/// Names the call to the service behind, and to whoever reports.
pub const INSTANCE: &str = "gantral-instance";
/// Names the grant likewise.
pub const GRANT: &str = "gantral-grant";
/// Envoy says with it whether a body is whole.
pub const PARTIAL: HeaderName = HeaderName::from_static("x-envoy-auth-partial-body");
/// Statuses of gRPC, as Envoy wants to hear them.
const PERMISSION_DENIED: i32 = 7;
const UNAVAILABLE: i32 = 14;
/// What Envoy calls an answer that came from the service.
const FROM_SERVICE: &str = "via_upstream";

/// `envoy.service.auth.v3.CheckRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, Message)]
struct Attributes {
    #[prost(message, optional, tag = "4")]
    request: Option<Request>,
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpRequest {
    #[prost(string, tag = "2")]
    method: String,
    #[prost(map = "string, string", tag = "3")]
    headers: HashMap<String, String>,
    #[prost(string, tag = "4")]
    path: String,
    #[prost(string, tag = "5")]
    host: String,
    #[prost(string, tag = "11")]
    body: String,
    #[prost(bytes = "vec", tag = "12")]
    raw_body: Vec<u8>,
    #[prost(message, optional, tag = "13")]
    header_map: Option<RawHeaders>,
}

#[derive(Clone, PartialEq, Message)]
struct RawHeaders {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<HeaderEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderEntry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(bytes = "vec", tag = "3")]
    raw_value: Vec<u8>,
}

/// `envoy.service.auth.v3.CheckResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<RpcStatus>,
    #[prost(message, optional, tag = "2")]
    denied: Option<Denied>,
    #[prost(message, optional, tag = "3")]
    ok: Option<Allowed>,
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Denied {
    #[prost(message, optional, tag = "1")]
    status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, tag = "3")]
    body: String,
}

#[derive(Clone, PartialEq, Message)]
struct HttpStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Allowed {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, repeated, tag = "5")]
    headers_to_remove: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderOption {
    #[prost(message, optional, tag = "1")]
    header: Option<HeaderEntry>,
    /// 2: in place of what is there.
    #[prost(int32, tag = "3")]
    append_action: i32,
}

/// `envoy.service.accesslog.v3.StreamAccessLogsMessage`.
#[derive(Clone, PartialEq, Message)]
pub struct AccessLogs {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpEntries>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpEntries {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<HttpEntry>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpEntry {
    #[prost(message, optional, tag = "1")]
    common: Option<Common>,
    #[prost(message, optional, tag = "3")]
    request: Option<LoggedRequest>,
    #[prost(message, optional, tag = "4")]
    response: Option<LoggedResponse>,
}

#[derive(Clone, PartialEq, Message)]
struct Common {
    #[prost(message, optional, tag = "16")]
    flags: Option<Flags>,
    #[prost(uint32, tag = "24")]
    attempts: u32,
    #[prost(bool, tag = "27")]
    intermediate: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Flags {
    #[prost(bool, tag = "2")]
    no_healthy_upstream: bool,
    #[prost(bool, tag = "6")]
    connection_failure: bool,
    #[prost(bool, tag = "9")]
    no_route: bool,
    #[prost(bool, tag = "25")]
    no_cluster: bool,
}

#[derive(Clone, PartialEq, Message)]
struct LoggedRequest {
    #[prost(map = "string, string", tag = "13")]
    headers: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct LoggedResponse {
    #[prost(message, optional, tag = "1")]
    code: Option<Number>,
    #[prost(string, tag = "6")]
    details: String,
}

#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(uint32, tag = "1")]
    value: u32,
}

/// A request that somebody else received.
#[derive(Debug)]
pub struct Told {
    /// Its head.
    pub head: Head,
    /// Its body; none if it is not known.
    pub body: Option<Body>,
    /// The host that it was sent to.
    pub host: String,
}

/// Reads a check. Bodies count only where `bodies` says that Envoy is configured to send them whole.
///
/// # Errors
/// [`BadRequest`]: the request may not go on.
pub fn read(bytes: &[u8], bodies: bool) -> Result<Told, BadRequest> {
    let check = CheckRequest::decode(bytes).map_err(|_| BadRequest::Target)?;
    let http = check.attributes.and_then(|attributes| attributes.request).and_then(|request| request.http);
    let http = http.ok_or(BadRequest::Target)?;
    let headers = headers(&http)?;
    let method = Method::from_bytes(http.method.as_bytes()).map_err(|_| BadRequest::Method)?;
    let (path, query) = match http.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (http.path.as_str(), None),
    };
    let head = Head::of(&method, path, query, &headers)?;
    let body = if bodies {
        let bytes = if http.raw_body.is_empty() { http.body.into_bytes() } else { http.raw_body };
        Some(whole(&headers, bytes.into())?)
    } else {
        None
    };
    Ok(Told { head, body, host: http.host })
}

fn headers(http: &HttpRequest) -> Result<HeaderMap, BadRequest> {
    let mut found = HeaderMap::new();
    let mut add = |name: &str, value: &[u8]| {
        // Those of the second version of the protocol are told otherwise.
        if name.starts_with(':') {
            return Ok(());
        }
        let parsed = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value));
        let (Ok(name), Ok(value)) = parsed else { return Err(BadRequest::Header) };
        found.append(name, value);
        Ok(())
    };
    for (name, value) in &http.headers {
        add(name, value.as_bytes())?;
    }
    for entry in http.header_map.iter().flat_map(|map| &map.headers) {
        let value = if entry.raw_value.is_empty() { entry.value.as_bytes() } else { &entry.raw_value };
        add(&entry.key, value)?;
    }
    Ok(found)
}

/// Returns a body that is whole.
///
/// # Errors
/// `Framing`, if it is a part, or nobody says that it is not.
pub fn whole(headers: &HeaderMap, bytes: Bytes) -> Result<Body, BadRequest> {
    let mut said = headers.get_all(&PARTIAL).iter();
    let length = headers.get("content-length").and_then(|length| length.to_str().ok());
    let as_said = length.is_none_or(|length| length.parse() == Ok(bytes.len()));
    match (said.next(), said.next()) {
        (Some(value), None) if value == "false" && as_said => {
            let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            Ok(Body { sha256: hex(&Sha256::digest(&bytes)), size, kept: Kept::Memory(bytes) })
        }
        // What has no body is not said to be whole.
        (None, None) if bytes.is_empty() && length.is_none_or(|length| length == "0") => {
            Ok(Body { sha256: hex(&Sha256::digest([])), size: 0, kept: Kept::Memory(bytes) })
        }
        _ => Err(BadRequest::Framing),
    }
}

/// Returns the message that lets a request go on; without a call it passes by a rule.
pub fn allows(pass: Option<Pass>) -> Vec<u8> {
    let named = pass.map(|pass| {
        let grant = pass.grant.map(|grant| (GRANT, grant.to_string()));
        [(INSTANCE, pass.instance.to_string())].into_iter().chain(grant).collect::<Vec<_>>()
    });
    let named = named.unwrap_or_default();
    // What a client set under these names is not ours.
    let removed = [INSTANCE, GRANT].into_iter().filter(|name| !named.iter().any(|(own, _)| own == name));
    let ok = Allowed {
        headers_to_remove: removed.map(ToOwned::to_owned).collect(),
        headers: named.into_iter().map(|(name, value)| option(name, value)).collect(),
    };
    CheckResponse { status: Some(RpcStatus { code: 0 }), denied: None, ok: Some(ok) }.encode_to_vec()
}

/// Returns the message that refuses a request.
pub fn refuses(problem: &Problem) -> Vec<u8> {
    let code = if problem.status >= 500 { UNAVAILABLE } else { PERMISSION_DENIED };
    let denied = Denied {
        status: Some(HttpStatus { code: i32::from(problem.status) }),
        headers: problem
            .headers()
            .iter()
            .filter_map(|(name, value)| Some(option(name.as_str(), value.to_str().ok()?.to_owned())))
            .collect(),
        body: problem.body(),
    };
    CheckResponse { status: Some(RpcStatus { code }), denied: Some(denied), ok: None }.encode_to_vec()
}

fn option(name: &str, value: String) -> HeaderOption {
    let header = HeaderEntry { key: name.to_owned(), value, raw_value: Vec::new() };
    HeaderOption { header: Some(header), append_action: 2 }
}

/// Reads what an access log says came of requests; `None` for bytes that are no such message. What says nothing of a call, or nothing certain,
/// is left out.
pub fn came(bytes: &[u8]) -> Option<Vec<(Pass, Came)>> {
    let logs = AccessLogs::decode(bytes).ok()?;
    Some(logs.http.map(|http| http.entries).unwrap_or_default().iter().filter_map(entry).collect())
}

fn entry(entry: &HttpEntry) -> Option<(Pass, Came)> {
    let headers = &entry.request.as_ref()?.headers;
    let instance = InstanceId::parse(headers.get(INSTANCE)?).ok()?;
    let grant = headers.get(GRANT).map(|grant| GrantId::parse(grant)).transpose().ok()?;
    let common = entry.common.clone().unwrap_or_default();
    if common.intermediate {
        return None;
    }
    if common.attempts > 1 {
        tracing::warn!(%instance, "a request was tried more than once under one permission: its outcome is not certain");
        return None;
    }
    let flags = common.flags.unwrap_or_default();
    let response = entry.response.clone().unwrap_or_default();
    let unsent = flags.no_healthy_upstream || flags.connection_failure || flags.no_route || flags.no_cluster;
    let came = if response.details == FROM_SERVICE {
        let status = u16::try_from(response.code?.value).ok()?;
        Came::Answered(StatusCode::from_u16(status).ok()?)
    } else if unsent {
        Came::NotSent
    } else {
        return None;
    };
    Some((Pass { instance, grant }, came))
}

#[cfg(test)]
mod tests;
