//! A network that is slow, breaks and falls silent, a disk that is full, and clocks that are set while a crowd is at work.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gantral_testkit::Relay;
use gantral_testkit::cluster::Cluster;

use super::crowd::Crowd;
use super::fleet::Fleet;
use super::trial::{length, served_whole_and_once};
use crate::support::{block_on, wait_until};

const NODES: usize = 3;
/// How long each byte is under way between a server and the database: ten times what it is in one data centre.
const DELAY: Duration = Duration::from_millis(5);
/// How long the network is well in between.
const WELL: Duration = Duration::from_secs(1);
/// How long it is silent: longer than a duty is held by whoever does not renew it.
const SILENCE: Duration = Duration::from_secs(7);
/// What a clock is set to, in seconds from what it should show: past each deadline of the crowd's gates, and before they were opened.
const STEPS: [i64; 4] = [3_600, -3_600, 8, -8];
/// How long a clock is wrong.
const WRONG: Duration = Duration::from_millis(1_500);
/// How long the disk is full.
const FULL: Duration = Duration::from_secs(5);
const DISK_MIB: usize = 256;

#[test]
fn crowd_is_served_whole_and_once_over_a_network_that_is_slow_breaks_and_falls_silent() {
    let cluster = Cluster::start();
    let database = block_on(cluster.database());
    let relays: Vec<_> = (0..NODES).map(|_| Relay::to(cluster.socket(), DELAY)).collect();
    let address = |relay: &Relay| format!("postgres://postgres@{}/{database}", relay.address());
    let mut fleet = Fleet::upon(relays.iter().map(address).collect());
    let served = served_whole_and_once(&mut fleet, |_, ended| {
        let (began, mut cuts, mut silences) = (Instant::now(), 0, 0);
        // An instance takes about half of that time, and longer on a machine that has other things to do.
        let is_too_soon = || ended.load(Ordering::Relaxed) == 0 && began.elapsed() < 4 * length();
        while began.elapsed() < length() || is_too_soon() {
            for relay in &relays {
                std::thread::sleep(WELL);
                relay.cut();
                cuts += 1;
            }
            let relay = &relays[silences % NODES];
            relay.silent(true);
            std::thread::sleep(SILENCE);
            relay.silent(false);
            silences += 1;
        }
        format!("{DELAY:?} each way, {cuts} times broken, {silences} times silent for {SILENCE:?}")
    });
    println!("{served}");
}

#[test]
fn crowd_is_served_whole_and_once_by_a_database_whose_disk_was_full() {
    let Some(mut cluster) = Cluster::on_small_disk(DISK_MIB) else { return };
    let database = block_on(cluster.database());
    let mut fleet = Fleet::upon(vec![cluster.url(&database); NODES]);
    let served = served_whole_and_once(&mut fleet, |fleet, _| {
        let mut crowd = Crowd::new(fleet);
        let (began, mut full) = (Instant::now(), 0);
        while began.elapsed() < length() {
            std::thread::sleep(WELL);
            cluster.disk().fill();
            assert!(wait_until(|| crowd.refusal(full % NODES) == "ledger_unavailable"), "there is no room");
            std::thread::sleep(FULL);
            cluster.disk().free();
            // One that found no room for what it must not lose has stopped, as it should.
            if !cluster.is_up() {
                cluster.restart();
            }
            full += 1;
        }
        format!("the disk was full {full} times")
    });
    println!("{served}");
}

#[test]
fn crowd_is_served_whole_and_once_while_the_clocks_of_servers_are_set() {
    let mut fleet = Fleet::with_clocks(NODES);
    let served = served_whole_and_once(&mut fleet, |fleet, _| {
        let (began, mut steps) = (Instant::now(), 0);
        while began.elapsed() < length() {
            let (number, step) = (steps % NODES, STEPS[steps % STEPS.len()]);
            fleet.set_clock(number, step);
            let said = || fleet.run(number, "dora", &["doctor"]).data;
            assert!(wait_until(|| said().contains("the clock of this server is")), "{}", said());
            std::thread::sleep(WRONG);
            fleet.set_clock(number, 0);
            fleet.ready(number);
            steps += 1;
        }
        format!("{steps} times a clock was set, by {STEPS:?} s")
    });
    println!("{served}");
}
