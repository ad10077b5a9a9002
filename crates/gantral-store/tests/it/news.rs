//! What one server commits, every server hears of.

use std::time::{Duration, Instant};

use gantral_store::{Append, Change, Changes, Effect, PostgresOptions, Store, Wake};
use gantral_testkit::cluster::{Cluster, Ledger, shared};
use tokio::time::timeout;

use crate::world::{Chain, at, govern, name, reason, team, tenant};

/// Much less than the time after which a store looks by itself.
const PROMPT: Duration = Duration::from_millis(500);
/// Longer than that, and than a connection takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

async fn other(ledger: &Ledger) -> Store {
    shared().open(&ledger.database, None).await
}

/// Returns the changes that come until `count` have come.
async fn told(changes: &mut Changes, count: usize, within: Duration) -> Vec<Change> {
    let mut all = Vec::new();
    let began = Instant::now();
    while all.len() < count {
        let left = within.saturating_sub(began.elapsed());
        match timeout(left, changes.next()).await {
            Ok(Wake::Committed(batch)) => all.extend(batch.iter().cloned()),
            Ok(Wake::Lagged(_)) => {}
            Ok(Wake::Closed) | Err(_) => panic!("{} of {count} changes came", all.len()),
        }
    }
    all
}

/// Expects that nothing more comes, for longer than a store needs to look by itself.
async fn nothing_more(changes: &mut Changes) {
    let more = timeout(Duration::from_millis(1_500), changes.next()).await;
    assert!(more.is_err(), "{more:?}");
}

/// Ends the connections of a database that listen, as a network that fails would.
async fn deafen(ledger: &Ledger) -> i64 {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = $1 AND application_name = 'gantral listener'";
    ledger.raw().await.query_one(sql, &[&ledger.database]).await.unwrap().get(0)
}

#[tokio::test]
async fn commit_of_one_server_is_told_on_the_other_at_once_and_told_once_on_both() {
    let ledger = Ledger::fresh().await;
    let elsewhere = other(&ledger).await;
    let (mut here, mut there) = (ledger.store.subscribe(), elsewhere.subscribe());
    let mut newest = elsewhere.newest();
    let mut chain = Chain::new(&tenant("acme"));
    let first = chain.append_of(3);
    chain.committed(&ledger.store, first).await;
    let task = Effect::PutTask { queue: name("default"), team: team("payments"), ready_at: at(1_000) };
    chain.commit(&ledger.store, vec![task]).await;

    let own = told(&mut here, 2, PROMPT).await;
    let mut heard = told(&mut there, 1, PROMPT).await;
    while heard.last().map(|change| change.head) != chain.head {
        heard.extend(told(&mut there, 1, PROMPT).await);
    }
    let places: Vec<u64> = heard.iter().flat_map(|change| change.first..=change.head.sequence).collect();
    assert_eq!(places, [0, 1, 2, 3]);
    let last = heard.pop().unwrap();
    assert_eq!((&last.tenant, last.instance, &last.queue), (&chain.tenant, chain.id, &Some(name("default"))));
    assert_eq!((last.state, &last.team, &last.workflow), (chain.index.state, &own[1].team, &own[1].workflow));
    assert!(timeout(PROMPT, newest.above(3)).await.unwrap());
    nothing_more(&mut here).await;
    nothing_more(&mut there).await;
    drop(elsewhere);
    ledger.gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crowd_on_two_servers_is_told_whole_and_once_on_both() {
    const CHAINS: usize = 12;
    const APPENDS: usize = 25;
    let ledger = Ledger::fresh().await;
    let stores = [ledger.store.clone(), other(&ledger).await];
    let mut heard = [stores[0].subscribe(), stores[1].subscribe()];
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..CHAINS {
        let stores = stores.clone();
        crowd.spawn(async move {
            let mut chain = Chain::new(&tenant("acme"));
            for turn in 0..APPENDS {
                // Each chain is carried on by both.
                let append: Append = chain.append_of(1 + (turn % 3) as u64);
                chain.committed(&stores[(number + turn) % 2], append).await;
            }
            (chain.id, chain.head.unwrap().sequence + 1)
        });
    }
    let lengths: std::collections::BTreeMap<_, _> = crowd.join_all().await.into_iter().collect();
    let whole: u64 = lengths.values().sum();
    for changes in &mut heard {
        let mut seen = std::collections::BTreeSet::new();
        let began = Instant::now();
        while (seen.len() as u64) < whole {
            assert!(began.elapsed() < PATIENCE, "{} of {whole} artifacts were told", seen.len());
            for change in told(changes, 1, PATIENCE).await {
                for sequence in change.first..=change.head.sequence {
                    assert!(seen.insert((change.instance, sequence)), "told twice: {change:?}");
                }
            }
        }
        nothing_more(changes).await;
    }
    drop(stores);
    ledger.gone().await;
}

#[tokio::test]
async fn governance_of_another_server_wakes_whoever_reads_in_the_order_of_the_commits() {
    let ledger = Ledger::fresh().await;
    let elsewhere = other(&ledger).await;
    let (mut newest, mut changes) = (elsewhere.newest(), elsewhere.subscribe());
    govern(&ledger.store, &tenant("acme"), vec![reason("why").1]).await.unwrap();
    assert!(timeout(PROMPT, newest.above(0)).await.unwrap());
    nothing_more(&mut changes).await;
    drop(elsewhere);
    ledger.gone().await;
}

#[tokio::test]
async fn commit_whose_server_can_notify_nobody_is_heard_all_the_same() {
    let ledger = Ledger::fresh().await;
    let elsewhere = other(&ledger).await;
    let mut there = elsewhere.subscribe();
    let mut chain = Chain::new(&tenant("acme"));
    // A transaction that took a smaller number and is still open holds up nobody.
    let raw = ledger.raw().await;
    raw.batch_execute("BEGIN; SELECT pg_advisory_xact_lock_shared((1196315724::bigint << 32) | 0)")
        .await
        .unwrap();
    for _ in 0..5 {
        assert!(deafen(&ledger).await >= 0);
        chain.commit(&ledger.store, vec![]).await;
    }
    let mut last = None;
    let began = Instant::now();
    while last != chain.head {
        assert!(began.elapsed() < PATIENCE, "the last of five commits was not told");
        last = told(&mut there, 1, PATIENCE).await.last().map(|change| change.head);
    }
    raw.batch_execute("ROLLBACK").await.unwrap();
    drop(elsewhere);
    ledger.gone().await;
}

#[tokio::test]
async fn store_whose_database_went_away_says_so_and_goes_on_by_itself_when_it_is_back() {
    let mut cluster = Cluster::start();
    let database = cluster.database().await;
    let store = Store::open_postgres(&cluster.address(&database), PostgresOptions::default()).await.unwrap();
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(&store, vec![]).await;
    let mut changes = store.subscribe();
    assert!(store.healthy().is_ok());

    cluster.crash();
    let began = Instant::now();
    while store.healthy().is_ok() {
        assert!(began.elapsed() < PATIENCE, "a database that is gone is not missed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(store.append(chain.append()).await.is_err());

    cluster.restart();
    while store.healthy().is_err() {
        assert!(began.elapsed() < PATIENCE * 3, "a database that is back is not heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(timeout(PATIENCE, changes.next()).await, Ok(Wake::Lagged(_))));
    chain.commit(&store, vec![]).await;
    let heads = told(&mut changes, 1, PATIENCE).await;
    assert_eq!(heads.last().map(|change| change.head), chain.head);
}
