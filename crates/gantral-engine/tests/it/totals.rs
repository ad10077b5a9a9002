//! Budgets: what was spent is told to policy, exact however many ask at the same time.

use gantral_core::command::Refusal;
use gantral_core::ids::InstanceId;
use gantral_core::json::Number;
use gantral_core::state::{ExecutorKind, OutcomeStatus};
use gantral_core::time::DurationMs;
use gantral_engine::{Answer, AskFacts, AskRequest, EngineError, OutcomeReport};
use gantral_testkit::policy::rules;
use gantral_testkit::workflows::{REFUND, read, refund};
use gantral_testkit::{AGENT, World};

use crate::script::{is_valid, new_instance};

/// Allows as long as the team stays within 100 a day, what is reserved included.
const BUDGET: &str = r#"default decision := "DENY"
decision := "ALLOW" if {
	day := input.totals.team.day
	day.spent + day.reserved + input.execution.cost_estimate <= 100
}
reasons contains sprintf("%d spent, %d reserved", [input.totals.team.day.spent, input.totals.team.day.reserved])"#;

/// Allows what a standing rule allows, ten times.
const STANDING: &str = r#"default decision := "DENY"
decision := "ALLOW" if "r-1" in standing_rules
standing_rules contains "r-1" if object.get(input.totals.rules, "r-1", 0) < 10"#;

async fn counting(policy: &str) -> World {
    let world = World::new();
    let text = REFUND.replace("\"floors\"", "\"totals\": true, \"floors\"");
    world.apply(read(&text), &rules(policy)).await;
    world
}

async fn budgeted() -> World {
    counting(BUDGET).await
}

async fn running(world: &World) -> InstanceId {
    let agent = world.people.requester(AGENT, world.clock.now());
    let id = world.engine().create(world.call(), &agent, new_instance("refund")).await.unwrap().instance;
    world.engine().begin_self(world.call(), &agent, id).await.unwrap();
    id
}

async fn ask(world: &World, id: InstanceId, estimate: &str) -> Result<Answer, EngineError> {
    let cost_estimate = Some(Number::parse(estimate).unwrap());
    let facts = AskFacts { cost_estimate, ..AskFacts::default() };
    let request = AskRequest { action: refund(480), facts, consume: Some(ExecutorKind::SelfExecuted) };
    let done = world.engine().ask(world.call(), &world.bearer(id, 1), request).await?;
    Ok(done.answer)
}

/// Asks, and repeats as a client does where others were faster.
async fn allowed(world: &World, id: InstanceId, estimate: &str) -> bool {
    loop {
        match ask(world, id, estimate).await {
            Err(EngineError::Conflict) => {}
            answer => return matches!(answer.unwrap(), Answer::Allowed { .. }),
        }
    }
}

async fn report(world: &World, id: InstanceId, answer: Answer, status: OutcomeStatus, cost: Option<u64>) {
    let Answer::Allowed { grant: Some(grant), .. } = answer else { panic!("{answer:?}") };
    let report = OutcomeReport { grant: Some(grant), status, result: None, cost, evidence: Vec::new() };
    world.engine().report(world.call(), &world.bearer(id, 1), report).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_holds_exactly_however_many_ask_at_once() {
    let world = budgeted().await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        ids.push(running(&world).await);
    }
    let asks = ids.iter().map(|id| allowed(&world, *id, "10"));
    let answers = futures_util::future::join_all(asks).await;
    assert_eq!(answers.iter().filter(|allowed| **allowed).count(), 10);
    for id in ids {
        is_valid(&world, id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standing_rule_grants_as_often_as_it_says_however_many_ask_at_once() {
    let world = counting(STANDING).await;
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(running(&world).await);
    }
    let asks = ids.iter().map(|id| allowed(&world, *id, "0"));
    let answers = futures_util::future::join_all(asks).await;
    assert_eq!(answers.iter().filter(|allowed| **allowed).count(), 10);
    for id in ids {
        is_valid(&world, id).await;
    }
}

#[tokio::test]
async fn where_nothing_is_counted_a_standing_rule_with_a_bound_grants_nothing() {
    let world = World::new();
    world.apply(read(REFUND), &rules(STANDING)).await;
    assert!(!allowed(&world, running(&world).await, "0").await);
}

#[tokio::test]
async fn what_an_action_cost_counts_in_place_of_what_was_expected() {
    let world = budgeted().await;
    for (status, cost, left) in [
        (OutcomeStatus::Succeeded, Some(5), 95),
        (OutcomeStatus::Succeeded, None, 35),
        (OutcomeStatus::Failed, None, 35),
        (OutcomeStatus::Failed, Some(2), 33),
    ] {
        let id = running(&world).await;
        let estimate =
            if left == 95 || cost.is_none() && status == OutcomeStatus::Succeeded { "60" } else { "30" };
        let answer = ask(&world, id, estimate).await.unwrap();
        report(&world, id, answer, status, cost).await;
        let (fits, over) = (left.to_string(), (left + 1).to_string());
        assert!(!allowed(&world, running(&world).await, &over).await, "{left}");
        let id = running(&world).await;
        let answer = ask(&world, id, &fits).await.unwrap();
        report(&world, id, answer, OutcomeStatus::Failed, None).await;
    }
    // Another day has a budget of its own.
    world.clock.advance(DurationMs::from_secs(86_400));
    assert!(allowed(&world, running(&world).await, "100").await);
}

#[tokio::test]
async fn what_nobody_knows_the_outcome_of_stays_reserved() {
    let mut world = budgeted().await;
    let id = running(&world).await;
    ask(&world, id, "60").await.unwrap();
    let agent = world.people.requester(AGENT, world.clock.now());
    // The agent comes back without a word about what it did: the outcome is unknown.
    let back = world.engine().begin_self(world.call(), &agent, id).await.map(drop).unwrap_err();
    assert!(matches!(back, EngineError::Refused(Refusal::OutcomeUnknown { .. })), "{back:?}");
    world.restart();
    let answer = ask(&world, running(&world).await, "41").await.unwrap();
    let Answer::Denied { reasons, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(reasons, ["0 spent, 60 reserved"]);
    assert!(allowed(&world, running(&world).await, "40").await);
}

#[tokio::test]
async fn an_estimate_that_cannot_be_counted_is_refused() {
    let world = budgeted().await;
    let id = running(&world).await;
    for wrong in ["0.5", "10.25", "9007199254740992"] {
        let refused = ask(&world, id, wrong).await.unwrap_err();
        let told = refused.to_string();
        assert!(told.contains("`execution.cost_estimate`") && told.contains("whole number"), "{told}");
    }
}
