//! Events as sentences. Content is shown where it was disclosed, and made harmless: nothing that somebody wrote may
//! change what the reader sees around it.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Write as _;

use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Actor, Ballot, Event, EvidenceRef, Launch, PolicyRecord};
use gantral_core::ids::{ActorId, Role};
use gantral_core::rule::Rule;
use gantral_core::state::{ActorKind, DecisionKind};

use crate::verify::Opened;

/// The most characters of disclosed content that one line shows.
const CONTENT_CHARS_MAX: usize = 240;
/// The most characters of what approvers were shown.
const SHOWN_CHARS_MAX: usize = 4_000;
/// The most references to captured evidence that one line names; the artifact has all.
const CAPTURED_SHOWN_MAX: usize = 8;
/// How many characters name a person in a line; the JSON of the artifact has all.
const PERSON_CHARS: usize = 12;

/// Returns who acted, in a few words.
pub(crate) fn actor(actor: &Actor) -> String {
    let mut text = named(actor.kind, &actor.id);
    if let Some(role) = &actor.role {
        text.push_str(" as ");
        text.push_str(role.as_str());
    }
    text
}

fn named(kind: ActorKind, id: &ActorId) -> String {
    match kind {
        ActorKind::System => "the engine".to_string(),
        ActorKind::Human => {
            let person: String = id.as_str().chars().take(PERSON_CHARS).collect();
            alloc::format!("human {person}")
        }
        ActorKind::Workload | ActorKind::Runner => alloc::format!("{kind} {id}"),
    }
}

/// Returns what happened.
pub(crate) fn narrate(event: &Event, opened: &Opened) -> String {
    match event {
        Event::Created(detail) => {
            let chain: Vec<String> = detail.requester.iter().map(|link| named(link.kind, &link.id)).collect();
            alloc::format!("created the execution on behalf of {}", chain.join(" -> "))
        }
        Event::Started(launch) | Event::Running(launch) => launched("started", launch),
        Event::Resumed(launch) => launched("was given a fresh attempt after the decision", launch),
        Event::AttemptAssigned(launch) => launched("was given an attempt", launch),
        Event::AttemptEnded(detail) => match detail.exit_status {
            Some(status) => alloc::format!("ended the attempt, {} with status {status}", detail.cause),
            None => alloc::format!("ended the attempt: {}", detail.cause),
        },
        Event::HumanRequired(detail) => alloc::format!(
            "asked for {}; policy said {}: waits for {} until {}{}",
            content(CommitmentLabel::Action, &detail.gate.action, opened),
            said(&detail.policy),
            roles(&detail.rule.roles()),
            detail.deadline,
            refused_by(&detail.rule)
        ),
        Event::Allowed(detail) => alloc::format!(
            "asked for {}; policy said {}: granted",
            content(CommitmentLabel::Action, &detail.action, opened),
            said(&detail.policy)
        ),
        Event::Observed(detail) => alloc::format!(
            "was observed at {}; policy said {}",
            content(CommitmentLabel::Action, &detail.action, opened),
            said(&detail.policy)
        ),
        Event::EvaluatorFailed(record) => alloc::format!("policy could not be evaluated: {}", said(record)),
        Event::Vote(ballot) => alloc::format!("voted: {}", decided(ballot, opened)),
        Event::Approved(granted) | Event::Overridden(granted) => decided(&granted.ballot, opened),
        Event::Rejected(detail) => match &detail.ballot {
            Some(ballot) => decided(ballot, opened),
            None => alloc::format!("closed the gate: {}", detail.cause),
        },
        Event::Escalated(moved) => {
            alloc::format!("nobody answered: asks {} until {}", roles(&moved.roles), moved.deadline)
        }
        Event::Extended(moved) => alloc::format!("extended the deadline to {}", moved.deadline),
        Event::Consumed(detail) => alloc::format!(
            "used the grant for {}; executed by {} {}",
            content(CommitmentLabel::Action, &detail.action, opened),
            detail.executor.kind,
            detail.executor.id
        ),
        Event::Outcome(detail) => {
            let result = detail.result.as_ref().map_or_else(String::new, |result| {
                alloc::format!(": {}", content(CommitmentLabel::Outcome, result, opened))
            });
            alloc::format!("reported {}{result}{}", detail.status, captured(&detail.evidence))
        }
        Event::Reconciled(detail) => alloc::format!("settled an unknown outcome: {}", detail.status),
        Event::Completed(_) => "completed the execution".to_string(),
        Event::Terminated(detail) => match detail.cause {
            Some(cause) => alloc::format!("terminated the execution: {cause}"),
            None => "terminated the execution".to_string(),
        },
    }
}

/// Names what was captured of an action. Nobody but its keeper has the bytes: they are what was meant if their digest is this one.
fn captured(evidence: &[EvidenceRef]) -> String {
    let mut text = String::new();
    for (at, item) in evidence.iter().take(CAPTURED_SHOWN_MAX).enumerate() {
        let before = if at == 0 { "; captured: " } else { ", " };
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{before}{} (SHA-256 {})", item.name, item.digest);
        if let Some(url) = &item.url {
            let _ = write!(text, ", kept at {url}");
        }
    }
    if let Some(more) = evidence.len().checked_sub(CAPTURED_SHOWN_MAX).filter(|more| *more > 0) {
        let _ = write!(text, " and {more} more");
    }
    text
}

/// Returns under which policy something happened.
pub(crate) fn under(policy: &PolicyRecord) -> String {
    let PolicyRecord { version, evaluator, .. } = policy;
    alloc::format!("{}, evaluated by {} {}", version.0, evaluator.engine, evaluator.version)
}

/// Returns what the approvers were shown, if the event asks humans.
pub(crate) fn shown(event: &Event, opened: &Opened) -> Option<String> {
    let Event::HumanRequired(detail) = event else { return None };
    Some(content_up_to(SHOWN_CHARS_MAX, CommitmentLabel::Context, &detail.gate.context, opened))
}

fn launched(what: &str, launch: &Launch) -> String {
    match (launch.cause, &launch.executor) {
        (Some(cause), _) => alloc::format!("walked on to the end, launching nothing: {cause}"),
        (None, Some(executor)) => alloc::format!("{what} ({} {})", executor.kind, executor.id),
        (None, None) => what.to_string(),
    }
}

fn said(policy: &PolicyRecord) -> String {
    match policy.failure {
        Some(failure) => alloc::format!("nothing ({failure}), resolved to {}", policy.verdict.as_str()),
        None => policy.verdict.as_str().to_string(),
    }
}

/// Says how many rejections it takes, where one is not enough.
fn refused_by(rule: &Rule) -> String {
    match rule.rejections {
        1 => String::new(),
        number => alloc::format!(", or for {number} rejections"),
    }
}

fn roles(roles: &[Role]) -> String {
    let names: Vec<&str> = roles.iter().map(Role::as_str).collect();
    names.join(", ")
}

fn decided(ballot: &Ballot, opened: &Opened) -> String {
    let mut text = match ballot.decision {
        DecisionKind::Approve => "approved it as asked".to_string(),
        DecisionKind::Reject => "rejected it".to_string(),
        DecisionKind::Override => {
            let changed = content(CommitmentLabel::Action, &ballot.approved, opened);
            alloc::format!("changed it to {changed}")
        }
    };
    if ballot.break_glass {
        text = alloc::format!("BROKE THE GLASS, alone and without those who were asked: {text}");
    }
    if let Some(person) = &ballot.acts_for {
        let person: String = person.0.to_hex().chars().take(PERSON_CHARS).collect();
        text.push_str(&alloc::format!(", for person {person} by a delegation"));
    }
    if let Some(why) = &ballot.justification
        && opened.get(CommitmentLabel::Justification, why).is_some()
    {
        text.push_str("; reason given: ");
        text.push_str(&content(CommitmentLabel::Justification, why, opened));
    }
    text
}

fn content(label: CommitmentLabel, commitment: &Digest, opened: &Opened) -> String {
    content_up_to(CONTENT_CHARS_MAX, label, commitment, opened)
}

/// Returns disclosed content with everything escaped that is not harmless, or the beginning of its commitment.
fn content_up_to(chars_max: usize, label: CommitmentLabel, commitment: &Digest, opened: &Opened) -> String {
    let Some(bytes) = opened.get(label, commitment) else {
        let short: String = commitment.to_hex().chars().take(PERSON_CHARS).collect();
        return alloc::format!("an undisclosed {} ({short})", label.as_str());
    };
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::new();
    for c in text.chars().take(chars_max) {
        if is_harmless(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    if text.chars().nth(chars_max).is_some() {
        shown.push('…');
    }
    shown
}

/// Tells whether a character shows as itself and leaves its neighbours alone: visible ASCII, and letters and digits of
/// scripts that are written from left to right.
fn is_harmless(c: char) -> bool {
    let reads_forward = matches!(c, '\u{a1}'..='\u{58f}' | '\u{3040}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    c == ' ' || c.is_ascii_graphic() || (reads_forward && c.is_alphanumeric())
}
