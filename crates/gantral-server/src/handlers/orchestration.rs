//! What an orchestrator is told and says. The feed is read from the ledger, in the order of its commits: nothing is kept of who has read
//! how far, so that any number may read, and each goes on where it was.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::Json;
use axum::extract::State as Shared;
use gantral_api::problem::Code;
use gantral_api::wire::{self, text};
use gantral_core::ids::{AttemptNo, InstanceId, TenantId};
use gantral_core::state::State;
use gantral_engine::{Course, EngineError, state_code};
use gantral_identity::{Orchestrator, Principal};
use gantral_store::{COMMITS_MAX, Cursor, InstanceFilter, PAGE_MAX};

use super::{Path, Query, page};
use crate::app::App;
use crate::command::Write;
use crate::identity::Caller;
use crate::problems::{Answer, Failure};
use crate::views::workflow_ref;
use crate::waiting::Waiting;

/// How often a feed that waits looks without being told to. What others commit may be told of before it can be read in order.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The cursor of whoever wants to know only what moves from now on.
const NOW: &str = "now";

/// Returns the proof that an orchestrator is asking, where there is one.
fn orchestrator(app: &App, principal: &Principal) -> Answer<Orchestrator> {
    let orchestrator = principal.orchestrator()?;
    if app.engine().is_orchestrated() {
        return Ok(orchestrator);
    }
    Err(Failure::new(Code::NotOrchestrated, "this server hands out work by itself"))
}

/// How far a feed was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Among the instances that are open, state by state. Behind them, what was committed with a number above `from` is told.
    Open {
        /// The newest commit when the feed began.
        from: u64,
        /// Which of the open states.
        state: usize,
        /// How far in the list of that state.
        after: Option<Cursor>,
    },
    /// All commits up to this number.
    After(u64),
}

/// The text is no place that this server gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this feed")]
struct PlaceError;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { from, state, after: Some(after) } => write!(f, "open.{from}.{state}.{after}"),
            Self::Open { from, state, after: None } => write!(f, "open.{from}.{state}"),
            Self::After(number) => write!(f, "after.{number}"),
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| PlaceError);
        match text.split('.').collect::<Vec<_>>().as_slice() {
            ["after", after] => Ok(Self::After(number(after)?)),
            ["open", from, state, rest @ ..] if rest.len() <= 1 => {
                let after = rest.first().map(|after| after.parse().map_err(|_| PlaceError)).transpose()?;
                let state = state.parse().map_err(|_| PlaceError)?;
                Ok(Self::Open { from: number(from)?, state, after })
            }
            _ => Err(PlaceError),
        }
    }
}

/// GET /v1/orchestration
pub(crate) async fn courses(
    Shared(app): Shared<App>,
    Caller(principal): Caller,
    Query(query): Query<wire::CourseQuery>,
) -> Answer<Json<wire::CoursePage>> {
    orchestrator(&app, &principal)?;
    let mut waiting = Waiting::start(&app, query.wait);
    let newest = app.engine().store().newest_commit().await.map_err(EngineError::from)?;
    let mut place = match query.cursor.as_deref() {
        None => Place::Open { from: newest, state: 0, after: None },
        Some(NOW) => Place::After(newest),
        cursor @ Some(_) => {
            let (place, _) = page(cursor, None)?;
            place.unwrap_or(Place::After(newest))
        }
    };
    let tenant = principal.tenant();
    loop {
        let (items, next) = match place {
            Place::Open { from, state, after } => open(&app, tenant, from, (state, after)).await?,
            Place::After(number) => moved(&app, tenant, number).await?,
        };
        let stays = next == place;
        place = next;
        let nothing = items.is_empty();
        if nothing && !stays {
            continue;
        }
        if !nothing || !waiting.news_within(LOOK_AGAIN, |change| change.tenant == *tenant).await? {
            let following = matches!(place, Place::After(_));
            return Ok(Json(wire::CoursePage { items, next: place.to_string(), following }));
        }
    }
}

/// Tells of one page of the open instances.
async fn open(
    app: &App,
    tenant: &TenantId,
    from: u64,
    (state, after): (usize, Option<Cursor>),
) -> Answer<(Vec<wire::Course>, Place)> {
    let mut states = State::ALL.iter().filter(|state| !state.is_final()).skip(state);
    let Some(now) = states.next() else { return Ok((Vec::new(), Place::After(from))) };
    let filter = InstanceFilter { state: Some(state_code(*now)), ..InstanceFilter::default() };
    let found = app.engine().store().list_instances(tenant, filter, after, PAGE_MAX).await;
    let found = found.map_err(EngineError::from)?;
    let items = told(app, tenant, found.items.iter().map(|row| row.id)).await?;
    let next = match found.next {
        Some(after) => Place::Open { from, state, after: Some(after) },
        None if states.next().is_some() => Place::Open { from, state: state.saturating_add(1), after: None },
        None => Place::After(from),
    };
    Ok((items, next))
}

/// Tells of what was committed behind a number.
async fn moved(app: &App, tenant: &TenantId, after: u64) -> Answer<(Vec<wire::Course>, Place)> {
    let store = app.engine().store();
    let newest = store.newest_commit().await.map_err(EngineError::from)?;
    let last = newest.min(after.saturating_add(COMMITS_MAX));
    if last <= after {
        return Ok((Vec::new(), Place::After(after)));
    }
    let span = (after.saturating_add(1), last);
    let commits = store.commits_within(tenant, InstanceFilter::default(), span).await;
    let commits = commits.map_err(EngineError::from)?;
    let moved: BTreeSet<InstanceId> = commits.iter().map(|commit| commit.instance).collect();
    Ok((told(app, tenant, moved.into_iter()).await?, Place::After(last)))
}

async fn told(
    app: &App,
    tenant: &TenantId,
    ids: impl Iterator<Item = InstanceId>,
) -> Answer<Vec<wire::Course>> {
    let mut courses = Vec::new();
    for id in ids {
        match app.engine().course(tenant, id).await {
            Ok(found) => courses.push(course(&found)),
            // Nothing is done for it until its ledger is mended, and it must not keep the others waiting.
            Err(error @ EngineError::Damaged { .. }) => {
                tracing::error!(instance = %id, %error, "an instance cannot be told of");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(courses)
}

fn course(found: &Course) -> wire::Course {
    let fold = &found.instance;
    let dispatch = found.task.as_ref().map(|task| wire::Dispatch {
        attempt: fold.attempt.next().0,
        queue: task.queue.clone().into(),
        released: task.released,
    });
    wire::Course {
        instance_id: fold.identity.instance.into(),
        workflow: workflow_ref(&fold.identity.workflow),
        team: found.workflow.team.clone().into(),
        state: fold.state().into(),
        sequence: found.head.sequence,
        artifact_hash: found.head.hash.into(),
        attempt: fold.attempt.0,
        live: fold.live.is_some(),
        dispatch,
        due_at: found.due_at.map(Into::into),
        expires_at: fold.created.expires_at.into(),
    }
}

/// POST /v1/instances/{id}/look
pub(crate) async fn look(
    Shared(app): Shared<App>,
    Path(id): Path<text::InstanceId>,
    mut write: Write<wire::Empty>,
) -> Answer<Json<wire::Course>> {
    let orchestrator = orchestrator(&app, &write.principal)?;
    let found = app.engine().look(&mut write.call, &orchestrator, id.into_inner()).await?;
    Ok(Json(course(&found)))
}

/// POST /v1/instances/{id}/release
pub(crate) async fn release(
    Shared(app): Shared<App>,
    Path(id): Path<text::InstanceId>,
    write: Write<wire::Release>,
) -> Answer<Json<wire::Course>> {
    let orchestrator = orchestrator(&app, &write.principal)?;
    let attempt = AttemptNo(write.body.attempt);
    let found = app.engine().release(&orchestrator, id.into_inner(), attempt).await?;
    Ok(Json(course(&found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_the_feed_is_read_back_as_it_was_written() {
        let cursor: Cursor = "0123456789ab0123456789abcdef0123456789abcdef".parse().unwrap();
        for place in [
            Place::After(7),
            Place::Open { from: 7, state: 2, after: None },
            Place::Open { from: 0, state: 0, after: Some(cursor) },
        ] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for text in ["", "after", "after.x", "after.-1", "open.1", "open.1.2.3", "open.1.2.3.4", "other.1"] {
            assert_eq!(text.parse::<Place>(), Err(PlaceError), "{text}");
        }
    }
}
