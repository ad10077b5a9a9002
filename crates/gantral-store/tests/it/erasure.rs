//! What is erased is in no file any more.

use gantral_store::{SnapshotContent, Store};

use crate::world::{Chain, at, erasure, governed, snapshot_effect, tenant};

/// Tells whether any file of the folder contains the bytes.
fn on_disk(folder: &std::path::Path, canary: &[u8]) -> bool {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .any(|bytes| bytes.windows(canary.len()).any(|window| window == canary))
}

#[tokio::test]
async fn an_erased_snapshot_leaves_no_bytes_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let mut store = Store::open_sqlite(&path).unwrap();
    let mut chain = Chain::new(&tenant("acme"));
    let mut erased = Vec::new();
    for number in 0..200usize {
        let canary = format!("canary-{number:04}-{}", "x".repeat([20, 700, 3_000, 60_000][number % 4]));
        let (commitment, keep) = snapshot_effect(canary.as_bytes());
        chain.commit(&store, vec![keep]).await;
        if number % 3 == 0 {
            erased.push((commitment, format!("canary-{number:04}")));
        }
        if number == 100 {
            // What is in the file, and not in the write-ahead log, is erased too.
            drop(store);
            store = Store::open_sqlite(&path).unwrap();
        }
    }
    assert!(erased.iter().all(|(_, canary)| on_disk(folder.path(), canary.as_bytes())));
    for (commitment, _) in &erased {
        governed(&store, &chain.tenant, erasure(chain.id, *commitment, 9)).await;
    }
    for (commitment, canary) in &erased {
        assert!(!on_disk(folder.path(), canary.as_bytes()), "{canary} is still there");
        let left = store.snapshot(&chain.tenant, chain.id, *commitment).await.unwrap().unwrap();
        assert_eq!(left.content, SnapshotContent::Erased { at: at(9) });
    }
    assert!(on_disk(folder.path(), b"canary-0001"));
    chain.stands(&store).await;
}

#[tokio::test]
async fn content_that_was_kept_for_its_time_leaves_no_bytes_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("gantral.db")).unwrap();
    let (mut gone, mut stays) = (Chain::new(&tenant("acme")), Chain::new(&tenant("acme")));
    for number in 0..20usize {
        for (chain, name) in [(&mut gone, "gone"), (&mut stays, "stays")] {
            let canary = format!("{name}-{number:04}-{}", "x".repeat([20, 700, 3_000, 60_000][number % 4]));
            chain.commit(&store, vec![snapshot_effect(canary.as_bytes()).1]).await;
        }
    }
    gone.index.open = false;
    gone.commit(&store, vec![]).await;
    assert!(on_disk(folder.path(), b"gone-0003") && on_disk(folder.path(), b"stays-0003"));
    let erased =
        store.erase_content(&gone.tenant, gone.id, gone.head.unwrap(), at(9)).await.unwrap().unwrap();
    assert_eq!(erased.snapshots, 20);
    for number in 0..20 {
        assert!(!on_disk(folder.path(), format!("gone-{number:04}").as_bytes()), "{number} is still there");
        assert!(on_disk(folder.path(), format!("stays-{number:04}").as_bytes()));
    }
    gone.stands(&store).await;
}
