//! A message in words, for people: in chats and in mail (`spec/notifications.md` §5).
//!
//! Nothing here is marked up: each format writes these texts so that they are shown as they are.

use gantral_core::ids::{Name, Role};
use gantral_store::{About, Gathered, OutboxRow, ToldGate, ToldProposal};

use crate::told::{Member, Told};

/// What the button or the line that leads to the console says.
pub(crate) const OPEN: &str = "Open in the console";

/// What is said, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words {
    /// What happened, in one line.
    pub title: String,
    /// What it is about: labels, and what stands beside them.
    pub facts: Vec<(String, String)>,
    /// Of what was gathered: a line for each, and where to look.
    pub items: Vec<(String, String)>,
    /// Where to look, over HTTP.
    pub url: String,
}

/// Returns what is said in words. `source` is the URL under which people reach the server.
pub(crate) fn words(told: &Told, source: &str) -> Words {
    match told {
        Told::One(row, members) => one(row, members, source),
        Told::Many(items) => many(items, source),
    }
}

/// Returns where a human decides.
pub(crate) fn url(row: &OutboxRow, source: &str) -> String {
    match &row.about {
        About::Gate(gate) => format!("{}/gates/{}", console(source), gate.id),
        About::Proposal(proposal) => format!("{}/proposals/{}", console(source), proposal.id),
    }
}

/// Returns where the console begins.
pub(crate) fn console(source: &str) -> String {
    format!("{}/console", source.trim_end_matches('/'))
}

/// Returns the command that shows what is asked for.
pub(crate) fn look(row: &OutboxRow) -> String {
    match &row.about {
        About::Gate(gate) => format!("gantral approvals show {}", gate.id),
        About::Proposal(proposal) => format!("gantral proposals show {}", proposal.id),
    }
}

fn one(row: &OutboxRow, members: &[Member], source: &str) -> Words {
    let mut facts = match &row.about {
        About::Gate(gate) => of_gate(row, gate, members),
        About::Proposal(proposal) => of_proposal(proposal),
    };
    facts.push(fact("On the command line", &look(row)));
    Words { title: title(row), facts, items: Vec::new(), url: url(row, source) }
}

fn of_gate(row: &OutboxRow, gate: &ToldGate, members: &[Member]) -> Vec<(String, String)> {
    let mut facts = vec![
        fact("Action", gate.action_name.as_str()),
        fact("Workflow", gate.workflow.as_str()),
        fact("Team", gate.team.as_str()),
    ];
    facts.extend(members.iter().map(|member| fact(&member.pointer, &member.value)));
    if row.resolution.is_none() {
        let roles: Vec<&str> = gate.roles.iter().map(Role::as_str).collect();
        facts.push(fact("Who decides", &roles.join(", ")));
        facts.push(fact("Until", &gate.deadline.to_string()));
    }
    facts
}

fn of_proposal(proposal: &ToldProposal) -> Vec<(String, String)> {
    vec![
        fact("Proposed", proposal.proposes.as_str()),
        fact("For", &scope(proposal)),
        fact("Who confirms", "somebody else than who proposed it"),
        fact("Until", &proposal.deadline.to_string()),
    ]
}

fn many(items: &[Gathered], source: &str) -> Words {
    let ended = items.iter().filter(|item| item.ended.is_some()).count();
    let title = match (items.len().saturating_sub(ended), ended) {
        (open, 0) => format!("{open} waiting"),
        (open, ended) => format!("{open} waiting, {ended} ended"),
    };
    let items = items.iter().map(|item| (line(item), url(&item.row, source)));
    Words { title, facts: Vec::new(), items: items.collect(), url: console(source) }
}

/// Returns what stands in a digest about one thing.
fn line(item: &Gathered) -> String {
    let row = &item.row;
    let (within, deadline) = match &row.about {
        About::Gate(gate) => (format!("{}, {}", gate.workflow, gate.team), gate.deadline),
        About::Proposal(proposal) => (scope(proposal), proposal.deadline),
    };
    let stands = match &item.ended {
        None => format!(", until {deadline}"),
        // The message itself says so.
        Some(_) if row.resolution.is_some() => String::new(),
        Some(ended) => format!(", since then: {ended}"),
    };
    format!("{} ({within}){stands}", title(row))
}

fn scope(proposal: &ToldProposal) -> String {
    let name = proposal.scope_name.as_ref().map(|name| format!(" {name}"));
    format!("{}{}", proposal.scope, name.unwrap_or_default())
}

fn fact(label: &str, text: &str) -> (String, String) {
    (label.to_owned(), text.to_owned())
}

/// Returns what happened, in one line.
fn title(row: &OutboxRow) -> String {
    let happened = match row.kind.as_str() {
        "gate.opened" => "Approval wanted".to_owned(),
        "gate.reminder" => {
            format!("Still waiting, {} % of the time is over", row.percent.unwrap_or_default())
        }
        "gate.escalated" => "Approval wanted, others did not decide".to_owned(),
        "gate.extended" => "More time to decide".to_owned(),
        "gate.glass_broken" => "Decided by one person alone, by break-glass".to_owned(),
        "gate.decided" => decided(row.resolution.as_ref()).to_owned(),
        "gate.expired" => "Nobody decided in time".to_owned(),
        "gate.withdrawn" => "Withdrawn by whoever asked".to_owned(),
        "gate.cancelled" => "Cancelled".to_owned(),
        "proposal.opened" => "A second person is wanted".to_owned(),
        other => other.to_owned(),
    };
    let what = match &row.about {
        About::Gate(gate) => gate.action_name.as_str(),
        About::Proposal(proposal) => proposal.proposes.as_str(),
    };
    format!("{happened}: {what}")
}

fn decided(resolution: Option<&Name>) -> &'static str {
    match resolution.map(Name::as_str) {
        Some("approved") => "Approved",
        Some("overridden") => "Approved with changes",
        Some("rejected") => "Rejected",
        _ => "Decided",
    }
}

#[cfg(test)]
mod tests;
