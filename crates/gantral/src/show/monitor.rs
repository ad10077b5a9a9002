//! What a monitor has found, for people and for programs.

use gantral_core::time::UnixMillis;
use gantral_log::monitor::{Finding, MonitorCode, Report};
use serde_json::{Value, json};

use super::row;
use crate::out::{BAD, FAINT, GOOD, styled};
use gantral_core::json::text::inert;

/// Returns the report as a document. Its members are a promise; codes are never reused.
pub fn document(report: &Report) -> Value {
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    let witnesses: Vec<Value> =
        report.witnesses.iter().map(|(name, time)| json!({ "name": name, "time": time })).collect();
    let checkpoint = report.checkpoint.as_ref();
    json!({
        "clean": report.is_clean(),
        "verified": report.verified,
        "origin": checkpoint.map(|checkpoint| checkpoint.origin.as_str()),
        "size": checkpoint.map(|checkpoint| checkpoint.tree.size),
        "root": checkpoint.map(|checkpoint| checkpoint.tree.root.to_hex()),
        "known": report.known,
        "read_from": report.read_from,
        "witnesses": witnesses,
        "instances": report.instances,
        "ended": report.ended,
        "window": report.window,
        "handed_over": report.handed_over,
        "pending": report.pending,
        "findings": findings,
        "more": report.more,
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "code": finding.code.as_str(),
        "place": finding.place,
        "message": finding.message,
        "checkpoints": finding.checkpoints,
    })
}

/// Returns the report for people.
pub fn text(report: &Report) -> String {
    let word = if report.is_clean() { styled(GOOD, "CLEAN") } else { styled(BAD, "FOUND") };
    let mut text = match &report.checkpoint {
        Some(checkpoint) => format!("{word}  {}\n\n", checkpoint.origin),
        None => format!("{word}  no checkpoint that a known log has signed\n\n"),
    };
    if let Some(checkpoint) = &report.checkpoint {
        let tree = &checkpoint.tree;
        text.push_str(&row("leaves", format_args!("{}, {} known before", tree.size, report.known)));
        text.push_str(&row("root", tree.root));
        text.push_str(&row("witnesses", witnesses(report)));
    }
    text.push_str(&row("executions", format_args!("{}, {} ended", report.instances, report.ended)));
    if let Some(window) = report.window {
        text.push_str(&row("window", format_args!("{window} executions")));
    }
    if report.handed_over > 0 {
        text.push_str(&row("handed over", format_args!("{} executions", report.handed_over)));
    }
    if report.pending > 0 {
        text.push_str(&row("pending", format_args!("{} artifacts need not be there yet", report.pending)));
    }
    if !report.verified {
        text.push_str(
            "\nNothing is said about the leaves: they are not shown to be what the log has signed.\n",
        );
    }
    let mut told: Option<MonitorCode> = None;
    for finding in &report.findings {
        if told != Some(finding.code) {
            let style = if finding.code.is_note() { FAINT } else { BAD };
            let code = styled(style, finding.code.as_str());
            text.push_str(&format!("\n{code}  {}\n", finding.code.meaning()));
            told = Some(finding.code);
        }
        text.push_str(&format!("  {}: {}\n", inert(&finding.place), inert(&finding.message)));
        for line in finding.checkpoints.iter().flat_map(|note| note.lines()) {
            text.push_str(&format!("    | {}\n", inert(line)));
        }
    }
    if report.more > 0 {
        text.push_str(&format!("\nand {} more\n", report.more));
    }
    text
}

fn witnesses(report: &Report) -> String {
    let one = |(name, time): &(String, u64)| {
        let at = UnixMillis::new(time.saturating_mul(1_000)).map(|at| at.to_text());
        format!("{} at {}", inert(name), at.unwrap_or_else(|_| time.to_string()))
    };
    let all: Vec<String> = report.witnesses.iter().map(one).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}
