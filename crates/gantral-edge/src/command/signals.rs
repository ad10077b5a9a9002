//! Signals that come while a command runs.

use std::future::poll_fn;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// Signals that are caught, for as long as this process lives.
pub(super) struct Signals(Vec<(Stream, Signal)>);

impl Signals {
    /// Catches these signals from now on. What cannot be caught keeps its meaning.
    pub(super) fn catch(signals: &[Signal]) -> Self {
        let caught = signals.iter().filter_map(|number| {
            let stream = signal(SignalKind::from_raw(number.as_raw())).ok()?;
            Some((stream, *number))
        });
        Self(caught.collect())
    }

    /// Returns the next signal that has come.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (stream, number) in &mut self.0 {
                if matches!(stream.poll_recv(context), Poll::Ready(Some(()))) {
                    return Poll::Ready(*number);
                }
            }
            Poll::Pending
        })
        .await
    }
}
