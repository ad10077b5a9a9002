//! Policies in force: for which scope, since which ask, by whom and why.

use gantral_core::digest::Digest;
use gantral_core::event::Actor;
use gantral_core::ids::{TeamId, WorkflowId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::DurationMs;
use gantral_engine::{
    Activation, Answer, EngineConfig, EngineError, GovernanceReceipt, Governor, PolicyDemand, Ruled,
};
use gantral_evidence::governance::{Detail, Scope};
use gantral_policy::bundle::Bundle;
use gantral_store::PolicySignature;
use gantral_testkit::policy::rules;
use gantral_testkit::workflows::{REFUND, read};
use gantral_testkit::{World, WorldOptions};

use crate::script::{Learned, SMALL, Script, Step};

/// A policy that denies everything, and says so.
fn denies(word: &str) -> Bundle {
    rules(&format!("decision := \"DENY\"\nreasons contains \"{word}\""))
}

/// An instance of a workflow for which nothing is in force, about to ask; its creation needs a policy, which `first` is.
async fn asking(first: &Scope) -> (Script, PolicyVersionId) {
    let world = World::new();
    let workflow = read(REFUND);
    let (tenant, by) = (world.tenant(), world.governor());
    world.engine().apply_workflow(&tenant, workflow, None, (&by).into(), &mut world.call()).await.unwrap();
    let version = world.publish(&rules("decision := \"ALLOW\"")).await;
    activate(&world, first, Activation::Version(version)).await.unwrap().unwrap();
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    script.step(Step::Create).await.unwrap();
    script.step(Step::Begin).await.unwrap();
    (script, version)
}

async fn activate(
    world: &World,
    scope: &Scope,
    activation: Activation,
) -> Result<Option<GovernanceReceipt>, EngineError> {
    let (tenant, by) = (world.tenant(), world.governor());
    world.clock.advance(DurationMs::new(1));
    let call = &mut world.call();
    let ruled = world.engine().activate_policy(call, &tenant, (&by).into(), scope, activation, None).await;
    ruled.map(Ruled::sealed)
}

/// Puts a policy in force that denies with a word.
async fn denied_by(world: &World, scope: &Scope, word: &str) -> PolicyVersionId {
    let version = world.publish(&denies(word)).await;
    activate(world, scope, Activation::Version(version)).await.unwrap().unwrap();
    version
}

fn team() -> Scope {
    Scope::Team(TeamId::parse("payments").unwrap())
}

fn workflow() -> Scope {
    Scope::Workflow(read(REFUND).id)
}

#[tokio::test]
async fn the_policy_of_the_narrowest_scope_is_in_force() {
    for (scopes, word) in [
        (vec![Scope::Tenant], "tenant"),
        (vec![Scope::Tenant, team()], "team"),
        (vec![team(), Scope::Tenant], "team"),
        (vec![workflow(), team(), Scope::Tenant], "workflow"),
    ] {
        let (mut script, _) = asking(&Scope::Tenant).await;
        for scope in &scopes {
            let word = match scope {
                Scope::Tenant => "tenant",
                Scope::Team(_) => "team",
                Scope::Workflow(_) => "workflow",
            };
            denied_by(&script.world, scope, word).await;
        }
        let said = script.step(Step::Ask { amount: SMALL, consume: true }).await.unwrap();
        let Answer::Denied { reasons, .. } = said.answer else { panic!("{said:?}") };
        assert_eq!(reasons, [word], "{scopes:?}");
        script.is_valid().await;
    }
}

#[tokio::test]
async fn the_policy_of_another_team_or_workflow_is_in_force_there_only() {
    let (mut script, _) = asking(&Scope::Tenant).await;
    denied_by(&script.world, &Scope::Team(TeamId::parse("support").unwrap()), "team").await;
    denied_by(&script.world, &Scope::Workflow(WorkflowId::parse("another").unwrap()), "workflow").await;
    let said = script.step(Step::Ask { amount: SMALL, consume: true }).await.unwrap();
    assert!(matches!(said.answer, Answer::Allowed { .. }), "{said:?}");
}

#[tokio::test]
async fn a_change_is_in_force_for_the_next_ask_and_rolling_back_too() {
    let (mut script, first) = asking(&workflow()).await;
    let ask = |amount| Step::Ask { amount, consume: true };
    let said = script.step(ask(1)).await.unwrap();
    assert!(matches!(said.answer, Answer::Allowed { .. }), "{said:?}");
    script.step(Step::Report).await.unwrap();
    let second = denied_by(&script.world, &workflow(), "second").await;
    let sealed = activate(&script.world, &workflow(), Activation::Before).await.unwrap().unwrap();
    let expected = Detail::PolicyActivated { scope: workflow(), version: first, previous: Some(second) };
    assert_eq!(sealed.detail, expected);
    let said = script.step(ask(2)).await.unwrap();
    assert!(matches!(said.answer, Answer::Allowed { .. }), "{said:?}");
    script.step(Step::Report).await.unwrap();
    // Rolling back what was rolled back: the version before the present one is the second.
    activate(&script.world, &workflow(), Activation::Before).await.unwrap().unwrap();
    let said = script.step(ask(3)).await.unwrap();
    assert!(matches!(said.answer, Answer::Denied { .. }), "{said:?}");
    script.is_valid().await;
}

#[tokio::test]
async fn nothing_unknown_and_nothing_unseen_is_put_in_force() {
    let (script, first) = asking(&workflow()).await;
    let (world, tenant, by) = (&script.world, script.world.tenant(), script.world.governor());
    let nobodys = PolicyVersionId(Digest::of(b"nothing"));
    let unknown = activate(world, &workflow(), Activation::Version(nobodys)).await;
    assert_eq!(unknown.unwrap_err(), EngineError::PolicyUnknown);
    assert_eq!(
        activate(world, &workflow(), Activation::Before).await.unwrap_err(),
        EngineError::NoPolicyBefore
    );
    assert_eq!(activate(world, &team(), Activation::Before).await.unwrap_err(), EngineError::NoPolicyBefore);
    // In force already: no line in the history.
    assert!(activate(world, &workflow(), Activation::Version(first)).await.unwrap().is_none());
    let second = denied_by(world, &workflow(), "second").await;
    let stale = world
        .engine()
        .activate_policy(
            &mut world.call(),
            &tenant,
            Governor::from(&by),
            &workflow(),
            Activation::Version(first),
            Some(first),
        )
        .await;
    assert_eq!(stale.unwrap_err(), EngineError::PolicyMoved { present: Some(second) });
    assert_eq!(world.engine().governance(&tenant, 0, 10).await.unwrap().len(), 2);
}

/// Publishes a policy that denies with a word, signed; `pinned` says whether its revision is its version.
async fn signed(world: &World, word: &str, pinned: bool) -> PolicyVersionId {
    let (version, archive) = world.point.shelf.put(&denies(word));
    let by =
        PolicySignature { key: "release".to_owned(), algorithm: "ES256".to_owned(), scope: None, pinned };
    let (store, at) = (world.engine().store(), world.clock.now());
    store.put_signed_policy_bundle(&world.tenant(), version, archive, by, at).await.unwrap();
    version
}

#[tokio::test]
async fn what_is_demanded_of_a_policy_is_demanded_of_a_rollback_and_a_definition_too() {
    let policy_demand = PolicyDemand { signed: true, pinned: true };
    let config = EngineConfig { policy_demand, ..EngineConfig::default() };
    let world = World::with(WorldOptions { config, ..WorldOptions::default() });
    let (tenant, by, scope) = (world.tenant(), world.governor(), Scope::Tenant);
    let put = async |version| activate(&world, &scope, Activation::Version(version)).await;
    let plain = world.publish(&denies("plain")).await;
    assert_eq!(put(plain).await.unwrap_err(), EngineError::PolicyUnsigned);
    let applied = world
        .engine()
        .apply_workflow(&tenant, read(REFUND), Some(plain), (&by).into(), &mut world.call())
        .await;
    assert_eq!(applied.unwrap_err(), EngineError::PolicyUnsigned);
    assert!(world.engine().workflow(&tenant, &read(REFUND).id, None).await.is_err(), "it was not applied");
    let loose = signed(&world, "loose", false).await;
    assert_eq!(put(loose).await.unwrap_err(), EngineError::PolicyUnpinned);

    let (first, second) = (signed(&world, "first", true).await, signed(&world, "second", true).await);
    put(first).await.unwrap().unwrap();
    put(second).await.unwrap().unwrap();
    // Somebody brings the first one signed anew, with another revision: it may come back as it was.
    assert_eq!(signed(&world, "first", false).await, first);
    activate(&world, &scope, Activation::Before).await.unwrap().unwrap();
    // What was published without a signature may come once it has one.
    assert_eq!(signed(&world, "plain", true).await, plain);
    put(plain).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_policy_from_before_a_demand_is_not_rolled_back_to() {
    let mut world = World::new();
    let scope = Scope::Tenant;
    let plain = denied_by(&world, &scope, "plain").await;
    let second = signed(&world, "second", true).await;
    activate(&world, &scope, Activation::Version(second)).await.unwrap().unwrap();
    world.demand(PolicyDemand { signed: true, pinned: true });
    let back = activate(&world, &scope, Activation::Before).await;
    assert_eq!(back.unwrap_err(), EngineError::PolicyUnsigned);
    assert_eq!(signed(&world, "plain", true).await, plain);
    activate(&world, &scope, Activation::Before).await.unwrap().unwrap();
}

#[tokio::test]
async fn why_a_rule_was_changed_is_kept_beside_the_chain_and_erased_by_right() {
    let (script, _) = asking(&Scope::Tenant).await;
    let (world, tenant) = (&script.world, script.world.tenant());
    let by: Actor = world.governor();
    let version = world.publish(&denies("audit")).await;
    let governor = Governor { actor: &by, why: Some("the auditors asked for it") };
    let (activation, scope) = (Activation::Version(version), workflow());
    let sealed = world
        .engine()
        .activate_policy(&mut world.call(), &tenant, governor, &scope, activation, None)
        .await
        .unwrap()
        .sealed()
        .unwrap();
    assert_eq!(sealed.why.as_deref(), Some("the auditors asked for it"));
    let history = world.engine().governance(&tenant, 0, 10).await.unwrap();
    assert_eq!(history[1], sealed);
    assert_eq!(history[0].why, None);
    let commitment = sealed.justification.unwrap();
    let erased = world.engine().erase_justification(world.call(), &tenant, (&by).into(), commitment).await;
    assert_eq!(erased.unwrap().sequence, 2);
    let history = world.engine().governance(&tenant, 0, 10).await.unwrap();
    assert_eq!(history[1].why, None);
    let again = world.engine().erase_justification(world.call(), &tenant, (&by).into(), commitment).await;
    assert!(matches!(again, Err(EngineError::NotFound { .. })), "{again:?}");
}
