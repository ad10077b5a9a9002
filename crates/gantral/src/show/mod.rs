//! Answers of the server as people read them. What agents and policies wrote is always made inert.

pub mod gate;
pub mod instance;
pub mod me;
pub mod monitor;

use gantral_api::wire::{Receipt, WorkflowRef};

/// How much room a label has.
const LABEL_CHARS: usize = 11;
/// How much room labels that others chose get at most: a longer one stands out of its column.
const LABEL_CHARS_MAX: usize = 32;

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
    aligned(label, LABEL_CHARS, value)
}

/// Returns labels and values, aligned with each other and with other rows as far as the labels allow.
pub fn rows(pairs: &[(String, String)]) -> String {
    let longest = pairs.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
    let width = longest.clamp(LABEL_CHARS, LABEL_CHARS_MAX);
    pairs.iter().map(|(label, value)| aligned(label, width, value)).collect()
}

fn aligned(label: &str, width: usize, value: impl std::fmt::Display) -> String {
    format!("  {label:<width$} {value}\n")
}
