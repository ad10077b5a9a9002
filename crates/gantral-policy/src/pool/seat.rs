//! One place of the pool: a thread, its worker, and what that worker has loaded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use gantral_core::policy::{EvalFailure, PolicyVersionId};

use super::{Job, Shared, Work};
use crate::frame::{Refused, Request};
use crate::process::{Exchange, WorkerCommand, WorkerProcess};

/// How many versions one worker keeps ready. The one unused for longest makes room.
const LOADED_MAX: usize = 16;
/// How long unpacking and compiling a bundle may take. An evaluation does not wait for it beyond its own limit.
const LOAD_TIME_MAX: Duration = Duration::from_secs(3);
/// How long a place without a worker waits before it tries again to start one.
const START_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Seat {
    shared: Arc<Shared>,
    index: usize,
    command: WorkerCommand,
    process: Option<WorkerProcess>,
    /// What the worker has loaded, the most recently used last.
    loaded: Vec<PolicyVersionId>,
}

impl Seat {
    pub(super) const fn new(shared: Arc<Shared>, index: usize, command: WorkerCommand) -> Self {
        Self { shared, index, command, process: None, loaded: Vec::new() }
    }

    /// Serves until the pool is dropped.
    pub(super) fn run(&mut self) {
        self.start();
        while let Some(batch) = self.shared.take() {
            // One that was killed while it was idle is no fault of this batch, and would count as one.
            if self.process.as_mut().is_some_and(|process| !process.is_alive()) {
                tracing::warn!("an idle policy worker was killed");
                self.lose();
                self.start();
            }
            self.serve(batch);
            if self.process.is_none() {
                self.start();
            }
        }
        self.lose();
    }

    fn start(&mut self) {
        let status = self.shared.seats.get(self.index);
        match WorkerProcess::spawn(&self.command) {
            Ok(process) => {
                if let Some(status) = status {
                    status.pid.store(process.pid(), Ordering::Relaxed);
                    status.starts.fetch_add(1, Ordering::Relaxed);
                }
                self.process = Some(process);
            }
            Err(error) => {
                tracing::error!(%error, program = %self.command.program.display(), "cannot start a policy worker");
                thread::sleep(START_PAUSE);
            }
        }
    }

    /// Ends the worker, if there is one.
    fn lose(&mut self) {
        self.loaded.clear();
        self.process = None;
        if let Some(status) = self.shared.seats.get(self.index) {
            status.pid.store(0, Ordering::Relaxed);
        }
    }

    /// Does a batch: what is ready first, in one go, then each version that must be loaded before.
    fn serve(&mut self, batch: Vec<Job>) {
        let now = Instant::now();
        let (late, batch): (Vec<Job>, Vec<Job>) = batch.into_iter().partition(|job| job.deadline <= now);
        for job in late {
            let refused = job.begun.too_late();
            job.finish(Err(refused));
        }
        let (ready, mut unloaded): (VecDeque<Job>, VecDeque<Job>) =
            batch.into_iter().partition(|job| self.loaded.contains(&job.version));
        let had_worker = self.process.is_some();
        self.evaluate(ready);
        while let Some(version) = unloaded.front().map(|job| job.version) {
            // Lost over another version: that is no failure of these.
            if had_worker && self.process.is_none() {
                self.shared.put_back(unloaded.into_iter());
                return;
            }
            let (mut same, others): (VecDeque<Job>, VecDeque<Job>) =
                unloaded.into_iter().partition(|job| job.version == version);
            unloaded = others;
            match self.load(&mut same) {
                Ok(()) => self.evaluate(same),
                Err(refused) => same.into_iter().for_each(|job| job.finish(Err(refused.clone()))),
            }
        }
    }

    /// Loads the bundle of these jobs. When the worker is killed from outside meanwhile, takes the jobs out and has
    /// them done elsewhere.
    fn load(&mut self, jobs: &mut VecDeque<Job>) -> Result<(), Refused> {
        let Some(job) = jobs.front() else {
            return Ok(());
        };
        let (version, archive) = (job.version, Arc::clone(&job.archive));
        let process = self.process.as_mut().ok_or_else(no_worker)?;
        let evicted = (self.loaded.len() >= LOADED_MAX).then(|| self.loaded.remove(0));
        let drop_first = evicted.map(Request::Drop);
        let deadline = Instant::now() + LOAD_TIME_MAX;
        for request in drop_first.into_iter().chain([Request::Load(version, &archive)]) {
            let sent = process.send(&[request], deadline);
            match sent.map_or(Exchange::Closed, |()| process.receive(deadline)) {
                Exchange::Reply(reply) => reply.map(drop)?,
                Exchange::TimedOut => {
                    tracing::warn!(version = %version.0, "a policy bundle did not load in time");
                    self.lose();
                    return Err(Refused::new(
                        EvalFailure::ResourceLimit,
                        "the bundle takes too long to compile",
                    ));
                }
                Exchange::Closed => return self.bury_while_loading(version, jobs),
            }
        }
        self.loaded.push(version);
        Ok(())
    }

    fn bury_while_loading(
        &mut self,
        version: PolicyVersionId,
        jobs: &mut VecDeque<Job>,
    ) -> Result<(), Refused> {
        let Some(mut process) = self.process.take() else {
            return Err(no_worker());
        };
        let death = process.bury();
        tracing::warn!(version = %version.0, ?death, "a policy worker died while it loaded a bundle");
        self.lose();
        let again = death.failure() == EvalFailure::Unavailable && jobs.iter().all(|job| !job.retried);
        if !again {
            return Err(poisonous(death.into_refused()));
        }
        let jobs = std::mem::take(jobs).into_iter().map(|job| Job { retried: true, ..job });
        self.shared.put_back(jobs);
        Ok(())
    }

    /// Evaluates jobs whose versions are loaded.
    fn evaluate(&mut self, jobs: VecDeque<Job>) {
        let Some(process) = self.process.as_mut() else {
            jobs.into_iter().for_each(|job| job.finish(Err(no_worker())));
            return;
        };
        let mut pending = VecDeque::with_capacity(jobs.len());
        for job in jobs {
            // The most recently used stands last.
            if self.loaded.last() != Some(&job.version) {
                self.loaded.retain(|version| *version != job.version);
                self.loaded.push(job.version);
            }
            match job.work {
                Work::Ready => job.finish(Ok(Vec::new())),
                Work::Evaluate(_) => pending.push_back(job),
            }
        }
        let requests: Vec<Request<'_>> = pending.iter().filter_map(request).collect();
        let Some(latest) = pending.iter().map(|job| job.deadline).max() else {
            return;
        };
        pending.iter().for_each(|job| job.begun.mark());
        let alone = pending.len() == 1;
        let mut sent = process.send(&requests, latest).is_ok();
        while let Some(job) = pending.pop_front() {
            let others_wait = || !pending.is_empty() || self.shared.has_backlog();
            let exchange = if sent { await_reply(process, &job, others_wait) } else { Exchange::Closed };
            let refused = match exchange {
                Exchange::Reply(reply) => {
                    job.finish(reply);
                    continue;
                }
                Exchange::TimedOut => job.begun.too_late(),
                Exchange::Closed => process.bury().into_refused(),
            };
            sent = false;
            tracing::warn!(version = %job.version.0, detail = refused.detail, "a policy worker was lost");
            // Most likely it was this one, so the others go first when they are done again.
            pending.push_back(job);
            if alone {
                after_loss(refused, &mut pending);
            }
            break;
        }
        if !sent {
            // Replies are held back for a moment, so which job a worker was lost over is known only if it was alone.
            self.shared.put_back(pending.into_iter().map(|job| Job { alone: true, ..job }));
            self.lose();
        }
    }
}

/// Decides what becomes of the one job over which its worker was lost: it is done again, or this is its answer.
fn after_loss(refused: Refused, pending: &mut VecDeque<Job>) {
    let Some(job) = pending.pop_front() else {
        return;
    };
    let outside = refused.failure == EvalFailure::Unavailable;
    if outside && !job.retried && Instant::now() < job.deadline {
        pending.push_front(Job { retried: true, ..job });
    } else {
        let refused = match (outside, job.retried) {
            (true, true) => poisonous(refused),
            (true, false) => job.begun.too_late(),
            (false, _) => refused,
        };
        job.finish(Err(refused));
    }
}

/// A second worker killed over the same evaluation is no accident: where memory is short, the system kills with the
/// same signal as an operator. Taken for an outage it could be configured to pass, so it counts as the policy's doing.
fn poisonous(refused: Refused) -> Refused {
    match refused.failure {
        EvalFailure::Unavailable => {
            Refused::new(EvalFailure::ResourceLimit, "two policy workers were killed over this evaluation")
        }
        _ => refused,
    }
}

/// Waits for the reply to the first job of a worker: until its deadline, and a fair part of its limit if it came to its
/// turn late; but no longer than half of the time that is left while others wait, whose deadlines are as near.
fn await_reply(process: &mut WorkerProcess, job: &Job, others_wait: impl Fn() -> bool) -> Exchange {
    let started = Instant::now();
    let last = job.deadline.max(started + job.limit / 4);
    let mut until = started + last.saturating_duration_since(started) / 2;
    loop {
        match process.receive(until) {
            Exchange::TimedOut if until < last && !others_wait() => until = last.min(until + job.limit / 8),
            exchange => return exchange,
        }
    }
}

fn request(job: &Job) -> Option<Request<'_>> {
    match &job.work {
        Work::Ready => None,
        Work::Evaluate(input) => Some(Request::Eval(job.version, input)),
    }
}

fn no_worker() -> Refused {
    Refused::new(EvalFailure::Unavailable, "no policy worker could be started")
}
