//! Several servers upon one outbox: one carries to a channel at a time, and another one goes on where it ends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use gantral_store::{LEASE, Store};
use gantral_testkit::cluster::{Ledger, shared};

use crate::outbox::{Gate, Office, SECRET, couriers};
use crate::receiver::{Receiver, until};

/// How many messages wait at once.
const MESSAGES: u64 = 60;

/// Makes servers upon one database, each with its own connections.
async fn servers<const N: usize>(ledger: &Ledger, url: &str) -> [Office; N] {
    let mut stores: Vec<Store> = Vec::new();
    for _ in 0..N {
        stores.push(shared().open(&ledger.database, None).await);
    }
    let office = |store| Office::upon(store, couriers(&[("pager", url)], Duration::from_secs(30)));
    let offices: Vec<Office> = stores.into_iter().map(office).collect();
    offices.try_into().unwrap_or_else(|_| panic!("as many as were made"))
}

async fn drained(office: &Office) {
    until("an empty outbox", async || office.counts("pager").await.is_none_or(|count| count.waiting == 0))
        .await;
}

/// Makes two servers, of which the first has sent a message to a receiver that takes it and does not say so.
async fn one_of_two_is_sending() -> (Ledger, Receiver, [Office; 2]) {
    let (ledger, receiver) = (Ledger::fresh().await, Receiver::start(&SECRET).await);
    let [mut one, two]: [Office; 2] = servers(&ledger, &receiver.url()).await;
    one.open(1, &["pager"]).await;
    receiver.hold(true);
    one.start();
    until("a message on its way", async || receiver.on_its_way() == 1).await;
    (ledger, receiver, [one, two])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_servers_one_carries_and_each_message_arrives_once_and_in_its_order() {
    let (ledger, receiver) = (Ledger::fresh().await, Receiver::start(&SECRET).await);
    let mut servers: [Office; 3] = servers(&ledger, &receiver.url()).await;
    let mut gates: Vec<Gate> = Vec::new();
    for number in 0..MESSAGES / 3 {
        gates.push(servers[0].open(number, &["pager"]).await);
    }
    servers.iter_mut().for_each(Office::start);
    for kind in ["gate.extended", "gate.decided"] {
        for (number, gate) in gates.iter_mut().enumerate() {
            servers[number % 3].tell(gate, kind, &["pager"]).await;
        }
    }
    receiver.until_taken(usize::try_from(MESSAGES).unwrap()).await;
    drained(&servers[0]).await;
    let taken = receiver.taken();
    let ids: BTreeSet<&str> = taken.iter().map(|came| came.id.as_str()).collect();
    assert_eq!((ids.len() as u64, receiver.came().len() as u64), (MESSAGES, MESSAGES), "none was sent twice");
    for gate in &gates {
        let kinds: Vec<_> = taken
            .iter()
            .filter(|came| came.event["data"]["gate_id"] == gate.id.to_string())
            .map(|came| came.event["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["gantral.gate.opened", "gantral.gate.extended", "gantral.gate.decided"]);
    }
    // Whichever it was ends in order: the one that is left goes on without waiting for a lease.
    let [mut one, mut two, mut last] = servers;
    one.stop().await;
    two.stop().await;
    let ended = Instant::now();
    last.open(MESSAGES, &["pager"]).await;
    receiver.until_taken(usize::try_from(MESSAGES).unwrap() + 1).await;
    assert!(ended.elapsed() < LEASE / 2, "{:?}", ended.elapsed());
    last.stop().await;
    ledger.gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_server_was_sending_is_sent_again_by_another_under_the_same_id_and_not_before_its_lease_is_over()
 {
    let (ledger, receiver, [mut one, mut two]) = one_of_two_is_sending().await;
    let killed = Instant::now();
    one.kill().await;
    two.start();
    until("the same message on its way", async || receiver.on_its_way() == 2).await;
    assert!(killed.elapsed() < LEASE * 2, "{:?}", killed.elapsed());
    assert!(killed.elapsed() > LEASE / 2, "{:?}", killed.elapsed());
    receiver.hold(false);
    receiver.until(1).await;
    drained(&two).await;
    let ids: BTreeSet<String> = receiver.came().into_iter().map(|came| came.id).collect();
    assert_eq!(ids.len(), 1, "whoever takes it twice knows it again");
    two.stop().await;
    ledger.gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_stopped_for_longer_than_its_lease_notes_nothing_and_leaves_the_channel_to_the_next()
 {
    let (ledger, receiver, [mut one, mut two]) = one_of_two_is_sending().await;
    // As if nothing of its process had run: its lease is over, and it does not know.
    let raw = ledger.raw().await;
    raw.batch_execute("UPDATE gantral.duty SET until = now() - interval '1 second'").await.unwrap();
    two.start();
    until("the same message on its way", async || receiver.on_its_way() == 2).await;
    receiver.hold(false);
    drained(&two).await;
    two.open(2, &["pager"]).await;
    receiver.until_taken(3).await;
    drained(&two).await;
    tokio::time::sleep(LEASE / 2).await;
    assert_eq!(receiver.came().len(), 3, "the first one sends nothing more");
    one.stop().await;
    two.stop().await;
    ledger.gone().await;
}
