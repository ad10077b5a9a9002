//! The policy point that asks Open Policy Agent over its REST API, beside the server or somewhere central.
//!
//! OPA is a service of its own: it gets its bundle elsewhere, may have another one than was asked for, and may be slow, wrong or gone. So
//! every answer is held against the version that was asked for ([`answer`]), and nothing that it does becomes more than an
//! [`EvalFailure`]. There is no limit on an evaluation inside OPA: the caller's is the only one.
//!
//! Who writes the input must not be able to choose an outage, which a workflow may let pass. Once an evaluation was handed over to an
//! OPA of which nothing says that it is unwell, whatever keeps it from being answered (no end in time, a process that dies over it) counts
//! as the policy's doing: [`EvalFailure::ResourceLimit`]. Only what could not be handed over is an outage. Whether OPA is well is
//! found out by a question that no input has a part in.

pub mod answer;
mod breaker;
mod http;
pub mod program;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gantral_core::ids::{IdError, Name};
use gantral_core::policy::{EvalFailure, EvaluatorId, PolicyVersionId};
use gantral_engine::policy_point::{Answered, BoxFuture, PolicyPoint};
use gantral_outbound::AddressError;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout, timeout_at};

pub use breaker::BreakerState;

use answer::{Expected, Told};
use breaker::{Breaker, Entry};
use http::{Handed, Http, NoAnswer};

/// The package of the contract, as a path.
pub const DECISION_DEFAULT: &str = "gantral/policy";
/// How many evaluations are at OPA at the same time; more would only queue there, where nobody holds a limit.
const CONCURRENT_MAX: usize = 64;
/// How many evaluations may wait for their turn; one more is refused as unavailable.
const QUEUE_MAX: usize = 1_024;
/// How long to wait before trying again: a server that restarts in place listens again in less.
const RETRY_AFTER: Duration = Duration::from_millis(10);
/// How long OPA has to show that it is alive after it let an evaluation run out of time. Many times what it takes while every processor
/// of its machine is at work on slow policies, so that these cannot make it look dead.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);
/// How long [`PolicyPoint::ready`] waits.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// Where an OPA is and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaConfig {
    /// Its address, above `v1/data`: `https`, or `http` on a loopback address.
    pub url: String,
    /// A file with a bearer token, mode 0600; read again every few seconds.
    pub token_file: Option<PathBuf>,
    /// The authorities to trust for it, PEM; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// The name that the policy's bundle has in OPA. Without it, every bundle of that OPA must be the policy.
    pub bundle: Option<String>,
    /// The package that is evaluated, as a path.
    pub decision: String,
}

impl OpaConfig {
    /// Asks the OPA at `url` for the package of the contract, without a token.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token_file: None,
            ca_file: None,
            bundle: None,
            decision: DECISION_DEFAULT.to_owned(),
        }
    }

    /// Tells whether it runs on this machine.
    pub fn is_local(&self) -> bool {
        http::is_local(&self.url)
    }
}

/// Why an OPA cannot be asked as configured. Whoever configured it is at fault; trying again is pointless.
#[derive(Debug, thiserror::Error)]
pub enum OpaConfigError {
    /// Its address or its certificate authorities, or TLS cannot be set up.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Not a package.
    #[error("`{path}` is not the path of a package such as `gantral/policy`")]
    Decision {
        /// The path, cut to a length that can be shown.
        path: String,
    },
    /// A bundle without a name.
    #[error("the name of the bundle is empty")]
    Bundle,
    /// The file of the token.
    #[error("`{path}` cannot be used: {why}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The engine's name is no name: our own mistake.
    #[error(transparent)]
    Name(#[from] IdError),
}

/// What is known of an OPA, for metrics and readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpaStatus {
    /// Whether it is asked.
    pub breaker: BreakerState,
    /// How many times the breaker opened.
    pub opened: u64,
}

/// Evaluates by asking an OPA.
#[derive(Debug)]
pub struct OpaPolicyPoint {
    engine: Name,
    bundle: Option<String>,
    /// The version of OPA that it said last.
    version: Mutex<Name>,
    /// A place for each evaluation that may be here at all, waiting ones included.
    places: Semaphore,
    /// A turn for each that may be at OPA.
    turns: Semaphore,
    shared: Arc<Shared>,
}

/// What a check in the background needs.
#[derive(Debug)]
struct Shared {
    http: Http,
    breaker: Mutex<Breaker>,
    /// Whether such a check is under way.
    checking: AtomicBool,
}

/// How one try ended.
#[derive(Debug)]
enum Try {
    /// Something answered.
    Answered(Told),
    /// Nothing answered; `handed` tells whether it was handed over.
    Lost { handed: bool },
    /// Time was up; `handed` as above.
    Late { handed: bool },
}

impl OpaPolicyPoint {
    /// Makes a policy point. Connects to nothing yet.
    ///
    /// # Errors
    /// `OpaConfigError`.
    pub fn new(config: &OpaConfig) -> Result<Self, OpaConfigError> {
        if config.bundle.as_ref().is_some_and(String::is_empty) {
            return Err(OpaConfigError::Bundle);
        }
        let shared =
            Shared { http: Http::new(config)?, breaker: Mutex::default(), checking: AtomicBool::new(false) };
        Ok(Self {
            engine: Name::parse("opa")?,
            bundle: config.bundle.clone(),
            version: Mutex::new(Name::unknown()),
            places: Semaphore::new(CONCURRENT_MAX + QUEUE_MAX),
            turns: Semaphore::new(CONCURRENT_MAX),
            shared: Arc::new(shared),
        })
    }

    /// Returns what is known of this OPA. Where the pause of an open breaker is over, it is looked at meanwhile, so that one that is back
    /// is seen to be back although nobody asks it anything. Must be called within a runtime.
    pub fn status(&self) -> OpaStatus {
        let status = {
            let breaker = self.shared.breaker();
            OpaStatus { breaker: breaker.state(Instant::now()), opened: breaker.times() }
        };
        if status.breaker == BreakerState::HalfOpen {
            self.shared.check_in_background();
        }
        status
    }

    /// Tells whether it answers a question that no policy and no input has a part in, within two seconds. Whoever looks at a deployment asks.
    pub async fn answers(&self) -> bool {
        timeout(ALIVE_WITHIN, self.shared.http.is_alive()).await == Ok(true)
    }

    async fn ask(&self, expected: &Expected<'_>, input: &[u8], limit: Duration) -> Told {
        let deadline = Instant::now() + limit;
        let Ok(_place) = self.places.try_acquire() else {
            return failed(EvalFailure::Unavailable);
        };
        let Ok(turn) = timeout_at(deadline.into(), self.turns.acquire()).await else {
            return failed(EvalFailure::DeadlineExceeded);
        };
        if turn.is_err() {
            return failed(EvalFailure::Unavailable);
        }
        let entry = self.shared.breaker().enter(Instant::now());
        match entry {
            Entry::Pass => {}
            Entry::Check => {
                if let Err(failure) = self.shared.check(deadline).await {
                    return failed(failure);
                }
            }
            Entry::Refused => return failed(EvalFailure::Unavailable),
        }
        self.tries(expected, input, deadline).await
    }

    /// Tries once, and once more if that was an outage and there is time.
    async fn tries(&self, expected: &Expected<'_>, input: &[u8], deadline: Instant) -> Told {
        let first = self.once(expected, input, deadline).await;
        let again = match &first {
            Try::Answered(told) => told.result == Err(EvalFailure::Unavailable),
            Try::Lost { .. } => true,
            Try::Late { .. } => false,
        };
        if !again || Instant::now() + RETRY_AFTER >= deadline {
            return self.shared.judge(first, false);
        }
        let handed = matches!(first, Try::Lost { handed: true });
        sleep(RETRY_AFTER).await;
        let second = self.once(expected, input, deadline).await;
        self.shared.judge(second, handed)
    }

    async fn once(&self, expected: &Expected<'_>, input: &[u8], deadline: Instant) -> Try {
        let handed = Handed::default();
        let answer = timeout_at(deadline.into(), self.shared.http.evaluate(input, &handed)).await;
        let handed = handed.is_over();
        match answer {
            Ok(Ok((status, body))) => Try::Answered(answer::read(status, &body, expected)),
            Ok(Err(NoAnswer::TooLarge)) => Try::Answered(failed(EvalFailure::ResourceLimit)),
            Ok(Err(NoAnswer::Lost)) => Try::Lost { handed },
            Err(_) => Try::Late { handed },
        }
    }

    fn expected(&self, version: PolicyVersionId) -> Expected<'_> {
        Expected { version, bundle: self.bundle.as_deref() }
    }

    /// Names the engine: the version that this answer says, else the one that was said last.
    fn by(&self, said: Option<Name>) -> EvaluatorId {
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(said) = said {
            *version = said;
        }
        EvaluatorId { engine: self.engine.clone(), version: version.clone() }
    }
}

impl Shared {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // The breaker is whole between any two statements, so a panic elsewhere leaves it usable.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what the last try comes to, and remembers what it tells of OPA. `lost` tells that an earlier try was handed over and lost:
    /// whatever an evaluation may have brought down is not an outage for that evaluation.
    fn judge(self: &Arc<Self>, last: Try, lost: bool) -> Told {
        match last {
            Try::Answered(told) if told.result != Err(EvalFailure::Unavailable) => {
                self.breaker().answered();
                told
            }
            Try::Late { handed: true } => {
                self.check_in_background();
                failed(EvalFailure::ResourceLimit)
            }
            Try::Answered(_) => self.outage(EvalFailure::Unavailable, lost),
            Try::Lost { handed } => self.outage(EvalFailure::Unavailable, lost || handed),
            Try::Late { handed: false } => self.outage(EvalFailure::DeadlineExceeded, lost),
        }
    }

    fn outage(&self, failure: EvalFailure, lost: bool) -> Told {
        self.note_outage();
        failed(if lost { EvalFailure::ResourceLimit } else { failure })
    }

    fn note_outage(&self) {
        let opened = self.breaker().outage(Instant::now());
        if opened {
            tracing::warn!(
                opa = self.http.host(),
                "the policy evaluator has outages and is left alone for a while"
            );
        }
    }

    /// Finds out whether OPA is alive before anything is handed over to it.
    async fn check(&self, deadline: Instant) -> Result<(), EvalFailure> {
        let failure = match timeout_at(deadline.into(), self.http.is_alive()).await {
            Ok(true) => {
                self.breaker().alive();
                return Ok(());
            }
            Ok(false) => EvalFailure::Unavailable,
            Err(_) => EvalFailure::DeadlineExceeded,
        };
        self.note_outage();
        Err(failure)
    }

    /// Finds out whether an OPA that let an evaluation run out of time, or was left alone, is alive at all; if it is not, those that come
    /// next are held back until it is.
    fn check_in_background(self: &Arc<Self>) {
        if self.checking.swap(true, Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            match timeout(ALIVE_WITHIN, shared.http.is_alive()).await {
                Ok(true) => shared.breaker().alive(),
                Ok(false) | Err(_) => shared.note_outage(),
            }
            shared.checking.store(false, Ordering::Relaxed);
        });
    }
}

impl PolicyPoint for OpaPolicyPoint {
    fn evaluate<'a>(
        &'a self,
        version: PolicyVersionId,
        input: &'a [u8],
        limit: Duration,
    ) -> BoxFuture<'a, Answered> {
        Box::pin(async move {
            let told = self.ask(&self.expected(version), input, limit).await;
            Answered { by: self.by(told.opa), result: told.result }
        })
    }

    fn ready<'a>(&'a self, version: PolicyVersionId) -> BoxFuture<'a, Result<(), EvalFailure>> {
        Box::pin(async move {
            match timeout(READY_WITHIN, self.shared.http.version()).await {
                Ok(Ok((status, body))) => answer::read_version(status, &body, &self.expected(version)),
                Ok(Err(NoAnswer::TooLarge)) => Err(EvalFailure::Malformed),
                Ok(Err(NoAnswer::Lost)) => Err(EvalFailure::Unavailable),
                Err(_) => Err(EvalFailure::DeadlineExceeded),
            }
        })
    }
}

const fn failed(failure: EvalFailure) -> Told {
    Told { opa: None, result: Err(failure) }
}
