//! The life of what was launched: it ends by itself, by its lease, by its time, at a gate, or because the runner must stop.

use gantral_api::client::ClientError;
use gantral_api::wire::HeartbeatAnswer;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Attempt, Running};
use crate::child::Ended;
use crate::runner::Stop;
use crate::runner::event::RunnerEvent;
use crate::runner::lease::LeaseError;

/// The exit status that is reported for a process that ended well only when its time was up.
const EXIT_TIME_IS_UP: i32 = 124;

impl Attempt<'_> {
    /// Keeps the lease for as long as the process lives, and the process for no longer than the lease.
    pub(super) async fn follow(
        &mut self,
        running: &mut Running,
        mut stopped: watch::Receiver<Stop>,
    ) -> Result<Ended, LeaseError> {
        let mut next_renewal = Instant::now() + self.lease.period();
        let mut asked = false;
        let mut retired = false;
        let time_is_up = self.shared.config.time_max.map(|time| Instant::now() + time);
        loop {
            let (ask_at, kill_at) = (self.lease.ask_at(), self.lease.kill_at());
            tokio::select! {
                // What ended has ended, also if the lease ended in the same moment.
                biased;
                ended = running.launched.ended() => return Ok(ended),
                () = sleep_until(kill_at) => {
                    running.launched.kill();
                    running.launched.ended().await;
                    let within_ms = self.lease.period().as_millis();
                    return Err(LeaseError::Unanswered(ClientError::Timeout { within_ms }));
                }
                () = sleep_until(ask_at), if !asked => {
                    running.launched.ask_to_end();
                    asked = true;
                }
                () = told_to_stop(&mut stopped) => return Ok(self.stop(running).await),
                () = at(time_is_up) => {
                    let (instance, attempt) = (self.instance, self.attempt);
                    self.shared.config.observer.tell(&RunnerEvent::TimeIsUp { instance, attempt });
                    return Ok(failed(self.stop(running).await));
                }
                renewed = self.renew_at(next_renewal) => {
                    match renewed {
                        // A gate retired the attempt, and a whole period later the process is still there: while a
                        // human thinks, nothing may run.
                        Ok(answer) if retired && answer.retired => return Ok(self.stop(running).await),
                        Ok(answer) => {
                            retired = answer.retired;
                            if let Err(error) = running.dir.put_token(&answer.token) {
                                tracing::error!(%error, "the renewed token cannot be passed on");
                            }
                            running.launched.renewed(&answer.token, &self.lease);
                            next_renewal = Instant::now() + self.lease.period();
                        }
                        Err(error @ LeaseError::Over(_)) => {
                            // Somebody else may have the attempt already: no grace.
                            running.launched.kill();
                            running.launched.ended().await;
                            return Err(error);
                        }
                        Err(LeaseError::Unanswered(error)) => {
                            tracing::warn!(instance = %self.instance, %error, "the lease was not renewed");
                            next_renewal = Instant::now() + self.lease.pause();
                        }
                    }
                }
            }
        }
    }

    /// Sleeps, then renews the lease.
    async fn renew_at(&mut self, at: Instant) -> Result<HeartbeatAnswer, LeaseError> {
        sleep_until(at).await;
        self.lease.renew(&self.shared.client, self.task.instance_id, self.attempt).await
    }

    /// Ends a process because the runner must stop.
    async fn stop(&self, running: &mut Running) -> Ended {
        running.launched.ask_to_end();
        let grace = self.lease.grace();
        match tokio::time::timeout(grace, running.launched.ended()).await {
            Ok(ended) => ended,
            Err(_) => {
                running.launched.kill();
                running.launched.ended().await
            }
        }
    }
}

/// Sleeps until then; forever where nothing is said.
async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => core::future::pending().await,
    }
}

/// Returns the end of a process that was ended for its time: one that caught the signal and ended as if it were done is not done.
const fn failed(ended: Ended) -> Ended {
    match ended {
        Ended::Exited(0) => Ended::Exited(EXIT_TIME_IS_UP),
        Ended::Exited(_) | Ended::Killed(_) => ended,
    }
}

/// Waits until what still runs must end. A runner that is gone without saying so has dropped this future already.
async fn told_to_stop(stopped: &mut watch::Receiver<Stop>) {
    if stopped.wait_for(|stop| *stop == Stop::Now).await.is_err() {
        core::future::pending::<()>().await;
    }
}
