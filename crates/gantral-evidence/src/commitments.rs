//! Which commitments an event carries: what a disclosure may open.

use alloc::vec::Vec;

use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Actor, Ballot, Entry, Event, PolicyRecord};
use gantral_core::ids::PersonId;
use gantral_core::state::ActorKind;

use CommitmentLabel as L;

/// Returns every commitment of an entry with its label, in the order of the members; one may occur twice.
///
/// Persons are those who acted, those on whose behalf, and those who own a requester.
pub fn commitments(entry: &Entry) -> Vec<(CommitmentLabel, Digest)> {
    let mut found = Vec::new();
    let mut add = |label, digest: Option<Digest>| found.extend(digest.map(|digest| (label, digest)));
    add(L::Person, human(&entry.actor));
    match &entry.event {
        Event::Created(detail) => {
            add(L::Context, detail.context);
            for link in &detail.requester {
                if link.kind == ActorKind::Human {
                    add(L::Person, PersonId::from_actor(&link.id).map(|person| person.0));
                }
                add(L::Person, link.owner.map(|person| person.0));
            }
        }
        Event::Started(launch)
        | Event::Resumed(launch)
        | Event::Running(launch)
        | Event::AttemptAssigned(launch) => add(L::Context, launch.context),
        Event::HumanRequired(detail) => {
            add(L::Action, Some(detail.gate.action));
            add(L::Context, Some(detail.gate.context));
        }
        Event::Allowed(detail) | Event::Observed(detail) => {
            add(L::Action, Some(detail.action));
            add(L::Context, Some(detail.context));
        }
        Event::Consumed(detail) => add(L::Action, Some(detail.action)),
        Event::Outcome(detail) => add(L::Outcome, detail.result),
        Event::Reconciled(detail) => add(L::Justification, detail.justification),
        Event::Approved(_)
        | Event::Overridden(_)
        | Event::Rejected(_)
        | Event::Completed(_)
        | Event::Terminated(_)
        | Event::AttemptEnded(_)
        | Event::Vote(_)
        | Event::Escalated(_)
        | Event::Extended(_)
        | Event::EvaluatorFailed(_) => {}
    }
    if let Some(ballot) = ballot(&entry.event) {
        add(L::Action, Some(ballot.asked));
        add(L::Action, Some(ballot.approved));
        add(L::Justification, ballot.justification);
        add(L::Person, ballot.acts_for.map(|person| person.0));
    }
    if let Some(policy) = policy(&entry.event) {
        add(L::Input, Some(policy.input));
        add(L::Decision, policy.decision);
    }
    found
}

fn human(actor: &Actor) -> Option<Digest> {
    let person = (actor.kind == ActorKind::Human).then(|| PersonId::from_actor(&actor.id)).flatten();
    person.map(|person| person.0)
}

/// Returns what a human said, if the event holds it.
pub fn ballot(event: &Event) -> Option<&Ballot> {
    match event {
        Event::Vote(ballot) => Some(ballot),
        Event::Approved(granted) | Event::Overridden(granted) => Some(&granted.ballot),
        Event::Rejected(detail) => detail.ballot.as_ref(),
        Event::Created(_)
        | Event::Started(_)
        | Event::HumanRequired(_)
        | Event::Resumed(_)
        | Event::Running(_)
        | Event::Completed(_)
        | Event::Terminated(_)
        | Event::AttemptAssigned(_)
        | Event::AttemptEnded(_)
        | Event::Allowed(_)
        | Event::Observed(_)
        | Event::Escalated(_)
        | Event::Extended(_)
        | Event::Consumed(_)
        | Event::Outcome(_)
        | Event::Reconciled(_)
        | Event::EvaluatorFailed(_) => None,
    }
}

/// Returns the commitment of the action that policy was asked about, if the event names it.
pub fn evaluated_action(event: &Event) -> Option<&Digest> {
    match event {
        Event::HumanRequired(detail) => Some(&detail.gate.action),
        Event::Allowed(detail) | Event::Observed(detail) => Some(&detail.action),
        Event::Consumed(detail) => Some(&detail.action),
        Event::Created(_)
        | Event::Started(_)
        | Event::Approved(_)
        | Event::Overridden(_)
        | Event::Rejected(_)
        | Event::Resumed(_)
        | Event::Running(_)
        | Event::Completed(_)
        | Event::Terminated(_)
        | Event::AttemptAssigned(_)
        | Event::AttemptEnded(_)
        | Event::Vote(_)
        | Event::Escalated(_)
        | Event::Extended(_)
        | Event::Outcome(_)
        | Event::Reconciled(_)
        | Event::EvaluatorFailed(_) => None,
    }
}

/// Returns the policy record of an event, if it stands under one.
pub fn policy(event: &Event) -> Option<&PolicyRecord> {
    match event {
        Event::HumanRequired(detail) => Some(&detail.policy),
        Event::Allowed(detail) | Event::Observed(detail) => Some(&detail.policy),
        Event::Consumed(detail) => Some(&detail.policy),
        Event::Completed(detail) | Event::Terminated(detail) => detail.policy.as_ref(),
        Event::EvaluatorFailed(record) => Some(record),
        Event::Created(_)
        | Event::Started(_)
        | Event::Approved(_)
        | Event::Overridden(_)
        | Event::Rejected(_)
        | Event::Resumed(_)
        | Event::Running(_)
        | Event::AttemptAssigned(_)
        | Event::AttemptEnded(_)
        | Event::Vote(_)
        | Event::Escalated(_)
        | Event::Extended(_)
        | Event::Outcome(_)
        | Event::Reconciled(_) => None,
    }
}
