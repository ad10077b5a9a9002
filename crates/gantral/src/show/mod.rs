//! Answers of the server as people read them. What agents and policies wrote is always made inert.

pub mod gate;
pub mod instance;
pub mod me;
pub mod monitor;

use gantral_api::wire::{Receipt, WorkflowRef};

/// Returns a workflow version in a few words.
pub fn workflow(reference: &WorkflowRef) -> String {
    format!("{} version {} ({})", reference.id, reference.version, reference.materiality)
}

/// Returns what a write sealed, for the line that says that it was done.
pub fn receipts(receipts: &[Receipt]) -> String {
    let names: Vec<String> = receipts.iter().map(|r| format!("{} #{}", r.event, r.sequence)).collect();
    if names.is_empty() { "nothing new: it was in effect already".to_owned() } else { names.join(", ") }
}

/// Returns a label and a value, aligned.
pub fn row(label: &str, value: impl std::fmt::Display) -> String {
    format!("  {label:<11} {value}\n")
}
