//! The shadow report as a page: added up as the command line adds it up.

use axum::extract::State;
use axum::response::Html;
use gantral_api::observed::Summary;
use gantral_api::wire::{PAGE_ITEMS_MAX, ShadowReportQuery, UnobservedQuery};
use gantral_console::pages::{ObservedFilters, ObservedPage};
use gantral_core::time::{DurationMs, UnixMillis};
use serde::Deserialize;

use super::frame::page;
use super::pages::filter;
use super::session::Visitor;
use crate::app::App;
use crate::handlers::{Query, outages, shadow};
use crate::problems::{Answer, Failure};

/// One day.
const DAY: DurationMs = DurationMs::from_secs(86_400);
/// Over how many days the page looks when nothing is chosen, and over how many at most.
const DAYS_USUAL: u64 = 7;
const DAYS_MAX: u64 = 62;
/// How many pages of the API one page adds up, each of up to 200 executions: the command line adds up any number.
const PAGES_MAX: usize = 25;

/// What is chosen.
#[derive(Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    days: Option<u64>,
    #[serde(default)]
    until: String,
    #[serde(default)]
    team: String,
    #[serde(default)]
    workflow: String,
}

/// GET /console/observed
pub(super) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Query(chosen): Query<Chosen>,
) -> Answer<Html<String>> {
    let days = chosen.days.unwrap_or(DAYS_USUAL);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Failure::parameter("days", format!("`days` is not 1 to {DAYS_MAX}")));
    }
    let (from, to) = span(&app, days, &chosen.until)?;
    let query = ShadowReportQuery {
        from: Some(from.into()),
        to: Some(to.into()),
        team: filter("team", &chosen.team)?,
        workflow: filter("workflow", &chosen.workflow)?,
        cursor: None,
        limit: Some(PAGE_ITEMS_MAX),
    };
    let (summary, partial) = added_up(&app, &visitor, query, (from, to)).await?;
    let Chosen { until, team, workflow, .. } = chosen;
    let filters = ObservedFilters { days, until, team, workflow };
    page(&ObservedPage::new(visitor.shell(&app, "/console/observed")?, filters, summary, partial))
}

/// Returns so many days up to the end of a day (UTC), or up to now.
fn span(app: &App, days: u64, until: &str) -> Answer<(UnixMillis, UnixMillis)> {
    // What is asked in this very millisecond is in.
    let now = app.0.clock.now().plus(DurationMs::new(1));
    let to = match until.trim() {
        "" => now,
        day => {
            let midnight = UnixMillis::parse(&format!("{day}T00:00:00.000Z"));
            let midnight =
                midnight.map_err(|_| Failure::parameter("until", "`until` is no day, as `2026-01-31`"))?;
            midnight.plus(DAY).min(now)
        }
    };
    let back = to.get().saturating_sub(DAY.get().saturating_mul(days));
    Ok((UnixMillis::new(back).unwrap_or(UnixMillis::EPOCH), to))
}

/// Adds up the pages of the report; tells whether there were more than one page of the console adds up.
async fn added_up(
    app: &App,
    visitor: &Visitor,
    mut query: ShadowReportQuery,
    (from, to): (UnixMillis, UnixMillis),
) -> Answer<(Summary, bool)> {
    let principal = &visitor.principal;
    let unobserved = UnobservedQuery {
        from: query.from,
        to: query.to,
        team: query.team.clone(),
        workflow: query.workflow.clone(),
    };
    let mut summary = Summary::new(from, to);
    summary.add_unobserved(&outages::counted(app, principal, &unobserved).await?);
    for _ in 0..PAGES_MAX {
        let found = shadow::observed(app, principal, query.clone()).await?;
        summary.add(&found);
        match found.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok((summary, false)),
        }
    }
    Ok((summary, true))
}
