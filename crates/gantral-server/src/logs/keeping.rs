//! Which server lets the logs grow, and what the others do meanwhile.
//!
//! The one that has the duty ([`Duty::Logs`]) is the sequencer, and carries checkpoints to witnesses. The others stand by and follow: they read
//! what is published so often that whoever waits for it on any of them hears of it at once, as people see it. When the one is killed, another
//! one takes over after the lease has run out; when it ends in order, at once. One that was passed by stands by again.

use std::future::{Future, pending};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use gantral_core::ids::TenantId;
use gantral_log::published::SequencerState;
use gantral_log::sequencer::{Sequencer, SequencerError, SequencerParts};
use gantral_log::stored::Kept;
use gantral_store::{Duties, Duty, OnDuty};
use tokio::time::sleep;

use super::witnesses::Witnesses;
use super::{Logs, LogsError, WitnessSettings};
use crate::standing::Standing;

/// How often a server that stands by reads what is published: how much later than elsewhere a grant that waits for a witness is released
/// there, and a bundle has its proofs. One statement for all tenants.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
/// How long after a start that failed the next one is made.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What lets the logs grow and carries them to witnesses, for whoever serves.
pub struct Keeping {
    logs: Logs,
    parts: SequencerParts<Kept>,
    duties: Duties,
    standing: Standing,
    witnesses: Vec<Witnesses>,
    /// What has begun before anybody serves.
    begun: Option<(OnDuty, Sequencer<Kept>)>,
}

impl Keeping {
    /// Takes over letting the logs grow, unless another server does.
    pub(super) async fn open(
        logs: &Logs,
        parts: SequencerParts<Kept>,
        duties: Duties,
        standing: &Standing,
    ) -> Result<Self, LogsError> {
        let begun = match duties.take(&Duty::Logs).await? {
            Some(on_duty) => {
                let sequencer = Sequencer::start(parts.clone(), on_duty.held()).await?;
                Some((on_duty, sequencer))
            }
            None => {
                tracing::info!("another server lets the logs grow; this one stands by");
                parts.published.set_state(SequencerState::StandingBy);
                None
            }
        };
        let (logs, standing) = (logs.clone(), standing.clone());
        Ok(Self { logs, parts, duties, standing, witnesses: Vec::new(), begun })
    }

    /// Asks the witnesses of a tenant's log once, and again while this server lets it grow.
    pub(super) async fn ask(
        &mut self,
        tenant: &TenantId,
        witnesses: &[WitnessSettings],
    ) -> Result<(), LogsError> {
        let objects = self.logs.objects(tenant)?;
        let mut asked = Witnesses::new(tenant, witnesses, &self.logs, objects, &self.standing)?;
        if let Some(newest) = self.logs.published().newest(tenant) {
            asked.ask(&newest).await;
        }
        self.witnesses.push(asked);
        Ok(())
    }

    /// Works until `stop` is ready, or the ledger is known to be behind (`spec/log.md` L27); a round of the sequencer that has begun is
    /// ended first.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        let standing = self.standing.clone();
        let stop = async {
            tokio::select! {
                () = stop => {}
                () = standing.fallen_behind() => {}
            }
        };
        let stop = stop.shared();
        loop {
            let begun = match self.begun.take() {
                Some(begun) => Ok(begun),
                None => tokio::select! {
                    biased;
                    () = stop.clone() => break,
                    begun = self.stand_by() => begun,
                },
            };
            // An error was said where it happened.
            let Ok((on_duty, sequencer)) = begun else { return };
            let ended = self.serve(&on_duty, sequencer, stop.clone()).await;
            on_duty.release().await;
            if !matches!(ended, Err(SequencerError::Stale)) {
                return;
            }
        }
        self.parts.published.set_state(SequencerState::Stopped("the server ends".to_owned()));
    }

    /// Follows what another server publishes, until this one is to let the logs grow, and begins with that.
    async fn stand_by(&self) -> Result<(OnDuty, Sequencer<Kept>), SequencerError> {
        loop {
            let on_duty = tokio::select! {
                on_duty = self.duties.wait(&Duty::Logs) => on_duty,
                never = self.follow() => match never {},
            };
            tracing::info!("this server lets the logs grow from now on");
            match Sequencer::start(self.parts.clone(), on_duty.held()).await {
                Ok(sequencer) => return Ok((on_duty, sequencer)),
                Err(error) => {
                    on_duty.release().await;
                    if error.is_final() && !matches!(error, SequencerError::Stale) {
                        tracing::error!(code = "logs_stopped", %error, "this server cannot let the logs grow");
                        self.parts.published.set_state(SequencerState::Stopped(error.to_string()));
                        return Err(error);
                    }
                    tracing::warn!(%error, "the logs did not begin to grow here; it is tried again");
                }
            }
            sleep(RETRY_AFTER).await;
        }
    }

    /// Lets the logs grow and carries their checkpoints until `stop` is ready or another server may take over.
    async fn serve(
        &mut self,
        on_duty: &OnDuty,
        sequencer: Sequencer<Kept>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), SequencerError> {
        let signatures = sequencer.signatures();
        let carrying = self.witnesses.iter_mut().map(|witnesses| witnesses.run(&signatures));
        let carrying = async {
            join_all(carrying).await;
            // Without witnesses, or when they are asked no more, the logs grow on.
            pending::<()>().await;
        };
        tokio::select! {
            ended = sequencer.run(stop) => ended,
            () = on_duty.lost() => Err(SequencerError::Stale),
            () = carrying => Ok(()),
        }
    }

    /// Reads for ever what another server publishes.
    async fn follow(&self) -> std::convert::Infallible {
        let mut failing = false;
        loop {
            match self.logs.refresh().await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "what is published of the logs cannot be read; it is tried again");
                    }
                    failing = true;
                }
            }
            sleep(FOLLOW_EVERY).await;
        }
    }
}
