//! What workers do: ask the API, and tell workflows what it said. Each may be done twice.
#![expect(missing_docs, reason = "the macros write a constant beside each method, without a word")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gantral_api::client::Client as ApiClient;
use gantral_api::wire::{Course, CourseQuery, text};
use serde::{Deserialize, Serialize};
use temporalio_client::errors::{WorkflowInteractionError, WorkflowStartError};
use temporalio_client::{Client, WorkflowIdConflictPolicy, WorkflowSignalOptions, WorkflowStartOptions};
use temporalio_macros::activities;
use temporalio_sdk::activities::{ActivityContext, ActivityError};

use crate::execution::{Beginning, Execution};
use crate::failure::{of_api, passing};
use crate::keeping::Following;
use crate::names::Lane;
use crate::watch::Watch;

/// How long one turn of following lasts: an hour, so that the history of the follower is short and its input young.
pub const FOLLOW_TURN: Duration = Duration::from_secs(3_600);
/// How often a follower or keeper must be heard of, before another takes its place.
pub const KEEPING_BEAT: Duration = Duration::from_secs(15);
/// How long the API holds an answer for the follower: a third of that, so that a beat is never missed.
const FOLLOW_WAIT: &str = "5s";
/// How many workflows are told at a time.
const TOLD_AT_ONCE: usize = 16;
/// How many are told between two heartbeats.
const TOLD_BETWEEN_BEATS: usize = 128;

/// One attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The instance.
    pub instance: text::InstanceId,
    /// The number of the attempt.
    pub attempt: u32,
}

/// What any worker of a tenant does.
pub struct Api {
    /// The API, with the token of an orchestrator.
    pub api: ApiClient,
    /// Temporal.
    pub temporal: Client,
}

#[activities]
impl Api {
    /// Has the API seal what is due of an instance, and returns where it stands.
    #[activity]
    pub async fn look(
        self: Arc<Self>,
        _ctx: ActivityContext,
        instance: text::InstanceId,
    ) -> Result<Course, ActivityError> {
        self.api.look(instance).await.map_err(|error| of_api(&error))
    }

    /// Follows the ledger for one turn, and tells each workflow where its instance stands. Returns how far it has come. The place is kept only
    /// behind what Temporal has acknowledged.
    #[activity]
    pub async fn follow(
        self: Arc<Self>,
        ctx: ActivityContext,
        following: Following,
    ) -> Result<String, ActivityError> {
        let kept = kept(&ctx);
        let mut query = CourseQuery { cursor: kept.or(following.cursor), wait: FOLLOW_WAIT.parse().ok() };
        let began = Instant::now();
        loop {
            let page = tokio::select! {
                page = self.api.courses(&query) => page.map_err(|error| of_api(&error))?,
                () = ctx.cancelled() => return Err(stopped()),
            };
            for some in page.items.chunks(TOLD_BETWEEN_BEATS) {
                let told: Vec<_> = some.iter().map(|course| self.tell(&following.lane, course)).collect();
                stream::iter(told).buffer_unordered(TOLD_AT_ONCE).try_collect::<()>().await?;
                ctx.record_heartbeat(query.cursor.clone()).await?;
            }
            ctx.record_heartbeat(page.next.clone()).await?;
            query.cursor = Some(page.next.clone());
            if ctx.is_cancelled() {
                return Err(stopped());
            }
            if began.elapsed() > FOLLOW_TURN {
                return Ok(page.next);
            }
        }
    }

    /// Goes through all open instances, and starts a workflow for each that has none. Returns how many it started.
    #[activity]
    pub async fn search(self: Arc<Self>, ctx: ActivityContext, lane: Lane) -> Result<u64, ActivityError> {
        let mut query = CourseQuery { cursor: kept(&ctx), wait: None };
        let mut started = 0_u64;
        loop {
            let page = self.api.courses(&query).await.map_err(|error| of_api(&error))?;
            for some in page.items.chunks(TOLD_BETWEEN_BEATS) {
                let begun: Vec<_> = some.iter().map(|course| self.begin(&lane, course)).collect();
                let begun: Vec<bool> =
                    stream::iter(begun).buffer_unordered(TOLD_AT_ONCE).try_collect().await?;
                started += begun.into_iter().filter(|begun| *begun).map(|_| 1).sum::<u64>();
                ctx.record_heartbeat(query.cursor.clone()).await?;
            }
            if ctx.is_cancelled() {
                return Err(stopped());
            }
            if page.following {
                return Ok(started);
            }
            query.cursor = Some(page.next);
        }
    }
}

impl Api {
    /// Tells a workflow where its instance stands; starts it if there is none. An instance that has ended needs none.
    async fn tell(&self, lane: &Lane, course: &Course) -> Result<(), ActivityError> {
        let id = lane.workflow(&course.instance_id);
        if course.state.into_inner().is_final() {
            let workflow = self.temporal.get_workflow_handle::<Execution>(id);
            let told = workflow.signal(Execution::moved, course.clone(), WorkflowSignalOptions::default());
            return match told.await {
                // It has ended, or never began.
                Ok(()) | Err(WorkflowInteractionError::NotFound(_)) => Ok(()),
                Err(error) => Err(passing("temporal", error).into()),
            };
        }
        let (beginning, options) = beginning(lane, course, WorkflowIdConflictPolicy::UseExisting);
        let told = self.temporal.signal_with_start_workflow(
            Execution::run,
            beginning,
            Execution::moved,
            course.clone(),
            options,
        );
        told.await.map(drop).map_err(|error| passing("temporal", error).into())
    }

    /// Starts the workflow of an instance unless it runs; tells whether it was started.
    async fn begin(&self, lane: &Lane, course: &Course) -> Result<bool, ActivityError> {
        if course.state.into_inner().is_final() {
            return Ok(false);
        }
        let (beginning, options) = beginning(lane, course, WorkflowIdConflictPolicy::Fail);
        match self.temporal.start_workflow(Execution::run, beginning, options).await {
            Ok(_) => {
                tracing::warn!(instance = %course.instance_id, "an instance had no workflow: one was started");
                Ok(true)
            }
            Err(WorkflowStartError::AlreadyStarted { .. }) => Ok(false),
            Err(error) => Err(passing("temporal", error).into()),
        }
    }
}

fn beginning(
    lane: &Lane,
    course: &Course,
    conflict: WorkflowIdConflictPolicy,
) -> (Beginning, WorkflowStartOptions) {
    let instance = course.instance_id;
    let options =
        WorkflowStartOptions::new(lane.tasks(), lane.workflow(&instance)).id_conflict_policy(conflict);
    (Beginning { lane: lane.clone(), instance, course: Some(course.clone()) }, options.build())
}

/// Returns the place that the last heartbeat of the one before said. Before it has come anywhere there is none, which is said as well; and a
/// place that cannot be read is none: what was told is told again.
fn kept(ctx: &ActivityContext) -> Option<String> {
    ctx.heartbeat_details().deserialize::<Option<String>>().ok().flatten().flatten()
}

fn stopped() -> ActivityError {
    passing("stopped", "this worker stops").into()
}

/// The gateway to the runners of a queue, which speak with the API alone.
pub struct Gateway {
    /// The API, with the token of an orchestrator.
    pub api: ApiClient,
    /// What becomes of the attempts that were released here.
    pub watch: Arc<Watch>,
}

#[activities]
impl Gateway {
    /// Lets the runners of the queue claim an attempt, and ends when the attempt has ended: the watch of this process says so.
    #[activity]
    pub async fn dispatch(
        self: Arc<Self>,
        ctx: ActivityContext,
        attempt: Attempt,
    ) -> Result<Course, ActivityError> {
        // Before the release, so that an end that comes at once is heard.
        let watched = self.watch.begin(ctx.info().task_token.clone(), attempt);
        let course = match self.api.release(attempt.instance, attempt.attempt).await {
            Ok(course) => course,
            Err(error) => {
                watched.forget();
                return Err(of_api(&error));
            }
        };
        if has_ended(&course, attempt) {
            watched.forget();
            return Ok(course);
        }
        watched.released(&course);
        Err(ActivityError::WillCompleteAsync)
    }
}

/// Tells whether nothing more will come of an attempt: it ended, another is newer, it is not wanted, or the instance has ended.
pub(crate) fn has_ended(course: &Course, Attempt { attempt, .. }: Attempt) -> bool {
    let lives = course.attempt == attempt && course.live;
    let waits = course.dispatch.as_ref().is_some_and(|next| next.attempt == attempt);
    course.state.into_inner().is_final() || !(lives || waits)
}
