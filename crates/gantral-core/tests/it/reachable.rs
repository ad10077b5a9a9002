//! Every state that a small world can reach within so many steps, one by one.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use gantral_core::command::{Assignment, AttemptEnd, Command};
use gantral_core::decide::next_due;
use gantral_core::event::{Actor, GrantTerms, Granted, Outcome, Reconciled};
use gantral_core::instance::Instance;
use gantral_core::state::{DecisionKind, Mode, NextStep, OutcomeStatus, State};

use crate::properties::{has_a_way_to_an_end, step, tick};
use crate::world::{
    GRANT_LIFETIME, Refine, World, admin, agent, allow, asks, deny, digest, executor, grant, human, runner,
    secs, system,
};

/// How many states are looked at; the search is by breadth, so these are all that few steps reach.
const STATES_MAX: usize = 4_000;

/// Everything that anybody might do in this small world.
fn commands(world: &World) -> Vec<(Actor, Command)> {
    let attempt = world.instance.attempt;
    let assignment = Assignment { executor: executor(), context: digest("context"), lease: secs(60) };
    let mut all = vec![
        (runner(), Command::Assign(assignment)),
        (runner(), Command::Attach { attempt }),
        (agent(), Command::Complete { attempt }),
        (agent(), Command::Withdraw),
        (admin(), Command::Cancel),
        (system(), Command::EndAttempt { attempt, end: AttemptEnd::Lost, may_retry: true }),
        (runner(), Command::EndAttempt { attempt, end: AttemptEnd::Exited(3), may_retry: true }),
        (runner(), Command::EndAttempt { attempt, end: AttemptEnd::Exited(0), may_retry: true }),
    ];
    for advice in [allow(), asks(&["LEAD"], 2).unless(2).then_asks(&["DIRECTOR"]), deny()] {
        let ask = world.ask_of("refund 4800", advice.clone());
        let mut shadow = ask.clone();
        shadow.mode = Mode::Shadow;
        all.push((agent(), Command::Ask(Box::new(ask))));
        all.push((agent(), Command::Ask(Box::new(shadow))));
        for (id, held) in &world.instance.grants {
            let mut consume = world.consumption_of(1, "", advice.clone());
            (consume.grant, consume.action) = (*id, held.action);
            all.push((agent(), Command::Consume(Box::new(consume))));
        }
    }
    for (id, consumption) in &world.instance.consumptions {
        let status = OutcomeStatus::Succeeded;
        let outcome = Outcome { grant: Some(*id), status, result: None, evidence: Vec::new(), cost: None };
        all.push((agent(), Command::Report { attempt: consumption.attempt, outcome }));
        for next in NextStep::ALL {
            let reconciled = Reconciled { grant: *id, status, next: *next, justification: None };
            all.push((admin(), Command::Reconcile(reconciled)));
        }
    }
    all.extend(ballots(world));
    all
}

fn ballots(world: &World) -> Vec<(Actor, Command)> {
    let Some(open) = world.instance.gate() else { return Vec::new() };
    let mut all = Vec::new();
    for (name, holds) in [("lea", "LEAD"), ("leo", "LEAD"), ("dana", "DIRECTOR"), ("oscar", "LEAD")] {
        for decision in DecisionKind::ALL {
            let approved = match decision {
                DecisionKind::Override => digest("refund 480"),
                DecisionKind::Approve | DecisionKind::Reject => open.asked.action,
            };
            let terms =
                GrantTerms { id: grant(world.grants + 1), expires_at: world.now.plus(secs(GRANT_LIFETIME)) };
            let ballot = world.ballot_of(holds, *decision, approved);
            let granted = Granted { ballot, grant: terms };
            all.push((human(name, holds), Command::Decide(Box::new(granted))));
        }
    }
    let deadline = open.deadline.plus(secs(60));
    let command = Command::Extend { gate: open.asked.id, gate_version: open.asked.version, deadline };
    all.push((human("lea", "LEAD"), command));
    all
}

/// Two worlds are one when nothing but the number of events tells them apart.
fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut instance: Instance = world.instance.clone();
    instance.events = 0;
    (format!("{instance:?}"), world.now).hash(&mut hasher);
    hasher.finish()
}

#[test]
fn every_state_within_a_few_steps_is_sound_and_has_a_way_to_an_end() {
    let mut seen = BTreeSet::new();
    let mut states = BTreeSet::new();
    let mut queue = VecDeque::from([World::created()]);
    while let Some(world) = queue.pop_front() {
        states.insert(world.state());
        if world.state().is_final() {
            assert_eq!(next_due(&world.instance), None);
            continue;
        }
        has_a_way_to_an_end(&world);
        if seen.len() >= STATES_MAX {
            continue;
        }
        let mut reached = Vec::new();
        for (actor, command) in commands(&world) {
            let mut next = world.clone();
            next.gates += 1;
            next.grants += 1;
            if step(&mut next, &actor, command) == Ok(true) {
                reached.push(next);
            }
        }
        if let Some(instant) = next_due(&world.instance) {
            let mut next = world.clone();
            next.now = instant.max(next.now);
            tick(&mut next);
            reached.push(next);
        }
        queue.extend(reached.into_iter().filter(|next| seen.insert(fingerprint(next))));
    }
    assert!(seen.len() >= STATES_MAX, "the world is smaller than thought: {}", seen.len());
    let expected: BTreeSet<State> =
        State::ALL.iter().copied().filter(|state| *state != State::Rejected).collect();
    assert_eq!(states, expected);
}
