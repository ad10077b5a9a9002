//! A message in words, for people: in chats and in mail (`spec/notifications.md` §5).
//!
//! Nothing here is marked up: each format writes these texts so that they are shown as they are.

use gantral_core::ids::Role;
use gantral_store::OutboxRow;

/// What the button or the line that leads to the console says.
pub(crate) const OPEN: &str = "Open in the console";

/// A message in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    /// What happened, in one line.
    pub title: String,
    /// What it is about: labels, and what stands beside them.
    pub facts: Vec<(String, String)>,
    /// Where to look, over HTTP.
    pub url: String,
}

/// Returns a message in words. `source` is the URL under which people reach the server.
pub(crate) fn words(row: &OutboxRow, source: &str) -> Words {
    let gate = &row.gate;
    let mut facts = vec![
        ("Action", gate.action_name.to_string()),
        ("Workflow", gate.workflow.to_string()),
        ("Team", gate.team.to_string()),
    ];
    if row.resolution.is_none() {
        let roles: Vec<&str> = gate.roles.iter().map(Role::as_str).collect();
        facts.push(("Who decides", roles.join(", ")));
        facts.push(("Until", gate.deadline.to_string()));
    }
    facts.push(("On the command line", look(row)));
    Words {
        title: title(row),
        facts: facts.into_iter().map(|(label, text)| (label.to_owned(), text)).collect(),
        url: url(row, source),
    }
}

/// Returns where a human decides.
pub(crate) fn url(row: &OutboxRow, source: &str) -> String {
    format!("{}/console/gates/{}", source.trim_end_matches('/'), row.gate.id)
}

/// Returns the command that shows what is asked for.
pub(crate) fn look(row: &OutboxRow) -> String {
    format!("gantral approvals show {}", row.gate.id)
}

/// Returns what happened, in one line.
fn title(row: &OutboxRow) -> String {
    let action = &row.gate.action_name;
    let happened = match row.kind.as_str() {
        "gate.opened" => "Approval wanted".to_owned(),
        "gate.reminder" => {
            format!("Still waiting, {} % of the time is over", row.percent.unwrap_or_default())
        }
        "gate.escalated" => "Approval wanted, others did not decide".to_owned(),
        "gate.extended" => "More time to decide".to_owned(),
        "gate.glass_broken" => "Decided by one person alone, by break-glass".to_owned(),
        "gate.decided" => row.resolution.as_ref().map_or("Decided", |word| decided(word.as_str())).to_owned(),
        "gate.expired" => "Nobody decided in time".to_owned(),
        "gate.withdrawn" => "Withdrawn by whoever asked".to_owned(),
        "gate.cancelled" => "Cancelled".to_owned(),
        other => other.to_owned(),
    };
    format!("{happened}: {action}")
}

fn decided(resolution: &str) -> &'static str {
    match resolution {
        "approved" => "Approved",
        "overridden" => "Approved with changes",
        "rejected" => "Rejected",
        _ => "Decided",
    }
}

#[cfg(test)]
mod tests;
