//! Policies: what is in force where, what was published, and what one says.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use gantral_api::problem::Code;
use gantral_api::wire::{self, PageQuery, text};
use gantral_console::Kept;
use gantral_console::pages::{GovernedPage, PoliciesPage, PolicyFile, PolicyPage};
use gantral_core::policy::PolicyVersionId;
use gantral_policy::bundle::Bundle;
use serde::Deserialize;

use super::form::{Form, can_be_mended};
use super::frame::page;
use super::history::newest;
use super::session::Visitor;
use crate::app::App;
use crate::handlers::proposals::outcome;
use crate::handlers::{Path, Query, policies, shadow};
use crate::identity::governs;
use crate::problems::{Answer, Failure};

/// Where the list is.
const PATH: &str = "/console/policies";
/// Among how many of the newest changes of the rules those of policies are looked for, and how many are shown.
const LOOKED_AT: u64 = 200;
const SHOWN: usize = 10;
/// How many bytes of files one page shows; what is more is downloaded.
const FILE_BYTES_MAX: usize = 512 << 10;
/// How many files it names.
const FILES_MAX: usize = 500;

/// Query of the list.
#[derive(Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    cursor: Option<String>,
}

/// GET /console/policies
pub(super) async fn list(
    State(app): State<App>,
    visitor: Visitor,
    Query(Chosen { cursor }): Query<Chosen>,
) -> Answer<Html<String>> {
    let principal = &visitor.principal;
    let published = policies::published(&app, principal, &PageQuery { cursor, limit: None }).await?;
    let active = policies::active(&app, principal).await?.items;
    let modes = shadow::in_force(&app, principal).await?.items;
    let (mut changes, _) = newest(&app, &visitor, None, LOOKED_AT).await?;
    changes.retain(|change| matches!(change.event.as_str(), "policy_activated" | "mode_changed"));
    changes.truncate(SHOWN);
    let (shell, governs) = (visitor.shell(&app, PATH)?, governs(principal).is_ok());
    let versions = (published.items, published.next);
    page(&PoliciesPage::new(shell, (active, modes), versions, &changes, governs))
}

/// GET /console/policies/{version}
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(version): Path<text::PolicyVersionId>,
) -> Answer<Html<String>> {
    page(&with(&app, &visitor, version.into_inner(), Kept::default()).await?)
}

async fn with(app: &App, visitor: &Visitor, version: PolicyVersionId, kept: Kept) -> Answer<PolicyPage> {
    let principal = &visitor.principal;
    let policy = policies::one(app, principal, version).await?;
    let archive = policies::archive(app, principal, version).await?;
    let files = tokio::task::spawn_blocking(move || files(&archive)).await;
    let failed = || Failure::new(Code::Internal, "the bundle of this policy cannot be read");
    let files = files.map_err(|_| failed())?.ok_or_else(failed)?;
    let active = policies::active(app, principal).await?.items;
    let shell = visitor.shell(app, &format!("{PATH}/{}", policy.policy_version_id))?;
    Ok(PolicyPage::new(shell, policy, &active, files, governs(principal).is_ok(), kept))
}

/// Returns the files of a bundle, their texts as far as one page shows them.
fn files(archive: &[u8]) -> Option<Vec<PolicyFile>> {
    let bundle = Bundle::from_archive(archive).ok()?;
    let mut left = FILE_BYTES_MAX;
    let files = bundle.files().take(FILES_MAX).map(|(path, content)| {
        let text = std::str::from_utf8(content).ok().filter(|text| text.len() <= left);
        left -= text.map_or(0, str::len);
        PolicyFile { path: path.to_owned(), bytes: content.len(), text: text.map(str::to_owned) }
    });
    let mut files: Vec<PolicyFile> = files.collect();
    // What the bundle says of itself comes after what it says.
    files.sort_by_key(|file| file.path.starts_with('.'));
    Some(files)
}

/// GET /console/policies/{version}/archive
pub(super) async fn archive(
    State(app): State<App>,
    visitor: Visitor,
    Path(version): Path<text::PolicyVersionId>,
) -> Answer<Response> {
    let bytes = policies::archive(&app, &visitor.principal, version.into_inner()).await?;
    let name = format!("attachment; filename=\"{version}.tar.gz\"");
    let headers =
        [(header::CONTENT_TYPE, "application/gzip".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, bytes).into_response())
}

/// POST /console/activations: a version, or without one the one before.
pub(super) async fn put_in_force(State(app): State<App>, form: Form) -> Answer<Response> {
    let version: Option<text::PolicyVersionId> = form.fields.read("version").ok();
    match activated(&app, &form, version).await {
        Ok(governed) => {
            let shell = form.visitor.shell(&app, PATH)?;
            Ok(page(&GovernedPage::new(shell, governed, (PATH, "Back to the policies")))?.into_response())
        }
        Err(Failure(problem)) if can_be_mended(problem.code()) => {
            // Whoever went back to the one before finds the list as it is now.
            let Some(version) = version else { return Err(Failure(problem)) };
            let Form { visitor, fields } = form;
            let shown = with(&app, &visitor, version.into_inner(), fields.refused(&problem)).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page(&shown)?).into_response())
        }
        Err(failure) => Err(failure),
    }
}

async fn activated(
    app: &App,
    form: &Form,
    policy_version_id: Option<text::PolicyVersionId>,
) -> Answer<wire::Governed> {
    let fields = &form.fields;
    // Without a version the one before would be put in force: a form must say which of the two it means.
    let present: Option<text::PolicyVersionId> = match policy_version_id {
        Some(_) => None,
        None => Some(fields.read("present")?),
    };
    let body =
        wire::Activate { scope: fields.scope()?, policy_version_id, present, justification: fields.why()? };
    let call = form.call(app, "POST /v1/activations".to_owned(), &body)?;
    outcome(policies::put_in_force(app, &form.visitor.principal, call, body).await?)
}
