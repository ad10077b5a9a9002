//! What is counted of messages.

use std::sync::atomic::AtomicU64;

use gantral_core::time::UnixMillis;
use gantral_notify::ChannelStatus;
use gantral_store::OutboxCount;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Word, age, gauge};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelLabel {
    channel: Word,
}

/// What is known of the channels.
pub(crate) struct Told {
    /// Since the start.
    pub channels: Vec<ChannelStatus>,
    /// What stands in the outbox.
    pub counts: Vec<OutboxCount>,
}

/// What is counted of each channel.
#[derive(Default)]
pub(super) struct ToldMetrics {
    waiting: Family<ChannelLabel, Gauge>,
    oldest: Family<ChannelLabel, Gauge<f64, AtomicU64>>,
    dead: Family<ChannelLabel, Gauge>,
    delivered: Family<ChannelLabel, Gauge<f64, AtomicU64>>,
    failed: Family<ChannelLabel, Gauge<f64, AtomicU64>>,
    gone: Family<ChannelLabel, Gauge>,
}

impl ToldMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("notifications_waiting", "Messages that wait for a channel", self.waiting.clone());
        registry.register(
            "notifications_oldest_seconds",
            "How long the oldest of them has waited",
            self.oldest.clone(),
        );
        registry.register("notifications_dead", "Messages that were given up", self.dead.clone());
        registry.register(
            "notifications_delivered",
            "Messages that a channel has taken since the start",
            self.delivered.clone(),
        );
        registry.register("notifications_failed", "Tries that failed since the start", self.failed.clone());
        registry.register(
            "notifications_channel_gone",
            "1 once a channel has answered 410, until the next start",
            self.gone.clone(),
        );
    }

    pub(super) fn show(&self, told: &Told, now: UnixMillis) {
        let sum = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        for channel in &told.channels {
            let label = ChannelLabel { channel: Word(channel.name.as_str().to_owned()) };
            let count = told.counts.iter().find(|count| count.recipient == channel.name);
            self.waiting.get_or_create(&label).set(gauge(count.map_or(0, |count| count.waiting)));
            self.dead.get_or_create(&label).set(gauge(count.map_or(0, |count| count.dead)));
            let oldest = count.and_then(|count| count.oldest);
            self.oldest.get_or_create(&label).set(age(oldest, now));
            self.delivered.get_or_create(&label).set(sum(channel.delivered));
            self.failed.get_or_create(&label).set(sum(channel.failed));
            self.gone.get_or_create(&label).set(i64::from(channel.gone));
        }
    }
}
