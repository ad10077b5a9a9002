//! The process is killed at random moments: nothing acknowledged is lost, and nothing is half there.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use gantral_core::digest::Digest;
use gantral_core::ids::{GateId, GrantId, InstanceId};
use gantral_store::{Append, Effect, StateCode, Store};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::world::{Chain, at, gate_row, idempotency, name, snapshot_effect, team, tell, tenant};

/// Names the file that the child writes; set for the child only.
const FILE: &str = "GANTRAL_STORE_KILL_FILE";
const ROUNDS: u64 = 60;
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

/// The child: appends until it is killed, and says after each append that it was acknowledged. Nothing in a run that
/// is not its parent's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let store = Store::open_sqlite(Path::new(&path)).unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            let mut chain = Chain::new(&tenant("acme"));
            let salt = format!("{} {writer} {:?}", std::process::id(), std::time::SystemTime::now());
            let mut id = [0; 16];
            id.copy_from_slice(&Digest::of(salt.as_bytes()).as_bytes()[..16]);
            chain.id = InstanceId::from_random(id);
            for number in 0.. {
                let append = step(&chain, number);
                chain.committed(&store, append).await;
                writeln!(std::io::stdout(), "acknowledged {} {number}", chain.id).unwrap();
            }
        });
    }
    writers.join_all().await;
}

/// Runs the child for a while, kills it, and returns the number of acknowledged steps of each instance.
fn run_and_kill(path: &Path, wait: Duration) -> BTreeMap<InstanceId, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_appends_until_it_is_killed", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut stdout, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    });
    std::thread::sleep(wait);
    child.kill().unwrap();
    child.wait().unwrap();
    let said = reader.join().unwrap();
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    let mut acknowledged = BTreeMap::new();
    for line in whole.lines() {
        // The test harness writes its own words before the first line.
        if let Some((_, rest)) = line.split_once("acknowledged ") {
            let (id, number) = rest.split_once(' ').unwrap();
            acknowledged.insert(InstanceId::parse(id).unwrap(), number.parse::<u64>().unwrap() + 1);
        }
    }
    acknowledged
}

/// Counts the rows that belong to a different number of steps than the heads say.
fn expect_whole(path: &Path) {
    let raw = Connection::open(path).unwrap();
    let one = |sql: &str| raw.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let steps = one("SELECT coalesce(sum(head_sequence + 1), 0) / 2 FROM instance");
    assert_eq!(one("SELECT count(*) FROM instance WHERE head_sequence % 2 = 0"), 0, "half an append");
    assert_eq!(one("SELECT count(*) FROM artifact"), 2 * steps);
    for table in ["grant_row", "snapshot", "outbox", "idempotency"] {
        assert_eq!(one(&format!("SELECT count(*) FROM {table}")), steps, "{table}");
    }
    let heads = "SELECT count(*) FROM instance i JOIN artifact a ON a.tenant = i.tenant AND a.instance = i.id
                 AND a.sequence = i.head_sequence AND a.hash = i.head_hash
                 JOIN task t ON t.tenant = i.tenant AND t.instance = i.id
                 AND t.ready_at = (i.head_sequence - 1) / 2 AND i.state = t.ready_at % 5";
    assert_eq!(one(heads), one("SELECT count(*) FROM instance"));
    let check: String = raw.query_row("PRAGMA quick_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged_and_leaves_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let (mut acknowledged, mut killed_while_appending) = (0, 0);
    for round in 0..ROUNDS {
        // The first rounds kill while the file is made and opened.
        let longest = if round < 6 { 20_000 } else { 250_000 };
        let wait = Duration::from_micros(RandomState::new().build_hasher().finish() % longest);
        let steps = run_and_kill(&path, wait);
        let store = Store::open_sqlite(&path).unwrap();
        for (id, steps) in &steps {
            let row = store.instance(&tenant("acme"), *id).await.unwrap().unwrap();
            // A writer has one append in flight: one more than was acknowledged may have been kept.
            let kept = row.head.sequence.div_ceil(2);
            assert!(kept == *steps || kept == steps + 1, "{id}: {steps} acknowledged, {kept} kept, {wait:?}");
        }
        drop(store);
        expect_whole(&path);
        acknowledged += steps.values().sum::<u64>();
        killed_while_appending += u64::from(!steps.is_empty());
    }
    eprintln!(
        "{ROUNDS} kills, {killed_while_appending} of them under load, {acknowledged} appends acknowledged, none lost"
    );
    assert!(killed_while_appending >= 10, "the child was killed before it wrote in most rounds");
}
