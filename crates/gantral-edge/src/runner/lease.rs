//! The lease: until when the process of an attempt may live.
//!
//! Counted on this machine's own monotonic clock from *before* each renewal was sent, so that it ends here no later than
//! on the server, whatever the clocks and the network do. Near its end the process is ended, before anybody else could
//! be given the attempt.

use std::time::Duration;

use gantral_api::client::{Client, ClientError};
use gantral_api::problem::Code;
use gantral_api::wire::{HeartbeatAnswer, text};
use tokio::time::Instant;

/// How many renewals are tried in one lease.
const RENEWALS: u32 = 3;
/// How much of a lease is kept free after the last kill, as a part of it.
const MARGIN: u32 = 10;
/// The longest such part: killing takes no longer.
const MARGIN_MAX: Duration = Duration::from_secs(2);

/// The lease of one attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    length: Duration,
    /// When it ends on this machine's clock.
    ends_at: Instant,
    grace: Duration,
}

/// Why a lease is not ours any more.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum LeaseError {
    /// The server says so: the process must die at once.
    #[error("the server says that the lease is over: {0}")]
    Over(ClientError),
    /// The server did not answer, or not usefully.
    #[error("{0}")]
    Unanswered(ClientError),
}

impl Lease {
    /// Begins with what the assignment grants; what is left of it is unknown until it is renewed.
    pub(super) fn new(length: Duration, grace: Duration) -> Self {
        Self { length, ends_at: Instant::now(), grace: grace.min(length / 4) }
    }

    /// Returns one that was renewed this very moment.
    #[cfg(test)]
    pub(super) fn renewed_now(length: Duration, grace: Duration) -> Self {
        let lease = Self::new(length, grace);
        Self { ends_at: lease.ends_at + length, ..lease }
    }

    /// Renews the lease, once.
    pub(super) async fn renew(
        &mut self,
        client: &Client,
        instance: text::InstanceId,
        attempt: u32,
    ) -> Result<HeartbeatAnswer, LeaseError> {
        let asked_at = Instant::now();
        let within = self.period();
        let client = client.without_retries();
        let answer = match tokio::time::timeout(within, client.heartbeat(instance, attempt)).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Timeout { within_ms: within.as_millis() }),
        };
        match answer {
            Ok(answer) => {
                self.ends_at = asked_at + self.length;
                Ok(answer)
            }
            Err(error) if is_over(&error) => Err(LeaseError::Over(error)),
            Err(error) => Err(LeaseError::Unanswered(error)),
        }
    }

    /// Returns the time between two renewals.
    pub(super) fn period(&self) -> Duration {
        self.length / RENEWALS
    }

    /// Returns the pause after a renewal that was not answered.
    pub(super) fn pause(&self) -> Duration {
        self.period() / 4
    }

    /// Returns when the processes are asked to end, if nothing renews the lease until then.
    pub(super) fn ask_at(&self) -> Instant {
        self.kill_at().checked_sub(self.grace).unwrap_or(self.ends_at)
    }

    /// Returns when the processes are killed, if nothing renews the lease until then.
    pub(super) fn kill_at(&self) -> Instant {
        self.ends_at.checked_sub((self.length / MARGIN).min(MARGIN_MAX)).unwrap_or(self.ends_at)
    }

    /// Returns how long processes have between being asked to end and being killed.
    pub(super) const fn grace(&self) -> Duration {
        self.grace
    }
}

/// Tells whether a refusal means that the attempt is not ours, and will not be again.
pub(super) fn is_over(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(
            Code::LeaseLost
                | Code::StaleAttempt
                | Code::AttemptInactive
                | Code::InstanceEnded
                | Code::NotFound
        )
    )
}

#[cfg(test)]
mod tests;
