//! Governed calls: one commit to ask and begin, one to take what humans granted, one to settle.

use gantral_core::command::Refusal;
use gantral_core::event::Event;
use gantral_core::ids::{InstanceId, SessionId, WorkflowId};
use gantral_core::json::Value;
use gantral_core::state::{Cause, EventKind as E, ExecutorKind, Mode, OutcomeStatus, State};
use gantral_core::time::DurationMs;
use gantral_engine::{
    Answer, AskFacts, CALL_LEASE, Called, Done, EngineError, NewCall, OutcomeReport, REFUSAL_REMEMBERED,
};
use gantral_evidence::governance::Scope;
use gantral_evidence::verify::Enforcement;
use gantral_testkit::AGENT;
use gantral_testkit::World;
use gantral_testkit::policy;
use gantral_testkit::workflows::{REFUND, REFUND_RUN, read, refund};

use crate::script::{LARGE, REDUCED, SMALL, Step, decision, events, is_valid, outcome, statements};

/// The interceptor of the standard directory.
const GATE: &str = "dev-gate";

async fn world() -> World {
    let world = World::new();
    world.apply(read(REFUND), &policy::example("refunds")).await;
    world
}

fn new_call(workflow: &str, amount: u64) -> NewCall {
    NewCall {
        workflow: WorkflowId::parse(workflow).unwrap(),
        version: None,
        session: Some(SessionId::parse("session-1").unwrap()),
        action: refund(amount),
        facts: AskFacts::default(),
    }
}

async fn call_as(world: &World, who: &str, amount: u64) -> Result<Done, EngineError> {
    let requester = world.people.requester(who, world.clock.now());
    match world.engine().call(world.call(), &requester, new_call("refund", amount)).await? {
        Called::Asked(done, _) => Ok(done),
        Called::RefusedBefore(id) => panic!("{id} was refused before"),
    }
}

async fn take_as(world: &World, who: &str, id: InstanceId) -> Result<Done, EngineError> {
    let requester = world.people.requester(who, world.clock.now());
    world.engine().take_call(world.call(), &requester, id).await
}

async fn settle(world: &World, id: InstanceId, report: OutcomeReport) -> Result<Done, EngineError> {
    let requester = world.people.requester(GATE, world.clock.now());
    world.engine().settle_call(world.call(), &requester, id, report).await
}

async fn decide(world: &World, done: &Done, step: Step) {
    let Answer::Waiting { gate, .. } = done.answer else { panic!("{done:?}") };
    let fiona = world.people.approver("fiona", world.clock.now());
    world.engine().decide_gate(world.call(), &fiona, gate, decision(step)).await.unwrap();
}

fn kinds(done: &Done) -> Vec<E> {
    done.receipts.iter().map(|receipt| receipt.event).collect()
}

/// The grant that a call was begun with.
async fn begun(world: &World, done: &Done) -> (gantral_core::ids::GrantId, Value) {
    let begun = world.engine().begun_action(&world.tenant(), done, None).await.unwrap();
    (begun.grant.unwrap(), begun.opened.document().unwrap())
}

fn amount(action: &Value) -> u64 {
    action.get("parameters").and_then(|it| it.get("amount_minor")).and_then(Value::as_u64).unwrap()
}

#[tokio::test]
async fn what_policy_allows_is_created_begun_and_used_up_in_one_commit() {
    let world = world().await;
    let done = call_as(&world, GATE, SMALL).await.unwrap();
    assert!(matches!(done.answer, Answer::Allowed { act_by: Some(_), .. }), "{done:?}");
    assert_eq!(kinds(&done), [E::Created, E::AttemptAssigned, E::Started, E::Allowed, E::Consumed]);
    let (grant, action) = begun(&world, &done).await;
    assert_eq!(amount(&action), SMALL);
    let ended = settle(&world, done.instance, outcome(Some(grant))).await.unwrap();
    assert_eq!(kinds(&ended), [E::Outcome, E::AttemptEnded, E::Completed]);
    is_valid(&world, done.instance).await;
    let report = world.verified(done.instance).await;
    assert_eq!(report.assurance.unwrap().enforcement, Enforcement::Enforced, "an interceptor carried it out");
}

#[tokio::test]
async fn a_human_changes_a_call_and_it_is_taken_once_as_changed() {
    let world = world().await;
    let asked = call_as(&world, GATE, LARGE).await.unwrap();
    assert_eq!(asked.state, State::WaitingForHuman);
    assert_eq!(
        kinds(&asked),
        [E::Created, E::AttemptAssigned, E::Started, E::HumanRequired, E::AttemptEnded],
        "nobody's process waits"
    );
    let early = take_as(&world, GATE, asked.instance).await.unwrap_err();
    assert!(matches!(early, EngineError::Refused(Refusal::WrongState { .. })), "{early}");
    decide(&world, &asked, Step::Override { amount: REDUCED }).await;
    let taken = take_as(&world, GATE, asked.instance).await.unwrap();
    assert_eq!(kinds(&taken), [E::Resumed, E::Running, E::Consumed]);
    let (grant, action) = begun(&world, &taken).await;
    assert_eq!(amount(&action), REDUCED);
    let again = take_as(&world, GATE, asked.instance).await.unwrap_err();
    assert!(matches!(again, EngineError::Refused(_)), "{again}");
    settle(&world, asked.instance, outcome(Some(grant))).await.unwrap();
    let executors = statements(&world, asked.instance).await.into_iter().filter_map(|statement| {
        match statement.entry.event {
            Event::Consumed(detail) => Some(detail.executor.kind),
            _ => None,
        }
    });
    assert_eq!(executors.collect::<Vec<_>>(), [ExecutorKind::Interceptor]);
    is_valid(&world, asked.instance).await;
}

#[tokio::test]
async fn an_agent_without_the_configuration_of_an_interceptor_acts_itself() {
    let world = world().await;
    let done = call_as(&world, AGENT, SMALL).await.unwrap();
    let report = world.verified(done.instance).await;
    assert!(matches!(report.assurance.unwrap().enforcement, Enforcement::SelfExecuted));
}

#[tokio::test]
async fn the_same_call_joins_while_it_is_open_and_is_new_afterwards() {
    let world = world().await;
    let first = call_as(&world, GATE, LARGE).await.unwrap();
    let joined = call_as(&world, GATE, LARGE).await.unwrap_err();
    assert!(matches!(joined, EngineError::CallKeyTaken { instance } if instance == first.instance));
    let other = call_as(&world, GATE, LARGE + 1).await.unwrap();
    assert_ne!(other.instance, first.instance, "another argument is another call");
    decide(&world, &first, Step::Approve).await;
    let taken = take_as(&world, GATE, first.instance).await.unwrap();
    let (grant, _) = begun(&world, &taken).await;
    let running = call_as(&world, GATE, LARGE).await.unwrap_err();
    assert!(matches!(running, EngineError::CallKeyTaken { .. }), "{running}");
    settle(&world, first.instance, outcome(Some(grant))).await.unwrap();
    assert_ne!(call_as(&world, GATE, LARGE).await.unwrap().instance, first.instance);
}

#[tokio::test]
async fn nobody_takes_or_settles_the_call_of_somebody_else() {
    let world = world().await;
    let asked = call_as(&world, GATE, LARGE).await.unwrap();
    decide(&world, &asked, Step::Approve).await;
    let stolen = take_as(&world, AGENT, asked.instance).await.unwrap_err();
    assert!(matches!(stolen, EngineError::Forbidden { .. }), "{stolen}");
    let taken = take_as(&world, GATE, asked.instance).await.unwrap();
    let (grant, _) = begun(&world, &taken).await;
    let agent = world.people.requester(AGENT, world.clock.now());
    let engine = world.engine();
    let settled = engine.settle_call(world.call(), &agent, asked.instance, outcome(Some(grant))).await;
    assert!(matches!(settled, Err(EngineError::Forbidden { .. })), "{settled:?}");
    let kept = engine.keep_call(&mut world.call(), &agent, asked.instance).await;
    assert!(matches!(kept, Err(EngineError::LeaseLost)), "{kept:?}");
}

#[tokio::test]
async fn a_call_that_failed_ends_failed() {
    let world = world().await;
    let done = call_as(&world, GATE, SMALL).await.unwrap();
    let (grant, _) = begun(&world, &done).await;
    let report = OutcomeReport { status: OutcomeStatus::Failed, ..outcome(Some(grant)) };
    let ended = settle(&world, done.instance, report).await.unwrap();
    assert_eq!(kinds(&ended), [E::Outcome, E::AttemptEnded, E::Terminated]);
    is_valid(&world, done.instance).await;
}

#[tokio::test]
async fn an_interceptor_that_vanishes_leaves_unknown_and_may_still_say_what_came_of_it() {
    let world = world().await;
    let done = call_as(&world, GATE, SMALL).await.unwrap();
    let (grant, _) = begun(&world, &done).await;
    let gate = world.people.requester(GATE, world.clock.now());
    world.clock.advance(DurationMs::from_secs(20));
    let until = world.engine().keep_call(&mut world.call(), &gate, done.instance).await.unwrap();
    assert_eq!(until, world.clock.now().plus(CALL_LEASE));
    world.clock.advance(DurationMs::from_secs(20));
    world.engine().tick(world.clock.now(), world.seed()).await.unwrap();
    assert!(!events(&world, done.instance).await.contains(&E::Outcome), "a sign of life keeps it");
    world.clock.advance(CALL_LEASE);
    world.engine().tick(world.clock.now(), world.seed()).await.unwrap();
    let said = events(&world, done.instance).await;
    assert_eq!(said[said.len() - 2..], [E::AttemptEnded, E::Outcome]);
    let again = call_as(&world, GATE, SMALL).await.unwrap_err();
    assert!(matches!(again, EngineError::CallKeyTaken { .. }), "it is never run again by itself: {again}");
    settle(&world, done.instance, outcome(Some(grant))).await.unwrap();
    let facts = world.engine().instance(&world.tenant(), done.instance).await.unwrap();
    assert_eq!(facts.instance.state(), State::Completed, "the late word ends it");
    is_valid(&world, done.instance).await;
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer() {
    let world = world().await;
    let gate = world.people.requester(GATE, world.clock.now());
    let keyed = || world.keyed(gate.principal(), "POST /v1/calls", "1", "body");
    let asked = async || match world.engine().call(keyed(), &gate, new_call("refund", SMALL)).await.unwrap() {
        Called::Asked(done, action) => (done, action),
        Called::RefusedBefore(id) => panic!("{id} was refused before"),
    };
    let ((first, at_hand), (second, stored)) = (asked().await, asked().await);
    assert_eq!(first, second);
    assert!(at_hand.is_some() && stored.is_none());
    let opened = async |action| world.engine().begun_action(&world.tenant(), &first, action).await.unwrap();
    let (at_hand, stored) = (opened(at_hand).await, opened(stored).await);
    assert_eq!((at_hand.grant, at_hand.opened), (stored.grant, stored.opened));
    let asked = call_as(&world, GATE, LARGE).await.unwrap();
    decide(&world, &asked, Step::Approve).await;
    let keyed = || world.keyed(gate.principal(), "POST take", "1", "body");
    let first = world.engine().take_call(keyed(), &gate, asked.instance).await.unwrap();
    let second = world.engine().take_call(keyed(), &gate, asked.instance).await.unwrap();
    assert_eq!(first, second);
    let (grant, _) = begun(&world, &first).await;
    let keyed = || world.keyed(gate.principal(), "POST settle", "1", "body");
    for _ in 0..2 {
        let report = outcome(Some(grant));
        let ended = world.engine().settle_call(keyed(), &gate, asked.instance, report).await.unwrap();
        assert_eq!(kinds(&ended), [E::Outcome, E::AttemptEnded, E::Completed]);
    }
}

#[tokio::test]
async fn two_who_take_the_same_call_at_once_begin_it_once() {
    let world = world().await;
    let asked = call_as(&world, GATE, LARGE).await.unwrap();
    decide(&world, &asked, Step::Approve).await;
    let (one, two) =
        tokio::join!(take_as(&world, GATE, asked.instance), take_as(&world, GATE, asked.instance));
    assert_eq!([&one, &two].iter().filter(|taken| taken.is_ok()).count(), 1, "{one:?} {two:?}");
    let consumed = events(&world, asked.instance).await.into_iter().filter(|kind| *kind == E::Consumed);
    assert_eq!(consumed.count(), 1);
}

#[tokio::test]
async fn a_frozen_workflow_begins_no_call_and_a_decision_stays() {
    let world = world().await;
    let asked = call_as(&world, GATE, LARGE).await.unwrap();
    world.set_frozen(true).await;
    assert!(matches!(call_as(&world, GATE, SMALL).await, Err(EngineError::Frozen)));
    decide(&world, &asked, Step::Approve).await;
    assert!(matches!(take_as(&world, GATE, asked.instance).await, Err(EngineError::Frozen)));
    world.set_frozen(false).await;
    take_as(&world, GATE, asked.instance).await.unwrap();
}

#[tokio::test]
async fn a_rejected_call_is_never_begun() {
    let world = world().await;
    let asked = call_as(&world, GATE, LARGE).await.unwrap();
    decide(&world, &asked, Step::Reject).await;
    let taken = take_as(&world, GATE, asked.instance).await.unwrap_err();
    assert!(matches!(taken, EngineError::Refused(Refusal::Ended { .. })), "{taken}");
    let last = statements(&world, asked.instance).await.pop().unwrap();
    assert!(matches!(last.entry.event, Event::Terminated(ended) if ended.cause == Some(Cause::Rejected)));
    is_valid(&world, asked.instance).await;
}

#[tokio::test]
async fn what_a_human_refused_is_not_asked_again_for_a_while() {
    let world = world().await;
    let asked = call_as(&world, GATE, LARGE).await.unwrap();
    decide(&world, &asked, Step::Reject).await;
    let gate = world.people.requester(GATE, world.clock.now());
    let again = async || {
        let new = new_call("refund", LARGE);
        world.engine().call(world.call(), &gate, new).await.unwrap()
    };
    assert_eq!(again().await, Called::RefusedBefore(asked.instance));
    call_as(&world, GATE, LARGE + 1).await.unwrap();
    world.clock.advance(DurationMs::new(REFUSAL_REMEMBERED.get() - 1));
    assert_eq!(again().await, Called::RefusedBefore(asked.instance));
    world.clock.advance(DurationMs::new(1));
    assert_eq!(call_as(&world, GATE, LARGE).await.unwrap().state, State::WaitingForHuman);
}

#[tokio::test]
async fn what_was_withdrawn_or_lapsed_is_asked_again() {
    let world = world().await;
    let gate = world.people.requester(GATE, world.clock.now());
    let withdrawn = call_as(&world, GATE, LARGE).await.unwrap();
    world.engine().withdraw(world.call(), &gate, withdrawn.instance).await.unwrap();
    let lapses = call_as(&world, GATE, LARGE).await.unwrap();
    assert_eq!(lapses.state, State::WaitingForHuman);
    world.clock.advance(DurationMs::from_secs(24 * 60 * 60));
    let late = take_as(&world, GATE, lapses.instance).await.unwrap_err();
    assert!(matches!(late, EngineError::Refused(Refusal::Ended { .. })), "{late}");
    assert_eq!(call_as(&world, GATE, LARGE).await.unwrap().state, State::WaitingForHuman);
}

#[tokio::test]
async fn under_shadow_a_call_goes_on_and_says_what_came_of_it() {
    let world = world().await;
    world.set_mode(&Scope::Workflow(read(REFUND).id), Mode::Shadow).await;
    let done = call_as(&world, GATE, LARGE).await.unwrap();
    assert!(matches!(done.answer, Answer::Observed { .. }), "{done:?}");
    assert_eq!(kinds(&done), [E::Created, E::AttemptAssigned, E::Started, E::Observed]);
    let ended = settle(&world, done.instance, outcome(None)).await.unwrap();
    assert_eq!(kinds(&ended), [E::Outcome, E::AttemptEnded, E::Completed]);
    is_valid(&world, done.instance).await;
}

#[tokio::test]
async fn what_runners_execute_is_no_governed_call() {
    let world = World::new();
    world.apply(read(REFUND_RUN), &policy::example("refunds")).await;
    let gate = world.people.requester(GATE, world.clock.now());
    let refused = world.engine().call(world.call(), &gate, new_call("refund-run", SMALL)).await.unwrap_err();
    assert!(matches!(refused, EngineError::Forbidden { .. }), "{refused}");
}

#[tokio::test]
async fn an_instance_that_was_read_shows_its_grant_though_it_is_used_up_meanwhile() {
    let world = world().await;
    let asked = call_as(&world, GATE, LARGE).await.unwrap();
    decide(&world, &asked, Step::Approve).await;
    let read = world.engine().instance(&world.tenant(), asked.instance).await.unwrap().instance;
    let grant = read.pending_grant().unwrap();
    take_as(&world, GATE, asked.instance).await.unwrap();
    let shown = world.engine().grant_document(&read, grant).await.unwrap();
    assert_eq!(shown.get("action").map(amount), Some(LARGE));
}
