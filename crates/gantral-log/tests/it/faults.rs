//! What fails at a seam leaves the logs as they were, or is made up for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gantral_log::objects::{Object, ReadObjects as _, WriteObjects as _};
use gantral_log::sequencer::{CHECKPOINT, SequencerError};
use gantral_store::Store;
use gantral_store::fault::{Fault, FaultPlan};

use crate::world::{Chain, Hook, House, World, check_log, houses, no_hook, on_duty, stands, start, tenant};

/// Returns a hook that fails at a step while the switch is on.
fn failing(step: &'static str, done: bool) -> (Hook, Arc<AtomicBool>) {
    let on = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&on);
    let hook: Hook = Arc::new(move |at, is_done| {
        if switch.load(Ordering::SeqCst) && at.ends_with(step) && is_done == done {
            return Err(io::Error::other("a planned fault"));
        }
        Ok(())
    });
    (hook, on)
}

houses!(
    a_round_that_fails_before_the_swap_lets_no_log_grow_and_the_next_makes_up_for_it,
    what_was_swapped_and_not_published_is_published_by_the_next_round_or_the_next_start,
    a_swap_that_fails_or_seems_to_is_neither_lost_nor_done_twice,
    a_stale_sequencer_neither_swaps_nor_publishes,
    a_sequencer_that_is_overtaken_while_it_signs_neither_swaps_nor_publishes,
);

/// Two tenants with some artifacts in their logs, and some that are not yet.
async fn two(world: &World) -> [Chain; 2] {
    let mut chains = ["acme", "other"].map(|name| Chain::new(&tenant(name), name));
    for chain in &mut chains {
        chain.commit(&world.store, 3).await;
    }
    world.take_all().await;
    for chain in &mut chains {
        chain.commit(&world.store, 2).await;
    }
    chains
}

async fn a_round_that_fails_before_the_swap_lets_no_log_grow_and_the_next_makes_up_for_it(house: House) {
    for (step, done) in [
        ("other/log tile/0/000.p/5", false),
        ("other/log tile/0/000.p/5", true),
        ("sign", false),
        ("sign", true),
    ] {
        let world = house.world().await;
        let chains = two(&world).await;
        let (hook, on) = failing(step, done);
        let mut sequencer = world.start_with(hook).await.unwrap();
        for _ in 0..2 {
            let error = sequencer.round().await.unwrap_err();
            assert!(!error.is_final(), "{step}: {error}");
            for chain in &chains {
                assert_eq!(check_log(&world.store, &world.logs, &chain.tenant).await.len(), 3, "{step}");
                assert_eq!(sequencer.published().newest(&chain.tenant).unwrap().tree.size, 3);
            }
        }
        on.store(false, Ordering::SeqCst);
        assert_eq!(sequencer.round().await.unwrap(), 4);
        for chain in &chains {
            let leaves = check_log(&world.store, &world.logs, &chain.tenant).await;
            stands(&world.store, &leaves, chain).await;
        }
    }
}

async fn what_was_swapped_and_not_published_is_published_by_the_next_round_or_the_next_start(house: House) {
    for restarts in [false, true] {
        let world = house.world().await;
        let chains = two(&world).await;
        let (hook, on) = failing("other/log checkpoint", false);
        let mut sequencer = world.start_with(hook).await.unwrap();
        assert!(matches!(sequencer.round().await, Err(SequencerError::Storage(_))));
        let stale = world.checkpoint(&chains[1].tenant).await;
        let row = world.store.log(&chains[1].tenant).await.unwrap().unwrap();
        assert!(row.size == 5 && stale != row.checkpoint.as_bytes());
        on.store(false, Ordering::SeqCst);
        if restarts {
            sequencer = world.start_with(no_hook()).await.unwrap();
        }
        assert_eq!(sequencer.round().await.unwrap(), 0);
        for chain in &chains {
            let leaves = check_log(&world.store, &world.logs, &chain.tenant).await;
            stands(&world.store, &leaves, chain).await;
            assert_eq!(sequencer.published().newest(&chain.tenant).unwrap().tree.size, 5);
        }
    }
}

async fn a_swap_that_fails_or_seems_to_is_neither_lost_nor_done_twice(house: House) {
    for fault in [Fault::Failed, Fault::FailedButPersisted, Fault::FailedUnknown] {
        let plan = FaultPlan::new();
        let world = house.faulty(Some(plan.clone())).await;
        let chains = two(&world).await;
        let mut sequencer = world.start().await;
        // In a database the two tiles of both logs are written before, each by itself.
        let swap = match house {
            House::Sqlite => 1,
            House::Postgres => 5,
        };
        plan.fail(plan.writes() + swap, fault);
        let error = sequencer.round().await.unwrap_err();
        assert!(matches!(error, SequencerError::Store(_)) && !error.is_final(), "{error}");
        let kept = fault == Fault::FailedButPersisted;
        assert_eq!(sequencer.round().await.unwrap(), if kept { 0 } else { 4 }, "{fault:?}");
        for chain in &chains {
            let leaves = check_log(&world.store, &world.logs, &chain.tenant).await;
            stands(&world.store, &leaves, chain).await;
        }
    }
}

async fn a_stale_sequencer_neither_swaps_nor_publishes(house: House) {
    let world = house.world().await;
    let chains = two(&world).await;
    let published =
        async || [world.checkpoint(&chains[0].tenant).await, world.checkpoint(&chains[1].tenant).await];
    let before = published().await;
    let mut stale = world.start().await;
    let mut newer = world.start().await;
    for _ in 0..2 {
        let error = stale.round().await.unwrap_err();
        assert!(matches!(error, SequencerError::Stale) && error.is_final(), "{error}");
    }
    assert_eq!(published().await, before);
    assert_eq!(world.store.log(&chains[0].tenant).await.unwrap().unwrap().size, 3);
    assert_eq!(newer.round().await.unwrap(), 4);
    for chain in &chains {
        let leaves = check_log(&world.store, &world.logs, &chain.tenant).await;
        stands(&world.store, &leaves, chain).await;
    }
}

async fn a_sequencer_that_is_overtaken_while_it_signs_neither_swaps_nor_publishes(house: House) {
    let world = house.world().await;
    let chains = two(&world).await;
    let store = world.store.clone();
    let runtime = tokio::runtime::Handle::current();
    let hook: Hook = Arc::new(move |at, is_done| {
        if at == "sign" && is_done {
            let store = store.clone();
            let claim = runtime.spawn(async move { store.claim_logs(&on_duty(&store).await).await });
            while !claim.is_finished() {
                std::thread::yield_now();
            }
        }
        Ok(())
    });
    let mut overtaken = world.start_with(hook).await.unwrap();
    let error = tokio::task::spawn_blocking(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(overtaken.round())
    });
    assert!(matches!(error.await.unwrap(), Err(SequencerError::Stale)));
    for chain in &chains {
        assert_eq!(check_log(&world.store, &world.logs, &chain.tenant).await.len(), 3);
    }
}

#[tokio::test]
async fn an_old_copy_of_the_ledger_does_not_take_back_what_was_published() {
    let world = World::new();
    let chains = two(&world).await;
    let copy = world.path.with_extension("copy");
    let raw = rusqlite::Connection::open(&world.path).unwrap();
    raw.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    world.take_all().await;
    let published = |chain: &Chain| world.log(&chain.tenant).read(CHECKPOINT).unwrap().unwrap();
    let before = chains.iter().map(published).collect::<Vec<_>>();

    let refused = |error: &SequencerError| {
        assert!(matches!(error, SequencerError::TakenBack { size: 5, .. }) && error.is_final(), "{error}");
    };
    let old = Store::open_sqlite(&copy).unwrap();
    refused(&start(&old, &world.logs, no_hook()).await.err().unwrap());
    // Nor does one that has never heard of the log.
    let aside = tempfile::tempdir().unwrap();
    let new = Store::open_sqlite(&aside.path().join("new.db")).unwrap();
    Chain::new(&chains[0].tenant, "new").commit(&new, 9).await;
    refused(&start(&new, &world.logs, no_hook()).await.unwrap().round().await.unwrap_err());
    assert_eq!(chains.iter().map(published).collect::<Vec<_>>(), before);
}

#[tokio::test]
async fn a_published_checkpoint_that_the_log_does_not_extend_is_not_written_over() {
    let (world, other) = (World::new(), World::new());
    Chain::new(&tenant("acme"), "chain").commit(&world.store, 5).await;
    world.take_all().await;
    Chain::new(&tenant("acme"), "another way").commit(&other.store, 4).await;
    other.take_all().await;
    let forked = other.log(&tenant("acme")).read(CHECKPOINT).unwrap().unwrap();
    let log = world.log(&tenant("acme"));
    for (bytes, is_taken_back) in [(forked, true), (b"half a not".to_vec(), false)] {
        log.write(&[Object { name: CHECKPOINT.to_owned(), bytes: bytes.clone() }]).unwrap();
        match world.start_with(no_hook()).await {
            Err(SequencerError::TakenBack { size: 4, .. }) => assert!(is_taken_back),
            Err(error) => panic!("{error}"),
            Ok(_) => assert!(!is_taken_back),
        }
        assert_eq!(log.read(CHECKPOINT).unwrap().unwrap() == bytes, is_taken_back);
    }
    check_log(&world.store, &world.logs, &tenant("acme")).await;
}
