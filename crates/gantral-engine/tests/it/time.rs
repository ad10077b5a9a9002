//! What time demands: gates close, escalate and grants lapse, whenever the timer comes; and what a freeze stops.

use gantral_core::command::Refusal;
use gantral_core::ids::InstanceId;
use gantral_core::state::{EventKind, State};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_engine::{EngineError, Ticked};
use gantral_store::fault::Fault;
use gantral_testkit::policy::rules;
use gantral_testkit::workflows::{REFUND, read};
use gantral_testkit::{AGENT, World, policy};

use crate::script::{LARGE, Learned, RUN, SELF, SMALL, Script, Step, ask, decision, events, new_instance};

const DAY: DurationMs = DurationMs::from_secs(86_400);

pub async fn tick(script: &Script) -> Ticked {
    script.world.engine().tick(script.world.clock.now(), script.world.seed()).await.unwrap()
}

async fn with(text: &str, steps: &[Step]) -> Script {
    let world = World::new();
    world.apply(read(text), &policy::example("refunds")).await;
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    for step in steps {
        script.step(*step).await.unwrap();
    }
    script
}

#[tokio::test]
async fn a_gate_that_nobody_answered_closes_at_its_deadline_and_not_before() {
    for late in [0, 1, 86_400_000] {
        let script = Script::begin(SELF, 3).await;
        let deadline = script.facts().await.instance.gate().unwrap().deadline;
        let left = deadline.since(script.world.clock.now()).get();
        script.world.clock.advance(DurationMs::new(left - 1));
        assert_eq!(tick(&script).await, Ticked::default());
        script.world.clock.advance(DurationMs::new(1 + late));
        assert_eq!(tick(&script).await, Ticked { due: 1, ..Ticked::default() });
        assert_eq!(tick(&script).await, Ticked::default());
        let events = script.events().await;
        assert_eq!(events[events.len() - 2..], [EventKind::Rejected, EventKind::Terminated]);
        script.is_valid().await;
    }
}

#[tokio::test]
async fn a_due_step_whose_write_fails_stays_due() {
    for fault in [Fault::Failed, Fault::FailedUnknown, Fault::FailedButPersisted] {
        let script = Script::begin(SELF, 3).await;
        let deadline = script.facts().await.instance.gate().unwrap().deadline;
        script.world.clock.advance_to(deadline);
        script.world.faults.fail_next(fault);
        assert_eq!(tick(&script).await, Ticked { failed: 1, ..Ticked::default() });
        let kept = fault == Fault::FailedButPersisted;
        assert_eq!(tick(&script).await.due, usize::from(!kept));
        assert_eq!(script.facts().await.instance.state(), State::Terminated);
        script.is_valid().await;
    }
}

#[tokio::test]
async fn a_gate_escalates_once_before_it_closes() {
    let text = REFUND.replace("\"timeout\":", "\"on_timeout\": \"escalate\", \"timeout\":");
    let mut script = with(&text, &SELF[..3]).await;
    let deadline = script.facts().await.instance.gate().unwrap().deadline;
    script.world.clock.advance_to(deadline);
    let error = script.step(Step::Approve).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused(Refusal::GateMoved { .. })), "{error:?}");
    assert_eq!(*script.events().await.last().unwrap(), EventKind::Escalated);
    let world = &script.world;
    let (cora, gate) = (world.people.approver("cora", world.clock.now()), script.learned.gate.unwrap());
    let seen = world.engine().decide_gate(world.call(), &cora, gate, decision(Step::Approve)).await;
    assert_eq!(seen, Err(EngineError::Refused(Refusal::GateMoved { seen: 1, current: 2 })));
    let request = gantral_engine::DecisionRequest { gate_version: 2, ..decision(Step::Approve) };
    let decided = world.engine().decide_gate(world.call(), &cora, gate, request).await.unwrap();
    assert_eq!(decided.state, State::Approved);
    script.is_valid().await;

    let script = with(&text, &SELF[..3]).await;
    script.world.clock.advance(DAY);
    tick(&script).await;
    assert_eq!(script.facts().await.instance.state(), State::WaitingForHuman);
    script.world.clock.advance(DAY);
    tick(&script).await;
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    script.is_valid().await;
}

#[tokio::test]
async fn a_grant_that_nobody_used_lapses_and_ends_the_instance() {
    let mut script = Script::begin(SELF, 4).await;
    script.world.clock.advance(DAY);
    let error = script.step(Step::Begin).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused(Refusal::Ended { .. })), "{error:?}");
    let events = script.events().await;
    assert!(events.ends_with(&[EventKind::Resumed, EventKind::Running, EventKind::Terminated]), "{events:?}");
    script.is_valid().await;
}

#[tokio::test]
async fn an_instance_that_outlived_its_time_ends() {
    for steps in [1, 2] {
        let script = Script::begin(SELF, steps).await;
        script.world.clock.advance(DurationMs::from_secs(7 * 86_400));
        let ticked = tick(&script).await;
        assert_eq!(ticked.failed, 0);
        assert_eq!(script.facts().await.instance.state(), State::Terminated);
        assert_eq!(tick(&script).await, Ticked::default());
        script.is_valid().await;
    }
}

#[tokio::test]
async fn a_clock_that_goes_back_seals_no_event_before_the_last_one() {
    let mut script = Script::begin(SELF, 2).await;
    let earlier = script.world.clock.now();
    script.world.clock.advance(DAY);
    script.step(Step::Ask { amount: SMALL, consume: true }).await.unwrap();
    let (world, bearer) = (&script.world, script.world.bearer(script.id(), 1));
    let call = gantral_engine::Call { now: earlier, ..world.call() };
    let report = crate::script::outcome(script.learned.grant);
    world.engine().report(call, &bearer, report).await.unwrap();
    assert_eq!(script.facts().await.instance.last_at, script.world.clock.now());
    script.is_valid().await;
}

#[tokio::test]
async fn a_freeze_stops_assignment_and_consumption_and_nothing_else_until_it_is_lifted() {
    let mut script = Script::begin(SELF, 5).await;
    script.world.set_frozen(true).await;
    assert_eq!(script.step(Step::Consume).await, Err(EngineError::Frozen));
    let small = Step::Ask { amount: SMALL, consume: true };
    assert_eq!(script.step(small).await, Err(EngineError::Frozen));
    assert_eq!(script.step(Step::Begin).await, Err(EngineError::Frozen));
    let asked = script.step(Step::Ask { amount: SMALL, consume: false }).await;
    assert!(asked.is_ok(), "asking moves no authority: {asked:?}");
    script.world.set_frozen(false).await;
    script.learned.grant = script.facts().await.instance.grants.keys().next().copied();
    script.step(small).await.unwrap();
    script.is_valid().await;
}

#[tokio::test]
async fn a_freeze_stops_claims_and_the_task_waits() {
    let mut script = Script::begin(RUN, 1).await;
    // The engine learns that nothing is frozen, and must not go by that later.
    script.step(Step::Claim).await.unwrap();
    script.step(Step::Attach).await.unwrap();
    script.step(Step::Ask { amount: LARGE, consume: false }).await.unwrap();
    script.step(Step::End(3)).await.unwrap();
    script.step(Step::Approve).await.unwrap();
    script.world.set_frozen(true).await;
    assert_eq!(script.step(Step::Claim).await, Err(EngineError::NotFound { what: "a task" }));
    script.world.set_frozen(false).await;
    script.step(Step::Claim).await.unwrap();
}

/// How many gates have their deadline in one second.
pub const AT_ONCE: usize = 1_000;

/// Opens so many gates whose deadlines lie within one second.
pub async fn gates_at_once(world: &World) -> Vec<InstanceId> {
    let mut opened = Vec::with_capacity(AT_ONCE);
    for batch in 0..AT_ONCE / 50 {
        let open = (0..50).map(|_| async {
            let (engine, agent) = (world.engine(), world.people.requester(AGENT, world.clock.now()));
            let id = engine.create(world.call(), &agent, new_instance("refund")).await.unwrap().instance;
            engine.begin_self(world.call(), &agent, id).await.unwrap();
            engine.ask(world.call(), &world.bearer(id, 1), ask(LARGE, false)).await.unwrap();
            id
        });
        opened.extend(futures_util::future::join_all(open).await);
        world.clock.advance(DurationMs::new(if batch % 2 == 0 { 50 } else { 0 }));
    }
    opened
}

#[tokio::test]
async fn a_thousand_gates_that_are_due_in_one_second_move_once_each_over_a_restart_and_a_clock_step() {
    let mut world = World::new();
    let text = REFUND.replace("\"floors\": {", "\"floors\": {\"on_timeout\": \"escalate\", ");
    let bundle = rules(
        "decision := \"REQUIRE_HUMAN\"\napprover_roles := [\"FINANCE_LEAD\"]\ntimeout := \"10m\"\nescalation_roles := [\"CFO\"]",
    );
    world.apply(read(&text), &bundle).await;
    let gates = gates_at_once(&world).await;
    let at_deadline = world.clock.advance(DurationMs::from_secs(600));
    let tick = async |world: &World, now| world.engine().tick(now, world.seed()).await.unwrap();
    let escalated = tick(&world, at_deadline).await.due;
    assert!(escalated > 0 && escalated < AT_ONCE, "{escalated}");
    // Half of the work was done when the server was started anew, and its clock stood an hour back for a while.
    world.restart();
    let back = UnixMillis::new(at_deadline.get() - 3_600_000).unwrap();
    assert_eq!(tick(&world, back).await, Ticked::default());
    loop {
        // Two nodes that tick at once hinder each other and repeat nothing.
        let (one, other) = tokio::join!(tick(&world, at_deadline), tick(&world, at_deadline));
        assert_eq!(one.failed + other.failed, 0);
        if one.due + other.due == 0 {
            break;
        }
    }
    let at_end = world.clock.advance(DurationMs::from_secs(601));
    while tick(&world, at_end).await.due > 0 {}
    for id in gates {
        let events = events(&world, id).await;
        let count = |kind| events.iter().filter(|event| **event == kind).count();
        let counted = (count(EventKind::Escalated), count(EventKind::Rejected), count(EventKind::Terminated));
        assert_eq!(counted, (1, 1, 1), "{id}: {events:?}");
    }
}
