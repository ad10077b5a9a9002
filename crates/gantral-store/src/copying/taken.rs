//! What a log took, put together again from its rounds.

use crate::log::{LOG_PAGE_MAX, LogRow};

/// How many rounds of a log are read at a time.
pub(crate) const ROUNDS: usize = 256;

/// The numbers of the artifacts that a log took, in the order of its leaves.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The place of the next leaf.
    position: u64,
    /// What is not shown yet.
    pending: Vec<u64>,
}

impl Taken {
    /// Returns the place of the next leaf.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Adds what a round took, which must stand at the next place.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn add(&mut self, at: u64, numbers: Vec<u64>) -> Result<(), String> {
        if at != self.position || numbers.is_empty() {
            return Err(format!("nothing says what stands at index {}", self.position));
        }
        self.position = self.position.saturating_add(numbers.len() as u64);
        self.pending.extend(numbers);
        Ok(())
    }

    /// Returns the numbers that are shown next, if they fill a page, or if there are no more rounds and any are left.
    pub(crate) fn page(&mut self, is_last: bool) -> Option<Vec<u64>> {
        let is_due = self.pending.len() >= LOG_PAGE_MAX || (is_last && !self.pending.is_empty());
        is_due.then(|| {
            let rest = self.pending.split_off(self.pending.len().min(LOG_PAGE_MAX));
            std::mem::replace(&mut self.pending, rest)
        })
    }

    /// Returns how many leaves there are, which must be as many as the ledger says.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn end(self, log: &LogRow) -> Result<u64, String> {
        if self.position == log.size {
            Ok(self.position)
        } else {
            Err(format!("what it took is known of {} leaves, and it has {}", self.position, log.size))
        }
    }
}
