//! The transparency log of the tenant.

use axum::extract::State;
use axum::response::Html;
use gantral_api::problem::Code;
use gantral_console::pages::LogPage;

use super::frame::page;
use super::session::Visitor;
use crate::app::App;
use crate::problems::{Answer, Failure};

/// GET /console/log
pub(super) async fn show(State(app): State<App>, visitor: Visitor) -> Answer<Html<String>> {
    let tenant = visitor.principal.tenant();
    let log = match &app.0.logs {
        None => None,
        Some(logs) => {
            let url = format!("{}/log/{tenant}", app.0.public_url);
            let shown = logs.shown(tenant, url, app.0.public_logs).await;
            Some(shown.map_err(|error| Failure::new(Code::Internal, error))?)
        }
    };
    page(&LogPage { shell: visitor.shell(&app, "/console/log")?, log })
}
