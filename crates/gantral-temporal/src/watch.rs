//! What becomes of the attempts that one process has released: heard from the ledger, told to Temporal.
//!
//! Each is an activity that was left open. While it lives a heartbeat says that somebody watches; when the ledger says that it has ended, the
//! activity is completed. A process that dies stops its heartbeats: Temporal then has another one release the attempt again, which changes
//! nothing, and watch. So does one that stops in order, only sooner.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use gantral_api::client::Client as ApiClient;
use gantral_api::wire::{Course, CourseQuery};
use temporalio_client::errors::AsyncActivityError;
use temporalio_client::{ActivityIdentifier, Client, RpcOptions};
use temporalio_common::protos::TaskToken;
use tokio::time::MissedTickBehavior;

use crate::activities::{Attempt, has_ended};
use crate::execution::GATEWAY_BEAT;
use crate::failure::passing;

/// How often it is said that an attempt is watched: three times in the time after which another would.
const BEAT: Duration = Duration::from_secs(GATEWAY_BEAT.as_secs() / 3);
/// How long the API holds an answer: less than a beat.
const WAIT: &str = "5s";
/// How long until the API is asked again that did not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// How many activities are told of at a time.
const TOLD_AT_ONCE: usize = 16;

/// One attempt whose end is waited for.
#[derive(Clone)]
struct Open {
    token: Vec<u8>,
    attempt: Attempt,
    /// The newest artifact of the instance when it was released; what is older says nothing of the attempt.
    since: Option<u64>,
    /// The newest that was heard of the instance.
    heard: Option<Course>,
}

impl Open {
    /// Returns where the instance stood when the attempt had ended, once that was heard.
    fn ended(&self) -> Option<&Course> {
        let since = self.since?;
        self.heard.as_ref().filter(|heard| heard.sequence > since && has_ended(heard, self.attempt))
    }
}

/// The attempts that this process has released.
pub struct Watch {
    api: ApiClient,
    temporal: Client,
    open: Mutex<HashMap<Vec<u8>, Open>>,
}

/// An attempt that is watched.
pub(crate) struct Watched<'a> {
    watch: &'a Watch,
    token: Vec<u8>,
}

impl Watched<'_> {
    /// Waits for its end from here on.
    pub(crate) fn released(self, course: &Course) {
        if let Some(open) = self.watch.open().get_mut(&self.token) {
            open.since = Some(course.sequence);
        }
    }

    /// Watches it no more.
    pub(crate) fn forget(self) {
        self.watch.open().remove(&self.token);
    }
}

impl Watch {
    /// Watches nothing yet.
    pub fn new(api: ApiClient, temporal: Client) -> Arc<Self> {
        Arc::new(Self { api, temporal, open: Mutex::default() })
    }

    /// Watches an attempt, for an activity.
    pub(crate) fn begin(&self, token: Vec<u8>, attempt: Attempt) -> Watched<'_> {
        self.open().insert(token.clone(), Open { token: token.clone(), attempt, since: None, heard: None });
        Watched { watch: self, token }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Open>> {
        // Plain data: a panic elsewhere leaves it whole.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches for ever. Begin before the first attempt is released.
    pub async fn run(&self) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut query = CourseQuery { cursor: Some("now".to_owned()), wait: WAIT.parse().ok() };
        loop {
            let heard = tokio::select! {
                heard = self.api.courses(&query) => heard,
                _ = beat.tick() => {
                    self.tell().await;
                    continue;
                }
            };
            match heard {
                Ok(page) => {
                    query.cursor = Some(page.next);
                    if self.hear(&page.items) {
                        self.tell().await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the ends of attempts cannot be heard");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// Notes which attempts have ended; tells whether any has.
    fn hear(&self, courses: &[Course]) -> bool {
        let mut any = false;
        for open in self.open().values_mut() {
            let of = |course: &&Course| course.instance_id == open.attempt.instance;
            for course in courses.iter().filter(of) {
                if open.heard.as_ref().is_none_or(|heard| course.sequence > heard.sequence) {
                    open.heard = Some(course.clone());
                }
            }
            any |= open.ended().is_some();
        }
        any
    }

    /// Completes the activities whose attempts have ended, and says of the others that they are watched.
    async fn tell(&self) {
        let all: Vec<Open> = self.open().values().cloned().collect();
        let told = all.into_iter().map(|open| async move {
            let token = open.token.clone();
            match self.tell_one(open).await {
                // It is over, or Temporal knows it no more: its workflow was ended, or another process has it.
                Ok(true) | Err(AsyncActivityError::NotFound(_)) => {
                    self.open().remove(&token);
                }
                Ok(false) => {}
                // The next beat tries again.
                Err(error) => tracing::warn!(%error, "Temporal cannot be told of an attempt"),
            }
        });
        stream::iter(told).buffer_unordered(TOLD_AT_ONCE).collect::<()>().await;
    }

    async fn tell_one(&self, open: Open) -> Result<bool, AsyncActivityError> {
        let ended = open.ended().cloned();
        let identifier = ActivityIdentifier::from_task_token(TaskToken::from(open.token));
        let activity = self.temporal.get_async_activity_handle(identifier);
        match ended {
            Some(course) => activity.complete(Some(course), RpcOptions::default()).await.map(|()| true),
            None => activity.heartbeat(None::<()>, RpcOptions::default()).await.map(|_| false),
        }
    }

    /// Hands all attempts over to other processes, because this one stops.
    pub async fn stop(&self) {
        let all: Vec<Open> = self.open().drain().map(|(_, open)| open).collect();
        let told = all.into_iter().map(|open| async move {
            let ended = open.ended().cloned();
            let identifier = ActivityIdentifier::from_task_token(TaskToken::from(open.token));
            let activity = self.temporal.get_async_activity_handle(identifier);
            let told = match ended {
                Some(course) => activity.complete(Some(course), RpcOptions::default()).await,
                None => {
                    let stops = passing("stopped", "this gateway stops");
                    activity.fail(stops, None::<()>, RpcOptions::default()).await
                }
            };
            if let Err(error) = told {
                tracing::warn!(%error, "an attempt is handed over only when its heartbeats are missed");
            }
        });
        stream::iter(told).buffer_unordered(TOLD_AT_ONCE).collect::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(sequence: u64, attempt: u32, live: bool, wanted: Option<u32>, state: &str) -> Course {
        let dispatch = wanted.map(|attempt| {
            format!(r#""dispatch":{{"attempt":{attempt},"queue":"default","released":true}},"#)
        });
        let digest = "0".repeat(64);
        let text = format!(
            r#"{{"instance_id":"0720f974-5f68-45eb-b235-11038c06bebe","team":"payments","state":"{state}",
                "workflow":{{"id":"refund","version":"1","digest":"{digest}","materiality":"LOW"}},
                "sequence":{sequence},"artifact_hash":"{digest}","attempt":{attempt},"live":{live},{}
                "expires_at":"2026-01-08T00:00:00.000Z"}}"#,
            dispatch.unwrap_or_default()
        );
        serde_json::from_str(&text).unwrap()
    }

    /// Attempt 2, released when the newest artifact was the fifth, and what was heard since.
    fn ended(heard: Course) -> bool {
        let attempt = Attempt { instance: heard.instance_id, attempt: 2 };
        Open { token: Vec::new(), attempt, since: Some(5), heard: Some(heard) }.ended().is_some()
    }

    #[test]
    fn an_attempt_has_ended_when_it_neither_lives_nor_is_wanted_any_more() {
        for (heard, expected) in [
            (course(6, 1, false, Some(2), "APPROVED"), false),
            (course(6, 2, true, None, "RESUMED"), false),
            (course(6, 2, true, None, "WAITING_FOR_HUMAN"), false),
            (course(6, 2, false, None, "WAITING_FOR_HUMAN"), true),
            (course(6, 2, false, Some(3), "RUNNING"), true),
            (course(6, 3, true, None, "RUNNING"), true),
            (course(6, 1, false, None, "TERMINATED"), true),
        ] {
            assert_eq!(ended(heard.clone()), expected, "{heard:?}");
        }
    }

    #[test]
    fn what_was_told_before_the_release_says_nothing_of_the_attempt() {
        assert!(!ended(course(5, 1, false, None, "APPROVED")));
        assert!(!ended(course(4, 1, true, None, "WAITING_FOR_HUMAN")));
    }
}
