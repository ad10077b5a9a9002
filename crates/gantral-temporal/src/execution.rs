//! The workflow of one instance: it waits, has the instance looked at when something of it is due, and has its attempts dispatched.
//!
//! Its state is the newest [`Course`] that it heard of, from whomever: two tellings are put in order by the sequence of the newest artifact, so
//! that one that comes late or twice changes nothing. Where it is terminated, reset or cancelled from outside, another one is started from the
//! API, and what it does again has been done: a look and a release may be repeated.
#![expect(missing_docs, reason = "the macros write a constant beside each method, without a word")]

use std::time::Duration;

use gantral_api::wire::{Course, text};
use serde::{Deserialize, Serialize};
use temporalio_common::RetryPolicy;
use temporalio_common::search_attributes::SearchAttributeKey;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ContinueAsNewOptions, SyncWorkflowContext, WorkflowContext, WorkflowContextView,
    WorkflowResult,
};

use crate::activities::{Api, Attempt, Gateway};
use crate::names::{self, Lane};
use crate::time::until;

/// The state of the instance, to find it by.
pub const STATE: SearchAttributeKey<String> = SearchAttributeKey::keyword(names::STATE);
/// Its tenant.
pub const TENANT: SearchAttributeKey<String> = SearchAttributeKey::keyword(names::TENANT);
/// The team that owns its workflow.
pub const TEAM: SearchAttributeKey<String> = SearchAttributeKey::keyword(names::TEAM);

/// How long the API has for one answer, its own tries included, before another worker may ask.
const LOOK_WITHIN: Duration = Duration::from_secs(60);
/// How long until an activity that failed is tried again, doubled with each time.
const AGAIN: Duration = Duration::from_millis(500);
/// The longest of these: how late work begins after an outage of the API.
const AGAIN_MAX: Duration = Duration::from_secs(15);
/// How often a gateway must be heard of, before another takes its place.
pub const GATEWAY_BEAT: Duration = Duration::from_secs(30);
/// How long a dispatch may take beyond the end of the instance, so that the end is told before it.
const DISPATCH_SLACK: Duration = Duration::from_secs(3_600);
/// How long after a deadline it is looked: the instant itself is the first at which the step is due, and clocks differ a little.
const DUE_SLACK: Duration = Duration::from_millis(50);
/// How long until an instance is looked at again that wants what it was just given, or that says nothing of when it is due.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What the workflow of an instance begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beginning {
    /// The names of its tenant.
    pub lane: Lane,
    /// The instance.
    pub instance: text::InstanceId,
    /// Where it stands, if that is known; else it is looked at first.
    pub course: Option<Course>,
}

/// The workflow.
#[workflow]
pub struct Execution {
    beginning: Beginning,
    course: Option<Course>,
    /// The state that the search attributes say.
    shown: Option<String>,
}

#[workflow_methods]
impl Execution {
    #[init]
    fn new(_: &WorkflowContextView, beginning: Beginning) -> Self {
        let course = beginning.course.clone();
        Self { beginning, course, shown: None }
    }

    /// Runs until the instance has ended; returns where it stood then.
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Option<Course>> {
        if ctx.state(|this| this.course.is_none()) {
            Self::look(ctx).await?;
        }
        let mut dispatched = 0;
        loop {
            Self::show(ctx);
            let Some(course) = ctx.state(|this| this.course.clone()) else { return Ok(None) };
            if course.state.into_inner().is_final() {
                return Ok(Some(course));
            }
            if ctx.continue_as_new_suggested() {
                let beginning =
                    ctx.state(|this| Beginning { course: this.course.clone(), ..this.beginning.clone() });
                ctx.continue_as_new(beginning, ContinueAsNewOptions::default())?;
            }
            match course.dispatch.as_ref().filter(|next| next.attempt > dispatched) {
                Some(next) => {
                    Self::dispatch(ctx, &course, next.attempt, &next.queue).await?;
                    dispatched = next.attempt;
                }
                // What was looked at is believed anew, an attempt that is still wanted included.
                None if Self::wait(ctx, &course, dispatched).await? => dispatched = 0,
                None => {}
            }
        }
    }

    /// Hears where the instance stands.
    #[signal]
    pub fn moved(&mut self, _: &mut SyncWorkflowContext<Self>, course: Course) {
        self.hear(course);
    }

    /// Says what was heard last.
    #[query]
    pub fn course(&self, _: &WorkflowContextView) -> Option<Course> {
        self.course.clone()
    }
}

impl Execution {
    fn hear(&mut self, course: Course) {
        let newer = self.course.as_ref().is_none_or(|known| course.sequence >= known.sequence);
        if newer && course.instance_id == self.beginning.instance {
            self.course = Some(course);
        }
    }

    /// Has the API seal what is due, and hears where the instance stands then.
    async fn look(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let instance = ctx.state(|this| this.beginning.instance);
        let options = ActivityOptions::with_start_to_close_timeout(LOOK_WITHIN).retry_policy(again()).build();
        let course = ctx.execute_activity(Api::look, instance, options).await?;
        ctx.state_mut(|this| this.hear(course));
        Ok(())
    }

    /// Has an attempt released to the runners of its queue, and waits until it has ended.
    async fn dispatch(
        ctx: &mut WorkflowContext<Self>,
        course: &Course,
        attempt: u32,
        queue: &text::Name,
    ) -> WorkflowResult<()> {
        let gateway = ctx.state(|this| this.beginning.lane.gateway(queue));
        let within = until(&course.expires_at, ctx.workflow_time()) + DISPATCH_SLACK;
        let options = ActivityOptions::with_start_to_close_timeout(within)
            .task_queue(gateway)
            .heartbeat_timeout(GATEWAY_BEAT)
            .retry_policy(again())
            .build();
        let released = Attempt { instance: course.instance_id, attempt };
        let course = ctx.execute_activity(Gateway::dispatch, released, options).await?;
        ctx.state_mut(|this| this.hear(course));
        Ok(())
    }

    /// Waits until there is something to do that is not done yet, or until something is due, which is then looked at; tells whether it was.
    async fn wait(ctx: &mut WorkflowContext<Self>, course: &Course, dispatched: u32) -> WorkflowResult<bool> {
        let due = course.due_at;
        let wanted = course.dispatch.is_some();
        let next = match &due {
            Some(due) if !wanted => until(due, ctx.workflow_time()) + DUE_SLACK,
            // It wants what it was given: whoever told so was late, or something undid it.
            Some(_) | None => LOOK_AGAIN,
        };
        let moved = |this: &Self| {
            this.course.as_ref().is_some_and(|now| {
                now.state.into_inner().is_final()
                    || now.due_at != due
                    || now.dispatch.as_ref().is_some_and(|next| next.attempt > dispatched)
                    || this.shown.as_deref() != Some(now.state.as_str())
            })
        };
        let looks = temporalio_sdk::workflows::select! {
            moved = ctx.wait_condition(moved) => { moved?; false }
            _ = ctx.timer(next) => { true }
        };
        if looks {
            Self::look(ctx).await?;
        }
        Ok(looks)
    }

    /// Says in the search attributes how the instance stands, where that is new. For dashboards: it may be late, and nothing is decided by it.
    fn show(ctx: &mut WorkflowContext<Self>) {
        let news = ctx.state(|this| {
            let course = this.course.as_ref()?;
            let state = course.state.as_str().to_owned();
            let tenant = this.beginning.lane.tenant.clone();
            (this.shown.as_ref() != Some(&state)).then(|| (state, tenant, course.team.to_string()))
        });
        let Some((state, tenant, team)) = news else { return };
        ctx.upsert_search_attributes([
            STATE.value_set(state.clone()),
            TENANT.value_set(tenant),
            TEAM.value_set(team),
        ]);
        ctx.state_mut(|this| this.shown = Some(state));
    }
}

/// Activities are tried until they succeed: an outage holds work back, and loses none.
pub(crate) fn again() -> RetryPolicy {
    RetryPolicy::builder().initial_interval(AGAIN).maximum_interval(AGAIN_MAX).build()
}
