//! What changed the rules, from the newest.

use axum::extract::State;
use axum::response::Html;
use gantral_api::wire::GovernanceEvent;
use gantral_console::pages::HistoryPage;
use gantral_engine::EngineError;
use serde::Deserialize;

use super::frame::page;
use super::session::Visitor;
use crate::app::App;
use crate::handlers::Query;
use crate::handlers::governance::event;
use crate::problems::Answer;

/// How many changes one page shows.
const SHOWN: u64 = 50;

/// Query of the history.
#[derive(Deserialize)]
pub(super) struct Before {
    /// Only what stands before this place of the chain.
    #[serde(default)]
    before: Option<u64>,
}

/// GET /console/history
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Query(Before { before }): Query<Before>,
) -> Answer<Html<String>> {
    let (events, from) = newest(&app, &visitor, before, SHOWN).await?;
    let older = (from > 0).then_some(from);
    page(&HistoryPage::new(visitor.shell(&app, "/console/history")?, &events, older))
}

/// Returns up to `count` changes of the rules before a place of the chain, the newest first, and the place of the oldest of them.
pub(super) async fn newest(
    app: &App,
    visitor: &Visitor,
    before: Option<u64>,
    count: u64,
) -> Answer<(Vec<GovernanceEvent>, u64)> {
    let (engine, tenant) = (app.engine(), visitor.principal.tenant());
    let head = engine.store().governance_head(tenant).await.map_err(EngineError::from)?;
    let end = head.map_or(0, |head| head.sequence.saturating_add(1));
    let end = before.map_or(end, |before| before.min(end));
    let from = end.saturating_sub(count);
    let limit = usize::try_from(end - from).unwrap_or(usize::MAX);
    if limit == 0 {
        return Ok((Vec::new(), 0));
    }
    let found = engine.governance(tenant, from, limit).await?;
    Ok((found.iter().rev().map(event).collect::<Answer<_>>()?, from))
}
