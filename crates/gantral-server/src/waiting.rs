//! Long polls: wait for news of a commit, then look again. Nothing but the store knows anything.

use std::time::Duration;

use gantral_api::wire::{WAIT_SECONDS_MAX, text};
use gantral_store::{Change, Changes, Wake};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::app::App;
use crate::problems::Answer;

/// One caller who may wait. It hears of every commit from its start on, so that nothing is missed between two looks.
pub(crate) struct Waiting {
    app: App,
    until: Instant,
    changes: Changes,
    /// Taken by the first real wait: whoever finds an answer at once takes nobody's place.
    place: Option<OwnedSemaphorePermit>,
}

impl Waiting {
    /// Starts to listen, for as long as was asked, at most [`WAIT_SECONDS_MAX`].
    pub(crate) fn start(app: &App, wait: Option<text::Duration>) -> Self {
        let asked = Duration::from_millis(wait.map_or(0, |wait| wait.into_inner().get()));
        let until = Instant::now() + asked.min(Duration::from_secs(WAIT_SECONDS_MAX));
        Self { app: app.clone(), until, changes: app.engine().store().subscribe(), place: None }
    }

    /// Waits as [`news`](Self::news) does, but says so at the latest after `within` that it is time to look again: for whoever waits for
    /// something that other servers do not tell of.
    ///
    /// # Errors
    /// As [`news`](Self::news).
    pub(crate) async fn news_within(
        &mut self,
        within: Duration,
        matters: impl Fn(&Change) -> bool,
    ) -> Answer<bool> {
        match tokio::time::timeout(within, self.news(matters)).await {
            Ok(news) => news,
            Err(_) => Ok(true),
        }
    }

    /// Waits until a commit that matters, or until the time is over; tells whether to look again.
    ///
    /// # Errors
    /// `too_many_requests` when as many callers as possible wait already.
    pub(crate) async fn news(&mut self, matters: impl Fn(&Change) -> bool) -> Answer<bool> {
        if Instant::now() >= self.until {
            return Ok(false);
        }
        if self.place.is_none() {
            self.place = Some(self.app.0.limits.wait()?);
        }
        loop {
            let Ok(wake) = tokio::time::timeout_at(self.until, self.changes.next()).await else {
                return Ok(false);
            };
            match wake {
                Wake::Committed(batch) if batch.iter().any(&matters) => return Ok(true),
                Wake::Committed(_) => {}
                // Whoever missed news must look.
                Wake::Lagged(_) => return Ok(true),
                Wake::Closed => return Ok(false),
            }
        }
    }
}
