//! The report as people and programs read it: one rendering for every program that verifies.

mod governance;
pub(crate) mod narrate;
mod proofs;
mod sections;
pub mod window;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use gantral_core::json::{Object, Value};
use gantral_core::state::HumanEvidence;

use crate::container::Scope;
use crate::verify::{Assurance, Code, CompleteBy, Execution, Finding, Place, Report, Verdict, Weight};

pub use sections::{Line, Section, meaning, sections};

/// The most places that one line names.
const PLACES_SHOWN_MAX: usize = 8;
/// The most characters of what approvers were shown in the text form; the JSON form has more.
const SHOWN_CHARS_MAX: usize = 240;
/// The most lines of a timeline in the text form; the JSON form has all.
const MOMENTS_SHOWN_MAX: usize = 200;
/// Findings are shown by weight, the worst first.
const GROUPS: [(Weight, &str); 3] = [
    (Weight::Invalid, "What is wrong"),
    (Weight::Inconclusive, "What is missing or unknown"),
    (Weight::Note, "Notes"),
];

/// Returns the report as text for people: the verdict first, then why, then what happened, then what is not proved.
pub fn to_text(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = write_text(&mut text, report);
    text
}

fn write_text(out: &mut String, report: &Report) -> fmt::Result {
    write_head(out, report.verdict, meaning(report), &sections(report))?;
    for (weight, title) in GROUPS {
        write_findings(out, report, weight, title)?;
    }
    if !report.timeline.is_empty() {
        writeln!(out, "\nWhat happened, as far as it was verified")?;
        for moment in report.timeline.iter().take(MOMENTS_SHOWN_MAX) {
            writeln!(out, "  {:>4}  {}  {}: {}", moment.sequence, moment.at, moment.actor, moment.text)?;
            if let Some(policy) = &moment.policy {
                writeln!(out, "        under policy {policy}")?;
            }
            if let Some(shown) = &moment.shown {
                let short: String = shown.chars().take(SHOWN_CHARS_MAX).collect();
                let rest = if short.len() < shown.len() { "…" } else { "" };
                writeln!(out, "        shown was {short}{rest}")?;
            }
        }
        let more = report.timeline.len().saturating_sub(MOMENTS_SHOWN_MAX);
        if more > 0 {
            writeln!(out, "        … and {more} more")?;
        }
    }
    write_not_proved(out, report.not_proved.iter().map(String::as_str))
}

fn write_head(out: &mut String, verdict: Verdict, meaning: &str, sections: &[Section]) -> fmt::Result {
    writeln!(out, "{}", verdict.as_str())?;
    writeln!(out, "  {meaning}")?;
    for section in sections {
        writeln!(out, "\n{}", section.title)?;
        for line in &section.lines {
            writeln!(out, "  {:<13}{}", line.label, line.text)?;
        }
    }
    Ok(())
}

fn write_not_proved<'t>(out: &mut String, lines: impl IntoIterator<Item = &'t str>) -> fmt::Result {
    writeln!(out, "\nWhat this does not prove")?;
    lines.into_iter().try_for_each(|line| writeln!(out, "  - {line}"))
}

/// Writes one line for each code and sentence, with the places at which it was found.
fn write_findings(out: &mut String, report: &Report, weight: Weight, title: &str) -> fmt::Result {
    let mut grouped: BTreeMap<(&str, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in report.findings.iter().filter(|finding| finding.weight == weight) {
        grouped.entry((finding.code.as_str(), &finding.message)).or_default().push(finding);
    }
    if grouped.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for ((code, message), findings) in grouped {
        let places: Vec<String> = findings
            .iter()
            .filter(|finding| finding.place != Place::Bundle)
            .map(|finding| finding.place.to_string())
            .collect();
        let shown: Vec<&str> = places.iter().take(PLACES_SHOWN_MAX).map(String::as_str).collect();
        let rest = places.len().saturating_sub(PLACES_SHOWN_MAX);
        write!(out, "  {code}  {}", shown.join(", "))?;
        if rest > 0 {
            write!(out, " and {rest} more")?;
        }
        let separator = if shown.is_empty() { "" } else { ": " };
        writeln!(out, "{separator}{message}")?;
        if weight == Weight::Invalid
            && let Some(code) = Code::parse(code)
        {
            writeln!(out, "      at fault: {}", code.party().as_str())?;
        }
    }
    Ok(())
}

/// Returns the report as canonical JSON for programs.
pub fn to_json(report: &Report) -> Vec<u8> {
    let findings: Vec<Value> = report.findings.iter().map(finding_object).map(Value::Object).collect();
    let codes: Vec<Value> = report.codes().into_iter().map(Value::from).collect();
    let timeline: Vec<Value> = report
        .timeline
        .iter()
        .map(|moment| {
            let object = Object::new()
                .with("actor", moment.actor.as_str())
                .with("artifact", moment.hash.to_hex())
                .with("at", moment.at.to_text())
                .with("event", moment.event.as_str())
                .with("policy", moment.policy.as_deref())
                .with("sequence", moment.sequence)
                .with("shown", moment.shown.as_deref())
                .with("text", moment.text.as_str());
            Value::Object(object)
        })
        .collect();
    let not_proved: Vec<Value> = report.not_proved.iter().map(|text| text.as_str().into()).collect();
    let object = Object::new()
        .with("assurance", report.assurance.as_ref().map(assurance_value))
        .with("codes", codes)
        .with("execution", report.execution.as_ref().map(execution_value))
        .with("findings", findings)
        .with("not_proved", not_proved)
        .with("scope", report.scope.map(Scope::as_str))
        .with("timeline", timeline)
        .with("verdict", report.verdict.as_str());
    Value::Object(object).to_canonical()
}

fn finding_object(finding: &Finding) -> Object {
    let weight = match finding.weight {
        Weight::Invalid => Verdict::Invalid.as_str(),
        Weight::Inconclusive => Verdict::Inconclusive.as_str(),
        Weight::Note => "NOTE",
    };
    Object::new()
        .with("at_fault", finding.code.party().as_str())
        .with("code", finding.code.as_str())
        .with("message", finding.message.as_str())
        .with("weight", weight)
        .with("where", finding.place.to_string())
}

fn execution_value(execution: &Execution) -> Value {
    let identity = &execution.identity;
    let workflow = Object::new()
        .with("digest", identity.workflow.digest.to_hex())
        .with("id", identity.workflow.id.as_str())
        .with("materiality", identity.workflow.materiality.as_str())
        .with("version", identity.workflow.version.as_str());
    let artifacts = u64::try_from(execution.artifacts).unwrap_or(u64::MAX);
    let object = Object::new()
        .with("artifacts", artifacts)
        .with("head", execution.head.to_hex())
        .with("instance_id", identity.instance.to_string())
        .with("log_origin", identity.origin.as_str())
        .with("state", execution.state.as_str())
        .with("tenant_id", identity.tenant.as_str())
        .with("workflow", workflow);
    Value::Object(object)
}

fn assurance_value(assurance: &Assurance) -> Value {
    let keys: Vec<Value> = assurance.signed_by.iter().map(|key| Value::from(key.to_string())).collect();
    let claimed: Vec<Value> =
        assurance.outcomes_claimed_by.iter().map(|kind| Value::from(kind.as_str())).collect();
    let object = Object::new()
        .with("complete", assurance.complete.map(CompleteBy::as_str))
        .with("ended", assurance.ended)
        .with("enforcement", assurance.enforcement.as_str())
        .with("governance", governance::governance_value(&assurance.governance))
        .with("human_device_bound", assurance.human_device_bound)
        .with("human_evidence", assurance.human_evidence.map(HumanEvidence::as_str))
        .with("log", assurance.log.as_ref().map(proofs::log_value))
        .with("logged", assurance.logged)
        .with("outcomes_claimed_by", claimed)
        .with("release", assurance.release.map(|release| release.to_string()))
        .with("replayed", assurance.replayed.map(|count| u64::try_from(count).unwrap_or(u64::MAX)))
        .with("signed_by", keys)
        .with("witnessed", assurance.witnessed);
    Value::Object(object)
}
