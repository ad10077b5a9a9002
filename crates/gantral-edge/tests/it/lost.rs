//! What dies when a lease, a server or a runner is lost.

use std::time::{Duration, Instant};

use gantral_core::state::{DecisionKind, OutcomeStatus, State};
use gantral_edge::child::CgroupPlace;
use gantral_edge::runner::RunnerEvent;

use crate::place::{Place, dies, end, lives, numbers, runner_process, runs, shell};
use crate::roles;

/// A family of processes that write down their numbers and end for no reason of their own, nor when asked to.
fn family(path: &std::path::Path) -> Vec<String> {
    let path = path.display();
    let stay = "trap \"\" TERM; while true; do sleep 0.1; done";
    shell(&format!("echo $$ >> {path}; sh -c 'echo $$ >> {path}; {stay}' & {stay}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_ours_no_more_is_killed_with_everything_that_it_started() {
    let place = Place::open().await;
    let path = place.folder.path().join("family");
    place.apply(&runs(&family(&path), "3s")).await;
    let id = place.create().await;
    let running = place.run(|_| {}).await;
    let processes = numbers(&path, 2).await;
    place.human("dave").cancel(id.into()).await.unwrap();
    for process in processes {
        dies(process).await;
    }
    running.tells(|event| matches!(event, RunnerEvent::Lost { .. }).then_some(())).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_processes_are_gone_before_the_lease_ends() {
    let mut place = Place::open().await;
    let path = place.folder.path().join("family");
    place.apply(&runs(&family(&path), "4s")).await;
    place.create().await;
    let running = place.run(|_| {}).await;
    let processes = numbers(&path, 2).await;
    place.close().await;
    let last_renewal_at_latest = Instant::now();
    for process in processes {
        dies(process).await;
    }
    assert!(last_renewal_at_latest.elapsed() < Duration::from_secs(4), "somebody else could act by now");
    running.tells(|event| matches!(event, RunnerEvent::Lost { .. }).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_renewed_outlives_its_length() {
    let place = Place::open().await;
    let tokens = place.folder.path().join("tokens");
    let script = format!(
        "for i in 1 2 3 4 5 6 7 8; do cat $GANTRAL_TOKEN_FILE >> {0}; echo >> {0}; sleep 0.5; done",
        tokens.display()
    );
    place.apply(&runs(&shell(&script), "2s")).await;
    let id = place.create().await;
    let running = place.run(|_| {}).await;
    let view = place.reaches(id, State::Completed).await;
    assert_eq!(view.attempt, 1);
    running.stop().await;
    let text = std::fs::read_to_string(tokens).unwrap();
    let mut seen: Vec<&str> = text.lines().collect();
    assert!(seen.iter().all(|token| token.split('.').count() == 3), "a token is never seen half written");
    seen.dedup();
    assert!(seen.len() > 1, "the token is renewed in its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_killed_takes_all_its_processes_with_it() {
    let place = Place::open().await;
    let path = place.folder.path().join("family");
    place.apply(&runs(&family(&path), "2s")).await;
    let id = place.create().await;
    let runner = runner_process(&place, &CgroupPlace::Own).await;
    let first = numbers(&path, 2).await;
    end(runner);
    for process in &first {
        dies(*process).await;
    }
    // Nothing was consumed, so a fresh attempt may go on where the lost one was.
    let runner = runner_process(&place, &CgroupPlace::Own).await;
    let all = numbers(&path, 4).await;
    assert!(place.show(id).await.attempt >= 2);
    end(runner);
    for process in all {
        dies(process).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_acted_is_never_launched_again_by_itself() {
    let place = Place::open().await;
    let ledger = place.folder.path().join("ledger");
    place.apply(&runs(&roles::agent(&ledger, "vanish"), "2s")).await;
    let id = place.create().await;
    let runner = runner_process(&place, &CgroupPlace::Own).await;
    place.decide(DecisionKind::Approve, None).await;
    let acting = numbers(&ledger, 1).await[0];
    end(runner);
    dies(acting).await;

    let running = place.run(|_| {}).await;
    let until = Instant::now() + Duration::from_secs(8);
    let mut unknown = false;
    while Instant::now() < until {
        let view = place.show(id).await;
        unknown |= view.outcomes.iter().any(|outcome| outcome.status == Some(OutcomeStatus::Unknown.into()));
        assert_eq!((view.attempt, *view.state), (2, State::Running));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(unknown, "the server knows that nobody knows");
    assert!(running.stop().await.is_empty());
    assert_eq!(std::fs::read_to_string(&ledger).unwrap().lines().count(), 1);
    assert!(!lives(acting));
}
