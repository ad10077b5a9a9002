//! A gate: opened, decided, escalated, extended, closed.

use gantral_core::command::{Command, Refusal};
use gantral_core::event::{Event, GrantTerms, Granted};
use gantral_core::ids::AttemptNo;
use gantral_core::state::{ActorKind, Cause, DecisionKind, HumanEvidence, NextStep, OutcomeStatus, State};
use gantral_core::time::DurationMs;

use crate::world::{
    LIFETIME, Refine, World, allow, asks, at, digest, gate, grant, human, lead, machine, person, role, secs,
    system,
};

#[test]
fn an_approved_action_is_done_once_by_a_fresh_attempt() {
    let mut world = World::waiting(lead());
    world.approve("lea", "LEAD").seals("approved").is(State::Approved);
    world.assign().seals("resumed").is(State::Resumed);
    world.attach(2).seals("running").is(State::Running);
    world.consume(1, "refund 4800", lead()).seals("consumed");
    world.report(2, 1, OutcomeStatus::Succeeded).seals("outcome");
    world.complete(2).seals("attempt_ended completed").is(State::Completed);
}

#[test]
fn a_changed_action_is_what_the_grant_allows() {
    let mut world = World::waiting(lead());
    world.change("lea", "LEAD", "refund 480").seals("overridden").is(State::Overridden);
    world.assign().seals("resumed");
    world.attach(2).seals("running");
    world.consume(1, "refund 4800", lead()).refused(Refusal::ActionChanged);
    world.consume(1, "refund 480", lead()).seals("consumed");
}

#[test]
fn a_rejection_ends_the_instance_in_the_same_append() {
    let mut world = World::waiting(lead());
    world.reject("lea", "LEAD").seals("rejected terminated").is(State::Terminated);
    assert_eq!(cause(&world), Some(Cause::Rejected));
}

#[test]
fn second_decision_on_one_gate_conflicts_and_names_who_decided() {
    let mut world = World::waiting(lead());
    let late = world.ballot_of("LEAD", DecisionKind::Approve, digest("refund 4800"));
    world.approve("lea", "LEAD").seals("approved");
    let conflict = |decision, by: &str| Refusal::AlreadyDecided {
        gate: gate(1),
        by: person(by).actor(),
        decision,
        at: at(0),
    };
    world.says("leo", late.clone()).refused(conflict(DecisionKind::Approve, "lea"));
    world.assign().seals("resumed");
    world.says("leo", late).refused(conflict(DecisionKind::Approve, "lea"));

    let mut world = World::waiting(lead());
    let late = world.ballot_of("LEAD", DecisionKind::Approve, digest("refund 4800"));
    world.reject("lea", "LEAD").seals("rejected terminated");
    world.says("leo", late).refused(conflict(DecisionKind::Reject, "lea"));
}

#[test]
fn a_decision_after_the_deadline_is_refused_though_no_timer_ran() {
    let mut world = World::waiting(lead());
    world.timer = false;
    world.now = at(599);
    let mut in_time = world.clone();
    in_time.approve("lea", "LEAD").seals("approved");
    world.now = at(600);
    world.approve("lea", "LEAD").refused(Refusal::DeadlinePassed { deadline: at(600) });
    assert_eq!(world.tick(), "rejected terminated");
}

#[test]
fn a_decision_that_met_a_timeout_learns_that_the_engine_closed_the_gate() {
    let mut world = World::waiting(lead());
    let late = world.ballot_of("LEAD", DecisionKind::Approve, digest("refund 4800"));
    world.now = at(700);
    world.says("lea", late).refused(Refusal::AlreadyDecided {
        gate: gate(1),
        by: system().id,
        decision: DecisionKind::Reject,
        at: at(700),
    });
    assert_eq!(cause(&world), Some(Cause::Timeout));
}

#[test]
fn escalation_asks_others_and_then_the_gate_closes() {
    let mut world = World::waiting(lead().then_asks(&["DIRECTOR"]));
    world.now = at(599);
    assert_eq!(world.tick(), "");
    world.now = at(600);
    assert_eq!(world.tick(), "escalated");
    let open = world.instance.gate().unwrap();
    assert_eq!((open.asked.version, open.deadline), (2, at(900)));
    world.approve("lea", "LEAD").refused(Refusal::NotEligible { role: role("LEAD") });
    world.now = at(900);
    assert_eq!(world.tick(), "rejected terminated");
    assert_eq!(cause(&world), Some(Cause::Timeout));
}

#[test]
fn a_late_timer_gives_those_who_are_asked_next_their_full_time() {
    let mut world = World::waiting(lead().then_asks(&["DIRECTOR"]));
    world.now = at(5_000);
    assert_eq!(world.tick(), "escalated");
    assert_eq!(world.instance.gate().unwrap().deadline, at(5_300));
}

#[test]
fn a_decision_about_the_gate_before_it_moved_is_refused() {
    let mut world = World::waiting(lead().then_asks(&["LEAD"]));
    let seen = world.ballot_of("LEAD", DecisionKind::Approve, digest("refund 4800"));
    world.now = at(600);
    world.says("lea", seen).refused(Refusal::GateMoved { seen: 1, current: 2 });
    world.approve("lea", "LEAD").seals("approved");
}

#[test]
fn what_was_approved_after_an_escalation_can_be_used() {
    let advice = || lead().then_asks(&["DIRECTOR"]);
    let mut world = World::waiting(advice());
    world.now = at(600);
    assert_eq!(world.tick(), "escalated");
    world.approve("dana", "DIRECTOR").seals("approved");
    world.assign().seals("resumed");
    world.attach(2).seals("running");
    world.consume(1, "refund 4800", advice()).seals("consumed");
}

#[test]
fn an_approver_may_extend_the_deadline_up_to_the_sealed_latest() {
    let mut world = World::waiting(lead());
    let lea = human("lea", "LEAD");
    world.extend(&lea, at(600)).refused(Refusal::ExtensionOutOfRange { latest: at(2_400) });
    world.extend(&lea, at(2_401)).refused(Refusal::ExtensionOutOfRange { latest: at(2_400) });
    let outsider = human("ivan", "INTERN");
    world.extend(&outsider, at(700)).refused(Refusal::NotEligible { role: role("INTERN") });
    world.extend(&human("oscar", "LEAD"), at(700)).refused(Refusal::SelfApproval);
    world.extend(&lea, at(2_400)).seals("extended");
    world.now = at(2_399);
    world.approve("lea", "LEAD").seals("approved");
}

#[test]
fn nobody_extends_a_deadline_that_has_passed() {
    let mut world = World::waiting(lead());
    world.timer = false;
    world.now = at(600);
    world.extend(&human("lea", "LEAD"), at(700)).refused(Refusal::DeadlinePassed { deadline: at(600) });
}

#[test]
fn only_the_creator_withdraws() {
    let mut world = World::waiting(lead());
    let other = machine("agent-8", ActorKind::Workload);
    world.give(&other, Command::Withdraw).refused(Refusal::NotCreator);
    world.withdraw().seals("rejected terminated");
    assert_eq!(cause(&world), Some(Cause::Withdrawn));

    let mut world = World::running();
    world.withdraw().refused(Refusal::WrongState { state: State::Running });
}

#[test]
fn whoever_asks_or_owns_what_asks_cannot_decide() {
    for requester in ["olivia", "oscar"] {
        let mut world = World::waiting(lead());
        world.approve(requester, "LEAD").refused(Refusal::SelfApproval);
        world.reject(requester, "LEAD").refused(Refusal::SelfApproval);
        let mut for_them = world.ballot_of("LEAD", DecisionKind::Approve, digest("refund 4800"));
        for_them.acts_for = Some(person(requester));
        for_them.delegation = Some(digest("delegation"));
        world.says("lea", for_them).refused(Refusal::SelfApproval);
    }
}

#[test]
fn no_program_decides() {
    for kind in [ActorKind::Workload, ActorKind::Runner, ActorKind::System] {
        let mut world = World::waiting(lead());
        let asked = digest("refund 4800");
        let ballot = world.ballot_of("LEAD", DecisionKind::Approve, asked);
        let mut impostor = human("lea", "LEAD");
        impostor.kind = kind;
        let terms = GrantTerms { id: grant(1), expires_at: at(900) };
        let granted = Granted { ballot, grant: terms };
        world.give(&impostor, Command::Decide(Box::new(granted))).refused(Refusal::WrongActor { kind });
    }
}

#[test]
fn a_ballot_must_name_the_request_the_action_and_a_role_that_its_voter_holds() {
    let asked = digest("refund 4800");
    let mut world = World::waiting(lead());
    let good = world.ballot_of("LEAD", DecisionKind::Approve, asked);

    let mut elsewhere = good.clone();
    elsewhere.request_artifact_hash = digest("another artifact");
    world.says("lea", elsewhere).refused(Refusal::GateUnknown { gate: gate(1) });
    let mut other_gate = good.clone();
    other_gate.gate = gate(9);
    world.says("lea", other_gate).refused(Refusal::GateUnknown { gate: gate(9) });
    let mut other_action = good.clone();
    (other_action.asked, other_action.approved) = (digest("refund 1"), digest("refund 1"));
    world.says("lea", other_action).refused(Refusal::ActionMismatch);
    let mut secretly_changed = good.clone();
    secretly_changed.approved = digest("refund 9999");
    world.says("lea", secretly_changed).refused(Refusal::ActionMismatch);
    let unchanged = world.ballot_of("LEAD", DecisionKind::Override, asked);
    world.says("lea", unchanged).refused(Refusal::ActionMismatch);
    let mut weak = good.clone();
    weak.evidence = HumanEvidence::Development;
    world.says("lea", weak).refused(Refusal::EvidenceTooWeak);
    let mut undelegated = good.clone();
    undelegated.acts_for = Some(person("dana"));
    world.says("lea", undelegated).refused(Refusal::NotEligible { role: role("LEAD") });
    world.approve("ivan", "INTERN").refused(Refusal::NotEligible { role: role("INTERN") });
    world.says("lea", good).seals("approved");
}

#[test]
fn a_gate_opens_only_when_every_outcome_is_reported() {
    let mut world = World::running();
    world.ask("read", allow()).seals("allowed");
    world.consume(1, "read", allow()).seals("consumed");
    world.ask("refund 4800", lead()).refused(Refusal::OutcomeOpen { grant: grant(1) });
    world.report(1, 1, OutcomeStatus::Succeeded).seals("outcome");
    world.ask("refund 4800", lead()).seals("human_required");
}

#[test]
fn opening_a_gate_voids_every_unused_grant() {
    let mut world = World::running();
    world.ask("read", allow()).seals("allowed");
    world.ask("refund 4800", lead()).seals("human_required");
    world.exit(1, 3).seals("attempt_ended");
    world.approve("lea", "LEAD").seals("approved");
    world.assign().seals("resumed");
    world.attach(2).seals("running");
    world.consume(1, "read", allow()).refused(Refusal::GrantUnusable { grant: grant(1) });
}

#[test]
fn a_gate_never_outlives_its_instance() {
    let mut world = World::running();
    world.now = at(LIFETIME - 5);
    world.ask("refund 4800", lead()).seals("human_required");
    let open = world.instance.gate().unwrap();
    assert_eq!((open.deadline, open.latest_deadline), (at(LIFETIME), at(LIFETIME)));
    world.exit(1, 3).seals("attempt_ended");
    world.approve("lea", "LEAD").seals("approved");
    world.now = at(LIFETIME);
    assert_eq!(world.tick(), "resumed running terminated");
}

#[test]
fn an_expired_instance_asks_nobody() {
    for advice in [lead(), allow()] {
        let mut world = World::running();
        world.ask("read", allow()).seals("allowed");
        world.consume(1, "read", allow()).seals("consumed");
        world.now = at(LIFETIME);
        assert_eq!(world.tick(), "", "an outcome is owed");
        world.ask("refund 4800", advice).refused(Refusal::InstanceExpired { at: at(LIFETIME) });
        world.lose(1, true).seals("attempt_ended outcome");
        world.reconcile(1, OutcomeStatus::Failed, NextStep::Continue).seals("reconciled");
        assert_eq!(world.tick(), "terminated");
        assert_eq!(cause(&world), Some(Cause::Expired));
    }
}

#[test]
fn a_gate_that_nobody_could_decide_is_not_opened() {
    let mut world = World::running();
    let mut advice = lead();
    advice.plan = None;
    let version = advice.policy.version;
    world.ask("refund 4800", advice).refused(Refusal::NobodyEligible { version });
}

#[test]
fn a_timeout_of_no_length_still_gives_an_instant() {
    let mut world = World::running();
    world.ask("refund 4800", lead().plan(|plan| plan.timeout = secs(0))).seals("human_required");
    assert!(world.instance.gate().unwrap().deadline > world.now);
}

#[test]
fn the_deciding_vote_cannot_bring_a_grant_that_is_used_or_over() {
    let mut world = World::running();
    world.ask("read", allow()).seals("allowed");
    world.consume(1, "read", allow()).seals("consumed");
    world.report(1, 1, OutcomeStatus::Succeeded).seals("outcome");
    world.ask("refund 4800", lead()).seals("human_required");
    world.grants = 0;
    world.approve("lea", "LEAD").refused(Refusal::GrantUnusable { grant: grant(1) });

    let ballot = world.ballot_of("LEAD", DecisionKind::Approve, digest("refund 4800"));
    let over = GrantTerms { id: grant(2), expires_at: world.now };
    let granted = Granted { ballot, grant: over };
    world
        .give(&human("lea", "LEAD"), Command::Decide(Box::new(granted)))
        .refused(Refusal::GrantExpired { grant: grant(2), at: at(0) });
}

#[test]
fn breaking_the_glass_is_open_to_the_sealed_roles_only() {
    let advice = || asks(&["LEAD"], 2).plan(|plan| plan.rule.break_glass_roles = vec![role("DUTY")]);
    let mut world = World::waiting(advice());
    let asked = digest("refund 4800");
    let mut by_lead = world.ballot_of("LEAD", DecisionKind::Approve, asked);
    by_lead.break_glass = true;
    world.says("lea", by_lead).refused(Refusal::NotEligible { role: role("LEAD") });
    let mut by_duty = world.ballot_of("DUTY", DecisionKind::Approve, asked);
    world.says("dora", by_duty.clone()).refused(Refusal::NotEligible { role: role("DUTY") });
    by_duty.break_glass = true;
    world.says("dora", by_duty).seals("approved");
    world.assign().seals("resumed");
    world.attach(2).seals("running");
    let id = world.grants;
    world.consume(id, "refund 4800", advice()).seals("consumed");
}

#[test]
fn the_agent_that_asked_learns_nothing_it_could_act_on_while_humans_decide() {
    let mut world = World::running();
    world.ask("refund 4800", lead()).seals("human_required");
    world.ask("read", allow()).refused(Refusal::WrongState { state: State::WaitingForHuman });
    world.complete(1).refused(Refusal::AttemptInactive { attempt: AttemptNo(1) });
    let waiting = Refusal::AttemptAlive { attempt: AttemptNo(1) };
    world.assign().refused(waiting);
    world.approve("lea", "LEAD").seals("approved");
    world.consume(1, "refund 4800", lead()).refused(Refusal::WrongState { state: State::Approved });
}

/// Why the instance ended.
pub fn cause(world: &World) -> Option<Cause> {
    match &world.sealed.last().map(|(entry, _)| &entry.event) {
        Some(Event::Terminated(ended)) => ended.cause,
        _ => None,
    }
}

#[test]
fn a_gate_is_opened_by_the_artifact_that_sealed_the_request() {
    let world = World::waiting(lead());
    let opened_by = world.instance.gate().unwrap().opened_by;
    assert_eq!(opened_by, world.sealed[3].1);
}

#[test]
fn a_gate_full_of_extensions_can_still_be_refused() {
    let mut world = World::waiting(lead());
    let lea = human("lea", "LEAD");
    loop {
        let later = world.instance.gate().unwrap().deadline.plus(DurationMs::new(1));
        match world.extend(&lea, later).result {
            Ok(_) => {}
            Err(refusal) => {
                assert_eq!(refusal, Refusal::TooManyEvents);
                break;
            }
        }
    }
    world.approve("lea", "LEAD").refused(Refusal::TooManyEvents);
    world.clone().withdraw().seals("rejected terminated");
    world.clone().cancel().seals("rejected terminated");
    world.reject("lea", "LEAD").seals("rejected terminated");
}
