//! Damage to seeds: small, mostly in place, and the same for the same numbers.

use crate::rng::Rng;

/// The most damages of one input.
const STACKED_MAX: usize = 5;
/// The longest run of bytes that is inserted, removed or repeated.
const RUN_BYTES_MAX: usize = 64;
/// Decimal numbers at which something ends.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "-0",
    "00",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "4294967295",
    "4294967296",
    "9007199254740991",
    "9007199254740992",
    "-9007199254740992",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1.0",
    "1e0",
    "1e999",
    "0.1",
];
/// Binary numbers at which something ends.
const WORDS: &[u64] =
    &[0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 53, i64::MAX as u64, u64::MAX];
/// What is inserted whatever the format is.
const TOKENS: &[&str] = &[
    "\0",
    "\n",
    "\n\n",
    "\r\n",
    " ",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\u{202e}",
    "\u{200b}",
    "e\u{301}",
    "=",
    "==",
    "+",
    "/",
    ".",
    "..",
    "\u{2014} ",
];

/// Makes inputs out of others.
#[derive(Debug, Clone)]
pub struct Mutator {
    rng: Rng,
    tokens: Vec<&'static str>,
    bytes_max: usize,
}

impl Mutator {
    /// Starts at a seed. `tokens` are words of the format, `bytes_max` is the longest input that is made.
    pub fn new(seed: u64, tokens: &[&'static str], bytes_max: usize) -> Self {
        let tokens = TOKENS.iter().chain(tokens).copied().collect();
        Self { rng: Rng::new(seed), tokens, bytes_max }
    }

    /// Returns one of a pool, damaged. Of an empty pool: damaged nothing.
    pub fn make(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.rng.pick(pool).cloned().unwrap_or_default();
        for _ in 0..=self.rng.below(STACKED_MAX) {
            self.damage(&mut bytes, pool);
        }
        bytes.truncate(self.bytes_max);
        bytes
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, pool: &[Vec<u8>]) {
        match self.rng.below(14) {
            0 | 1 => {
                let bit = 1 << self.rng.below(8);
                self.overwrite(bytes, |old| old ^ bit);
            }
            2 => {
                let byte = self.rng.byte();
                self.overwrite(bytes, |_| byte);
            }
            3 => {
                let run: Vec<u8> = (0..=self.rng.below(8)).map(|_| self.rng.byte()).collect();
                self.insert(bytes, &run);
            }
            4 => drop(bytes.drain(self.range(bytes.len()))),
            5 => {
                let run = bytes.get(self.range(bytes.len())).unwrap_or_default().to_vec();
                self.insert(bytes, &run);
            }
            6 => self.splice(bytes, pool),
            7 => {
                let token = self.token();
                self.insert(bytes, token.as_bytes());
            }
            8 => {
                let token = self.token().as_bytes();
                let at = self.rng.below(bytes.len());
                bytes.iter_mut().skip(at).zip(token).for_each(|(to, from)| *to = *from);
            }
            9 | 10 => self.renumber(bytes),
            11 => {
                let word = self.rng.pick(WORDS).copied().unwrap_or_default().to_be_bytes();
                let width = 1 << self.rng.below(4);
                let at = self.rng.below(bytes.len());
                let word = word.iter().skip(word.len() - width);
                bytes.iter_mut().skip(at).zip(word).for_each(|(to, from)| *to = *from);
            }
            12 => bytes.truncate(self.rng.below(bytes.len())),
            _ => self.lines(bytes),
        }
    }

    fn token(&mut self) -> &'static str {
        self.rng.pick(&self.tokens).copied().unwrap_or_default()
    }

    /// Returns a short range within a length.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.rng.below(length);
        start..length.min(start + self.rng.below(RUN_BYTES_MAX))
    }

    fn overwrite(&mut self, bytes: &mut [u8], with: impl FnOnce(u8) -> u8) {
        let at = self.rng.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = with(*byte);
        }
    }

    fn insert(&mut self, bytes: &mut Vec<u8>, run: &[u8]) {
        let at = self.rng.below(bytes.len() + 1);
        bytes.splice(at..at, run.iter().copied());
    }

    /// Puts the end of another input behind the beginning of this one.
    fn splice(&mut self, bytes: &mut Vec<u8>, pool: &[Vec<u8>]) {
        let Some(other) = self.rng.pick(pool) else { return };
        bytes.truncate(self.rng.below(bytes.len() + 1));
        bytes.extend_from_slice(other.get(self.rng.below(other.len())..).unwrap_or_default());
    }

    /// Replaces the first run of digits behind a place by a number at which something ends.
    fn renumber(&mut self, bytes: &mut Vec<u8>) {
        let from = self.rng.below(bytes.len());
        let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let start = bytes.iter().skip(from).position(u8::is_ascii_digit).map(|at| from + at);
        if let Some(start) = start {
            let length = digits(bytes.get(start..).unwrap_or_default());
            let number = self.rng.pick(NUMBERS).copied().unwrap_or_default();
            bytes.splice(start..start + length, number.bytes());
        }
    }

    /// Repeats a line, removes it, or lets it trade its place with the next.
    fn lines(&mut self, bytes: &mut Vec<u8>) {
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        if lines.len() < 2 {
            return;
        }
        let at = self.rng.below(lines.len() - 1);
        match self.rng.below(3) {
            0 => lines.extend_from_within(at..=at),
            1 => drop(lines.remove(at)),
            _ => lines.swap(at, at + 1),
        }
        *bytes = lines.concat();
    }
}
