//! A request while this process has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use gantral_api::wire::CallWaiting;
use tokio::sync::watch;

use super::Governor;
use crate::answer::Answer;
use crate::reply::Problem;

/// How far a request is, for whoever waits for it.
#[derive(Debug, Clone)]
pub enum Progress {
    /// It is asked for.
    Asking,
    /// Humans decide.
    Waiting(Arc<CallWaiting>),
    /// It was sent.
    Begun,
    /// There is something to tell.
    Ready(Ready),
}

/// What whoever waits is told.
#[derive(Debug, Clone)]
pub enum Ready {
    /// What the service answers.
    Answer(Answer),
    /// Why it does not.
    Problem(Problem),
}

/// A request.
#[derive(Debug)]
pub struct Live {
    /// Names it.
    pub key: String,
    progress: watch::Sender<Progress>,
    holders: AtomicUsize,
    waited: AtomicBool,
    unknown: AtomicBool,
    delivered: AtomicBool,
    ended: watch::Sender<bool>,
}

impl Live {
    /// Takes a request that is about to be asked for.
    pub fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            progress: watch::Sender::new(Progress::Asking),
            holders: AtomicUsize::new(0),
            waited: AtomicBool::new(false),
            unknown: AtomicBool::new(false),
            delivered: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        }
    }

    /// Returns what tells how far it is.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Tells how far it is.
    pub fn tell(&self, progress: Progress) {
        if matches!(progress, Progress::Waiting(_)) {
            self.set_waited();
        }
        self.progress.send_replace(progress);
    }

    /// Notes that whoever sends it again means this one.
    pub fn set_waited(&self) {
        self.waited.store(true, Ordering::Release);
    }

    /// Tells whether whoever sends it again means this one.
    pub fn has_waited(&self) -> bool {
        self.waited.load(Ordering::Acquire)
    }

    /// Notes that it was sent, and that nobody knows what came of it.
    pub fn set_unknown(&self) {
        self.unknown.store(true, Ordering::Release);
    }

    /// Tells whether nobody knows what came of it.
    pub fn is_unknown(&self) -> bool {
        self.unknown.load(Ordering::Acquire)
    }

    /// Tells whether anybody waits for it, or reads its answer.
    pub fn is_held(&self) -> bool {
        self.holders.load(Ordering::Acquire) > 0
    }

    /// Notes that somebody has read what there was to tell.
    pub fn delivered(&self) {
        self.delivered.store(true, Ordering::Release);
    }

    /// Tells whether somebody has read it.
    pub fn is_delivered(&self) -> bool {
        self.delivered.load(Ordering::Acquire)
    }

    /// Notes that nothing more happens to it.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Tells whether nothing more happens to it.
    pub fn is_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until nothing more happens to it.
    pub async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        // The sender is here.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Waits until there is an answer to the question whether it may be sent.
    pub async fn asked(&self) {
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|progress| !matches!(progress, Progress::Asking)).await;
    }

    /// Tells whether something is owed that a person need not do.
    pub fn is_under_way(&self) -> bool {
        let waits = matches!(*self.progress.borrow(), Progress::Waiting(_));
        !waits && !self.is_ended()
    }
}

/// Somebody waits for a request, or reads its answer, as long as this is held.
pub struct Holds {
    governor: Arc<Governor>,
    live: Arc<Live>,
}

impl Holds {
    /// Says that somebody waits. Taken while nothing else looks at the calls.
    pub fn of(governor: &Arc<Governor>, live: &Arc<Live>) -> Self {
        live.holders.fetch_add(1, Ordering::AcqRel);
        Self { governor: governor.clone(), live: live.clone() }
    }

    /// Returns the request.
    pub fn live(&self) -> &Live {
        &self.live
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        self.live.holders.fetch_sub(1, Ordering::AcqRel);
        self.governor.look(&self.live);
    }
}

/// Room for a body in a file, given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    pub(super) taken: Arc<AtomicU64>,
    pub(super) bytes: u64,
}

impl Room {
    /// Takes so many bytes of `max`.
    pub fn take(taken: &Arc<AtomicU64>, bytes: u64, max: u64) -> Option<Self> {
        let more = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= max);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        taken.fetch_update(order.0, order.1, more).ok().map(|_| Self { taken: taken.clone(), bytes })
    }
}
