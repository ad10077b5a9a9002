//! Who of several processes does what only one of them should do at a time: a lease, with a number that fences off whoever had it before.
//!
//! A duty is held for a while that the database measures by its own clock: those of the processes may differ as they like. Whoever holds it
//! renews it; when nobody does, it is free, and the next one takes over. A process that was stopped for longer than that, and does not know
//! it yet, is not kept from writing by its clock or by ours: what it writes names the number of its hold ([`Held`]), and is refused in the
//! transaction in which it would have been written once another one holds the duty. What needs no such number is work that may be done
//! twice, such as looking for what is due.
//!
//! With PostgreSQL a duty is a row. A SQLite file has one process, which shares the duties among its tasks and remembers them itself: a row
//! would cost a flush for every renewal, of which nothing is worth anything after a restart.

use std::future::pending;
use std::time::Duration;

use gantral_core::ids::Name;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::StoreError;
use crate::store::Store;

/// How long a duty is held without being renewed: as long as nothing happens after a process was killed. Longer than a write waits as a rule
/// where a machine is busy, so that nobody loses a duty without need.
pub const LEASE: Duration = Duration::from_secs(5);
/// How often a duty is renewed: several times while it lasts, so that one answer that is lost costs nothing.
const RENEW_EVERY: Duration = Duration::from_millis(1_250);
/// How often those who stand by look whether a duty is free: how long nothing happens after it was given back.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long it may take to give a duty back: whoever ends waits no longer, and lets it run out instead.
const RELEASE_WITHIN: Duration = Duration::from_secs(2);

/// What one process at a time should do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Letting the logs of all tenants grow, and carrying their checkpoints to witnesses.
    Logs,
    /// Sealing what is due, and writing reminders.
    Tick,
    /// Erasing content that was kept for as long as is configured.
    Retention,
    /// Carrying messages to one recipient.
    Courier(Name),
}

impl Duty {
    /// Returns its name in the database; none is ever reused.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Logs => "logs".to_owned(),
            Self::Tick => "tick".to_owned(),
            Self::Retention => "retention".to_owned(),
            Self::Courier(recipient) => format!("courier/{recipient}"),
        }
    }
}

/// Who holds a duty: one process, from its start to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder([u8; 16]);

impl Holder {
    /// Makes a holder of bytes that no other process draws.
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// That a holder has a duty, unless another one has taken it over since. Only the store makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub(crate) duty: Duty,
    pub(crate) holder: Holder,
    pub(crate) fence: u64,
}

impl Held {
    /// Returns the duty.
    pub const fn duty(&self) -> &Duty {
        &self.duty
    }

    /// Returns its number, which rises whenever the holder changes.
    pub const fn fence(&self) -> u64 {
        self.fence
    }

    /// Returns whose messages it lets settle.
    pub(crate) fn recipient(&self) -> Result<&Name, StoreError> {
        match &self.duty {
            Duty::Courier(recipient) => Ok(recipient),
            Duty::Logs | Duty::Tick | Duty::Retention => Err(other_duty()),
        }
    }

    /// Refuses what is no right to let logs grow.
    pub(crate) fn check_logs(&self) -> Result<(), StoreError> {
        match &self.duty {
            Duty::Logs => Ok(()),
            Duty::Courier(_) | Duty::Tick | Duty::Retention => Err(other_duty()),
        }
    }
}

fn other_duty() -> StoreError {
    StoreError::Contradiction { what: "the write is none of the duty that it names".to_owned() }
}

/// What came of asking for a duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DutyTaken {
    /// It is held from now on, or still.
    Held(Held),
    /// Another process holds it, for so long if it does not renew it.
    Others {
        /// How long, by the clock of the database.
        left: Duration,
    },
}

impl Store {
    /// Takes a duty that nobody holds, or whose time has run out, and holds it for so long; a holder that has it already holds it on.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn take_duty(
        &self,
        duty: &Duty,
        holder: Holder,
        lasting: Duration,
    ) -> Result<DutyTaken, StoreError> {
        match self {
            Self::Sqlite(store) => store.take_duty(duty, holder, lasting).await,
            Self::Postgres(store) => store.take_duty(duty, holder, lasting).await,
        }
    }

    /// Holds a duty for so long from now on. Returns false, and changes nothing, when another holder has taken it over, or it was given
    /// back. One whose time has run out and that nobody has taken over goes on.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn renew_duty(&self, held: &Held, lasting: Duration) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.renew_duty(held, lasting).await,
            Self::Postgres(store) => store.renew_duty(held, lasting).await,
        }
    }

    /// Gives a duty back, so that the next one may take it at once. Returns false, and changes nothing, when it was lost before.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again. Where it fails the duty runs out by itself.
    pub async fn release_duty(&self, held: &Held) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.release_duty(held).await,
            Self::Postgres(store) => store.release_duty(held).await,
        }
    }
}

/// The duties of one process. Cheap to clone; clones are the same holder.
#[derive(Debug, Clone)]
pub struct Duties {
    store: Store,
    holder: Holder,
}

impl Duties {
    /// Makes the duties of a holder.
    pub const fn new(store: Store, holder: Holder) -> Self {
        Self { store, holder }
    }

    /// Takes a duty if it is free now; `None` when another process holds it.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again.
    pub async fn take(&self, duty: &Duty) -> Result<Option<OnDuty>, StoreError> {
        let asked = Instant::now();
        match self.store.take_duty(duty, self.holder, LEASE).await? {
            DutyTaken::Held(held) => Ok(Some(OnDuty::new(self.store.clone(), held, asked + LEASE))),
            DutyTaken::Others { .. } => Ok(None),
        }
    }

    /// Waits until this process has a duty. May be cancelled.
    pub async fn wait(&self, duty: &Duty) -> OnDuty {
        let mut failing = false;
        loop {
            match self.take(duty).await {
                Ok(Some(on_duty)) => return on_duty,
                Ok(None) => failing = false,
                Err(error) => {
                    // Once: whatever else asks the store says it too.
                    if !failing {
                        tracing::warn!(?duty, %error, "whether this server should do it cannot be told; it is asked again");
                    }
                    failing = true;
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// A duty that this process has, renewed for as long as this exists. When it is dropped without having been given back, it runs out by itself.
#[derive(Debug)]
pub struct OnDuty {
    store: Store,
    held: Held,
    lost: watch::Receiver<bool>,
    renewing: JoinHandle<()>,
}

impl OnDuty {
    fn new(store: Store, held: Held, until: Instant) -> Self {
        let (tell, lost) = watch::channel(false);
        let renewing = tokio::spawn(renew(store.clone(), held.clone(), until, tell));
        Self { store, held, lost, renewing }
    }

    /// Returns what a write names that only the holder may make.
    pub const fn held(&self) -> &Held {
        &self.held
    }

    /// Waits until another process may have the duty. May be cancelled.
    pub async fn lost(&self) {
        // Whoever tells lives as long as this does, unless it has told already.
        if self.lost.clone().wait_for(|lost| *lost).await.is_err() && !*self.lost.borrow() {
            pending::<()>().await;
        }
    }

    /// Gives the duty back, so that another process may take it at once. Where that fails it runs out by itself. Nothing of it uses the store
    /// afterwards, so that whoever ends may open its file again.
    pub async fn release(mut self) {
        self.renewing.abort();
        // It was told to end, which is what it says now.
        let _ = (&mut self.renewing).await;
        let released = timeout_at(Instant::now() + RELEASE_WITHIN, self.store.release_duty(&self.held)).await;
        if !matches!(released, Ok(Ok(_))) {
            tracing::debug!(duty = ?self.held.duty, "a duty was not given back: it runs out");
        }
    }
}

impl Drop for OnDuty {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

/// Renews a duty until it is lost, or may be: `until` is an instant before which it cannot have run out.
async fn renew(store: Store, held: Held, mut until: Instant, lost: watch::Sender<bool>) {
    loop {
        sleep(RENEW_EVERY).await;
        let asked = Instant::now();
        match timeout_at(until.max(asked), store.renew_duty(&held, LEASE)).await {
            Ok(Ok(true)) => until = asked + LEASE,
            Ok(Ok(false)) => break,
            Ok(Err(error)) => {
                tracing::debug!(duty = ?held.duty, %error, "a duty was not renewed; it is tried again")
            }
            Err(_) => {}
        }
        if Instant::now() >= until {
            break;
        }
    }
    tracing::info!(duty = ?held.duty, "another server may do this from now on");
    lost.send_replace(true);
}
