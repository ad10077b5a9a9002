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

/// What may go wrong while there is a storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A call takes long in one direction.
    Slow,
    /// A read fails.
    Read,
    /// A write fails, and nothing of it is kept.
    Write,
    /// A write is said to have failed, and is kept.
    KeptWrite,
    /// Nobody learns what came of a write.
    UnknownWrite,
    /// Nothing is signed.
    Signature,
    /// Policy does not answer.
    Evaluation,
    /// A message is not taken, or is taken and nobody learns of it.
    Message,
    /// Of the objects of a log only some are written.
    Objects,
    /// The answer to a caller is lost.
    Answer,
    /// A request arrives twice.
    Twice,
    /// An agent is never heard of again.
    Agent,
    /// A server is killed.
    Kill,
    /// A server stands still.
    Stand,
    /// The clock of a server steps.
    Clock,
}

/// Every trouble, and how often it comes where it does, out of a thousand times.
const TROUBLES: [(Trouble, u64); 15] = [
    (Trouble::Slow, 20),
    (Trouble::Read, 8),
    (Trouble::Write, 12),
    (Trouble::KeptWrite, 15),
    (Trouble::UnknownWrite, 8),
    (Trouble::Signature, 8),
    (Trouble::Evaluation, 15),
    (Trouble::Message, 50),
    (Trouble::Objects, 30),
    (Trouble::Answer, 40),
    (Trouble::Twice, 40),
    (Trouble::Agent, 80),
    (Trouble::Kill, 1_000),
    (Trouble::Stand, 1_000),
    (Trouble::Clock, 1_000),
];
/// What a write may come to.
const WRITES: [(Trouble, Fault); 3] = [
    (Trouble::Write, Fault::Failed),
    (Trouble::KeptWrite, Fault::FailedButPersisted),
    (Trouble::UnknownWrite, Fault::FailedUnknown),
];
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
    /// The troubles of this world, with how often they come. Half of the worlds have all; the others lack about every second, so that none hides what another
    /// leads to.
    troubles: Vec<(Trouble, u64)>,
    mistake: Option<Mistake>,
}

impl Weather {
    /// Begins with a storm.
    pub fn new(rng: Rng, mistake: Option<Mistake>) -> Self {
        let has_all = rng.permille(500);
        let troubles = TROUBLES.into_iter().filter(|_| rng.permille(500) || has_all).collect();
        Self { rng, storm: AtomicBool::new(true), troubles, mistake }
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
        if self.brings(Trouble::Slow) {
            self.rng.between(QUICK, SLOWEST)
        } else {
            self.rng.between(Duration::ZERO, QUICK)
        }
    }

    /// Says whether something goes wrong this time.
    pub(crate) fn brings(&self, trouble: Trouble) -> bool {
        let known = self.troubles.iter().find(|(known, _)| *known == trouble);
        self.is_stormy() && known.is_some_and(|(_, share)| self.rng.permille(*share))
    }

    fn fault(&self, errand: Errand) -> Option<Fault> {
        match errand {
            Errand::Read => self.brings(Trouble::Read).then_some(Fault::Failed),
            Errand::Write | Errand::Duty => {
                WRITES.iter().find_map(|(trouble, fault)| self.brings(*trouble).then_some(*fault))
            }
        }
    }

    /// Says whether a store that forgets does so this time.
    fn forgets(&self) -> bool {
        self.mistake == Some(Mistake::LostFlush) && self.is_stormy() && self.rng.permille(FORGOTTEN)
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
        let forgotten = errand == Errand::Write && fault.is_none() && self.weather.forgets();
        Passage { there, back, fault, forgotten }
    }

    fn written(&self) {
        self.auditor.look();
    }

    fn numbers_claims(&self) -> bool {
        self.weather.mistake() != Some(Mistake::MissingFence)
    }
}
