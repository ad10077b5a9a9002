//! Runner tasks and leases.

use gantral_core::ids::AttemptNo;
use gantral_store::{Append, AppendOutcome, Effect, Guard, Head, Store, StoreError, TaskFilter, Wake};

use crate::conformance::conformance;
use crate::world::{Chain, actor, at, name, team, tenant};

conformance!(
    a_task_is_ready_until_it_is_assigned,
    a_resume_waits_for_the_end_of_the_old_lease,
    tasks_are_found_by_team_and_without_some_workflows,
    the_end_of_a_lease_wakes_its_queue,
    a_task_is_released_at_the_head_that_was_seen_and_a_new_one_waits_again,
    an_assignment_that_wants_a_released_task_finds_one_or_fails,
    an_attempt_number_never_falls,
    only_the_holder_renews_a_lease_and_only_in_time,
    expired_leases_are_found_until_their_attempt_ends,
);

fn put(ready_at: u64) -> Effect {
    Effect::PutTask { queue: name("q"), team: team("payments"), ready_at: at(ready_at) }
}

fn assign(attempt: u32, until: u64) -> Effect {
    Effect::AssignTask { attempt: AttemptNo(attempt), executor: actor("runner"), lease_until: at(until) }
}

fn all() -> TaskFilter {
    TaskFilter { teams: vec![team("payments")], ..TaskFilter::default() }
}

async fn ready(store: &Store, chain: &Chain, now: u64) -> usize {
    store.ready_tasks(&chain.tenant, &name("q"), all(), at(now), 10).await.unwrap().len()
}

async fn a_task_is_ready_until_it_is_assigned(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![put(500)]).await;
    assert_eq!((ready(store, &chain, 499).await, ready(store, &chain, 500).await), (0, 1));
    let found = store.ready_tasks(&chain.tenant, &name("q"), all(), at(500), 10).await.unwrap();
    assert_eq!(
        (found[0].instance, found[0].team.as_str(), found[0].ready_at),
        (chain.id, "payments", at(500))
    );
    assert_eq!(store.ready_tasks(&chain.tenant, &name("other"), all(), at(500), 10).await.unwrap(), []);
    chain.commit(store, vec![assign(1, 2_000)]).await;
    assert_eq!(ready(store, &chain, 9_000).await, 0);
    chain.commit(store, vec![put(500), Effect::DropTask]).await;
    assert_eq!(ready(store, &chain, 9_000).await, 0);
}

async fn a_resume_waits_for_the_end_of_the_old_lease(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![assign(1, 2_000)]).await;
    chain.commit(store, vec![put(100)]).await;
    assert_eq!((ready(store, &chain, 1_999).await, ready(store, &chain, 2_000).await), (0, 1));
    chain.commit(store, vec![Effect::EndLease { attempt: AttemptNo(1) }]).await;
    assert_eq!(ready(store, &chain, 100).await, 1);
}

async fn tasks_are_found_by_team_and_without_some_workflows(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![put(100)]).await;
    let workflow = store.instance(&chain.tenant, chain.id).await.unwrap().unwrap().index.workflow;
    let other = gantral_core::ids::WorkflowId::parse("another").unwrap();
    for (teams, without, expected) in [
        (vec![team("payments"), team("platform")], vec![other.clone()], 1),
        (vec![team("platform")], Vec::new(), 0),
        (Vec::new(), Vec::new(), 0),
        (vec![team("payments")], vec![other, workflow], 0),
    ] {
        let filter = TaskFilter { teams, without, released: false };
        let found = store.ready_tasks(&chain.tenant, &name("q"), filter.clone(), at(500), 10).await.unwrap();
        assert_eq!(found.len(), expected, "{filter:?}");
    }
}

async fn the_end_of_a_lease_wakes_its_queue(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![assign(1, 2_000)]).await;
    chain.commit(store, vec![put(100)]).await;
    let mut changes = store.subscribe();
    chain.commit(store, vec![Effect::EndLease { attempt: AttemptNo(1) }]).await;
    let Wake::Committed(batch) = changes.next().await else { panic!("no commit") };
    assert_eq!(batch[0].queue, Some(name("q")));
}

async fn an_attempt_number_never_falls(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![assign(2, 2_000)]).await;
    for stale in [1, 2] {
        let answer = store.append(chain.with(vec![assign(stale, 9_000)])).await;
        assert!(matches!(answer, Err(StoreError::Contradiction { .. })), "{answer:?}");
    }
    chain.commit(store, vec![Effect::EndLease { attempt: AttemptNo(1) }]).await;
    let lease = store.lease(&chain.tenant, chain.id).await.unwrap().unwrap();
    assert_eq!((lease.attempt, lease.until, lease.ended), (AttemptNo(2), at(2_000), false));
}

async fn only_the_holder_renews_a_lease_and_only_in_time(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![assign(2, 2_000)]).await;
    let renew = async |attempt, executor: &str, now, until| {
        store
            .renew_lease(&tenant("acme"), chain.id, AttemptNo(attempt), &actor(executor), at(now), at(until))
            .await
            .unwrap()
    };
    assert!(!renew(1, "runner", 10, 5_000).await, "an old attempt");
    assert!(!renew(2, "another", 10, 5_000).await, "another executor");
    assert!(!renew(2, "runner", 2_000, 5_000).await, "too late");
    assert!(renew(2, "runner", 1_999, 3_000).await);
    assert!(renew(2, "runner", 2_500, 2_600).await);
    let lease = store.lease(&tenant("acme"), chain.id).await.unwrap().unwrap();
    assert_eq!(lease.until, at(3_000), "a renewal never shortens");
    let id = chain.id;
    chain.commit(store, vec![Effect::EndLease { attempt: AttemptNo(2) }]).await;
    let late =
        store.renew_lease(&tenant("acme"), id, AttemptNo(2), &actor("runner"), at(10), at(9_000)).await;
    assert!(!late.unwrap(), "ended");
}

async fn expired_leases_are_found_until_their_attempt_ends(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![assign(1, 2_000)]).await;
    assert_eq!(store.expired_leases(at(1_999), 10).await.unwrap(), []);
    let found = store.expired_leases(at(2_000), 10).await.unwrap();
    assert_eq!((found.len(), found[0].instance, found[0].executor.clone()), (1, chain.id, actor("runner")));
    chain.commit(store, vec![Effect::EndLease { attempt: AttemptNo(1) }]).await;
    assert_eq!(store.expired_leases(at(9_000), 10).await.unwrap(), []);
}

async fn released(store: &Store, chain: &Chain) -> usize {
    let filter = TaskFilter { released: true, ..all() };
    store.ready_tasks(&chain.tenant, &name("q"), filter, at(500), 10).await.unwrap().len()
}

async fn head(store: &Store, chain: &Chain) -> Head {
    store.instance(&chain.tenant, chain.id).await.unwrap().unwrap().head
}

async fn a_task_is_released_at_the_head_that_was_seen_and_a_new_one_waits_again(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![put(100)]).await;
    assert_eq!((ready(store, &chain, 500).await, released(store, &chain).await), (1, 0));
    assert!(!store.task(&chain.tenant, chain.id).await.unwrap().unwrap().released);
    let seen = head(store, &chain).await;
    let mut changes = store.subscribe();
    assert!(store.release_task(&chain.tenant, chain.id, seen).await.unwrap());
    assert_eq!(released(store, &chain).await, 1);
    assert!(store.task(&chain.tenant, chain.id).await.unwrap().unwrap().released);
    let Wake::Committed(batch) = changes.next().await else { panic!("no news") };
    assert_eq!((batch[0].instance, &batch[0].queue), (chain.id, &Some(name("q"))));
    assert!(batch[0].first > batch[0].head.sequence, "nothing was appended");

    // The task that takes its place waits for a release of its own, and the head that was seen gives none.
    chain.commit(store, vec![put(200)]).await;
    assert_eq!(released(store, &chain).await, 0);
    assert!(!store.release_task(&chain.tenant, chain.id, seen).await.unwrap());
    assert_eq!(released(store, &chain).await, 0);

    // Of another tenant, and of what has no task, nothing is released.
    assert!(!store.release_task(&tenant("other"), chain.id, head(store, &chain).await).await.unwrap());
    chain.commit(store, vec![Effect::DropTask]).await;
    assert!(store.release_task(&chain.tenant, chain.id, head(store, &chain).await).await.unwrap());
    assert_eq!(store.task(&chain.tenant, chain.id).await.unwrap(), None);
}

async fn an_assignment_that_wants_a_released_task_finds_one_or_fails(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![put(100)]).await;
    let assigning = Append { effects: vec![assign(1, 2_000)], ..chain.guarded(Guard::TaskReleased) };
    let refused = store.append(assigning.clone()).await.unwrap();
    assert_eq!(refused, AppendOutcome::GuardFailed(Guard::TaskReleased));
    assert!(store.release_task(&chain.tenant, chain.id, head(store, &chain).await).await.unwrap());
    assert_eq!(store.append(assigning).await.unwrap(), AppendOutcome::Committed);
    assert_eq!(store.task(&chain.tenant, chain.id).await.unwrap(), None);
}
