//! Servers that are killed again and again under a crowd, and their database with them: every gate ends as it should, and nothing is carried
//! out twice.

use std::time::{Duration, Instant};

use gantral_testkit::cluster::Cluster;

use super::fleet::Fleet;
use super::trial::{length, served_whole_and_once};
use crate::support::block_on;

const NODES: usize = 3;
/// How long all servers serve between two kills.
const BETWEEN: Duration = Duration::from_millis(700);
/// How long the database serves between two kills: three servers are to find it again in between.
const DATABASE_SERVES: Duration = Duration::from_secs(4);
/// How long there is no database.
const DATABASE_AWAY: Duration = Duration::from_secs(1);

#[test]
fn crowd_is_served_whole_and_once_while_servers_are_killed_all_the_time() {
    let mut fleet = Fleet::start(NODES);
    let served = served_whole_and_once(&mut fleet, |fleet, _| {
        let (began, mut kills) = (Instant::now(), 0);
        while began.elapsed() < length() {
            std::thread::sleep(BETWEEN);
            let number = kills % NODES;
            fleet.kill_node(number);
            std::thread::sleep(BETWEEN / 2);
            fleet.start_node(number);
            kills += 1;
        }
        format!("{kills} kills of servers")
    });
    println!("{served}");
}

#[test]
fn crowd_is_served_whole_and_once_while_the_database_is_killed_again_and_again() {
    let mut cluster = Cluster::start();
    let database = block_on(cluster.database());
    let mut fleet = Fleet::upon(vec![cluster.url(&database); NODES]);
    let served = served_whole_and_once(&mut fleet, |_, _| {
        let (began, mut kills) = (Instant::now(), 0);
        while began.elapsed() < length() {
            std::thread::sleep(DATABASE_SERVES);
            cluster.crash();
            std::thread::sleep(DATABASE_AWAY);
            cluster.restart();
            kills += 1;
        }
        format!("{kills} kills of the database")
    });
    println!("{served}");
}

#[test]
fn crowd_is_served_whole_and_once_when_the_database_is_lost_and_its_standby_takes_over() {
    let mut primary = Cluster::start();
    let database = block_on(primary.database());
    let standby = block_on(primary.standby());
    let mut fleet = Fleet::upon(vec![primary.url_with(&standby, &database); NODES]);
    let served = served_whole_and_once(&mut fleet, |_, _| {
        std::thread::sleep(length() / 2);
        primary.crash();
        std::thread::sleep(DATABASE_AWAY);
        block_on(standby.promote());
        std::thread::sleep(length() / 2);
        format!("a standby took over {DATABASE_AWAY:?} after the database was killed")
    });
    println!("{served}");
}
