//! What the rulebook refuses, found in a stranger's chain. Each case retells a lawful story with one thing changed.

use gantral_core::digest::Digest;
use gantral_core::event::*;
use gantral_core::ids::{AttemptNo, GrantId};
use gantral_core::policy::{EvalFailure, PolicyVersionId, Verdict};
use gantral_core::state::*;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::statement::Statement;

use crate::story::*;

/// The lawful twin is valid; the changed one is invalid with these codes.
#[track_caller]
fn check(story: fn() -> Story, kind: EventKind, codes: &[&str], change: impl FnOnce(&mut Statement)) {
    assert_valid(&story().verify());
    assert_answer(&story().retell(kind, change).verify(), "INVALID", codes);
}

fn earlier(at: UnixMillis, seconds: u64) -> UnixMillis {
    UnixMillis::new(at.get() - seconds * 1_000).unwrap()
}

#[test]
fn a_move_that_the_table_does_not_have_is_invalid() {
    check(Story::refund, EventKind::Completed, &["E_STATE"], |statement| {
        statement.from_state = Some(State::Resumed);
    });
    check(Story::refund, EventKind::HumanRequired, &["E_STATE"], |statement| {
        statement.state = State::Running;
    });
    check(Story::refund, EventKind::Resumed, &["E_STATE"], |statement| {
        let Event::Resumed(launch) = statement.entry.event.clone() else { panic!("is a resume") };
        statement.entry.event = Event::Running(Launch { lease: None, ..launch });
    });
}

#[test]
fn nothing_follows_a_final_state() {
    let mut story = Story::refund();
    let mut again = story.statements.last().unwrap().clone();
    again.from_state = Some(State::Completed);
    story.statements.push(again);
    story.relink();
    assert_answer(&story.verify(), "INVALID", &["E_AFTER_TERMINAL"]);
}

#[test]
fn an_old_attempt_that_acts_is_invalid() {
    check(Story::allowed, EventKind::Allowed, &["E_ATTEMPT"], |statement| {
        statement.entry.attempt = AttemptNo(0);
    });
}

#[test]
fn time_that_goes_back_is_invalid() {
    check(Story::allowed, EventKind::Completed, &["E_TIME_BACK"], |statement| {
        statement.entry.at = earlier(statement.entry.at, 3_600);
    });
}

#[test]
fn a_decision_after_the_deadline_and_a_timeout_before_it_are_invalid() {
    check(Story::refund, EventKind::HumanRequired, &["E_DEADLINE"], |statement| {
        let Event::HumanRequired(detail) = &mut statement.entry.event else { panic!("asks humans") };
        detail.deadline = statement.entry.at.plus(DurationMs::new(1));
    });
    check(Story::timed_out, EventKind::Rejected, &["E_DEADLINE"], |statement| {
        statement.entry.at = earlier(statement.entry.at, 300);
    });
}

#[test]
fn an_escalation_that_is_early_or_to_other_roles_is_invalid() {
    check(Story::timed_out, EventKind::Escalated, &["E_ESCALATION"], |statement| {
        let Event::Escalated(moved) = &mut statement.entry.event else { panic!("escalates") };
        moved.roles = vec![role("intern")];
    });
    check(Story::timed_out, EventKind::Escalated, &["E_ESCALATION"], |statement| {
        statement.entry.at = earlier(statement.entry.at, 300);
    });
}

#[test]
fn an_extension_past_the_sealed_limit_is_invalid() {
    let story = || {
        let mut story = Story::begin();
        story.launch();
        let plan = story.plan(1, Vec::new());
        story.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
        let gate = story.instance.gate().unwrap().clone();
        let deadline = gate.deadline.plus(DurationMs::from_secs(600));
        let extend =
            gantral_core::command::Command::Extend { gate: gate.asked.id, gate_version: 1, deadline };
        story.command(&human(1, "finance"), extend);
        story
    };
    check(story, EventKind::Extended, &["E_EXTENSION"], |statement| {
        let Event::Extended(moved) = &mut statement.entry.event else { panic!("extends") };
        moved.deadline = moved.deadline.plus(DurationMs::from_secs(86_400));
    });
    check(story, EventKind::Extended, &["E_EXTENSION"], |statement| {
        statement.entry.actor = human(1, "intern");
    });
}

#[test]
fn a_verdict_that_contradicts_the_move_is_invalid_and_a_stricter_move_is_lawful() {
    check(Story::allowed, EventKind::Allowed, &["E_POLICY_CONTRADICTION"], |statement| {
        let Event::Allowed(detail) = &mut statement.entry.event else { panic!("allows") };
        detail.policy.verdict = Verdict::RequireHuman;
    });
    let stricter = Story::refund().retell(EventKind::HumanRequired, |statement| {
        let Event::HumanRequired(detail) = &mut statement.entry.event else { panic!("asks humans") };
        detail.policy.verdict = Verdict::Allow;
    });
    assert_valid(&stricter.verify());
}

/// The evaluator is out at the ask, and the workflow lets that pass.
fn outage() -> Story {
    let mut story = Story::of(gantral_core::policy::Materiality::Low, Mode::Enforce);
    story.launch();
    let (mut advice, context) = story.advise(&refund(20), Verdict::Allow, None);
    story.disclosures.pop();
    advice.policy.decision = None;
    advice.policy.failure = Some(EvalFailure::Unavailable);
    story.ask_with(&refund(20), advice, context, Mode::Enforce).act(&refund(20)).exit(0);
    story
}

#[test]
fn a_failure_that_passed_at_high_materiality_is_invalid_and_an_outage_at_low_is_lawful() {
    let mut high = outage();
    for statement in &mut high.statements {
        statement.identity.workflow.materiality = gantral_core::policy::Materiality::High;
    }
    high.disclosures.clear();
    high.relink();
    assert_answer(&high.verify(), "INVALID", &["E_FAIL_OPEN"]);
    let conflict = |policy: &mut PolicyRecord| policy.failure = Some(EvalFailure::Conflict);
    let defect = outage().retell(EventKind::EvaluatorFailed, |statement| {
        let Event::EvaluatorFailed(policy) = &mut statement.entry.event else { panic!("fails") };
        conflict(policy);
    });
    let defect = defect.retell(EventKind::Allowed, |statement| {
        let Event::Allowed(detail) = &mut statement.entry.event else { panic!("allows") };
        conflict(&mut detail.policy);
    });
    assert_answer(&defect.verify(), "INVALID", &["E_FAIL_OPEN"]);
}

#[test]
fn what_follows_a_failed_evaluation_names_the_failure_that_was_sealed() {
    check(outage, EventKind::Allowed, &["E_POLICY_VERSION"], |statement| {
        let Event::Allowed(detail) = &mut statement.entry.event else { panic!("allows") };
        detail.policy.version = PolicyVersionId(Digest::of(b"another bundle"));
    });
    check(outage, EventKind::Allowed, &["E_POLICY_CONTRADICTION"], |statement| {
        let Event::Allowed(detail) = &mut statement.entry.event else { panic!("allows") };
        detail.policy.failure = Some(EvalFailure::VersionUnknown);
    });
    let mut hidden = outage();
    let at = hidden.position(EventKind::EvaluatorFailed);
    hidden.statements.remove(at);
    hidden.relink();
    assert_answer(&hidden.verify(), "INVALID", &["E_POLICY_CONTRADICTION"]);
}

#[test]
fn what_is_asked_approved_granted_and_consumed_must_be_one_action() {
    let other = Digest::of(b"another action");
    check(Story::refund, EventKind::Consumed, &["E_ACTION_BINDING"], |statement| {
        let Event::Consumed(detail) = &mut statement.entry.event else { panic!("consumes") };
        detail.action = other;
    });
    check(Story::quorum, EventKind::Approved, &["E_ACTION_BINDING", "E_QUORUM_HUMAN"], |statement| {
        ballot_mut(&mut statement.entry.event).unwrap().approved = other;
    });
}

#[test]
fn a_changed_action_that_ran_without_an_evaluation_is_invalid() {
    check(Story::refund, EventKind::Consumed, &["E_FAIL_OPEN", "E_OVERRIDE_SCOPE"], |statement| {
        let Event::Consumed(detail) = &mut statement.entry.event else { panic!("consumes") };
        detail.policy.failure = Some(EvalFailure::Unavailable);
    });
}

#[test]
fn a_guard_that_contradicts_its_evaluation_is_invalid() {
    check(Story::refund, EventKind::Consumed, &["E_GUARD"], |statement| {
        let Event::Consumed(detail) = &mut statement.entry.event else { panic!("consumes") };
        detail.guard.verdict = Verdict::RequireHuman;
    });
}

#[test]
fn a_grant_from_a_shadow_event_is_invalid() {
    check(Story::allowed, EventKind::Allowed, &["E_MODE"], |statement| statement.entry.mode = Mode::Shadow);
}

#[test]
fn a_grant_used_twice_late_or_by_the_wrong_attempt_is_invalid() {
    check(Story::refund, EventKind::Consumed, &["E_GRANT"], |statement| {
        let Event::Consumed(detail) = &mut statement.entry.event else { panic!("consumes") };
        detail.grant = GrantId::from_random([9; 16]);
    });
    check(Story::refund, EventKind::Overridden, &["E_GRANT"], |statement| {
        let Event::Overridden(granted) = &mut statement.entry.event else { panic!("overrides") };
        granted.grant.expires_at = statement.entry.at.plus(DurationMs::new(1));
    });
    let mut twice = Story::refund();
    let at = twice.position(EventKind::Consumed);
    let again = twice.statements[at].clone();
    twice.statements.insert(at + 2, again);
    twice.statements[at + 2].entry.at = twice.statements[at + 1].entry.at;
    twice.relink();
    assert_answer(&twice.verify(), "INVALID", &["E_GRANT"]);
}

#[test]
fn an_outcome_that_nothing_authorised_and_an_end_that_hides_one_are_invalid() {
    check(Story::refund, EventKind::Outcome, &["E_UNAUTHORIZED_OUTCOME"], |statement| {
        let Event::Outcome(detail) = &mut statement.entry.event else { panic!("reports") };
        detail.grant = None;
    });
    let mut hidden = Story::refund();
    let at = hidden.position(EventKind::Outcome);
    hidden.statements.remove(at);
    hidden.relink();
    assert_answer(&hidden.verify(), "INVALID", &["E_OUTCOME_OPEN"]);
}
