//! What stands between spans that end and whatever carries them: so many of them, and no more.
//!
//! The library has a queue with a thread of its own. It tells nobody how many spans it dropped, and whoever waits for it to be empty
//! blocks; so this is ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc;

/// Takes spans that end.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    pub(crate) spans: mpsc::Sender<SpanData>,
    /// How many spans were dropped.
    pub(crate) dropped: Arc<AtomicU64>,
}

impl Queue {
    /// Queues a span, or drops it.
    pub(crate) fn put(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        last_words(&mut span.attributes);
        self.put(span);
    }

    /// Whoever carries spans is told when to end, and carries what there is.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Leaves the last of several members of one name: a collector may refuse a span that says something twice.
fn last_words(members: &mut Vec<KeyValue>) {
    let mut kept: Vec<KeyValue> = Vec::with_capacity(members.len());
    for member in members.drain(..) {
        match kept.iter_mut().find(|before| before.key == member.key) {
            Some(before) => *before = member,
            None => kept.push(member),
        }
    }
    *members = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_member_counts() {
        let said = |key: &'static str, value: i64| KeyValue::new(key, value);
        let mut members = vec![said("a", 1), said("b", 2), said("a", 3)];
        last_words(&mut members);
        assert_eq!(members, [said("a", 3), said("b", 2)]);
    }
}
