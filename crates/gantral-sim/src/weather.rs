//! What the environment does to servers: how long calls to the store take, which fail, and how, by chance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gantral_store::fault::{Errand, Fault, Passage, Way};

use crate::auditor::Auditor;
use crate::rng::Rng;

/// What is wrong on purpose with what servers stand on. Nothing of it is in their own code: a simulation that does not notice is blind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// The store sometimes says that a write is kept, and keeps nothing of it.
    LostFlush,
    /// Claims to the logs have no numbers, so that comparing them fences nobody off: a server that stood still for longer than its duty lasts, and
    /// does not know it yet, publishes what it meant to.
    MissingFence,
    /// The keys of requests are lost on the way, so that nobody looks up whether one was carried out before.
    IgnoredKeys,
}

impl Mistake {
    /// Every mistake, with its name on the command line.
    pub const ALL: [(&'static str, Self); 3] = [
        ("lost-flush", Self::LostFlush),
        ("missing-fence", Self::MissingFence),
        ("ignored-keys", Self::IgnoredKeys),
    ];
}

/// Of a thousand writes, how many fail in each way while there is a storm.
const WRITES: [(u64, Fault); 3] =
    [(12, Fault::Failed), (15, Fault::FailedButPersisted), (8, Fault::FailedUnknown)];
/// Of a thousand reads, how many fail.
const READS: u64 = 8;
/// Of a thousand calls, how many are slow in one direction.
const SLOW: u64 = 20;
/// How long a call is under way in one direction, if it is not slow.
const QUICK: Duration = Duration::from_millis(4);
/// How long a slow one is.
const SLOWEST: Duration = Duration::from_millis(3_500);
/// Of a thousand writes, how many a store forgets that forgets.
const FORGOTTEN: u64 = 10;

/// The weather of one run.
#[derive(Debug)]
pub struct Weather {
    rng: Rng,
    storm: AtomicBool,
    mistake: Option<Mistake>,
}

impl Weather {
    /// Begins with a storm.
    pub fn new(rng: Rng, mistake: Option<Mistake>) -> Self {
        Self { rng, storm: AtomicBool::new(true), mistake }
    }

    /// Ends the storm: from now on nothing fails.
    pub fn calm(&self) {
        self.storm.store(false, Ordering::Relaxed);
    }

    /// Tells whether something may fail.
    pub fn is_stormy(&self) -> bool {
        self.storm.load(Ordering::Relaxed)
    }

    /// Returns what is wrong on purpose.
    pub const fn mistake(&self) -> Option<Mistake> {
        self.mistake
    }

    /// Says how long something takes in one direction.
    pub fn delay(&self) -> Duration {
        if self.is_stormy() && self.rng.permille(SLOW) {
            self.rng.between(QUICK, SLOWEST)
        } else {
            self.rng.between(Duration::ZERO, QUICK)
        }
    }

    /// Says whether something goes wrong, so many times out of a thousand.
    pub fn fails(&self, permille: u64) -> bool {
        self.is_stormy() && self.rng.permille(permille)
    }

    fn fault(&self, errand: Errand) -> Option<Fault> {
        match errand {
            Errand::Read => self.fails(READS).then_some(Fault::Failed),
            Errand::Write | Errand::Duty => {
                let mut drawn = if self.is_stormy() { self.rng.below(1_000) } else { u64::MAX };
                WRITES.iter().find_map(|(share, fault)| {
                    let hit = drawn < *share;
                    drawn = drawn.saturating_sub(*share);
                    hit.then_some(*fault)
                })
            }
        }
    }
}

/// The way of one server to the store.
#[derive(Debug)]
pub struct NodeWay {
    pub(crate) weather: Arc<Weather>,
    pub(crate) auditor: Auditor,
    pub(crate) standing: Arc<Standing>,
}

/// Whether a server stands still, as one that the system has stopped: then nobody renews its duties for it.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) now: AtomicBool,
    /// Whether it does as soon as it has sent its next write: it learns what came of it when it goes on, and then others may have its duties.
    pub(crate) after_a_write: AtomicBool,
}

impl Way for NodeWay {
    fn pass(&self, errand: Errand) -> Passage {
        let (there, back) = (self.weather.delay(), self.weather.delay());
        if errand == Errand::Write && self.standing.after_a_write.swap(false, Ordering::Relaxed) {
            self.auditor.happened("a server stands still in the middle of a write");
            self.standing.now.store(true, Ordering::Relaxed);
        }
        if errand == Errand::Duty && self.standing.now.load(Ordering::Relaxed) {
            return Passage { there, back, fault: Some(Fault::Failed), forgotten: false };
        }
        let fault = self.weather.fault(errand);
        let forgets = self.weather.mistake() == Some(Mistake::LostFlush) && errand == Errand::Write;
        let forgotten = forgets && fault.is_none() && self.weather.fails(FORGOTTEN);
        Passage { there, back, fault, forgotten }
    }

    fn written(&self) {
        self.auditor.look();
    }

    fn numbers_claims(&self) -> bool {
        self.weather.mistake() != Some(Mistake::MissingFence)
    }
}
