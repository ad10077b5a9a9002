//! A call while this process has it.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::authority::Pending;
use crate::catalogue::Catalogue;
use crate::declared::ServerTasks;
use crate::message::{Id, Message};
use crate::port::{Lost, Port, Work};
use crate::spool::{Kept, Outcome, Owned, Stage};
use crate::task::Handle;

/// The most states of one call that clients hold: each client that waits has one.
const STATES_MAX: usize = 16;

/// How far a call is, for whoever waits for it.
#[derive(Debug, Clone)]
pub enum Progress {
    /// It is asked for.
    Asking,
    /// Humans decide.
    Waiting(Pending),
    /// It was sent.
    Begun,
    /// It is over.
    Over(Outcome),
    /// It could not be asked for; it may be tried again.
    Failed {
        /// A stable word.
        code: &'static str,
        /// Why.
        why: String,
    },
}

/// A call.
#[derive(Debug)]
pub struct Live {
    /// Names it.
    pub key: String,
    owned: Owned,
    /// As it was written last.
    kept: Mutex<Kept>,
    progress: watch::Sender<Progress>,
    /// Where it waits, or waited.
    gate: Mutex<Option<String>>,
    holders: AtomicUsize,
    delivered: AtomicBool,
    /// Nothing more happens to it.
    ended: watch::Sender<bool>,
}

/// A client waits for the call as long as this is held.
pub struct Holds<'a>(&'a Live);

impl Drop for Holds<'_> {
    fn drop(&mut self) {
        self.0.holders.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Live {
    /// Takes a call as it is kept.
    pub fn new(owned: Owned, kept: &Kept) -> Self {
        let (progress, gate) = match &kept.stage {
            Stage::Waiting { pending } => {
                (Progress::Waiting(pending.clone()), Some(pending.gate.to_string()))
            }
            Stage::Asking
            | Stage::Fallen
            | Stage::Unasked
            | Stage::Begun { .. }
            | Stage::Answered { .. }
            | Stage::Settled { .. } => (Progress::Asking, None),
        };
        Self {
            key: kept.key.clone(),
            owned,
            kept: Mutex::new(kept.clone()),
            progress: watch::Sender::new(progress),
            gate: Mutex::new(gate),
            holders: AtomicUsize::new(0),
            delivered: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        }
    }

    /// Says that a client waits for it.
    pub fn holds(&self) -> Holds<'_> {
        self.holders.fetch_add(1, Ordering::AcqRel);
        Holds(self)
    }

    /// Tells whether any client waits for it.
    pub fn is_held(&self) -> bool {
        self.holders.load(Ordering::Acquire) > 0
    }

    /// Returns what tells how far it is.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Tells how far it is.
    pub fn tell(&self, progress: Progress) {
        if let Progress::Waiting(pending) = &progress {
            *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = Some(pending.gate.to_string());
        }
        self.progress.send_replace(progress);
    }

    /// Tells whether it waits, or waited, at a gate.
    pub fn is_at(&self, gate: &str) -> bool {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(gate)
    }

    /// Writes a step down.
    ///
    /// # Errors
    /// The system's; the step may not be taken.
    pub fn keep(&self, stage: &Stage) -> io::Result<()> {
        let mut kept = self.kept();
        kept.step(stage.clone());
        if let Some(task) = &mut kept.task {
            task.stepped();
        }
        self.owned.keep(&kept)
    }

    /// Makes durable that it is asked for, while the answer is on its way.
    ///
    /// # Errors
    /// The system's; the call may not be sent then.
    pub async fn flushed(&self) -> io::Result<()> {
        let flush = self.owned.flush()?;
        tokio::task::spawn_blocking(flush).await.map_err(io::Error::other)?
    }

    /// Returns the task that stands for it, if a client was given one.
    pub fn task(&self) -> Option<Handle> {
        self.kept().task.clone()
    }

    /// Returns the task that stands for it, and makes it if there is none: it is found again after a crash.
    ///
    /// # Errors
    /// The system's; nobody may be given the task then.
    pub fn hand_out(&self) -> io::Result<Handle> {
        let mut kept = self.kept();
        if let Some(task) = &kept.task {
            return Ok(task.clone());
        }
        let task = Handle::new().map_err(io::Error::other)?;
        let with = Kept { task: Some(task.clone()), ..kept.clone() };
        self.owned.keep(&with)?;
        *kept = with;
        Ok(task)
    }

    /// Notes that a client was given a state. Of too many the oldest is good no more.
    ///
    /// # Errors
    /// The system's; nobody may be given the state then.
    pub fn give(&self, state: String) -> io::Result<()> {
        let mut kept = self.kept();
        let mut with = kept.clone();
        with.states.push(state);
        let more = with.states.len().saturating_sub(STATES_MAX);
        with.states.drain(..more);
        self.owned.keep(&with)?;
        *kept = with;
        Ok(())
    }

    /// Takes a state, which is not good any more then; tells whether it was.
    ///
    /// # Errors
    /// The system's; the state may not count then.
    pub fn spend(&self, state: &str) -> io::Result<bool> {
        let mut kept = self.kept();
        if !kept.states.iter().any(|given| given == state) {
            return Ok(false);
        }
        let mut without = kept.clone();
        without.states.retain(|given| given != state);
        self.owned.keep(&without)?;
        *kept = without;
        Ok(true)
    }

    /// Tells whether the server itself was asked for a task.
    pub fn is_task_of_server(&self) -> bool {
        self.kept().rest.iter().any(|(name, _)| name == "task")
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked left whole values.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that its result has left.
    pub fn delivered(&self) {
        self.delivered.store(true, Ordering::Release);
    }

    /// Tells whether its result has left.
    pub fn is_delivered(&self) -> bool {
        self.delivered.load(Ordering::Acquire)
    }

    /// Notes that nothing more happens to it.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Waits until nothing more happens to it.
    pub async fn ended(&self) {
        let mut ended = self.ended.subscribe();
        // The sender is here.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Tells whether nothing more happens to it.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    /// Tells whether it was read and nothing more happens to it.
    pub fn is_over(&self) -> bool {
        self.has_ended() && self.is_delivered()
    }

    /// Tells whether something is owed that a person need not do.
    pub fn is_under_way(&self) -> bool {
        let waits = matches!(*self.progress.borrow(), Progress::Waiting(_));
        !waits && !*self.ended.borrow()
    }

    /// Forgets it on disk, unless the next try has to know of it; while its task may be asked for, it is kept under that if there is room.
    pub fn forget(&self, room: impl FnOnce() -> bool) {
        if matches!(*self.progress.borrow(), Progress::Failed { .. }) {
            return;
        }
        let done = match self.task() {
            Some(task) if !task.is_stale() && room() => self.owned.retire(&task.id),
            Some(_) | None => self.owned.forget(),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "a call that is over cannot be forgotten");
        }
    }
}

/// A client that is told nothing, and has no way to a server.
#[derive(Debug, Default)]
pub struct Nobody(Catalogue);

impl Port for Nobody {
    fn forward(&self, _: &'static str, _: String, _: Option<Id>) -> Work<'_, Result<Message, Lost>> {
        Box::pin(std::future::ready(Err(Lost::NotSent("there is no way to it".to_owned()))))
    }

    fn tell(&self, _: &Id, _: Message) -> Work<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn catalogue(&self) -> &Catalogue {
        &self.0
    }

    fn tasks(&self) -> ServerTasks {
        ServerTasks::default()
    }
}
