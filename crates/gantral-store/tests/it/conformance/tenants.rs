//! Nothing of one tenant is seen, counted or changed by another.

use gantral_core::digest::Digest;
use gantral_core::ids::AttemptNo;
use gantral_core::policy::PolicyVersionId;
use gantral_store::{
    Append, AppendOutcome, Effect, GateFilter, GovernanceEffect, GovernanceOutcome, Guard, IdempotencyLookup,
    InstanceFilter, Store, StoreError, TaskFilter, WorkflowRow,
};

use crate::conformance::conformance;
use crate::world::{
    Chain, actor, at, erasure, gate, gate_row, govern, governed, grant, idempotency, name, reason, role,
    scope, snapshot_effect, team, tenant, workflow,
};

conformance!(
    no_read_shows_another_tenants_rows,
    no_write_reaches_another_tenants_rows,
    two_tenants_may_use_the_same_identifiers,
);

/// One instance with everything that an instance can have.
async fn everything(store: &Store, owner: &str) -> (Chain, Digest, [u8; 16]) {
    let mut chain = Chain::new(&tenant(owner));
    let id = crate::world::fresh();
    chain.index.call_key = Some(Digest::of(b"call"));
    let (commitment, snapshot) = snapshot_effect(b"secret");
    let effects = vec![
        Effect::OpenGate(gate_row(gantral_core::ids::GateId::from_random(id), &["approver"], 5_000)),
        Effect::PutGrant { id: gantral_core::ids::GrantId::from_random(id), expires_at: at(9) },
        Effect::AssignTask { attempt: AttemptNo(1), executor: actor("runner"), lease_until: at(10) },
        Effect::PutTask { queue: name("q"), team: team("payments"), ready_at: at(1) },
        snapshot,
    ];
    let append = Append { idempotency: Some(idempotency("k", b"body")), ..chain.with(effects) };
    chain.committed(store, append).await;
    let definition = WorkflowRow {
        id: workflow("refund"),
        version: name("1"),
        digest: Digest::of(b"d"),
        team: team("payments"),
        definition: b"d".to_vec(),
        created_at: at(1),
    };
    store.put_workflow(&chain.tenant, definition).await.unwrap();
    let version = PolicyVersionId(Digest::of(b"p"));
    store.put_policy_bundle(&chain.tenant, version, b"p".to_vec(), at(1)).await.unwrap();
    governed(store, &chain.tenant, reason("why").1).await;
    (chain, commitment, id)
}

async fn no_read_shows_another_tenants_rows(store: &Store) {
    let (chain, commitment, id) = everything(store, "acme").await;
    let other = &tenant("other");
    let (gate_id, grant_id) =
        (gantral_core::ids::GateId::from_random(id), gantral_core::ids::GrantId::from_random(id));
    let refund = &workflow("refund");
    let version = PolicyVersionId(Digest::of(b"p"));

    assert_eq!(store.instance(other, chain.id).await.unwrap(), None);
    assert_eq!(store.chain(other, chain.id, 0, 10).await.unwrap(), []);
    assert_eq!(store.list_instances(other, InstanceFilter::default(), None, 10).await.unwrap().items, []);
    let teams = InstanceFilter { teams: Some(vec![team("payments")]), ..InstanceFilter::default() };
    assert_eq!(store.list_instances(other, teams, None, 10).await.unwrap().items, []);
    assert_eq!(store.find_call(other, Digest::of(b"call")).await.unwrap(), None);
    assert_eq!(store.gate(other, gate_id).await.unwrap(), None);
    assert_eq!(store.list_gates(other, GateFilter::default(), None, 10).await.unwrap().items, []);
    let roles = GateFilter { roles: Some(vec![role("approver")]), ..GateFilter::default() };
    assert_eq!(store.list_gates(other, roles, None, 10).await.unwrap().items, []);
    assert_eq!(store.grant(other, chain.id, grant_id).await.unwrap(), None);
    assert_eq!(store.snapshot(other, chain.id, commitment).await.unwrap(), None);
    assert_eq!(store.snapshots_of(other, chain.id, None, 10).await.unwrap(), []);
    let tasks = TaskFilter { teams: vec![team("payments")], ..TaskFilter::default() };
    assert_eq!(store.ready_tasks(other, &name("q"), tasks, at(99), 10).await.unwrap(), []);
    assert_eq!(store.lease(other, chain.id).await.unwrap(), None);
    let look = store.lookup_idempotency(other, &scope("k"), Digest::of(b"body"), at(1_000)).await.unwrap();
    assert_eq!(look, IdempotencyLookup::Fresh);
    assert_eq!(store.workflow(other, refund, &name("1")).await.unwrap(), None);
    assert_eq!(store.latest_workflow(other, refund).await.unwrap(), None);
    assert_eq!(store.workflow_by_digest(other, Digest::of(b"d")).await.unwrap(), None);
    assert_eq!(store.list_workflows(other, None, 10).await.unwrap(), []);
    assert_eq!(store.policy_bundle(other, version).await.unwrap(), None);
    assert_eq!(store.governance_chain(other, 0, 10).await.unwrap(), []);
}

async fn no_write_reaches_another_tenants_rows(store: &Store) {
    let (chain, commitment, id) = everything(store, "acme").await;
    let other = tenant("other");
    let (gate_id, grant_id) =
        (gantral_core::ids::GateId::from_random(id), gantral_core::ids::GrantId::from_random(id));

    let foreign = Chain { tenant: other.clone(), ..chain.clone() };
    assert_eq!(store.append(foreign.append()).await.unwrap(), AppendOutcome::Moved(None));
    let twin = Chain { head: None, ..foreign };
    let consume = Effect::ConsumeGrant { id: grant_id, attempt: AttemptNo(1) };
    let outcome = store.append(twin.with(vec![consume])).await.unwrap();
    assert!(matches!(
        outcome,
        AppendOutcome::CallKeyTaken(_) | AppendOutcome::GuardFailed(Guard::GrantUnconsumed(_))
    ));
    let close = Effect::CloseGate { id: gate_id, resolution: name("x"), decided_by: None, at: at(2) };
    assert!(matches!(store.append(twin.with(vec![close])).await, Err(StoreError::Contradiction { .. })));
    let why = GovernanceEffect::EraseSnapshot { instance: None, commitment: reason("why").0, at: at(2) };
    for effect in [erasure(chain.id, commitment, 2), why] {
        let refused = govern(store, &other, vec![effect.clone()]).await.unwrap();
        assert_eq!(refused, GovernanceOutcome::Refused(effect), "what another tenant has is not here");
    }
    let renewed = store.renew_lease(&other, chain.id, AttemptNo(1), &actor("runner"), at(1), at(99)).await;
    assert!(!renewed.unwrap());

    chain.stands(store).await;
    assert_eq!(store.gate(&chain.tenant, gate_id).await.unwrap().unwrap().closing, None);
    assert_eq!(store.grant(&chain.tenant, chain.id, grant_id).await.unwrap().unwrap().consumed_by, None);
    assert_eq!(store.lease(&chain.tenant, chain.id).await.unwrap().unwrap().until, at(10));
}

async fn two_tenants_may_use_the_same_identifiers(store: &Store) {
    let mut ours = Chain::new(&tenant("acme"));
    let mut theirs = Chain { tenant: tenant("other"), ..ours.clone() };
    let (gate_id, grant_id) = (gate(), grant());
    let effects = || {
        vec![
            Effect::OpenGate(gate_row(gate_id, &["approver"], 5_000)),
            Effect::PutGrant { id: grant_id, expires_at: at(9) },
            snapshot_effect(b"same").1,
        ]
    };
    ours.commit(store, effects()).await;
    theirs.commit(store, effects()).await;
    let close = Effect::CloseGate { id: gate_id, resolution: name("x"), decided_by: None, at: at(2) };
    ours.commit(store, vec![close, Effect::ConsumeGrant { id: grant_id, attempt: AttemptNo(1) }]).await;
    governed(store, &ours.tenant, erasure(ours.id, snapshot_effect(b"same").0, 3)).await;

    theirs.stands(store).await;
    assert_eq!(store.gate(&theirs.tenant, gate_id).await.unwrap().unwrap().closing, None);
    assert_eq!(store.grant(&theirs.tenant, theirs.id, grant_id).await.unwrap().unwrap().consumed_by, None);
    let kept = store.snapshot(&theirs.tenant, theirs.id, snapshot_effect(b"same").0).await.unwrap().unwrap();
    assert!(matches!(kept.content, gantral_store::SnapshotContent::Kept { .. }));
}
