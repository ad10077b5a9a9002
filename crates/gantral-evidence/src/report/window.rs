//! The report on a window as people and programs read it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use gantral_core::ids::{TeamId, WorkflowId};
use gantral_core::json::{Object, Value};
use gantral_core::state::State;

use super::{GROUPS, Line, PLACES_SHOWN_MAX, Section, finding_object, write_head, write_not_proved};
use crate::verify::{Code, Place, Verdict, Weight};
use crate::window::{Found, WindowReport, WindowStatement};

/// Returns the verdict in a sentence.
pub fn meaning(report: &WindowReport) -> &'static str {
    match (report.verdict, &report.statement) {
        (Verdict::Valid, Some(said)) if said.count == 0 => {
            "The issuer says that there was no such execution."
        }
        (Verdict::Valid, _) => {
            "The issuer says that these are all of them, and each is signed by a key that you trust, unbroken, and lawful by the published rules."
        }
        (Verdict::Invalid, Some(_)) => {
            "Some of this is damaged, or contradicts itself or what the issuer says of it. Do not rely on it."
        }
        (Verdict::Invalid, None) => "This window is damaged, or contradicts itself. Do not rely on it.",
        (Verdict::Inconclusive, Some(_)) => {
            "Nothing is proved wrong, and not everything that is needed is there and proved."
        }
        (Verdict::Inconclusive, None) => "Nobody whom you trust says what was in this window.",
    }
}

/// Returns what the window is about, and what of it was verified; nothing if nobody trusted vouches for it.
pub fn sections(report: &WindowReport) -> Vec<Section> {
    let about = report.statement.as_ref().map(|said| Section { title: "About", lines: about(said, report) });
    about.into_iter().collect()
}

fn about(said: &WindowStatement, report: &WindowReport) -> Vec<Line> {
    let mut lines = Vec::from([
        Line::new("tenant", format!("{}, log {}", said.tenant, said.origin)),
        Line::new("created", format!("from {} to before {}", said.from, said.to)),
    ]);
    let filter = filter(said).into_iter().filter_map(|(name, value)| Some(Line::new(name, value?)));
    lines.extend(filter);
    lines.push(Line::new("executions", format!("{}, as of {}", said.count, said.at)));
    let (bundles, artifacts) = (report.bundles, report.artifacts);
    lines.push(Line::new("verified", format!("{bundles} of them, {artifacts} artifacts")));
    lines
}

fn filter(said: &WindowStatement) -> [(&'static str, Option<&str>); 3] {
    [
        ("state", said.filter.state.map(State::as_str)),
        ("team", said.filter.team.as_ref().map(TeamId::as_str)),
        ("workflow", said.filter.workflow.as_ref().map(WorkflowId::as_str)),
    ]
}

/// Returns the report as text for people: the verdict first, then what the window is about, what was found, and what is not proved.
pub fn to_text(report: &WindowReport) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = write_text(&mut text, report);
    text
}

fn write_text(out: &mut String, report: &WindowReport) -> fmt::Result {
    write_head(out, report.verdict, meaning(report), &sections(report))?;
    for (weight, title) in GROUPS {
        write_found(out, report, weight, title)?;
    }
    write_not_proved(out, report.not_proved())
}

/// Writes each code once, with the places at which it was found.
fn write_found(out: &mut String, report: &WindowReport, weight: Weight, title: &str) -> fmt::Result {
    let mut groups: BTreeMap<&str, (Code, Vec<&Found>)> = BTreeMap::new();
    for found in report.found.iter().filter(|found| found.finding.weight == weight) {
        let code = found.finding.code;
        groups.entry(code.as_str()).or_insert_with(|| (code, Vec::new())).1.push(found);
    }
    if !groups.is_empty() {
        writeln!(out, "\n{title}")?;
    }
    for (code, group) in groups.into_values() {
        writeln!(out, "  {}  {} ({})", code.as_str(), code.meaning(), group.len())?;
        for found in group.iter().take(PLACES_SHOWN_MAX) {
            write!(out, "      ")?;
            write_place(out, found)?;
        }
        if let Some(more) = group.len().checked_sub(PLACES_SHOWN_MAX).filter(|more| *more > 0) {
            writeln!(out, "      … and {more} more")?;
        }
        if weight == Weight::Invalid {
            writeln!(out, "      at fault: {}", code.party().as_str())?;
        }
    }
    Ok(())
}

fn write_place(out: &mut String, Found { instance, finding }: &Found) -> fmt::Result {
    if let Some(instance) = instance {
        write!(out, "{instance}: ")?;
    }
    if instance.is_none() || finding.place != Place::Bundle {
        write!(out, "{}: ", finding.place)?;
    }
    writeln!(out, "{}", finding.message)
}

/// Returns the report as canonical JSON for programs.
pub fn to_json(report: &WindowReport) -> Vec<u8> {
    let findings: Vec<Value> = report
        .found
        .iter()
        .map(|found| {
            let instance = found.instance.map(|id| id.to_string());
            Value::Object(finding_object(&found.finding).with("instance_id", instance))
        })
        .collect();
    let codes: Vec<Value> = report.codes().into_iter().map(|code| Value::from(code.as_str())).collect();
    let not_proved: Vec<Value> = report.not_proved().into_iter().map(Value::from).collect();
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let object = Object::new()
        .with("artifacts", count(report.artifacts))
        .with("bundles", count(report.bundles))
        .with("codes", codes)
        .with("findings", findings)
        .with("not_proved", not_proved)
        .with("verdict", report.verdict.as_str())
        .with("window", report.statement.as_ref().map(said_value));
    Value::Object(object).to_canonical()
}

fn said_value(said: &WindowStatement) -> Value {
    let object = Object::new()
        .with("count", said.count)
        .with("from", said.from.to_text())
        .with("issued_at", said.at.to_text())
        .with("log_origin", said.origin.as_str())
        .with("tenant_id", said.tenant.as_str())
        .with("to", said.to.to_text());
    Value::Object(filter(said).into_iter().fold(object, |object, (name, value)| object.with(name, value)))
}
