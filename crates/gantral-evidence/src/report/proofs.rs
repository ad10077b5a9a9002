//! What the log proves, as people and programs read it.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use alloc::{format, vec};

use gantral_core::json::{Object, Value};
use gantral_core::time::UnixMillis;

use super::Line;
use crate::verify::{Assurance, LogAssurance, Seen};

/// The most checkpoints that the text form shows; the JSON form has all.
const CHECKPOINTS_SHOWN_MAX: usize = 8;

/// Returns what the log proves, in words.
pub(super) fn log_lines(assurance: &Assurance) -> Vec<Line> {
    let Some(log) = &assurance.log else {
        return vec![
            Line::new("log", "not proved: asserted by the issuer"),
            Line::new("complete", "not proved"),
        ];
    };
    let mut lines = vec![
        Line::new("log", in_the_log(log, assurance.logged)),
        Line::new("witnesses", format!("{} for the artifact with the fewest", assurance.witnessed)),
    ];
    lines.extend(log.checkpoints.iter().take(CHECKPOINTS_SHOWN_MAX).map(|seen| Line::new("", seen_by(seen))));
    let more = log.checkpoints.len().saturating_sub(CHECKPOINTS_SHOWN_MAX);
    if more > 0 {
        lines.push(Line::new("", format!("… and {more} more")));
    }
    let complete = match (assurance.complete, log.instances) {
        (Some(_), Some(instances)) => format!(
            "by the mirror of the log: this is the only chain of the execution, to its end, and one of {instances} in the log"
        ),
        (_, Some(instances)) => {
            format!("not proved by the mirror of the log, which holds {instances} executions")
        }
        (_, None) => "not proved: no mirror of the log was given".to_string(),
    };
    lines.push(Line::new("complete", complete));
    lines
}

/// Returns which artifacts are in the log.
fn in_the_log(log: &LogAssurance, logged: bool) -> String {
    let placed: Vec<u64> = log.indexes.iter().flatten().copied().collect();
    let origin = &log.origin;
    match (placed.first(), placed.last()) {
        (Some(first), Some(last)) if logged => {
            format!("every artifact is in {origin}, at places {first} to {last}")
        }
        (Some(_), Some(_)) => {
            let (some, all) = (placed.len(), log.indexes.len());
            format!("{some} of {all} artifacts are in {origin}; the others are asserted by the issuer")
        }
        _ => format!("not proved: asserted by the issuer; no artifact is in {origin}"),
    }
}

/// Returns who has seen a state of the log.
fn seen_by(seen: &Seen) -> String {
    let size = seen.tree.size;
    if seen.witnesses.is_empty() {
        return format!("the log with {size} artifacts, which nobody else has seen");
    }
    let witnesses: Vec<String> =
        seen.witnesses.iter().map(|(name, time)| format!("{name} at {}", instant(*time))).collect();
    format!("the log with {size} artifacts, seen by {}", witnesses.join(", "))
}

/// Returns the time of a cosignature as people read it, or as it is if it lies outside what can be written so.
fn instant(seconds: u64) -> String {
    let millis = seconds.checked_mul(1_000).and_then(|millis| UnixMillis::new(millis).ok());
    millis.map_or_else(|| format!("second {seconds}"), |at| at.to_text().to_string())
}

/// Returns what the log proves, for programs.
pub(super) fn log_value(log: &LogAssurance) -> Value {
    let indexes: Vec<Value> =
        log.indexes.iter().map(|index| index.map_or(Value::Null, Value::from)).collect();
    let checkpoints: Vec<Value> = log.checkpoints.iter().map(seen_value).collect();
    let object = Object::new()
        .with("checkpoints", checkpoints)
        .with("indexes", indexes)
        .with("instances", log.instances)
        .with("origin", log.origin.as_str());
    Value::Object(object)
}

fn seen_value(seen: &Seen) -> Value {
    let witness = |(name, time): &(String, u64)| {
        Value::Object(Object::new().with("at", instant(*time)).with("name", name.as_str()))
    };
    let witnesses: Vec<Value> = seen.witnesses.iter().map(witness).collect();
    let object = Object::new()
        .with("root", seen.tree.root.to_hex())
        .with("size", seen.tree.size)
        .with("witnesses", witnesses);
    Value::Object(object)
}
