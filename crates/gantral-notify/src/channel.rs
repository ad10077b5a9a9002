//! One channel: who is told, by which way, and for how long a message is tried.

use std::time::Duration;

use gantral_core::ids::{Name, TenantId};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::mail::Mailbox;
use crate::told::Told;
use crate::webhook::Webhook;

/// For how long a message is tried when the configuration does not say.
pub const RETRY_FOR_DEFAULT: DurationMs = DurationMs::from_secs(24 * 3_600);

/// A channel, as it is configured.
#[derive(Debug, Clone)]
pub struct ChannelConfig {
    /// Its name, unique among all.
    pub name: Name,
    /// The tenant whose gates it is told of.
    pub tenant: TenantId,
    /// For how long a message is tried before it is given up.
    pub retry_for: DurationMs,
    /// How often it is told.
    pub pace: Pace,
}

/// How often a channel is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Of each message by itself, at once.
    Each,
    /// Of so many messages within each span of this length at most: the last of them is a digest of all that wait by then.
    AtMost {
        /// How many, at least one.
        messages: u64,
        /// Within how long.
        within: DurationMs,
    },
    /// Of all together, once the first of them has waited so long; what has been decided meanwhile is left out.
    Digest {
        /// How long.
        every: DurationMs,
    },
}

/// By which way a channel is told.
#[derive(Debug)]
pub enum Way {
    /// A request.
    Webhook(Webhook),
    /// A mail.
    Mail(Mailbox),
}

impl From<Webhook> for Way {
    fn from(webhook: Webhook) -> Self {
        Self::Webhook(webhook)
    }
}

impl From<Mailbox> for Way {
    fn from(mailbox: Mailbox) -> Self {
        Self::Mail(mailbox)
    }
}

/// Somebody who can be told.
#[derive(Debug)]
pub struct Channel {
    config: ChannelConfig,
    way: Way,
}

/// What came of one try. Words hold nothing secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It was taken.
    Taken,
    /// The receiver wants nothing more.
    Gone,
    /// The receiver takes nothing now, whatever it is: no message is at fault, and none is put off for it.
    Away {
        /// Why.
        why: String,
        /// For how long it asks to be left alone.
        wait: Option<Duration>,
    },
    /// Anything else.
    Failed(String),
}

impl Channel {
    /// Puts a channel together.
    pub fn new(config: ChannelConfig, way: impl Into<Way>) -> Self {
        Self { config, way: way.into() }
    }

    /// Returns its name.
    pub fn name(&self) -> &Name {
        &self.config.name
    }

    /// Returns the tenant whose gates it is told of.
    pub fn tenant(&self) -> &TenantId {
        &self.config.tenant
    }

    /// Returns how often it is told.
    pub(crate) fn pace(&self) -> Pace {
        self.config.pace
    }

    /// Returns since when a message may have waited: one that has waited since then or longer is given up when it fails.
    pub(crate) fn given_up_since(&self, now: UnixMillis) -> UnixMillis {
        now.minus(self.config.retry_for)
    }

    /// Returns how many messages may be under way at once, each of another gate.
    pub(crate) fn at_once(&self) -> usize {
        match (&self.way, self.config.pace) {
            (Way::Webhook(webhook), Pace::Each) => webhook.at_once(),
            (Way::Webhook(_) | Way::Mail(_), _) => 1,
        }
    }

    /// Tries to deliver a message once. `source` is the URL under which people reach the server.
    pub(crate) async fn tell(&self, told: &Told, source: &str, now: UnixMillis) -> Tried {
        match &self.way {
            Way::Webhook(webhook) => webhook.tell(told, source, now).await,
            Way::Mail(mailbox) => mailbox.tell(told, source, now).await,
        }
    }
}
