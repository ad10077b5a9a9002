//! Where an orchestrator says when work may begin: what it is told, what it releases, and that nothing begins without it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gantral_api::client::Client;
use gantral_api::problem::Code;
use gantral_api::wire::{Attach, AuthorityAnswer, Claim, Course, CourseQuery, EndAttempt, text};
use gantral_core::state::State;
use gantral_core::time::DurationMs;
use gantral_testkit::policy::example;
use gantral_testkit::{AGENT, RUNNER, workflows};
use serde_json::json;

use crate::place::{FOREIGN_ORCHESTRATOR, ORCHESTRATOR, Place, code, decision, refund, to};

fn queue() -> Claim {
    to(json!({"queue": "default"}))
}

async fn place() -> Place {
    let place = Place::orchestrated().await;
    place.ready().await;
    place.apply(workflows::REFUND_RUN, &example("refunds")).await;
    place
}

async fn claimed(place: &Place, wait: &str) -> Option<u32> {
    let task = place.machine(RUNNER).claim(&queue(), wait.parse().unwrap()).await.unwrap();
    task.map(|task| task.attempt)
}

fn wanted(course: &Course) -> Option<(u32, bool)> {
    course.dispatch.as_ref().map(|dispatch| (dispatch.attempt, dispatch.released))
}

/// Reads the feed up to where it follows.
async fn caught_up(orchestrator: &Client) -> (Vec<Course>, String) {
    let (mut all, mut query) = (Vec::new(), CourseQuery::default());
    loop {
        let page = orchestrator.courses(&query).await.unwrap();
        all.extend(page.items);
        query.cursor = Some(page.next.clone());
        if page.following {
            return (all, page.next);
        }
    }
}

#[tokio::test]
async fn nothing_is_handed_to_a_runner_before_it_is_released() {
    let place = place().await;
    let id = place.create("refund-run").await.instance_id;
    assert_eq!(claimed(&place, "1s").await, None);
    let orchestrator = place.machine(ORCHESTRATOR);
    let course = orchestrator.look(id).await.unwrap();
    assert_eq!((wanted(&course), course.live), (Some((1, false)), false));

    // Of an attempt that is not the next one nothing is released.
    for other in [0, 2] {
        assert_eq!(wanted(&orchestrator.release(id, other).await.unwrap()), Some((1, false)));
    }
    assert_eq!(claimed(&place, "1ms").await, None);
    assert_eq!(wanted(&orchestrator.release(id, 1).await.unwrap()), Some((1, true)));
    assert_eq!(wanted(&orchestrator.release(id, 1).await.unwrap()), Some((1, true)), "a release is repeated");
    assert_eq!(claimed(&place, "1ms").await, Some(1));
    let course = orchestrator.release(id, 1).await.unwrap();
    assert_eq!((wanted(&course), course.attempt, course.live), (None, 1, true));
}

#[tokio::test]
async fn a_runner_that_waits_is_given_what_is_released_meanwhile() {
    let place = place().await;
    let id = place.create("refund-run").await.instance_id;
    let runner = place.machine(RUNNER);
    let waits = tokio::spawn(async move { runner.claim(&queue(), "30s".parse().unwrap()).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waits.is_finished());
    let started = Instant::now();
    place.machine(ORCHESTRATOR).release(id, 1).await.unwrap();
    assert_eq!(waits.await.unwrap().unwrap().instance_id, id);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_humans_granted_waits_for_a_release_of_its_own() {
    let place = place().await;
    let (orchestrator, runner) = (place.machine(ORCHESTRATOR), place.machine(RUNNER));
    let id = place.create("refund-run").await.instance_id;
    orchestrator.release(id, 1).await.unwrap();
    assert_eq!(claimed(&place, "5s").await, Some(1));
    let attached = runner.attach(id, Attach::Assigned { attempt: 1 }).await.unwrap();
    let answer = place.bearing(&attached.token).ask(id, &refund(48_000)).await.unwrap();
    let AuthorityAnswer::RequireHuman(waiting) = answer else { panic!("no human is asked") };
    runner.end_attempt(id, 1, EndAttempt { exit_status: 3 }).await.unwrap();
    let course = orchestrator.look(id).await.unwrap();
    assert_eq!((course.state.into_inner(), wanted(&course)), (State::WaitingForHuman, None));
    place.human("fiona").decide(waiting.gate_id, &decision("APPROVE", 1)).await.unwrap();
    // The release of the first attempt releases nothing of the second.
    assert_eq!(wanted(&orchestrator.release(id, 1).await.unwrap()), Some((2, false)));
    assert_eq!(claimed(&place, "1s").await, None);
    orchestrator.release(id, 2).await.unwrap();
    assert_eq!(claimed(&place, "5s").await, Some(2));
}

#[tokio::test]
async fn a_look_seals_what_is_due_and_the_loss_of_an_attempt() {
    let mut place = Place::without_scheduler().await;
    place.set_orchestrated(true).await;
    place.ready().await;
    place.apply(workflows::REFUND_RUN, &example("refunds")).await;
    place.apply_refunds().await;
    let lost = place.create("refund-run").await.instance_id;
    place.machine(ORCHESTRATOR).release(lost, 1).await.unwrap();
    assert_eq!(claimed(&place, "5s").await, Some(1));
    let waits = place.waiting().await;
    let due = place.machine(ORCHESTRATOR).look(waits.id).await.unwrap().due_at.unwrap().into_inner();
    place.clock.advance(DurationMs::from_secs(31));
    let course = place.machine(ORCHESTRATOR).look(lost).await.unwrap();
    assert_eq!((course.live, wanted(&course)), (false, Some((2, false))), "the lost attempt is replaced");
    while place.clock.now() < due {
        place.clock.advance(DurationMs::from_secs(3_600));
    }
    let mut course = place.machine(ORCHESTRATOR).look(waits.id).await.unwrap();
    // Each step of an escalation begins when it is sealed.
    while let Some(next) = course.due_at.filter(|_| !course.state.into_inner().is_final()) {
        while place.clock.now() < next.into_inner() {
            place.clock.advance(DurationMs::from_secs(3_600));
        }
        course = place.machine(ORCHESTRATOR).look(waits.id).await.unwrap();
    }
    assert_eq!(course.state.into_inner(), State::Terminated);
}

#[tokio::test]
async fn the_feed_tells_of_everything_that_is_open_and_then_of_what_moves() {
    let place = place().await;
    let orchestrator = place.machine(ORCHESTRATOR);
    let open: BTreeSet<text::InstanceId> =
        [place.create("refund-run").await.instance_id, place.create("refund-run").await.instance_id].into();
    let ended = place.create("refund-run").await.instance_id;
    place.human("dave").cancel(ended).await.unwrap();

    let (told, next) = caught_up(&orchestrator).await;
    assert_eq!(told.iter().map(|course| course.instance_id).collect::<BTreeSet<_>>(), open);
    assert!(told.iter().all(|course| wanted(course) == Some((1, false))));

    // The feed may be read again from where it was, as often as anybody likes.
    let query = CourseQuery { cursor: Some(next), wait: Some("30s".parse().unwrap()) };
    let follower = orchestrator.clone();
    let asked = query.clone();
    let waits = tokio::spawn(async move { follower.courses(&asked).await.unwrap() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waits.is_finished());
    let gone = *open.first().unwrap();
    place.human("dave").cancel(gone).await.unwrap();
    let page = waits.await.unwrap();
    let of = |page: &[Course]| {
        page.iter().map(|course| (course.instance_id, course.state.into_inner())).collect::<Vec<_>>()
    };
    assert_eq!(of(&page.items), [(gone, State::Terminated)]);
    assert_eq!(of(&orchestrator.courses(&query).await.unwrap().items), of(&page.items));
    let now = CourseQuery { cursor: Some("now".to_owned()), wait: None };
    assert_eq!(orchestrator.courses(&now).await.unwrap().next, page.next);
    let behind = CourseQuery { cursor: Some(page.next.clone()), wait: Some("1ms".parse().unwrap()) };
    let nothing = orchestrator.courses(&behind).await.unwrap();
    assert_eq!((nothing.items.len(), nothing.following), (0, true));
}

#[tokio::test]
async fn only_an_orchestrator_of_the_tenant_is_told_or_releases() {
    let place = place().await;
    let id = place.create("refund-run").await.instance_id;
    for other in [place.machine(RUNNER), place.machine(AGENT), place.human("dave")] {
        assert_eq!(code(other.courses(&CourseQuery::default()).await), Code::Forbidden);
        assert_eq!(code(other.look(id).await), Code::Forbidden);
        assert_eq!(code(other.release(id, 1).await), Code::Forbidden);
    }
    let foreign = place.machine(FOREIGN_ORCHESTRATOR);
    assert_eq!(caught_up(&foreign).await.0, []);
    assert_eq!(code(foreign.look(id).await), Code::NotFound);
    assert_eq!(code(foreign.release(id, 1).await), Code::NotFound);
    assert_eq!(claimed(&place, "1ms").await, None);
    let orchestrator = place.machine(ORCHESTRATOR);
    assert_eq!(code(orchestrator.claim(&queue(), "1ms".parse().unwrap()).await), Code::Forbidden);
    for cursor in ["", "after.x", "elsewhere.1"] {
        let query = CourseQuery { cursor: Some(cursor.to_owned()), wait: None };
        assert_eq!(code(orchestrator.courses(&query).await), Code::InvalidParameter);
    }
}

#[tokio::test]
async fn a_server_that_hands_out_work_itself_tells_an_orchestrator_so() {
    let mut place = place().await;
    let id = place.create("refund-run").await.instance_id;
    place.set_orchestrated(false).await;
    place.ready().await;
    let orchestrator = place.machine(ORCHESTRATOR);
    assert_eq!(code(orchestrator.courses(&CourseQuery::default()).await), Code::NotOrchestrated);
    assert_eq!(code(orchestrator.release(id, 1).await), Code::NotOrchestrated);
    // What waited for a release waits no more, once nobody is there to give one.
    assert_eq!(claimed(&place, "5s").await, Some(1));
}
