//! The process is killed at every step of the sequencer: no acknowledged artifact is missing from its log, none is there twice,
//! and nothing that was published is taken back.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use gantral_core::digest::Digest;
use gantral_core::ids::{InstanceId, TenantId};
use gantral_log::objects::{READ_ONLY, ReadObjects as _, Shelf as _};
use gantral_log::proving::Prover;
use gantral_log::sequencer::CHECKPOINT;
use gantral_log::stored::{Kept, KeptLog};
use gantral_store::{ChainId, PostgresOptions, Store};

use crate::world::{
    Chain, Hook, House, blocking, check_log, houses, no_hook, origin, signed_tree, start, tenant,
};
use gantral_testkit::cluster::shared;

/// Names the folder that the child works in, the step at which it waits to be killed, and at which time that it comes to the
/// step, and the address of the database if the ledger is one; set for the child only.
const FOLDER: &str = "GANTRAL_LOG_KILL_FOLDER";
const STEP: &str = "GANTRAL_LOG_KILL_STEP";
const NTH: &str = "GANTRAL_LOG_KILL_NTH";
const DATABASE: &str = "GANTRAL_LOG_KILL_DATABASE";
const TENANTS: [&str; 3] = ["acme", "other", "third"];
const WRITERS: usize = 6;
const KILLS: usize = 42;

/// Every step at which the child is killed: how it is seen, and whether it is done or about to be.
const STEPS: [(&str, &str, bool); 6] = [
    ("rows read", " tile/", false),
    ("some tiles staged", " tile/", true),
    ("all tiles staged", "sign", false),
    ("checkpoint signed", "sign", true),
    ("swapped", " checkpoint", false),
    ("published", " checkpoint", true),
];

/// A ledger with its logs that outlives whoever is killed.
struct Site {
    folder: PathBuf,
    /// The address of its database, if it is one.
    database: Option<String>,
}

impl Site {
    async fn open(&self) -> Store {
        match &self.database {
            None => Store::open_sqlite(&self.folder.join("gantral.db")).unwrap(),
            Some(address) => Store::open_postgres(address, PostgresOptions::default()).await.unwrap(),
        }
    }

    fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    fn log(&self, store: &Store, of: &TenantId) -> KeptLog {
        Kept::of(store, &self.logs()).log(&origin(of), READ_ONLY)
    }

    /// Counts the artifacts behind the store's back, and returns the number of the newest.
    async fn artifacts(&self) -> (u64, u64) {
        let (count, newest): (i64, i64) = match &self.database {
            None => rusqlite::Connection::open(self.folder.join("gantral.db"))
                .unwrap()
                .query_row("SELECT count(*), max(number) FROM artifact", [], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .unwrap(),
            Some(address) => {
                let name = address.rsplit_once("dbname=").unwrap().1;
                let count = "SELECT count(*), max(number) FROM gantral.artifact";
                let row = shared().raw(name).await.query_one(count, &[]).await.unwrap();
                (row.get(0), row.get(1))
            }
        };
        (count as u64, newest as u64)
    }
}

/// Returns a hook that keeps a copy of each published checkpoint, and halts the sequencer at the planned step.
fn rendezvous(site: Site, store: Store, step: &str, nth: u64) -> Hook {
    let (_, seen_as, done) = *STEPS.iter().find(|(name, ..)| *name == step).unwrap();
    let times = AtomicU64::new(0);
    let logs: Vec<_> = TENANTS.iter().map(|of| (*of, site.log(&store, &tenant(of)))).collect();
    Arc::new(move |at, is_done| {
        if let Some((log, _)) = at.split_once(" checkpoint")
            && is_done
        {
            let (of, log) = logs.iter().find(|(of, _)| log.starts_with(&format!("{of}/"))).unwrap();
            keep_copy(&site.folder, of, &log.read(CHECKPOINT).unwrap().unwrap());
        }
        if at.contains(seen_as) && is_done == done && times.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            println!("reached");
            loop {
                std::thread::park();
            }
        }
        Ok(())
    })
}

/// Copies the published checkpoint of a tenant under the next number.
fn keep_copy(folder: &Path, of: &str, checkpoint: &[u8]) {
    let copies = folder.join("copies").join(of);
    std::fs::create_dir_all(&copies).unwrap();
    let number = std::fs::read_dir(&copies).unwrap().count();
    let unfinished = folder.join("unfinished");
    std::fs::write(&unfinished, checkpoint).unwrap();
    std::fs::rename(unfinished, copies.join(format!("{number:06}"))).unwrap();
}

async fn write(store: Store, writer: usize) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let tenant = tenant(TENANTS[writer % TENANTS.len()]);
    for number in 0.. {
        let mut chain = Chain::new(&tenant, &format!("{} {now} {writer} {number}", std::process::id()));
        for step in 0..4u64 {
            let append = chain.append_of(1 + (step + writer as u64) % 2, step == 3);
            chain.committed(&store, append).await;
            let sequence = chain.head.unwrap().sequence;
            println!("acknowledged {tenant} {} {sequence}", chain.id);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

/// The child: appends and lets the logs grow until it is killed, and says what was acknowledged. Nothing in a run that is not its
/// parent's.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn child_that_keeps_logs_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let (step, nth) = (std::env::var(STEP).unwrap(), std::env::var(NTH).unwrap().parse().unwrap());
    let site = Site { folder, database: std::env::var(DATABASE).ok() };
    let (store, logs) = (site.open().await, site.logs());
    for writer in 0..WRITERS {
        tokio::spawn(write(store.clone(), writer));
    }
    let hook = rendezvous(site, store.clone(), &step, nth);
    let mut sequencer = start(&store, &logs, hook).await.unwrap();
    loop {
        sequencer.round().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What was acknowledged: the newest sequence of each chain.
type Acknowledged = BTreeMap<(TenantId, InstanceId), u64>;

/// Runs the child until it is at the step, and kills it there.
fn run_and_kill(site: &Site, step: &str, nth: u64, acknowledged: &mut Acknowledged) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_keeps_logs_until_it_is_killed", "--nocapture"])
        .env(FOLDER, &site.folder)
        .envs(site.database.iter().map(|address| (DATABASE, address)))
        .env(STEP, step)
        .env(NTH, nth.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut reached = false;
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // What was said before the kill is read to its end.
    while lines.read_line(&mut line).unwrap() > 0 {
        // The test harness writes its own words before the first line.
        if let Some((_, said)) = line.split_once("acknowledged ")
            && said.ends_with('\n')
        {
            let words: Vec<_> = said.split_whitespace().collect();
            let chain = (tenant(words[0]), InstanceId::parse(words[1]).unwrap());
            acknowledged.insert(chain, words[2].parse().unwrap());
        }
        if line.contains("reached") {
            reached = true;
            child.kill().unwrap();
        }
        line.clear();
    }
    child.wait().unwrap();
    assert!(reached, "the child ended by itself before `{step}`");
}

/// Starts on what the kills have left, and checks all of it.
async fn check(site: &Site, acknowledged: &Acknowledged) {
    let (store, logs) = (site.open().await, site.logs());
    let mut sequencer = start(&store, &logs, no_hook()).await.unwrap();
    for tenant in store.logged_tenants(None, 10).await.unwrap() {
        check_log(&store, &logs, &tenant).await;
    }
    while sequencer.round().await.unwrap() > 0 {}
    let mut all = 0;
    for name in TENANTS {
        let tenant = tenant(name);
        if store.log(&tenant).await.unwrap().is_none() {
            continue;
        }
        let leaves = check_log(&store, &logs, &tenant).await;
        all += leaves.len() as u64;
        for ((_, id), sequence) in acknowledged.iter().filter(|((owner, _), _)| *owner == tenant) {
            let chain = ChainId::Instance(*id);
            let places = store.log_positions(&tenant, chain, 0, 100).await.unwrap();
            assert!(places.len() as u64 > *sequence, "{id}: {sequence} was acknowledged");
            for (sequence, place) in (0u64..).zip(places) {
                let leaf = &leaves[place as usize];
                let hash = Digest::of(format!("{id} {sequence}").as_bytes());
                assert_eq!((leaf.tag, leaf.sequence, leaf.hash), (chain.tag(&tenant), sequence, hash));
            }
        }
        let (folder, log, size) = (site.folder.clone(), site.log(&store, &tenant), leaves.len() as u64);
        blocking(move || check_copies(&folder, &log, &tenant, size)).await;
    }
    let taken = store.log_claim().await.unwrap().taken;
    let (stored, newest) = site.artifacts().await;
    // Numbers have gaps in a database.
    assert!(all == stored && taken >= newest, "{all} of {stored}, {taken} of {newest}");
}

/// Expects that every checkpoint that was ever published is a beginning of those published after it, and of the log.
fn check_copies(folder: &Path, log: &KeptLog, of: &TenantId, size: u64) {
    let copies = folder.join("copies").join(of.as_str());
    let count = std::fs::read_dir(&copies).map_or(0, Iterator::count);
    let mut trees = (0..count)
        .map(|number| signed_tree(of, &std::fs::read(copies.join(format!("{number:06}"))).unwrap()))
        .collect::<Vec<_>>();
    trees.push(signed_tree(of, &log.read(CHECKPOINT).unwrap().unwrap()));
    assert_eq!(trees.last().map(|tree| tree.size), Some(size));
    for pair in trees.windows(2) {
        let proof = Prover::new(log, pair[1].size).unwrap().consistency(pair[0].size).unwrap();
        pair[1].check_extends(&pair[0], &proof).unwrap();
    }
}

houses!(a_killed_sequencer_loses_nothing_logs_nothing_twice_and_takes_nothing_back);

async fn a_killed_sequencer_loses_nothing_logs_nothing_twice_and_takes_nothing_back(house: House) {
    let folder = tempfile::tempdir().unwrap();
    let database = match house {
        House::Sqlite => None,
        House::Postgres => Some(shared().address(&shared().database().await)),
    };
    let site = Site { folder: folder.path().to_owned(), database };
    let mut acknowledged = Acknowledged::new();
    for (kill, (step, ..)) in (0..KILLS).zip(STEPS.iter().cycle()) {
        // Every step is met early, at times while the child still makes up for the kill before, and late.
        let nth = 1 + (kill * 5 % 9) as u64;
        run_and_kill(&site, step, nth, &mut acknowledged);
        // Not after each: so that some kills meet what only a kill has left.
        if kill % 3 == 2 || kill == KILLS - 1 {
            check(&site, &acknowledged).await;
        }
    }
    let artifacts: u64 = acknowledged.values().map(|sequence| sequence + 1).sum();
    eprintln!(
        "{KILLS} kills, {artifacts} artifacts of {} chains acknowledged, all in their logs once",
        acknowledged.len()
    );
    assert!(artifacts > 500, "the child was killed before it wrote in most rounds");
}
