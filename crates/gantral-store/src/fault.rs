//! Faults on purpose, at the seam where the environment would cause them.
//!
//! A [`FaultPlan`] lets single writes of a file fail. A [`Way`] stands between one server of a simulation and the store that all of its
//! servers share: it says of each call how long it is under way and what becomes of it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::StoreError;

/// How one write fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is kept, and the error says so.
    Failed,
    /// Everything is kept, and the error says that this is unknown.
    FailedButPersisted,
    /// Nothing is kept, and the error says that this is unknown.
    FailedUnknown,
}

impl Fault {
    /// Carries a write out, or not, and answers as this fault does.
    async fn of<T>(self, write: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let reason = "a planned fault".to_owned();
        match self {
            Self::Failed => Err(StoreError::Failed { reason }),
            Self::FailedUnknown => Err(StoreError::Unknown { reason }),
            Self::FailedButPersisted => {
                write.await?;
                Err(StoreError::Unknown { reason })
            }
        }
    }
}

#[derive(Debug, Default)]
struct Plan {
    writes: u64,
    faults: BTreeMap<u64, Fault>,
}

/// Says which writes fail, counted from 1 over every kind of write. Clones share one plan.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan(Arc<Mutex<Plan>>);

impl FaultPlan {
    /// Makes a plan without faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the `nth` write since the plan began fail; the first is 1.
    pub fn fail(&self, nth: u64, fault: Fault) {
        self.with(|plan| plan.faults.insert(nth, fault));
    }

    /// Lets the write after the last one fail.
    pub fn fail_next(&self, fault: Fault) {
        self.with(|plan| plan.faults.insert(plan.writes.saturating_add(1), fault));
    }

    /// Returns how many writes were asked for so far.
    pub fn writes(&self) -> u64 {
        self.with(|plan| plan.writes)
    }

    /// Counts one write and runs it as planned.
    pub(crate) async fn around<T>(
        &self,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let planned = self.with(|plan| {
            plan.writes = plan.writes.saturating_add(1);
            plan.faults.remove(&plan.writes)
        });
        match planned {
            None => write.await,
            Some(fault) => fault.of(write).await,
        }
    }

    fn with<R>(&self, run: impl FnOnce(&mut Plan) -> R) -> R {
        // The plan is plain data: a panic elsewhere leaves it whole.
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is asked of a store over a [`Way`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Something is read.
    Read,
    /// Something is written, in one transaction.
    Write,
    /// A duty is taken, renewed or given back.
    Duty,
}

/// How one call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passage {
    /// How long until the store begins with it.
    pub there: Duration,
    /// How it fails, if it does. A read that fails is read or not: that makes no difference.
    pub fault: Option<Fault>,
    /// How long the answer is under way.
    pub back: Duration,
    /// A write is answered as if it were kept, and nothing is. No store may do this: it is here to show that a simulation notices.
    pub forgotten: bool,
}

/// The way from one server of a simulation to the store.
pub trait Way: fmt::Debug + Send + Sync {
    /// Says how the next call goes.
    fn pass(&self, errand: Errand) -> Passage;

    /// Hears that a write has been carried out, before anybody is told.
    fn written(&self);

    /// Tells whether a claim to the logs gets a number of its own, which fences off whoever had them before. No store may leave that out: it is
    /// here, as [`Passage::forgotten`] is, to show that a simulation notices.
    fn numbers_claims(&self) -> bool {
        true
    }
}

/// Carries a read out over a way.
pub(crate) async fn read_over<T>(
    way: &dyn Way,
    read: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let passage = way.pass(Errand::Read);
    wait(passage.there).await;
    let answer = match passage.fault {
        None => read.await,
        Some(_) => Err(StoreError::Failed { reason: "a planned fault".to_owned() }),
    };
    wait(passage.back).await;
    answer
}

/// Carries out what is asked of the duties over a way.
pub(crate) async fn duty_over<T>(
    way: Option<&Arc<dyn Way>>,
    ask: impl FnOnce() -> T,
) -> Result<T, StoreError> {
    let Some(way) = way else { return Ok(ask()) };
    let passage = way.pass(Errand::Duty);
    wait(passage.there).await;
    let answer = Passage::outcome(passage.fault, async { Ok(ask()) }).await;
    wait(passage.back).await;
    answer
}

/// Carries a write out over a way. Once it is sent it is carried out, whatever becomes of who sent it. `write` is told whether to forget
/// what it has done.
pub(crate) async fn write_over<T: Send + 'static, W>(
    way: &Arc<dyn Way>,
    write: impl FnOnce(bool) -> W + Send + 'static,
) -> Result<T, StoreError>
where
    W: Future<Output = Result<T, StoreError>> + Send,
{
    let passage = way.pass(Errand::Write);
    let hears = Arc::clone(way);
    let sent = tokio::spawn(async move {
        wait(passage.there).await;
        let outcome = Passage::outcome(passage.fault, write(passage.forgotten)).await;
        hears.written();
        outcome
    });
    let answer = sent.await.unwrap_or_else(|lost| Err(StoreError::Unknown { reason: lost.to_string() }));
    wait(passage.back).await;
    answer
}

impl Passage {
    async fn outcome<T>(
        fault: Option<Fault>,
        run: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match fault {
            None => run.await,
            Some(fault) => fault.of(run).await,
        }
    }
}

/// Waits by the clock of the runtime, which a simulation moves.
async fn wait(time: Duration) {
    if time > Duration::ZERO {
        tokio::time::sleep(time).await;
    }
}
