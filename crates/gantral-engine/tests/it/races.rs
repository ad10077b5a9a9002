//! Several at once: one wins, and the others learn who.

use std::collections::BTreeSet;
use std::sync::Arc;

use gantral_core::command::Refusal;
use gantral_core::ids::Name;
use gantral_core::state::{EventKind, ExecutorKind};
use gantral_engine::EngineError;
use gantral_testkit::workflows::{REFUND, read, refund};
use gantral_testkit::{AGENT, RUNNER, World, policy};
use tokio::task::JoinSet;

use crate::script::{LARGE, REDUCED, RUN, SELF, SMALL, Script, Step, decision, events, new_instance};

/// How many come at once.
const CROWD: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_decisions_at_once_exactly_one_counts_and_the_others_learn_who_decided() {
    let script = Arc::new(Script::begin(SELF, 3).await);
    let mut crowd = JoinSet::new();
    for number in 0..CROWD {
        let script = Arc::clone(&script);
        crowd.spawn(async move {
            let (who, step) = match number % 3 {
                0 => ("fiona", Step::Approve),
                1 => ("frank", Step::Override { amount: REDUCED }),
                _ => ("frank", Step::Reject),
            };
            let world = &script.world;
            let approver = world.people.approver(who, world.clock.now());
            let gate = script.learned.gate.unwrap();
            world.engine().decide_gate(world.call(), &approver, gate, decision(step)).await
        });
    }
    let answers = crowd.join_all().await;
    let winners = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(winners, 1);
    let decided = script.facts().await.instance.decided.expect("somebody decided");
    for answer in &answers {
        if let Err(error) = answer {
            let EngineError::Refused(Refusal::AlreadyDecided { by, decision, .. }) = error else {
                panic!("{error:?}")
            };
            assert_eq!((by, *decision), (&decided.by, decided.decision));
        }
    }
    script.is_valid().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_creation_that_is_sent_many_times_at_once_creates_one_instance() {
    let world = Arc::new(World::new());
    world.apply(read(REFUND), &policy::example("refunds")).await;
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let world = Arc::clone(&world);
        crowd.spawn(async move {
            let agent = world.people.requester(AGENT, world.clock.now());
            let call = world.keyed(agent.principal(), "create", "key", "body");
            world.engine().create(call, &agent, new_instance("refund")).await.unwrap()
        });
    }
    let created = crowd.join_all().await;
    assert!(created.iter().all(|done| *done == created[0]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_beginning_that_is_sent_many_times_at_once_begins_one_attempt() {
    let script = Arc::new(Script::begin(SELF, 1).await);
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let script = Arc::clone(&script);
        crowd.spawn(async move {
            let world = &script.world;
            let agent = world.people.requester(AGENT, world.clock.now());
            let call = world.keyed(agent.principal(), "begin", "key", "body");
            let (done, handed) = world.engine().begin_self(call, &agent, script.id()).await.unwrap();
            (done, handed.commitment, handed.bytes)
        });
    }
    let begun = crowd.join_all().await;
    assert!(begun.iter().all(|one| *one == begun[0]));
    assert_eq!(script.facts().await.instance.attempt.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_grant_is_consumed_once_however_many_try() {
    let script = Arc::new(Script::begin(SELF, 5).await);
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let script = Arc::clone(&script);
        crowd.spawn(async move {
            let (world, known) = (&script.world, script.learned);
            let bearer = world.bearer(script.id(), known.attempt);
            let (grant, action) = (known.grant.unwrap(), refund(known.amount));
            let engine = world.engine();
            engine.consume(world.call(), &bearer, grant, &action, ExecutorKind::SelfExecuted).await
        });
    }
    let answers = crowd.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let consumed = script.events().await.iter().filter(|event| **event == EventKind::Consumed).count();
    assert_eq!(consumed, 1);
    script.is_valid().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_task_is_claimed_by_one_runner() {
    let script = Arc::new(Script::begin(RUN, 1).await);
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        let script = Arc::clone(&script);
        crowd.spawn(async move {
            let world = &script.world;
            let runner = world.people.runner(RUNNER, world.clock.now());
            let queue = Name::parse("default").unwrap();
            world.engine().claim(&mut world.call(), &runner, &queue).await.unwrap().map(|task| task.attempt)
        });
    }
    let claimed: Vec<_> = crowd.join_all().await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn asks_of_many_instances_at_once_stay_apart() {
    let world = Arc::new(World::new());
    world.apply(read(REFUND), &policy::example("refunds")).await;
    let mut crowd = JoinSet::new();
    for number in 0..CROWD {
        let world = Arc::clone(&world);
        crowd.spawn(async move {
            let agent = world.people.requester(AGENT, world.clock.now());
            let engine = world.engine();
            let id = engine.create(world.call(), &agent, new_instance("refund")).await.unwrap().instance;
            engine.begin_self(world.call(), &agent, id).await.unwrap();
            let amount = if number % 2 == 0 { SMALL } else { LARGE };
            engine.ask(world.call(), &world.bearer(id, 1), crate::script::ask(amount, true)).await.unwrap();
            (id, amount)
        });
    }
    let mut ids = BTreeSet::new();
    for (id, amount) in crowd.join_all().await {
        let last = *events(&world, id).await.last().unwrap();
        assert_eq!(last, if amount == SMALL { EventKind::Consumed } else { EventKind::HumanRequired });
        assert!(ids.insert(id));
    }
}
