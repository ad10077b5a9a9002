//! What arrives, in which order, and what is given up.

use std::collections::BTreeMap;
use std::time::Duration;

use gantral_store::DeadLetters;
use tokio::net::TcpListener;

use crate::outbox::{Office, SECRET, SOURCE};
use crate::receiver::{Came, Receiver, until};

/// The longest time for which a message is put off, in seconds.
const PUT_OFF_MAX: u64 = 300;

fn kinds(came: &[Came]) -> Vec<&str> {
    came.iter().map(|came| came.event["type"].as_str().unwrap()).collect()
}

async fn drained(office: &Office, recipient: &str) {
    until("an empty outbox", async || office.counts(recipient).await.is_none_or(|count| count.waiting == 0))
        .await;
}

#[tokio::test]
async fn a_message_arrives_signed_as_a_cloud_event_and_is_forgotten() {
    let receiver = Receiver::start(&SECRET).await;
    let mut office = Office::new(&[("pager", &receiver.url())]);
    let gate = office.open(1, &["pager"]).await;
    office.start();
    receiver.until(1).await;
    drained(&office, "pager").await;
    let came = receiver.came().remove(0);
    assert_eq!(came.timestamp, office.now().get() / 1_000);
    assert_eq!((&came.event["source"], &came.event["type"]), (&SOURCE.into(), &"gantral.gate.opened".into()));
    assert_eq!(came.event["data"]["gate_id"], gate.id.to_string());
    assert_eq!(office.counts("pager").await, None);
}

#[tokio::test]
async fn what_waited_for_a_receiver_that_was_down_arrives_in_the_order_of_each_gate() {
    // The port is free again, and nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut office = Office::new(&[("pager", &format!("http://{address}/"))]);
    let mut gates = [office.open(1, &["pager"]).await, office.open(2, &["pager"]).await];
    office.start();
    until("a failure", async || {
        let row = office.store.outbox_counts().await.unwrap();
        row[0].waiting == 2 && office_has_failed(&office).await
    })
    .await;
    for kind in ["gate.extended", "gate.decided"] {
        for gate in &mut gates {
            office.tell(gate, kind, &["pager"]).await;
        }
    }
    let receiver = Receiver::at(address, &SECRET).await;
    office.advance(PUT_OFF_MAX);
    receiver.until_taken(6).await;
    drained(&office, "pager").await;
    let taken = receiver.taken();
    for gate in gates {
        let of_gate: Vec<Came> =
            taken.iter().filter(|came| came.event["subject"] == gate.id.to_string()).cloned().collect();
        assert_eq!(kinds(&of_gate), ["gantral.gate.opened", "gantral.gate.extended", "gantral.gate.decided"]);
    }
}

/// Tells whether a message was tried in vain.
async fn office_has_failed(office: &Office) -> bool {
    let recipient = gantral_core::ids::Name::parse("pager").unwrap();
    let later = office.now().plus(gantral_core::time::DurationMs::from_secs(PUT_OFF_MAX));
    let turn = gantral_store::OutboxTurn { recipient, now: later, latest: later };
    office.store.outbox(turn, 10).await.unwrap().iter().any(|row| row.attempts > 0)
}

#[tokio::test]
async fn a_slow_receiver_slows_no_change_and_no_other_webhook() {
    let (slow, quick) = (Receiver::start(&SECRET).await, Receiver::start(&SECRET).await);
    slow.hold(true);
    let webhooks = [("slow", slow.url()), ("quick", quick.url())];
    let webhooks = webhooks.each_ref().map(|(name, url)| (*name, url.as_str()));
    let mut office = Office::with(&webhooks, Duration::from_secs(60));
    office.start();
    let mut gates = Vec::new();
    for number in 0..40 {
        gates.push(office.open(number, &["slow", "quick"]).await);
    }
    for gate in &mut gates {
        office.tell(gate, "gate.decided", &["slow", "quick"]).await;
    }
    quick.until_taken(80).await;
    assert!(slow.came().is_empty());
    slow.hold(false);
    slow.until_taken(80).await;
    drained(&office, "slow").await;
    assert_eq!(slow.taken().len(), 80);
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_failure_and_the_message_comes_again() {
    let receiver = Receiver::start(&SECRET).await;
    receiver.hold(true);
    let mut office = Office::with(&[("pager", &receiver.url())], Duration::from_millis(200));
    office.open(1, &["pager"]).await;
    office.open(2, &["pager"]).await;
    office.start();
    until("a failure", async || office_has_failed(&office).await).await;
    receiver.hold(false);
    office.advance(PUT_OFF_MAX);
    drained(&office, "pager").await;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for came in receiver.taken() {
        *seen.entry(came.id).or_default() += 1;
    }
    assert_eq!(seen.len(), 2, "every try has the identifier of its message: {seen:?}");
}

#[tokio::test]
async fn a_message_that_is_always_refused_holds_up_its_own_gate_only_and_is_given_up() {
    let receiver = Receiver::start(&SECRET).await;
    let mut office = Office::new(&[("pager", &receiver.url())]);
    let mut bad = office.open(1, &["pager"]).await;
    let refused = bad.id.to_string();
    receiver.answer(move |event| {
        let is_bad = event["subject"] == refused.as_str() && event["type"] == "gantral.gate.opened";
        if is_bad { 500 } else { 200 }
    });
    office.advance(1_800);
    office.tell(&mut bad, "gate.decided", &["pager"]).await;
    for number in 2..30 {
        office.open(number, &["pager"]).await;
    }
    office.start();
    receiver.until_taken(28).await;
    until("all but its gate", async || office.counts("pager").await.unwrap().waiting == 2).await;
    // An hour after it was written it is too old to be tried again; what came after it is not held up any more.
    office.advance(1_800);
    receiver.until_taken(29).await;
    assert_eq!(kinds(&receiver.taken())[28..], ["gantral.gate.decided"]);
    drained(&office, "pager").await;
    let acme = gantral_core::ids::TenantId::parse("acme").unwrap();
    let dead = office.store.dead_letters(&acme, 0, 10).await.unwrap();
    assert_eq!(
        (dead.len(), dead[0].about.gate().unwrap().id, dead[0].failure.as_deref()),
        (1, bad.id, Some("answered 500"))
    );
    assert!(dead[0].attempts >= 2, "{dead:?}");
    receiver.answer(|_| 200);
    office.store.retry_dead(&acme, DeadLetters::default(), office.now()).await.unwrap();
    receiver.until_taken(30).await;
    assert_eq!(receiver.taken()[29].event["subject"], bad.id.to_string());
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_asked_once_and_never_again_before_the_next_start() {
    let receiver = Receiver::start(&SECRET).await;
    receiver.answer(|_| 410);
    let url = receiver.url();
    let mut office = Office::new(&[("pager", &url)]);
    let mut gate = office.open(1, &["pager"]).await;
    office.tell(&mut gate, "gate.decided", &["pager"]).await;
    office.start();
    until("a burial", async || office.counts("pager").await.is_some_and(|count| count.dead == 2)).await;
    office.open(2, &["pager"]).await;
    until("a burial", async || office.counts("pager").await.is_some_and(|count| count.dead == 3)).await;
    assert_eq!(receiver.came().len(), 1);
    let acme = gantral_core::ids::TenantId::parse("acme").unwrap();
    let dead = office.store.dead_letters(&acme, 0, 10).await.unwrap();
    let tries: Vec<_> = dead.iter().map(|row| row.attempts).collect();
    assert_eq!(tries, [1, 0, 0]);
    assert!(dead.iter().all(|row| row.failure.as_ref().unwrap().contains("410")));
    receiver.answer(|_| 200);
    office.restart(&[("pager", &url)]).await;
    office.store.retry_dead(&acme, DeadLetters::default(), office.now()).await.unwrap();
    receiver.until_taken(3).await;
}

#[tokio::test]
async fn what_piled_up_for_a_receiver_that_stays_away_is_given_up_all_at_once() {
    let receiver = Receiver::start(&SECRET).await;
    receiver.answer(|_| 503);
    let mut office = Office::new(&[("pager", &receiver.url())]);
    for number in 0..100 {
        office.open(number, &["pager"]).await;
    }
    office.advance(3_600);
    office.open(100, &["pager"]).await;
    office.start();
    until("a hundred burials", async || office.counts("pager").await.is_some_and(|count| count.dead == 100))
        .await;
    assert_eq!(office.counts("pager").await.unwrap().waiting, 1, "one of them is young");
    assert!(receiver.came().len() < 30, "{}", receiver.came().len());
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let receiver = Receiver::start(&SECRET).await;
    receiver.answer(|_| 307);
    let mut office = Office::new(&[("pager", &receiver.url())]);
    office.open(1, &["pager"]).await;
    office.advance(3_600);
    office.start();
    until("a burial", async || office.counts("pager").await.is_some_and(|count| count.dead == 1)).await;
    assert_eq!(receiver.came().len(), 1);
    let acme = gantral_core::ids::TenantId::parse("acme").unwrap();
    let dead = office.store.dead_letters(&acme, 0, 10).await.unwrap();
    assert_eq!(dead[0].failure.as_deref(), Some("answered 307"));
}

#[tokio::test]
async fn what_was_under_way_when_all_stopped_comes_again_under_the_same_identifier() {
    let receiver = Receiver::start(&SECRET).await;
    receiver.hold(true);
    let url = receiver.url();
    let mut office = Office::new(&[("pager", &url)]);
    office.open(1, &["pager"]).await;
    office.start();
    // Long enough to be on its way; it is right also if it is not.
    tokio::time::sleep(Duration::from_millis(300)).await;
    office.stop().await;
    assert_eq!(office.counts("pager").await.unwrap().waiting, 1);
    receiver.hold(false);
    office.restart(&[("pager", &url)]).await;
    drained(&office, "pager").await;
    let ids: Vec<String> = receiver.taken().into_iter().map(|came| came.id).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn a_clock_that_goes_back_puts_nothing_off_for_longer() {
    let receiver = Receiver::start(&SECRET).await;
    receiver.answer(|_| 503);
    let mut office = Office::new(&[("pager", &receiver.url())]);
    office.open(1, &["pager"]).await;
    office.start();
    receiver.until(1).await;
    office.clock.fetch_sub(86_400_000, std::sync::atomic::Ordering::SeqCst);
    receiver.answer(|_| 200);
    receiver.until_taken(1).await;
    drained(&office, "pager").await;
}

#[tokio::test]
async fn a_thousand_messages_that_come_at_once_arrive_once_each() {
    let receiver = Receiver::start(&SECRET).await;
    let mut office = Office::new(&[("pager", &receiver.url())]);
    for number in 0..1_000 {
        office.open(number, &["pager"]).await;
    }
    office.start();
    receiver.until_taken(1_000).await;
    drained(&office, "pager").await;
    let mut ids: Vec<String> = receiver.taken().into_iter().map(|came| came.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), receiver.came().len()), (1_000, 1_000));
}
