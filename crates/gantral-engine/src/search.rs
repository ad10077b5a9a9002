//! Between which commits a span of time lies: a bisection over the order of the commits, by the instants that samples of it tell.
//!
//! Artifacts are numbered as they commit and sealed a moment before, so that their instants rise with their numbers, but for how long a
//! command takes and for corrections of the clock. Both are allowed for by a margin. Samples stand evenly over the whole ledger first, and
//! where the clock went back by more than the margin it is looked more closely: a clock that was wrong for longer than between two of
//! them hides nothing.

use std::collections::BTreeMap;

use gantral_core::time::{DurationMs, UnixMillis};
use gantral_store::COMMITS_MAX;

/// How far the order of the commits and that of the instants may differ: what a clock is corrected by without anybody noticing, and far
/// longer than any command takes.
const SKEW_MAX: DurationMs = DurationMs::from_secs(3_600);

/// How many samples are taken evenly; each costs about as much as reading one artifact of a chain.
const SAMPLES: u64 = 128;

/// What is known of the order of the commits while a span of time is looked for in it.
#[derive(Debug)]
pub(crate) struct Search {
    newest: u64,
    early: UnixMillis,
    late: UnixMillis,
    /// The instants of the samples by their numbers; `None` where one tells nothing.
    samples: BTreeMap<u64, Option<UnixMillis>>,
}

/// Where an instant lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Within,
    After,
    Unknown,
}

/// What there is between two samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    Something,
    /// Something, and perhaps much else.
    Mixed,
}

impl Search {
    /// Begins to look for what was sealed from `from` to before `to`, among the artifacts up to the number `newest`.
    pub(crate) fn new(newest: u64, (from, to): (UnixMillis, UnixMillis)) -> Self {
        let early = from.get().saturating_sub(SKEW_MAX.get());
        let early = UnixMillis::new(early).unwrap_or(UnixMillis::EPOCH);
        // Nothing stands before the first artifact, and no clock goes back behind this instant.
        let samples = BTreeMap::from([(0, Some(UnixMillis::EPOCH))]);
        Self { newest, early, late: to.plus(SKEW_MAX), samples }
    }

    /// Returns the numbers whose instants must be known next; none when the search is at its end.
    pub(crate) fn wanted(&self) -> Vec<u64> {
        if self.newest == 0 {
            return Vec::new();
        }
        if self.samples.len() == 1 {
            let apart = self.newest.div_ceil(SAMPLES).max(COMMITS_MAX);
            let evenly = (1..SAMPLES).map(|place| place.saturating_mul(apart));
            return evenly.take_while(|number| *number < self.newest).chain([self.newest]).collect();
        }
        let mixed = self.between().filter(|(_, between)| *between == Between::Mixed);
        mixed.map(|((first, last), _)| first.midpoint(last)).collect()
    }

    /// Learns the instants of what was wanted.
    pub(crate) fn learn(&mut self, samples: impl IntoIterator<Item = (u64, Option<UnixMillis>)>) {
        self.samples.extend(samples);
    }

    /// Returns the numbers between which everything of the span lies, first and last of each part included, rising.
    pub(crate) fn found(&self) -> Vec<(u64, u64)> {
        let mut parts: Vec<(u64, u64)> = Vec::new();
        for ((before, last), between) in self.between() {
            if between == Between::Nothing {
                continue;
            }
            match parts.last_mut() {
                Some(part) if part.1 == before => part.1 = last,
                Some(_) | None => parts.push((before.saturating_add(1), last)),
            }
        }
        parts
    }

    /// Goes through the neighbours among the samples: what there is after the one and up to the other.
    fn between(&self) -> impl Iterator<Item = ((u64, u64), Between)> {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        pairs.map(|((before, first), (number, last))| {
            let went_back =
                matches!((first, last), (Some(first), Some(last)) if last.plus(SKEW_MAX) < *first);
            let between = match (self.side(*first), self.side(*last)) {
                (Side::Before, Side::Before) | (Side::After, Side::After) if !went_back => Between::Nothing,
                (Side::Within, Side::Within) => Between::Something,
                _ if number.saturating_sub(*before) <= COMMITS_MAX => Between::Something,
                _ => Between::Mixed,
            };
            ((*before, *number), between)
        })
    }

    fn side(&self, at: Option<UnixMillis>) -> Side {
        match at {
            None => Side::Unknown,
            Some(at) if at < self.early => Side::Before,
            Some(at) if at >= self.late => Side::After,
            Some(_) => Side::Within,
        }
    }
}

#[cfg(test)]
mod tests;
