//! Pages that only show.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, Response};
use futures_util::stream::{self, Stream, StreamExt as _};
use gantral_api::problem::Code;
use gantral_api::wire::{self, WAIT_SECONDS_MAX, text};
use gantral_console::pages::{
    Acts, GatePage, HelpPage, InboxPage, InstancePage, InstancesPage, Moment, Signing, Story,
};
use gantral_core::ids::{GateId, InstanceId};
use gantral_core::time::DurationMs;
use gantral_evidence::container::read_tar;
use gantral_evidence::report;
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Report, verify};
use gantral_store::{Change, GateFilter};
use serde::Deserialize;

use super::frame::page;
use super::session::Visitor;
use super::{delegations, passkeys};
use crate::app::App;
use crate::handlers::{Path, Query, evidence as evidences, gates, instances as executions};
use crate::identity::sees_team;
use crate::logs::hint;
use crate::problems::{Answer, Failure};
use crate::views;
use crate::waiting::Waiting;

/// How many earlier decisions of one kind a gate shows.
const EARLIER: usize = 5;

/// Query of the inbox.
#[derive(Deserialize)]
pub(super) struct Inbox {
    #[serde(default)]
    all: bool,
    #[serde(default)]
    cursor: Option<String>,
}

/// GET /console/
pub(super) async fn inbox(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<Inbox>,
) -> Answer<Html<String>> {
    let wanted = wire::GateList { state: None, mine: Some(!query.all), cursor: query.cursor, limit: None };
    let found = gates::open(&app, &visitor.principal, &wanted).await?;
    page(&InboxPage {
        shell: visitor.shell(&app, "/console/")?,
        gates: found.items,
        mine: !query.all,
        next: found.next,
    })
}

/// GET /console/gates/{gate_id}
pub(super) async fn gate(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<text::GateId>,
) -> Answer<Html<String>> {
    page(&of_gate(&app, &visitor, id.into_inner()).await?)
}

/// Returns the page of a gate, with a form that was not filled in.
pub(super) async fn of_gate(app: &App, visitor: &Visitor, id: GateId) -> Answer<GatePage> {
    let gate = gates::one(app, &visitor.principal, id).await?;
    let (earlier, acts) = (earlier(app, visitor, &gate).await?, acts(app, visitor, &gate).await?);
    let signing = signing(app, visitor, &gate).await?;
    let shell = visitor.shell(app, &format!("/console/gates/{id}"))?;
    let follows = sees_team(&visitor.principal, &gate.team);
    Ok(GatePage::new(shell, gate, acts, signing, &roles(visitor), follows, earlier))
}

/// Returns as whom this human may decide at a gate: under their own roles, or by delegations to them.
pub(super) async fn acts(app: &App, visitor: &Visitor, gate: &wire::GateView) -> Answer<Acts> {
    let lent = delegations::held(app, visitor).await?;
    Ok(Acts::at(gate, &roles(visitor), &lent, app.0.clock.now()))
}

/// Returns whether a passkey signs what this human decides at a gate.
pub(super) async fn signing(app: &App, visitor: &Visitor, gate: &wire::GateView) -> Answer<Signing> {
    let is_taken = app.engine().passkeys().is_some();
    let mine = if is_taken { passkeys::of(app, visitor).await? } else { Vec::new() };
    Ok(Signing::at(gate, &mine))
}

pub(super) fn roles(visitor: &Visitor) -> Vec<text::Role> {
    visitor.principal.roles().iter().cloned().map(Into::into).collect()
}

/// Returns closed gates of the same workflow and action that this human may see, the newest first.
async fn earlier(app: &App, visitor: &Visitor, gate: &wire::GateView) -> Answer<Vec<wire::GateSummary>> {
    let filter = GateFilter {
        closed: true,
        workflow: Some(gate.workflow.id.clone().into_inner()),
        action: Some(gate.action.name.clone().into_inner()),
        ..GateFilter::default()
    };
    // One more than are shown, where the gate is one of them itself.
    let found = gates::seen(app, &visitor.principal, filter, None, EARLIER + 1).await?;
    let others = found.items.into_iter().filter(|other| other.gate_id != gate.gate_id);
    Ok(others.take(EARLIER).collect())
}

/// Query of the list of executions.
#[derive(Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    state: String,
    #[serde(default)]
    workflow: String,
    #[serde(default)]
    team: String,
    #[serde(default)]
    cursor: Option<String>,
}

/// GET /console/instances
pub(super) async fn instances(
    State(app): State<App>,
    visitor: Visitor,
    Query(chosen): Query<Chosen>,
) -> Answer<Html<String>> {
    let query = wire::InstanceList {
        state: filter("state", &chosen.state)?,
        team: filter("team", &chosen.team)?,
        workflow: filter("workflow", &chosen.workflow)?,
        session: None,
        cursor: chosen.cursor,
        limit: None,
    };
    let found = executions::listed(&app, &visitor.principal, query).await?;
    let filters = [chosen.state, chosen.workflow, chosen.team];
    let shell = visitor.shell(&app, "/console/instances")?;
    page(&InstancesPage::new(shell, found.items, found.next, filters))
}

/// Reads what a form of filters sent; nothing for what was left empty.
pub(super) fn filter<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: &str,
) -> Answer<Option<T>> {
    let chosen = (!text.trim().is_empty()).then(|| text.trim().parse()).transpose();
    chosen.map_err(|error: T::Err| Failure::parameter(name, error.to_string()))
}

/// GET /console/instances/{id}
pub(super) async fn instance(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<text::InstanceId>,
) -> Answer<Html<String>> {
    let id = id.into_inner();
    let facts = executions::visible(&app, &visitor.principal, id).await?;
    let view = views::instance(&app, &facts).await?;
    let story = story(&app, &visitor, id).await?;
    let path = format!("/console/instances/{id}");
    page(&InstancePage::new(visitor.shell(&app, &path)?, view, story))
}

/// Returns what a verifier says of the chain by this server's own keys: its verdict, and what happened.
async fn story(app: &App, visitor: &Visitor, id: InstanceId) -> Answer<Story> {
    let tenant = visitor.principal.tenant();
    let tar = evidences::bundle(app, tenant, id).await?;
    let trust = hint(app.engine().issuer_keys(), app.0.logs.as_ref(), tenant)?.encode();
    let judged = tokio::task::spawn_blocking(move || {
        let trust = Trust::parse(&trust).ok();
        let report = read_tar(&tar).map(|files| verify(&files, trust.as_ref()));
        report.map(|report| story_of(&report))
    });
    let failed = || Failure::new(Code::Internal, "the record of this execution cannot be read");
    judged.await.map_err(|_| failed())?.map_err(|_| failed())
}

fn story_of(report: &Report) -> Story {
    let moments = report.timeline.iter().map(|moment| Moment {
        sequence: moment.sequence,
        at: moment.at,
        text: format!("{}: {}", moment.actor, moment.text),
        policy: moment.policy.clone(),
    });
    Story { verdict: report.verdict.as_str(), meaning: report::meaning(report), moments: moments.collect() }
}

/// GET /console/instances/{id}/evidence
pub(super) async fn evidence(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<text::InstanceId>,
) -> Answer<Response> {
    evidences::download(&app, &visitor.principal, id.into_inner()).await
}

/// GET /console/help
pub(super) async fn help(State(app): State<App>, visitor: Visitor) -> Answer<Html<String>> {
    page(&HelpPage { shell: visitor.shell(&app, "/console/help")? })
}

/// Query of news.
#[derive(Deserialize)]
pub(super) struct News {
    /// Only of this instance; of all of the tenant when absent.
    #[serde(default)]
    instance: Option<text::InstanceId>,
}

/// GET /console/news: for scripts, a stream of events. `ready` once every change from now on will be told, `changed` for each. It ends after a while, and whoever still listens opens it again.
pub(super) async fn news(
    State(app): State<App>,
    visitor: Visitor,
    Query(News { instance }): Query<News>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let tenant = visitor.principal.tenant().clone();
    let waiting = Waiting::start(&app, Some(DurationMs::from_secs(WAIT_SECONDS_MAX).into()));
    let ready = stream::once(async { Ok(Event::default().event("ready").data("now")) });
    let about = instance.map(text::Text::into_inner);
    let changes = stream::unfold((waiting, tenant, about), async |(mut waiting, tenant, about)| {
        let matters =
            |change: &Change| change.tenant == tenant && about.is_none_or(|about| change.instance == about);
        match waiting.news(matters).await {
            Ok(true) => Some((Ok(Event::default().event("changed").data("now")), (waiting, tenant, about))),
            // The time is over, or as many as possible listen already.
            Ok(false) | Err(_) => None,
        }
    });
    Sse::new(ready.chain(changes))
}
