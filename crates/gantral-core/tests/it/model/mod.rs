//! The machine, model-checked: every interleaving of what people, programs, time and servers may do in worlds that are
//! small enough to be looked at to the last state.
//!
//! Three worlds ([`small::Bounds`]): one gate at which everybody does everything, also what must be refused; two gates and three attempts; and a server that
//! crashes, or appends what it has decided while others went on. Policies come into force at any moment, and a freeze comes and goes. Time stands at
//! every instant that anything compares it with: what may happen before one may happen at the one before it. What must hold is said a second time
//! in [`monitor`], which looks at what was sealed, by the true time, and never at the machine's own state. That every state has a way to an end is
//! read from the whole graph. Why the search is our own: `docs/decisions/0013-own-model-checker.md`.

mod broken;
mod monitor;
mod moves;
mod search;
mod small;

use crate::model::broken::{Honest, Machine};
use crate::model::search::{Found, explore};
use crate::model::small::Small;

/// How many states there are at least in the world of one gate, in that of two, and in the one where deciding and appending are two steps.
const WIDE_LEAST: usize = 50_000;
const LONG_LEAST: usize = 25_000;
const TORN_LEAST: usize = 10_000;
/// No world may be larger: then a bound has been lost.
const STATES_MAX: usize = 2_000_000;

#[test]
fn in_every_state_of_a_small_world_the_promises_hold_and_there_is_a_way_to_an_end() {
    let found = sound(Small::wide());
    assert!(found.states > WIDE_LEAST, "the world is smaller than thought: {}", found.states);
}

#[test]
fn through_two_gates_the_promises_hold_and_there_is_a_way_to_an_end() {
    let found = sound(Small::long());
    assert!(found.states > LONG_LEAST, "the world is smaller than thought: {}", found.states);
}

#[test]
fn a_server_that_decides_while_others_go_on_and_crashes_or_not_keeps_the_promises() {
    let found = sound(Small::torn());
    assert!(found.states > TORN_LEAST, "the world is smaller than thought: {}", found.states);
}

/// Looks at everything, and expects nothing wrong.
#[expect(clippy::print_stdout, reason = "how much was looked at belongs to the record of a run")]
fn sound(from: Small) -> Found {
    let found = explore(from, &Honest, STATES_MAX);
    println!("{} states, {} steps, {} ends", found.states, found.steps, found.ends);
    if let Some((wrong, path)) = &found.wrong {
        panic!("{wrong}, after\n  {}", path.join("\n  "));
    }
    assert_eq!(found.stuck, 0, "from so many states no end can be reached");
    found
}

/// A machine that is wrong in one way is found out, and for the right reason.
fn refuted(from: Small, machine: &dyn Machine, expected: &str) {
    let found = explore(from, machine, STATES_MAX);
    let (wrong, path) = found.wrong.expect("the mistake was not found");
    assert!(
        wrong.contains(expected),
        "found out for another reason: {wrong}, after\n  {}",
        path.join("\n  ")
    );
    assert!(!path.is_empty());
}

#[test]
fn a_machine_that_forgets_deadlines_is_found_out() {
    refuted(Small::wide(), &broken::ClockStopped, "after the deadline");
}

#[test]
fn a_machine_that_forgets_what_was_used_is_found_out() {
    refuted(Small::wide(), &broken::GrantsComeBack, "the rulebook refuses: [Grant]");
}

#[test]
fn a_machine_that_lets_the_owner_decide_is_found_out() {
    refuted(Small::wide(), &broken::OwnersMayDecide, "SelfApproval");
}

#[test]
fn a_machine_that_is_satisfied_with_one_of_two_is_found_out() {
    refuted(Small::wide(), &broken::OneIsEnough, "Quorum");
}

#[test]
fn a_machine_that_never_closes_a_gate_is_found_out() {
    refuted(Small::wide(), &broken::NeverDue, "does not end by itself");
}

#[test]
fn a_ledger_that_does_not_compare_heads_is_found_out() {
    refuted(Small::torn(), &broken::NoHeads, "");
}

#[test]
fn a_ledger_that_does_not_compare_what_is_in_force_is_found_out() {
    refuted(Small::torn(), &broken::NoGuards, "frozen");
}
