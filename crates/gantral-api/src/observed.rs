//! The shadow report added up: pages of counted asks in, a few tables out, for the command line and the console alike. It has as many lines as there are actions, reasons, hours and roles,
//! however many asks there were.

use std::collections::BTreeMap;

use crate::wire::{ShadowReport, ShadowRow, UnobservedCounts};
use gantral_core::policy::Verdict;
use gantral_core::time::UnixMillis;
use serde_json::{Value, json};

/// One hour and one day, in milliseconds.
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How many reasons are told apart: what a policy writes has no end.
const REASONS_MAX: usize = 1_000;

/// Under which all other reasons are counted.
const OTHER: &str = "(other reasons)";

/// Asks by what would have been answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Would have been allowed.
    pub allowed: u64,
    /// Would have waited for a human.
    pub waited: u64,
    /// Would have been denied.
    pub denied: u64,
}

impl Tally {
    /// Returns how many asks there were.
    pub const fn asks(&self) -> u64 {
        self.allowed.saturating_add(self.waited).saturating_add(self.denied)
    }

    fn add(&mut self, verdict: Verdict, asks: u64) {
        let count = match verdict {
            Verdict::Allow => &mut self.allowed,
            Verdict::RequireHuman => &mut self.waited,
            Verdict::Deny => &mut self.denied,
        };
        *count = count.saturating_add(asks);
    }

    fn to_json(self) -> Value {
        json!({ "allowed": self.allowed, "waited": self.waited, "denied": self.denied })
    }
}

/// What a line of a table begins with.
pub trait Line: Ord + Clone {
    /// Whether lines come in their own order rather than by how many asks they count.
    const IN_ORDER: bool;
    /// Returns the first cells.
    fn cells(&self) -> Vec<String>;
}

/// A workflow and an action of it; `None` for those that were erased.
pub type Action = (String, Option<String>);

impl Line for Action {
    const IN_ORDER: bool = false;
    fn cells(&self) -> Vec<String> {
        vec![self.0.clone(), self.1.clone().unwrap_or_else(|| "(erased)".to_owned())]
    }
}

impl Line for String {
    const IN_ORDER: bool = false;
    fn cells(&self) -> Vec<String> {
        vec![self.clone()]
    }
}

/// An hour of the day, 0 to 23.
impl Line for u64 {
    const IN_ORDER: bool = true;
    fn cells(&self) -> Vec<String> {
        vec![format!("{self:02}")]
    }
}

/// Tallies by something.
#[derive(Debug, Clone)]
pub struct Counts<K>(BTreeMap<K, Tally>);

impl<K: Line> Counts<K> {
    const fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn add(&mut self, key: K, verdict: Verdict, asks: u64) {
        self.0.entry(key).or_insert(Tally { allowed: 0, waited: 0, denied: 0 }).add(verdict, asks);
    }

    /// Returns how many lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns up to `limit` lines: those with the most asks first, or in their own order.
    pub fn shown(&self, limit: usize) -> Vec<(&K, &Tally)> {
        let mut lines: Vec<_> = self.0.iter().collect();
        if !K::IN_ORDER {
            lines.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.asks()));
        }
        lines.truncate(limit);
        lines
    }

    fn to_json(&self, name: impl Fn(&K) -> Value) -> Value {
        let lines = self.shown(usize::MAX).into_iter();
        lines.map(|(key, tally)| json!({ "of": name(key), "asks": tally.to_json() })).collect()
    }
}

/// How often one role would have been asked: by day since 1970, and by hour of the day.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    days: BTreeMap<u64, u64>,
    hours: BTreeMap<u64, u64>,
}

impl Pages {
    fn add(&mut self, at: UnixMillis, asks: u64) {
        let days = self.days.entry(at.get() / DAY_MS).or_default();
        *days = days.saturating_add(asks);
        let hours = self.hours.entry(at.get() % DAY_MS / HOUR_MS).or_default();
        *hours = hours.saturating_add(asks);
    }

    /// Returns each day that a span of time touches, as a date, and how often on it.
    pub fn each_day(&self, from: UnixMillis, to: UnixMillis) -> impl Iterator<Item = (String, u64)> {
        let days = from.get() / DAY_MS..to.get().div_ceil(DAY_MS);
        days.map(|day| (date(day), self.days.get(&day).copied().unwrap_or(0)))
    }

    /// Returns how often in all.
    pub fn all(&self) -> u64 {
        self.days.values().sum()
    }

    /// Returns how often on a day of the span, with one decimal.
    pub fn a_day(&self, days: u64) -> String {
        let tenths = self.all().saturating_mul(10) / days.max(1);
        format!("{}.{}", tenths / 10, tenths % 10)
    }

    /// Returns the first of the days with the most, and how many.
    pub fn busiest_day(&self) -> (String, u64) {
        busiest(&self.days).map_or_else(|| (String::new(), 0), |(day, most)| (date(day), most))
    }

    /// Returns the first of the hours of the day with the most.
    pub fn busiest_hour(&self) -> String {
        busiest(&self.hours).map(|(hour, _)| format!("{hour:02}")).unwrap_or_default()
    }
}

fn busiest(counts: &BTreeMap<u64, u64>) -> Option<(u64, u64)> {
    counts.iter().rev().max_by_key(|(_, count)| **count).map(|(key, count)| (*key, *count))
}

/// Returns a day since 1970 as a date.
fn date(day: u64) -> String {
    let at = UnixMillis::new(day.saturating_mul(DAY_MS)).unwrap_or(UnixMillis::EPOCH);
    at.to_text().chars().take(10).collect()
}

/// What was observed in a span of time.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Asked from here on.
    pub from: UnixMillis,
    /// Asked before.
    pub to: UnixMillis,
    /// How many executions asked.
    pub executions: u64,
    /// Every ask.
    pub all: Tally,
    /// In how many asks policy failed.
    pub failed: u64,
    /// In how many asks that would have waited it was erased who would have been asked.
    pub erased: u64,
    /// By workflow and action.
    pub actions: Counts<Action>,
    /// By reason, numbers taken out; an ask with several reasons counts under each.
    pub reasons: Counts<String>,
    /// By hour of the day.
    pub hours: Counts<u64>,
    /// Who would have been asked how often. Every role that a gate would have asked counts.
    pub pages: BTreeMap<String, Pages>,
    /// What clients did without an answer, by their own count, by workflow and action.
    pub unobserved: BTreeMap<(String, String), u64>,
    failures: BTreeMap<String, u64>,
}

impl Summary {
    /// Begins without an ask.
    pub fn new(from: UnixMillis, to: UnixMillis) -> Self {
        Self {
            from,
            to,
            executions: 0,
            all: Tally::default(),
            failed: 0,
            erased: 0,
            actions: Counts::new(),
            reasons: Counts::new(),
            hours: Counts::new(),
            pages: BTreeMap::new(),
            unobserved: BTreeMap::new(),
            failures: BTreeMap::new(),
        }
    }

    /// Adds what clients did without an answer.
    pub fn add_unobserved(&mut self, counts: &UnobservedCounts) {
        for line in &counts.items {
            let count =
                self.unobserved.entry((line.workflow.to_string(), line.action.to_string())).or_default();
            *count = count.saturating_add(line.asks);
        }
    }

    /// Adds a page.
    pub fn add(&mut self, page: &ShadowReport) {
        self.executions = self.executions.saturating_add(page.instances.into());
        for row in &page.rows {
            self.count(row);
        }
    }

    fn count(&mut self, row: &ShadowRow) {
        let (verdict, asks, hour) = (row.verdict.into_inner(), row.asks, row.hour.into_inner());
        self.all.add(verdict, asks);
        let action = row.action.as_ref().map(ToString::to_string);
        self.actions.add((row.workflow_id.to_string(), action), verdict, asks);
        self.hours.add(hour.get() % DAY_MS / HOUR_MS, verdict, asks);
        if let Some(failure) = &row.failure {
            self.failed = self.failed.saturating_add(asks);
            let count = self.failures.entry(failure.clone()).or_default();
            *count = count.saturating_add(asks);
        }
        let mut reasons: Vec<String> = row.reasons.iter().map(|reason| without_numbers(reason)).collect();
        reasons.sort();
        reasons.dedup();
        for reason in reasons {
            let known = self.reasons.0.contains_key(&reason) || self.reasons.len() < REASONS_MAX;
            let reason = if known { reason } else { OTHER.to_owned() };
            self.reasons.add(reason, verdict, asks);
        }
        if verdict == Verdict::RequireHuman && row.roles.is_empty() {
            self.erased = self.erased.saturating_add(asks);
        }
        for role in &row.roles {
            self.pages.entry(role.to_string()).or_default().add(hour, asks);
        }
    }

    /// Returns how many days the span has, at least one.
    pub fn days(&self) -> u64 {
        self.to.since(self.from).get().div_ceil(DAY_MS).max(1)
    }

    /// Returns how policy failed, and how often.
    pub fn failures(&self) -> String {
        let counted = self.failures.iter().map(|(failure, count)| format!("{failure} {count}"));
        counted.collect::<Vec<_>>().join(", ")
    }

    /// Returns all of it.
    pub fn to_json(&self) -> Value {
        let pages: Vec<Value> = self
            .pages
            .iter()
            .map(|(role, pages)| {
                let days = pages.days.iter().map(|(day, count)| json!({ "day": date(*day), "pages": count }));
                let hours = pages.hours.iter().map(|(hour, count)| json!({ "hour": hour, "pages": count }));
                let (days, hours): (Vec<_>, Vec<_>) = (days.collect(), hours.collect());
                json!({ "role": role, "pages": pages.all(), "days": days, "hours": hours })
            })
            .collect();
        let unobserved = self.unobserved.iter();
        let unobserved: Vec<Value> = unobserved
            .map(|((workflow, action), asks)| json!({ "workflow_id": workflow, "action": action, "asks": asks }))
            .collect();
        json!({
            "from": self.from.to_text(),
            "to": self.to.to_text(),
            "executions": self.executions,
            "asks": self.all.to_json(),
            "failures": self.failures,
            "erased": self.erased,
            "actions": self.actions.to_json(|(workflow, action)| json!({ "workflow_id": workflow, "action": action })),
            "reasons": self.reasons.to_json(|reason| json!(reason)),
            "hours": self.hours.to_json(|hour| json!(hour)),
            "roles": pages,
            "unobserved": unobserved,
        })
    }
}

/// Returns a reason with `N` for every number, so that a rule is one line whatever it was about.
fn without_numbers(reason: &str) -> String {
    let mut text = String::with_capacity(reason.len());
    let mut within = false;
    let mut rest = reason.chars().peekable();
    while let Some(character) = rest.next() {
        let point = within && matches!(character, '.' | ',') && rest.peek().is_some_and(char::is_ascii_digit);
        if character.is_ascii_digit() || point {
            if !within {
                text.push('N');
            }
            within = true;
        } else {
            within = false;
            text.push(character);
        }
    }
    text
}

#[cfg(test)]
mod tests;
