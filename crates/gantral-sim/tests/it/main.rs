//! Many runs, and whether a run that is wrong is seen to be wrong.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use gantral_sim::weather::Mistake;
use gantral_sim::{Options, Outcome, run};

/// How many seeds are run with three servers, and with one. Each takes about a quarter of a second of a processor without optimisation.
const SEEDS: u64 = 900;
const ALONE: u64 = 100;
/// Within how many seeds a mistake must be found.
const FOUND_WITHIN: u64 = 300;

fn seed(seed: u64) -> Options {
    Options { seed, nodes: 3, mistake: None, tells: false }
}

/// Runs each of these, on as many threads as there are, and returns the first that something is wrong with.
fn wrong_among(all: Vec<Options>) -> Option<(Options, Outcome)> {
    let next = AtomicU64::new(0);
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let one = || {
            while let Some(options) = all.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap())
            {
                let outcome = run(*options);
                if outcome.wrong.is_some() {
                    next.store(u64::MAX / 2, Ordering::Relaxed);
                    return Some((*options, outcome));
                }
            }
            None
        };
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(one)).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .min_by_key(|(options, _)| options.seed)
    })
}

#[test]
fn from_whatever_seed_several_servers_keep_every_promise() {
    let alone = (0..ALONE).map(|number| Options { nodes: 1, ..seed(number) });
    if let Some((options, outcome)) = wrong_among((0..SEEDS).map(seed).chain(alone).collect()) {
        let (Options { seed, nodes, .. }, wrong) = (options, outcome.wrong.unwrap());
        panic!(
            "seed {seed}: {wrong}\nagain: cargo run -p gantral-sim -- --seed {seed} --nodes {nodes} --trace"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_run_twice_and_another_seed_another() {
    let told = |number| run(Options { tells: true, ..seed(number) });
    let (first, second, other) = (told(11), told(11), told(12));
    assert_eq!(first.trace, second.trace);
    assert_eq!(first.seen, second.seen);
    assert_ne!(first.seen.digest, other.seen.digest);
    assert!(first.seen.used > 0 && first.seen.artifacts > 50, "too little happens: {:?}", first.seen);
}

/// Makes a mistake, and expects that it is found out by what it leads to.
fn is_found_out(mistake: Mistake, by: &str) {
    let mistaken = |number| Options { mistake: Some(mistake), ..seed(number) };
    let found = wrong_among((0..FOUND_WITHIN).map(mistaken).collect());
    assert!(found.is_some(), "nothing wrong was seen within {FOUND_WITHIN} seeds");
    let (options, outcome) = found.unwrap();
    let wrong = outcome.wrong.unwrap();
    assert!(wrong.contains(by), "seed {}: {wrong}", options.seed);
}

#[test]
fn a_store_that_forgets_what_it_has_acknowledged_is_found_out() {
    is_found_out(Mistake::LostFlush, "acknowledged");
}

#[test]
fn a_server_that_nothing_fences_off_when_another_has_taken_over_is_found_out() {
    is_found_out(Mistake::MissingFence, "leaves were published after");
}

#[test]
fn requests_that_are_carried_out_as_often_as_they_arrive_are_found_out() {
    is_found_out(Mistake::IgnoredKeys, "were wanted");
}
