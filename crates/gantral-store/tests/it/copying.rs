//! A ledger that moves from one file into a database: all of it, or nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use gantral_store::{
    ChainId, CommittedArtifact, ConnectError, Copied, CopiedChain, CopiedObject, Copy, CopyCheck, CopyError,
    CopyStep, LogRow, OpenError, PAGE_MAX, PostgresOptions, Store, copy,
};
use gantral_testkit::cluster::{Cluster, shared};

use crate::conformance::logs::Logs;
use crate::sqlite::{of_the_first_schema, raw};
use crate::world::{Chain, SIGNER, put_one_of_each, snapshot_effect, tenant};

/// In the place of an address, the target of the copy that a test kills.
const TARGET: &str = "GANTRAL_COPY_TARGET";
/// The source of that copy.
const SOURCE: &str = "GANTRAL_COPY_SOURCE";

/// Sees what is shown, and refuses what it is told to.
#[derive(Default)]
struct Seen {
    chains: Vec<(TenantId, ChainId, usize)>,
    leaves: u64,
    logs: Vec<u64>,
    refuses: bool,
    /// Stops for good when the first chain is shown.
    stands: bool,
}

impl CopyCheck for Seen {
    fn told(&mut self, envelope: &[u8]) -> Result<(bool, [u8; 8]), String> {
        if envelope.is_empty() {
            Err("it is empty".to_owned())
        } else {
            Ok((envelope.ends_with(b" 2"), SIGNER))
        }
    }

    fn chain(&mut self, chain: &CopiedChain) -> Result<(), String> {
        if self.stands {
            eprintln!("standing");
            std::thread::sleep(Duration::from_secs(600));
        }
        assert_eq!(chain.artifacts.last().map(|last| last.hash), Some(chain.head.hash));
        assert!(chain.artifacts.iter().zip(0..).all(|(artifact, sequence)| artifact.sequence == sequence));
        self.chains.push((chain.tenant.clone(), chain.chain, chain.artifacts.len()));
        if self.refuses { Err("it is not signed".to_owned()) } else { Ok(()) }
    }

    fn log_name(&mut self, tenant: &TenantId) -> Result<String, String> {
        Ok(format!("{tenant}/log"))
    }

    fn leaves(&mut self, _: &TenantId, artifacts: &[CommittedArtifact]) -> Result<Vec<CopiedObject>, String> {
        self.leaves += artifacts.len() as u64;
        Ok(vec![(format!("tile/{}", self.leaves), b"hashes".to_vec())])
    }

    fn log(&mut self, row: &LogRow) -> Result<Vec<CopiedObject>, String> {
        self.logs.push(row.size);
        Ok(vec![("checkpoint".to_owned(), row.checkpoint.clone().into_bytes())])
    }

    fn step(&mut self, _: CopyStep<'_>) {}
}

/// A ledger in a file with something in every table, and what goes on with it.
struct Ledger {
    folder: tempfile::TempDir,
    chain: Chain,
    logs: Logs,
}

impl Ledger {
    async fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let store = Store::open_sqlite(&path).unwrap();
        let (mut chain, mut logs) = (Chain::new(&tenant("acme")), Logs::default());
        chain.commit(&store, vec![snapshot_effect(b"plain").1]).await;
        put_one_of_each(&store, &chain.tenant).await;
        Chain::new(&tenant("other")).commit(&store, vec![]).await;
        logs.take(&store, 2).await;
        // What no log has taken yet.
        chain.commit(&store, vec![]).await;
        drop(store);
        let evidence = Digest::of(b"evidence");
        let instance = chain.id;
        raw(&path)
            .execute_batch(&format!(
                "INSERT INTO gate VALUES('acme', x'01', x'{instance}', 1, 'refund', 'payments', 'lead', 'refund', 9, 1, x'{evidence}', 1, NULL, NULL, NULL, 1, 5);
                 INSERT INTO gate_role VALUES('acme', 'lead', 1, 9, x'01');
                 INSERT INTO grant_row VALUES('acme', x'{instance}', x'02', 9, 1);
                 INSERT INTO task VALUES('acme', x'{instance}', 'default', 'payments', 3, 1);
                 INSERT INTO lease VALUES('acme', x'{instance}', 1, 'runner', 9, 0);
                 INSERT INTO idempotency VALUES(5, x'03', x'04', x'{instance}', 0, 0, 200, x'', 9);
                 INSERT INTO policy_candidate VALUES('acme', 'tenant', '', x'{evidence}', 1);
                 INSERT INTO person VALUES('acme', 'https://id.example', 'zoé', x'05');
                 INSERT INTO spending VALUES('acme', 'team', 'payments', '2026-01', 3, -1, 2);
                 INSERT INTO reservation VALUES('acme', x'02', x'{instance}', 'refund', 'payments', 7, 1);
                 INSERT INTO rule_use VALUES('acme', 'refund', 'small', 2, 1);
                 INSERT INTO unobserved VALUES('acme', 0, 'refund', 'refund', x'06', 4);
                 INSERT INTO outbox(number, recipient, tenant, kind, at, subject, opened_at, deadline, instance, version, workflow, team, roles, action_name,
                     queued_at, attempts, due_at, dead) VALUES
                   (7, 'pager', 'acme', 'gate.opened', 1, x'01', 1, 9, x'{instance}', 1, 'refund', 'payments', 'lead', 'refund', 1, 0, 1, 0),
                   (9, 'pager', 'acme', 'gate.opened', 1, x'01', 1, 9, x'{instance}', 1, 'refund', 'payments', 'lead', 'refund', 1, 0, 1, 0);
                 DELETE FROM outbox WHERE number = 9;
                 INSERT INTO told VALUES('pager', 1, 2);
                 INSERT INTO session VALUES(x'{evidence}', 'i', 's', 'c', '{{}}', 1, 2);
                 INSERT INTO enrolment VALUES(4, 'acme', x'{evidence}', 'p', 'i', 's', x'07', x'08', 1, NULL);
                 INSERT INTO human_evidence VALUES('acme', x'{instance}', x'{evidence}', CAST('evidence' AS BLOB));
                 INSERT INTO log_cosigned VALUES('acme', 1, x'{evidence}', 'note', 1);
                 INSERT INTO archive VALUES('acme', 1, 2, 2, x'{evidence}', NULL);
                 INSERT INTO archived VALUES('acme', 'objects/1', x'{evidence}', 'v1');
                 INSERT INTO content_erased VALUES('acme', x'09', 3);
                 INSERT INTO log_held VALUES('third', 99);",
                instance = instance.to_string().replace('-', ""),
            ))
            .unwrap();
        Self { folder, chain, logs }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    async fn copy(&self, database: &str) -> (Result<Copied, CopyError>, Seen) {
        self.shown(database, Seen::default()).await
    }

    async fn shown(&self, database: &str, mut seen: Seen) -> (Result<Copied, CopyError>, Seen) {
        let (source, target) = (self.path(), shared().url(database));
        let copied = copy(Copy { source: &source, target: &target, password: None }, &mut seen).await;
        (copied, seen)
    }
}

async fn open(database: &str) -> Store {
    Store::open_postgres(&shared().address(database), PostgresOptions::default()).await.unwrap()
}

/// Tells whether a database has anything of ours.
async fn is_empty(database: &str) -> bool {
    let raw = shared().raw(database).await;
    let row = raw.query_one("SELECT to_regnamespace('gantral') IS NULL", &[]).await.unwrap();
    row.get(0)
}

#[tokio::test]
async fn a_ledger_is_copied_with_every_row_of_every_table_and_goes_on() {
    let mut ledger = Ledger::make().await;
    let before = std::fs::read(ledger.path()).unwrap();
    let database = shared().database().await;
    let (copied, seen) = ledger.copy(&database).await;
    let copied = copied.unwrap();
    assert_eq!(std::fs::read(ledger.path()).unwrap(), before, "the source was written");
    for table in &copied.tables {
        assert!(table.rows > 0, "`{}` was empty, and this test shows nothing of it", table.table);
    }
    assert!(copied.tables.len() >= 34, "{}", copied.tables.len());
    assert_eq!((copied.chains, seen.chains.len()), (3, 3));
    assert_eq!((copied.logs, seen.leaves, seen.logs.len()), ((2, 3), 3, 2));

    let (old, new) = (Store::open_sqlite(&ledger.path()).unwrap(), open(&database).await);
    ledger.chain.stands(&new).await;
    let chain = |store: Store| {
        let (tenant, id) = (ledger.chain.tenant.clone(), ledger.chain.id);
        async move {
            (
                store.chain(&tenant, id, 0, 10).await.unwrap(),
                store.governance_chain(&tenant, 0, 10).await.unwrap(),
                store.committed(0, 10).await.unwrap(),
                store.instance(&tenant, id).await.unwrap(),
                store.log(&tenant).await.unwrap(),
                store.log_positions(&tenant, ChainId::Instance(id), 0, 10).await.unwrap(),
                store.logged_tenants(None, PAGE_MAX).await.unwrap(),
                store.log_claim().await.unwrap().taken,
            )
        }
    };
    assert_eq!(chain(old.clone()).await, chain(new.clone()).await);
    drop(old);
    let newest = new.newest_commit().await.unwrap();
    ledger.chain.commit(&new, vec![]).await;
    assert_eq!(new.newest_commit().await.unwrap(), newest + 1);
    ledger.logs.take(&new, 10).await;
    assert_eq!(new.log(&ledger.chain.tenant).await.unwrap().unwrap().size, 4);
    // Numbers go on behind those that were given, also where the newest rows are gone.
    let raw = shared().raw(&database).await;
    for (table, next) in [("outbox", 10), ("idempotency", 6), ("enrolment", 5), ("workflow", 2)] {
        let next_is = format!("SELECT nextval(pg_get_serial_sequence('gantral.{table}', 'number'))");
        assert_eq!(raw.query_one(&next_is, &[]).await.unwrap().get::<_, i64>(0), next, "{table}");
    }
    let objects = "SELECT count(*), count(DISTINCT log) FROM gantral.log_object";
    let objects = raw.query_one(objects, &[]).await.unwrap();
    assert_eq!((objects.get::<_, i64>(0), objects.get::<_, i64>(1)), (4, 2));
    drop(new);
    shared().remove(&database).await;
}

#[tokio::test]
async fn a_ledger_of_the_first_release_is_copied_as_this_one_would_have_written_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let mut chain = Chain::new(&tenant("acme"));
    of_the_first_schema(&path, &mut chain);
    let before = std::fs::read(&path).unwrap();
    let database = shared().database().await;
    let target = shared().address(&database);
    copy(Copy { source: &path, target: &target, password: None }, &mut Seen::default()).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().flatten().map(|file| file.file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("ledger.db")), "{left:?}");
    let store = open(&database).await;
    chain.stands(&store).await;
    let ends: Vec<_> =
        store.committed(0, 10).await.unwrap().artifacts.into_iter().map(|row| row.seal).collect();
    let seal = |ends_chain| gantral_store::CommittedSeal::Told { ends_chain, signer: SIGNER };
    assert_eq!(ends, [seal(false), seal(false), seal(true)]);
    chain.commit(&store, vec![]).await;
    drop(store);
    shared().remove(&database).await;
}

#[tokio::test]
async fn what_is_refused_leaves_the_database_as_it_was() {
    let ledger = Ledger::make().await;
    let database = shared().database().await;
    let (refused, _) = ledger.shown(&database, Seen { refuses: true, ..Seen::default() }).await;
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("of tenant acme: it is not signed"), "{refused}");
    assert!(is_empty(&database).await);

    let server = Store::open_sqlite(&ledger.path()).unwrap();
    let (refused, _) = ledger.copy(&database).await;
    assert!(matches!(refused, Err(CopyError::Source(OpenError::InUse { .. }))), "{refused:?}");
    drop(server);

    // A row that does not hold what it is named after, a table that the target has not, a flag that is neither yes nor no.
    for (damage, told) in [
        ("DROP TRIGGER human_evidence_update; UPDATE human_evidence SET content = x'00'", "`human_evidence`"),
        ("CREATE TABLE theirs(one INTEGER PRIMARY KEY) STRICT", "no `theirs.one`"),
        ("UPDATE gate SET open = 2", "`gate.open` holds what it may not"),
        ("DELETE FROM instance WHERE tenant = 'other'", "has artifacts and no row of its own"),
        ("DELETE FROM log_round WHERE position = 0 AND tenant = 'acme'", "known of 0 leaves, and it has 2"),
        ("UPDATE log_round SET position = 1", "nothing says what stands at index 0"),
        ("UPDATE log_round SET numbers = x'0007'", "taken an artifact that is not there"),
        ("UPDATE snapshot SET plaintext = x'00'", "a row of `snapshot`"),
    ] {
        let ledger = Ledger::make().await;
        raw(&ledger.path()).execute_batch(damage).unwrap();
        let (refused, _) = ledger.copy(&database).await;
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains(told), "{damage}: {refused}");
        assert!(is_empty(&database).await, "{damage}");
    }

    // A page of the file that is not one any more.
    let mut bytes = std::fs::read(ledger.path()).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle] ^= 0x40;
    std::fs::write(ledger.path(), bytes).unwrap();
    let (refused, _) = ledger.copy(&database).await;
    let told = |error: &CopyError| {
        error.to_string().contains("malformed") || matches!(error, CopyError::Damaged { .. })
    };
    assert!(refused.as_ref().is_err_and(told), "{refused:?}");
    assert!(is_empty(&database).await);

    let nowhere = Path::new("/nowhere/ledger.db");
    let target = shared().address(&database);
    let refused = copy(Copy { source: nowhere, target: &target, password: None }, &mut Seen::default()).await;
    assert!(matches!(refused, Err(CopyError::NoSource { .. })));
    shared().remove(&database).await;
}

#[tokio::test]
async fn a_database_that_has_a_ledger_is_not_written_to() {
    let ledger = Ledger::make().await;
    let database = shared().database().await;
    drop(open(&database).await);
    let (refused, _) = ledger.copy(&database).await;
    assert!(matches!(refused, Err(CopyError::Target(ConnectError::Occupied { .. }))), "{refused:?}");
    drop(open(&database).await);
    shared().remove(&database).await;
}

/// Copies what its environment names, and stands still at the first proof; started by the next test, to be killed.
#[tokio::test]
async fn copy_until_killed() {
    let (Ok(source), Ok(target)) = (std::env::var(SOURCE), std::env::var(TARGET)) else { return };
    let mut seen = Seen { stands: true, ..Seen::default() };
    copy(Copy { source: Path::new(&source), target: &target, password: None }, &mut seen).await.unwrap();
}

#[tokio::test]
async fn a_copy_that_is_killed_leaves_nothing_and_keeps_servers_out_while_it_lasts() {
    let ledger = Ledger::make().await;
    let cluster = Cluster::start();
    let address = cluster.address("postgres");
    let mut copier = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "copying::copy_until_killed", "--nocapture"])
        .env(SOURCE, ledger.path())
        .env(TARGET, &address)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(copier.stderr.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("standing")));
    let refused = Store::open_postgres(&address, PostgresOptions::default()).await;
    assert!(matches!(refused, Err(ConnectError::Copying { .. })), "{refused:?}");
    let mut seen = Seen::default();
    let source = ledger.path();
    let job = || Copy { source: &source, target: &address, password: None };
    let refused = copy(job(), &mut seen).await;
    assert!(matches!(refused, Err(CopyError::Source(OpenError::InUse { .. }))), "{refused:?}");

    copier.kill().unwrap();
    copier.wait().unwrap();
    let raw = cluster.raw("postgres").await;
    let there = "SELECT to_regnamespace('gantral') IS NOT NULL";
    assert!(!raw.query_one(there, &[]).await.unwrap().get::<_, bool>(0));
    // The server may need a moment to see that nobody is there any more.
    let mut copied = copy(job(), &mut seen).await;
    for _ in 0..100 {
        if !matches!(copied, Err(CopyError::Target(ConnectError::Copying { .. }))) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        copied = copy(job(), &mut seen).await;
    }
    assert_eq!(copied.unwrap().chains, 3);
    let store = Store::open_postgres(&address, PostgresOptions::default()).await.unwrap();
    ledger.chain.stands(&store).await;
}

/// The most memory that this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

/// Measures a copy: `GANTRAL_COPY_INSTANCES=100000 cargo test --release -p gantral-store --test it -- --nocapture copying::of_many`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_instances_takes_as_long_as_is_written_down() {
    let instances = std::env::var("GANTRAL_COPY_INSTANCES").map_or(2_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let store = Store::open_sqlite(&path).unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..64 {
        let store = store.clone();
        writers.spawn(async move {
            for _ in (writer..instances).step_by(64) {
                let chain = Chain::new(&tenant("acme"));
                let mut append = chain.append_of(5);
                for artifact in &mut append.artifacts {
                    // As large as most are.
                    artifact.sealed.envelope.resize(1_024, b'.');
                    artifact.sealed.hash = Digest::of(&artifact.sealed.envelope);
                }
                append.effects.push(snapshot_effect(&[b'p'; 200]).1);
                store.append(append).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    drop(store);
    let database = shared().database().await;
    let (before, began, target) = (peak(), std::time::Instant::now(), shared().address(&database));
    let copied = copy(Copy { source: &path, target: &target, password: None }, &mut Counts(0)).await.unwrap();
    let (took, rows) = (began.elapsed(), copied.tables.iter().map(|table| table.rows).sum::<u64>());
    assert_eq!(copied.chains, instances);
    let size = path.metadata().unwrap().len() >> 20;
    eprintln!(
        "{instances} instances, {rows} rows, {size} MiB: {:.1} s, {:.0} rows/s; memory {before} MiB before, {} MiB at most",
        took.as_secs_f64(),
        rows as f64 / took.as_secs_f64(),
        peak()
    );
    shared().remove(&database).await;
}

/// Sees chains, and keeps none.
struct Counts(u64);

impl CopyCheck for Counts {
    fn told(&mut self, _: &[u8]) -> Result<(bool, [u8; 8]), String> {
        Err("there is none so old".to_owned())
    }

    fn chain(&mut self, _: &CopiedChain) -> Result<(), String> {
        self.0 += 1;
        Ok(())
    }

    fn log_name(&mut self, _: &TenantId) -> Result<String, String> {
        Err("there is none".to_owned())
    }

    fn leaves(&mut self, _: &TenantId, _: &[CommittedArtifact]) -> Result<Vec<CopiedObject>, String> {
        Err("there is none".to_owned())
    }

    fn log(&mut self, _: &LogRow) -> Result<Vec<CopiedObject>, String> {
        Err("there is none".to_owned())
    }

    fn step(&mut self, _: CopyStep<'_>) {}
}
