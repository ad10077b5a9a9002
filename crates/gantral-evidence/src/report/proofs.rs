//! What the log proves, as people and programs read it.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use gantral_core::json::{Object, Value};
use gantral_core::time::UnixMillis;

use crate::verify::{Assurance, LogAssurance, Seen};

/// The most checkpoints that the text form shows; the JSON form has all.
const CHECKPOINTS_SHOWN_MAX: usize = 8;

/// Writes what the log proves, in words.
pub(super) fn write_log(out: &mut String, assurance: &Assurance) -> fmt::Result {
    let Some(log) = &assurance.log else {
        writeln!(out, "  log          not proved: asserted by the issuer")?;
        return writeln!(out, "  complete     not proved");
    };
    let placed: Vec<u64> = log.indexes.iter().flatten().copied().collect();
    let origin = &log.origin;
    match (placed.first(), placed.last()) {
        (Some(first), Some(last)) if assurance.logged => {
            writeln!(out, "  log          every artifact is in {origin}, at places {first} to {last}")?;
        }
        (Some(_), Some(_)) => {
            let (some, all) = (placed.len(), log.indexes.len());
            writeln!(
                out,
                "  log          {some} of {all} artifacts are in {origin}; the others are asserted by the issuer"
            )?;
        }
        _ => writeln!(out, "  log          not proved: asserted by the issuer; no artifact is in {origin}")?,
    }
    writeln!(out, "  witnesses    {} for the artifact with the fewest", assurance.witnessed)?;
    for seen in log.checkpoints.iter().take(CHECKPOINTS_SHOWN_MAX) {
        write_seen(out, seen)?;
    }
    let more = log.checkpoints.len().saturating_sub(CHECKPOINTS_SHOWN_MAX);
    if more > 0 {
        writeln!(out, "               … and {more} more")?;
    }
    match (assurance.complete, log.instances) {
        (Some(_), Some(instances)) => writeln!(
            out,
            "  complete     by the mirror of the log: this is the only chain of the execution, to its end, and one of {instances} in the log"
        ),
        (_, Some(instances)) => {
            writeln!(
                out,
                "  complete     not proved by the mirror of the log, which holds {instances} executions"
            )
        }
        (_, None) => writeln!(out, "  complete     not proved: no mirror of the log was given"),
    }
}

fn write_seen(out: &mut String, seen: &Seen) -> fmt::Result {
    write!(out, "               the log with {} artifacts, ", seen.tree.size)?;
    if seen.witnesses.is_empty() {
        return writeln!(out, "which nobody else has seen");
    }
    let witnesses: Vec<String> =
        seen.witnesses.iter().map(|(name, time)| alloc::format!("{name} at {}", instant(*time))).collect();
    writeln!(out, "seen by {}", witnesses.join(", "))
}

/// Returns the time of a cosignature as people read it, or as it is if it lies outside what can be written so.
fn instant(seconds: u64) -> String {
    let millis = seconds.checked_mul(1_000).and_then(|millis| UnixMillis::new(millis).ok());
    millis.map_or_else(|| alloc::format!("second {seconds}"), |at| at.to_text().to_string())
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
