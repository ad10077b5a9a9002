//! The files of a tenant's log, as C2SP's `tlog-tiles` names them: a plain downloader mirrors a log from here.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gantral_api::problem::Code;
use gantral_core::ids::TenantId;
use gantral_log::objects::ReadObjects as _;
use gantral_log::sequencer::CHECKPOINT;

use super::Path;
use crate::app::App;
use crate::identity::MaybeCaller;
use crate::problems::{Answer, Failure};

/// What every tile's name begins with.
const TILES: &str = "tile/";

/// GET /log/{tenant}/{*object}
pub(crate) async fn object(
    State(app): State<App>,
    MaybeCaller(principal): MaybeCaller,
    Path((tenant, object)): Path<(String, String)>,
) -> Answer<Response> {
    let nothing = || Failure::not_found("the object");
    let tenant = TenantId::parse(&tenant).map_err(|_| nothing())?;
    match &principal {
        Some(principal) if *principal.tenant() == tenant => {}
        None if app.0.public_logs => {}
        None => return Err(Failure::new(Code::Unauthenticated, "a bearer token is required")),
        Some(_) => return Err(nothing()),
    }
    let kind = match object.as_str() {
        CHECKPOINT => "text/plain; charset=utf-8",
        tile if tile.starts_with(TILES) => "application/octet-stream",
        _ => return Err(nothing()),
    };
    let logs = app.0.logs.as_ref().ok_or_else(nothing)?;
    let objects = logs.objects(&tenant).map_err(|_| nothing())?;
    let read = tokio::task::spawn_blocking(move || objects.read(&object)).await;
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "an object of a log cannot be read");
        Failure::new(Code::NotReady, "the log cannot be read now")
    };
    match read.map_err(|error| failed(&error))? {
        Ok(Some(bytes)) => Ok(([(header::CONTENT_TYPE, kind)], Body::from(bytes)).into_response()),
        // A name that is none is one that nothing has.
        Err(error) if error.kind() != std::io::ErrorKind::InvalidInput => Err(failed(&error)),
        Ok(None) | Err(_) => Err(nothing()),
    }
}
