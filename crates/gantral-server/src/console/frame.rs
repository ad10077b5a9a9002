//! Around every page: what the browser may do with it, and refusals as pages.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use gantral_api::problem::{Code, Problem};
use gantral_console::pages::ProblemPage;
use gantral_console::{CONTENT_SECURITY_POLICY, Page, RenderError};

use super::session::{self, Visitor};
use crate::app::App;
use crate::identity::peer_of;
use crate::observe::{RequestId, Shown};
use crate::problems::{Answer, Failure};

/// What every answer of the console says to the browser, beside what every answer of the server says.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Adds the headers.
pub(super) async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Shows a refusal as a page. Whoever is not logged in is sent to where they can.
pub(super) async fn shown(State(app): State<App>, request: Request, next: Next) -> Response {
    let number = request.extensions().get::<RequestId>().map(|number| number.0.clone()).unwrap_or_default();
    let (headers, peer) = (request.headers().clone(), peer_of(request.extensions()));
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    // Only a refusal needs to know here who is told of it.
    let who = Visitor::look(&headers, peer, &app).await.ok().map(|visitor| visitor.who());
    let Ok(shell) = session::frame(&app, who, &path) else { return response };
    let page = ProblemPage {
        shell,
        title: problem.code().title().trim_end_matches('.').to_owned(),
        detail: problem.detail().to_owned(),
        remedy: problem.code().remedy().to_owned(),
        code: problem.code().as_str().to_owned(),
        request_id: number,
    };
    let html = page.html().unwrap_or_default();
    let mut answer = (response.status(), Html(html)).into_response();
    answer.extensions_mut().insert(Shown(problem));
    answer
}

/// Writes a page.
pub(super) fn page(page: &impl Page) -> Answer<Html<String>> {
    Ok(Html(page.html()?))
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        Self::new(Code::Internal, error.to_string())
    }
}
