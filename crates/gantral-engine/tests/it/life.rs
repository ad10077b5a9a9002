//! Executions from their beginning to their end.

use gantral_core::state::{EventKind as E, State};
use gantral_engine::Answer;

use crate::script::{REJECTED, RUN, SELF, SMALL, SMALL_AT_ONCE, Script, Step};

#[tokio::test]
async fn an_agent_asks_and_exits_a_human_overrides_and_a_fresh_attempt_acts_once() {
    let script = Script::play(SELF).await;
    let expected = [
        E::Created,
        E::AttemptAssigned,
        E::Started,
        E::HumanRequired,
        E::Overridden,
        E::AttemptEnded,
        E::Resumed,
        E::Running,
        E::Consumed,
        E::Outcome,
        E::AttemptEnded,
        E::Completed,
    ];
    assert_eq!(script.events().await, expected);
    assert_eq!(script.facts().await.instance.attempt.0, 2);
    script.is_valid().await;
}

#[tokio::test]
async fn a_runner_claims_runs_ends_and_resumes() {
    let script = Script::play(RUN).await;
    let expected = [
        E::Created,
        E::AttemptAssigned,
        E::Started,
        E::HumanRequired,
        E::AttemptEnded,
        E::Overridden,
        E::Resumed,
        E::Running,
        E::Consumed,
        E::Outcome,
        E::AttemptEnded,
        E::Completed,
    ];
    assert_eq!(script.events().await, expected);
    script.is_valid().await;
}

#[tokio::test]
async fn what_policy_allows_is_granted_at_once_or_consumed_in_the_same_commit() {
    let mut script = Script::new(SMALL_AT_ONCE).await;
    for step in SMALL_AT_ONCE {
        let said = script.step(*step).await.unwrap();
        match (step, &said.answer) {
            (Step::Ask { consume: true, .. }, Answer::Allowed { act_by, .. }) => {
                assert!(act_by.is_some());
                let kinds: Vec<E> = said.receipts.iter().map(|(_, event, _)| *event).collect();
                assert_eq!(kinds, [E::Allowed, E::Consumed]);
            }
            (Step::Ask { .. }, Answer::Allowed { act_by, grant, .. }) => {
                assert!(act_by.is_none() && grant.is_some());
            }
            (Step::Ask { .. }, other) => panic!("{other:?}"),
            _ => {}
        }
    }
    assert_eq!(script.facts().await.instance.state(), State::Completed);
    script.is_valid().await;
}

#[tokio::test]
async fn a_rejection_ends_the_instance() {
    let script = Script::play(REJECTED).await;
    let events = script.events().await;
    assert_eq!(events[events.len() - 2..], [E::Rejected, E::Terminated]);
    assert_eq!(script.facts().await.instance.state(), State::Terminated);
    script.is_valid().await;
}

#[tokio::test]
async fn every_step_leaves_a_chain_that_a_stranger_finds_valid() {
    for steps in [SELF, RUN, SMALL_AT_ONCE, REJECTED] {
        let mut script = Script::new(steps).await;
        for step in steps {
            script.step(*step).await.unwrap();
            script.is_valid().await;
        }
    }
}

#[tokio::test]
async fn the_receipts_of_a_write_are_the_artifacts_of_the_chain() {
    let mut script = Script::new(SELF).await;
    let mut receipts = Vec::new();
    for step in SELF {
        receipts.extend(script.step(*step).await.unwrap().receipts);
    }
    let chain = script.world.engine().chain(&script.world.tenant(), script.id()).await.unwrap();
    assert_eq!(receipts.len(), chain.len());
    for ((sequence, _, hash), artifact) in receipts.iter().zip(&chain) {
        assert_eq!((*sequence, *hash), (artifact.sequence, artifact.hash));
    }
}

#[tokio::test]
async fn a_finished_instance_takes_no_more_commands() {
    let mut script = Script::play(SELF).await;
    for step in [Step::Begin, Step::Ask { amount: SMALL, consume: true }, Step::Consume, Step::Finish] {
        let error = script.step(step).await.unwrap_err();
        assert!(error.to_string().contains("the instance has ended"), "{step:?}: {error}");
    }
}
