//! Ways out: cancelled, expired, and nothing after the end.

use gantral_core::command::Refusal;
use gantral_core::decide::next_due;
use gantral_core::state::{Cause, State};

use crate::gates::cause;
use crate::world::{GRANT_LIFETIME, LIFETIME, World, allow, at, grant, lead};

fn approved() -> World {
    let mut world = World::waiting(lead());
    world.approve("lea", "LEAD").seals("approved");
    world
}

fn overridden() -> World {
    let mut world = World::waiting(lead());
    world.change("lea", "LEAD", "refund 480").seals("overridden");
    world
}

fn resumed() -> World {
    let mut world = approved();
    world.assign().seals("resumed");
    world
}

#[test]
fn an_administrator_cancels_from_every_state() {
    let cases = [
        (World::created(), "started terminated"),
        (World::running(), "terminated"),
        (World::waiting(lead()), "rejected terminated"),
        (approved(), "resumed running terminated"),
        (overridden(), "resumed running terminated"),
        (resumed(), "running terminated"),
    ];
    for (mut world, events) in cases {
        world.cancel().seals(events).is(State::Terminated);
        assert_eq!(cause(&world), Some(Cause::Cancelled));
    }
}

#[test]
fn every_state_ends_by_itself_when_its_time_is_over() {
    let cases = [
        (World::created(), at(LIFETIME), "started terminated", Cause::Expired),
        (World::running(), at(LIFETIME), "terminated", Cause::Expired),
        (World::waiting(lead()), at(600), "rejected terminated", Cause::Timeout),
        (approved(), at(GRANT_LIFETIME), "resumed running terminated", Cause::Expired),
        (overridden(), at(GRANT_LIFETIME), "resumed running terminated", Cause::Expired),
        (resumed(), at(GRANT_LIFETIME), "running terminated", Cause::Expired),
    ];
    for (mut world, when, events, why) in cases {
        assert_eq!(next_due(&world.instance), Some(when));
        world.now = at((when.get() - at(0).get()) / 1_000 - 1);
        assert_eq!(world.tick(), "", "nothing is due before its instant");
        world.now = when;
        assert_eq!(world.tick(), events);
        assert_eq!(cause(&world), Some(why));
        assert_eq!(next_due(&world.instance), None);
    }
}

#[test]
fn an_expired_grant_starts_nothing_though_no_timer_ran() {
    let mut world = approved();
    world.timer = false;
    world.now = at(GRANT_LIFETIME);
    let lapsed = || Refusal::GrantExpired { grant: grant(1), at: at(GRANT_LIFETIME) };
    world.assign().refused(lapsed());

    let mut world = resumed();
    world.timer = false;
    world.now = at(GRANT_LIFETIME);
    world.attach(2).refused(lapsed());
}

#[test]
fn after_the_end_every_command_is_refused() {
    let mut world = World::running();
    world.exit(1, 0).seals("attempt_ended completed");
    let ended = || Refusal::Ended { state: State::Completed };
    world.assign().refused(ended());
    world.attach(1).refused(ended());
    world.ask("read", allow()).refused(ended());
    world.cancel().refused(ended());
    world.withdraw().refused(ended());
    world.exit(1, 0).refused(ended());
    world.approve("lea", "LEAD").refused(ended());
}

#[test]
fn time_never_goes_back_within_an_instance() {
    let mut world = World::running();
    world.wait(100);
    world.ask("read", allow()).seals("allowed");
    world.now = at(50);
    world.ask("write", allow()).seals("allowed");
    assert_eq!(world.instance.last_at, at(100));
}

#[test]
fn what_is_due_is_due_though_the_clock_went_back() {
    let mut world = World::running();
    world.ask("refund 4800", lead()).seals("human_required");
    world.timer = false;
    world.now = at(700);
    world.exit(1, 3).seals("attempt_ended");
    world.now = at(10);
    assert_eq!(world.tick(), "rejected terminated");
}
