//! Carrying messages to channels: in order for each gate, at least once, each channel by itself and as often as it may be told.
//!
//! What is not delivered stands in the store, so that nothing is lost when the process ends at any point; a message whose delivery was
//! not noted yet is delivered again, under the same identifier. Only how long a receiver that is away is left alone is in memory.
//!
//! Of several servers one carries to a channel at a time, which keeps the order and the pace: the one that has its duty
//! ([`Duty::Courier`]). When it is killed another one carries after the lease has run out, and what was sent and not noted is sent again.
//! One that was stopped for longer than its lease, and goes on, finds out when it would note what it has sent.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use gantral_core::ids::{GateId, Name, TenantId};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_store::{
    About, Attempted, Counted, Duties, Duty, Gathered, Held, OnDuty, OutboxRow, OutboxTurn, Store, StoreError,
};

use crate::backoff::{PAUSE_MAX, pause};
use crate::channel::{Channel, Pace, Tried};
use crate::digest::{Composed, compose};
use crate::told::{Member, Told, message_id};

/// How often the outbox of a channel is looked at while there is nothing to do.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How many messages are given up at once that a channel wants no more.
const BURIED_AT_ONCE: usize = 100;
/// How many messages are looked at for one digest.
const GATHERED_MAX: usize = 1_000;
/// How long the outbox is left alone when the store cannot be read or written.
const STORE_PAUSE: Duration = Duration::from_secs(2);
/// Why what waits for a channel that wants nothing more is given up.
const GONE: &str = "the receiver answered 410: it wants nothing more";

/// Why what grew too old while the channel took nothing is given up, where it was not tried itself.
const UNTRIED: &str = "the channel took nothing for as long as messages are tried";

/// What tells the time.
pub type Now = Arc<dyn Fn() -> UnixMillis + Send + Sync>;
/// What reads the members of an action's parameters that its workflow lets messages about a gate show.
pub type Shown =
    Arc<dyn Fn(TenantId, GateId) -> BoxFuture<'static, Result<Vec<Member>, Unread>> + Send + Sync>;

/// Why members cannot be read now. May be tried again.
#[derive(Debug, thiserror::Error)]
#[error("what a message may show cannot be read: {0}")]
pub struct Unread(pub String);

/// Why nothing is carried now.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unread(#[from] Unread),
}

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
    /// Another server carries to the channel by now, and nothing of the round was noted.
    PassedBy,
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

    /// Carries until `stop` is over, to those channels to which no other server does. What is under way then is carried again after the next
    /// start, or by the next server, which may begin at once. While `may_write` says no, nothing is.
    pub async fn run(&self, road: Road<'_>, may_write: impl Fn() -> bool, stop: impl Future<Output = ()>) {
        let stop = stop.shared();
        let carried = self.0.iter().map(|courier| courier.serve(&road, &may_write, stop.clone()));
        tokio::join!(join_all(carried), stop.clone());
    }
}

/// What all messages come from.
pub struct Road<'a> {
    /// Where they wait.
    pub store: &'a Store,
    /// What this server does, and no other at the same time.
    pub duties: &'a Duties,
    /// The URL under which people reach the server.
    pub source: &'a str,
    /// The time.
    pub now: Now,
    /// What they may show.
    pub shown: Shown,
}

/// What is said at once, and the messages that are done with it.
struct Job {
    told: Told,
    rows: Vec<OutboxRow>,
}

impl Courier {
    /// Carries whenever it is this server's duty, until `stop` is over.
    async fn serve(
        &self,
        road: &Road<'_>,
        may_write: &impl Fn() -> bool,
        stop: impl Future<Output = ()> + Clone,
    ) {
        let duty = Duty::Courier(self.channel.name().clone());
        loop {
            let on_duty = tokio::select! {
                biased;
                () = stop.clone() => return,
                on_duty = road.duties.wait(&duty) => on_duty,
            };
            tokio::select! {
                biased;
                () = stop.clone() => {}
                () = self.carry(road, may_write, &on_duty) => {}
            }
            on_duty.release().await;
        }
    }

    /// Carries until another server may.
    async fn carry(&self, road: &Road<'_>, may_write: &impl Fn() -> bool, on_duty: &OnDuty) {
        tokio::select! {
            () = self.rounds(road, may_write, on_duty.held()) => {}
            () = on_duty.lost() => {}
        }
        tracing::info!(channel = %self.channel.name(), "another server carries to the channel");
    }

    async fn rounds(&self, road: &Road<'_>, may_write: &impl Fn() -> bool, held: &Held) {
        let channel = self.channel.name();
        let mut failures: u64 = 0;
        loop {
            if !may_write() {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            let wait = match self.round(road, held, failures > 0).await {
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
                Ok(Round::PassedBy) => return,
                Err(error) => {
                    tracing::error!(%channel, %error, "messages wait: the outbox cannot be read or written");
                    STORE_PAUSE
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    /// Tries what may be tried now.
    async fn round(&self, road: &Road<'_>, held: &Held, away: bool) -> Result<Round, RoundError> {
        let (now, name) = ((road.now)(), self.channel.name());
        if self.gone.load(Ordering::Relaxed) {
            return self.bury(road, held, now).await;
        }
        let jobs = self.jobs(road, held, now, away).await?;
        if jobs.is_empty() {
            return Ok(Round::Idle);
        }
        let tried = join_all(jobs.iter().map(|job| self.channel.tell(&job.told, road.source, now))).await;
        let (now, mut taken, mut why, mut longest_wait) = ((road.now)(), 0, None, Duration::ZERO);
        let mut attempted = Vec::new();
        for (job, tried) in jobs.iter().zip(tried) {
            match &tried {
                Tried::Taken => taken += job.rows.len(),
                Tried::Gone if !self.gone.swap(true, Ordering::Relaxed) => {
                    tracing::warn!(channel = %name, "{GONE}; what waits for it is given up");
                }
                Tried::Gone => {}
                Tried::Away { why: failure, wait } => {
                    longest_wait = longest_wait.max(wait.unwrap_or_default());
                    why = Some(failure.clone());
                }
                Tried::Failed(failure) => why = Some(failure.clone()),
            }
            attempted.extend(job.rows.iter().map(|row| self.attempted(row, now, &tried)));
        }
        let failed = attempted.len().saturating_sub(taken);
        self.delivered.fetch_add(u64::try_from(taken).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.failed.fetch_add(u64::try_from(failed).unwrap_or(u64::MAX), Ordering::Relaxed);
        let counted = self.counted(now).filter(|_| taken > 0);
        if !road.store.settle_outbox(held, attempted, counted).await? {
            return Ok(Round::PassedBy);
        }
        let Some(why) = why.filter(|_| taken == 0) else { return Ok(Round::Carried(longest_wait)) };
        // While it takes nothing only one message is tried at a time: the others grow old too.
        let given_up = road.store.give_up(name, self.channel.given_up_since(now), UNTRIED).await?;
        if given_up > 0 {
            tracing::warn!(channel = %name, given_up, "messages have waited too long and are given up");
        }
        Ok(Round::Away(why, longest_wait))
    }

    /// Gives up what waits for a channel that wants nothing more.
    async fn bury(&self, road: &Road<'_>, held: &Held, now: UnixMillis) -> Result<Round, RoundError> {
        let name = self.channel.name();
        let turn = OutboxTurn { recipient: name.clone(), now, latest: now.plus(longest()) };
        let rows = road.store.outbox(turn, BURIED_AT_ONCE).await?;
        if rows.is_empty() {
            return Ok(Round::Idle);
        }
        let buried = rows.iter().map(|row| buried(row, false, GONE)).collect();
        let buried = road.store.settle_outbox(held, buried, None).await?;
        Ok(if buried { Round::Carried(Duration::ZERO) } else { Round::PassedBy })
    }

    /// Returns what is to be said now.
    async fn jobs(
        &self,
        road: &Road<'_>,
        held: &Held,
        now: UnixMillis,
        away: bool,
    ) -> Result<Vec<Job>, RoundError> {
        let (store, name) = (road.store, self.channel.name());
        let gathered = async |limit| store.gathered(name, now, limit).await;
        match self.channel.pace() {
            Pace::Each => self.singles(road, now, if away { 1 } else { self.channel.at_once() }).await,
            Pace::AtMost { messages, within } => {
                let told = store.told(name, now.minus(within), now).await?;
                match messages.saturating_sub(told) {
                    0 => Ok(Vec::new()),
                    1 => self.gather(road, held, gathered(GATHERED_MAX).await?, false).await,
                    _ => self.singles(road, now, 1).await,
                }
            }
            Pace::Digest { every } => {
                let since = now.minus(every);
                // One that was queued after now waits for a clock that has gone back.
                let is_due = |first: &Gathered| first.row.queued_at <= since || first.row.queued_at > now;
                if !gathered(1).await?.first().is_some_and(is_due) {
                    return Ok(Vec::new());
                }
                self.gather(road, held, gathered(GATHERED_MAX).await?, true).await
            }
        }
    }

    /// Returns messages by themselves: of each gate the first one that is due.
    async fn singles(&self, road: &Road<'_>, now: UnixMillis, limit: usize) -> Result<Vec<Job>, RoundError> {
        let turn = OutboxTurn { recipient: self.channel.name().clone(), now, latest: now.plus(longest()) };
        let mut jobs = Vec::new();
        for row in road.store.outbox(turn, limit).await? {
            jobs.push(single(road, row.clone(), vec![row]).await?);
        }
        Ok(jobs)
    }

    /// Returns what was gathered as one digest, and forgets what nobody has to hear of any more.
    async fn gather(
        &self,
        road: &Road<'_>,
        held: &Held,
        gathered: Vec<Gathered>,
        leave_out: bool,
    ) -> Result<Vec<Job>, RoundError> {
        let Composed { mut said, told, left_out } = compose(gathered, leave_out);
        if !left_out.is_empty() {
            let forgotten = left_out.iter().map(|item| Attempted::Delivered { number: item.row.number });
            // Whoever was passed by finds out when it notes what it has told.
            road.store.settle_outbox(held, forgotten.collect(), None).await?;
        }
        let rows: Vec<OutboxRow> = told.into_iter().map(|item| item.row).collect();
        match said.len() {
            0 => Ok(Vec::new()),
            1 => Ok(vec![single(road, said.remove(0).row, rows).await?]),
            _ => Ok(vec![Job { told: Told::Many(said), rows }]),
        }
    }

    /// Returns how a message counts against how often the channel is told.
    fn counted(&self, now: UnixMillis) -> Option<Counted> {
        match self.channel.pace() {
            Pace::AtMost { within, .. } => Some(Counted { at: now, since: now.minus(within) }),
            Pace::Each | Pace::Digest { .. } => None,
        }
    }

    fn attempted(&self, row: &OutboxRow, now: UnixMillis, tried: &Tried) -> Attempted {
        match tried {
            Tried::Taken => Attempted::Delivered { number: row.number },
            Tried::Gone => buried(row, true, GONE),
            // It keeps its place: what is tried first when the receiver is back is what waits longest.
            Tried::Away { why, .. } => self.missed(row, now, now, why.clone()),
            Tried::Failed(failure) => {
                let after = u64::try_from(pause(row.attempts.saturating_add(1)).as_millis());
                let due_at = now.plus(DurationMs::new(after.unwrap_or(u64::MAX)));
                self.missed(row, now, due_at, failure.clone())
            }
        }
    }

    /// A message that failed is tried again at this instant, unless it is too old.
    fn missed(&self, row: &OutboxRow, now: UnixMillis, due_at: UnixMillis, failure: String) -> Attempted {
        if row.queued_at <= self.channel.given_up_since(now) {
            tracing::warn!(channel = %self.channel.name(), message = message_id(row), kind = %row.kind, %failure,
                "a message is given up");
            return buried(row, true, &failure);
        }
        Attempted::Failed { number: row.number, due_at, failure }
    }
}

/// Returns one message, with what it may show.
async fn single(road: &Road<'_>, row: OutboxRow, rows: Vec<OutboxRow>) -> Result<Job, Unread> {
    let members = match &row.about {
        About::Gate(gate) => (road.shown)(row.tenant.clone(), gate.id).await?,
        About::Proposal(_) => Vec::new(),
    };
    Ok(Job { told: Told::One(Box::new(row), members), rows })
}

fn buried(row: &OutboxRow, tried: bool, why: &str) -> Attempted {
    Attempted::Dead { number: row.number, tried, failure: why.to_owned() }
}

/// The longest time for which a message is put off.
fn longest() -> DurationMs {
    DurationMs::new(u64::try_from(PAUSE_MAX.as_millis()).unwrap_or(u64::MAX))
}
