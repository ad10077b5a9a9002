//! What was only observed: the shadow report, with charts.

use askama::Template;
use gantral_api::observed::{Counts, Line, Summary, Tally};

use crate::chart::{Bar, Column, Columns};
use crate::inert::Inert;
use crate::page::{Page, Shell};

/// How many lines the tables of actions and reasons have, and how many days a chart.
const LINES_MAX: usize = 30;
const DAYS_MAX: usize = 62;

/// What is chosen of it, as it was sent.
#[derive(Debug, Clone, Default)]
pub struct ObservedFilters {
    /// Over how many days.
    pub days: u64,
    /// Up to the end of this day (UTC), as `2026-01-31`; until now when empty.
    pub until: String,
    /// Of this team only, or empty.
    pub team: String,
    /// Of this workflow only, or empty.
    pub workflow: String,
}

/// One row of a table of verdicts. Its cells repeat what others wrote: untrusted.
#[derive(Debug)]
struct Row {
    cells: Vec<String>,
    tally: Tally,
    bar: Bar,
}

/// One table of verdicts.
#[derive(Debug)]
struct Table {
    id: &'static str,
    title: &'static str,
    heads: &'static [&'static str],
    rows: Vec<Row>,
    /// How many lines more there are.
    more: usize,
}

impl Table {
    fn of<K: Line>(
        id: &'static str,
        title: &'static str,
        heads: &'static [&'static str],
        counts: &Counts<K>,
    ) -> Self {
        let shown = counts.shown(LINES_MAX);
        let most = shown.iter().map(|(_, tally)| tally.asks()).max().unwrap_or(0);
        let row = |(key, tally): &(&K, &Tally)| Row {
            cells: key.cells(),
            tally: **tally,
            bar: Bar { parts: parts(tally), most },
        };
        Self {
            id,
            title,
            heads,
            rows: shown.iter().map(row).collect(),
            more: counts.len().saturating_sub(LINES_MAX),
        }
    }
}

const fn parts(tally: &Tally) -> [u64; 3] {
    [tally.allowed, tally.waited, tally.denied]
}

/// How often one role would have been asked.
#[derive(Debug)]
struct RolePages {
    role: String,
    all: u64,
    a_day: String,
    most: u64,
    on: String,
    hour: String,
    days: Vec<(String, u64)>,
    chart: Columns,
}

/// What was observed in a span of time.
#[derive(Debug, Template)]
#[template(path = "observed.html")]
pub struct ObservedPage {
    shell: Shell,
    filters: ObservedFilters,
    spans: &'static [(u64, &'static str)],
    summary: Summary,
    partial: bool,
    total: Bar,
    tables: Vec<Table>,
    hours: Columns,
    by_hour: Table,
    roles: Vec<RolePages>,
}

impl Page for ObservedPage {}

/// The spans that are offered: days, and the same in words.
const SPANS: [(u64, &str); 4] = [(1, "a day"), (7, "a week"), (14, "two weeks"), (30, "30 days")];

impl ObservedPage {
    /// Makes the page; `partial` says that there was more than was added up.
    pub fn new(shell: Shell, filters: ObservedFilters, summary: Summary, partial: bool) -> Self {
        let actions = Table::of("actions", "By action", &["workflow", "action"], &summary.actions);
        let reasons = Table::of("reasons", "By reason, numbers as N", &["reason"], &summary.reasons);
        let by_hour = Table::of("hours", "By hour of the day (UTC)", &["hour"], &summary.hours);
        Self {
            total: Bar { parts: parts(&summary.all), most: summary.all.asks() },
            hours: hours(&summary),
            roles: roles(&summary),
            tables: vec![actions, reasons],
            by_hour,
            spans: &SPANS,
            shell,
            filters,
            summary,
            partial,
        }
    }

    fn share(&self, asks: &u64) -> u64 {
        asks.saturating_mul(100) / self.summary.all.asks().max(1)
    }
}

fn hours(summary: &Summary) -> Columns {
    let counted = summary.hours.shown(usize::MAX);
    let columns = (0..24).map(|hour: u64| {
        let tally = counted.iter().find(|(key, _)| **key == hour).map(|(_, tally)| **tally);
        Column { label: format!("{hour:02}"), parts: parts(&tally.unwrap_or_default()) }
    });
    Columns { title: "Asks by hour of the day, in UTC".to_owned(), width: 34, columns: columns.collect() }
}

fn roles(summary: &Summary) -> Vec<RolePages> {
    let pages = summary.pages.iter().map(|(role, pages)| {
        let (on, most) = pages.busiest_day();
        let days: Vec<(String, u64)> = pages.each_day(summary.from, summary.to).collect();
        let newest = days.iter().skip(days.len().saturating_sub(DAYS_MAX));
        let columns = newest.map(|(day, count)| Column {
            // The year is in the table.
            label: day.chars().skip(5).collect(),
            parts: [0, *count, 0],
        });
        let title = format!("How often {role} would have been asked, by day");
        RolePages {
            role: role.clone(),
            all: pages.all(),
            a_day: pages.a_day(summary.days()),
            most,
            on,
            hour: pages.busiest_hour(),
            chart: Columns { title, width: 46, columns: columns.collect() },
            days,
        }
    });
    pages.collect()
}
