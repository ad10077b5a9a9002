//! What waits for the next statement or transaction, while as many are under way as there may be.
//!
//! One that comes while there is room is served at once. So nothing waits but for what is under way, and what has waited goes together.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

/// How many go together at most: where more wait, more at once would serve them no sooner.
const TOGETHER_MAX: usize = 64;
/// How many statements or transactions are under way at once before the next one waits: while one is worked through, the next is prepared.
const UNDER_WAY: usize = 2;
/// How long those that come after one under way wait for it: many times what it takes, unless it waits for a row that somebody else holds.
const PATIENCE: Duration = Duration::from_millis(100);

/// Those who wait, as many as there are callers.
pub(super) struct Queue<T>(Mutex<State<T>>);

struct State<T> {
    waiting: VecDeque<T>,
    /// How many serve.
    under_way: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Mutex::new(State { waiting: VecDeque::new(), under_way: 0 }))
    }
}

impl<T> Queue<T> {
    /// Adds one that waits; tells whether the caller has to begin serving.
    pub(super) fn add(&self, one: T) -> bool {
        let mut state = self.state();
        state.waiting.push_back(one);
        let serves = state.under_way < UNDER_WAY;
        if serves {
            state.under_way += 1;
        }
        serves
    }

    /// Takes what waits and `may_go` with what was taken before it. Where nothing does, the caller no longer serves.
    pub(super) fn take(&self, mut may_go: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut state = self.state();
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        for one in mem::take(&mut state.waiting) {
            if taken.len() < TOGETHER_MAX && may_go(&one) {
                taken.push(one);
            } else {
                left.push_back(one);
            }
        }
        state.waiting = left;
        if taken.is_empty() {
            state.under_way -= 1;
        }
        taken
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Plain data: a panic elsewhere leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves those who wait, as many at once as `next` takes, until it takes nobody. What takes longer goes on beside what comes after it.
pub(super) async fn serve<T, F>(next: impl Fn() -> Vec<T>, work: impl Fn(Vec<T>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let taken = next();
        if taken.is_empty() {
            return;
        }
        let _ = timeout(PATIENCE, tokio::spawn(work(taken))).await;
    }
}
