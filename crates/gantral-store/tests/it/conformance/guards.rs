//! What must still stand when an append commits.

use gantral_core::digest::Digest;
use gantral_core::ids::AttemptNo;
use gantral_core::policy::PolicyVersionId;
use gantral_store::{AppendOutcome, Effect, Freeze, Guard, Store};

use crate::conformance::conformance;
use crate::world::{Chain, activation, actor, at, freezing, governed, grant, tenant, workflow};

conformance!(
    a_lease_guard_stands_while_the_attempt_holds_its_lease,
    a_freeze_guard_fails_after_any_change,
    a_policy_guard_fails_after_another_activation,
    a_grant_guard_fails_for_the_unknown_and_the_consumed,
    the_first_guard_that_fails_is_named,
    a_moved_head_is_answered_before_a_failed_guard,
);

/// Asks whether a guard stands, by an append that changes nothing else.
async fn stands(store: &Store, chain: &mut Chain, guard: Guard) -> bool {
    let append = chain.guarded(guard.clone());
    let head = append.head();
    match store.append(append).await.unwrap() {
        AppendOutcome::Committed => {
            chain.head = head;
            true
        }
        AppendOutcome::GuardFailed(failed) => {
            assert_eq!(failed, guard);
            chain.stands(store).await;
            false
        }
        other => panic!("{other:?}"),
    }
}

async fn a_lease_guard_stands_while_the_attempt_holds_its_lease(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let guard = |attempt, now| Guard::Lease { attempt: AttemptNo(attempt), now: at(now) };
    chain.commit(store, vec![]).await;
    assert!(!stands(store, &mut chain, guard(1, 10)).await, "no lease yet");
    let assign = |attempt, until| Effect::AssignTask {
        attempt: AttemptNo(attempt),
        executor: actor("runner"),
        lease_until: at(until),
    };
    chain.commit(store, vec![assign(1, 1_000)]).await;
    assert!(stands(store, &mut chain, guard(1, 999)).await);
    assert!(!stands(store, &mut chain, guard(1, 1_000)).await, "expired");
    assert!(!stands(store, &mut chain, guard(2, 10)).await, "another attempt");
    chain.commit(store, vec![assign(2, 2_000)]).await;
    assert!(!stands(store, &mut chain, guard(1, 10)).await, "replaced");
    assert!(stands(store, &mut chain, guard(2, 10)).await);
    chain.commit(store, vec![Effect::EndLease { attempt: AttemptNo(2) }]).await;
    assert!(!stands(store, &mut chain, guard(2, 10)).await, "ended");
}

async fn a_freeze_guard_fails_after_any_change(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    assert!(stands(store, &mut chain, Guard::FreezeEpoch(0)).await);
    governed(store, &chain.tenant, freezing(true)).await;
    assert_eq!(store.freeze(&chain.tenant).await.unwrap(), Freeze { epoch: 1, frozen: true });
    assert!(!stands(store, &mut chain, Guard::FreezeEpoch(0)).await);
    assert!(stands(store, &mut chain, Guard::FreezeEpoch(1)).await);
    governed(store, &chain.tenant, freezing(false)).await;
    assert_eq!(store.freeze(&chain.tenant).await.unwrap(), Freeze { epoch: 2, frozen: false });
    assert!(!stands(store, &mut chain, Guard::FreezeEpoch(1)).await);
}

async fn a_policy_guard_fails_after_another_activation(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let versions = [b"one", b"two"].map(|bytes| PolicyVersionId(Digest::of(bytes)));
    let guard = |version| Guard::ActivePolicy { workflow: workflow("refund"), version };
    assert!(!stands(store, &mut chain, guard(versions[0])).await);
    for version in versions {
        store.put_policy_bundle(&chain.tenant, version, b"package".to_vec(), at(1)).await.unwrap();
        governed(store, &chain.tenant, activation("refund", version, 5)).await;
        assert!(stands(store, &mut chain, guard(version)).await);
    }
    assert!(!stands(store, &mut chain, guard(versions[0])).await);
    let elsewhere = Guard::ActivePolicy { workflow: workflow("another"), version: versions[1] };
    assert!(!stands(store, &mut chain, elsewhere).await);
}

async fn a_grant_guard_fails_for_the_unknown_and_the_consumed(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let id = grant();
    assert!(!stands(store, &mut chain, Guard::GrantUnconsumed(id)).await);
    chain.commit(store, vec![Effect::PutGrant { id, expires_at: at(9) }]).await;
    assert!(stands(store, &mut chain, Guard::GrantUnconsumed(id)).await);
    let mut other = Chain::new(&tenant("acme"));
    assert!(!stands(store, &mut other, Guard::GrantUnconsumed(id)).await, "bound to its instance");
    chain.commit(store, vec![Effect::ConsumeGrant { id, attempt: AttemptNo(1) }]).await;
    assert!(!stands(store, &mut chain, Guard::GrantUnconsumed(id)).await);
}

async fn the_first_guard_that_fails_is_named(store: &Store) {
    let chain = Chain::new(&tenant("acme"));
    let id = grant();
    let mut append = chain.guarded(Guard::FreezeEpoch(0));
    append.guards.extend([Guard::GrantUnconsumed(id), Guard::FreezeEpoch(7)]);
    let outcome = store.append(append).await.unwrap();
    assert_eq!(outcome, AppendOutcome::GuardFailed(Guard::GrantUnconsumed(id)));
    chain.stands(store).await;
}

async fn a_moved_head_is_answered_before_a_failed_guard(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let stale = chain.guarded(Guard::FreezeEpoch(7));
    chain.commit(store, vec![]).await;
    assert_eq!(store.append(stale).await.unwrap(), AppendOutcome::Moved(chain.head));
}
