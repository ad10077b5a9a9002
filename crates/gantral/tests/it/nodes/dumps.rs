//! A dump of the database by the tools of PostgreSQL itself, and what restoring it brings back; and what remembers that it is old.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gantral_evidence::log::note::{NoteKey, NoteKeyKind};
use gantral_evidence::trust::KeyRole;
use gantral_keys::KeyFolder;
use gantral_testkit::cluster::shared;
use tokio::runtime::Runtime;

use super::crowd::{Caller, Crowd};
use super::fleet::Fleet;
use super::trial::served_whole_and_once;
use crate::support::{Killed, Ran, block_on, gantral, part, run, start, wait_until};

/// How many executions have ended before a dump is made, and how many more upon what it restores: those that nobody goes on with are fewer, and end only where
/// somebody rejects.
const AGENTS_ENDED: usize = 8;
/// How long a crowd is at work after it.
const A_WHILE: Duration = Duration::from_secs(1);

/// Dumps a database, as the page about data says it.
fn dump(database: &str, file: &Path) {
    let mut command = Command::new(part("dump/bin/pg_dump"));
    command.args(["--format=custom", "--schema=gantral"]).arg("--file").arg(file);
    done(command.arg(shared().url(database)));
}

/// Restores a dump into a new database, and returns its name.
fn restore(file: &Path) -> String {
    let database = block_on(shared().database());
    let mut command = Command::new(part("dump/bin/pg_restore"));
    command.args(["--exit-on-error", "--single-transaction", "--dbname"]).arg(shared().url(&database));
    done(command.arg(file));
    database
}

fn done(command: &mut Command) {
    let ran = Ran::of(command.env_clear().output().unwrap());
    assert_eq!(ran.status, 0, "{ran:?}");
}

#[test]
fn dump_of_a_database_at_work_restores_to_a_ledger_whose_chains_verify_and_that_goes_on() {
    let mut fleet = Fleet::start(2);
    let file = fleet.path("ledger.dump");
    let runtime = Runtime::new().unwrap();
    let mut before = Vec::new();
    served_whole_and_once(&mut fleet, |fleet, _| {
        let auditor = Caller::new(fleet, "dora");
        assert!(wait_until(|| {
            before = runtime.block_on(auditor.ended());
            before.len() > AGENTS_ENDED
        }));
        dump(fleet.database(), &file);
        std::thread::sleep(A_WHILE);
        "the database was dumped".to_owned()
    });
    assert!(!before.is_empty());
    fleet.move_to(restore(&file), "");
    (0..2).for_each(|number| fleet.ready(number));
    let auditor = Caller::new(&fleet, "dora");
    let restored = runtime.block_on(auditor.ended());
    assert!(before.iter().all(|ended| restored.contains(ended)), "what had ended before is not all there");
    let there = restored.len();
    runtime.block_on(auditor.verify_all(restored, fleet.folder()));
    // It goes on: numbers, duties and keys are where they were.
    let served = served_whole_and_once(&mut fleet, |_, _| {
        assert!(
            wait_until(|| runtime.block_on(auditor.ended()).len() > there + AGENTS_ENDED),
            "nothing ends upon the restored database"
        );
        "the database was restored".to_owned()
    });
    println!("{} ended before the dump; {served}", before.len());
}

/// A witness of the log of `acme`, as an auditor runs it.
struct Witness {
    listen: String,
    key: String,
}

impl Witness {
    fn of(fleet: &Fleet) -> Self {
        let entries = KeyFolder::look(&fleet.path("node-0")).unwrap();
        let log = entries.into_iter().find(|entry| entry.role == KeyRole::Log && entry.is_current()).unwrap();
        let log = NoteKey::new("acme/log", NoteKeyKind::Text, log.public_key).unwrap();
        std::fs::write(fleet.path("logs"), format!("{log}\n")).unwrap();
        let init = ["witness", "init", "--dir", "w", "--name", "witness.example/w"];
        let line = run(fleet.folder(), &init).status(0).data;
        let key = line.split_whitespace().last().unwrap().to_owned();
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { listen, key }
    }

    /// What a server is told of it.
    fn configured(&self) -> String {
        format!("[[log.witnesses]]\nurl = 'http://{}'\nkey = '{}'\n", self.listen, self.key)
    }

    fn start(&self, fleet: &Fleet) -> Killed {
        let mut command = gantral(fleet.folder());
        command.args(["witness", "run", "--dir", "w", "--logs", "logs", "--json", "--listen", &self.listen]);
        start(command, &fleet.path("w.log")).0
    }
}

#[test]
fn dump_that_is_older_than_what_a_witness_has_seen_is_only_read_once_the_witness_says_so() {
    let mut fleet = Fleet::new(2);
    let witness = Witness::of(&fleet);
    let more = witness.configured();
    let running = witness.start(&fleet);
    for number in 0..2 {
        fleet.configure(number, &more);
        fleet.start_node(number);
        fleet.ready(number);
    }
    fleet.apply(0, None);
    let old = fleet.create(0);
    let file = fleet.path("old.dump");
    dump(fleet.database(), &file);
    let lost = fleet.create(1);
    let cosigned = || {
        block_on(async {
            let raw = shared().raw(fleet.database()).await;
            let sql = "SELECT (SELECT max(size) FROM gantral.log_cosigned) = (SELECT size FROM gantral.log)
                         AND (SELECT size FROM gantral.log) = (SELECT count(*) FROM gantral.artifact)";
            raw.query_one(sql, &[]).await.unwrap().get::<_, Option<bool>>(0) == Some(true)
        })
    };
    assert!(wait_until(cosigned), "{}", fleet.log(0));

    // The witness is away: nothing that is left remembers, and the ledger is at one with itself.
    drop(running);
    fleet.move_to(restore(&file), &more);
    (0..2).for_each(|number| fleet.ready(number));
    assert_eq!(fleet.instance(0, &old)["state"], "CREATED");
    assert_ne!(fleet.run(0, "dora", &["instances", "show", &lost]).status, 0);
    fleet.create(0);

    // It comes back, and both servers take no write any more; they say why, and go on reading.
    let _running = witness.start(&fleet);
    let mut crowd = Crowd::new(&fleet);
    for number in 0..2 {
        assert!(wait_until(|| crowd.refusal(number) == "read_only"), "{}", fleet.log(number));
        let said = fleet.run(number, "dora", &["doctor"]).data;
        assert!(said.contains("witness `witness.example/w` has seen"), "{said}");
        assert_eq!(fleet.instance(number, &old)["state"], "CREATED");
    }
    // Starting again heals nothing.
    fleet.kill_node(1);
    fleet.start_node(1);
    assert_eq!(crowd.refusal(1), "read_only");
}
