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
    /// Whether the server stands still: then nobody renews its duties for it.
    pub(crate) stands: Arc<AtomicBool>,
}

impl Way for NodeWay {
    fn pass(&self, errand: Errand) -> Passage {
        let (there, back) = (self.weather.delay(), self.weather.delay());
        if errand == Errand::Duty && self.stands.load(Ordering::Relaxed) {
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
}
