//! What several servers share upon one PostgreSQL database: duties, and what the logs consist of.

use std::time::Duration;

use gantral_core::ids::LogOrigin;
use gantral_store::{
    Duties, Duty, DutyTaken, FollowedLog, Holder, LEASE, LogRow, PostgresStore, Store, StoreError,
    SwapOutcome,
};
use gantral_testkit::cluster::{Ledger, shared};
use tokio::time::timeout;

use crate::conformance::logs::Logs;
use crate::world::{Chain, claim, on_duty, tenant};

fn postgres(store: &Store) -> &PostgresStore {
    let Store::Postgres(store) = store else { panic!("this is about PostgreSQL") };
    store
}

fn log() -> LogOrigin {
    LogOrigin::parse("acme/log").unwrap()
}

fn object(name: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), bytes.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_passed_by_is_told_and_another_server_goes_on() {
    let ledger = Ledger::fresh().await;
    let other = shared().open(&ledger.database, None).await;
    let [one, two] = [(&ledger.store, 1), (&other, 2)]
        .map(|(store, number)| Duties::new(store.clone(), Holder::from_random([number; 16])));
    let first = one.wait(&Duty::Logs).await;
    assert!(timeout(Duration::from_millis(100), first.lost()).await.is_err());
    // As if its process had been stopped for longer than its lease.
    let raw = ledger.raw().await;
    raw.batch_execute("UPDATE gantral.duty SET until = now() - interval '1 second'").await.unwrap();
    let second = two.take(&Duty::Logs).await.unwrap().unwrap();
    timeout(LEASE, first.lost()).await.unwrap();
    assert_eq!(ledger.store.claim_logs(first.held()).await.unwrap(), None);
    assert!(other.claim_logs(second.held()).await.unwrap().is_some());
    first.release().await;
    assert!(one.take(&Duty::Logs).await.unwrap().is_none(), "what was lost is not given back");
    drop((second, one, two, other));
    ledger.gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_measured_by_the_clock_of_the_database_alone() {
    let ledger = Ledger::fresh().await;
    let held = on_duty(&ledger.store, Duty::Tick).await;
    let raw = ledger.raw().await;
    let left = "SELECT extract(epoch FROM until - clock_timestamp())::float8 FROM gantral.duty";
    let left: f64 = raw.query_one(left, &[]).await.unwrap().get(0);
    assert!((0.0..=LEASE.as_secs_f64()).contains(&left), "{left}");
    // A clock of the database that has gone back makes a lease longer, and never two of them.
    raw.batch_execute("UPDATE gantral.duty SET until = until + interval '1 hour'").await.unwrap();
    let other = Holder::from_random([9; 16]);
    let taken = ledger.store.take_duty(&Duty::Tick, other, LEASE).await.unwrap();
    assert!(matches!(taken, DutyTaken::Others { left } if left > LEASE), "{taken:?}");
    assert!(ledger.store.renew_duty(&held, LEASE).await.unwrap());
    ledger.gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_there_for_every_server_and_are_replaced_and_removed_whole() {
    let ledger = Ledger::fresh().await;
    let (store, log) = (postgres(&ledger.store), log());
    let fence = claim(&ledger.store).await.fence;
    let names =
        ["checkpoint", "tile/0/000.p/1", "tile/0/000.p/2", "tile/0/000.p0", "tile/0/000.q/1", "tile/0/000"];
    let objects = names.map(|name| object(name, name.as_bytes())).to_vec();
    assert!(store.put_log_objects(fence, &log, objects).await.unwrap());
    assert!(store.put_log_objects(fence, &log, vec![object("checkpoint", b"newer")]).await.unwrap());
    let other = shared().open(&ledger.database, None).await;
    let other = postgres(&other);
    assert_eq!(other.log_object(&log, "checkpoint").await.unwrap().unwrap(), b"newer");
    let elsewhere = LogOrigin::parse("acme/log2").unwrap();
    assert_eq!(other.log_object(&elsewhere, "checkpoint").await.unwrap(), None);
    assert!(other.remove_log_objects(fence, &log, "tile/0/000.p").await.unwrap());
    for (name, stays) in names.into_iter().zip([true, false, false, true, true, true]) {
        assert_eq!(store.log_object(&log, name).await.unwrap().is_some(), stays, "{name}");
    }
    ledger.gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequencer_that_was_passed_by_writes_and_removes_nothing() {
    let ledger = Ledger::fresh().await;
    let (store, log) = (postgres(&ledger.store), log());
    for round in 0..20u8 {
        let old = claim(&ledger.store).await.fence;
        let put = |bytes: u8| store.put_log_objects(old, &log, vec![object("checkpoint", &[bytes])]);
        assert!(put(round).await.unwrap());
        // A write that is under way while another server claims the logs is done before that, or not at all.
        let (raced, newer) = tokio::join!(put(round + 100), claim(&ledger.store));
        let now = store.log_object(&log, "checkpoint").await.unwrap().unwrap();
        assert_eq!(now, [if raced.unwrap() { round + 100 } else { round }]);
        assert!(newer.fence > old);
        assert!(!put(round + 200).await.unwrap());
        assert!(!store.remove_log_objects(old, &log, "tile").await.unwrap());
        assert_eq!(store.log_object(&log, "checkpoint").await.unwrap().unwrap(), now);
    }
    ledger.gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_follows_the_logs_that_another_one_lets_grow() {
    let ledger = Ledger::fresh().await;
    let store = &ledger.store;
    let [acme, other, none] = ["acme", "other", "none"].map(tenant);
    let all = [acme.clone(), other.clone(), none];
    assert_eq!(postgres(store).followed_logs(&all, 2).await.unwrap(), []);
    let mut chain = Chain::new(&acme);
    for size in 1..3u64 {
        chain.commit(store, vec![]).await;
        let claimed = claim(store).await;
        let page = store.committed(claimed.taken, 10).await.unwrap().artifacts;
        let mut logs = Logs::default();
        if let Some(row) = store.log(&acme).await.unwrap() {
            logs.rows.insert(acme.clone(), (row.size, row.root));
        }
        let swap = logs.swap(claimed.fence, claimed.taken, &page);
        assert_eq!(store.swap_logs(swap).await.unwrap(), SwapOutcome::Swapped);
        let row: LogRow = store.log(&acme).await.unwrap().unwrap();
        store.keep_cosigned(u8::try_from(3 - size).unwrap(), row).await.unwrap();
    }
    let raw = ledger.raw().await;
    raw.batch_execute("INSERT INTO gantral.log_held(tenant, number) VALUES('other', 7)").await.unwrap();
    let newest = store.log(&acme).await.unwrap().unwrap();
    let first = store.cosigned_at(&acme, 1).await.unwrap().unwrap();
    let mut found = postgres(store).followed_logs(&all, 2).await.unwrap();
    found.sort_by(|one, next| one.tenant.cmp(&next.tenant));
    found[0].cosigned.sort_by_key(|(count, _)| *count);
    let cosigned = vec![(1, (2, newest.root)), (2, (1, first.root))];
    let followed = FollowedLog { tenant: acme.clone(), newest: Some(newest), held: None, cosigned };
    let held = FollowedLog { tenant: other, newest: None, held: Some(7), cosigned: vec![] };
    assert_eq!(found, [followed, held.clone()]);
    // A row that cannot be read is the matter of its own log.
    raw.batch_execute("UPDATE gantral.log SET root = '\\x00' WHERE tenant = 'acme'").await.unwrap();
    let found = postgres(store).followed_logs(&all, 2).await.unwrap();
    assert!(found.iter().any(|log| log.tenant == acme && log.newest.is_none()), "{found:?}");
    assert!(found.contains(&held));
    let damaged = store.log(&acme).await;
    assert!(matches!(damaged, Err(StoreError::Damaged { .. })), "{damaged:?}");
    ledger.gone().await;
}
