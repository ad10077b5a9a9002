//! Who is at the browser.
//!
//! The browser holds a random number in a cookie that no script reads; the ledger holds its digest with the claims that a provider
//! vouched for. What these mean is read anew each time, so that a changed configuration counts at once.

use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_api::problem::Code;
use gantral_api::wire::text;
use gantral_console::{Shell, Who};
use gantral_core::digest::{Digest, Hasher};
use gantral_core::ids::Role;
use gantral_core::time::DurationMs;
use gantral_engine::EngineError;
use gantral_identity::{Principal, SessionClaims};
use gantral_store::SessionRow;

use crate::app::App;
use crate::clock::seed;
use crate::command::asking;
use crate::identity::{development_is_near, peer_of};
use crate::problems::{Answer, Failure};

/// How long a session lasts, whatever is done in it: short, because a provider that has taken a role away is not asked meanwhile.
pub(super) const SESSION: DurationMs = DurationMs::from_secs(3_600);
/// The longest path to which a login goes back, in bytes.
const RETURN_BYTES_MAX: usize = 512;

/// What the browser holds: a secret.
struct Secret([u8; 32]);

impl Secret {
    fn new() -> Answer<Self> {
        Ok(Self(seed()?))
    }

    fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Under which the ledger knows the session: whoever reads the ledger cannot use it.
    fn id(&self) -> Digest {
        Hasher::new("gantral/session/v1").bytes(&self.0).finish()
    }

    /// What each form sends along. Another site can send a form, and the browser adds the cookie; it cannot read this.
    fn csrf(&self) -> String {
        Hasher::new("gantral/csrf/v1").bytes(&self.0).finish().to_hex()
    }
}

/// Somebody who is logged in.
pub(crate) struct Visitor {
    pub principal: Principal,
    csrf: String,
    id: Digest,
}

impl Visitor {
    /// Returns who is at the browser.
    ///
    /// # Errors
    /// `unauthenticated`, when nobody is or their session has ended; the ledger's.
    pub(super) async fn look(headers: &HeaderMap, peer: Option<SocketAddr>, app: &App) -> Answer<Self> {
        let nobody =
            || Failure::new(Code::Unauthenticated, "nobody is logged in here, or the session has ended");
        let text = cookie(headers, CookieName::Session.of(app)).ok_or_else(nobody)?;
        let secret = Secret::parse(text).ok_or_else(nobody)?;
        let row =
            app.engine().store().session(secret.id()).await.map_err(EngineError::from)?.ok_or_else(nobody)?;
        let kept = SessionClaims {
            issuer: row.issuer,
            subject: row.subject,
            client: row.client,
            claims: row.claims,
        };
        let resumed = app.0.verifier.resume_session(&kept, (row.started, row.ends), app.now()?);
        let principal = resumed.map_err(|_| nobody())?;
        development_is_near(&principal, headers, peer)?;
        Ok(Self { principal, csrf: secret.csrf(), id: secret.id() })
    }

    /// Tells whether a form was sent from a page of this session.
    pub(super) fn sent(&self, csrf: &str) -> bool {
        // Of digests, so that the time tells nothing.
        Digest::of(csrf.as_bytes()) == Digest::of(self.csrf.as_bytes())
    }

    /// Ends the session.
    pub(super) async fn leave(&self, app: &App) -> Answer<()> {
        Ok(app.engine().store().end_session(self.id).await.map_err(EngineError::from)?)
    }

    /// Returns what pages say about this visitor.
    pub(super) fn who(&self) -> Who {
        let name = match self.principal.display_name() {
            "" => self.principal.subject(),
            name => name,
        };
        let roles: Vec<&str> = self.principal.roles().iter().map(Role::as_str).collect();
        Who {
            name: name.to_owned(),
            tenant: self.principal.tenant().to_string(),
            roles: roles.join(", "),
            development: self.principal.is_development(),
            csrf: self.csrf.clone(),
        }
    }

    /// Returns as whom artifacts know this visitor.
    pub(super) async fn actor(&self, app: &App) -> Answer<text::ActorId> {
        Ok(asking(app, &self.principal).await?.id.into())
    }

    /// Returns the frame of a page.
    pub(super) fn shell(&self, app: &App, path: &str) -> Answer<Shell> {
        frame(app, Some(self.who()), path)
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        match Self::look(&parts.headers, peer_of(&parts.extensions), app).await {
            Err(Failure(problem)) if problem.code() == Code::Unauthenticated => {
                let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
                Err(to_login(&parts.method, &path))
            }
            looked => looked.map_err(axum::response::IntoResponse::into_response),
        }
    }
}

/// Returns the frame of a page, with a number that no other page has.
pub(super) fn frame(app: &App, who: Option<Who>, path: &str) -> Answer<Shell> {
    let key = Digest::of(&seed()?).to_hex();
    Ok(Shell { who, path: path.to_owned(), now: app.0.clock.now(), key })
}

/// Sends a person to the login, and afterwards back to the page that they wanted. What only a script asks for is refused.
fn to_login(method: &Method, path: &str) -> Response {
    if path.starts_with("/console/news") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let back = if *method == Method::GET { returnable(path) } else { "/console/" };
    let encoded: String = form_encoded(back);
    Redirect::to(&format!("/console/login?return={encoded}")).into_response()
}

/// Returns a path of the console, or its beginning: nobody is sent elsewhere by a link to us.
pub(super) fn returnable(path: &str) -> &str {
    let ours = path.starts_with("/console/") && path.len() <= RETURN_BYTES_MAX;
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if ours && plain && !path.contains("//") { path } else { "/console/" }
}

fn form_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Begins a session for whoever a provider vouched for; returns the cookie.
pub(super) async fn begin(app: &App, claims: SessionClaims) -> Answer<HeaderValue> {
    let (secret, started) = (Secret::new()?, app.now()?);
    let row = SessionRow {
        id: secret.id(),
        issuer: claims.issuer,
        subject: claims.subject,
        client: claims.client,
        claims: claims.claims,
        started,
        ends: started.plus(SESSION),
    };
    app.engine().store().begin_session(row).await.map_err(EngineError::from)?;
    set_cookie(app, CookieName::Session, &secret.text(), SESSION)
}

/// Returns the header that makes the browser forget a cookie.
pub(super) fn forget(app: &App, name: CookieName) -> Answer<HeaderValue> {
    set_cookie(app, name, "", DurationMs::from_secs(0))
}

/// Returns the header that makes the browser keep a cookie.
pub(super) fn set_cookie(app: &App, name: CookieName, value: &str, lasts: DurationMs) -> Answer<HeaderValue> {
    let (name, seconds) = (name.of(app), lasts.get() / 1_000);
    let secure = if is_secure(app) { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    let mut header =
        HeaderValue::try_from(text).map_err(|_| Failure::new(Code::Internal, "no cookie can be set"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// Which cookie.
#[derive(Debug, Clone, Copy)]
pub(super) enum CookieName {
    /// Of somebody who is logged in.
    Session,
    /// Of somebody who is at their provider.
    Login,
}

impl CookieName {
    /// The prefix makes browsers refuse a cookie of this name that another host or a plain connection set (RFC 6265bis section
    /// 4.1.3.2).
    pub(super) fn of(self, app: &App) -> &'static str {
        match (self, is_secure(app)) {
            (Self::Session, true) => "__Host-gantral",
            (Self::Session, false) => "gantral",
            (Self::Login, true) => "__Host-gantral-login",
            (Self::Login, false) => "gantral-login",
        }
    }
}

fn is_secure(app: &App) -> bool {
    app.0.public_url.starts_with("https://")
}

/// Returns what the browser sent of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    found.find(|(its, _)| *its == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_goes_back_to_the_console_and_nowhere_else() {
        for path in
            ["/console/", "/console/gates/0b5a", "/console/?all=true", "/console/instances?state=RUNNING"]
        {
            assert_eq!(returnable(path), path);
        }
        for path in [
            "",
            "/",
            "//evil.example",
            "/console//evil.example",
            "https://evil.example",
            "/console/\\evil",
            "/console/a b",
            "/v1/me",
        ] {
            assert_eq!(returnable(path), "/console/", "{path}");
        }
        assert_eq!(returnable(&format!("/console/{}", "x".repeat(600))), "/console/");
    }

    #[test]
    fn what_the_ledger_and_pages_hold_is_not_what_the_browser_holds() {
        let secret = Secret([7; 32]);
        let (text, id, csrf) = (secret.text(), secret.id().to_hex(), secret.csrf());
        assert!(Secret::parse(&text).is_some_and(|parsed| parsed.id().to_hex() == id));
        assert!(id != csrf && id != text && csrf != text);
        for text in ["", "AAAA", "not base64!", &"A".repeat(44)] {
            assert!(Secret::parse(text).is_none(), "{text}");
        }
    }
}
