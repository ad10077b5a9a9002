//! Policy bundles: checked in a worker, then kept by their content digest.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::{self, BUNDLE_BYTES_MAX, text};
use gantral_core::ids::TenantId;
use gantral_core::policy::{EvalFailure, PolicyVersionId};
use gantral_core::time::UnixMillis;
use gantral_engine::{Activation, Call, Governor, Ruled};
use gantral_evidence::governance::Scope;
use gantral_identity::Principal;
use gantral_policy::bundle::Bundle;
use gantral_policy::check::{CheckError, CheckReport, TestOutcome, check};
use gantral_store::{PolicyBundleRow, PolicySignature};

use super::proposals::ruled;
use super::{Path, Query, page, workflows};
use crate::app::App;
use crate::command::{RawWrite, Write, acting};
use crate::identity::{Caller, governs};
use crate::problems::{Answer, Failure};
use crate::signing::SigningRefusal;

/// The most findings about a bundle that one answer lists.
const FINDINGS_MAX: usize = 20;

/// PUT /v1/policies
pub(crate) async fn publish(
    State(app): State<App>,
    request: Request,
) -> Answer<(StatusCode, Json<wire::PublishedPolicy>)> {
    let write = RawWrite::read(request, &app, "application/gzip", BUNDLE_BYTES_MAX).await?;
    governs(&write.principal)?;
    let bundle = Bundle::from_archive(&write.body)
        .map_err(|error| Failure::new(Code::PolicyRejected, error.to_string()))?;
    let published = keep(&app, write.principal.tenant(), bundle, write.call.now).await?;
    Ok((StatusCode::CREATED, Json(published)))
}

/// Checks a bundle in a worker and keeps it: the one way, wherever it comes from.
pub(crate) async fn keep(
    app: &App,
    tenant: &TenantId,
    bundle: Bundle,
    now: UnixMillis,
) -> Answer<wire::PublishedPolicy> {
    let _permit = app.0.limits.check()?;
    let (worker, signing) = (app.0.worker.clone(), Arc::clone(&app.0.signing));
    let checked = tokio::task::spawn_blocking(move || {
        // The signature goes first: what nobody signed is not even parsed where signatures are required.
        let signed_by = signing.check(&bundle, now)?;
        let report = check(&worker, &bundle);
        Ok::<_, SigningRefusal>((bundle, signed_by, report))
    });
    let checked =
        checked.await.map_err(|_| Failure::new(Code::Internal, "the check of the bundle did not end"))?;
    let (bundle, signed_by, report) = checked.map_err(unsigned)?;
    let report = report.map_err(unchecked)?;
    if !report.passed() {
        return Err(rejected(&report));
    }
    // The revision is how an OPA that is given this archive tells its version; it is no part of the version.
    let archive = bundle
        .as_published()
        .and_then(|bundle| bundle.to_archive())
        .map_err(|error| Failure::new(Code::PolicyRejected, error.to_string()))?;
    let version = bundle.version();
    let signature = signed_by.map(|by| PolicySignature {
        key: by.key,
        algorithm: by.algorithm.as_str().to_owned(),
        scope: by.scope,
        pinned: bundle.is_pinned(),
    });
    // Equal content in another archive is the same bundle: the bytes that came first stay, and a signature comes beside them.
    let store = app.engine().store();
    let put = match signature.clone() {
        Some(signature) => store.put_signed_policy_bundle(tenant, version, archive, signature, now).await,
        None => store.put_policy_bundle(tenant, version, archive, now).await,
    };
    put.map_err(gantral_engine::EngineError::from)?;
    let (passed, failed) = counts(&report);
    let tests = wire::TestCounts { passed, failed };
    let signed_by = signature.map(signed_by_view);
    Ok(wire::PublishedPolicy { policy_version_id: version.into(), tests, signed_by })
}

fn signed_by_view(signature: PolicySignature) -> wire::SignedBy {
    let PolicySignature { key, algorithm, scope, pinned } = signature;
    wire::SignedBy { key, algorithm, scope, pinned }
}

fn view(row: PolicyBundleRow) -> wire::PolicyView {
    wire::PolicyView {
        policy_version_id: row.version.into(),
        published_at: row.created_at.into(),
        signed_by: row.signature.map(signed_by_view),
    }
}

/// Tells a bundle that must be signed from a signature that is not good, and from files that are not those of the signature.
fn unsigned(refusal: SigningRefusal) -> Failure {
    let code = match &refusal {
        SigningRefusal::Unsigned => Code::PolicyUnsigned,
        SigningRefusal::Signature(error) if error.is_about_files() => Code::PolicyNotAsSigned,
        SigningRefusal::Signature(_) => Code::PolicySignatureBad,
    };
    Failure::new(code, refusal.to_string())
}

/// Tells a bundle that cannot be checked from a server that cannot check.
fn unchecked(error: CheckError) -> Failure {
    match error {
        CheckError::Refused(_) | CheckError::Bundle(_) => {
            Failure::new(Code::PolicyRejected, error.to_string())
        }
        CheckError::Start(_) | CheckError::Report { .. } => {
            tracing::error!(%error, "a bundle cannot be checked");
            let detail = "the bundle cannot be checked now";
            Failure(
                Problem::new(Code::EvaluatorFailed, detail)
                    .with("failure", EvalFailure::Unavailable.as_str()),
            )
        }
    }
}

/// Returns how many tests passed, and how many did not.
fn counts(report: &CheckReport) -> (u32, u32) {
    let count = |outcome| u32::try_from(report.tests.count(outcome)).unwrap_or(u32::MAX);
    let failed = count(TestOutcome::Failed).saturating_add(count(TestOutcome::Errored));
    (count(TestOutcome::Passed), failed)
}

fn rejected(report: &CheckReport) -> Failure {
    let problems = report
        .problems
        .iter()
        .map(|problem| format!("{}:{}: {}", problem.file, problem.line, problem.message));
    let failed = report
        .tests
        .tests
        .iter()
        .filter(|test| matches!(test.outcome, TestOutcome::Failed | TestOutcome::Errored))
        .map(|test| format!("{}.{} failed", test.package, test.name));
    let findings: Vec<String> = problems.chain(failed).take(FINDINGS_MAX).collect();
    let (passed, failed) = counts(report);
    let detail = format!("the bundle has {} problems and {failed} failing tests", report.problems.len());
    let mut problem = Problem::new(Code::PolicyRejected, detail).with("findings", findings);
    if report.problems.is_empty() {
        problem = problem.with("tests", serde_json::json!({ "passed": passed, "failed": failed }));
    }
    Failure(problem)
}

/// GET /v1/policies
pub(crate) async fn list(
    State(app): State<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::PageQuery>,
) -> Answer<Json<wire::PolicyPage>> {
    published(&app, &principal, &query).await.map(Json)
}

/// Returns the bundles of the tenant of a principal, from the newest.
pub(crate) async fn published(
    app: &App,
    principal: &Principal,
    query: &wire::PageQuery,
) -> Answer<wire::PolicyPage> {
    let (cursor, limit) = page(query.cursor.as_deref(), query.limit)?;
    let found = app.engine().store().list_policy_bundles(principal.tenant(), cursor, limit).await;
    let found = found.map_err(gantral_engine::EngineError::from)?;
    let next = found.next.map(|cursor| cursor.to_string());
    Ok(wire::PolicyPage { items: found.items.into_iter().map(view).collect(), next })
}

/// GET /v1/policies/{version}
pub(crate) async fn download(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(version): Path<text::PolicyVersionId>,
) -> Answer<impl IntoResponse> {
    let bytes = archive(&app, &principal, version.into_inner()).await?;
    Ok(([(header::CONTENT_TYPE, "application/gzip")], bytes))
}

/// Returns the archive of a bundle of the tenant of a principal.
pub(crate) async fn archive(app: &App, principal: &Principal, version: PolicyVersionId) -> Answer<Vec<u8>> {
    let found = app.engine().store().policy_archive(principal.tenant(), version).await;
    Ok(found.map_err(gantral_engine::EngineError::from)?.ok_or_else(unknown)?.bytes)
}

/// Reads a bundle that was published in a tenant.
pub(crate) async fn bundle(app: &App, tenant: &TenantId, version: PolicyVersionId) -> Answer<Bundle> {
    let found = app.engine().store().policy_bundle(tenant, version).await;
    let archive = found.map_err(gantral_engine::EngineError::from)?.ok_or_else(unknown)?;
    Bundle::from_archive(&archive).map_err(|error| {
        tracing::error!(%error, version = %version.0, "a published bundle cannot be read");
        Failure::new(Code::Internal, "a published bundle cannot be read")
    })
}

/// GET /v1/policies/{version}/record
pub(crate) async fn record(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(version): Path<text::PolicyVersionId>,
) -> Answer<Json<wire::PolicyView>> {
    one(&app, &principal, version.into_inner()).await.map(Json)
}

/// Returns what is recorded of a bundle of the tenant of a principal.
pub(crate) async fn one(
    app: &App,
    principal: &Principal,
    version: PolicyVersionId,
) -> Answer<wire::PolicyView> {
    let found = app.engine().store().policy_bundle_row(principal.tenant(), version).await;
    Ok(view(found.map_err(gantral_engine::EngineError::from)?.ok_or_else(unknown)?))
}

fn unknown() -> Failure {
    Failure::new(Code::PolicyUnknown, "the policy version is not known here")
}

/// GET /v1/activations
pub(crate) async fn in_force(
    State(app): State<App>,
    Caller(principal): Caller,
) -> Answer<Json<wire::PoliciesInForce>> {
    active(&app, &principal).await.map(Json)
}

/// Returns the policy of every scope that has one, in the tenant of a principal.
pub(crate) async fn active(app: &App, principal: &Principal) -> Answer<wire::PoliciesInForce> {
    let policies = app.engine().policies_in_force(principal.tenant()).await?;
    let items = policies.into_iter().map(|policy| wire::PolicyInForce {
        scope: scope_view(policy.scope),
        policy_version_id: policy.version.into(),
        before: policy.before.map(Into::into),
    });
    Ok(wire::PoliciesInForce { items: items.collect() })
}

pub(crate) fn scope_view(scope: Scope) -> wire::Scope {
    match scope {
        Scope::Tenant => wire::Scope::Tenant,
        Scope::Team(team) => wire::Scope::Team { name: team.into() },
        Scope::Workflow(workflow) => wire::Scope::Workflow { name: workflow.into() },
    }
}

/// POST /v1/activations
pub(crate) async fn activate(
    State(app): State<App>,
    write: Write<wire::Activate>,
) -> Answer<(StatusCode, Json<wire::Governed>)> {
    put_in_force(&app, &write.principal, write.call, write.body).await.and_then(ruled)
}

/// Puts a policy in force: the one way, wherever the request comes from.
pub(crate) async fn put_in_force(
    app: &App,
    principal: &Principal,
    mut call: Call,
    body: wire::Activate,
) -> Answer<Ruled> {
    let approver = principal.approver()?;
    governs(principal)?;
    let wire::Activate { scope, policy_version_id, present, justification } = body;
    let scope = owned(app, principal, scope).await?;
    let actor = acting(app, &mut call, approver.principal()).await?;
    let why = justification.as_ref().map(|why| why.as_str());
    let version = policy_version_id.map(text::PolicyVersionId::into_inner);
    let activation = version.map_or(Activation::Before, Activation::Version);
    let present = present.map(text::PolicyVersionId::into_inner);
    let by = Governor { actor: &actor, why };
    let (engine, tenant) = (app.engine(), principal.tenant());
    Ok(engine.activate_policy(&mut call, tenant, by, &scope, activation, present).await?)
}

/// Returns a scope that is the caller's: administrators have every one, others their teams and the workflows of these.
pub(crate) async fn owned(app: &App, principal: &Principal, scope: wire::Scope) -> Answer<Scope> {
    let (scope, owner) = match scope {
        wire::Scope::Tenant => (Scope::Tenant, None),
        wire::Scope::Team { name } => (Scope::Team(name.0.clone()), Some(name.0)),
        wire::Scope::Workflow { name } => {
            let workflow = workflows::visible(app, principal, &name.0).await?;
            (Scope::Workflow(name.0), Some(workflow.team.clone()))
        }
    };
    let owns = owner.is_some_and(|team| principal.teams().contains(&team));
    if owns || principal.administrator().is_ok() {
        return Ok(scope);
    }
    let detail = "only the owning team and administrators may change a rule there";
    Err(Failure::new(Code::Forbidden, detail))
}
