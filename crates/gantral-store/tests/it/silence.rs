//! A network that loses everything between the store and its database, and says nothing.

use std::time::{Duration, Instant};

use gantral_store::{PostgresOptions, Store, StoreError};
use gantral_testkit::Relay;
use gantral_testkit::cluster::shared;

use crate::world::{Chain, tenant};

/// How long a caller may be left without an answer: what an answer may take, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(25);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_that_is_silent_is_given_up_and_nothing_is_lost_or_doubled_when_it_is_heard_again() {
    let database = shared().database().await;
    let relay = Relay::to(shared().socket(), Duration::ZERO);
    let address = format!("postgres://postgres@{}/{database}", relay.address());
    let store = Store::open_postgres(&address, PostgresOptions::default()).await.unwrap();
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(&store, vec![]).await;

    relay.silent(true);
    let began = Instant::now();
    let (written, read) = tokio::join!(store.append(chain.append()), store.instance(&chain.tenant, chain.id));
    assert!(matches!(written, Err(StoreError::Failed { .. })), "{written:?}");
    assert!(matches!(read, Err(StoreError::Failed { .. })), "{read:?}");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(store.healthy().is_err());

    // What was sent arrives after all; nobody was told that it was committed, and it was not.
    relay.silent(false);
    chain.stands(&store).await;
    chain.commit(&store, vec![]).await;
    chain.stands(&store).await;
    drop(store);
    shared().remove(&database).await;
}
