//! The two workflows that each tenant has once: one that follows the ledger and tells, and one that finds what has no workflow.
//!
//! That there is one of each is Temporal's affair: any number of workers may run, and whichever has the activity does it. How far the follower
//! has read stands in its heartbeats, and so in Temporal: a worker that is killed is replaced, and what it may have told is told again.
#![expect(missing_docs, reason = "the macros write a constant beside each method, without a word")]

use std::time::Duration;

use serde::{Deserialize, Serialize};
use temporalio_macros::{workflow, workflow_methods};
use temporalio_sdk::{
    ActivityOptions, ContinueAsNewOptions, WorkflowContext, WorkflowContextView, WorkflowResult,
};

use crate::activities::{Api, FOLLOW_TURN, KEEPING_BEAT};
use crate::execution::again;
use crate::names::Lane;

/// How long one turn of following may take: what was meant, and the telling of what came last.
const FOLLOW_WITHIN: Duration = Duration::from_secs(FOLLOW_TURN.as_secs() * 2);
/// How long one search through all open instances may take: a day, for millions of them.
const SEARCH_WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// What the follower begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Following {
    /// The names of its tenant.
    pub lane: Lane,
    /// How far it has read; nothing is read yet where absent.
    pub cursor: Option<String>,
}

/// Follows the ledger, and tells each instance's workflow where it stands.
#[workflow]
pub struct Follower {
    following: Following,
}

#[workflow_methods]
impl Follower {
    #[init]
    fn new(_: &WorkflowContextView, following: Following) -> Self {
        Self { following }
    }

    /// Follows for one turn, and goes on as a new run.
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let following = ctx.state(|this| this.following.clone());
        let options = ActivityOptions::with_start_to_close_timeout(FOLLOW_WITHIN)
            .heartbeat_timeout(KEEPING_BEAT)
            .retry_policy(again())
            .build();
        let cursor = ctx.execute_activity(Api::follow, following.clone(), options).await?;
        let following = Following { cursor: Some(cursor), ..following };
        ctx.continue_as_new(following, ContinueAsNewOptions::default())?;
        Ok(())
    }
}

/// What the keeper begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    /// The names of its tenant.
    pub lane: Lane,
    /// How long it waits between two searches.
    pub every: Duration,
}

/// Finds open instances without a workflow, whose workflow was terminated from outside, and starts one.
#[workflow]
pub struct Keeper {
    keeping: Keeping,
}

#[workflow_methods]
impl Keeper {
    #[init]
    fn new(_: &WorkflowContextView, keeping: Keeping) -> Self {
        Self { keeping }
    }

    /// Searches once, waits, and goes on as a new run.
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<()> {
        let keeping = ctx.state(|this| this.keeping.clone());
        let options = ActivityOptions::with_start_to_close_timeout(SEARCH_WITHIN)
            .heartbeat_timeout(KEEPING_BEAT)
            .retry_policy(again())
            .build();
        ctx.execute_activity(Api::search, keeping.lane.clone(), options).await?;
        ctx.timer(keeping.every).await;
        ctx.continue_as_new(keeping, ContinueAsNewOptions::default())?;
        Ok(())
    }
}
