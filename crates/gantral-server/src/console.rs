//! The console: pages for people, made of the same answers that the API gives, and decided by the same functions.
//!
//! A page is a GET and changes nothing. What changes something is a form that was sent from a page of ours by somebody who is logged
//! in; it goes where the API's request would go.

mod decisions;
mod delegations;
mod form;
mod frame;
mod freezes;
mod history;
mod log;
mod login;
mod observed;
mod pages;
mod passkeys;
mod policies;
mod proposals;
mod providers;
mod session;
mod standing;

use axum::Router;
use axum::http::header;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::{MethodRouter, any, get, post};
use gantral_console::{ASSETS, Asset};

pub use providers::LoginProviders;

use crate::app::App;
use crate::handlers::operations;

/// The routes of the console, below `/console/`.
pub(crate) fn router(app: App) -> Router<App> {
    let pages = Router::new()
        .route("/console/", get(pages::inbox))
        .route("/console/gates/{gate_id}", get(pages::gate))
        .route("/console/gates/{gate_id}/changes", post(decisions::changes))
        .route("/console/gates/{gate_id}/decisions", post(decisions::decide))
        .route("/console/gates/{gate_id}/extend", post(decisions::extend))
        .route("/console/gates/{gate_id}/rule", get(standing::show).post(standing::propose))
        .route("/console/delegations", get(delegations::show).post(delegations::lend))
        .route("/console/delegations/{delegation}/revoke", post(delegations::take_back))
        .route("/console/passkeys", get(passkeys::show))
        .route("/console/passkeys/{entry_digest}/revoke", post(passkeys::revoke))
        .route("/console/policies", get(policies::list))
        .route("/console/policies/{version}", get(policies::show))
        .route("/console/policies/{version}/archive", get(policies::archive))
        .route("/console/activations", post(policies::put_in_force))
        .route("/console/proposals", get(proposals::list))
        .route("/console/proposals/{proposal_id}", get(proposals::show))
        .route("/console/proposals/{proposal_id}/confirm", post(proposals::confirm))
        .route("/console/proposals/{proposal_id}/withdraw", post(proposals::take_back))
        .route("/console/freezes", get(freezes::show).post(freezes::change))
        .route("/console/observed", get(observed::show))
        .route("/console/history", get(history::show))
        .route("/console/log", get(log::show))
        .route("/console/instances", get(pages::instances))
        .route("/console/instances/{id}", get(pages::instance))
        .route("/console/instances/{id}/evidence", get(pages::evidence))
        .route("/console/help", get(pages::help))
        .route("/console/news", get(pages::news))
        .route("/console/login", get(login::choose).post(login::as_person))
        .route("/console/login/provider", get(login::at_provider))
        .route(providers::CALLBACK, get(login::back))
        .route("/console/logout", post(login::out))
        .route("/console/{*rest}", any(operations::nowhere))
        .method_not_allowed_fallback(operations::other_method)
        .layer(from_fn_with_state(app, frame::shown));
    let assets = ASSETS.iter().fold(Router::new(), |router, file| router.route(file.path, asset(file)));
    // What our own script asks for: refused as the API refuses, and not as a page.
    let scripted = Router::new()
        .route("/console/gates/{gate_id}/statement", post(decisions::state))
        .route("/console/passkeys", post(passkeys::request))
        .route("/console/passkeys/draft", post(passkeys::draft));
    pages
        .merge(scripted)
        .merge(assets)
        .route("/", get(async || Redirect::to("/console/")))
        .route("/console", get(async || Redirect::to("/console/")))
        .layer(from_fn(frame::guarded))
}

fn asset(file: &'static Asset) -> MethodRouter<App> {
    get(async move || ([(header::CONTENT_TYPE, file.content_type)], file.body).into_response())
}
