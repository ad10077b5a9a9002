//! How many attempts run at the same time, in all and of one queue.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use gantral_core::ids::Name;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of a runner.
pub(super) struct Places {
    all: Arc<Semaphore>,
    per_queue: BTreeMap<Name, Arc<Semaphore>>,
}

/// A place that is taken; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _one_of_all: OwnedSemaphorePermit,
    _one_of_queue: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new(all: NonZeroUsize, per_queue: &BTreeMap<Name, NonZeroUsize>) -> Self {
        let semaphore =
            |count: NonZeroUsize| Arc::new(Semaphore::new(count.get().min(Semaphore::MAX_PERMITS)));
        let per_queue = per_queue.iter().map(|(queue, count)| (queue.clone(), semaphore(*count))).collect();
        Self { all: semaphore(all), per_queue }
    }

    /// Takes a place for an attempt of a queue: waits until one of all is free. `None` if the queue is full.
    pub(super) async fn take(&self, queue: &Name) -> Option<Place> {
        let one_of_queue = match self.per_queue.get(queue) {
            Some(places) => Some(Arc::clone(places).try_acquire_owned().ok()?),
            None => None,
        };
        // Never closed.
        let one_of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Place { _one_of_all: one_of_all, _one_of_queue: one_of_queue })
    }
}
