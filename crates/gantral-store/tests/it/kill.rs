//! The process, or the server of its database, is killed at random moments: nothing acknowledged is lost, and nothing is half there.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use gantral_core::digest::Digest;
use gantral_core::ids::{GateId, GrantId, InstanceId};
use gantral_store::{Append, AppendOutcome, Effect, PostgresOptions, StateCode, Store, StoreError};
use gantral_testkit::cluster::{Cluster, shared};
use rusqlite::Connection;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::world::{Chain, at, gate_row, idempotency, name, snapshot_effect, team, tell, tenant};

/// Names the file that the child writes; set for the child only.
const FILE: &str = "GANTRAL_STORE_KILL_FILE";
/// Names the database that the child writes, in place of a file.
const DATABASE: &str = "GANTRAL_STORE_KILL_DATABASE";
const ROUNDS: u64 = 60;
/// A server of a database is not opened anew in each round, so that fewer say as much.
const SERVER_ROUNDS: u64 = 30;
/// How often the server itself is killed.
const CRASHES: u64 = 4;
const WRITERS: usize = 24;

/// Step `number` of a chain, with a row in every table that an append can reach.
fn step(chain: &Chain, number: u64) -> Append {
    let words = format!("{}-{number}", chain.id);
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(words.as_bytes()).as_bytes()[..16]);
    let gate = GateId::from_random(*chain.id.as_bytes());
    let mut append = chain.append_of(2);
    append.effects = vec![
        Effect::PutGrant { id: GrantId::from_random(id), expires_at: at(9) },
        snapshot_effect(words.as_bytes()).1,
        tell(gate, "step", &["pager"]),
        Effect::PutTask { queue: name("q"), team: team("payments"), ready_at: at(number) },
    ];
    if number == 0 {
        append.effects.insert(0, Effect::OpenGate(gate_row(gate, &["approver"], 5_000)));
    }
    append.index.state = StateCode((number % 5) as u8);
    append.idempotency = Some(idempotency(&words, b"body"));
    append
}

/// Returns a chain that no other writer, of this process or of another, has.
fn unlike_any_other(writer: usize) -> Chain {
    let mut chain = Chain::new(&tenant("acme"));
    let salt = format!("{} {writer} {:?}", std::process::id(), std::time::SystemTime::now());
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(salt.as_bytes()).as_bytes()[..16]);
    chain.id = InstanceId::from_random(id);
    chain
}

/// The child: appends until it is killed, and says after each append that it was acknowledged. Nothing in a run that
/// is not its parent's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_appends_until_it_is_killed() {
    let store = match (std::env::var_os(FILE), std::env::var(DATABASE)) {
        (Some(path), _) => Store::open_sqlite(Path::new(&path)).unwrap(),
        (None, Ok(address)) => Store::open_postgres(&address, PostgresOptions::default()).await.unwrap(),
        (None, Err(_)) => return,
    };
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            let mut chain = unlike_any_other(writer);
            for number in 0.. {
                let append = step(&chain, number);
                chain.committed(&store, append).await;
                writeln!(std::io::stdout(), "acknowledged {} {number}", chain.id).unwrap();
            }
        });
    }
    writers.join_all().await;
}

/// When a child is killed: so long after its start, or after its first answer, which on a busy machine is a while later.
enum Kill {
    AfterStart(Duration),
    AfterAnswer(Duration),
}

impl Kill {
    /// The first rounds kill while the place is made and opened, most of them under load.
    fn in_round(round: u64, opening: u64) -> Self {
        let within =
            |longest: u64| Duration::from_micros(RandomState::new().build_hasher().finish() % longest);
        if round < opening { Self::AfterStart(within(30_000)) } else { Self::AfterAnswer(within(150_000)) }
    }
}

/// Runs the child for a while, kills it, and returns the number of acknowledged steps of each instance.
fn run_and_kill(variable: &str, place: &OsStr, kill: &Kill) -> BTreeMap<InstanceId, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_appends_until_it_is_killed", "--nocapture"])
        .env(variable, place)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let (answer, answered) = channel();
    let reader = std::thread::spawn(move || {
        let (mut acknowledged, mut line) = (BTreeMap::new(), String::new());
        // A line without an end was cut off by the kill.
        while stdout.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            // The test harness writes its own words before the first line.
            if let Some((_, rest)) = line.trim_end().split_once("acknowledged ") {
                let (id, number) = rest.split_once(' ').unwrap();
                acknowledged.insert(InstanceId::parse(id).unwrap(), number.parse::<u64>().unwrap() + 1);
                // Only the first is waited for.
                let _ = answer.send(());
            }
            line.clear();
        }
        acknowledged
    });
    match kill {
        Kill::AfterStart(wait) => std::thread::sleep(*wait),
        Kill::AfterAnswer(wait) => {
            answered.recv_timeout(Duration::from_secs(60)).unwrap();
            std::thread::sleep(*wait);
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Counts, each as one number: artifacts of even appends, artifacts, what each step keeps, whole instances, instances.
const WHOLE: [&str; 8] = [
    "SELECT count(*) FROM instance WHERE head_sequence % 2 = 0",
    "SELECT count(*) / 2 FROM artifact",
    "SELECT count(*) FROM grant_row",
    "SELECT count(*) FROM snapshot",
    "SELECT count(*) FROM outbox",
    "SELECT count(*) FROM idempotency",
    "SELECT CAST(coalesce(sum(head_sequence + 1), 0) / 2 AS BIGINT) FROM instance",
    "SELECT count(*) FROM instance WHERE NOT EXISTS(SELECT 1 FROM artifact a
       JOIN task t ON t.tenant = a.tenant AND t.instance = a.instance
       WHERE a.tenant = instance.tenant AND a.instance = instance.id
         AND a.sequence = instance.head_sequence AND a.hash = instance.head_hash
         AND t.ready_at = (instance.head_sequence - 1) / 2 AND instance.state = t.ready_at % 5)",
];

/// Expects that the answers to [`WHOLE`] fit each other.
fn expect_equal([half, artifacts @ .., steps, torn]: &[i64; WHOLE.len()]) {
    assert_eq!(*half, 0, "half an append");
    for (kept, sql) in artifacts.iter().zip(&WHOLE[1..]) {
        assert_eq!(kept, steps, "{sql}");
    }
    assert_eq!(*torn, 0, "a head, a task or a state that does not fit");
}

/// Expects every acknowledged step. A writer has one append in flight: one more than was acknowledged may have been kept.
async fn expect_kept(store: &Store, steps: &BTreeMap<InstanceId, u64>) {
    for (id, steps) in steps {
        let row = store.instance(&tenant("acme"), *id).await.unwrap().unwrap();
        let kept = row.head.sequence.div_ceil(2);
        assert!(kept == *steps || kept == steps + 1, "{id}: {steps} acknowledged, {kept} kept");
    }
}

/// Counts the rows that belong to a different number of steps than the heads say.
fn expect_whole(path: &Path) {
    let raw = Connection::open(path).unwrap();
    let one = |sql: &str| raw.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let counts = WHOLE.map(one);
    expect_equal(&counts);
    let check: String = raw.query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged_and_leaves_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let (mut acknowledged, mut killed_while_appending) = (0, 0);
    for round in 0..ROUNDS {
        let steps = run_and_kill(FILE, path.as_os_str(), &Kill::in_round(round, 6));
        let store = Store::open_sqlite(&path).unwrap();
        expect_kept(&store, &steps).await;
        drop(store);
        expect_whole(&path);
        acknowledged += steps.values().sum::<u64>();
        killed_while_appending += u64::from(!steps.is_empty());
    }
    eprintln!(
        "{ROUNDS} kills, {killed_while_appending} of them under load, {acknowledged} appends acknowledged, none lost"
    );
    assert!(killed_while_appending >= ROUNDS - 6, "a child was killed before it wrote");
}

/// Expects a database in which everything fits, once the server has ended what a killed process had begun.
async fn expect_whole_database(raw: &Client) {
    let others = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND application_name = 'gantral' AND pid <> pg_backend_pid()";
    let began = Instant::now();
    while raw.query_one(others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "the server does not end what nobody waits for");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    raw.batch_execute("SET search_path TO gantral").await.unwrap();
    let mut counts = [0; WHOLE.len()];
    for (count, sql) in counts.iter_mut().zip(WHOLE) {
        *count = raw.query_one(sql, &[]).await.unwrap().get(0);
    }
    expect_equal(&counts);
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged_in_a_database_and_leaves_nothing_half() {
    let database = shared().database().await;
    let address = shared().address(&database);
    let (mut acknowledged, mut killed_while_appending) = (0, 0);
    for round in 0..SERVER_ROUNDS {
        let steps = run_and_kill(DATABASE, OsStr::new(&address), &Kill::in_round(round, 3));
        let store = shared().open(&database, None).await;
        expect_kept(&store, &steps).await;
        drop(store);
        expect_whole_database(&shared().raw(&database).await).await;
        acknowledged += steps.values().sum::<u64>();
        killed_while_appending += u64::from(!steps.is_empty());
    }
    eprintln!(
        "{SERVER_ROUNDS} kills, {killed_while_appending} of them under load, {acknowledged} appends acknowledged, none lost"
    );
    assert!(killed_while_appending >= SERVER_ROUNDS - 3, "a child was killed before it wrote");
    shared().remove(&database).await;
}

/// Appends until the server is gone; returns how many steps were acknowledged, and whether one more may have been kept.
async fn append_until_it_fails(store: Store, mut chain: Chain, mut number: u64) -> (Chain, u64, bool) {
    loop {
        let append = step(&chain, number);
        let head = append.head();
        match store.append(append).await {
            Ok(outcome) => assert_eq!(outcome, AppendOutcome::Committed),
            Err(error) => {
                let environment = matches!(error, StoreError::Unknown { .. } | StoreError::Failed { .. });
                assert!(environment, "{error}");
                return (chain, number, error.may_be_kept());
            }
        }
        (chain.head, number) = (head, number + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_started_again_has_lost_nothing_acknowledged() {
    let mut cluster = Cluster::start();
    let database = cluster.database().await;
    let store = cluster.open(&database, None).await;
    let mut chains: Vec<_> = (0..WRITERS).map(|writer| (unlike_any_other(writer), 0)).collect();
    let mut unknown = 0;
    for _ in 0..CRASHES {
        let mut writers = JoinSet::new();
        for (chain, number) in chains.drain(..) {
            writers.spawn(append_until_it_fails(store.clone(), chain, number));
        }
        tokio::time::sleep(Duration::from_millis(150 + RandomState::new().build_hasher().finish() % 200))
            .await;
        cluster.crash();
        let ended = writers.join_all().await;
        cluster.restart();
        // The same store goes on: its connections are made anew.
        for (mut chain, mut number, may_be_kept) in ended {
            let kept = store.instance(&chain.tenant, chain.id).await.unwrap().map(|row| row.head);
            if kept != chain.head {
                let one_more = step(&chain, number).head();
                assert!(
                    may_be_kept && kept == one_more,
                    "{kept:?} is kept, {:?} was acknowledged",
                    chain.head
                );
                (chain.head, number, unknown) = (one_more, number + 1, unknown + 1);
            }
            chain.stands(&store).await;
            chains.push((chain, number));
        }
    }
    let steps: u64 = chains.iter().map(|(_, steps)| steps).sum();
    eprintln!(
        "{CRASHES} crashes, {steps} appends kept, {unknown} of them were answered as unknown, none lost"
    );
    assert!(steps > WRITERS as u64, "the server was killed before anything was written");
    drop(store);
    expect_whole_database(&cluster.raw(&database).await).await;
}
