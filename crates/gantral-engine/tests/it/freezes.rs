//! Freezes by scope: what is frozen stands still, and everything else goes on.

use gantral_core::ids::{Name, TeamId, WorkflowId};
use gantral_engine::{EngineError, FourEyesRules, Ruled, Unfreeze};
use gantral_evidence::governance::Scope;
use gantral_store::PAGE_MAX;
use gantral_testkit::workflows::{REFUND_RUN, read};
use gantral_testkit::{AGENT, RUNNER, World, policy};

use crate::script::{RUN, SELF, SMALL, Script, Step, new_instance};

fn team(name: &str) -> Scope {
    Scope::Team(TeamId::parse(name).unwrap())
}

fn workflow(name: &str) -> Scope {
    Scope::Workflow(WorkflowId::parse(name).unwrap())
}

async fn set(world: &World, name: &str, scope: &Scope, frozen: bool) -> Result<Ruled, EngineError> {
    let (tenant, by) = (world.tenant(), world.governor_named(name));
    world.engine().set_frozen(&mut world.call(), &tenant, (&by).into(), scope, frozen).await
}

#[tokio::test]
async fn each_scope_of_a_workflow_stops_it_and_no_other_does() {
    for (scope, frozen) in [
        (Scope::Tenant, true),
        (team("payments"), true),
        (workflow("refund"), true),
        (team("platform"), false),
        (workflow("refund-run"), false),
    ] {
        let mut script = Script::begin(SELF, 3).await;
        set(&script.world, "governor", &scope, true).await.unwrap();
        script.step(Step::Approve).await.expect("gates are decided");
        let begun = script.step(Step::Begin).await;
        assert_eq!(begun.clone().err(), frozen.then_some(EngineError::Frozen), "{scope:?}");
        if frozen {
            set(&script.world, "governor", &scope, false).await.unwrap();
            script.step(Step::Begin).await.unwrap();
            set(&script.world, "governor", &scope, true).await.unwrap();
        }
        script.learned.amount = crate::script::LARGE;
        assert_eq!(
            script.step(Step::Consume).await.err(),
            frozen.then_some(EngineError::Frozen),
            "{scope:?}"
        );
        script.is_valid().await;
    }
}

#[tokio::test]
async fn what_is_frozen_twice_goes_on_when_both_are_lifted() {
    let mut script = Script::begin(SELF, 1).await;
    let scopes = [team("payments"), workflow("refund")];
    for scope in &scopes {
        set(&script.world, "governor", scope, true).await.unwrap();
    }
    for scope in &scopes {
        assert_eq!(script.step(Step::Begin).await, Err(EngineError::Frozen));
        set(&script.world, "governor", scope, false).await.unwrap();
    }
    script.step(Step::Begin).await.unwrap();
}

#[tokio::test]
async fn who_froze_a_scope_is_who_does_not_lift_it_whatever_others_froze() {
    let mut world = World::new();
    world.four_eyes(FourEyesRules { unfreeze: Unfreeze::Another, ..FourEyesRules::default() });
    set(&world, "bob", &team("payments"), true).await.unwrap();
    set(&world, "carol", &Scope::Tenant, true).await.unwrap();
    for (name, scope, lifts) in [
        ("carol", Scope::Tenant, false),
        ("bob", team("payments"), false),
        ("bob", Scope::Tenant, true),
        ("carol", team("payments"), true),
    ] {
        match set(&world, name, &scope, false).await {
            Ok(Ruled::Sealed(_)) => assert!(lifts, "{name} {scope:?}"),
            Err(EngineError::SamePerson { .. }) => assert!(!lifts, "{name} {scope:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.engine().freezes(&world.tenant()).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_frozen_is_listed_also_after_a_restart() {
    let mut world = World::new();
    for (name, scope) in [("bob", workflow("refund")), ("carol", team("payments"))] {
        set(&world, name, &scope, true).await.unwrap();
    }
    let listed = world.engine().freezes(&world.tenant()).await.unwrap();
    let found: Vec<_> =
        listed.iter().map(|freeze| (freeze.scope.clone(), freeze.sealed.actor.clone())).collect();
    let by = |name| world.governor_named(name).id;
    assert_eq!(found, [(team("payments"), by("carol")), (workflow("refund"), by("bob"))]);
    world.restart();
    assert_eq!(world.engine().freezes(&world.tenant()).await.unwrap(), listed);
}

#[tokio::test]
async fn tasks_of_a_frozen_workflow_do_not_keep_others_of_their_queue_waiting() {
    let mut script = Script::new(RUN).await;
    script.world.apply(read(&REFUND_RUN.replace("refund-run", "stopped")), &policy::example("refunds")).await;
    let world = &script.world;
    let agent = world.people.requester(AGENT, world.clock.now());
    for _ in 0..=PAGE_MAX {
        world.engine().create(world.call(), &agent, new_instance("stopped")).await.unwrap();
    }
    set(world, "governor", &workflow("stopped"), true).await.unwrap();
    script.step(Step::Create).await.unwrap();
    script.step(Step::Claim).await.expect("it is behind more frozen tasks than a claim looks at");
    script.step(Step::Attach).await.unwrap();
    script.step(Step::Ask { amount: SMALL, consume: true }).await.unwrap();

    let (world, queue) = (&script.world, Name::parse("default").unwrap());
    let runner = world.people.runner(RUNNER, world.clock.now());
    assert!(world.engine().claim(&mut world.call(), &runner, &queue).await.unwrap().is_none());
    set(world, "governor", &workflow("stopped"), false).await.unwrap();
    let task = world.engine().claim(&mut world.call(), &runner, &queue).await.unwrap().unwrap();
    assert_eq!(task.workflow.id, WorkflowId::parse("stopped").unwrap());
}
