//! A supervised pool of workers: a bounded queue, one thread for each worker, hard deadlines.
//!
//! A thread takes its share of what waits, sends it in one write, and reads the replies as they come. It owns its
//! worker: it starts it, kills it when an evaluation does not end in time, and starts another. Evaluations are pure, so
//! when a worker is lost over several, each is simply done again, alone, and the one at fault is found.

mod seat;

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gantral_core::policy::{EvalFailure, PolicyVersionId};
use tokio::sync::oneshot;

use crate::frame::Refused;
use crate::process::WorkerCommand;
use seat::Seat;

/// The most requests that one worker is given at once.
const BATCH_MAX: usize = 16;
/// The most bytes that one worker is given at once, beyond a first request of any size: what a socket takes without
/// waiting for its reader, so that both sides never wait for each other.
const BATCH_BYTES_MAX: usize = 64 * 1024;

/// How many workers there are, and how much may wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Worker processes, each with one thread of the server.
    pub workers: NonZeroUsize,
    /// Evaluations that may wait; one more is refused as unavailable.
    pub queue_max: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self { workers: NonZeroUsize::MIN.saturating_add(1), queue_max: 1_024 }
    }
}

/// One worker, for metrics and for whoever looks for the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerStatus {
    /// The process number; `None` while there is no process.
    pub pid: Option<u32>,
    /// How many processes this place has had, less one.
    pub restarts: u64,
}

/// What a worker is to do with a version.
#[derive(Debug)]
pub(crate) enum Work {
    /// Have it ready.
    Ready,
    /// Evaluate this input.
    Evaluate(Vec<u8>),
}

/// Whether a worker was ever given an evaluation, shared with whoever waits for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun(Arc<AtomicBool>);

impl Begun {
    fn mark(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns what it counts as that there is no answer in time.
    ///
    /// Until a worker is given the evaluation, time is lost by the evaluator: an outage. From then on it is lost by the
    /// policy, which whoever writes the input may be able to choose, and which is therefore never let pass. Behind
    /// another evaluation of the same worker this errs on the closed side.
    pub(crate) fn too_late(&self) -> Refused {
        if self.0.load(Ordering::Relaxed) {
            Refused::new(EvalFailure::ResourceLimit, "the evaluation took too long")
        } else {
            Refused::new(EvalFailure::DeadlineExceeded, "no worker was free in time")
        }
    }
}

/// One thing to do, and who waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) version: PolicyVersionId,
    pub(crate) archive: Arc<[u8]>,
    pub(crate) work: Work,
    pub(crate) limit: Duration,
    pub(crate) deadline: Instant,
    /// Whether a worker was killed from outside while it did this.
    pub(crate) retried: bool,
    /// Whether it must be the only one that its worker is at: a worker was lost over it and others.
    pub(crate) alone: bool,
    pub(crate) begun: Begun,
    pub(crate) answer: oneshot::Sender<Result<Vec<u8>, Refused>>,
}

impl Job {
    fn input_len(&self) -> usize {
        match &self.work {
            Work::Ready => 0,
            Work::Evaluate(input) => input.len(),
        }
    }

    fn finish(self, result: Result<Vec<u8>, Refused>) {
        // Nobody waits any more when the caller's own deadline came first.
        let _ = self.answer.send(result);
    }
}

/// The pool. Dropping it lets the threads end, and with them their workers.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// Starts the threads; each starts its worker at once.
    pub(crate) fn start(command: &WorkerCommand, config: PoolConfig) -> io::Result<Self> {
        let seats = (0..config.workers.get()).map(|_| SeatStatus::default()).collect();
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { jobs: VecDeque::new(), closed: false }),
            arrival: Condvar::new(),
            config,
            seats,
        });
        let pool = Self { shared: Arc::clone(&shared) };
        for index in 0..config.workers.get() {
            let mut seat = Seat::new(Arc::clone(&shared), index, command.clone());
            thread::Builder::new().name(format!("policy-{index}")).spawn(move || seat.run())?;
        }
        Ok(pool)
    }

    /// Queues a job; refuses it at once when too much waits already.
    pub(crate) fn submit(&self, job: Job) {
        let mut queue = self.shared.lock();
        if queue.closed || queue.jobs.len() >= self.shared.config.queue_max {
            drop(queue);
            job.finish(Err(Refused::new(EvalFailure::Unavailable, "too many evaluations wait")));
            return;
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.shared.arrival.notify_one();
    }

    /// Returns the state of each worker.
    pub(crate) fn status(&self) -> Vec<WorkerStatus> {
        self.shared.seats.iter().map(SeatStatus::read).collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.arrival.notify_all();
    }
}

/// What the pool and its threads share.
#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    arrival: Condvar,
    config: PoolConfig,
    seats: Vec<SeatStatus>,
}

#[derive(Debug)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

#[derive(Debug, Default)]
struct SeatStatus {
    /// 0 stands for no process.
    pid: AtomicU32,
    starts: AtomicU64,
}

impl SeatStatus {
    fn read(&self) -> WorkerStatus {
        let pid = self.pid.load(Ordering::Relaxed);
        let restarts = self.starts.load(Ordering::Relaxed).saturating_sub(1);
        WorkerStatus { pid: (pid != 0).then_some(pid), restarts }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole between any two statements, so a panic elsewhere leaves it usable.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for jobs and takes a fair share of them; `None` when the pool was dropped.
    fn take(&self) -> Option<Vec<Job>> {
        let mut queue = self.lock();
        while queue.jobs.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self.arrival.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.closed {
            return None;
        }
        let share = queue.jobs.len().div_ceil(self.config.workers.get()).min(BATCH_MAX);
        let mut batch = Vec::with_capacity(share);
        let mut bytes = 0_usize;
        while batch.len() < share {
            let next = queue.jobs.front().map_or(usize::MAX, Job::input_len);
            bytes = bytes.saturating_add(next);
            let alone = queue.jobs.front().is_some_and(|job| job.alone);
            if !batch.is_empty() && (alone || bytes > BATCH_BYTES_MAX) {
                break;
            }
            batch.extend(queue.jobs.pop_front());
            if alone {
                break;
            }
        }
        Some(batch)
    }

    /// Tells whether jobs wait that no worker has taken.
    fn has_backlog(&self) -> bool {
        !self.lock().jobs.is_empty()
    }

    /// Puts jobs back at the front, in their order, for whichever worker is free next.
    fn put_back(&self, jobs: impl DoubleEndedIterator<Item = Job>) {
        let mut queue = self.lock();
        for job in jobs.rev() {
            queue.jobs.push_front(job);
        }
        drop(queue);
        self.arrival.notify_all();
    }
}
