//! What must still stand when an append commits.

use gantral_core::digest::Digest;
use gantral_core::ids::AttemptNo;
use gantral_store::{AppendOutcome, Effect, Guard, Store};

use crate::conformance::conformance;
use crate::world::{Chain, actor, at, governed, grant, tenant};

conformance!(
    a_lease_guard_stands_while_the_attempt_holds_its_lease,
    a_governance_guard_fails_after_any_change,
    a_grant_guard_fails_for_the_unknown_and_the_consumed,
    the_first_guard_that_fails_is_named,
    a_moved_head_is_answered_before_a_failed_guard,
);

/// A guard that does not stand.
const NEVER: Guard = Guard::GovernanceHead(Some(Digest::from_bytes([7; 32])));

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

async fn a_governance_guard_fails_after_any_change(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let none = Guard::GovernanceHead(None);
    assert!(stands(store, &mut chain, none.clone()).await);
    let first = Guard::GovernanceHead(governed(store, &chain.tenant, None).await);
    assert!(!stands(store, &mut chain, none).await);
    assert!(stands(store, &mut chain, first.clone()).await);
    governed(store, &tenant("other"), None).await;
    assert!(stands(store, &mut chain, first.clone()).await);
    governed(store, &chain.tenant, None).await;
    assert!(!stands(store, &mut chain, first).await);
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
    let mut append = chain.guarded(Guard::GovernanceHead(None));
    append.guards.extend([Guard::GrantUnconsumed(id), NEVER]);
    let outcome = store.append(append).await.unwrap();
    assert_eq!(outcome, AppendOutcome::GuardFailed(Guard::GrantUnconsumed(id)));
    chain.stands(store).await;
}

async fn a_moved_head_is_answered_before_a_failed_guard(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let stale = chain.guarded(NEVER);
    chain.commit(store, vec![]).await;
    assert_eq!(store.append(stale).await.unwrap(), AppendOutcome::Moved(chain.head));
}
