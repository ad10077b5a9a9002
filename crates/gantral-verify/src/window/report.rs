//! What is said of a window.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gantral_core::ids::InstanceId;
use gantral_core::json::{Object, Value};
use gantral_evidence::verify::{Code, Verdict, Weight};
use gantral_evidence::window::{WindowFault, WindowStatement};

use super::Judged;

/// The most places that the text names for one code; the JSON form has all.
const PLACES_SHOWN_MAX: usize = 8;

/// What the verdict does not say: a report says it whatever the verdict (X8).
const NOT_PROVED: [&str; 2] = [
    "That no other execution was left out: the issuer says so, and `gantral log monitor --bundles` compares that with a mirror of the log.",
    "That nothing was done outside: an action that never touched the system leaves no artifact.",
];

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The instance; `None` is the window itself.
    pub instance: Option<InstanceId>,
    /// The row of the verdict table.
    pub code: Code,
    /// How much it weighs here.
    pub weight: Weight,
    /// What, in a sentence.
    pub message: String,
}

/// The answer about a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowReport {
    /// The worst of its parts.
    pub verdict: Verdict,
    /// What the issuer says; `None` if nobody trusted vouches for it.
    pub statement: Option<WindowStatement>,
    /// How many bundles were read.
    pub bundles: usize,
    /// How many artifacts were verified and lawful.
    pub artifacts: usize,
    /// Everything that was found, by instance and code.
    pub found: Vec<Found>,
}

impl WindowReport {
    pub(super) fn of(statement: WindowStatement) -> Self {
        let (bundles, artifacts, found) = (0, 0, Vec::new());
        Self { verdict: Verdict::Valid, statement: Some(statement), bundles, artifacts, found }
    }

    pub(super) fn refused(fault: WindowFault) -> Self {
        let weight = fault.weight();
        let found = vec![Found { instance: None, code: fault.code, weight, message: fault.message }];
        Self { verdict: Verdict::Valid, statement: None, bundles: 0, artifacts: 0, found }.finish()
    }

    pub(super) fn add(&mut self, instance: Option<InstanceId>, code: Code, weight: Weight, message: String) {
        self.found.push(Found { instance, code, weight, message });
    }

    pub(super) fn take(&mut self, judged: Judged) {
        self.bundles += usize::from(judged.artifacts > 0);
        self.artifacts += judged.artifacts;
        for (code, weight, message) in judged.found {
            self.add(Some(judged.head.instance), code, weight, message);
        }
    }

    /// Sorts what was found, and gives the verdict (X7).
    pub(super) fn finish(mut self) -> Self {
        self.found.sort_by(|a, b| (a.instance, a.code, &a.message).cmp(&(b.instance, b.code, &b.message)));
        let any = |weight| self.found.iter().any(|found| found.weight == weight);
        self.verdict = if any(Weight::Invalid) {
            Verdict::Invalid
        } else if any(Weight::Inconclusive) {
            Verdict::Inconclusive
        } else {
            Verdict::Valid
        };
        self
    }
}

/// Returns the report as text for people.
pub fn to_text(report: &WindowReport) -> String {
    let mut text = format!("{}\n", report.verdict.as_str());
    // Writing to a `String` cannot fail.
    let _ = write_text(&mut text, report);
    text
}

fn write_text(out: &mut String, report: &WindowReport) -> std::fmt::Result {
    match &report.statement {
        Some(said) => {
            writeln!(
                out,
                "  The issuer says that these are all of them, and each was verified as told below.\n"
            )?;
            writeln!(out, "What it is about")?;
            writeln!(out, "  tenant       {}, log {}", said.tenant, said.origin)?;
            writeln!(out, "  created      from {} to before {}", said.from, said.to)?;
            for (name, value) in filter(said) {
                if let Some(value) = value {
                    writeln!(out, "  {name:<13}{value}")?;
                }
            }
            writeln!(out, "  executions   {}, as of {}", said.count, said.at)?;
            writeln!(out, "  verified     {} of them, {} artifacts", report.bundles, report.artifacts)?;
        }
        None => writeln!(out, "  Nobody whom you trust says what was in this window.")?,
    }
    for (weight, title) in [
        (Weight::Invalid, "What is wrong"),
        (Weight::Inconclusive, "What is missing or unknown"),
        (Weight::Note, "Notes"),
    ] {
        write_found(out, report, weight, title)?;
    }
    writeln!(out, "\nWhat is not proved")?;
    NOT_PROVED.iter().try_for_each(|line| writeln!(out, "  {line}"))
}

fn write_found(out: &mut String, report: &WindowReport, weight: Weight, title: &str) -> std::fmt::Result {
    let mut groups: BTreeMap<Code, Vec<&Found>> = BTreeMap::new();
    for found in report.found.iter().filter(|found| found.weight == weight) {
        groups.entry(found.code).or_default().push(found);
    }
    if !groups.is_empty() {
        writeln!(out, "\n{title}")?;
    }
    for (code, group) in groups {
        writeln!(out, "  {}  {} ({})", code.as_str(), code.meaning(), group.len())?;
        for found in group.iter().take(PLACES_SHOWN_MAX) {
            let place = found.instance.map_or_else(|| "window".to_owned(), |id| id.to_string());
            writeln!(out, "      {place}: {}", found.message)?;
        }
        if let Some(more) = group.len().checked_sub(PLACES_SHOWN_MAX).filter(|more| *more > 0) {
            writeln!(out, "      … and {more} more")?;
        }
    }
    Ok(())
}

fn filter(said: &WindowStatement) -> [(&'static str, Option<String>); 3] {
    [
        ("state", said.filter.state.map(|state| state.to_string())),
        ("team", said.filter.team.as_ref().map(ToString::to_string)),
        ("workflow", said.filter.workflow.as_ref().map(ToString::to_string)),
    ]
}

/// Returns the report as canonical JSON.
pub fn to_json(report: &WindowReport) -> Vec<u8> {
    let found = report.found.iter().map(|found| {
        let object = Object::new()
            .with("code", found.code.as_str())
            .with("instance_id", found.instance.map(|id| id.to_string()))
            .with("message", found.message.as_str())
            .with("party", found.code.party().as_str())
            .with(
                "weight",
                match found.weight {
                    Weight::Invalid => "invalid",
                    Weight::Inconclusive => "inconclusive",
                    Weight::Note => "note",
                },
            );
        Value::Object(object)
    });
    let said = report.statement.as_ref().map_or(Value::Null, |said| {
        let object = Object::new()
            .with("count", said.count)
            .with("from", said.from.to_text())
            .with("issued_at", said.at.to_text())
            .with("log_origin", said.origin.as_str())
            .with("tenant_id", said.tenant.as_str())
            .with("to", said.to.to_text());
        Value::Object(filter(said).into_iter().fold(object, |object, (name, value)| object.with(name, value)))
    });
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let object = Object::new()
        .with("artifacts", count(report.artifacts))
        .with("bundles", count(report.bundles))
        .with("findings", Value::Array(found.collect()))
        .with("not_proved", Value::Array(NOT_PROVED.into_iter().map(Value::from).collect()))
        .with("verdict", report.verdict.as_str())
        .with("window", said);
    Value::Object(object).to_canonical()
}
