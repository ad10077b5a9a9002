//! Two policies over recorded asks: what a change would do, before it is made. Reads the ledger and writes nothing.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt as _, stream};
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::{self, text};
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::policy::{EvalFailure, PolicyVersionId};
use gantral_core::time::UnixMillis;
use gantral_engine::RecordedGate;
use gantral_policy::bundle::Bundle;
use gantral_policy::compare::{COMPARED_AT_ONCE, CompareError, Comparison, Said};
use gantral_store::InstanceFilter;
use tokio::time::Instant;

use super::instances::teams_of;
use super::policies::bundle;
use crate::app::App;
use crate::command::Write;
use crate::identity::governs;
use crate::problems::{Answer, Failure};
use crate::tally::Tally;

/// How many asks one comparison looks at, before it is cut.
const GATES_MAX: usize = 100_000;
/// For how long it looks, before it is cut.
const LOOKED_FOR: Duration = Duration::from_secs(60);
/// How many asks are read at once: none of them is kept longer than it is compared.
const ASKS_READ: usize = 1_000;
/// Worker processes of one comparison.
const WORKERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// POST /v1/policy-diffs
pub(crate) async fn compare(
    State(app): State<App>,
    write: Write<wire::AskDiff>,
) -> Answer<Json<wire::PolicyDiff>> {
    governs(&write.principal)?;
    let body = write.body;
    let tenant = write.principal.tenant();
    let from = body.from.into_inner();
    let to = body.to.map_or(write.call.now, text::Text::into_inner);
    if to <= from {
        return Err(Failure::new(Code::InvalidBody, "the span ends before it begins"));
    }
    // Each comparison has worker processes of its own, as each check of a bundle.
    let _permit = app.0.limits.check()?;
    let (a, b) = (side(&app, tenant, &body.a, "a").await?, side(&app, tenant, &body.b, "b").await?);
    let comparison = Comparison::start(&app.0.worker, WORKERS, [&a, &b]).map_err(not_started)?;
    for (name, ready) in ["a", "b"].into_iter().zip(comparison.ready().await) {
        ready.map_err(|failure| not_ready(name, failure))?;
    }
    let filter = InstanceFilter {
        teams: teams_of(&write.principal, body.team),
        workflow: body.workflow.map(text::Text::into_inner),
        ..InstanceFilter::default()
    };
    walk(&app, tenant, &comparison, &filter, (from, to)).await.map(Json)
}

/// Goes through the ledger from the newest ask on, page by page.
async fn walk(
    app: &App,
    tenant: &TenantId,
    comparison: &Comparison,
    filter: &InstanceFilter,
    span: (UnixMillis, UnixMillis),
) -> Answer<wire::PolicyDiff> {
    let until = Instant::now() + LOOKED_FOR;
    let mut walked = Walked { tally: Tally::default(), instances: BTreeSet::new(), reached: None };
    let mut recorded = app.engine().recorded(tenant, span, filter).await?;
    while let Some(page) = recorded.next(ASKS_READ).await? {
        if Instant::now() >= until {
            return Ok(walked.diffed(comparison.versions(), span, true));
        }
        walked.tally.leave_out(page.erased.len());
        walked.instances.extend(page.erased);
        let mut compared =
            stream::iter(page.gates).map(|gate| ask(comparison, gate)).buffered(COMPARED_AT_ONCE);
        while let Some((gate, said)) = compared.next().await {
            walked.reached = Some(gate.at);
            walked.instances.insert(gate.instance);
            match said {
                Some([a, b]) => walked.tally.count(&gate, &a, &b),
                None => walked.tally.leave_out(1),
            }
            if walked.tally.gates() >= GATES_MAX || Instant::now() >= until {
                return Ok(walked.diffed(comparison.versions(), span, true));
            }
        }
        walked.reached = page.reached.or(walked.reached);
    }
    Ok(walked.diffed(comparison.versions(), span, false))
}

/// How far it has come.
struct Walked {
    tally: Tally,
    instances: BTreeSet<InstanceId>,
    /// When what was looked at last was sealed.
    reached: Option<UnixMillis>,
}

impl Walked {
    /// Returns what was counted. What was cut has looked no farther back than to where it came.
    fn diffed(
        &self,
        [a, b]: [PolicyVersionId; 2],
        (from, to): (UnixMillis, UnixMillis),
        cut: bool,
    ) -> wire::PolicyDiff {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let tally = &self.tally;
        // A page may reach a little beyond the span on either side.
        let from = if cut { self.reached.unwrap_or(to).clamp(from, to) } else { from };
        wire::PolicyDiff {
            a: a.into(),
            b: b.into(),
            from: from.into(),
            to: to.into(),
            cut,
            instances: wide(self.instances.len()),
            gates: wide(tally.gates()),
            left_out: tally.left_out(),
            transitions: tally.transitions(),
            failures: tally.failures(),
            pages: tally.pages(to.since(from)),
        }
    }
}

/// Asks both about one recorded input; `None` where it does not follow the contract any more.
async fn ask(comparison: &Comparison, gate: RecordedGate) -> (RecordedGate, Option<[Said; 2]>) {
    let [a, b] = comparison.versions().map(|version| gate.input_under(version));
    let said = match (a, b) {
        (Ok(a), Ok(b)) => Some(comparison.ask([&a, &b]).await),
        (Err(_), _) | (_, Err(_)) => None,
    };
    (gate, said)
}

async fn side(app: &App, tenant: &TenantId, side: &wire::DiffSide, name: &str) -> Answer<Bundle> {
    let archive = match side {
        wire::DiffSide::Published { policy_version_id } => {
            return bundle(app, tenant, policy_version_id.into_inner()).await;
        }
        wire::DiffSide::Archive { base64 } => STANDARD.decode(base64),
    };
    let archive = archive
        .map_err(|error| Failure::new(Code::InvalidBody, format!("`{name}` is not in base64: {error}")))?;
    Bundle::from_archive(&archive)
        .map_err(|error| Failure::new(Code::PolicyRejected, format!("`{name}`: {error}")))
}

pub(crate) fn not_started(error: CompareError) -> Failure {
    match error {
        CompareError::Bundle(error) => Failure::new(Code::PolicyRejected, error.to_string()),
        CompareError::Start(error) => {
            tracing::error!(%error, "policies cannot be compared");
            let failure = EvalFailure::Unavailable.as_str();
            Failure(
                Problem::new(Code::EvaluatorFailed, "policies cannot be compared now")
                    .with("failure", failure),
            )
        }
    }
}

/// Tells a policy that cannot be evaluated from workers that cannot evaluate.
pub(crate) fn not_ready(name: &str, failure: EvalFailure) -> Failure {
    if failure.is_outage() {
        let problem = Problem::new(Code::EvaluatorFailed, "policies cannot be compared now");
        return Failure(problem.with("failure", failure.as_str()));
    }
    Failure::new(Code::PolicyRejected, format!("`{name}` cannot be evaluated: {failure}"))
}
