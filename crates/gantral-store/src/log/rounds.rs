//! Where the artifacts of one round stand in a log, and what is written upon a checkpoint.

use super::{LogRow, runs};

/// The most witnesses of one checkpoint: those of a policy.
pub(crate) const WITNESSES_MAX: u8 = 64;

/// The artifacts that a log took in one round, and the place of the first of them.
#[derive(Debug)]
pub(crate) struct Round {
    numbers: Vec<u64>,
    position: u64,
}

impl Round {
    /// Reads a round that begins with the artifact `first` at `position`.
    pub(crate) fn read(first: u64, position: u64, numbers: &[u8]) -> Self {
        Self { numbers: runs::decode(first, numbers), position }
    }

    /// Returns the place of an artifact in the log; `None` when the round did not take it.
    pub(crate) fn place(&self, number: u64) -> Option<u64> {
        let index = self.numbers.binary_search(&number).ok()?;
        Some(self.position.saturating_add(index as u64))
    }
}

/// Adds lines to a note, those that it has not yet.
pub(crate) fn add_lines<'a>(note: &mut String, lines: impl Iterator<Item = &'a str>) {
    for line in lines {
        let line = line.trim_end_matches('\n');
        if !note.lines().any(|known| known == line) {
            note.push_str(line);
            note.push('\n');
        }
    }
}

/// Returns what is kept of a checkpoint, with how many witnesses, once `row` comes with `witnesses`; `None` when that changes nothing.
///
/// # Errors
/// Another tree of this size was cosigned.
pub(crate) fn cosigned_then(
    before: Option<(LogRow, u8)>,
    row: &LogRow,
    witnesses: u8,
) -> Result<Option<(LogRow, u8)>, &'static str> {
    let Some((kept, count)) = before else { return Ok(Some((row.clone(), witnesses))) };
    if kept.root != row.root {
        return Err("another tree of this size was cosigned");
    }
    let mut next = kept.clone();
    add_lines(&mut next.checkpoint, row.checkpoint.lines());
    let then = (next, witnesses.max(count));
    Ok((then != (kept, count)).then_some(then))
}
