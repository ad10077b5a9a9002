//! The worker of the candidates: one process for all of them, which no gate waits for, and which rests as long as it worked.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use gantral_core::policy::{EvalFailure, PolicyVersionId};
use gantral_engine::policy_point::{BoxFuture, PolicyPoint as _};
use gantral_policy::compare::Said;
use gantral_policy::{BundleSource, PoolConfig, RegoPolicyPoint, SourceUnavailable, StartError};
use gantral_store::Store;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until};

use super::Named;
use crate::app::App;

/// What an evaluation may take before the worker rests for as long: all candidates together take half a processor at most.
const QUICK: Duration = Duration::from_millis(10);

/// Evaluates for all candidates, one ask at a time and the candidates in turn.
pub(super) struct Evaluator(Mutex<Turn>);

/// Held by whoever evaluates.
struct Turn {
    /// `None` until it is needed.
    point: Option<RegoPolicyPoint>,
    free_at: Instant,
}

impl Default for Evaluator {
    fn default() -> Self {
        Self(Mutex::new(Turn { point: None, free_at: Instant::now() }))
    }
}

impl Evaluator {
    /// Asks one version about one input. `warm` says whether the worker is known to have the version ready, so that making it ready
    /// counts for no limit.
    ///
    /// # Errors
    /// The worker cannot be started; may be tried again.
    pub(super) async fn ask(
        &self,
        app: &App,
        version: PolicyVersionId,
        input: &[u8],
        warm: &mut bool,
    ) -> Result<Said, StartError> {
        let mut turn = self.0.lock().await;
        sleep_until(turn.free_at).await;
        let begun = Instant::now();
        let Turn { point, free_at } = &mut *turn;
        let point = match point {
            Some(point) => point,
            none => none.insert(start(app)?),
        };
        let ready = if *warm { Ok(()) } else { point.ready(version).await };
        let said = match ready {
            Ok(()) => point.evaluate(version, input, app.0.opas.embedded_limit()).await.result,
            Err(failure) => Err(failure),
        };
        // Over a limit a worker is lost, and the next one has to read the bundle again.
        *warm = !said
            .as_ref()
            .is_err_and(|failure| failure.is_outage() || *failure == EvalFailure::ResourceLimit);
        let ended = Instant::now();
        let taken = ended.duration_since(begun);
        *free_at = if taken > QUICK { ended + taken } else { ended };
        Ok(said)
    }

    /// Ends the worker; the next ask starts another one.
    pub(super) async fn end(&self) {
        self.0.lock().await.point = None;
    }
}

fn start(app: &App) -> Result<RegoPolicyPoint, StartError> {
    let source =
        CandidateBundles { store: app.engine().store().clone(), roster: app.0.candidates.roster.subscribe() };
    let config = PoolConfig { workers: NonZeroUsize::MIN, queue_max: 1 };
    RegoPolicyPoint::start(&app.0.worker, config, Arc::new(source))
}

/// The bundles of those that are named.
struct CandidateBundles {
    store: Store,
    roster: watch::Receiver<Option<Vec<Arc<Named>>>>,
}

impl BundleSource for CandidateBundles {
    fn bundle(&self, version: PolicyVersionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, SourceUnavailable>> {
        Box::pin(async move {
            let named = self.roster.borrow().clone().unwrap_or_default();
            let Some(of) = named.iter().find(|named| named.counting.candidate.version == version) else {
                return Ok(None);
            };
            let found = self.store.policy_bundle(&of.counting.candidate.tenant, version).await;
            found.map_err(|_| SourceUnavailable)
        })
    }
}
