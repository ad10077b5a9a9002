//! Takes the values of secrets out of what a process prints, before it is written down.
//!
//! A safety net, not a promise: whatever is printed in another form (encoded, in pieces) is not recognised.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// What stands for a value.
const MASK: &[u8] = b"***";
/// The shortest value that is masked, in bytes: a shorter one is no secret, and would make a log unreadable.
const VALUE_BYTES_MIN: usize = 4;
/// The shortest line of a value of several lines that is masked by itself, in bytes.
const LINE_BYTES_MIN: usize = 8;

/// A filter for one stream of output.
pub(super) struct Mask {
    /// What is looked for, longest first.
    values: Vec<Vec<u8>>,
    /// The end of what came so far: it may be the beginning of a value.
    held: Vec<u8>,
}

impl Mask {
    /// Masks values, and the lines of those that have several: a key is often printed by the line.
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a OsStr>) -> Self {
        let mut mask = Self { values: Vec::new(), held: Vec::new() };
        for secret in secrets {
            mask.add(secret.as_bytes());
        }
        mask
    }

    /// Masks one more value from now on.
    pub(super) fn add(&mut self, secret: &[u8]) {
        let lines = secret.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let lines = lines.filter(|line| line.len() >= LINE_BYTES_MIN);
        let whole = std::iter::once(secret).filter(|value| value.len() >= VALUE_BYTES_MIN);
        self.values.extend(whole.chain(lines).map(<[u8]>::to_vec));
        self.values.sort_unstable_by(|one: &Vec<u8>, other| other.len().cmp(&one.len()).then(one.cmp(other)));
        self.values.dedup();
    }

    /// Returns what may be written of everything that came so far.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        self.scan(false)
    }

    /// Returns what was held back, once nothing more comes.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        self.scan(true)
    }

    fn scan(&mut self, is_end: bool) -> Vec<u8> {
        let text = std::mem::take(&mut self.held);
        let mut clean = Vec::with_capacity(text.len());
        let mut rest = text.as_slice();
        while let Some((first, others)) = rest.split_first() {
            if !is_end && self.may_begin(rest) {
                break;
            }
            if let Some(after) = self.values.iter().find_map(|value| rest.strip_prefix(value.as_slice())) {
                clean.extend_from_slice(MASK);
                rest = after;
            } else {
                clean.push(*first);
                rest = others;
            }
        }
        self.held = rest.to_vec();
        clean
    }

    /// Tells whether what comes next may make a value of it.
    fn may_begin(&self, rest: &[u8]) -> bool {
        self.values.iter().any(|value| value.len() > rest.len() && value.starts_with(rest))
    }
}

#[cfg(test)]
mod tests;
