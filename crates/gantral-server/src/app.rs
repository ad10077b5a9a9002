//! What every handler shares.

use std::sync::{Arc, Mutex, PoisonError};

use gantral_api::problem::Code;
use gantral_core::ids::TenantId;
use gantral_core::time::UnixMillis;
use gantral_engine::Engine;
use gantral_identity::{AttemptTokens, DevIssuer, Verifier};
use gantral_notify::Couriers;
use gantral_oidc::Providers;
use gantral_policy::{RegoPolicyPoint, WorkerCommand};
use gantral_store::Duties;

use crate::archive::{ArchiveStanding, Archiving};
use crate::candidates::Candidates;
use crate::clock::Clock;
use crate::console::LoginProviders;
use crate::evaluators::Opas;
use crate::limits::{Capacity, Limits};
use crate::logs::{Keeping, Logs};
use crate::metrics::Metrics;
use crate::problems::{Answer, Failure};
use crate::rates::Rates;
use crate::signing::PolicySigning;
use crate::standing::Standing;
use crate::telemetry::Telemetry;

/// The parts that a server is made of.
pub struct AppParts {
    /// The engine.
    pub engine: Engine,
    /// Who is asking.
    pub verifier: Verifier,
    /// Who makes people up in development: whoever comes may be any of them.
    pub dev: Option<Arc<DevIssuer>>,
    /// Where people log in to the console.
    pub logins: LoginProviders,
    /// Whose published keys it is given.
    pub providers: Providers,
    /// Tokens of attempts.
    pub attempts: Arc<AttemptTokens>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The pool of policy workers, for readiness and metrics.
    pub policy: Arc<RegoPolicyPoint>,
    /// The other evaluators, for the same.
    pub opas: Opas,
    /// How a worker is started, for publish checks.
    pub worker: WorkerCommand,
    /// Who may have signed a bundle that is published.
    pub signing: PolicySigning,
    /// The URL under which people and agents reach this server, without a slash at the end.
    pub public_url: String,
    /// Whether the server may write.
    pub standing: Standing,
    /// The tenants of which nothing is done, because their governance chains are damaged.
    pub damaged: Vec<TenantId>,
    /// The transparency logs; without them nothing is anchored.
    pub logs: Option<Logs>,
    /// What lets the logs grow while the server serves.
    pub keeping: Option<Keeping>,
    /// The archive, if one is kept.
    pub archive: Option<Archiving>,
    /// Whether the logs are read without a token.
    pub public_logs: bool,
    /// What carries messages while the server serves.
    pub couriers: Couriers,
    /// What this server does, and no other at the same time.
    pub duties: Duties,
    /// How many commands of a tenant it takes.
    pub rates: Rates,
    /// What traces requests.
    pub telemetry: Telemetry,
    /// The tenants of which it says how much there is.
    pub tenants: Vec<TenantId>,
}

/// The state of the router. Cheap to clone.
#[derive(Clone)]
pub struct App(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub engine: Engine,
    pub verifier: Verifier,
    pub dev: Option<Arc<DevIssuer>>,
    pub logins: LoginProviders,
    pub providers: Providers,
    pub attempts: Arc<AttemptTokens>,
    pub clock: Arc<dyn Clock>,
    pub policy: Arc<RegoPolicyPoint>,
    pub opas: Opas,
    pub worker: WorkerCommand,
    pub signing: Arc<PolicySigning>,
    pub public_url: String,
    pub standing: Standing,
    pub damaged: Vec<TenantId>,
    pub logs: Option<Logs>,
    pub archive: Option<Archiving>,
    pub public_logs: bool,
    pub couriers: Couriers,
    pub duties: Duties,
    pub rates: Rates,
    pub telemetry: Telemetry,
    pub tenants: Vec<TenantId>,
    /// Taken by whoever serves.
    keeping: Mutex<Option<Keeping>>,
    pub candidates: Candidates,
    pub metrics: Metrics,
    pub limits: Limits,
}

impl App {
    /// Puts the parts together, with the usual capacity.
    pub fn new(parts: AppParts) -> Self {
        Self::with_capacity(parts, Capacity::default())
    }

    /// Puts the parts together.
    pub fn with_capacity(parts: AppParts, capacity: Capacity) -> Self {
        Self(Arc::new(Shared {
            engine: parts.engine,
            verifier: parts.verifier,
            dev: parts.dev,
            logins: parts.logins,
            providers: parts.providers,
            attempts: parts.attempts,
            clock: parts.clock,
            policy: parts.policy,
            opas: parts.opas,
            worker: parts.worker,
            signing: Arc::new(parts.signing),
            public_url: parts.public_url,
            standing: parts.standing,
            damaged: parts.damaged,
            logs: parts.logs,
            archive: parts.archive,
            public_logs: parts.public_logs,
            couriers: parts.couriers,
            duties: parts.duties,
            rates: parts.rates,
            telemetry: parts.telemetry,
            tenants: parts.tenants,
            keeping: Mutex::new(parts.keeping),
            candidates: Candidates::default(),
            metrics: Metrics::default(),
            limits: Limits::from(capacity),
        }))
    }

    /// Hands out what lets the logs grow, once.
    pub(crate) fn take_keeping(&self) -> Option<Keeping> {
        self.0.keeping.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns how the archive is; without one nothing waits for it.
    pub(crate) fn archive_standing(&self) -> ArchiveStanding {
        self.0.archive.as_ref().map(Archiving::standing).unwrap_or_default()
    }

    /// Returns the instant, by which deadlines and tokens are judged; refuses while the clock of this server is apart from the others'.
    pub(crate) fn now(&self) -> Answer<UnixMillis> {
        let now = self.0.clock.now();
        match self.0.standing.apart(now) {
            None => Ok(now),
            Some(apart) => Err(Failure::new(Code::NotReady, apart.to_string())),
        }
    }

    /// Refuses while the ledger is behind.
    pub(crate) fn may_write(&self) -> Answer<()> {
        match self.0.standing.behind() {
            None => Ok(()),
            Some(why) => Err(Failure::new(Code::ReadOnly, why)),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }
}
