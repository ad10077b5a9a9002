//! Runs a target over its seeds, and then over damaged ones, for as long as the terms say.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use rustix::time::{ClockId, clock_gettime};

use crate::memory::peak_growth;
use crate::mutate::Mutator;
use crate::target::{Seen, Target};

/// The most processor time that one input may take, whatever it is: far above what any took, with optimisation or without.
pub const INPUT_TIME_MAX: Duration = Duration::from_secs(2);
/// The most memory that reading any inputs may add at its peak, in bytes.
pub const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// How many inputs are kept because they were read, or refused in a way that is new.
const KEPT_MAX: usize = 1_000;
/// How long damaged seeds are tried when nobody says.
const SECONDS_DEFAULT: f64 = 1.0;
/// Where numbers begin when nobody says: each run then tries the same inputs, as far as it comes.
const SEED_DEFAULT: u64 = 1;

/// How a target is run.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How long damaged seeds are tried.
    pub time: Duration,
    /// Where numbers begin.
    pub seed: u64,
    /// The folder into which an input goes that breaks a promise.
    pub folder: PathBuf,
}

/// What a run has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many seeds there were.
    pub seeds: usize,
    /// How many of them were read.
    pub seeds_accepted: usize,
    /// How many damaged seeds were tried.
    pub tried: usize,
    /// How many of them were read.
    pub tried_accepted: usize,
    /// In how many ways inputs were refused.
    pub classes: usize,
    /// The processor time of the slowest input.
    pub slowest: Duration,
    /// By how many bytes memory grew; `None` where that is not told.
    pub grown: Option<u64>,
}

/// A promise that was broken, and where the input is that broke it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{target}: {why}\nhint: `cargo run -p gantral-fuzz -- {target} {}` tries it again", .input.display())]
pub struct Failure {
    /// The name of the target.
    pub target: &'static str,
    /// Which promise.
    pub why: String,
    /// The file that holds the input.
    pub input: PathBuf,
}

impl Terms {
    /// Returns the terms that the environment asks for: `GANTRAL_FUZZ_SECONDS`, 1 if it is not set, and `GANTRAL_FUZZ_SEED`.
    pub fn from_environment() -> Self {
        let read = |name: &str| env::var(name).ok();
        let seconds = read("GANTRAL_FUZZ_SECONDS").and_then(|text| text.parse::<f64>().ok());
        let time = Duration::try_from_secs_f64(seconds.unwrap_or(SECONDS_DEFAULT)).unwrap_or(Duration::MAX);
        let seed = read("GANTRAL_FUZZ_SEED").and_then(|text| text.parse().ok()).unwrap_or(SEED_DEFAULT);
        let target = read("CARGO_TARGET_DIR").map(PathBuf::from);
        let target =
            target.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")));
        Self { time, seed, folder: target.join("fuzz") }
    }

    /// Runs a target. Runs alone: the memory of the whole process is measured.
    ///
    /// # Errors
    /// [`Failure`]: the first input that broke a promise, which was kept.
    pub fn run(&self, target: &Target, seeds: &[Vec<u8>]) -> Result<Tally, Failure> {
        let (tally, grown) = peak_growth(|| self.feed(target, seeds));
        let tally = Tally { grown, ..tally? };
        if tally.grown.is_some_and(|grown| grown > GROWTH_BYTES_MAX) {
            let why = format!("memory grew by {} MiB", tally.grown.unwrap_or_default() >> 20);
            return Err(self.failure(target, why, &[]));
        }
        Ok(tally)
    }

    fn feed(&self, target: &Target, seeds: &[Vec<u8>]) -> Result<Tally, Failure> {
        let mut tally = Tally {
            seeds: seeds.len(),
            seeds_accepted: 0,
            tried: 0,
            tried_accepted: 0,
            classes: 0,
            slowest: Duration::ZERO,
            grown: None,
        };
        let mut classes = BTreeSet::new();
        let mut pool = Vec::new();
        for seed in seeds {
            let (seen, took) = self.one(target, seed)?;
            tally.seeds_accepted += usize::from(seen == Seen::Accepted);
            tally.slowest = tally.slowest.max(took);
            classes.insert(seen);
            if seed.len() <= target.bytes_max {
                pool.push(seed.clone());
            }
        }
        let mut mutator = Mutator::new(self.seed, target.tokens, target.bytes_max);
        let start = Instant::now();
        let room = pool.len() + KEPT_MAX;
        while start.elapsed() < self.time {
            let input = mutator.make(&pool);
            let (seen, took) = self.one(target, &input)?;
            tally.tried += 1;
            tally.tried_accepted += usize::from(seen == Seen::Accepted);
            tally.slowest = tally.slowest.max(took);
            // What is read after damage, or refused in a new way, is further inside than its parent.
            if (classes.insert(seen) || seen == Seen::Accepted) && pool.len() < room {
                pool.push(input);
            }
        }
        tally.classes = classes.len();
        Ok(tally)
    }

    /// Tries one input.
    ///
    /// # Errors
    /// [`Failure`], and the input was kept.
    pub fn one(&self, target: &Target, input: &[u8]) -> Result<(Seen, Duration), Failure> {
        let start = processor_time();
        let answer = catch_unwind(AssertUnwindSafe(|| (target.check)(input)));
        let took = processor_time().saturating_sub(start);
        let seen = match answer {
            Ok(Ok(seen)) => seen,
            Ok(Err(broken)) => return Err(self.failure(target, broken.to_string(), input)),
            Err(panic) => {
                return Err(self.failure(target, format!("panic: {}", said(panic.as_ref())), input));
            }
        };
        if took > INPUT_TIME_MAX {
            return Err(self.failure(target, format!("took {took:?} of processor time"), input));
        }
        Ok((seen, took))
    }

    /// Keeps the input, under a name that says what it is of and differs from others.
    fn failure(&self, target: &Target, why: String, input: &[u8]) -> Failure {
        let digest = gantral_core::digest::Digest::of(input).to_hex();
        let name = digest.get(..16).unwrap_or_default();
        let path = self.folder.join(target.name).join(name);
        let kept = fs::create_dir_all(self.folder.join(target.name)).and_then(|()| fs::write(&path, input));
        let why = match kept {
            Ok(()) => why,
            Err(error) => format!("{why} (the input could not be kept: {error})"),
        };
        Failure { target: target.name, why: format!("{why} (seed {})", self.seed), input: path }
    }
}

/// Returns the processor time of this thread: other work on the machine does not count.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
