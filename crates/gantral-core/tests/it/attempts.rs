//! Attempts: assigned, attached, replaced, ended.

use gantral_core::command::{AttemptEnd, Command, Refusal};
use gantral_core::ids::AttemptNo;
use gantral_core::state::{Cause, State};

use crate::gates::cause;
use crate::world::{LIFETIME, World, admin, agent, allow, at, lead, runner, system};

#[test]
fn exit_status_zero_completes_and_any_other_fails() {
    let mut world = World::running();
    world.exit(1, 0).seals("attempt_ended completed").is(State::Completed);
    for status in [1, 3, 42, -9] {
        let mut world = World::running();
        world.exit(1, status).seals("attempt_ended terminated");
        assert_eq!(cause(&world), Some(Cause::Failed), "exit 3 without a gate fails like any other");
    }
}

#[test]
fn whatever_a_retired_attempt_exits_with_changes_nothing() {
    for status in [0, 1, 3] {
        let mut world = World::running();
        world.ask("refund 4800", lead()).seals("human_required");
        world.exit(1, status).seals("attempt_ended").is(State::WaitingForHuman);
    }
}

#[test]
fn exit_three_after_the_decision_came_first_ends_the_attempt_only() {
    let mut world = World::running();
    world.ask("refund 4800", lead()).seals("human_required");
    world.approve("lea", "LEAD").seals("approved");
    world.assign().refused(Refusal::AttemptAlive { attempt: AttemptNo(1) });
    world.exit(1, 3).seals("attempt_ended").is(State::Approved);
    world.assign().seals("resumed").is(State::Resumed);
}

#[test]
fn the_end_of_an_attempt_after_the_end_of_its_instance_is_answered_as_such() {
    let mut world = World::running();
    world.ask("refund 4800", lead()).seals("human_required");
    world.reject("lea", "LEAD").seals("rejected terminated");
    world.exit(1, 3).refused(Refusal::Ended { state: State::Terminated });
}

#[test]
fn a_lost_attempt_is_replaced_in_running_and_acts_at_once() {
    let mut world = World::running();
    world.lose(1, true).seals("attempt_ended").is(State::Running);
    world.ask("read", allow()).refused(Refusal::AttemptInactive { attempt: AttemptNo(1) });
    world.assign().seals("attempt_assigned").is(State::Running);
    world.attach(2).seals("");
    world.ask("read", allow()).seals("allowed");
}

#[test]
fn a_lost_attempt_that_may_not_be_retried_fails_the_instance() {
    let mut world = World::running();
    world.lose(1, false).seals("attempt_ended terminated");
    assert_eq!(cause(&world), Some(Cause::Failed));
}

#[test]
fn an_attempt_that_never_attached_is_replaced() {
    let mut world = World::created();
    world.assign().seals("attempt_assigned");
    world.lose(1, true).seals("attempt_ended").is(State::Created);
    world.attach(1).refused(Refusal::AttemptInactive { attempt: AttemptNo(1) });
    world.assign().seals("attempt_assigned");
    world.attach(2).seals("started");

    let mut world = World::waiting(lead());
    world.approve("lea", "LEAD").seals("approved");
    world.assign().seals("resumed");
    world.exit(2, 127).seals("attempt_ended").is(State::Resumed);
    world.assign().seals("attempt_assigned").is(State::Resumed);
    world.attach(3).seals("running");
    world.consume(1, "refund 4800", lead()).seals("consumed");
}

#[test]
fn attaching_twice_changes_nothing() {
    let mut world = World::running();
    world.attach(1).seals("").is(State::Running);
}

#[test]
fn a_stale_attempt_is_refused_by_number() {
    let mut world = World::running();
    world.lose(1, true).seals("attempt_ended");
    world.assign().seals("attempt_assigned");
    let stale = || Refusal::StaleAttempt { attempt: AttemptNo(1), newest: AttemptNo(2) };
    world.attach(1).refused(stale());
    world.complete(1).refused(stale());
    world.exit(1, 0).refused(stale());
    let mut ask = world.ask_of("read", allow());
    ask.attempt = AttemptNo(1);
    world.ask_with(ask).refused(stale());
    world.give(&agent(), Command::Fail { attempt: AttemptNo(1) }).refused(stale());
}

#[test]
fn only_one_attempt_lives() {
    let mut world = World::created();
    world.assign().seals("attempt_assigned");
    world.assign().refused(Refusal::AttemptAlive { attempt: AttemptNo(1) });
    world.attach(1).seals("started");
    world.assign().refused(Refusal::AttemptAlive { attempt: AttemptNo(1) });
}

#[test]
fn an_attempt_ends_once() {
    let mut world = World::running();
    world.lose(1, true).seals("attempt_ended");
    world.exit(1, 0).refused(Refusal::AttemptInactive { attempt: AttemptNo(1) });
    world.complete(1).refused(Refusal::AttemptInactive { attempt: AttemptNo(1) });
}

#[test]
fn an_attempt_may_say_itself_that_it_failed() {
    let mut world = World::running();
    world.give(&agent(), Command::Fail { attempt: AttemptNo(1) }).seals("attempt_ended terminated");
    assert_eq!(cause(&world), Some(Cause::Failed));
}

#[test]
fn nothing_starts_after_the_end_of_the_instances_time() {
    let mut world = World::created();
    world.timer = false;
    world.assign().seals("attempt_assigned");
    world.now = at(LIFETIME);
    world.attach(1).refused(Refusal::InstanceExpired { at: at(LIFETIME) });
    world.exit(1, 1).seals("attempt_ended");
    world.assign().refused(Refusal::InstanceExpired { at: at(LIFETIME) });
    assert_eq!(world.tick(), "started terminated");
}

#[test]
fn each_kind_of_actor_has_its_own_commands() {
    let lost = AttemptEnd::Lost;
    let exited = AttemptEnd::Exited(0);
    let attempt = AttemptNo(1);
    let end = |end| Command::EndAttempt { attempt, end, may_retry: true };
    let cases = [
        (admin(), Command::Attach { attempt }),
        (system(), Command::Attach { attempt }),
        (admin(), Command::Complete { attempt }),
        (system(), end(exited)),
        (admin(), end(lost)),
        (agent(), Command::Cancel),
        (runner(), Command::Cancel),
        (system(), Command::Cancel),
        (runner(), Command::Withdraw),
    ];
    for (actor, command) in cases {
        let kind = actor.kind;
        World::running().give(&actor, command).refused(Refusal::WrongActor { kind });
    }
    World::running().give(&system(), end(lost)).seals("attempt_ended");
}
