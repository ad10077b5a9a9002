//! Policy bundles: checked in a worker, then kept by their content digest.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::{self, BUNDLE_BYTES_MAX, text};
use gantral_policy::bundle::Bundle;
use gantral_policy::check::{CheckReport, TestOutcome, check};
use gantral_store::PutOutcome;

use super::{Path, Query, page};
use crate::app::App;
use crate::command::RawWrite;
use crate::identity::Caller;
use crate::problems::{Answer, Failure};

/// The most problems of a bundle that one answer lists.
const PROBLEMS_MAX: usize = 20;

/// PUT /v1/policies
pub(crate) async fn publish(
    State(app): State<App>,
    request: Request,
) -> Answer<(StatusCode, Json<wire::PublishedPolicy>)> {
    let write = RawWrite::read(request, &app, BUNDLE_BYTES_MAX).await?;
    write.principal.approver()?;
    let bundle = Bundle::from_archive(&write.body)
        .map_err(|error| Failure::new(Code::PolicyRejected, error.to_string()))?;
    let worker = app.0.worker.clone();
    let checked = tokio::task::spawn_blocking(move || {
        let report = check(&worker, &bundle);
        (bundle, report)
    });
    let (bundle, report) =
        checked.await.map_err(|_| Failure::new(Code::Internal, "the check of the bundle did not end"))?;
    let report = report.map_err(|error| Failure::new(Code::PolicyRejected, error.to_string()))?;
    if !report.passed() {
        return Err(rejected(&report));
    }
    let archive =
        bundle.to_archive().map_err(|error| Failure::new(Code::PolicyRejected, error.to_string()))?;
    let version = bundle.version();
    let outcome = app
        .engine()
        .store()
        .put_policy_bundle(write.principal.tenant(), version, archive, write.call.now)
        .await
        .map_err(gantral_engine::EngineError::from)?;
    let status = match outcome {
        PutOutcome::Stored => StatusCode::CREATED,
        // Equal content in another archive is the same bundle: the bytes that came first stay.
        PutOutcome::Same | PutOutcome::Differs => StatusCode::OK,
    };
    let count = |outcome| u32::try_from(report.tests.count(outcome)).unwrap_or(u32::MAX);
    Ok((
        status,
        Json(wire::PublishedPolicy {
            policy_version_id: version.into(),
            tests: wire::TestCounts {
                passed: count(TestOutcome::Passed),
                failed: count(TestOutcome::Failed).saturating_add(count(TestOutcome::Errored)),
            },
        }),
    ))
}

fn rejected(report: &CheckReport) -> Failure {
    let problems: Vec<serde_json::Value> = report
        .problems
        .iter()
        .take(PROBLEMS_MAX)
        .map(|problem| {
            serde_json::Value::from(format!("{}:{}: {}", problem.file, problem.line, problem.message))
        })
        .collect();
    let failed: Vec<serde_json::Value> = report
        .tests
        .tests
        .iter()
        .filter(|test| matches!(test.outcome, TestOutcome::Failed | TestOutcome::Errored))
        .take(PROBLEMS_MAX)
        .map(|test| serde_json::Value::from(format!("{}.{}", test.package, test.name)))
        .collect();
    let detail = format!("the bundle has {} problems and {} failing tests", problems.len(), failed.len());
    Failure(
        Problem::new(Code::PolicyRejected, detail).with("problems", problems).with("failed_tests", failed),
    )
}

/// GET /v1/policies
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::PageQuery>,
) -> Answer<Json<wire::PolicyPage>> {
    let (cursor, limit) = page(query.cursor.as_deref(), query.limit)?;
    let found = app.engine().store().list_policy_bundles(principal.tenant(), cursor, limit).await;
    let found = found.map_err(gantral_engine::EngineError::from)?;
    let items = found.items.iter().map(|row| wire::PolicyView {
        policy_version_id: row.version.into(),
        published_at: row.created_at.into(),
    });
    Ok(Json(wire::PolicyPage { items: items.collect(), next: found.next.map(|cursor| cursor.to_string()) }))
}

/// GET /v1/policies/{version}
pub(crate) async fn download(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(version): Path<text::PolicyVersionId>,
) -> Answer<impl IntoResponse> {
    let bundle = app
        .engine()
        .store()
        .policy_bundle(principal.tenant(), version.into_inner())
        .await
        .map_err(gantral_engine::EngineError::from)?
        .ok_or_else(|| Failure::new(Code::PolicyUnknown, "the policy version is not known here"))?;
    Ok(([(header::CONTENT_TYPE, "application/gzip")], bundle))
}
