//! One server: the engine, and what it does under its duties, until it is killed at whatever it awaits.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gantral_core::ids::Name;
use gantral_core::time::DurationMs;
use gantral_engine::{Engine, EngineError};
use gantral_log::published::Published;
use gantral_log::sequencer::{Sequencer, SequencerConfig, SequencerParts};
use gantral_store::{Attempted, Duties, Duty, Held, Holder, OnDuty, OutboxTurn, StoreError};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::NodeClock;
use crate::ports::Ports;
use crate::weather::{Standing, Trouble};

/// How often a server looks for what is due.
const TICK: Duration = Duration::from_millis(500);
/// How often it looks for messages.
const CARRY: Duration = Duration::from_millis(400);
/// How many messages are carried at once.
const CARRIED_MAX: usize = 8;
/// How long a message that was not taken waits.
const AGAIN: DurationMs = DurationMs::from_secs(1);

/// One server.
pub struct Node {
    /// Its number, from 0.
    pub number: usize,
    /// Its clock.
    pub clock: NodeClock,
    ports: Ports,
    pause: Pause,
    running: Mutex<Option<Running>>,
}

struct Running {
    engine: Engine,
    tasks: JoinSet<()>,
}

/// Whether a server stands still, and what waits until it goes on.
#[derive(Clone, Default)]
struct Pause(Arc<Paused>);

#[derive(Default)]
struct Paused {
    standing: Arc<Standing>,
    waiting: Mutex<Vec<Waker>>,
}

impl Node {
    pub(crate) fn new(number: usize, clock: NodeClock, ports: Ports) -> Self {
        Self { number, clock, ports, pause: Pause::default(), running: Mutex::default() }
    }

    /// Starts it, with nothing in memory.
    ///
    /// # Errors
    /// The engine's.
    pub fn start(&self) -> Result<(), EngineError> {
        let store = self.ports.store(Arc::clone(&self.pause.0.standing));
        let published = Published::new();
        let engine = self.ports.engine(store.clone(), &published)?;
        let duties = Duties::new(store.clone(), Holder::from_random(self.ports.rng.bytes16()));
        let mut tasks = JoinSet::new();
        let ticking = tick(engine.clone(), duties.clone(), self.clock.clone(), self.ports.clone());
        tasks.spawn(self.pause.over(ticking));
        let parts = SequencerParts {
            store,
            shelf: self.ports.shelf.clone(),
            signer: self.ports.log_signer(),
            config: SequencerConfig { suffix: self.ports.suffix().to_owned() },
            published,
        };
        tasks.spawn(self.pause.over(sequence(duties.clone(), parts)));
        tasks.spawn(self.pause.over(carry(duties, engine.clone(), self.clock.clone(), self.ports.clone())));
        self.with(|running| *running = Some(Running { engine, tasks }));
        Ok(())
    }

    /// Kills it: whatever it does ends where it waits. What it has sent to the store is carried out all the same.
    pub async fn kill(&self) {
        let running = self.with(Option::take);
        self.go_on();
        let Some(mut running) = running else { return };
        running.tasks.abort_all();
        while let Some(ended) = running.tasks.join_next().await {
            if ended.is_err_and(|error| error.is_panic()) {
                self.ports.auditor.is_wrong("a server has panicked");
            }
        }
    }

    /// Lets it stand still.
    pub fn stand(&self) {
        self.pause.0.standing.now.store(true, Ordering::Relaxed);
    }

    /// Lets it stand still as soon as it has sent its next write.
    pub fn stand_after_a_write(&self) {
        self.pause.0.standing.after_a_write.store(true, Ordering::Relaxed);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.pause.0.standing.after_a_write.store(false, Ordering::Relaxed);
        self.pause.0.standing.now.store(false, Ordering::Relaxed);
        let waiting = std::mem::take(&mut *lock(&self.pause.0.waiting));
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Tells whether it runs.
    pub fn runs(&self) -> bool {
        self.with(|running| running.is_some())
    }

    /// Returns its engine, while it runs.
    pub fn engine(&self) -> Option<Engine> {
        self.with(|running| running.as_ref().map(|running| running.engine.clone()))
    }

    /// Lets it carry a request out. What comes back is lost when it is killed before.
    pub fn ask<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (tell, answer) = oneshot::channel();
        self.with(|running| {
            if let Some(running) = running {
                while let Some(ended) = running.tasks.try_join_next() {
                    if ended.is_err_and(|error| error.is_panic()) {
                        self.ports.auditor.is_wrong("a server has panicked");
                    }
                }
                running.tasks.spawn(self.pause.over(async move {
                    // An error says that nobody waits any more.
                    let _ = tell.send(request.await);
                }));
            }
        });
        answer
    }

    fn with<R>(&self, run: impl FnOnce(&mut Option<Running>) -> R) -> R {
        run(&mut lock(&self.running))
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seals what is due, whenever it is this server's duty.
async fn tick(engine: Engine, duties: Duties, clock: NodeClock, ports: Ports) {
    loop {
        let on_duty = duties.wait(&Duty::Tick).await;
        tokio::select! {
            biased;
            () = on_duty.lost() => {}
            () = async {
                loop {
                    // What cannot be read now is read the next time.
                    let _ = engine.tick(clock.now(), ports.rng.bytes32()).await;
                    sleep(TICK).await;
                }
            } => {}
        }
        on_duty.release().await;
    }
}

/// Lets the logs grow, whenever it is this server's duty.
async fn sequence(duties: Duties, parts: SequencerParts<crate::shelf::Memory>) {
    loop {
        let on_duty = duties.wait(&Duty::Logs).await;
        if let Ok(sequencer) = Sequencer::start(parts.clone(), on_duty.held()).await {
            // The work is asked first: a server that stood still must be refused by what it writes to, and not by its own good will.
            tokio::select! {
                biased;
                _ = sequencer.run(std::future::pending()) => {}
                () = on_duty.lost() => {}
            }
        }
        on_duty.release().await;
        sleep(TICK).await;
    }
}

/// Carries messages, whenever it is this server's duty.
async fn carry(duties: Duties, engine: Engine, clock: NodeClock, ports: Ports) {
    let recipient = ports.recipient();
    loop {
        let on_duty: OnDuty = duties.wait(&Duty::Courier(recipient.clone())).await;
        tokio::select! {
            biased;
            () = async {
                while let Ok(true) | Err(_) = carry_once(&engine, on_duty.held(), &recipient, &clock, &ports).await {
                    sleep(CARRY).await;
                }
            } => {}
            () = on_duty.lost() => {}
        }
        on_duty.release().await;
    }
}

/// Carries what is due once; returns false when another server has the duty by now.
async fn carry_once(
    engine: &Engine,
    held: &Held,
    recipient: &Name,
    clock: &NodeClock,
    ports: &Ports,
) -> Result<bool, StoreError> {
    let now = clock.now();
    let turn = OutboxTurn { recipient: recipient.clone(), now, latest: now.plus(DurationMs::from_secs(60)) };
    let rows = engine.store().outbox(turn, CARRIED_MAX).await?;
    let mut attempted = Vec::new();
    for row in rows {
        sleep(ports.weather.delay()).await;
        let refused = ports.weather.brings(Trouble::Message);
        if !refused {
            ports.auditor.told(*row.about.subject(), row.number);
        }
        attempted.push(if refused || ports.weather.brings(Trouble::Message) {
            let failure = "not taken".to_owned();
            Attempted::Failed { number: row.number, due_at: clock.now().plus(AGAIN), failure }
        } else {
            Attempted::Delivered { number: row.number }
        });
    }
    if attempted.is_empty() { Ok(true) } else { engine.store().settle_outbox(held, attempted, None).await }
}

impl Pause {
    /// Lets a future go on only while the server does not stand still.
    fn over<F: Future>(&self, future: F) -> Pausable<F> {
        Pausable { pause: self.clone(), future: Box::pin(future) }
    }
}

struct Pausable<F> {
    pause: Pause,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Pausable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.pause.0.standing.now.load(Ordering::Relaxed) {
            lock(&self.pause.0.waiting).push(context.waker().clone());
            return Poll::Pending;
        }
        self.future.as_mut().poll(context)
    }
}
