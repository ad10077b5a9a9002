//! Faults on purpose, at the seam where the environment would cause them.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

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
            Some(Fault::Failed) => Err(StoreError::Failed { reason: "a planned fault".to_owned() }),
            Some(Fault::FailedUnknown) => Err(StoreError::Unknown { reason: "a planned fault".to_owned() }),
            Some(Fault::FailedButPersisted) => {
                write.await?;
                Err(StoreError::Unknown { reason: "a planned fault".to_owned() })
            }
        }
    }

    fn with<R>(&self, run: impl FnOnce(&mut Plan) -> R) -> R {
        // The plan is plain data: a panic elsewhere leaves it whole.
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
