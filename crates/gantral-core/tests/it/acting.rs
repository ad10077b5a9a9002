//! Grants: given by policy or by humans, used once, and what came of them.

use gantral_core::check::Fault;
use gantral_core::command::{Command, Refusal, UnderGate};
use gantral_core::decide::decide;
use gantral_core::event::Reconciled;
use gantral_core::ids::{AttemptNo, GrantId};
use gantral_core::instance::{EVENTS_MAX, Instance};
use gantral_core::policy::{EvalFailure, Verdict};
use gantral_core::state::{Cause, Mode, NextStep, OutcomeStatus, State};

use crate::gates::cause;
use crate::world::{
    GRANT_LIFETIME, LIFETIME, Refine, World, admin, agent, allow, asks, at, deny, digest, failed, grant,
    lead, secs,
};

#[test]
fn what_policy_allows_is_granted_to_the_attempt_that_asked() {
    let mut world = World::running();
    world.ask("read", allow()).seals("allowed");
    world.consume(1, "read", allow()).seals("consumed");
    world.consume(1, "read", allow()).refused(Refusal::GrantUnusable { grant: grant(1) });
    world.report(1, 1, OutcomeStatus::Succeeded).seals("outcome");
    world.complete(1).seals("attempt_ended completed").is(State::Completed);
}

#[test]
fn an_allowed_ask_may_consume_in_the_same_append() {
    let mut world = World::running();
    let mut ask = world.ask_of("read", allow());
    ask.consume = Some(World::consumer());
    world.ask_with(ask).seals("allowed consumed");
    let mut ask = world.ask_of("refund 4800", lead());
    ask.consume = Some(World::consumer());
    world.report(1, 1, OutcomeStatus::Failed).seals("outcome");
    world.ask_with(ask).seals("human_required");
}

#[test]
fn what_policy_denies_ends_the_instance() {
    let mut world = World::running();
    world.ask("refund 4800", deny()).seals("terminated").is(State::Terminated);
    assert_eq!(cause(&world), Some(Cause::Denied));
}

#[test]
fn a_denial_waits_for_the_outcome_that_is_owed() {
    let mut world = World::running();
    world.ask("read", allow()).seals("allowed");
    world.consume(1, "read", allow()).seals("consumed");
    world.ask("refund 4800", deny()).refused(Refusal::OutcomeOpen { grant: grant(1) });
    world.complete(1).refused(Refusal::OutcomeOpen { grant: grant(1) });
    world.cancel().refused(Refusal::OutcomeOpen { grant: grant(1) });
}

#[test]
fn a_grant_of_policy_lapses_with_its_attempt() {
    let mut world = World::running();
    world.ask("read", allow()).seals("allowed");
    world.lose(1, true).seals("attempt_ended");
    assert!(world.instance.grants.is_empty());
    world.assign().seals("attempt_assigned");
    world.consume(1, "read", allow()).refused(Refusal::GrantUnusable { grant: grant(1) });
}

#[test]
fn a_grant_of_humans_outlives_the_attempt_that_lost_it() {
    let mut world = World::approved_and_running(lead());
    world.lose(2, true).seals("attempt_ended");
    world.assign().seals("attempt_assigned").is(State::Running);
    world.attach(3).seals("");
    world.consume(1, "refund 4800", lead()).seals("consumed");
}

#[test]
fn an_old_attempt_cannot_use_a_grant() {
    let mut world = World::approved_and_running(lead());
    let mut consume = world.consumption_of(1, "refund 4800", lead());
    consume.attempt = AttemptNo(1);
    world
        .consume_with(consume)
        .refused(Refusal::StaleAttempt { attempt: AttemptNo(1), newest: AttemptNo(2) });
}

#[test]
fn a_grant_lapses_at_its_instant() {
    let mut world = World::approved_and_running(lead());
    world.now = at(GRANT_LIFETIME - 1);
    world.clone().consume(1, "refund 4800", lead()).seals("consumed");
    world.now = at(GRANT_LIFETIME);
    let lapsed = Refusal::GrantExpired { grant: grant(1), at: at(GRANT_LIFETIME) };
    world.consume(1, "refund 4800", lead()).refused(lapsed);
    world.is(State::Running);
}

#[test]
fn a_denial_at_consumption_ends_the_instance() {
    let mut world = World::approved_and_running(lead());
    world.consume(1, "refund 4800", deny()).seals("terminated");
    assert_eq!(cause(&world), Some(Cause::Denied));
}

#[test]
fn an_override_beyond_its_votes_opens_a_new_gate_at_consumption() {
    let mut world = World::waiting(lead());
    world.change("lea", "LEAD", "refund 9999").seals("overridden");
    world.assign().seals("resumed");
    world.attach(2).seals("running");
    world.consume(1, "refund 9999", asks(&["LEAD", "CFO"], 2)).seals("human_required");
    assert!(world.instance.grants.is_empty(), "the old grant went with the new gate");
    world.exit(2, 3).seals("attempt_ended");
    world.approve("lea", "LEAD").seals("vote");
    world.approve("carl", "CFO").seals("approved");
    world.assign().seals("resumed");
    world.attach(3).seals("running");
    let id = world.grants;
    world.consume(id, "refund 9999", asks(&["LEAD", "CFO"], 2)).seals("consumed");
}

#[test]
fn both_policy_versions_must_be_content_and_a_denial_of_either_wins() {
    let mut world = World::approved_and_running(lead());
    let mut consume = world.consumption_of(1, "refund 4800", deny().under("p2"));
    consume.under_gate = Some(UnderGate { advice: asks(&["CFO"], 1), context: digest("seen by the gate") });
    world.clone().consume_with(consume.clone()).seals("terminated");
    consume.under_current = allow().under("p2");
    let mut reopened = world.clone();
    reopened.consume_with(consume.clone()).seals("human_required");
    let shown = reopened.instance.gate().unwrap().asked.context;
    assert_eq!(
        shown,
        digest("seen by the gate"),
        "the approver is shown what the stricter version evaluated"
    );
    consume.under_gate = Some(UnderGate { advice: lead(), context: digest("seen by the gate") });
    world.consume_with(consume).seals("consumed");
}

#[test]
fn nothing_is_consumed_without_an_evaluation_under_the_version_of_the_gate() {
    let world = World::approved_and_running(lead());
    let fault = Fault::PolicyVersion;
    let mut consume = world.consumption_of(1, "refund 4800", allow().under("p2"));
    world.clone().consume_with(consume.clone()).refused(Refusal::Defect { fault });
    consume.under_gate = Some(UnderGate { advice: allow().under("p3"), context: digest("seen by the gate") });
    world.clone().consume_with(consume).refused(Refusal::Defect { fault });
}

#[test]
fn what_policy_granted_and_now_wants_a_human_for_opens_a_gate() {
    let mut world = World::running();
    world.ask("read", allow()).seals("allowed");
    world.consume(1, "read", lead()).seals("human_required").is(State::WaitingForHuman);
}

#[test]
fn an_evaluator_failure_at_the_ask_is_sealed_and_resolved() {
    use EvalFailure::{Conflict, Unavailable};
    let cases = [
        (failed(Unavailable, Verdict::Allow), "evaluator_failed allowed"),
        (failed(Conflict, Verdict::RequireHuman), "evaluator_failed human_required"),
        (failed(Conflict, Verdict::Deny), "evaluator_failed terminated"),
    ];
    for (advice, events) in cases {
        World::running().ask("refund 4800", advice).seals(events);
    }
}

#[test]
fn an_evaluator_failure_at_consumption_is_sealed_and_refuses() {
    let mut world = World::approved_and_running(lead());
    let failure = EvalFailure::Unavailable;
    world
        .consume(1, "refund 4800", failed(failure, Verdict::Allow))
        .seals_and_refuses("evaluator_failed", Refusal::EvaluatorFailed { failure });
    world.consume(1, "refund 4800", lead()).seals("consumed");
}

#[test]
fn a_failure_that_leads_to_a_refusal_is_sealed_all_the_same() {
    let mut world = World::running();
    world.ask("read", allow()).seals("allowed");
    world.consume(1, "read", allow()).seals("consumed");
    world
        .ask("refund 4800", failed(EvalFailure::Conflict, Verdict::RequireHuman))
        .seals_and_refuses("evaluator_failed", Refusal::OutcomeOpen { grant: grant(1) });
}

#[test]
fn under_shadow_everything_is_observed_and_nothing_granted() {
    for advice in [allow(), lead(), deny(), failed(EvalFailure::Conflict, Verdict::Deny)] {
        let mut world = World::running();
        let events = if advice.policy.failure.is_some() { "evaluator_failed observed" } else { "observed" };
        let mut ask = world.ask_of("refund 4800", advice);
        ask.mode = Mode::Shadow;
        world.ask_with(ask).seals(events).is(State::Running);
        assert!(world.instance.grants.is_empty());
        assert_eq!(world.instance.weakest_mode, Mode::Shadow);
        world.report_shadow().seals("outcome");
        world.complete(1).seals("attempt_ended completed");
    }
}

#[test]
fn an_outcome_without_a_grant_needs_an_observed_action() {
    let mut world = World::running();
    let refusal = Refusal::WrongState { state: State::Running };
    world.report_shadow().refused(refusal);
}

#[test]
fn an_outcome_is_reported_once_and_by_the_attempt_that_consumed() {
    let mut world = World::approved_and_running(lead());
    world.consume(1, "refund 4800", lead()).seals("consumed");
    let not_owed = || Refusal::OutcomeNotOwed { grant: grant(1) };
    world.report(1, 1, OutcomeStatus::Succeeded).refused(not_owed());
    world.report(2, 1, OutcomeStatus::Unknown).refused(not_owed());
    world.report(2, 9, OutcomeStatus::Succeeded).refused(Refusal::OutcomeNotOwed { grant: grant(9) });
    world.report(2, 1, OutcomeStatus::Failed).seals("outcome");
    world.report(2, 1, OutcomeStatus::Succeeded).refused(not_owed());
}

#[test]
fn a_lost_attempt_leaves_an_unknown_outcome_that_blocks_everything_but_settling() {
    let mut world = World::approved_and_running(lead());
    world.consume(1, "refund 4800", lead()).seals("consumed");
    world.lose(2, true).seals("attempt_ended outcome").is(State::Running);
    let unknown = || Refusal::OutcomeUnknown { grant: grant(1) };
    world.assign().refused(unknown());
    world.cancel().refused(unknown());
    world.now = at(LIFETIME + 1);
    assert_eq!(world.tick(), "", "time does not settle what nobody knows");
}

#[test]
fn a_late_report_settles_an_unknown_outcome() {
    let mut world = World::approved_and_running(lead());
    world.consume(1, "refund 4800", lead()).seals("consumed");
    world.lose(2, true).seals("attempt_ended outcome");
    world.report(2, 1, OutcomeStatus::Succeeded).seals("outcome");
    let not_owed = Refusal::OutcomeNotOwed { grant: grant(1) };
    world.reconcile(1, OutcomeStatus::Failed, NextStep::Continue).refused(not_owed);
    world.assign().seals("attempt_assigned").is(State::Running);
}

#[test]
fn a_human_reconciles_and_says_how_it_goes_on() {
    let lost = || {
        let mut world = World::approved_and_running(lead());
        world.consume(1, "refund 4800", lead()).seals("consumed");
        world.exit(2, 0).seals("attempt_ended outcome").is(State::Running);
        world
    };
    let mut world = lost();
    let not_owed = Refusal::OutcomeNotOwed { grant: grant(1) };
    world.reconcile(1, OutcomeStatus::Unknown, NextStep::Continue).refused(not_owed);
    world.reconcile(1, OutcomeStatus::Failed, NextStep::Continue).seals("reconciled");
    world.assign().seals("attempt_assigned");
    world.ask("refund 4800", lead()).seals("human_required");

    let mut world = lost();
    world.reconcile(1, OutcomeStatus::Succeeded, NextStep::Terminate).seals("reconciled terminated");
    assert_eq!(cause(&world), Some(Cause::Cancelled));
}

#[test]
fn nothing_ends_while_another_outcome_is_unknown() {
    let mut world = World::running();
    for id in 1..=2 {
        world.ask("read", allow()).seals("allowed");
        world.consume(id, "read", allow()).seals("consumed");
    }
    world.lose(1, true).seals("attempt_ended outcome outcome");
    let other = Refusal::OutcomeUnknown { grant: grant(2) };
    world.reconcile(1, OutcomeStatus::Failed, NextStep::Terminate).refused(other);
    world.reconcile(1, OutcomeStatus::Failed, NextStep::Continue).seals("reconciled");
    world.reconcile(2, OutcomeStatus::Failed, NextStep::Terminate).seals("reconciled terminated");
}

#[test]
fn a_grant_of_no_length_still_lasts_an_instant() {
    let mut world = World::running();
    let mut ask = world.ask_of("read", allow());
    ask.grant_lifetime = secs(0);
    let mut consumer = World::consumer();
    consumer.act_within = secs(0);
    ask.consume = Some(consumer);
    world.ask_with(ask).seals("allowed consumed");
}

#[test]
fn an_identifier_grants_once() {
    let mut world = World::running();
    world.ask("read", allow()).seals("allowed");
    world.grants = 0;
    world.ask("write", allow()).refused(Refusal::GrantUnusable { grant: grant(1) });
}

/// Folds asks that consume until the machine will not have more.
fn filled() -> World {
    let mut world = World::running();
    for number in 0u32.. {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let mut ask = world.ask_of("read", allow());
        ask.grant = GrantId::from_random(id);
        ask.consume = Some(World::consumer());
        let result = decide(&world.instance, &agent(), Command::Ask(Box::new(ask)), world.now);
        match result {
            Ok(decided) => world.fold(decided.events),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::TooManyEvents);
                break;
            }
        }
    }
    world
}

#[test]
fn an_instance_full_of_events_can_still_be_settled_and_ended() {
    let mut world = filled();
    let owed: Vec<_> = world.instance.open_consumptions().map(|(id, _)| id).collect();
    assert!(owed.len() > 2_000, "{}", owed.len());
    world.assign().refused(Refusal::TooManyEvents);
    let events = world.instance.events;
    let lost = world.lose(1, true);
    assert_eq!(lost.result.map(|decided| decided.events.len()), Ok(owed.len() + 1));
    for id in owed {
        let reconciled = Reconciled {
            grant: id,
            status: OutcomeStatus::Failed,
            next: NextStep::Continue,
            justification: None,
        };
        world.give(&admin(), Command::Reconcile(reconciled)).seals("reconciled");
    }
    world.cancel().seals("terminated").is(State::Terminated);
    assert!(world.instance.events > events && world.instance.events <= EVENTS_MAX);
}

#[test]
fn outcomes_of_shadow_cannot_use_up_the_room_that_an_end_needs() {
    let mut world = World::running();
    let mut ask = world.ask_of("read", allow());
    ask.mode = Mode::Shadow;
    world.ask_with(ask).seals("observed");
    loop {
        let step = world.report_shadow();
        match step.result {
            Ok(_) => {}
            Err(refusal) => {
                assert_eq!(refusal, Refusal::TooManyEvents);
                break;
            }
        }
    }
    world.cancel().seals("terminated");
}

#[test]
fn counters_of_what_is_owed_equal_a_count_of_all_consumptions() {
    let mut world = World::running();
    for id in 1..=3 {
        world.ask("read", allow()).seals("allowed");
        world.consume(id, "read", allow()).seals("consumed");
    }
    world.report(1, 2, OutcomeStatus::Failed).seals("outcome");
    counts_agree(&world.instance);
    world.lose(1, true).seals("attempt_ended outcome outcome");
    counts_agree(&world.instance);
    world.report(1, 1, OutcomeStatus::Succeeded).seals("outcome");
    world.reconcile(3, OutcomeStatus::Failed, NextStep::Continue).seals("reconciled");
    counts_agree(&world.instance);
    assert!(world.instance.is_settled());
}

/// What the instance keeps count of must equal what its consumptions say.
pub fn counts_agree(instance: &Instance) {
    let of = |status: Option<OutcomeStatus>| {
        instance
            .consumptions
            .iter()
            .filter(move |(_, consumption)| consumption.outcome == status)
            .map(|(id, consumption)| (*id, consumption.attempt))
    };
    assert!(instance.open_consumptions().eq(of(None)));
    assert!(instance.unknown_outcomes().eq(of(Some(OutcomeStatus::Unknown)).map(|(id, _)| id)));
    let settled = of(None).next().is_none() && of(Some(OutcomeStatus::Unknown)).next().is_none();
    assert_eq!(instance.is_settled(), settled);
}

#[test]
fn consumption_is_enforced_whatever_mode_is_active_by_then() {
    let mut world = World::approved_and_running(lead());
    world.consume(1, "refund 4800", lead()).seals("consumed");
    assert_eq!(world.sealed.last().map(|(entry, _)| entry.mode), Some(Mode::Enforce));
}
