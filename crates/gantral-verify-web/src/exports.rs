//! What JavaScript can call. Everything is a number: bytes come in and go out in words, so that nobody on either side holds an
//! address in the memory of the other.
//!
//! One module instance makes one verification. In order: for each value `gantral_begin`, `gantral_push` until all of it is there,
//! and `gantral_give`; with a mirror, `gantral_mirror` and what it asks for; for a window, after its trust file, its statement, its list
//! and what lies under its `keys/`, `gantral_window` and the bundles that it asks for; then `gantral_verify`, and `gantral_tell` for
//! each form of the answer.
#![expect(
    unsafe_code,
    reason = "a name that is exported unmangled could collide with another; these have a prefix of their own, and no body is unsafe"
)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::session::{Form, Kind, Session};

static SESSION: Mutex<Session> = Mutex::new(Session::new());

/// How many bytes one call brings: eight words.
const PUSH_BYTES: usize = 32;

fn session() -> MutexGuard<'static, Session> {
    SESSION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins a value of `length` bytes and of a [`Kind`]; returns 1 if it is taken, 0 if it is too large or of no kind.
#[unsafe(no_mangle)]
pub extern "C" fn gantral_begin(kind: u32, length: u32) -> u32 {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let taken = Kind::from_number(kind).is_some_and(|kind| session().begin(kind, length));
    u32::from(taken)
}

/// Adds the next 32 bytes of the value, in eight words of which the least significant byte is the first; what goes beyond
/// the length of the value is left out. Fewer words a call would take longer for a large bundle.
#[unsafe(no_mangle)]
pub extern "C" fn gantral_push(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32) {
    let mut bytes = [0; PUSH_BYTES];
    for (four, word) in bytes.chunks_exact_mut(4).zip([a, b, c, d, e, f, g, h]) {
        four.copy_from_slice(&word.to_le_bytes());
    }
    session().push(&bytes);
}

/// Ends the value; returns 1 if it was taken, 0 if there is no verdict any more: `gantral_tell` says why.
#[unsafe(no_mangle)]
pub extern "C" fn gantral_give() -> u32 {
    u32::from(session().give())
}

/// Begins or goes on with the mirror: returns 1 if an object is wanted, and `gantral_tell` has its names, one a line, the
/// better first; 0 if the mirror was read, or there is no verdict any more.
#[unsafe(no_mangle)]
pub extern "C" fn gantral_mirror() -> u32 {
    u32::from(session().next_object())
}

/// Begins or goes on with the window: judges the bundle that was given since the last call, and returns 1 if another is wanted, and
/// `gantral_tell` has its names, one a line, the better first; a bundle that is not there is not given. Returns 0 if the window was
/// read to its end, or there is no verdict any more.
#[unsafe(no_mangle)]
pub extern "C" fn gantral_window() -> u32 {
    u32::from(session().next_bundle())
}

/// Verifies; returns 0 for VALID, 1 for INVALID, 2 for INCONCLUSIVE and 3 if there is no verdict.
#[unsafe(no_mangle)]
pub extern "C" fn gantral_verify() -> u32 {
    u32::from(session().verify())
}

/// Makes an answer in a [`Form`] and returns its length in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn gantral_tell(form: u32) -> u32 {
    let length = Form::from_number(form).map_or(0, |form| session().tell(form));
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Returns four bytes of the answer, the first in the least significant place; zeros stand behind its end.
#[unsafe(no_mangle)]
pub extern "C" fn gantral_word(at: u32) -> u32 {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    session().word(at)
}
