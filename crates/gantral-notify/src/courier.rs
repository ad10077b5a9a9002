//! Carrying messages to channels: in order for each gate, at least once, each channel by itself.
//!
//! What is not delivered stands in the store, so that nothing is lost when the process ends at any point; a message whose delivery was
//! not noted yet is delivered again, under the same identifier. Only how long a receiver that is away is left alone is in memory.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use gantral_core::ids::Name;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_store::{Attempted, OutboxRow, OutboxTurn, Store, StoreError};

use crate::backoff::{PAUSE_MAX, pause};
use crate::channel::{Channel, Tried};

/// How often the outbox of a channel is looked at while there is nothing to do.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the outbox is left alone when the store cannot be read or written.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// Why what waits for a channel that wants nothing more is given up.
const GONE: &str = "the receiver answered 410: it wants nothing more";

/// Why what grew too old while the channel took nothing is given up, where it was not tried itself.
const UNTRIED: &str = "the channel took nothing for as long as messages are tried";

/// What tells the time.
pub type Now = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// What is known of one channel since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Its name.
    pub name: Name,
    /// How many messages it has taken.
    pub delivered: u64,
    /// How many tries have failed.
    pub failed: u64,
    /// Whether it said that it wants nothing more.
    pub gone: bool,
}

/// What carries messages to one channel.
struct Courier {
    channel: Channel,
    delivered: AtomicU64,
    failed: AtomicU64,
    gone: AtomicBool,
}

/// What came of one look at the outbox.
enum Round {
    /// There was nothing to do.
    Idle,
    /// The channel has taken something, or something was put away; it asks to be left alone for so long.
    Carried(Duration),
    /// It took nothing, for this reason, and asks to be left alone for so long.
    Away(String, Duration),
}

/// What carries messages to all channels. Cheap to clone.
#[derive(Clone, Default)]
pub struct Couriers(Arc<Vec<Courier>>);

impl Couriers {
    /// Prepares to carry messages. Connects to nothing.
    pub fn new(channels: Vec<Channel>) -> Self {
        let courier = |channel| Courier {
            channel,
            delivered: AtomicU64::default(),
            failed: AtomicU64::default(),
            gone: AtomicBool::default(),
        };
        Self(Arc::new(channels.into_iter().map(courier).collect()))
    }

    /// Returns the channels.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.0.iter().map(|courier| &courier.channel)
    }

    /// Returns what is known of each.
    pub fn status(&self) -> Vec<ChannelStatus> {
        let of = |courier: &Courier| ChannelStatus {
            name: courier.channel.name().clone(),
            delivered: courier.delivered.load(Ordering::Relaxed),
            failed: courier.failed.load(Ordering::Relaxed),
            gone: courier.gone.load(Ordering::Relaxed),
        };
        self.0.iter().map(of).collect()
    }

    /// Carries until `stop` is over. What is under way then is carried again after the next start. While `may_write` says no, nothing is.
    pub async fn run(
        &self,
        store: &Store,
        source: &str,
        now: Now,
        may_write: impl Fn() -> bool,
        stop: impl Future<Output = ()>,
    ) {
        let road = Road { store, source, now };
        let carried = join_all(self.0.iter().map(|courier| courier.carry(&road, &may_write)));
        tokio::select! {
            _ = carried => {}
            () = stop => {}
        }
    }
}

/// What all couriers go by.
struct Road<'a> {
    store: &'a Store,
    source: &'a str,
    now: Now,
}

impl Courier {
    /// Carries for ever.
    async fn carry(&self, road: &Road<'_>, may_write: &impl Fn() -> bool) {
        let channel = self.channel.name();
        let mut failures: u64 = 0;
        loop {
            if !may_write() {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            let wait = match self.round(road, failures > 0).await {
                Ok(Round::Idle) => LOOK_EVERY,
                Ok(Round::Carried(wait)) => {
                    if failures > 0 {
                        tracing::info!(%channel, "the channel takes messages again");
                    }
                    failures = 0;
                    wait
                }
                Ok(Round::Away(why, wait)) => {
                    failures = failures.saturating_add(1);
                    if failures == 1 {
                        tracing::warn!(%channel, %why, "the channel takes no messages; they are kept and tried again");
                    }
                    pause(failures).max(wait)
                }
                Err(error) => {
                    tracing::error!(%channel, %error, "the outbox cannot be read or written");
                    STORE_PAUSE
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Tries what may be tried now: of each gate the first message, and only one message of all while the channel is away.
    async fn round(&self, road: &Road<'_>, away: bool) -> Result<Round, StoreError> {
        let (now, name) = ((road.now)(), self.channel.name());
        let gone = self.gone.load(Ordering::Relaxed);
        let latest = now.plus(longest());
        let turn = OutboxTurn { recipient: name.clone(), now, latest };
        let rows = road.store.outbox(turn, if away && !gone { 1 } else { self.channel.at_once() }).await?;
        if rows.is_empty() {
            return Ok(Round::Idle);
        }
        if gone {
            road.store.settle_outbox(name, rows.iter().map(|row| buried(row, false, GONE)).collect()).await?;
            return Ok(Round::Carried(Duration::ZERO));
        }
        let tried = join_all(rows.iter().map(|row| self.channel.tell(row, road.source, now))).await;
        let (now, mut taken, mut why, mut longest_wait) = ((road.now)(), 0, None, Duration::ZERO);
        let mut attempted = Vec::with_capacity(rows.len());
        for (row, tried) in rows.iter().zip(tried) {
            attempted.push(match tried {
                Tried::Taken => {
                    taken += 1;
                    Attempted::Delivered { number: row.number }
                }
                Tried::Gone => {
                    if !self.gone.swap(true, Ordering::Relaxed) {
                        tracing::warn!(channel = %name, "{GONE}; what waits for it is given up");
                    }
                    buried(row, true, GONE)
                }
                Tried::Away { why: failure, wait } => {
                    longest_wait = longest_wait.max(wait.unwrap_or_default());
                    why = Some(failure.clone());
                    // It keeps its place: what is tried first when the receiver is back is what waits longest.
                    self.missed(row, now, now, failure)
                }
                Tried::Failed(failure) => {
                    why = Some(failure.clone());
                    let after = u64::try_from(pause(row.attempts.saturating_add(1)).as_millis());
                    let due_at = now.plus(DurationMs::new(after.unwrap_or(u64::MAX)));
                    self.missed(row, now, due_at, failure)
                }
            });
        }
        self.delivered.fetch_add(taken, Ordering::Relaxed);
        let tried = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        self.failed.fetch_add(tried.saturating_sub(taken), Ordering::Relaxed);
        road.store.settle_outbox(name, attempted).await?;
        let Some(why) = why.filter(|_| taken == 0) else { return Ok(Round::Carried(longest_wait)) };
        // While it takes nothing only one message is tried at a time: the others grow old too.
        let given_up = road.store.give_up(name, self.channel.given_up_since(now), UNTRIED).await?;
        if given_up > 0 {
            tracing::warn!(channel = %name, given_up, "messages have waited too long and are given up");
        }
        Ok(Round::Away(why, longest_wait))
    }

    /// A message that failed is tried again at this instant, unless it is too old.
    fn missed(&self, row: &OutboxRow, now: UnixMillis, due_at: UnixMillis, failure: String) -> Attempted {
        if row.queued_at <= self.channel.given_up_since(now) {
            tracing::warn!(channel = %self.channel.name(), gate = %row.gate.id, kind = %row.kind, %failure,
                "a message is given up");
            return buried(row, true, &failure);
        }
        Attempted::Failed { number: row.number, due_at, failure }
    }
}

fn buried(row: &OutboxRow, tried: bool, why: &str) -> Attempted {
    Attempted::Dead { number: row.number, tried, failure: why.to_owned() }
}

/// The longest time for which a message is put off.
fn longest() -> DurationMs {
    DurationMs::new(u64::try_from(PAUSE_MAX.as_millis()).unwrap_or(u64::MAX))
}
