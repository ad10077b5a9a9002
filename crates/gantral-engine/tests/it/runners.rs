//! Runners: what they may claim, what a lost one leaves behind, and what an old attempt may still do.

use gantral_core::command::Refusal;
use gantral_core::digest::CommitmentLabel;
use gantral_core::ids::{AttemptNo, GrantId, Name};
use gantral_core::state::{EventKind, NextStep, OutcomeStatus, State};
use gantral_core::time::DurationMs;
use gantral_engine::{Answer, EngineError, Reconciliation, Task, Ticked};
use gantral_testkit::workflows::{REFUND_RUN, read};
use gantral_testkit::{AGENT, RUNNER, policy};

use crate::script::{RUN, SELF, SMALL, Script, Step, ask, new_instance, outcome};

/// A runner's lease in these workflows.
const LEASE: DurationMs = DurationMs::from_secs(30);

async fn claim(script: &Script) -> Result<Option<Task>, EngineError> {
    let (world, now) = (&script.world, script.world.clock.now());
    let runner = world.people.runner(RUNNER, now);
    world.engine().claim(&mut world.call(), &runner, &Name::parse("default").unwrap()).await
}

async fn tick(script: &Script) -> Ticked {
    script.world.engine().tick(script.world.clock.now(), script.world.seed()).await.unwrap()
}

/// Plays until the first attempt runs and has consumed what policy allows.
async fn acting() -> (Script, GrantId) {
    let mut script = Script::begin(RUN, 3).await;
    let said = script.step(Step::Ask { amount: SMALL, consume: true }).await.unwrap();
    let Answer::Allowed { grant, .. } = said.answer else { panic!("{said:?}") };
    (script, grant.unwrap())
}

/// Lets the lease end and the loss be sealed.
async fn lost(script: &Script) {
    script.world.clock.advance(LEASE);
    assert_eq!(tick(script).await, Ticked { lost: 1, ..Ticked::default() });
    assert_eq!(tick(script).await, Ticked::default());
}

#[tokio::test]
async fn a_runner_claims_from_its_queues_and_for_its_teams_only() {
    let script = Script::begin(RUN, 1).await;
    let (world, now) = (&script.world, script.world.clock.now());
    let runner = world.people.runner(RUNNER, now);
    let other = Name::parse("other").unwrap();
    let refused = world.engine().claim(&mut world.call(), &runner, &other).await.map(|_| ());
    assert!(matches!(refused, Err(EngineError::Forbidden { .. })), "{refused:?}");
    assert!(claim(&script).await.unwrap().is_some());

    let foreign = REFUND_RUN.replace("\"payments\"", "\"platform\"").replace("refund-run", "foreign");
    world.apply(read(&foreign), &policy::example("refunds")).await;
    let agent = world.people.requester(AGENT, now);
    world.engine().create(world.call(), &agent, new_instance("foreign")).await.unwrap();
    assert!(claim(&script).await.unwrap().is_none());
}

#[tokio::test]
async fn a_task_carries_what_the_runner_needs_to_verify_and_to_run() {
    let script = Script::begin(RUN, 6).await;
    let task = claim(&script).await.unwrap().expect("the decision made a task");
    assert!(task.resumed);
    assert_eq!((task.attempt, task.lease_until), (AttemptNo(2), script.world.clock.now().plus(LEASE)));
    assert_eq!(task.run.resume_command, ["agent", "--resume"]);
    let commitment =
        gantral_core::digest::commit(CommitmentLabel::Context, &task.context.salt, &task.context.bytes);
    assert_eq!(commitment, task.context.commitment);
    assert_eq!(task.chain.len(), script.events().await.len());
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_answered_again_and_takes_no_other_task() {
    let mut script = Script::begin(RUN, 1).await;
    let (known, key) = (script.learned, script.done);
    script.step(Step::Claim).await.unwrap();
    let (world, now) = (&script.world, script.world.clock.now());
    let agent = world.people.requester(AGENT, now);
    world.engine().create(world.call(), &agent, new_instance("refund-run")).await.unwrap();
    script.send(Step::Claim, known, key, "body").await.unwrap();
    assert!(claim(&script).await.unwrap().is_some(), "the other task is still there");
    script.world.clock.advance(LEASE);
    script.world.engine().tick(script.world.clock.now(), script.world.seed()).await.unwrap();
    claim(&script).await.unwrap().expect("what was lost is claimed anew");
}

#[tokio::test]
async fn a_resume_is_claimed_only_after_the_old_attempt_has_ended() {
    let mut script = Script::begin(RUN, 4).await;
    script.step(Step::Approve).await.unwrap();
    assert!(claim(&script).await.unwrap().is_none());
    script.step(Step::End(3)).await.unwrap();
    assert!(claim(&script).await.unwrap().is_some());
}

#[tokio::test]
async fn a_resume_is_claimed_after_the_old_attempts_lease_has_ended() {
    let mut script = Script::begin(RUN, 4).await;
    script.step(Step::Approve).await.unwrap();
    lost(&script).await;
    let task = claim(&script).await.unwrap().expect("the old attempt is gone");
    assert!(task.resumed);
    script.is_valid().await;
}

#[tokio::test]
async fn what_humans_granted_is_handed_on_when_the_attempt_that_had_it_was_lost_before_it_acted() {
    let mut script = Script::begin(RUN, 8).await;
    let given = |task: &Task| {
        let text = String::from_utf8(task.context.bytes.clone()).unwrap();
        text.contains(&script.learned.grant.unwrap().to_string())
    };
    lost(&script).await;
    let task = claim(&script).await.unwrap().expect("another attempt follows a lost one");
    assert!(task.resumed && given(&task));
    script.learned.attempt = task.attempt.0;
    for step in [Step::Consume, Step::Report, Step::End(0)] {
        script.step(step).await.unwrap();
    }
    script.is_valid().await;
}

#[tokio::test]
async fn a_heartbeat_keeps_an_attempt_until_it_comes_too_late() {
    let script = Script::begin(RUN, 3).await;
    let (world, id) = (&script.world, script.id());
    let runner = world.people.runner(RUNNER, world.clock.now());
    for _ in 0..3 {
        world.clock.advance(DurationMs::from_secs(29));
        let until = world.engine().heartbeat(&mut world.call(), &runner, id, AttemptNo(1)).await.unwrap();
        assert_eq!(until, world.clock.now().plus(LEASE));
        assert_eq!(tick(&script).await, Ticked::default());
    }
    world.clock.advance(LEASE);
    let late = world.engine().heartbeat(&mut world.call(), &runner, id, AttemptNo(1)).await;
    assert_eq!(late, Err(EngineError::LeaseLost));
}

#[tokio::test]
async fn a_lost_attempt_consumes_nothing_though_no_timer_ran() {
    let mut script = Script::begin(RUN, 8).await;
    script.world.clock.advance(LEASE);
    assert_eq!(script.step(Step::Consume).await, Err(EngineError::LeaseLost));
    let small = script.step(Step::Ask { amount: SMALL, consume: true }).await;
    assert_eq!(small, Err(EngineError::LeaseLost));
    assert!(!script.events().await.contains(&EventKind::Consumed));
}

#[tokio::test]
async fn what_a_lost_attempt_consumed_is_unknown_and_blocks_until_a_human_reconciles() {
    let (mut script, grant) = acting().await;
    lost(&script).await;
    assert_eq!(*script.events().await.last().unwrap(), EventKind::Outcome);
    assert!(claim(&script).await.unwrap().is_none());
    let (world, dave) = (&script.world, script.world.people.administrator("dave", script.world.clock.now()));
    let error = world.engine().cancel(world.call(), &dave, script.id()).await.unwrap_err();
    assert_eq!(error, EngineError::Refused(Refusal::OutcomeUnknown { grant }));
    let found = Reconciliation {
        grant,
        status: OutcomeStatus::Succeeded,
        next: NextStep::Continue,
        justification: "it is on the statement".to_owned(),
    };
    world.engine().reconcile(world.call(), &dave, script.id(), found.clone()).await.unwrap();
    let again = world.engine().reconcile(world.call(), &dave, script.id(), found).await.unwrap_err();
    assert_eq!(again, EngineError::Refused(Refusal::OutcomeNotOwed { grant }));
    assert!(claim(&script).await.unwrap().is_some());
    script.is_valid().await;

    let (mut ended, grant) = acting().await;
    std::mem::swap(&mut script, &mut ended);
    lost(&script).await;
    let (world, dave) = (&script.world, script.world.people.administrator("dave", script.world.clock.now()));
    let found = Reconciliation {
        grant,
        status: OutcomeStatus::Failed,
        next: NextStep::Terminate,
        justification: "it never happened".to_owned(),
    };
    let done = world.engine().reconcile(world.call(), &dave, script.id(), found).await.unwrap();
    assert_eq!(done.state, State::Terminated);
    script.is_valid().await;
}

#[tokio::test]
async fn a_lost_attempt_may_still_say_once_what_came_of_its_action() {
    let (script, grant) = acting().await;
    lost(&script).await;
    let (world, bearer) = (&script.world, script.world.bearer(script.id(), 1));
    world.engine().report(world.call(), &bearer, outcome(Some(grant))).await.unwrap();
    let again = world.engine().report(world.call(), &bearer, outcome(Some(grant))).await.unwrap_err();
    assert_eq!(again, EngineError::Refused(Refusal::OutcomeNotOwed { grant }));
    let task = claim(&script).await.unwrap().expect("nothing is owed any more");
    assert_eq!(task.attempt, AttemptNo(2));
    let old = world.engine().ask(world.call(), &bearer, ask(SMALL, true)).await.unwrap_err();
    assert!(matches!(old, EngineError::Refused(Refusal::StaleAttempt { .. })), "{old:?}");
    script.is_valid().await;
}

#[tokio::test]
async fn nobody_else_reports_an_outcome() {
    let (script, grant) = acting().await;
    let (world, other) = (&script.world, script.world.bearer(script.id(), 2));
    let error = world.engine().report(world.call(), &other, outcome(Some(grant))).await.unwrap_err();
    assert_eq!(error, EngineError::Refused(Refusal::OutcomeNotOwed { grant }));
}

#[tokio::test]
async fn an_old_attempt_is_refused_everything_but_its_report() {
    let script = Script::begin(RUN, 3).await;
    lost(&script).await;
    claim(&script).await.unwrap().expect("another attempt follows a lost one");
    let (world, id) = (&script.world, script.id());
    let runner = world.people.runner(RUNNER, world.clock.now());
    let (engine, first) = (world.engine(), AttemptNo(1));
    assert_eq!(engine.attach(world.call(), &runner, id, first).await, Err(EngineError::LeaseLost));
    assert_eq!(engine.end_attempt(world.call(), &runner, id, first, 0).await, Err(EngineError::LeaseLost));
    let beat = engine.heartbeat(&mut world.call(), &runner, id, first).await;
    assert_eq!(beat, Err(EngineError::LeaseLost));
    let finished = engine.finish(world.call(), &world.bearer(id, 1), true).await.unwrap_err();
    assert!(matches!(finished, EngineError::Refused(Refusal::StaleAttempt { .. })), "{finished:?}");
}

#[tokio::test]
async fn an_instance_fails_when_too_many_attempts_were_lost() {
    let mut script = Script::begin(RUN, 3).await;
    for attempt in 1..=3 {
        lost(&script).await;
        if attempt < 3 {
            script.step(Step::Claim).await.unwrap();
        }
    }
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    assert!(claim(&script).await.unwrap().is_none());
    script.is_valid().await;
}

#[tokio::test]
async fn a_failed_exit_fails_the_instance() {
    let mut script = Script::begin(RUN, 3).await;
    script.step(Step::End(1)).await.unwrap();
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    script.is_valid().await;
}

#[tokio::test]
async fn an_instance_whose_input_was_erased_blocks_no_other_of_its_queue() {
    let script = Script::begin(RUN, 1).await;
    let (world, now) = (&script.world, script.world.clock.now());
    let input = script.facts().await.instance.created.context.unwrap();
    world.erase(script.id(), input).await;
    assert!(claim(&script).await.unwrap().is_none());
    let agent = world.people.requester(AGENT, now);
    let other = world.engine().create(world.call(), &agent, new_instance("refund-run")).await.unwrap();
    let task = claim(&script).await.unwrap().expect("the other instance can run");
    assert_eq!(task.instance, other.instance);
}

#[tokio::test]
async fn an_agent_does_not_replace_the_attempt_that_a_runner_holds() {
    for steps in [3, 4] {
        let mut script = Script::begin(RUN, steps).await;
        let error = script.step(Step::Begin).await.unwrap_err();
        let alive = Refusal::AttemptAlive { attempt: AttemptNo(1) };
        assert_eq!(error, EngineError::Refused(alive));
    }
}

#[tokio::test]
async fn an_agent_that_comes_back_finds_its_unreported_action_unknown_and_never_acts_again_by_itself() {
    let mut script = Script::begin(SELF, 6).await;
    let grant = script.learned.grant.unwrap();
    let unknown = Err(EngineError::Refused(Refusal::OutcomeUnknown { grant }));
    for _ in 0..2 {
        assert_eq!(script.step(Step::Begin).await, unknown);
    }
    assert_eq!(*script.events().await.last().unwrap(), EventKind::Outcome);
    let consumed = script.events().await.iter().filter(|event| **event == EventKind::Consumed).count();
    assert_eq!(consumed, 1);
    script.step(Step::Report).await.unwrap();
    script.step(Step::Begin).await.unwrap();
    script.step(Step::Finish).await.unwrap();
    script.is_valid().await;
}

#[tokio::test]
async fn only_the_creator_executes_by_itself() {
    let script = Script::begin(SELF, 1).await;
    let world = &script.world;
    let other = world.people.requester(gantral_testkit::OTHER_AGENT, world.clock.now());
    let error = world.engine().begin_self(world.call(), &other, script.id()).await.map(|_| ());
    assert!(matches!(error, Err(EngineError::Forbidden { .. })), "{error:?}");
}
