//! What one process does at a time: who may, until when, and what becomes of whoever is passed by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gantral_store::{Attempted, Duties, Duty, DutyTaken, Effect, Held, Holder, LEASE, Store, StoreError};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::conformance::conformance;
use crate::world::{Chain, courier, gate, gate_row, name, tell, tenant};

conformance!(
    a_duty_is_held_by_one_until_its_time_is_over,
    a_duty_that_ran_out_and_that_nobody_took_over_goes_on,
    a_duty_that_was_given_back_is_free_at_once,
    duties_are_apart_from_each_other,
    of_many_that_take_a_free_duty_one_does,
    a_duty_is_nobodys_twice_however_often_it_changes_hands,
    whoever_was_passed_by_claims_no_logs,
    whoever_was_passed_by_settles_no_message,
    a_write_under_another_duty_is_refused,
    who_stands_by_takes_over_when_a_duty_is_given_back_and_when_its_holder_is_gone,
);

/// Long enough for everything that follows in a test.
const LONG: Duration = Duration::from_secs(60);
/// Over before the next step of a test.
const SHORT: Duration = Duration::from_millis(20);

fn holder(number: u8) -> Holder {
    Holder::from_random([number; 16])
}

async fn held(store: &Store, duty: &Duty, number: u8, lasting: Duration) -> Held {
    let taken = store.take_duty(duty, holder(number), lasting).await.unwrap();
    let DutyTaken::Held(held) = taken else { panic!("{taken:?}") };
    held
}

async fn is_free_for(store: &Store, duty: &Duty, number: u8) -> bool {
    match store.take_duty(duty, holder(number), LONG).await.unwrap() {
        DutyTaken::Held(_) => true,
        DutyTaken::Others { left } => {
            assert!(left > Duration::ZERO && left <= LONG, "{left:?}");
            false
        }
    }
}

/// Lets a holder take a duty, and another one take it over when its time has run out.
async fn passed_by(store: &Store, duty: Duty) -> (Held, Held) {
    let old = held(store, &duty, 2, SHORT).await;
    sleep(SHORT * 2).await;
    let new = held(store, &duty, 3, LONG).await;
    assert!(new.fence() > old.fence());
    (old, new)
}

async fn a_duty_is_held_by_one_until_its_time_is_over(store: &Store) {
    let one = held(store, &Duty::Logs, 1, LONG).await;
    assert!(!is_free_for(store, &Duty::Logs, 2).await);
    assert_eq!(held(store, &Duty::Logs, 1, LONG).await, one, "whoever has it has it still");
    // A holder may shorten its own time as well.
    assert!(store.renew_duty(&one, SHORT).await.unwrap());
    sleep(SHORT * 2).await;
    let two = held(store, &Duty::Logs, 2, LONG).await;
    assert_eq!((two.fence(), two.duty()), (one.fence() + 1, &Duty::Logs));
    assert!(!store.renew_duty(&one, LONG).await.unwrap());
    assert!(!store.release_duty(&one).await.unwrap());
    assert!(!is_free_for(store, &Duty::Logs, 1).await);
    assert!(store.renew_duty(&two, LONG).await.unwrap());
}

async fn a_duty_that_ran_out_and_that_nobody_took_over_goes_on(store: &Store) {
    let one = held(store, &Duty::Tick, 1, SHORT).await;
    sleep(SHORT * 2).await;
    assert!(store.renew_duty(&one, LONG).await.unwrap());
    assert!(!is_free_for(store, &Duty::Tick, 2).await);
}

async fn a_duty_that_was_given_back_is_free_at_once(store: &Store) {
    let one = held(store, &Duty::Tick, 1, LONG).await;
    assert!(store.release_duty(&one).await.unwrap());
    assert!(!store.release_duty(&one).await.unwrap());
    assert!(!store.renew_duty(&one, LONG).await.unwrap());
    let again = held(store, &Duty::Tick, 1, LONG).await;
    assert_eq!(again.fence(), one.fence() + 1, "what was given back is not had again under its number");
    assert!(!store.release_duty(&one).await.unwrap());
    assert!(!is_free_for(store, &Duty::Tick, 2).await);
}

async fn duties_are_apart_from_each_other(store: &Store) {
    let duties = [Duty::Logs, Duty::Tick, Duty::Courier(name("logs")), Duty::Courier(name("courier/logs"))];
    for (number, duty) in (1..).zip(&duties) {
        assert_eq!(held(store, duty, number, LONG).await.fence(), 1);
    }
    for (number, duty) in (1..).zip(&duties) {
        assert!(is_free_for(store, duty, number).await);
        assert!(!is_free_for(store, duty, number + 1).await);
    }
}

async fn of_many_that_take_a_free_duty_one_does(store: &Store) {
    for fence in 1..4 {
        let mut crowd = JoinSet::new();
        for number in 0..12 {
            let store = store.clone();
            let holder = holder(number + 20 * u8::try_from(fence).unwrap());
            crowd.spawn(async move { store.take_duty(&Duty::Logs, holder, LONG).await.unwrap() });
        }
        let taken = crowd.join_all().await;
        let got: Vec<_> = taken
            .into_iter()
            .filter_map(|taken| match taken {
                DutyTaken::Held(held) => Some(held),
                DutyTaken::Others { .. } => None,
            })
            .collect();
        assert_eq!(got.len(), 1, "{got:?}");
        assert_eq!(got[0].fence(), fence);
        // Once it runs out, and once it is given back.
        if fence == 1 {
            assert!(store.renew_duty(&got[0], SHORT).await.unwrap());
            sleep(SHORT * 2).await;
        } else {
            assert!(store.release_duty(&got[0]).await.unwrap());
        }
    }
}

async fn a_duty_is_nobodys_twice_however_often_it_changes_hands(store: &Store) {
    let (having, turns, last) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
    let last = Arc::new(last);
    let mut crowd = JoinSet::new();
    for number in 0..6 {
        let (store, having, turns, last) =
            (store.clone(), Arc::clone(&having), Arc::clone(&turns), Arc::clone(&last));
        crowd.spawn(async move {
            while turns.load(Ordering::SeqCst) < 40 {
                match store.take_duty(&Duty::Tick, holder(number), LONG).await.unwrap() {
                    DutyTaken::Held(held) => {
                        assert_eq!(having.fetch_add(1, Ordering::SeqCst), 0, "two have it");
                        assert!(last.fetch_max(held.fence(), Ordering::SeqCst) < held.fence());
                        turns.fetch_add(1, Ordering::SeqCst);
                        having.fetch_sub(1, Ordering::SeqCst);
                        assert!(store.release_duty(&held).await.unwrap());
                    }
                    DutyTaken::Others { .. } => tokio::task::yield_now().await,
                }
            }
        });
    }
    crowd.join_all().await;
}

async fn whoever_was_passed_by_claims_no_logs(store: &Store) {
    let (old, new) = passed_by(store, Duty::Logs).await;
    let before = store.log_claim().await.unwrap();
    assert_eq!(store.claim_logs(&old).await.unwrap(), None);
    assert_eq!(store.log_claim().await.unwrap(), before);
    let claim = store.claim_logs(&new).await.unwrap().unwrap();
    assert_eq!(claim.fence, before.fence + 1);
    assert!(store.release_duty(&new).await.unwrap());
    assert_eq!(store.claim_logs(&new).await.unwrap(), None, "nor does whoever gave it back");
}

async fn whoever_was_passed_by_settles_no_message(store: &Store) {
    let id = gate();
    let opened = Effect::OpenGate(gate_row(id, &["approver"], 5_000));
    Chain::new(&tenant("acme")).commit(store, vec![opened, tell(id, "gate.opened", &["pager"])]).await;
    let waiting = async || store.outbox_counts().await.unwrap().first().map_or(0, |count| count.waiting);
    let number = store.gathered(&name("pager"), crate::world::at(1_000), 1).await.unwrap()[0].row.number;
    let delivered = vec![Attempted::Delivered { number }];
    let (old, new) = passed_by(store, Duty::Courier(name("pager"))).await;
    assert!(!store.settle_outbox(&old, delivered.clone(), None).await.unwrap());
    assert_eq!(waiting().await, 1);
    assert!(store.settle_outbox(&new, delivered, None).await.unwrap());
    assert_eq!(waiting().await, 0);
}

async fn a_write_under_another_duty_is_refused(store: &Store) {
    let tick = held(store, &Duty::Tick, 1, LONG).await;
    let pager = courier(store, "pager").await;
    for refused in [store.claim_logs(&tick).await, store.claim_logs(&pager).await] {
        assert!(matches!(refused, Err(StoreError::Contradiction { .. })), "{refused:?}");
    }
    let refused = store.settle_outbox(&tick, Vec::new(), None).await;
    assert!(matches!(refused, Err(StoreError::Contradiction { .. })), "{refused:?}");
}

async fn who_stands_by_takes_over_when_a_duty_is_given_back_and_when_its_holder_is_gone(store: &Store) {
    let [one, two, three] = [1, 2, 3].map(|number| Duties::new(store.clone(), holder(number)));
    let first = one.wait(&Duty::Logs).await;
    assert!(two.take(&Duty::Logs).await.unwrap().is_none());
    // It is renewed: whoever waits for longer than a lease lasts does not get it.
    assert!(timeout(LEASE + LEASE / 2, two.wait(&Duty::Logs)).await.is_err());
    assert!(timeout(SHORT, first.lost()).await.is_err());
    let began = Instant::now();
    let (second, ()) = tokio::join!(two.wait(&Duty::Logs), first.release());
    assert!(began.elapsed() < LEASE / 2, "{:?}", began.elapsed());
    assert_eq!(second.held().fence(), 2);
    // As if its process had been killed: nobody renews it any more.
    let began = Instant::now();
    drop(second);
    let third = three.wait(&Duty::Logs).await;
    assert!(began.elapsed() < LEASE + LEASE / 2, "{:?}", began.elapsed());
    assert_eq!(third.held().fence(), 3);
    third.release().await;
}
