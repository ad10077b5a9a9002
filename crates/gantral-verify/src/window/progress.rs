//! How far a long verification has come, on a terminal.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What takes less is not worth a word.
const QUIET: Duration = Duration::from_secs(1);
/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(100);
/// How wide the bar is, in characters.
const WIDTH: usize = 30;

/// A bar on standard error, which appears after a second.
pub struct Progress {
    shown: Mutex<Option<Instant>>,
    began: Instant,
    on_terminal: bool,
}

impl Progress {
    /// Begins. Nothing is ever shown unless standard error is a terminal.
    pub fn new(on_terminal: bool) -> Self {
        Self { shown: Mutex::new(None), began: Instant::now(), on_terminal }
    }

    /// Says how many are done, and of how many.
    pub fn tell(&self, done: usize, of: usize) {
        if !self.on_terminal || self.began.elapsed() < QUIET {
            return;
        }
        let Ok(mut shown) = self.shown.try_lock() else { return };
        if shown.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        *shown = Some(Instant::now());
        let filled = (WIDTH * done).checked_div(of).unwrap_or(WIDTH);
        let bar: String = (0..WIDTH).map(|at| if at < filled { '#' } else { '.' }).collect();
        // A terminal that is gone is no reason to stop.
        let _ = write!(std::io::stderr(), "\r[{bar}] {done} of {of} bundles");
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if self.shown.lock().is_ok_and(|shown| shown.is_some()) {
            let _ = write!(std::io::stderr(), "\r{:width$}\r", "", width = WIDTH + 40);
        }
    }
}
