//! Keys under which a request is done once.

use gantral_core::digest::Digest;
use gantral_core::ids::AttemptNo;
use gantral_store::{
    Append, AppendOutcome, Guard, IdempotencyAnswer, IdempotencyLookup, IdempotencyScope, Store,
};
use tokio::task::JoinSet;

use crate::conformance::conformance;
use crate::world::{Chain, actor, at, idempotency, scope, tenant};

conformance!(
    a_repeated_request_gets_its_first_answer,
    a_repeated_request_is_answered_before_head_and_guards,
    another_body_under_one_key_is_told,
    another_principal_attempt_route_or_tenant_is_another_key,
    an_expired_key_is_fresh_and_can_be_forgotten,
    of_many_requests_under_one_key_one_commits,
);

fn keyed(chain: &Chain, key: &str, body: &[u8]) -> Append {
    Append { idempotency: Some(idempotency(key, body)), ..chain.append_of(2) }
}

fn answer(chain: &Chain, first: u64, last: u64) -> IdempotencyAnswer {
    IdempotencyAnswer {
        instance: chain.id,
        first_sequence: first,
        last_sequence: last,
        status: 201,
        answer: b"{}".to_vec(),
    }
}

async fn a_repeated_request_gets_its_first_answer(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let body = Digest::of(b"body");
    let look =
        async || store.lookup_idempotency(&tenant("acme"), &scope("k"), body, at(1_000)).await.unwrap();
    assert_eq!(look().await, IdempotencyLookup::Fresh);
    chain.commit(store, vec![]).await;
    let append = keyed(&chain, "k", b"body");
    chain.committed(store, append).await;
    assert_eq!(look().await, IdempotencyLookup::Replayed(answer(&chain, 1, 2)));
    // A create that is sent again made up another instance; the first one is the answer.
    let again = Chain::new(&tenant("acme"));
    let outcome = store.append(keyed(&again, "k", b"body")).await.unwrap();
    assert_eq!(outcome, AppendOutcome::Replayed(answer(&chain, 1, 2)));
    again.stands(store).await;
}

async fn a_repeated_request_is_answered_before_head_and_guards(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let append = keyed(&chain, "k", b"body");
    chain.committed(store, append.clone()).await;
    chain.commit(store, vec![]).await;
    let repeated = Append { guards: vec![Guard::GovernanceHead(Some(Digest::of(b"another")))], ..append };
    assert_eq!(store.append(repeated).await.unwrap(), AppendOutcome::Replayed(answer(&chain, 0, 1)));
    chain.stands(store).await;
}

async fn another_body_under_one_key_is_told(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let append = keyed(&chain, "k", b"body");
    chain.committed(store, append).await;
    assert_eq!(store.append(keyed(&chain, "k", b"other")).await.unwrap(), AppendOutcome::KeyReused);
    let look =
        store.lookup_idempotency(&chain.tenant, &scope("k"), Digest::of(b"other"), at(1_000)).await.unwrap();
    assert_eq!(look, IdempotencyLookup::KeyReused);
    chain.stands(store).await;
}

async fn another_principal_attempt_route_or_tenant_is_another_key(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let append = keyed(&chain, "k", b"body");
    chain.committed(store, append).await;
    let others = [
        IdempotencyScope { principal: actor("another"), ..scope("k") },
        IdempotencyScope { attempt: AttemptNo(2), ..scope("k") },
        IdempotencyScope { route: "POST /v1/other".to_owned(), ..scope("k") },
        scope("K"),
    ];
    for other in others {
        let look =
            store.lookup_idempotency(&chain.tenant, &other, Digest::of(b"x"), at(1_000)).await.unwrap();
        assert_eq!(look, IdempotencyLookup::Fresh, "{other:?}");
    }
    let look =
        store.lookup_idempotency(&tenant("other"), &scope("k"), Digest::of(b"x"), at(1_000)).await.unwrap();
    assert_eq!(look, IdempotencyLookup::Fresh);
}

async fn an_expired_key_is_fresh_and_can_be_forgotten(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let append = keyed(&chain, "k", b"body");
    chain.committed(store, append).await;
    let body = Digest::of(b"body");
    let look = store.lookup_idempotency(&chain.tenant, &scope("k"), body, at(90_000)).await.unwrap();
    assert_eq!(look, IdempotencyLookup::Fresh);
    // The key is used anew before it is swept.
    let mut append = keyed(&chain, "k", b"new body");
    if let Some(row) = &mut append.idempotency {
        (row.now, row.expires_at) = (at(90_000), at(180_000));
    }
    chain.committed(store, append).await;
    assert_eq!(store.forget_idempotency(at(90_000), 10).await.unwrap(), 0);
    let look = store
        .lookup_idempotency(&chain.tenant, &scope("k"), Digest::of(b"new body"), at(91_000))
        .await
        .unwrap();
    assert_eq!(look, IdempotencyLookup::Replayed(answer(&chain, 2, 3)));
    assert_eq!(store.forget_idempotency(at(180_000), 10).await.unwrap(), 1);
}

async fn of_many_requests_under_one_key_one_commits(store: &Store) {
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        let store = store.clone();
        tasks.spawn(async move {
            let chain = Chain::new(&tenant("acme"));
            (chain.id, store.append(keyed(&chain, "k", b"body")).await.unwrap())
        });
    }
    let answers = tasks.join_all().await;
    let winners: Vec<_> = answers
        .iter()
        .filter(|(_, outcome)| *outcome == AppendOutcome::Committed)
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(winners.len(), 1);
    for (_, outcome) in answers {
        if let AppendOutcome::Replayed(answer) = outcome {
            assert_eq!(answer.instance, winners[0]);
        } else {
            assert_eq!(outcome, AppendOutcome::Committed);
        }
    }
    assert_eq!(store.counts().await.unwrap().instances.iter().map(|(_, count)| count).sum::<u64>(), 1);
}
