//! What a target is: a decoder, and what it promises of any bytes.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::seeds::Vectors;

/// One decoder.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its seeds in `corpus/`, and of its program in `fuzz/`.
    pub name: &'static str,
    /// The longest input that is worth making, in bytes: around the limit of the decoder, or where longer ones show nothing new.
    pub bytes_max: usize,
    /// Words of its format.
    pub tokens: &'static [&'static str],
    /// Returns seeds, beside those of `corpus/`.
    pub seeds: fn(&Vectors) -> Vec<Vec<u8>>,
    /// Reads bytes, and says whether what the decoder promises held.
    pub check: fn(&[u8]) -> Answer,
}

/// What a decoder did with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    /// It read them.
    Accepted,
    /// It refused them, for a reason of this class: equal classes stand for one branch of the decoder, more or less.
    Refused(u64),
}

/// A promise that a decoder did not keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

/// What a target says about bytes.
pub type Answer = Result<Seen, Broken>;

/// Classes a refusal by its message, whatever numbers stand in it.
pub fn refused(error: &impl Display) -> Seen {
    let mut hasher = DefaultHasher::new();
    let message = error.to_string();
    // What stands in backticks came with the input.
    for part in message.split('`').step_by(2) {
        part.chars().filter(|c| !c.is_ascii_digit()).for_each(|c| c.hash(&mut hasher));
    }
    Seen::Refused(hasher.finish())
}

/// Holds a decoder to a promise.
///
/// # Errors
/// [`Broken`] with the words of the promise, if it does not hold.
pub fn ensure(holds: bool, promise: &str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(format!("broken: {promise}"))) }
}

/// Reads twice, and returns what was read if it was the same.
///
/// # Errors
/// [`Broken`] if it was not.
pub fn twice<T: PartialEq>(read: impl Fn() -> T) -> Result<T, Broken> {
    let first = read();
    ensure(first == read(), "the same bytes are read as the same")?;
    Ok(first)
}
