//! News of commits, whichever server they come from.
//!
//! A server tells its own subscribers of its own commits, as soon as they are durable. Those of others it reads: the ledger itself is the
//! message. Each server knows up to which number it has told of everything, and which numbers above it told of already; a look reads the
//! artifacts that are new, and tells of them. So no wake-up is lost, whatever becomes of who wrote: what is committed has a number above the
//! one up to which nothing can be committed any more (`numbers.rs`), stays there, and is found by the next look. A number of our own counts as
//! told before its commit is sent, so that no look tells of it a second time; where the answer to a commit was lost, nobody knows, and
//! everybody looks again ([`Announcer::missed`]). So they do after the connection was lost, because more may have happened than is told one
//! by one.
//!
//! When to look is said by a notification without content, and by the clock where that is lost, so that it only ever makes a look sooner. It
//! is sent after the commit, on a connection of its own, one for all commits since the last one. In the transaction that writes it would hold
//! one lock of the whole server from before the flush to its end: no two writers would share a flush any more.
//!
//! Source: <https://www.postgresql.org/docs/current/sql-notify.html>.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantral_core::ids::{Name, TeamId, TenantId, WorkflowId};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Row, Statement};

use super::access::Access;
use super::columns::{count, digest, get, instance, int, small, text};
use super::db::Db;
use super::numbers;
use super::writer::{After, Fail, reason};
use crate::append::{Head, StateCode};
use crate::changes::{Announcer, Change};
use crate::error::StoreError;
use crate::governance::NO_INSTANCE;

/// What the session that listens is told. A notification is worth no flush.
const SESSION: &str =
    "SET application_name TO 'gantral listener'; SET search_path TO gantral; SET synchronous_commit TO off;
 SET statement_timeout TO 5000; SET jit TO off; LISTEN gantral_commits";
/// What others hear.
const PING: &str = "NOTIFY gantral_commits";
/// The artifacts above `$1` that are not among `$2`, with what a change says of their instance now.
const LOOK: &str = "SELECT a.number, a.tenant, a.instance, a.sequence, a.hash, i.state, i.team, i.workflow, t.queue
 FROM artifact a
 LEFT JOIN instance i ON i.tenant = a.tenant AND i.id = a.instance
 LEFT JOIN task t ON t.tenant = a.tenant AND t.instance = a.instance
 WHERE a.number > $1 AND NOT EXISTS(SELECT 1 FROM unnest($2::bigint[]) AS told(number) WHERE told.number = a.number)
 ORDER BY a.number LIMIT $3";
/// How often is looked without being told to: how late news are at most where a notification is lost with its sender.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long between two looks, and between two notifications: a crowd of commits is worth one. Less than anybody notices.
const PAUSE: Duration = Duration::from_millis(5);
/// How much longer for each number that must be remembered because a transaction before it is still open.
const PAUSE_FOR_EACH: Duration = Duration::from_micros(10);
/// How many artifacts are told of one by one; where there are more, everybody looks again.
const TOLD_MAX: usize = 4_096;
/// How long an answer may take before the connection counts as lost.
const ANSWER_WAIT: Duration = Duration::from_secs(6);
/// How long until a connection that was lost is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// Tells the subscribers of one process. Dropping it ends the connection that listens.
pub(super) struct News {
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

struct Shared {
    announcer: Announcer,
    told: Mutex<Told>,
    /// Wakes who notifies the others.
    committed: Notify,
    /// Wakes who looks.
    notified: Notify,
    /// Why the database is not heard; `None` while it is.
    lost: Mutex<Option<String>>,
}

/// Which artifacts subscribers know of, or are about to be told of by who writes them.
struct Told {
    /// All up to this number.
    through: i64,
    /// These above it.
    above: BTreeSet<i64>,
}

impl Drop for News {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl News {
    /// Begins to listen. What is committed from now on is told.
    pub(super) async fn begin(access: Access, announcer: Announcer, db: Db) -> Result<Self, Fail> {
        let through = int(numbers::horizon(&db).await?);
        let shared = Arc::new(Shared {
            announcer,
            told: Mutex::new(Told { through, above: BTreeSet::new() }),
            committed: Notify::new(),
            notified: Notify::new(),
            lost: Mutex::default(),
        });
        let listening = tokio::spawn(listen_always(access, Arc::clone(&shared)));
        Ok(Self { shared, listening })
    }

    /// Notes what is about to be committed here, so that nobody else tells of it.
    pub(super) fn committing(&self, after: &After) {
        self.shared.told().above.extend(&after.numbers);
    }

    /// Tells of what was committed here, and notifies the others.
    pub(super) fn committed(&self, after: After) {
        let wrote = !after.numbers.is_empty();
        self.shared.announcer.announce(after.changes, after.numbers.last().copied());
        if wrote {
            self.shared.committed.notify_one();
        }
    }

    /// Has everybody look again, because nobody knows whether what was noted is committed. It may still be: a later look finds it then, as if
    /// it were another's.
    pub(super) fn unknown(&self, after: &After) {
        if !after.numbers.is_empty() {
            let noted = |number: &i64| after.numbers.contains(number);
            self.shared.told().above.retain(|number| !noted(number));
            self.shared.announcer.missed();
            self.shared.committed.notify_one();
        }
    }

    /// Tells whether the database is heard.
    pub(super) fn healthy(&self) -> Result<(), StoreError> {
        match &*lock(&self.shared.lost) {
            None => Ok(()),
            Some(reason) => Err(StoreError::Failed { reason: reason.clone() }),
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // Plain data: a panic elsewhere leaves it whole.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why the connection that listens has ended, for the log.
struct Lost(String);

impl From<tokio_postgres::Error> for Lost {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(reason(&error))
    }
}

async fn listen_always(access: Access, shared: Arc<Shared>) {
    let mut before = false;
    loop {
        let Lost(reason) = listen(&access, &shared, before).await;
        before = true;
        let first = lock(&shared.lost).replace(reason.clone()).is_none();
        if first {
            tracing::warn!(reason, "the database is not heard any more: it is tried again until it is");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Listens on one connection until it is lost.
async fn listen(access: &Access, shared: &Shared, again: bool) -> Lost {
    let (client, mut connection) = match access.config.connect(access.tls.clone()).await {
        Ok(connected) => connected,
        Err(error) => return Lost(access.unreachable(&error).to_string()),
    };
    let own = AtomicI32::new(0);
    let heard = async {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                // What we notify others of we know.
                Some(Ok(AsyncMessage::Notification(one)))
                    if one.process_id() != own.load(Ordering::Relaxed) =>
                {
                    shared.notified.notify_one();
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Lost::from(error),
                None => return Lost("the connection was closed".to_owned()),
            }
        }
    };
    let works = async {
        let Err(lost) = shared.work(&client, &own, again).await;
        lost
    };
    tokio::select! {
        lost = heard => lost,
        lost = works => lost,
    }
}

/// What an endless task ends with.
type Never = std::convert::Infallible;

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }

    async fn work(&self, client: &Client, own: &AtomicI32, again: bool) -> Result<Never, Lost> {
        let look = in_time(async {
            client.batch_execute(SESSION).await?;
            own.store(client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?, Ordering::Relaxed);
            client.prepare(LOOK).await
        });
        let look = look.await?;
        if again {
            self.announcer.missed();
        }
        let (never, _) = tokio::try_join!(self.look_always(client, &look), self.ping_always(client))?;
        Ok(never)
    }

    /// Notifies the others as often as something was committed here.
    async fn ping_always(&self, client: &Client) -> Result<Never, Lost> {
        loop {
            self.committed.notified().await;
            in_time(client.batch_execute(PING)).await?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Looks as often as it is told to, and now and then.
    async fn look_always(&self, client: &Client, look: &Statement) -> Result<Never, Lost> {
        loop {
            self.look(client, look).await?;
            if lock(&self.lost).take().is_some() {
                tracing::info!("the database is heard again");
            }
            let remembered = u32::try_from(self.told().above.len()).unwrap_or(u32::MAX);
            tokio::time::sleep(PAUSE.saturating_add(PAUSE_FOR_EACH.saturating_mul(remembered))).await;
            // Whoever is told while nobody waits finds that out here.
            let _ = tokio::time::timeout(LOOK_EVERY, self.notified.notified()).await;
        }
    }

    /// Reads what is new, and tells of it.
    async fn look(&self, client: &Client, look: &Statement) -> Result<(), Lost> {
        let horizon: i64 = in_time(client.query_one("SELECT artifact_horizon()", &[])).await?.try_get(0)?;
        let (through, above) = {
            let told = self.told();
            (told.through, told.above.iter().copied().collect::<Vec<_>>())
        };
        let most = i64::try_from(TOLD_MAX).unwrap_or(i64::MAX);
        let rows = in_time(client.query(look, &[&through, &above, &most])).await?;
        let mut numbers = Vec::with_capacity(rows.len());
        for row in &rows {
            numbers.push(row.try_get::<_, i64>(0)?);
        }
        let new: Vec<bool> = {
            let mut told = self.told();
            // Between the two readings we may have begun to commit something ourselves.
            let new = numbers.iter().map(|number| told.above.insert(*number)).collect();
            if horizon > told.through {
                told.through = horizon;
                told.above = told.above.split_off(&horizon.saturating_add(1));
            }
            new
        };
        let rows = rows.iter().zip(&numbers).zip(new).filter(|(_, new)| *new).map(|(row, _)| row);
        self.tell(rows, numbers.len() == TOLD_MAX);
        Ok(())
    }

    fn tell<'a>(&self, rows: impl Iterator<Item = (&'a Row, &'a i64)>, full: bool) {
        let (mut changes, mut newest, mut missed) = (Vec::new(), None, full);
        for (row, number) in rows {
            newest = Some(*number);
            match change(row) {
                Ok(Some(change)) => join(&mut changes, change),
                Ok(None) => {}
                // Whoever reads it finds out what is wrong with it.
                Err(_) => missed = true,
            }
        }
        self.announcer.announce(changes, newest);
        if missed {
            self.announcer.missed();
        }
    }
}

/// Waits for an answer of the database, but not for ever: a network that loses everything says nothing.
async fn in_time<T>(answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Lost> {
    match tokio::time::timeout(ANSWER_WAIT, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Lost("it does not answer".to_owned())),
    }
}

/// Reads the change that an artifact is; `None` where it is on no instance's chain.
fn change(row: &Row) -> Result<Option<Change>, Fail> {
    if get::<&[u8]>(row, 2)? == NO_INSTANCE {
        return Ok(None);
    }
    let sequence = count(row, 3)?;
    Ok(Some(Change {
        tenant: text(row, 1, TenantId::parse)?,
        instance: instance(row, 2)?,
        first: sequence,
        head: Head { sequence, hash: digest(row, 4)? },
        state: StateCode(small(row, 5)?),
        team: text(row, 6, TeamId::parse)?,
        workflow: text(row, 7, WorkflowId::parse)?,
        queue: get::<Option<&str>>(row, 8)?.and_then(|queue| Name::parse(queue).ok()),
    }))
}

/// Adds a change, to the one before it if that is of the same chain.
fn join(changes: &mut Vec<Change>, next: Change) {
    match changes.last_mut() {
        Some(last)
            if last.instance == next.instance
                && last.tenant == next.tenant
                && last.head.sequence.checked_add(1) == Some(next.first) =>
        {
            last.head = next.head;
        }
        _ => changes.push(next),
    }
}
