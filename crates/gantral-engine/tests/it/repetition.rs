//! The same request again: the first answer, and nothing new.

use std::time::{Duration, Instant};

use gantral_engine::EngineError;

use crate::script::{Learned, REJECTED, RUN, SELF, SMALL_AT_ONCE, Said, Script, Step};

#[tokio::test]
async fn a_repeated_request_gets_its_first_answer_whenever_it_comes() {
    for steps in [SELF, RUN, SMALL_AT_ONCE, REJECTED] {
        let mut script = Script::new(steps).await;
        let mut first: Vec<(Step, Learned, Said)> = Vec::new();
        for step in steps {
            let known = script.learned;
            let said = script.step(*step).await.unwrap();
            let events = script.events().await;
            let again = script.send(*step, known, first.len(), "body").await.unwrap();
            assert_eq!(again, said, "{step:?} at once");
            assert_eq!(script.events().await, events);
            first.push((*step, known, said));
        }
        let events = script.events().await;
        script.world.restart();
        for (key, (step, known, said)) in first.iter().enumerate() {
            if *step == Step::Claim && key + 4 < steps.len() {
                continue; // What was claimed is somebody else's by now: see the runners' tests.
            }
            let again = script.send(*step, *known, key, "body").await.unwrap();
            assert_eq!(&again, said, "{step:?} at the end");
        }
        assert_eq!(script.events().await, events);
    }
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() {
    for steps in [SELF, RUN, SMALL_AT_ONCE, REJECTED] {
        let mut script = Script::new(steps).await;
        for (key, step) in steps.iter().enumerate() {
            let known = script.learned;
            script.step(*step).await.unwrap();
            let events = script.events().await;
            let other = script.send(*step, known, key, "another body").await;
            assert_eq!(other, Err(EngineError::KeyReused), "{step:?}");
            assert_eq!(script.events().await, events);
        }
    }
}

#[tokio::test]
async fn a_request_that_was_refused_may_be_repeated_and_succeed() {
    let mut script = Script::new(SELF).await;
    for step in [Step::Create, Step::Begin] {
        script.step(step).await.unwrap();
    }
    let known = script.learned;
    script.learned.attempt = 9;
    let stranger = script.step(Step::Ask { amount: 1, consume: false }).await.unwrap_err();
    assert!(matches!(stranger, EngineError::Refused(_)), "{stranger:?}");
    script.learned = known;
    script.step(Step::Ask { amount: 1, consume: false }).await.unwrap();
}

/// The time of a repetition is compared with that of a fold of the same chain in the same run.
#[tokio::test]
async fn repeating_old_requests_of_a_long_instance_folds_it_once() {
    let mut script = Script::new(SELF).await;
    script.step(Step::Create).await.unwrap();
    script.step(Step::Begin).await.unwrap();
    let mut asked = Vec::new();
    for amount in 1..=200 {
        asked.push((Step::Ask { amount, consume: true }, script.learned, script.done));
        script.step(asked[asked.len() - 1].0).await.unwrap();
        script.step(Step::Report).await.unwrap();
    }
    let events = script.events().await;
    script.world.restart();
    let (mut repetitions, begun) = (Vec::new(), Instant::now());
    script.facts().await;
    let fold = begun.elapsed();
    for (step, known, key) in asked {
        let begun = Instant::now();
        script.send(step, known, key, "body").await.unwrap();
        repetitions.push(begun.elapsed());
    }
    let total: Duration = repetitions.iter().sum();
    assert!(total < fold * 20, "200 repetitions took {total:?}, one fold {fold:?}");
    assert_eq!(script.events().await, events);
}
