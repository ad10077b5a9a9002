//! Who is told less often than there is something to tell hears of everything nevertheless.

use std::time::Duration;

use gantral_core::time::DurationMs;
use gantral_notify::{Couriers, Format, Member, Pace};
use serde_json::Value;

use crate::outbox::{Office, SECRET, paced, webhook};
use crate::receiver::{Came, Receiver, until};

/// Longer than it takes to look at the outbox several times.
const LOOKED: Duration = Duration::from_millis(1_200);
const TEN_MINUTES: DurationMs = DurationMs::from_secs(600);
const DIGEST: Pace = Pace::Digest { every: TEN_MINUTES };

fn couriers(receiver: &Receiver, pace: Pace) -> Couriers {
    let way = webhook(&receiver.url(), Format::CloudEvents, Duration::from_secs(10));
    Couriers::new(vec![paced("pager", pace, way)])
}

/// Returns the kinds and subjects that each message speaks of.
fn said(came: &[Came]) -> Vec<Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |came: &Came| match came.event["type"].as_str().unwrap() {
        "gantral.digest" => {
            let items = came.event["data"]["messages"].as_array().unwrap();
            items.iter().map(|item| (text(&item["type"]), text(&item["data"]["gate_id"]))).collect()
        }
        kind => vec![(kind.to_owned(), text(&came.event["subject"]))],
    };
    came.iter().map(of).collect()
}

fn opened(id: impl std::fmt::Display) -> (String, String) {
    ("gantral.gate.opened".to_owned(), id.to_string())
}

async fn drained(office: &Office) {
    until("an empty outbox", async || office.counts("pager").await.is_none()).await;
}

#[tokio::test]
async fn what_exceeds_a_limit_is_gathered_and_nothing_is_dropped() {
    let receiver = Receiver::start(&SECRET).await;
    let pace = Pace::AtMost { messages: 3, within: TEN_MINUTES };
    let mut office = Office::of(couriers(&receiver, pace));
    let mut gates = Vec::new();
    for number in 0..10 {
        gates.push(office.open(number, &["pager"]).await.id);
    }
    office.start();
    receiver.until_taken(3).await;
    drained(&office).await;
    let rest: Vec<_> = gates[2..].iter().map(opened).collect();
    assert_eq!(said(&receiver.taken()), [vec![opened(gates[0])], vec![opened(gates[1])], rest]);
    // What comes now waits, also over a restart, until the first of the three is old enough.
    let mut late = [office.open(10, &["pager"]).await, office.open(11, &["pager"]).await];
    office.restart_with(couriers(&receiver, pace)).await;
    tokio::time::sleep(LOOKED).await;
    assert_eq!(receiver.taken().len(), 3);
    // What was decided meanwhile is told, too: it was put off, and not left out.
    let [first, second] = &mut late;
    office.close(first, "approved", "gate.decided", &["pager"]).await;
    office.advance(601);
    receiver.until_taken(4).await;
    drained(&office).await;
    let decided = ("gantral.gate.decided".to_owned(), first.id.to_string());
    let told = said(&receiver.taken());
    assert!(
        told[3..].concat().contains(&decided) && told[3..].concat().contains(&opened(second.id)),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_digest_tells_at_once_what_still_waits_and_leaves_out_what_was_decided() {
    let receiver = Receiver::start(&SECRET).await;
    let mut office = Office::of(couriers(&receiver, DIGEST));
    office.start();
    let first = office.open(1, &["pager"]).await;
    office.advance(300);
    let mut second = office.open(2, &["pager"]).await;
    let third = office.open(3, &["pager"]).await;
    office.close(&mut second, "approved", "gate.decided", &["pager"]).await;
    tokio::time::sleep(LOOKED).await;
    assert_eq!(receiver.came().len(), 0, "the first has not waited long enough");
    office.restart_with(couriers(&receiver, DIGEST)).await;
    office.advance(300);
    receiver.until_taken(1).await;
    drained(&office).await;
    assert_eq!(said(&receiver.taken()), [vec![opened(first.id), opened(third.id)]]);
    // How something ended that a digest spoke of is told; one thing alone is told as always.
    let mut first = first;
    office.close(&mut first, "rejected", "gate.decided", &["pager"]).await;
    office.advance(600);
    receiver.until_taken(2).await;
    assert_eq!(said(&receiver.taken())[1], [("gantral.gate.decided".to_owned(), first.id.to_string())]);
    // Nothing is said where nothing is left.
    let mut fourth = office.open(4, &["pager"]).await;
    office.close(&mut fourth, "withdrawn", "gate.withdrawn", &["pager"]).await;
    office.advance(600);
    drained(&office).await;
    assert_eq!(receiver.came().len(), 2);
}

#[tokio::test]
async fn a_digest_that_fails_is_tried_again_and_known_again() {
    let receiver = Receiver::start(&SECRET).await;
    receiver.answer(|_| 503);
    let mut office = Office::of(couriers(&receiver, DIGEST));
    let gates = [office.open(1, &["pager"]).await.id, office.open(2, &["pager"]).await.id];
    office.advance(600);
    office.start();
    receiver.until(2).await;
    receiver.answer(|_| 200);
    receiver.until_taken(1).await;
    drained(&office).await;
    let came = receiver.came();
    assert!(came.iter().all(|one| one.id == came[0].id), "{came:?}");
    assert_eq!(said(&receiver.taken()), [gates.map(opened).to_vec()]);
}

#[tokio::test]
async fn a_clock_that_goes_back_puts_off_no_digest_and_no_limit() {
    let receiver = Receiver::start(&SECRET).await;
    for pace in [DIGEST, Pace::AtMost { messages: 1, within: TEN_MINUTES }] {
        let before = receiver.taken().len();
        let mut office = Office::of(couriers(&receiver, pace));
        office.open(1, &["pager"]).await;
        if pace == DIGEST {
            office.advance(600);
        }
        office.start();
        receiver.until_taken(before + 1).await;
        office.open(2, &["pager"]).await;
        office.clock.fetch_sub(86_400_000, std::sync::atomic::Ordering::SeqCst);
        receiver.until_taken(before + 2).await;
        office.stop().await;
    }
}

#[tokio::test]
async fn a_message_shows_what_it_may_and_waits_while_that_cannot_be_read() {
    let receiver = Receiver::start(&SECRET).await;
    let mut office = Office::of(couriers(&receiver, Pace::Each));
    *office.members.lock().unwrap() = None;
    office.open(1, &["pager"]).await;
    office.start();
    tokio::time::sleep(LOOKED).await;
    assert_eq!(receiver.came().len(), 0);
    let member = Member { pointer: "/amount_minor".to_owned(), value: "4800".to_owned() };
    *office.members.lock().unwrap() = Some(vec![member]);
    receiver.until_taken(1).await;
    assert_eq!(receiver.taken()[0].event["data"]["shown"]["/amount_minor"], "4800");
}
