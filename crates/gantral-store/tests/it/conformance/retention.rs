//! Content of what ended long ago: found from the oldest on, erased once, and nothing that verifies with it.

use gantral_store::{Effect, SnapshotContent, Store};

use crate::conformance::conformance;
use crate::world::{Chain, at, erasure, governed, reason, snapshot_effect, tenant};

conformance!(
    content_of_what_has_ended_is_erased_once_and_its_chain_stays,
    what_is_open_or_has_moved_keeps_its_content,
    what_ended_is_found_from_the_oldest_on_page_by_page,
);

/// Commits an instance of this time with a snapshot in each of two artifacts, and ends it.
async fn ended(store: &Store, millis: u64) -> Chain {
    let mut chain = Chain::new(&tenant("acme"));
    chain.index.created_at = at(millis);
    for text in ["one", "another"] {
        chain.commit(store, vec![snapshot(&chain, text)]).await;
    }
    chain.index.open = false;
    chain.commit(store, vec![]).await;
    chain
}

fn snapshot(chain: &Chain, text: &str) -> Effect {
    snapshot_effect(format!("{} {text}", chain.id).as_bytes()).1
}

async fn bytes(store: &Store) -> u64 {
    store.usage(&tenant("acme")).await.unwrap().bytes
}

async fn content_of_what_has_ended_is_erased_once_and_its_chain_stays(store: &Store) {
    let chain = ended(store, 5).await;
    let (other, governing) = (ended(store, 6).await, reason("because"));
    governed(store, &chain.tenant, governing.1).await;
    // What somebody erased by right before is not erased again, and keeps its time.
    let (early, _) = snapshot_effect(format!("{} one", chain.id).as_bytes());
    governed(store, &chain.tenant, erasure(chain.id, early, 7)).await;
    let before = bytes(store).await;
    let head = chain.head.unwrap();
    let erased = store.erase_content(&chain.tenant, chain.id, head, at(9)).await.unwrap().unwrap();
    assert_eq!(erased.snapshots, 1);
    assert!(erased.bytes > 0);
    assert_eq!(bytes(store).await, before - erased.bytes);
    let contents = store.snapshots_of(&chain.tenant, chain.id, None, 10).await.unwrap();
    let when = |content: &SnapshotContent| match content {
        SnapshotContent::Erased { at } => at.get(),
        SnapshotContent::Kept { .. } => 0,
    };
    let mut when: Vec<u64> = contents.iter().map(|snapshot| when(&snapshot.content)).collect();
    when.sort_unstable();
    assert_eq!(when, [7, 9]);
    chain.stands(store).await;
    // Again, by whoever did not know: nothing more, and nothing is counted twice.
    assert_eq!(store.erase_content(&chain.tenant, chain.id, head, at(10)).await.unwrap(), None);
    assert_eq!(bytes(store).await, before - erased.bytes);
    let kept = store.snapshots_of(&other.tenant, other.id, None, 10).await.unwrap();
    assert!(kept.iter().all(|snapshot| matches!(snapshot.content, SnapshotContent::Kept { .. })));
    assert!(store.governance_snapshot(&chain.tenant, governing.0).await.unwrap().is_some());
}

async fn what_is_open_or_has_moved_keeps_its_content(store: &Store) {
    let mut open = Chain::new(&tenant("acme"));
    open.commit(store, vec![snapshot(&open, "one")]).await;
    let head = open.head.unwrap();
    assert_eq!(store.erase_content(&open.tenant, open.id, head, at(9)).await.unwrap(), None);
    let chain = ended(store, 5).await;
    assert_eq!(store.erase_content(&chain.tenant, chain.id, head, at(9)).await.unwrap(), None);
    let other = tenant("other");
    assert_eq!(store.erase_content(&other, chain.id, chain.head.unwrap(), at(9)).await.unwrap(), None);
    for id in [open.id, chain.id] {
        let kept = store.snapshots_of(&open.tenant, id, None, 10).await.unwrap();
        assert!(kept.iter().all(|snapshot| matches!(snapshot.content, SnapshotContent::Kept { .. })));
    }
}

async fn what_ended_is_found_from_the_oldest_on_page_by_page(store: &Store) {
    let mut expected = Vec::new();
    for millis in [30, 10, 20, 20, 40] {
        let chain = ended(store, millis).await;
        expected.push((millis, *chain.id.as_bytes(), chain));
    }
    expected.sort_by_key(|(millis, id, _)| (*millis, *id));
    let mut open = Chain::new(&tenant("acme"));
    open.index.created_at = at(15);
    open.commit(store, vec![]).await;
    let found = async |limit| {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.ended_before(&tenant("acme"), at(40), after, limit).await.unwrap();
            found.extend(page.ended.into_iter().map(|row| row.id));
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    };
    // The youngest is not older than was asked for, and the open one has not ended.
    let ids =
        |chains: &[(u64, [u8; 16], Chain)]| chains.iter().map(|(_, _, chain)| chain.id).collect::<Vec<_>>();
    for limit in [1, 2, 100] {
        assert_eq!(found(limit).await, ids(&expected[..4]), "{limit}");
    }
    // What was done is not found again.
    let first = &expected[0].2;
    store.erase_content(&first.tenant, first.id, first.head.unwrap(), at(9)).await.unwrap().unwrap();
    assert_eq!(found(2).await, ids(&expected[1..4]));
}
