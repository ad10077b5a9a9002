//! A second sequencer takes over while the first is stopped at any step, for longer than its lease, and then goes on as if nothing had
//! happened: nothing is lost, nothing is there twice, nothing is taken back, and the first finds out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use gantral_log::published::{PublishedCheckpoint, SequencerState};
use gantral_log::sequencer::{Sequencer, SequencerError};
use gantral_store::{Duties, Duty, Holder};
use tokio::time::timeout;

use crate::world::{Chain, Hook, House, check_log, houses, no_hook, parts, signed_tree, stands, tenant};

houses!(
    a_sequencer_that_is_stopped_at_any_step_while_another_takes_over_spoils_nothing,
    a_sequencer_that_runs_goes_when_it_is_passed_by_and_the_next_one_goes_on,
);

/// Every step at which the first one is stopped: how it is seen, and whether it is done or about to be.
const STEPS: [(&str, bool); 6] = [
    (" tile/", false),
    (" tile/", true),
    ("sign", false),
    ("sign", true),
    (" checkpoint", false),
    (" checkpoint", true),
];

/// Returns a hook that stops at a step once: it says so, and goes on when it is told.
fn stopping(seen_as: &'static str, done: bool) -> (Hook, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let ((stopped, is_stopped), (go_on, goes_on)) = (mpsc::channel(), mpsc::channel());
    let (once, goes_on) = (AtomicBool::new(true), std::sync::Mutex::new(goes_on));
    let hook: Hook = Arc::new(move |at, is_done| {
        if at.contains(seen_as) && is_done == done && once.swap(false, Ordering::SeqCst) {
            stopped.send(()).unwrap();
            goes_on.lock().unwrap().recv().unwrap();
        }
        Ok(())
    });
    (hook, is_stopped, go_on)
}

async fn a_sequencer_that_is_stopped_at_any_step_while_another_takes_over_spoils_nothing(house: House) {
    for (seen_as, done) in STEPS {
        let world = house.world().await;
        let acme = tenant("acme");
        let mut chain = Chain::new(&acme, "chain");
        chain.commit(&world.store, 3).await;
        world.take_all().await;
        chain.commit(&world.store, 2).await;

        let (hook, is_stopped, go_on) = stopping(seen_as, done);
        let mut first = world.start_with(hook).await.unwrap();
        let running = tokio::spawn(async move { (first.round().await, first) });
        crate::world::blocking(move || is_stopped.recv().unwrap()).await;

        let mut second = world.start().await;
        while second.round().await.unwrap() > 0 {}
        for _ in 0..5 {
            chain.commit(&world.store, 60).await;
        }
        while second.round().await.unwrap() > 0 {}
        let published = world.checkpoint(&acme).await;
        assert_eq!(signed_tree(&acme, &published).size, 305, "{seen_as} {done}");

        go_on.send(()).unwrap();
        let (ended, mut first) = running.await.unwrap();
        // One that had done all before it was stopped finds out with its next round; so does one that publishes in a folder.
        let may_end = seen_as == " checkpoint" && (done || matches!(house, House::Sqlite));
        assert!(ended.is_err() || may_end, "{seen_as} {done}: {ended:?}");
        let error = first.round().await.unwrap_err();
        assert!(matches!(error, SequencerError::Stale), "{seen_as} {done}: {error}");
        if matches!(house, House::Postgres) {
            assert_eq!(
                world.checkpoint(&acme).await,
                published,
                "{seen_as} {done}: what was published stays"
            );
        }
        // Whatever the first has left in a folder is made good by the next round.
        chain.commit(&world.store, 1).await;
        assert_eq!(second.round().await.unwrap(), 1);
        let leaves = check_log(&world.store, &world.logs, &acme).await;
        assert_eq!(leaves.len(), 306);
        stands(&world.store, &leaves, &chain).await;
        world.gone().await;
    }
}

async fn a_sequencer_that_runs_goes_when_it_is_passed_by_and_the_next_one_goes_on(house: House) {
    let world = house.world().await;
    let acme = tenant("acme");
    let mut chain = Chain::new(&acme, "chain");
    let duties = [1, 2].map(|number| Duties::new(world.store.clone(), Holder::from_random([number; 16])));
    let start = async |duties: &Duties| {
        let on_duty = duties.wait(&Duty::Logs).await;
        let parts = parts(&world.store, &world.logs, no_hook());
        let published = parts.published.clone();
        (Sequencer::start(parts, on_duty.held()).await.unwrap(), published, on_duty)
    };
    let (one, published, on_duty) = start(&duties[0]).await;
    let running = tokio::spawn(one.run(std::future::pending()));
    chain.commit(&world.store, 2).await;
    published.until_size(&acme, 2).await.unwrap();
    // Its process gives the duty back without having ended it.
    on_duty.release().await;
    let (two, newer, _on_duty) = start(&duties[1]).await;
    let run = tokio::spawn(two.run(std::future::pending()));
    chain.commit(&world.store, 2).await;
    let passed_by = timeout(Duration::from_secs(10), running).await.unwrap().unwrap();
    assert!(matches!(passed_by, Err(SequencerError::Stale)), "{passed_by:?}");
    let checkpoint = newer.until_size(&acme, 4).await.unwrap();
    // That is no end: another one lets the logs grow, and whoever follows it hears of that.
    assert_eq!(published.state(), SequencerState::StandingBy);
    let waiting = tokio::spawn({
        let (published, acme) = (published.clone(), acme.clone());
        async move { published.until_size(&acme, 4).await }
    });
    let PublishedCheckpoint { tree, note } = (*checkpoint).clone();
    published.follow(&acme, PublishedCheckpoint { tree, note });
    assert_eq!(waiting.await.unwrap().unwrap(), checkpoint);
    run.abort();
    let leaves = check_log(&world.store, &world.logs, &acme).await;
    stands(&world.store, &leaves, &chain).await;
    world.gone().await;
}
