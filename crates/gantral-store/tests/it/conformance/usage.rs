//! How much of a tenant there is: counted with what adds it, and never above a limit by what begins.

use gantral_core::digest::{CommitmentLabel, Digest, Salt, commit};
use gantral_core::policy::PolicyVersionId;
use gantral_store::{Append, AppendOutcome, Effect, Guard, Room, Store, Usage};
use tokio::task::JoinSet;

use crate::conformance::conformance;
use crate::world::{Chain, at, erasure, governed, reason, tenant};

conformance!(
    what_is_kept_is_counted_until_it_is_erased,
    an_instance_counts_as_long_as_it_is_open,
    what_was_refused_or_came_twice_is_not_counted,
    no_more_begins_than_there_is_room_for_however_many_come_at_once,
    bytes_that_begin_at_once_stay_within_the_limit,
    whoever_joins_an_open_call_is_told_of_it_where_there_is_no_room,
    room_is_that_of_one_tenant,
);

/// How many come at once, over and over.
const CROWD: u64 = 24;

async fn usage(store: &Store) -> Usage {
    store.usage(&tenant("acme")).await.unwrap()
}

fn snapshot(bytes: usize) -> (Digest, Effect) {
    let (label, salt, plaintext) = (CommitmentLabel::Context, Salt::from_bytes([3; 32]), vec![b'x'; bytes]);
    let commitment = commit(label, &salt, &plaintext);
    (commitment, Effect::PutSnapshot { commitment, label, salt, plaintext })
}

fn bytes_of(append: &Append) -> u64 {
    append.artifacts.iter().map(|artifact| artifact.sealed.envelope.len() as u64).sum()
}

async fn what_is_kept_is_counted_until_it_is_erased(store: &Store) {
    assert_eq!(usage(store).await, Usage::default());
    let mut chain = Chain::new(&tenant("acme"));
    let (commitment, kept) = snapshot(1_000);
    let human = Effect::PutEvidence { digest: Digest::of(b"e"), content: b"evidence".to_vec() };
    let append = chain.with(vec![kept, human]);
    let envelopes = bytes_of(&append);
    chain.committed(store, append).await;
    assert_eq!(usage(store).await.bytes, envelopes + 1_008);
    let version = PolicyVersionId(Digest::of(b"p"));
    for _ in 0..2 {
        store.put_policy_bundle(&chain.tenant, version, vec![7; 500], at(1)).await.unwrap();
        assert_eq!(usage(store).await.bytes, envelopes + 1_508, "the same bundle is kept once");
    }
    governed(store, &chain.tenant, reason("because").1).await;
    let governing = usage(store).await.bytes;
    assert!(governing > envelopes + 1_508 + 7, "{governing}");
    governed(store, &chain.tenant, erasure(chain.id, commitment, 9)).await;
    let after = usage(store).await.bytes;
    // The artifact of the erasure is kept instead.
    assert!(after < governing - 800 && after > envelopes + 508, "{after} of {governing}");
}

async fn an_instance_counts_as_long_as_it_is_open(store: &Store) {
    let (mut one, mut other) = (Chain::new(&tenant("acme")), Chain::new(&tenant("acme")));
    one.commit(store, vec![]).await;
    other.commit(store, vec![]).await;
    one.commit(store, vec![]).await;
    assert_eq!(usage(store).await.open, 2);
    one.index.open = false;
    one.commit(store, vec![]).await;
    assert_eq!(usage(store).await.open, 1);
    let mut at_once = Chain::new(&tenant("acme"));
    at_once.index.open = false;
    at_once.commit(store, vec![]).await;
    assert_eq!(usage(store).await.open, 1, "it ended as it began");
}

async fn what_was_refused_or_came_twice_is_not_counted(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let key = crate::world::idempotency("once", b"body");
    let append = Append { idempotency: Some(key), ..chain.append() };
    chain.committed(store, append.clone()).await;
    let before = usage(store).await;
    assert!(matches!(store.append(append).await.unwrap(), AppendOutcome::Replayed(_)));
    let stale = chain.guarded(Guard::GovernanceHead(Some(Digest::of(b"none"))));
    assert!(matches!(store.append(stale).await.unwrap(), AppendOutcome::GuardFailed(_)));
    assert_eq!(usage(store).await, before);
}

async fn no_more_begins_than_there_is_room_for_however_many_come_at_once(store: &Store) {
    // Far above it nobody waits for anybody; near it the last places are given out one by one.
    for most in [7, 400] {
        let room = Guard::Room(Room { open_max: Some(most), bytes_max: None });
        let mut tasks = JoinSet::new();
        for _ in 0..CROWD {
            let (store, room) = (store.clone(), room.clone());
            tasks.spawn(async move {
                let mut begun = 0;
                for _ in 0..(most / CROWD + 2) {
                    let mut chain = Chain::new(&tenant("acme"));
                    let append = chain.guarded(room.clone());
                    let head = append.head();
                    match store.append(append).await.unwrap() {
                        AppendOutcome::Committed => {
                            chain.head = head;
                            begun += 1;
                        }
                        AppendOutcome::GuardFailed(failed) => assert_eq!(failed, room),
                        other => panic!("{other:?}"),
                    }
                    // What has begun goes on where nothing may begin.
                    if begun == 1 && chain.head.is_some() {
                        chain.commit(&store, vec![]).await;
                    }
                }
                begun
            });
        }
        tasks.join_all().await;
        assert_eq!(usage(store).await.open, most);
    }
}

async fn bytes_that_begin_at_once_stay_within_the_limit(store: &Store) {
    let one = Chain::new(&tenant("acme")).with(vec![snapshot(10_000).1]);
    let each = bytes_of(&one) + 10_000;
    let most = each * 10 + each / 2;
    let room = Guard::Room(Room { open_max: None, bytes_max: Some(most) });
    let mut tasks = JoinSet::new();
    for _ in 0..CROWD {
        let (store, room) = (store.clone(), room.clone());
        tasks.spawn(async move {
            let append = Chain::new(&tenant("acme")).with(vec![snapshot(10_000).1]);
            store.append(Append { guards: vec![room], ..append }).await.unwrap() == AppendOutcome::Committed
        });
    }
    let begun = tasks.join_all().await.into_iter().filter(|begun| *begun).count();
    assert_eq!((begun, usage(store).await.bytes), (10, each * 10));
}

async fn whoever_joins_an_open_call_is_told_of_it_where_there_is_no_room(store: &Store) {
    let mut open = Chain::new(&tenant("acme"));
    open.index.call_key = Some(Digest::of(b"call"));
    open.commit(store, vec![]).await;
    let mut again = Chain::new(&tenant("acme"));
    again.index.call_key = open.index.call_key;
    let room = Guard::Room(Room { open_max: Some(1), bytes_max: None });
    assert_eq!(store.append(again.guarded(room)).await.unwrap(), AppendOutcome::CallKeyTaken(open.id));
}

async fn room_is_that_of_one_tenant(store: &Store) {
    let room = Guard::Room(Room { open_max: Some(1), bytes_max: None });
    for name in ["acme", "other"] {
        let mut chain = Chain::new(&tenant(name));
        let append = chain.guarded(room.clone());
        chain.committed(store, append).await;
        assert_eq!(store.usage(&tenant(name)).await.unwrap().open, 1);
    }
}
