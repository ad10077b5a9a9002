//! The head of a request, as everybody behind us will understand it: what two readers could take for two different things is refused.
//!
//! A rule, a policy and a human look at method, path and query. They are worth something only if the service reads the same, so the path is
//! brought into one spelling, which is also the one that is sent, and what has no such spelling goes no further. Source: RFC 9110, RFC 9112,
//! RFC 3986 §6.2.2.

use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Version};

/// The longest path, in bytes: as long as common servers take.
pub const PATH_BYTES_MAX: usize = 4096;
/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 8192;
/// The most bytes of headers, names and values: a waiting request keeps them in memory.
pub const HEADERS_BYTES_MAX: usize = 32 << 10;
/// What begins the names of headers that only we set.
pub const OURS: &str = "gantral-";

/// Headers that mean another method or path to some services than the request line says.
const OVERRIDES: [&str; 5] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url"];
/// Headers that concern one connection only (RFC 9110 §7.6.1), beside those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 4] = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING];
const HOP_BY_HOP_OLD: [&str; 4] =
    ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"];

/// Why a request goes no further. The client's fault; nothing was asked, and nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// CONNECT and TRACE are for proxies of another kind.
    #[error("the method is not taken here")]
    Method,
    /// `GET http://elsewhere/` or `OPTIONS *`.
    #[error("the request names no path of this service: the target must begin with `/`")]
    Target,
    /// The path.
    #[error(
        "the path can be read in more than one way: `.` and `..`, empty segments, encoded slashes and odd characters are refused"
    )]
    Path,
    /// The query.
    #[error("the query is too long, or holds characters that do not belong there")]
    Query,
    /// A protocol that is not HTTP would follow.
    #[error("another protocol cannot be governed here")]
    Upgrade,
    /// A header that means another method or path.
    #[error("a header names another method or path than the request line")]
    Override,
    /// Content-Length and Transfer-Encoding, or several of them.
    #[error("the length of the body is said in more than one way")]
    Framing,
    /// More than we keep.
    #[error("the headers are larger than 32 KiB")]
    Headers,
    /// A header that policy looks at is there twice, or is not text.
    #[error("a header that is part of the call is there more than once, or is not plain text")]
    Header,
    /// The body is said to be JSON, and is not in a way that everybody reads alike.
    #[error("the body is not JSON that everybody reads alike")]
    Json,
    /// A secret would reach the ledger.
    #[error("the query looks like it holds a secret: send it in a header")]
    Secret,
    /// The target of the action would be too long.
    #[error("the path is too long to be named: give a rule with a template for it")]
    Unnamed,
}

impl BadRequest {
    /// Returns the stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Method => "method_refused",
            Self::Target => "target_refused",
            Self::Path => "path_ambiguous",
            Self::Query => "query_refused",
            Self::Upgrade => "upgrade_refused",
            Self::Override => "override_refused",
            Self::Framing => "framing_ambiguous",
            Self::Headers => "headers_too_large",
            Self::Header => "header_ambiguous",
            Self::Json => "body_unreadable",
            Self::Secret => "secret_in_query",
            Self::Unnamed => "path_too_long",
        }
    }

    /// Returns the status that says so.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Upgrade => StatusCode::NOT_IMPLEMENTED,
            Self::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Unnamed => StatusCode::URI_TOO_LONG,
            Self::Target
            | Self::Path
            | Self::Query
            | Self::Override
            | Self::Framing
            | Self::Header
            | Self::Json
            | Self::Secret => StatusCode::BAD_REQUEST,
        }
    }
}

/// The head of a request.
#[derive(Debug, Clone)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// The path, in its one spelling.
    pub path: String,
    /// The query, as it was sent.
    pub query: Option<String>,
    /// The headers that are meant for the service: without those of the connection, ours, and what says how long the body is.
    pub headers: HeaderMap,
    /// How long the body is, if that was said.
    pub length: Option<u64>,
}

impl Head {
    /// Reads the head of a request.
    ///
    /// # Errors
    /// [`BadRequest`]: the request must go no further.
    pub fn read(parts: &Parts) -> Result<Self, BadRequest> {
        // The second version of the protocol names scheme and authority in every request.
        if parts.version < Version::HTTP_2 && parts.uri.scheme().is_some() {
            return Err(BadRequest::Target);
        }
        Self::of(&parts.method, parts.uri.path(), parts.uri.query(), &parts.headers)
    }

    /// Reads the head of a request that somebody else received, and tells of.
    ///
    /// # Errors
    /// [`BadRequest`]: the request must go no further.
    pub fn of(
        method: &Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Self, BadRequest> {
        if matches!(*method, Method::CONNECT | Method::TRACE) {
            return Err(BadRequest::Method);
        }
        if !path.starts_with('/') {
            return Err(BadRequest::Target);
        }
        let length = framing(headers)?;
        Ok(Self {
            method: method.clone(),
            path: plain_path(path).ok_or(BadRequest::Path)?,
            query: plain_query(query)?,
            headers: end_to_end(headers)?,
            length,
        })
    }

    /// Returns the one value of a header; `None` if it is not there.
    ///
    /// # Errors
    /// `Header`, if it is there more than once or is not visible ASCII.
    pub fn one(&self, name: &HeaderName) -> Result<Option<&str>, BadRequest> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().map(Some).map_err(|_| BadRequest::Header),
            (Some(_), Some(_)) => Err(BadRequest::Header),
        }
    }
}

/// Returns a path in its one spelling; `None` for one that has none.
///
/// Encoded characters that need no encoding are decoded, the digits of the others are large (RFC 3986 §6.2.2). A path has no spelling in which
/// everybody agrees if it holds `.` or `..`, also before `;`, an empty segment, a slash or a control character that is encoded, or what may
/// not stand in a path at all.
pub fn plain_path(raw: &str) -> Option<String> {
    if !raw.starts_with('/') || raw.len() > PATH_BYTES_MAX {
        return None;
    }
    let mut path = String::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let decoded = u8::from_str_radix(core::str::from_utf8(&digits).ok()?, 16).ok()?;
                // `from_str_radix` takes a sign.
                if !digits.iter().all(u8::is_ascii_hexdigit) || !may_be_encoded(decoded) {
                    return None;
                }
                if is_unreserved(decoded) {
                    path.push(char::from(decoded));
                } else {
                    path.push_str(&format!("%{decoded:02X}"));
                }
            }
            byte if is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte) => path.push(char::from(byte)),
            _ => return None,
        }
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let name = segment.split(';').next().unwrap_or_default();
        let is_last = segments.peek().is_none();
        if matches!(name, "." | "..") || (name.is_empty() && !(is_last && segment.is_empty())) {
            return None;
        }
    }
    Some(path)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// A slash, a backslash or a control character divides a path for some and not for others.
fn may_be_encoded(byte: u8) -> bool {
    !matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f)
}

/// Takes a query as it is, if a URL holds it as it is.
fn plain_query(raw: Option<&str>) -> Result<Option<String>, BadRequest> {
    match raw {
        None => Ok(None),
        Some(query) if is_query(query) => Ok(Some(query.to_owned())),
        Some(_) => Err(BadRequest::Query),
    }
}

/// Tells whether a text is a query that a URL holds as it is.
pub fn is_query(text: &str) -> bool {
    text.len() <= QUERY_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\"'<>".contains(&byte))
}

/// Refuses a body whose length is said in two ways, and returns the length.
fn framing(headers: &HeaderMap) -> Result<Option<u64>, BadRequest> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let first = lengths.next();
    if lengths.next().is_some() || (first.is_some() && headers.contains_key(TRANSFER_ENCODING)) {
        return Err(BadRequest::Framing);
    }
    let Some(length) = first else { return Ok(None) };
    let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|text| text.parse().ok()).map(Some).ok_or(BadRequest::Framing)
}

/// Returns the headers that go on to the service.
fn end_to_end(headers: &HeaderMap) -> Result<HeaderMap, BadRequest> {
    if headers.contains_key(UPGRADE) {
        return Err(BadRequest::Upgrade);
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > HEADERS_BYTES_MAX {
        return Err(BadRequest::Headers);
    }
    if OVERRIDES.iter().any(|name| headers.contains_key(*name)) {
        return Err(BadRequest::Override);
    }
    let mut kept = without_connection(headers);
    for name in [HOST, CONTENT_LENGTH, EXPECT] {
        kept.remove(name);
    }
    Ok(kept)
}

/// Returns the headers of a message without those that concern its connection, and without ours.
pub fn without_connection(headers: &HeaderMap) -> HeaderMap {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<String> =
        named.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect();
    let concerns = |name: &HeaderName| {
        HOP_BY_HOP.contains(name)
            || *name == UPGRADE
            || HOP_BY_HOP_OLD.contains(&name.as_str())
            || name.as_str().starts_with(OURS)
            || named.iter().any(|named| named == name.as_str())
    };
    let kept = headers.iter().filter(|(name, _)| !concerns(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests;
