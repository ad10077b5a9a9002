//! A disk that is full: nothing is acknowledged that is not there, and the store says that it has stopped.

use gantral_store::{AppendOutcome, SealedArtifact, SqliteOptions, SqliteStore, Store, StoreError};
use gantral_testkit::Tmpfs;
use tokio::task::JoinSet;

use crate::world::{Chain, tenant};

/// Appends from many chains until the store fails; returns the chains as far as they were acknowledged, and whether the
/// append after that may have been kept.
async fn fill(store: &Store) -> Vec<(Chain, bool)> {
    let mut writers = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        writers.spawn(async move {
            let mut chain = Chain::new(&tenant("acme"));
            loop {
                let mut append = chain.append();
                append.artifacts[0].sealed.envelope = vec![7; 2_000];
                let head = append.head();
                match store.append(append).await {
                    Ok(outcome) => assert_eq!(outcome, AppendOutcome::Committed),
                    Err(error) => return (chain, error.may_be_kept()),
                }
                chain.head = head;
            }
        });
    }
    writers.join_all().await
}

/// Expects a store that has stopped, still reads, and refuses every write.
async fn stopped(store: &Store, chains: &[(Chain, bool)]) {
    assert!(matches!(store.healthy(), Err(StoreError::Stopped { .. })));
    let answer = store.append(Chain::new(&tenant("acme")).append()).await;
    assert!(matches!(answer, Err(StoreError::Stopped { .. })), "{answer:?}");
    for (chain, _) in chains {
        chain.stands(store).await;
    }
}

/// Expects every acknowledged append, and at most one that was called unknown, whole.
async fn nothing_lost(store: &Store, chains: &[(Chain, bool)]) {
    for (chain, unknown) in chains {
        let head = store.instance(&chain.tenant, chain.id).await.unwrap().map(|row| row.head);
        let stored = store.chain(&chain.tenant, chain.id, 0, 1_000).await.unwrap();
        assert_eq!(stored.last().map(SealedArtifact::head), head);
        assert!(head == chain.head || (*unknown && head == chain.append().head()), "{head:?} {chain:?}");
    }
    store.healthy().unwrap();
    Chain::new(&tenant("acme")).commit(store, vec![]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_at_its_limit_stops_the_writer_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let options = SqliteOptions { file_bytes_max: Some(2 << 20), ..SqliteOptions::default() };
    let store = Store::Sqlite(SqliteStore::open(&path, options).unwrap());
    let chains = fill(&store).await;
    assert!(
        chains.iter().all(|(_, unknown)| !unknown),
        "no page was left, so that nothing can have been kept"
    );
    assert!(chains.iter().any(|(chain, _)| chain.head.is_some()));
    stopped(&store, &chains).await;
    drop(store);
    nothing_lost(&Store::open_sqlite(&path).unwrap(), &chains).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_the_writer_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Where there is none, the limit of a file covers the same path.
    let Some(disk) = Tmpfs::mount(folder.path(), "3m") else { return };
    let path = folder.path().join("gantral.db");
    let store = Store::open_sqlite(&path).unwrap();
    let chains = fill(&store).await;
    assert!(chains.iter().any(|(chain, _)| chain.head.is_some()));
    stopped(&store, &chains).await;
    drop(store);
    disk.resize("64m");
    let store = Store::open_sqlite(&path).unwrap();
    nothing_lost(&store, &chains).await;
    drop(store);
    drop(disk);
}
