//! The ledger of one machine moves into a database, from the command line.

use std::path::{Path, PathBuf};

use gantral_core::ids::TenantId;
use gantral_testkit::cluster::shared;

use crate::support::{Ran, World, wait_until};

/// Why somebody decides, in as many words as the policy asks for.
const WHY: &str = "it is what was agreed with the customer";

/// A ledger that a server made: gates that were approved, rejected and overridden, and one that waits; a freeze, a delegation, logs.
struct Ledger {
    world: World,
    /// The instances whose gates were decided.
    decided: Vec<String>,
}

impl Ledger {
    fn make() -> Self {
        let world = World::start();
        let command = |number: usize| format!("echo {number} > done-{number}");
        for number in 0..4 {
            world.run(&["run", "--", "sh", "-c", &command(number)]).status(3);
        }
        let gates = world.run(&["approvals", "ls", "--json"]).status(0).json();
        let of = |number: usize, member: &str| gates["items"][number][member].as_str().unwrap().to_owned();
        for (number, decision) in ["approve", "reject"].into_iter().enumerate() {
            world
                .run(&["approvals", decision, &of(number, "gate_id"), "--reason", WHY, "--as", "alice"])
                .status(0);
        }
        for number in 0..4 {
            let ran = world.run(&["run", "--", "sh", "-c", &command(number)]);
            assert!(matches!(ran.status, 0 | 3 | 4), "{ran:?}");
        }
        for verb in ["freeze", "unfreeze"] {
            world.run(&[verb, "--team", "payments", "--reason", WHY, "--as", "dave"]).status(0);
        }
        let decided = (0..2).map(|number| of(number, "instance_id")).collect();
        Self { world, decided }
    }

    /// Returns everything that people see of the ledger, and the bundles of what was decided.
    fn seen(&self, name: &str) -> (Vec<String>, Vec<Vec<u8>>) {
        let lists: [&[&str]; 4] =
            [&["instances", "ls"], &["approvals", "ls"], &["governance", "ls"], &["workflows", "ls"]];
        let list = |words: &&[&str]| self.world.run(&[words, &["--json"][..]].concat()).status(0).data;
        let bundle = |id: &String| {
            let file = format!("{name}-{id}");
            self.world.verified(id, &file).status(0);
            let bytes = std::fs::read(self.world.path(&file)).unwrap();
            for written in [file.clone(), format!("{file}.trust.json")] {
                std::fs::remove_file(self.world.path(&written)).unwrap();
            }
            bytes
        };
        (lists.iter().map(list).collect(), self.decided.iter().map(bundle).collect())
    }

    fn copy(&self, database: &str) -> Ran {
        self.world.run(&[
            "--json",
            "store",
            "copy",
            "--from",
            ".gantral-dev/data",
            "--to",
            &shared().address(database),
        ])
    }

    /// Ends the server, and leaves everything in one file; returns how many leaves its log has.
    fn stop(&mut self) -> u64 {
        self.world.kill_server();
        let file = self.data().join("ledger.db");
        let size = block(async {
            let store = gantral_store::Store::open_sqlite(&file).unwrap();
            store.log(&TenantId::parse("dev").unwrap()).await.unwrap().unwrap().size
        });
        // Connections that are closed at the same moment each leave the rest to the other.
        let closed = wait_until(|| {
            drop(gantral_store::Store::open_sqlite(&file));
            !self.data().join("ledger.db-wal").exists()
        });
        assert!(closed, "the ledger is not in one file");
        size
    }

    fn data(&self) -> PathBuf {
        self.world.path(".gantral-dev/data")
    }
}

fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

/// Returns the last place of a file where these bytes are.
fn last_of(file: &Path, bytes: &[u8]) -> usize {
    let all = std::fs::read(file).unwrap();
    all.windows(bytes.len()).rposition(|window| window == bytes).unwrap()
}

#[test]
fn a_ledger_is_copied_proved_and_told_and_its_files_stay_as_they_were() {
    let mut ledger = Ledger::make();
    let database = block(shared().database());
    let ran = ledger.copy(&database).status(1);
    assert!(ran.talk.contains("in use") && ran.talk.contains("stop the server first"), "{ran:?}");
    ledger.world.kill_server();
    let before = std::fs::read(ledger.data().join("ledger.db")).unwrap();
    let ran = ledger.copy(&database).status(0);
    assert_eq!(std::fs::read(ledger.data().join("ledger.db")).unwrap(), before);
    let told = ran.json();
    assert_eq!(told["logs"], 1);
    // Four commands, and what governs the tenant.
    assert_eq!(told["chains"], 5);
    assert!(told["leaves"].as_u64().unwrap() > 10, "{told}");
    assert!(told["not_copied"].as_array().unwrap().iter().any(|name| name == "issuer.pk8"), "{told}");
    let rows = |table: &str| {
        let tables = told["tables"].as_array().unwrap();
        tables.iter().find(|row| row["table"] == table).unwrap()["rows"].as_u64().unwrap()
    };
    assert_eq!((rows("instance"), rows("gate"), rows("log")), (4, 4, 1));
    assert!(rows("artifact") >= told["leaves"].as_u64().unwrap());
    assert!(
        ran.talk.contains("copy keys.json") && ran.talk.contains("start none on the old folder"),
        "{ran:?}"
    );

    let open = [
        "store",
        "copy",
        "--from",
        ".gantral-dev/data",
        "--to",
        "postgres://gantral:hunter2@127.0.0.1:1/ledger",
    ];
    let ran = ledger.world.run(&open).status(1);
    assert!(ran.talk.contains("--password env:NAME") && !ran.talk.contains("hunter2"), "{ran:?}");
    let ran = ledger.copy(&database).status(1);
    assert!(ran.talk.contains("has a ledger already") && ran.talk.contains("createdb"), "{ran:?}");
    block(shared().remove(&database));
}

#[test]
fn a_server_upon_the_copy_shows_the_same_gives_out_the_same_bundles_and_goes_on() {
    let mut ledger = Ledger::make();
    // Until the log has taken everything, a bundle names a newer checkpoint each time.
    let mut before = ledger.seen("before");
    assert!(wait_until(|| {
        let now = ledger.seen("before");
        std::mem::replace(&mut before, now) == before
    }));
    ledger.world.kill_server();
    let database = block(shared().database());
    let leaves = ledger.copy(&database).status(0).json()["leaves"].as_u64().unwrap();
    let store = shared().url(&database);
    ledger.world.start_server_with(&["--store", &store]);
    assert_eq!(ledger.seen("after"), before);

    // It goes on: a new gate is decided, its chain verifies, and the log has grown from the same tree.
    let command = ["run", "--", "sh", "-c", "echo more > more"];
    ledger.world.run(&command).status(3);
    let gates = ledger.world.run(&["approvals", "ls", "--json"]).status(0).json();
    let items = gates["items"].as_array().unwrap();
    let gate = items.iter().max_by_key(|gate| gate["opened_at"].as_str()).unwrap();
    let id = gate["gate_id"].as_str().unwrap();
    ledger.world.run(&["approvals", "approve", id, "--reason", WHY, "--as", "alice"]).status(0);
    ledger.world.run(&command).status(0);
    assert_eq!(ledger.world.text("more"), "more\n");
    ledger.world.verified(gate["instance_id"].as_str().unwrap(), "more.bundle").status(0);
    let size = || {
        block(async {
            let raw = shared().raw(&database).await;
            let row = raw.query_one("SELECT size FROM gantral.log", &[]).await.unwrap();
            row.get::<_, i64>(0) as u64
        })
    };
    assert!(wait_until(|| size() > leaves), "the log stands at {leaves}");
    ledger.world.kill_server();
    block(shared().remove(&database));
}

#[test]
fn one_flipped_bit_of_the_ledger_or_of_its_log_is_refused_and_named() {
    let mut ledger = Ledger::make();
    let size = ledger.stop();
    let database = block(shared().database());
    // Tiles of a tree that was never published stand beside those of the newest: a server that is killed leaves them.
    let newest = ledger.data().join(format!("log/dev+log/tile/0/000.p/{size}"));
    let ledger_file = ledger.data().join("ledger.db");
    // No digest of the ledger covers a signature, only its key.
    let signature = last_of(&ledger_file, b"\"sig\":\"") + 16;
    for (file, place, told) in [
        (&ledger_file, signature, "of tenant dev: "),
        (&newest, 3, "is not what its artifacts make"),
        (&ledger_file, 0, "is not a gantral store"),
    ] {
        let whole = std::fs::read(file).unwrap();
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        std::fs::write(file, damaged).unwrap();
        let ran = ledger.copy(&database).status(1);
        assert!(ran.talk.contains(told), "{ran:?}");
        std::fs::write(file, whole).unwrap();
    }
    ledger.copy(&database).status(0);
    block(shared().remove(&database));
}
