//! What the rulebook refuses although the table has a row: the events of a machine that is wrong, or lies.
//!
//! Each case takes an entry that `decide` made and would be accepted, changes one thing, and names the fault.

use std::collections::BTreeSet;

use gantral_core::check::Fault;
use gantral_core::command::{AttemptEnd, Command};
use gantral_core::decide::{decide, due};
use gantral_core::event::{
    Actor, Entry, Event, Executor, GrantTerms, Granted, PolicyRecord, Reconciled, Rejected,
};
use gantral_core::ids::AttemptNo;
use gantral_core::instance::{EVENTS_MAX, Instance, Phase};
use gantral_core::policy::{EvalFailure, Materiality, PolicyVersionId, Verdict};
use gantral_core::rule::{EscalationStep, Group};
use gantral_core::state::{ActorKind, Cause, DecisionKind, HumanEvidence, Mode, NextStep, OutcomeStatus};
use gantral_core::time::UnixMillis;

use crate::world::{
    LIFETIME, Refine, World, admin, agent, allow, asks, at, deny, digest, executor, failed, gate, grant,
    human, lead, machine, person, policy, role, runner, seal, secs, system,
};

/// One entry that stands last, and the world before it.
struct Case {
    world: World,
    entry: Entry,
}

/// Gives a command to a copy of the world and takes the entry with this number from what was decided.
fn entry(world: &World, actor: &Actor, command: Command, number: usize) -> Case {
    let decided = decide(&world.instance, actor, command, world.now).expect("a lawful command");
    let mut world = world.clone();
    let mut entries = decided.events;
    let entry = entries.remove(number);
    entries.truncate(number);
    world.fold(entries);
    Case { world, entry }
}

/// Repeats the newest sealed entry of a world on the world before it.
fn newest(world: &World) -> Case {
    let (entry, _) = world.sealed.last().expect("sealed").clone();
    let mut before = World { sealed: world.sealed[..1].to_vec(), ..world.clone() };
    before.instance = Instance::begin(world.instance.identity.clone(), &world.sealed[0].0).expect("begins");
    let parts = world.sealed[1..world.sealed.len() - 1].iter().map(|(entry, _)| entry.clone());
    before.fold(parts.collect());
    Case { world: before, entry }
}

impl Case {
    /// Lawful as it is; after the change it has this fault, and perhaps others.
    #[track_caller]
    fn breaks(&self, fault: Fault, change: impl FnOnce(&mut Entry)) -> Fault {
        let apply = |entry: &Entry| {
            let mut instance = self.world.instance.clone();
            instance.apply(entry, seal(self.world.sealed.len()))
        };
        assert_eq!(apply(&self.entry), Ok(()), "the case itself must be lawful");
        let mut changed = self.entry.clone();
        change(&mut changed);
        let faults = apply(&changed).expect_err("the changed entry is accepted");
        assert!(faults.contains(&fault), "{faults:?} lacks {fault:?}");
        fault
    }
}

macro_rules! change {
    ($variant:ident, |$detail:ident| $body:expr) => {
        |entry: &mut Entry| match &mut entry.event {
            Event::$variant($detail) => {
                $body;
            }
            other => panic!("another event: {other:?}"),
        }
    };
}

fn consumed() -> Case {
    let mut world = World::approved_and_running(lead());
    world.consume(1, "refund 4800", lead()).seals("consumed");
    newest(&world)
}

fn allowed() -> Case {
    let mut world = World::running();
    world.ask("read", allow()).seals("allowed");
    newest(&world)
}

fn required() -> Case {
    let mut world = World::running();
    world.ask("refund 4800", lead().then_asks(&["DIRECTOR"])).seals("human_required");
    newest(&world)
}

fn approved() -> Case {
    let mut world = World::waiting(lead());
    world.approve("lea", "LEAD").seals("approved");
    newest(&world)
}

fn voted() -> Case {
    let mut world = World::waiting(asks(&["LEAD"], 2));
    world.approve("lea", "LEAD").seals("vote");
    newest(&world)
}

#[test]
fn common_rules_hold_for_every_entry() {
    approved().breaks(Fault::TimeBack, |entry| entry.at = UnixMillis::new(1).unwrap());
    approved().breaks(Fault::Attempt, |entry| entry.attempt = AttemptNo(7));
    approved().breaks(Fault::SelfApproval, |entry| entry.actor.kind = ActorKind::Workload);
    consumed().breaks(Fault::State, |entry| entry.actor.kind = ActorKind::Human);
    consumed().breaks(Fault::Attempt, |entry| entry.attempt = AttemptNo(1));
    let mut full = consumed();
    full.world.instance.events = EVENTS_MAX;
    let faults = full.world.instance.apply(&full.entry, seal(0));
    assert_eq!(faults, Err(vec![Fault::Limit]));
    let mut over = consumed();
    over.world.instance.phase = Phase::Completed;
    let faults = over.world.instance.apply(&over.entry, seal(0));
    assert_eq!(faults, Err(vec![Fault::AfterTerminal]));
}

#[test]
fn a_gate_is_sealed_with_a_sound_rule_and_lawful_times() {
    let case = required();
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.rule.stages.clear()));
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.rule.stages[0].groups.clear()));
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.rule.stages[0].groups[0].required = 0));
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.rule.stages[0].groups[0].required = 17));
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.rule.stages[0].groups[0].roles.clear()));
    let group = || Group { roles: vec![role("LEAD")], required: 1 };
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.rule.stages[0].groups = vec![group(); 17]));
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.rule.distinct = false));
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.rule.separation = false));
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.gate.version = 2));
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.rule.rejections = 0));
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.rule.rejections = 17));
    let nobody = EscalationStep { roles: Vec::new(), duration: secs(60) };
    case.breaks(Fault::Quorum, change!(HumanRequired, |d| d.escalation.push(nobody)));
    case.breaks(Fault::Deadline, change!(HumanRequired, |d| d.deadline = at(0)));
    case.breaks(Fault::Deadline, change!(HumanRequired, |d| d.latest_deadline = at(1)));
    case.breaks(Fault::Deadline, change!(HumanRequired, |d| d.latest_deadline = at(LIFETIME + 1)));
    case.breaks(Fault::Mode, |entry| entry.mode = Mode::Shadow);
    case.breaks(
        Fault::PolicyContradiction,
        change!(HumanRequired, |d| d.policy = policy("p1", Verdict::Deny, None)),
    );
}

#[test]
fn a_gate_owes_nothing() {
    let mut owing = World::running();
    owing.ask("read", allow()).seals("allowed");
    owing.consume(1, "read", allow()).seals("consumed");
    let case = required();
    assert_eq!(owing.instance.apply(&case.entry, seal(0)), Err(vec![Fault::OutcomeOpen]));
}

#[test]
fn a_ballot_is_bound_to_its_gate_its_action_and_its_voter() {
    let case = approved();
    case.breaks(Fault::Decision, change!(Approved, |d| d.ballot.gate = gate(9)));
    case.breaks(Fault::Decision, change!(Approved, |d| d.ballot.gate_version = 2));
    case.breaks(Fault::Decision, change!(Approved, |d| d.ballot.request_artifact_hash = digest("other")));
    case.breaks(Fault::Decision, change!(Approved, |d| d.ballot.delegation = Some(digest("none"))));
    case.breaks(Fault::Decision, |entry| entry.actor.role = None);
    case.breaks(Fault::ActionBinding, change!(Approved, |d| d.ballot.approved = digest("other")));
    case.breaks(Fault::ActionBinding, change!(Approved, |d| d.ballot.decision = DecisionKind::Override));
    case.breaks(Fault::SelfApproval, |entry| entry.actor.id = person("oscar").actor());
    case.breaks(Fault::SelfApproval, |entry| entry.actor.id = agent().id);
    case.breaks(Fault::Deadline, |entry| entry.at = at(600));
    case.breaks(Fault::Role, change!(Approved, |d| d.ballot.role = role("INTERN")));
    case.breaks(Fault::Role, change!(Approved, |d| d.ballot.break_glass = true));
    let weak = HumanEvidence::Development;
    case.breaks(Fault::HumanEvidence, change!(Approved, |d| d.ballot.evidence = weak));
    case.breaks(Fault::Grant, change!(Approved, |d| d.grant.expires_at = at(0)));
    case.breaks(Fault::Grant, change!(Approved, |d| d.grant.expires_at = at(LIFETIME + 1)));
    case.breaks(Fault::Mode, |entry| entry.mode = Mode::Shadow);
}

#[test]
fn a_vote_is_no_decision_and_a_decision_no_vote() {
    let early = voted();
    let Event::Vote(ballot) = &early.entry.event else { panic!("not a vote") };
    let terms = GrantTerms { id: grant(9), expires_at: at(60) };
    let granted = Granted { ballot: ballot.clone(), grant: terms };
    early.breaks(Fault::Quorum, |entry| entry.event = Event::Approved(granted));
    let deciding = approved();
    let Event::Approved(granted) = &deciding.entry.event else { panic!("not approved") };
    let ballot = granted.ballot.clone();
    deciding.breaks(Fault::Quorum, |entry| entry.event = Event::Vote(ballot));

    let mut world = World::waiting(asks(&["LEAD"], 3));
    world.approve("lea", "LEAD").seals("vote");
    world.approve("leo", "LEAD").seals("vote");
    newest(&world).breaks(Fault::Quorum, |entry| entry.actor.id = person("lea").actor());
}

#[test]
fn a_rejection_that_is_counted_closes_nothing_and_one_that_closes_is_not_counted() {
    let mut world = World::waiting(asks(&["LEAD"], 2).unless(2));
    world.reject("lea", "LEAD").seals("vote");
    let counted = newest(&world);
    let Event::Vote(ballot) = &counted.entry.event else { panic!("not a vote") };
    let rejected = Rejected { gate: ballot.gate, ballot: Some(ballot.clone()), cause: Cause::Rejected };
    counted.breaks(Fault::Quorum, |entry| entry.event = Event::Rejected(rejected));
    counted.breaks(Fault::Role, change!(Vote, |d| d.role = role("INTERN")));

    world.reject("leo", "LEAD").seals("rejected terminated");
    let closing = entry_before_last(&world);
    let Event::Rejected(Rejected { ballot: Some(ballot), .. }) = &closing.entry.event else {
        panic!("no ballot")
    };
    let ballot = ballot.clone();
    closing.breaks(Fault::Quorum, |entry| entry.event = Event::Vote(ballot));
    closing.breaks(Fault::Quorum, |entry| entry.actor.id = person("lea").actor());
}

#[test]
fn closing_a_gate_needs_its_reason() {
    let close = |world: &World, actor: &Actor, command| entry(world, actor, command, 0);
    let world = World::waiting(lead().then_asks(&["DIRECTOR"]));
    let withdrawn = close(&world, &agent(), Command::Withdraw);
    withdrawn.breaks(Fault::State, |entry| entry.actor = machine("agent-8", ActorKind::Workload));
    withdrawn.breaks(Fault::SelfApproval, change!(Rejected, |d| d.cause = Cause::Rejected));
    withdrawn.breaks(Fault::State, change!(Rejected, |d| d.cause = Cause::Cancelled));
    withdrawn.breaks(Fault::Decision, change!(Rejected, |d| d.gate = gate(9)));
    withdrawn.breaks(Fault::Deadline, |entry| {
        entry.actor = system();
        change!(Rejected, |d| d.cause = Cause::Timeout)(entry);
    });
    let mut ended = withdrawn.world.clone();
    ended.withdraw().seals("rejected terminated");
    newest(&ended).breaks(Fault::State, change!(Terminated, |d| d.cause = Some(Cause::Failed)));
}

#[test]
fn a_gate_moves_only_as_sealed() {
    let mut world = World::waiting(lead().then_asks(&["DIRECTOR"]));
    world.now = at(600);
    let escalated = due(&world.instance, &system(), world.now).remove(0);
    let case = Case { world: world.clone(), entry: escalated };
    case.breaks(Fault::Escalation, |entry| entry.at = at(599));
    case.breaks(Fault::Escalation, change!(Escalated, |d| d.roles = vec![role("FRIEND")]));
    case.breaks(Fault::Escalation, change!(Escalated, |d| d.deadline = at(901)));
    case.breaks(Fault::Escalation, change!(Escalated, |d| d.step = Some(2)));
    case.breaks(Fault::Decision, change!(Escalated, |d| d.version = 1));

    let mut world = World::waiting(lead());
    world.extend(&human("lea", "LEAD"), at(700)).seals("extended");
    let case = newest(&world);
    case.breaks(Fault::Extension, |entry| entry.at = at(600));
    case.breaks(Fault::Extension, |entry| entry.actor.role = Some(role("INTERN")));
    case.breaks(Fault::Extension, |entry| entry.actor.id = person("olivia").actor());
    case.breaks(Fault::Extension, change!(Extended, |d| d.deadline = at(2_401)));
    case.breaks(Fault::Extension, change!(Extended, |d| d.deadline = at(600)));
    case.breaks(Fault::Extension, change!(Extended, |d| d.roles = vec![role("FRIEND")]));
}

#[test]
fn a_grant_of_policy_follows_an_evaluation_that_allows() {
    let case = allowed();
    case.breaks(Fault::Mode, |entry| entry.mode = Mode::Shadow);
    case.breaks(Fault::Matrix, change!(Allowed, |d| d.grant = None));
    let terms = |seconds| Some(GrantTerms { id: grant(9), expires_at: at(seconds) });
    case.breaks(Fault::Grant, change!(Allowed, |d| d.grant = terms(0)));
    case.breaks(Fault::Grant, change!(Allowed, |d| d.grant = terms(LIFETIME + 1)));
    case.breaks(Fault::PolicyContradiction, change!(Allowed, |d| d.policy.verdict = Verdict::RequireHuman));
    case.breaks(Fault::FailOpen, change!(Allowed, |d| d.policy.failure = Some(EvalFailure::Conflict)));

    let failure = failed(EvalFailure::Unavailable, Verdict::Allow).policy;
    let mut high = World::of(Materiality::High);
    high.assign().seals("attempt_assigned");
    high.attach(1).seals("started");
    let mut entry = case.entry.clone();
    change!(Allowed, |d| d.policy = failure)(&mut entry);
    assert_eq!(high.instance.apply(&entry, seal(0)), Err(vec![Fault::PolicyContradiction, Fault::FailOpen]));

    let mut world = World::running();
    let mut ask = world.ask_of("read", allow());
    ask.mode = Mode::Shadow;
    world.ask_with(ask).seals("observed");
    let case = newest(&world);
    case.breaks(Fault::Mode, |entry| entry.mode = Mode::Enforce);
    case.breaks(Fault::Mode, change!(Observed, |d| d.grant = terms(60)));
    let mut failing = World::running();
    failing.ask("read", failed(EvalFailure::Unavailable, Verdict::Allow)).seals("evaluator_failed allowed");
    let case = entry_before_last(&failing);
    case.breaks(Fault::Matrix, change!(EvaluatorFailed, |d| d.failure = None));
}

#[test]
fn what_follows_a_failed_evaluation_names_the_failure_that_was_sealed() {
    let other = |version| PolicyVersionId(digest(version));
    let mut passed = World::running();
    let mut ask = passed.ask_of("read", failed(EvalFailure::Unavailable, Verdict::Allow));
    ask.consume = Some(World::consumer());
    passed.ask_with(ask).seals("evaluator_failed allowed consumed");
    let case = newest(&passed);
    case.breaks(Fault::PolicyVersion, change!(Consumed, |d| d.policy.version = other("p2")));
    case.breaks(Fault::PolicyContradiction, change!(Consumed, |d| d.policy.input = digest("other")));
    let case = entry_before_last(&passed);
    case.breaks(Fault::PolicyVersion, change!(Allowed, |d| d.policy.version = other("p2")));
    case.breaks(Fault::PolicyContradiction, change!(Allowed, |d| d.policy.input = digest("other")));
    let unsealed = World::running().instance.clone().apply(&case.entry, seal(0));
    assert_eq!(unsealed, Err(vec![Fault::PolicyContradiction]), "no failure was sealed");
    let mut settled = passed.clone();
    settled.report(1, 1, OutcomeStatus::Succeeded).seals("outcome");
    let mut again = case.entry.clone();
    change!(Allowed, |d| d.grant = Some(GrantTerms { id: grant(9), expires_at: at(60) }))(&mut again);
    let stale = settled.instance.apply(&again, seal(0));
    assert_eq!(stale, Err(vec![Fault::PolicyContradiction]), "a failure covers one answer only");
    let mut clean = case.world.instance.clone();
    let mut entry = case.entry.clone();
    change!(Allowed, |d| d.policy.failure = None)(&mut entry);
    assert_eq!(clean.apply(&entry, seal(0)), Ok(()));
    let consumption = newest(&passed).entry;
    let borrowed = clean.apply(&consumption, seal(0));
    assert_eq!(
        borrowed,
        Err(vec![Fault::PolicyContradiction]),
        "a grant without a failure has none to pass on"
    );

    let mut asked = World::running();
    asked
        .ask("refund", failed(EvalFailure::Conflict, Verdict::RequireHuman))
        .seals("evaluator_failed human_required");
    newest(&asked).breaks(Fault::PolicyVersion, change!(HumanRequired, |d| d.policy.version = other("p2")));
    let mut denied = World::running();
    denied.ask("refund", failed(EvalFailure::Conflict, Verdict::Deny)).seals("evaluator_failed terminated");
    let record = PolicyRecord { version: other("p2"), ..failed(EvalFailure::Conflict, Verdict::Deny).policy };
    newest(&denied).breaks(Fault::PolicyVersion, change!(Terminated, |d| d.policy = Some(record)));
    let mut observed = World::running();
    let mut ask = observed.ask_of("read", failed(EvalFailure::Conflict, Verdict::Deny));
    ask.mode = Mode::Shadow;
    observed.ask_with(ask).seals("evaluator_failed observed");
    newest(&observed).breaks(Fault::PolicyVersion, change!(Observed, |d| d.policy.version = other("p2")));
}

/// The entry before the newest one, on the world before it.
fn entry_before_last(world: &World) -> Case {
    let mut shorter = world.clone();
    shorter.sealed.pop();
    newest(&shorter)
}

#[test]
fn a_grant_is_consumed_once_in_time_and_as_granted() {
    let case = consumed();
    case.breaks(Fault::Grant, change!(Consumed, |d| d.grant = grant(9)));
    case.breaks(Fault::Grant, |entry| {
        entry.at = at(900);
        change!(Consumed, |d| d.act_by = at(960))(entry);
    });
    case.breaks(Fault::Grant, change!(Consumed, |d| d.act_by = at(0)));
    case.breaks(Fault::ActionBinding, change!(Consumed, |d| d.action = digest("other")));
    case.breaks(Fault::Guard, change!(Consumed, |d| d.guard.verdict = Verdict::Deny));
    case.breaks(Fault::Mode, |entry| entry.mode = Mode::Shadow);
    case.breaks(Fault::PolicyContradiction, change!(Consumed, |d| d.policy.verdict = Verdict::Deny));
    case.breaks(Fault::FailOpen, change!(Consumed, |d| d.policy.failure = Some(EvalFailure::Unavailable)));
    let mut twice = case.world.clone();
    twice.fold(vec![case.entry.clone()]);
    assert_eq!(twice.instance.apply(&case.entry, seal(0)), Err(vec![Fault::Grant]));

    let mut world = World::waiting(lead());
    world.change("lea", "LEAD", "refund 480").seals("overridden");
    world.assign().seals("resumed");
    world.attach(2).seals("running");
    world.consume(1, "refund 480", lead()).seals("consumed");
    let failure = Some(EvalFailure::Unavailable);
    newest(&world).breaks(Fault::OverrideScope, change!(Consumed, |d| d.policy.failure = failure));
}

#[test]
fn an_outcome_belongs_to_a_consumption_and_its_attempt() {
    let mut world = World::approved_and_running(lead());
    world.consume(1, "refund 4800", lead()).seals("consumed");
    world.report(2, 1, OutcomeStatus::Succeeded).seals("outcome");
    let case = newest(&world);
    let fault = Fault::UnauthorizedOutcome;
    case.breaks(fault, |entry| entry.attempt = AttemptNo(1));
    case.breaks(fault, |entry| entry.actor = system());
    case.breaks(fault, change!(Outcome, |d| d.grant = Some(grant(9))));
    case.breaks(fault, change!(Outcome, |d| d.grant = None));
    // The attempt lives: somebody can still tell.
    case.breaks(fault, change!(Outcome, |d| d.status = OutcomeStatus::Unknown));
    let mut again = case.world.clone();
    again.fold(vec![case.entry.clone()]);
    assert_eq!(again.instance.apply(&case.entry, seal(0)), Err(vec![fault]));
}

#[test]
fn what_is_unknown_blocks_until_the_last_of_it_is_settled() {
    let mut world = World::running();
    for id in 1..=2 {
        world.ask("read", allow()).seals("allowed");
        world.consume(id, "read", allow()).seals("consumed");
    }
    world.lose(1, true).seals("attempt_ended outcome outcome");
    let settle = |grant, next| {
        Command::Reconcile(Reconciled { grant, status: OutcomeStatus::Failed, next, justification: None })
    };
    let case = entry(&world, &admin(), settle(grant(1), NextStep::Continue), 0);
    case.breaks(Fault::OutcomeOpen, change!(Reconciled, |d| d.next = NextStep::Terminate));
    case.breaks(Fault::UnauthorizedOutcome, change!(Reconciled, |d| d.grant = grant(9)));
    case.breaks(Fault::UnauthorizedOutcome, change!(Reconciled, |d| d.status = OutcomeStatus::Unknown));

    let mut assigned = World::running();
    assigned.lose(1, true).seals("attempt_ended");
    assigned.assign().seals("attempt_assigned");
    let assignment = newest(&assigned);
    assert_eq!(world.instance.apply(&assignment.entry, seal(0)), Err(vec![Fault::OutcomeOpen]));

    world.reconcile(1, OutcomeStatus::Failed, NextStep::Continue).seals("reconciled");
    // After `terminate` nothing but the end may follow.
    let case = entry(&world, &admin(), settle(grant(2), NextStep::Terminate), 0);
    let mut after = case.world.clone();
    after.fold(vec![case.entry]);
    assert_eq!(after.instance.apply(&assignment.entry, seal(0)), Err(vec![Fault::State]));
}

#[test]
fn attempts_begin_and_end_in_their_order() {
    let mut world = World::created();
    world.assign().seals("attempt_assigned");
    let assigned = newest(&world);
    assigned.breaks(Fault::Attempt, |entry| entry.attempt = AttemptNo(2));
    assigned.breaks(Fault::Matrix, change!(AttemptAssigned, |d| d.lease = None));
    assigned.breaks(Fault::Matrix, change!(AttemptAssigned, |d| d.executor = None));
    assigned.breaks(Fault::Matrix, change!(AttemptAssigned, |d| d.cause = Some(Cause::Expired)));
    world.attach(1).seals("started");
    let attached = newest(&world);
    let another = Executor { id: agent().id, ..executor() };
    attached.breaks(Fault::Attempt, change!(Started, |d| d.executor = Some(another.clone())));
    attached.breaks(Fault::State, |entry| entry.actor = admin());
    world.exit(1, 0).seals("attempt_ended completed");
    let completed = newest(&world);
    completed.breaks(Fault::Matrix, change!(Completed, |d| d.cause = Some(Cause::Failed)));
    let ended = entry_before_last(&world);
    ended.breaks(Fault::Attempt, change!(AttemptEnded, |d| d.executor = another));
    ended.breaks(Fault::Matrix, change!(AttemptEnded, |d| d.cause = Cause::Lost));
    ended.breaks(Fault::Matrix, change!(AttemptEnded, |d| d.cause = Cause::Failed));
    ended.breaks(Fault::Matrix, |entry| entry.actor = system());
    assert_eq!(
        ended.world.instance.clone().apply(&completed.entry, seal(0)),
        Err(vec![Fault::Attempt]),
        "completed without the sealed end of the attempt"
    );
}

#[test]
fn an_end_needs_its_reason() {
    let end = |exit| Command::EndAttempt { attempt: AttemptNo(1), end: exit, may_retry: false };
    let failed = entry(&World::running(), &runner(), end(AttemptEnd::Exited(1)), 1);
    failed.breaks(Fault::State, |entry| entry.actor = admin());
    failed.breaks(Fault::State, change!(Terminated, |d| d.cause = Some(Cause::Expired)));
    failed.breaks(Fault::State, change!(Terminated, |d| d.cause = Some(Cause::Cancelled)));
    failed.breaks(Fault::Matrix, change!(Terminated, |d| d.cause = None));
    failed.breaks(Fault::Matrix, change!(Terminated, |d| d.cause = Some(Cause::Denied)));
    let alive = World::running().instance.clone().apply(&failed.entry, seal(0));
    assert_eq!(alive, Err(vec![Fault::Attempt]), "failed while the attempt lives");

    let mut denied = World::running();
    denied.ask("refund", deny()).seals("terminated");
    let case = newest(&denied);
    case.breaks(Fault::PolicyContradiction, change!(Terminated, |d| d.policy = Some(allow().policy)));
    let mut owing = World::running();
    owing.ask("read", allow()).seals("allowed");
    owing.consume(1, "read", allow()).seals("consumed");
    assert_eq!(owing.instance.apply(&case.entry, seal(0)), Err(vec![Fault::OutcomeOpen]));
}

#[test]
fn a_walk_to_the_end_launches_nothing_and_is_not_left() {
    let mut world = World::waiting(lead());
    world.approve("lea", "LEAD").seals("approved");
    let first = entry(&world, &admin(), Command::Cancel, 0);
    first.breaks(Fault::Matrix, change!(Resumed, |d| d.executor = Some(executor())));
    first.breaks(Fault::State, change!(Resumed, |d| d.cause = Some(Cause::Expired)));
    first.breaks(Fault::Deadline, |entry| {
        entry.actor = system();
        change!(Resumed, |d| d.cause = Some(Cause::Expired))(entry);
    });
    let second = entry(&world, &admin(), Command::Cancel, 1);
    let launch = newest(&{
        let mut other = world.clone();
        other.assign().seals("resumed");
        other.attach(2).seals("running");
        other
    });
    let mut instance = second.world.instance.clone();
    let faults = instance.apply(&launch.entry, seal(0)).expect_err("a walk is not left");
    assert!(faults.contains(&Fault::State));
}

#[test]
fn an_instance_begins_with_a_requester_and_a_future() {
    let world = World::created();
    let identity = world.instance.identity.clone();
    let begins = |change: &dyn Fn(&mut Entry)| {
        let mut entry = world.sealed[0].0.clone();
        change(&mut entry);
        Instance::begin(identity.clone(), &entry).map(|_| ())
    };
    assert_eq!(begins(&|_| ()), Ok(()));
    assert_eq!(begins(&change!(Created, |d| d.requester.clear())), Err(vec![Fault::Matrix]));
    assert_eq!(begins(&change!(Created, |d| d.expires_at = at(0))), Err(vec![Fault::Matrix]));
    assert_eq!(begins(&|entry| entry.attempt = AttemptNo(1)), Err(vec![Fault::Attempt]));
    assert_eq!(begins(&|entry| entry.actor = system()), Err(vec![Fault::State]));
}

/// A rule that nothing breaks is a promise: each has its case in this file, under the name of its fault.
#[test]
fn every_fault_has_a_case() {
    let cases = include_str!("rulebook.rs");
    for fault in Fault::ALL {
        assert!(cases.contains(&format!("Fault::{fault:?}")), "no case breaks {fault:?}");
    }
}

#[test]
fn the_codes_of_faults_are_distinct_and_read_back() {
    let codes: BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.as_str()).collect();
    assert_eq!(codes.len(), Fault::ALL.len());
    for fault in Fault::ALL {
        assert!(fault.as_str().starts_with("E_"));
        assert_eq!(Fault::parse(fault.as_str()), Some(*fault));
    }
}
