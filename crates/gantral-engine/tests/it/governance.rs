//! The governance chain: what changes the rules is sealed, and a consumption names what it rested on.

use gantral_core::digest::CommitmentLabel;
use gantral_core::event::Event;
use gantral_core::ids::{InstanceId, TenantId};
use gantral_engine::{EngineError, Ruled};
use gantral_evidence::dsse::Envelope;
use gantral_evidence::governance::{Detail, GovernanceStatement, InForce, Scope};
use gantral_evidence::trust::{KeyRole, Require, Trust, TrustedKey};
use gantral_evidence::verify::{Code, Report, verify};
use gantral_keys::{SignError, Signer as _};
use gantral_testkit::workflows::{REFUND, read};
use gantral_testkit::{World, policy};

use crate::script::{SELF, SMALL_AT_ONCE, Script, Step, statements};

/// Exports an instance and verifies it under the key of the world.
pub async fn exported(world: &World, id: InstanceId) -> Report {
    let files = world.engine().export(&world.tenant(), id).await.unwrap().finish().unwrap();
    let key = TrustedKey::issuer(world.signer().public_key().clone());
    let trust = Trust::new([key], Some(Require::signed())).unwrap();
    verify(&files.as_files().unwrap(), Some(&trust))
}

/// Returns the governance chain of the world's tenant, each with its hash.
async fn chain(script: &Script) -> Vec<(GovernanceStatement, gantral_core::digest::Digest)> {
    let store = script.world.engine().store();
    let artifacts = store.governance_chain(&script.world.tenant(), 0, 100).await.unwrap();
    artifacts
        .iter()
        .map(|artifact| {
            let envelope = Envelope::parse(&artifact.envelope).unwrap();
            (GovernanceStatement::decode(&envelope.payload).unwrap(), artifact.hash)
        })
        .collect()
}

#[tokio::test]
async fn an_activation_is_sealed_and_names_what_was_in_force_before() {
    let script = Script::begin(SELF, 1).await;
    let first = chain(&script).await;
    let [(activated, _)] = first.as_slice() else { panic!("{first:?}") };
    let Detail::PolicyActivated { version, previous: None, scope } = &activated.detail else { panic!() };
    assert_eq!(*scope, Scope::Workflow(read(REFUND).id));
    let other = script.world.apply(read(REFUND), &policy::rules(r#"decision := "DENY""#)).await;
    let then = chain(&script).await;
    assert_eq!(then.len(), 2);
    let Detail::PolicyActivated { previous, .. } = &then[1].0.detail else { panic!() };
    assert_eq!(*previous, Some(*version));
    assert_eq!(then[1].0.previous, Some(then[0].1));
    assert_eq!(other.activated.unwrap().hash, then[1].1);
}

#[tokio::test]
async fn a_consumption_names_the_head_that_it_was_checked_against() {
    let script = Script::begin(SMALL_AT_ONCE, 3).await;
    let head = chain(&script).await.last().unwrap().1;
    let consumed = statements(&script.world, script.id()).await.into_iter().find_map(|statement| {
        match statement.entry.event {
            Event::Consumed(detail) => Some(detail),
            _ => None,
        }
    });
    let guard = consumed.unwrap().guard;
    assert_eq!(guard.governance_head, Some(head));
    let mut in_force = InForce::default();
    for (statement, hash) in chain(&script).await {
        in_force.apply(&statement.detail, hash).unwrap();
    }
    assert_eq!(in_force.policy(&read(REFUND).id, None), Some(guard.policy_version));
    assert_eq!(in_force.epoch(), guard.freeze_epoch);
}

#[tokio::test]
async fn freezing_what_is_frozen_seals_nothing() {
    let script = Script::begin(SELF, 1).await;
    let (world, tenant) = (&script.world, script.world.tenant());
    world.set_frozen(true).await;
    let again = world
        .engine()
        .set_frozen(&mut world.call(), &tenant, (&world.governor()).into(), &Scope::Tenant, true)
        .await
        .unwrap();
    assert_eq!(again, Ruled::Same);
    assert_eq!(chain(&script).await.len(), 2);
}

#[tokio::test]
async fn an_erasure_is_sealed_and_a_second_one_finds_nothing() {
    let script = Script::begin(SELF, 5).await;
    let grant = script.facts().await.instance.grants[&script.learned.grant.unwrap()].clone();
    let (world, tenant) = (&script.world, script.world.tenant());
    world.erase(script.id(), grant.action).await;
    let chain = chain(&script).await;
    let detail = &chain.last().unwrap().0.detail;
    let label = CommitmentLabel::Action;
    assert_eq!(*detail, Detail::Erased { instance: Some(script.id()), commitment: grant.action, label });
    let by = world.governor();
    let again =
        world.engine().erase_snapshot(world.call(), &tenant, (&by).into(), script.id(), grant.action).await;
    assert!(matches!(again, Err(EngineError::NotFound { .. })), "{again:?}");
}

#[tokio::test]
async fn a_chain_is_folded_anew_after_a_restart() {
    let mut script = Script::begin(SELF, 1).await;
    script.world.set_frozen(true).await;
    script.world.restart();
    script.world.set_frozen(false).await;
    let chain = chain(&script).await;
    let Detail::Lifted { epoch, .. } = chain.last().unwrap().0.detail else { panic!() };
    assert_eq!(epoch, 2);
    script.step(Step::Begin).await.unwrap();
}

#[tokio::test]
async fn a_key_is_declared_once_and_retired_when_another_takes_its_place() {
    let mut script = Script::begin(SELF, 1).await;
    let tenant = script.world.tenant();
    let first = script.world.signer().public_key().clone();
    for _ in 0..2 {
        let keys = [(first.clone(), KeyRole::Issuer)];
        script.world.engine().declare_keys(script.world.call(), &tenant, &keys).await.unwrap();
    }
    script.world.replace_key(true);
    script.world.restart();
    let second = script.world.signer().public_key().clone();
    let keys = [(second.clone(), KeyRole::Issuer)];
    script.world.engine().declare_keys(script.world.call(), &tenant, &keys).await.unwrap();
    let events: Vec<Detail> = chain(&script).await.into_iter().skip(1).map(|(it, _)| it.detail).collect();
    let added = |key| Detail::KeyAdded { key, role: KeyRole::Issuer };
    assert_eq!(events, [added(first.clone()), added(second), Detail::KeyRetired { key: first.id() }]);
    let back = [(first, KeyRole::Issuer)];
    let refused = script.world.engine().declare_keys(script.world.call(), &tenant, &back).await;
    assert!(matches!(refused, Err(EngineError::RetiredKey { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_chain_that_somebody_else_signed_is_not_relied_on() {
    let mut script = Script::begin(SELF, 1).await;
    script.world.replace_key(false);
    script.world.restart();
    let (tenant, by) = (script.world.tenant(), script.world.governor());
    let refused = script
        .world
        .engine()
        .set_frozen(&mut script.world.call(), &tenant, (&by).into(), &Scope::Tenant, true)
        .await;
    assert!(matches!(refused, Err(EngineError::Damaged { .. })), "{refused:?}");
}

#[tokio::test]
async fn tenants_have_chains_of_their_own() {
    let script = Script::begin(SELF, 1).await;
    let (world, other) = (&script.world, TenantId::parse("other").unwrap());
    world
        .engine()
        .set_frozen(&mut world.call(), &other, (&world.governor()).into(), &Scope::Tenant, true)
        .await
        .unwrap();
    assert_eq!(chain(&script).await.len(), 1);
    assert_eq!(world.engine().store().governance_chain(&other, 0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_was_in_other_hands_is_named_once_with_its_index() {
    let script = Script::begin(SELF, 1).await;
    let (world, tenant) = (&script.world, script.world.tenant());
    let key = world.signer().public_key().clone();
    let stranger = gantral_evidence::keys::PublicKey::parse(
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    );
    world.engine().declare_keys(world.call(), &tenant, &[(key.clone(), KeyRole::Issuer)]).await.unwrap();
    let compromised = [(key.id(), 40), (stranger.unwrap().id(), 7)];
    for _ in 0..2 {
        world.engine().declare_compromised(world.call(), &tenant, &compromised).await.unwrap();
    }
    let details: Vec<Detail> = chain(&script).await.into_iter().skip(2).map(|(it, _)| it.detail).collect();
    assert_eq!(details, [Detail::KeyCompromised { key: key.id(), from_index: 40 }]);
}

/// Returns what the chain says was erased, in its order.
async fn erased(script: &Script) -> Vec<CommitmentLabel> {
    let labels = chain(script).await.into_iter().filter_map(|(statement, _)| match statement.detail {
        Detail::Erased { label, .. } => Some(label),
        _ => None,
    });
    labels.collect()
}

#[tokio::test]
async fn an_erasure_that_fails_in_the_middle_is_repeated_until_all_of_it_is_said() {
    for (nth, expected) in [
        (1, &[CommitmentLabel::Input, CommitmentLabel::Context][..]),
        (2, &[CommitmentLabel::Input, CommitmentLabel::Input, CommitmentLabel::Context]),
    ] {
        let script = Script::begin(SELF, 5).await;
        let grant = script.facts().await.instance.grants[&script.learned.grant.unwrap()].clone();
        let (world, tenant, by) = (&script.world, script.world.tenant(), script.world.governor());
        world.signer_faults.fail_after(nth);
        let (call, by) = (world.call(), (&by).into());
        let failed = world.engine().erase_snapshot(call, &tenant, by, script.id(), grant.context).await;
        assert_eq!(failed.unwrap_err(), EngineError::Signer(SignError::Unavailable));
        world.erase(script.id(), grant.context).await;
        assert_eq!(erased(&script).await, expected);
        let report = exported(world, script.id()).await;
        assert!(!report.findings.iter().any(|finding| finding.code == Code::Withheld), "{report:?}");
    }
}

#[tokio::test]
async fn a_context_that_was_erased_is_named_under_both_of_its_labels() {
    let script = Script::begin(SELF, 5).await;
    let grant = script.facts().await.instance.grants[&script.learned.grant.unwrap()].clone();
    script.world.erase(script.id(), grant.context).await;
    assert_eq!(erased(&script).await, [CommitmentLabel::Input, CommitmentLabel::Context]);
    let report = exported(&script.world, script.id()).await;
    let withheld = report.findings.iter().any(|finding| finding.code == Code::Withheld);
    assert!(!withheld, "erased by right is not withheld: {report:?}");
}

#[tokio::test]
async fn a_bundle_brings_the_chain_of_the_execution_on_whose_behalf_it_ran() {
    let script = Script::begin(SELF, 3).await;
    let world = &script.world;
    let parent = script.facts().await;
    let agent = world.people.requester(gantral_testkit::AGENT, world.clock.now());
    let child = gantral_engine::NewInstance {
        parent: Some((script.id(), parent.head.hash)),
        ..crate::script::new_instance("refund")
    };
    let child = world.engine().create(world.call(), &agent, child).await.unwrap().instance;
    let report = exported(world, child).await;
    let unproved = report.findings.iter().any(|finding| finding.code == Code::Requester);
    assert!(!unproved, "{}", gantral_evidence::report::to_text(&report));
}
