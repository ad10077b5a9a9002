//! More stories: one for each way in which an execution can go.

use gantral_core::action::Action;
use gantral_core::address::EvidenceUrl;
use gantral_core::command::{AttemptEnd, Command};
use gantral_core::digest::Digest;
use gantral_core::event::{EvidenceRef, Outcome, Reconciled};
use gantral_core::ids::Name;
use gantral_core::policy::{EvalFailure, Materiality, Verdict};
use gantral_core::rule::{EscalationStep, GatePlan, Group, Rule, Stage};
use gantral_core::state::{DecisionKind, HumanEvidence, Mode, NextStep, OutcomeStatus};
use gantral_core::time::DurationMs;

use crate::cast::*;
use crate::story::Story;

/// An execution at its open gate, whose asking attempt has exited.
pub fn asked(plan: impl FnOnce(&Story) -> GatePlan) -> Story {
    asked_at(Materiality::High, plan)
}

fn asked_at(materiality: Materiality, plan: impl FnOnce(&Story) -> GatePlan) -> Story {
    asked_in(Story::of(materiality, Mode::Enforce), plan)
}

fn asked_in(mut story: Story, plan: impl FnOnce(&Story) -> GatePlan) -> Story {
    story.launch();
    let plan = plan(&story);
    story.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
    story
}

fn one(story: &Story) -> GatePlan {
    story.plan(1, Vec::new())
}

/// Launched, exits well, never asks.
pub fn ungated() -> Story {
    let mut story = Story::begin();
    story.launch().exit(0);
    story
}

/// One person approves the action as it was asked for, and it is done.
pub fn approved() -> Story {
    let mut story = asked(one);
    story.decide(1, DecisionKind::Approve, None).launch().act(&refund(900)).exit(0);
    story
}

/// As [`approved`], where instance and gate are named by their instants.
pub fn dated() -> Story {
    let mut story = asked_in(Story::begin_dated(), one);
    story.decide(1, DecisionKind::Approve, None).launch().act(&refund(900)).exit(0);
    story
}

/// As [`approved`], at low materiality.
pub fn approved_at_low() -> Story {
    let mut story = asked_at(Materiality::Low, one);
    story.decide(1, DecisionKind::Approve, None).launch().act(&refund(900)).exit(0);
    story
}

/// As [`Story::refund`], at low materiality.
pub fn overridden_at_low() -> Story {
    let mut story = asked_at(Materiality::Low, one);
    story.override_to(&refund(480)).launch().act(&refund(480)).exit(0);
    story
}

/// One person refuses.
pub fn rejected() -> Story {
    let mut story = asked(one);
    story.decide(1, DecisionKind::Reject, None);
    story
}

/// Nobody of finance answers; a director approves.
pub fn escalated() -> Story {
    let step = EscalationStep { roles: vec![role("director")], duration: DurationMs::from_secs(600) };
    let mut story = asked(|story| story.plan(1, vec![step]));
    story.wait(600);
    let mut granted = story.ballot(DecisionKind::Approve, None);
    granted.ballot.role = role("director");
    story.command(&human(3, "director"), Command::Decide(Box::new(granted)));
    story.launch().act(&refund(900)).exit(0);
    story
}

/// Finance takes ten minutes more.
pub fn extended() -> Story {
    let mut story = asked(one);
    let Some(gate) = story.instance.gate().cloned() else { return story };
    let deadline = gate.deadline.plus(DurationMs::from_secs(600));
    story.command(
        &human(1, "finance"),
        Command::Extend { gate: gate.asked.id, gate_version: gate.asked.version, deadline },
    );
    story
}

/// First somebody of finance, then somebody of risk.
pub fn staged() -> Story {
    let group = |name| Group { roles: vec![role(name)], required: 1 };
    let stages = ["finance", "risk"].map(|name| Stage { groups: vec![group(name)] }).to_vec();
    let rule = Rule { stages, ..Rule::one_group(vec![role("finance")], 1, HumanEvidence::Operator) };
    let mut story = asked(|story| GatePlan { rule, ..story.plan(1, Vec::new()) });
    story.decide(1, DecisionKind::Approve, None);
    let mut granted = story.ballot(DecisionKind::Approve, None);
    granted.ballot.role = role("risk");
    story.command(&human(2, "risk"), Command::Decide(Box::new(granted)));
    story
}

/// A gate that so many rejections close, and that two persons approve.
fn refusable(rejections: u32) -> Story {
    asked(|story| {
        let plan = story.plan(2, Vec::new());
        GatePlan { rule: Rule { rejections, ..plan.rule }, ..plan }
    })
}

/// Two rejections are needed, and come.
pub fn rejected_by_two() -> Story {
    let mut story = refusable(2);
    story.decide(1, DecisionKind::Reject, None).decide(2, DecisionKind::Reject, None);
    story
}

/// Two of as many rejections as it takes come, and two persons approve all the same.
pub fn approved_against_two(rejections: u32) -> Story {
    let mut story = refusable(rejections);
    story.decide(1, DecisionKind::Reject, None).decide(2, DecisionKind::Reject, None);
    story.decide(3, DecisionKind::Approve, None).decide(4, DecisionKind::Approve, None);
    story.launch().act(&refund(900)).exit(0);
    story
}

/// The first who approves thinks again and rejects; two others approve.
pub fn vote_withdrawn() -> Story {
    let mut story = refusable(2);
    story.decide(1, DecisionKind::Approve, None).decide(1, DecisionKind::Reject, None);
    story.decide(2, DecisionKind::Approve, None).decide(3, DecisionKind::Approve, None);
    story.launch().act(&refund(900)).exit(0);
    story
}

/// Three persons are asked, and one who may break the glass decides alone.
pub fn glass_broken() -> Story {
    break_the_glass(1, DecisionKind::Approve)
}

/// Three rejections are needed, and one who may break the glass refuses alone.
pub fn glass_broken_to_reject() -> Story {
    break_the_glass(3, DecisionKind::Reject)
}

fn break_the_glass(rejections: u32, decision: DecisionKind) -> Story {
    let roles = vec![role("finance")];
    let rule = Rule {
        break_glass_roles: vec![role("duty_officer")],
        rejections,
        ..Rule::one_group(roles, 3, HumanEvidence::Operator)
    };
    let mut story = asked(|story| GatePlan { rule, ..story.plan(3, Vec::new()) });
    let mut granted = story.ballot(decision, None);
    granted.ballot.role = role("duty_officer");
    granted.ballot.break_glass = true;
    story.command(&human(4, "duty_officer"), Command::Decide(Box::new(granted)));
    story
}

/// A gate that demands a kind of evidence, approved by one person with it.
pub fn approved_with(evidence: HumanEvidence) -> Story {
    let mut story = Story::begin();
    story.evidence = evidence;
    story.launch();
    let plan = story.plan(1, Vec::new());
    story.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
    story.decide(1, DecisionKind::Approve, None);
    story
}

/// Whoever asked takes it back.
pub fn withdrawn() -> Story {
    let mut story = asked(one);
    story.command(&agent(), Command::Withdraw);
    story
}

/// A human cancels at the open gate.
pub fn cancelled_at_the_gate() -> Story {
    let mut story = asked(one);
    story.command(&human(5, "operator"), Command::Cancel);
    story
}

/// A human cancels what others had approved.
pub fn cancelled_after_approval() -> Story {
    let mut story = asked(one);
    story.decide(1, DecisionKind::Approve, None);
    story.command(&human(5, "operator"), Command::Cancel);
    story
}

/// Time ends an instance that nobody ever launched.
pub fn expired() -> Story {
    let mut story = Story::begin();
    story.wait(7 * 86_400);
    story
}

/// What was approved is not used in time.
pub fn lapsed() -> Story {
    let mut story = asked(one);
    story.decide(1, DecisionKind::Approve, None).wait(3_600);
    story
}

/// Policy denies.
pub fn denied() -> Story {
    let mut story = Story::begin();
    story.launch().ask(&refund(90_000), Verdict::Deny, None);
    story
}

/// The process fails.
pub fn failed() -> Story {
    let mut story = Story::begin();
    story.launch().exit(9);
    story
}

/// The evaluator is out at the ask, and the workflow of low materiality lets that pass.
pub fn outage() -> Story {
    let mut story = Story::of(Materiality::Low, Mode::Enforce);
    story.launch();
    let (mut advice, context) = story.advise(&refund(20), Verdict::Allow, None);
    story.disclosures.pop();
    advice.policy.decision = None;
    advice.policy.failure = Some(EvalFailure::Unavailable);
    story.ask_with(&refund(20), advice, context, Mode::Enforce).act(&refund(20)).exit(0);
    story
}

/// Policy would have asked humans, but is only observed.
pub fn observed() -> Story {
    let mut story = Story::of(Materiality::High, Mode::Shadow);
    story.launch();
    let (advice, context) = story.advise(&refund(900), Verdict::Allow, None);
    story.ask_with(&refund(900), advice, context, Mode::Shadow).report(None).exit(0);
    story
}

/// An agent that launches and acts by itself.
pub fn by_itself() -> Story {
    let mut story = Story::begin();
    story.executor = gantral_core::state::ExecutorKind::SelfExecuted;
    story.launch().ask(&refund(20), Verdict::Allow, None).act(&refund(20)).exit(0);
    story
}

/// A process that vanishes between consuming and reporting.
pub fn lost() -> Story {
    let mut story = Story::begin();
    story.launch().ask(&refund(20), Verdict::Allow, None).consume(&refund(20));
    let attempt = story.instance.attempt;
    story.now += 60_000;
    story.command(&runner(), Command::EndAttempt { attempt, end: AttemptEnd::Lost, may_retry: true });
    story
}

/// As [`lost`], and a human finds out what came of it.
pub fn reconciled() -> Story {
    let mut story = lost();
    settle(&mut story, NextStep::Continue);
    story
}

/// As [`reconciled`], and the human ends the instance with that.
pub fn reconciled_and_ended() -> Story {
    let mut story = lost();
    settle(&mut story, NextStep::Terminate);
    story
}

fn settle(story: &mut Story, next: NextStep) {
    let Some(grant) = story.consumed_grant() else { return };
    let settled = Reconciled { grant, status: OutcomeStatus::Succeeded, next, justification: None };
    story.command(&human(1, "finance"), Command::Reconcile(settled));
}

/// As [`lost`], and the process speaks up after all.
pub fn reported_late() -> Story {
    let mut story = lost();
    let grant = story.consumed_grant();
    let attempt = story.instance.attempt;
    let status = OutcomeStatus::Failed;
    let outcome = Outcome { grant, status, result: None, evidence: Vec::new(), cost: None };
    story.command(&agent(), Command::Report { attempt, outcome });
    story
}

/// What was captured of an action is named in its outcome: one piece with the address at which it is kept, and one without.
pub fn captured() -> Story {
    let mut story = Story::begin();
    story.launch().ask(&refund(20), Verdict::Allow, None).consume(&refund(20));
    let named = |name: &str, bytes: &[u8], url: Option<&str>| EvidenceRef {
        digest: Digest::of(bytes),
        name: Name::parse(name).unwrap(),
        url: url.map(|url| EvidenceUrl::parse(url).unwrap()),
    };
    let url = "https://evidence.example.com:8443/calls/17%20b/@answer,url=1";
    let evidence = vec![named("answer", b"R-1", Some(url)), named("question", b"refund 20", None)];
    let (grant, attempt) = (story.consumed_grant(), story.instance.attempt);
    let outcome = Outcome { grant, status: OutcomeStatus::Succeeded, result: None, evidence, cost: None };
    story.command(&agent(), Command::Report { attempt, outcome });
    story.exit(0);
    story
}

/// A story in which policy evaluated what `change` made of its input.
pub fn evaluated(change: impl FnOnce(&mut gantral_core::json::Object)) -> Story {
    let mut story = Story::begin();
    story.launch();
    let action: Action = refund(20);
    let mut input = story.input(&action);
    change(&mut input);
    let (advice, context) = story.advise_on(input, Verdict::Allow, None);
    story.ask_with(&action, advice, context, Mode::Enforce);
    story
}

/// Returns a digest that nothing else in the stories has.
pub fn elsewhere() -> Digest {
    Digest::of(b"elsewhere")
}
