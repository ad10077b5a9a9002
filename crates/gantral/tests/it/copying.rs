//! The ledger of one machine moves into a database, from the command line.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::shared;
use crate::support::{Ran, World, wait_until};

/// Why somebody decides, in as many words as the policy asks for.
const WHY: &str = "it is what was agreed with the customer";

/// A ledger that a server made: gates that were approved, rejected and overridden, and one that waits; a freeze, a delegation, logs.
struct Ledger {
    world: World,
    /// Files of the bundles that the server gave out.
    bundles: Vec<String>,
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
        let mut bundles = Vec::new();
        for number in 0..2 {
            let name = format!("bundle-{number}");
            world.verified(&of(number, "instance_id"), &name).status(0);
            bundles.push(name);
        }
        Self { world, bundles }
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

    /// Ends the server as whoever runs it does, so that everything is in one file.
    fn stop(&self) {
        let pid = self.world.server_pid().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let log = self.data().join("ledger.db-wal");
        assert!(wait_until(|| !log.exists()), "the server goes on");
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
    assert_eq!(ledger.bundles.len(), 2);
    block(shared().remove(&database));
}

#[test]
fn one_flipped_bit_of_the_ledger_or_of_its_log_is_refused_and_named() {
    let ledger = Ledger::make();
    ledger.stop();
    let database = block(shared().database());
    let tiles = ledger.data().join("log/dev+log/tile/0/000.p");
    let newest = std::fs::read_dir(&tiles).unwrap().map(|tile| tile.unwrap().path());
    let newest =
        newest.max_by_key(|tile| tile.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap());
    let newest = newest.unwrap();
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
