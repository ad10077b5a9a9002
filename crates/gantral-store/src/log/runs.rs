//! Rising numbers as runs: what follows without a gap costs nothing.
//!
//! For each run the gap before it and its length, each in groups of seven bits with the lowest first; a group that is not the
//! last has its highest bit set. The gap before the first run is 0.

/// How many numbers one row holds at most; more are damage.
const NUMBERS_MAX: u64 = super::LOG_PAGE_MAX as u64;

/// Writes numbers that rise.
pub(crate) fn encode(numbers: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut end = numbers.first().copied().unwrap_or_default();
    for run in numbers.chunk_by(|one, next| one.checked_add(1) == Some(*next)) {
        let first = run.first().copied().unwrap_or_default();
        put(&mut bytes, first.saturating_sub(end));
        put(&mut bytes, run.len() as u64);
        end = first.saturating_add(run.len() as u64);
    }
    bytes
}

/// Reads the numbers from `first` on. Bytes that say nothing are left out: whoever looks for a number then misses it.
pub(crate) fn decode(first: u64, bytes: &[u8]) -> Vec<u64> {
    let mut bytes = bytes.iter();
    let (mut numbers, mut next) = (Vec::new(), first);
    while let (Some(gap), Some(length)) = (get(&mut bytes), get(&mut bytes)) {
        let room = NUMBERS_MAX.saturating_sub(numbers.len() as u64);
        let from = next.saturating_add(gap);
        next = from.saturating_add(length.min(room));
        numbers.extend(from..next);
    }
    numbers
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn get<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
