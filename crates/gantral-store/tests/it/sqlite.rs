//! What is true of a SQLite file.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gantral_store::{ChainId, CommittedSeal, Duty, Effect, OpenError, OutboxTurn, Store, StoreError, Wake};
use rusqlite::Connection;

use crate::conformance::logs::Logs;
use crate::world::{Chain, at, gate, gate_row, name, on_duty, put_one_of_each, tell, tenant};

pub fn raw(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let mut chain = Chain::new(&tenant("acme"));
    for _ in 0..3 {
        let store = Store::open_sqlite(&path).unwrap();
        chain.stands(&store).await;
        chain.commit(&store, vec![]).await;
    }
    chain.stands(&Store::open_sqlite(&path).unwrap()).await;
}

#[tokio::test]
async fn history_refuses_to_be_changed_or_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let store = Store::open_sqlite(&path).unwrap();
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(&store, vec![]).await;
    put_one_of_each(&store, &chain.tenant).await;

    let raw = raw(&path);
    for (table, column) in [
        ("artifact", "envelope"),
        ("workflow", "definition"),
        ("policy_bundle", "bytes"),
        ("policy_signature", "bytes"),
        ("proposal", "body"),
    ] {
        for sql in [
            format!("UPDATE {table} SET {column} = x'00'"),
            format!("DELETE FROM {table}"),
            format!("REPLACE INTO {table} SELECT * FROM {table}"),
            format!("UPDATE OR REPLACE {table} SET tenant = 'other'"),
        ] {
            let refused = raw.execute(&sql, []).unwrap_err().to_string();
            assert!(refused.contains("append-only") || refused.contains("never change"), "{sql}: {refused}");
        }
    }
    let end = |word: &str| raw.execute(&format!("UPDATE proposal SET ending = '{word}'"), []);
    assert_eq!(end("expired").unwrap(), 1);
    assert!(end("confirmed").unwrap_err().to_string().contains("end once"));
    chain.stands(&store).await;
}

#[test]
fn a_file_is_readable_by_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    drop(Store::open_sqlite(&path).unwrap());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let _store = Store::open_sqlite(&path).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
    }
}

#[test]
fn a_file_has_one_store_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let store = Store::open_sqlite(&path).unwrap();
    assert!(matches!(Store::open_sqlite(&path), Err(OpenError::InUse { .. })));
    drop(store);
    Store::open_sqlite(&path).unwrap();
}

#[test]
fn a_file_of_a_newer_release_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    drop(Store::open_sqlite(&path).unwrap());
    raw(&path).execute("INSERT INTO schema_version(version) VALUES(7000)", []).unwrap();
    let refused = Store::open_sqlite(&path).unwrap_err();
    assert!(matches!(refused, OpenError::NewerSchema { found: 7000, known: 21, .. }), "{refused}");
}

/// Makes a file as the first release did, with the artifacts of one chain.
pub fn of_the_first_schema(path: &Path, chain: &mut Chain) {
    let raw = raw(path);
    raw.execute_batch(include_str!("../../src/sqlite/schema/0001.sql")).unwrap();
    raw.execute_batch(
        "PRAGMA application_id=0x474e544c; CREATE TABLE schema_version(version INTEGER PRIMARY KEY) STRICT;
         INSERT INTO schema_version(version) VALUES(1);",
    )
    .unwrap();
    let append = chain.append_of(3);
    for (number, artifact) in (1i64..).zip(&append.artifacts) {
        raw.execute(
            "INSERT INTO artifact(number, previous, tenant, instance, sequence, hash, envelope)
             VALUES(?1, nullif(?1 - 1, 0), ?2, ?3, ?1 - 1, ?4, ?5)",
            rusqlite::params![
                number,
                append.tenant.as_str(),
                append.instance.as_bytes(),
                artifact.sealed.hash.as_bytes(),
                artifact.sealed.envelope
            ],
        )
        .unwrap();
    }
    chain.head = append.head();
    let head = append.head().unwrap();
    raw.execute(
        "INSERT INTO instance(tenant, id, head_number, head_sequence, head_hash, state, mode, open, team, workflow,
           workflow_version, created_by, created_at)
         VALUES(?1, ?2, 3, 2, ?3, 0, 1, 1, 'payments', 'refund', ?4, 'agent', 1000)",
        rusqlite::params![
            append.tenant.as_str(),
            append.instance.as_bytes(),
            head.hash.as_bytes(),
            append.index.workflow_version.as_bytes()
        ],
    )
    .unwrap();
}

#[tokio::test]
async fn a_file_from_before_the_log_goes_on_and_is_taken_into_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let mut chain = Chain::new(&tenant("acme"));
    of_the_first_schema(&path, &mut chain);
    let store = Store::open_sqlite(&path).unwrap();
    chain.stands(&store).await;
    chain.commit(&store, vec![]).await;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let envelopes: Vec<_> = page
        .iter()
        .map(|row| match &row.seal {
            CommittedSeal::Envelope(envelope) => Some(envelope.clone()),
            CommittedSeal::Told { .. } => None,
        })
        .collect();
    let stored = store.chain(&chain.tenant, chain.id, 0, 3).await.unwrap();
    let expected: Vec<_> = stored.into_iter().map(|artifact| Some(artifact.envelope)).chain([None]).collect();
    assert_eq!(envelopes, expected);
    Logs::default().take(&store, 2).await;
    let positions = store.log_positions(&chain.tenant, ChainId::Instance(chain.id), 0, 10).await.unwrap();
    assert_eq!(positions, [0, 1, 2, 3]);
}

#[tokio::test]
async fn messages_that_wait_in_an_older_file_are_told_under_the_numbers_that_they_had() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let schemas = [
        include_str!("../../src/sqlite/schema/0001.sql"),
        include_str!("../../src/sqlite/schema/0002.sql"),
        include_str!("../../src/sqlite/schema/0003.sql"),
        include_str!("../../src/sqlite/schema/0004.sql"),
        include_str!("../../src/sqlite/schema/0005.sql"),
        include_str!("../../src/sqlite/schema/0006.sql"),
        include_str!("../../src/sqlite/schema/0007.sql"),
        include_str!("../../src/sqlite/schema/0008.sql"),
        include_str!("../../src/sqlite/schema/0009.sql"),
        include_str!("../../src/sqlite/schema/0010.sql"),
        include_str!("../../src/sqlite/schema/0011.sql"),
        include_str!("../../src/sqlite/schema/0012.sql"),
        include_str!("../../src/sqlite/schema/0013.sql"),
    ];
    let old = raw(&path);
    for schema in schemas {
        old.execute_batch(schema).unwrap();
    }
    old.execute_batch(
        "PRAGMA application_id=0x474e544c; CREATE TABLE schema_version(version INTEGER PRIMARY KEY) STRICT;
         INSERT INTO schema_version(version) VALUES(13);
         INSERT INTO outbox(number, recipient, tenant, kind, percent, at, gate, instance, version, workflow, team, roles, action_name,
           opened_at, deadline, queued_at, attempts, due_at, dead, failure)
         VALUES(7, 'pager', 'acme', 'gate.reminder', 50, 1000, x'000102030405460780090a0b0c0d0e0f', x'000102030405460780090a0b0c0d0e0f', 3, 'refund', 'payments', 'lead head', 'refund',
           900, 5000, 1000, 2, 1000, 0, 'answered 500'), (9, 'pager', 'acme', 'gate.opened', NULL, 1000, x'000102030405460780090a0b0c0d0e0f', x'000102030405460780090a0b0c0d0e0f', 1,
           'refund', 'payments', 'lead', 'refund', 900, 5000, 1000, 2, 1000, 1, 'answered 500');
         DELETE FROM outbox WHERE number = 9;",
    )
    .unwrap();
    drop(old);
    let store = Store::open_sqlite(&path).unwrap();
    let turn = OutboxTurn { recipient: name("pager"), now: at(1_000), latest: at(2_000) };
    let row = store.outbox(turn, 10).await.unwrap().remove(0);
    let told = row.about.gate().unwrap();
    assert_eq!((row.number, row.percent, row.attempts, told.version), (7, Some(50), 2, 3));
    assert_eq!((told.roles.len(), told.team.as_str(), told.deadline), (2, "payments", at(5_000)));
    let mut chain = Chain::new(&tenant("acme"));
    let id = gate();
    let opened = Effect::OpenGate(gate_row(id, &["lead"], 5_000));
    chain.commit(&store, vec![opened, tell(id, "gate.opened", &["audit"])]).await;
    let turn = OutboxTurn { recipient: name("audit"), now: at(1_000), latest: at(2_000) };
    assert_eq!(store.outbox(turn, 10).await.unwrap()[0].number, 10, "no number stands for two messages");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_told_beside_those_that_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let store = Store::open_sqlite(&path).unwrap();
    let mut chains = ["acme", "other"].map(|name| Chain::new(&tenant(name)));
    for _ in 0..2 {
        for chain in &mut chains {
            chain.commit(&store, vec![]).await;
        }
    }
    let raw = raw(&path);
    raw.execute_batch("DROP TRIGGER artifact_update; DROP TRIGGER artifact_delete").unwrap();
    for damage in ["hash = x'00'", "instance = x'0102'", "sequence = -1", "signer = x'00'"] {
        raw.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM artifact WHERE number = 3").unwrap();
        raw.execute_batch(&format!("UPDATE artifact SET {damage} WHERE number = 3")).unwrap();
        let page = store.committed(0, 10).await.unwrap();
        let numbers: Vec<_> = page.artifacts.iter().map(|artifact| artifact.number).collect();
        assert_eq!((numbers, page.through), (vec![1, 2, 4], 4), "{damage}");
        let damaged: Vec<_> = page.damaged.iter().map(|row| (row.number, row.tenant.as_str())).collect();
        assert_eq!(damaged, [(3, "acme")], "{damage}");
        raw.execute_batch(
            "DELETE FROM artifact WHERE number = 3; INSERT INTO artifact SELECT * FROM kept; DROP TABLE kept",
        )
        .unwrap();
        assert_eq!(store.committed(0, 10).await.unwrap().damaged, []);
    }
    // Nobody knows whose log would lack it.
    raw.execute_batch("UPDATE artifact SET tenant = '' WHERE number = 3").unwrap();
    let page = store.committed(0, 10).await;
    assert!(matches!(page, Err(StoreError::Damaged { .. })), "{page:?}");
}

#[tokio::test]
async fn a_ledger_that_lost_what_its_logs_have_taken_lets_none_grow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gantral.db");
    let store = Store::open_sqlite(&path).unwrap();
    let mut chain = Chain::new(&tenant("acme"));
    for _ in 0..3 {
        chain.commit(&store, vec![]).await;
    }
    Logs::default().take(&store, 10).await;
    raw(&path).execute_batch("DROP TRIGGER artifact_delete; DELETE FROM artifact WHERE number = 3").unwrap();
    let held = on_duty(&store, Duty::Logs).await;
    let claim = store.claim_logs(&held).await;
    assert!(matches!(claim, Err(StoreError::Contradiction { .. })), "{claim:?}");
}

#[test]
fn a_file_of_somebody_else_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("other.db");
    raw(&database).execute_batch("CREATE TABLE theirs(x)").unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "not a database, but long enough to have a header of a hundred bytes ".repeat(9))
        .unwrap();
    for path in [database, text] {
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(Store::open_sqlite(&path), Err(OpenError::Foreign { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn a_slow_subscriber_notices_what_it_missed_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("gantral.db")).unwrap();
    let mut slow = store.subscribe();
    let mut chain = Chain::new(&tenant("acme"));
    for _ in 0..1_100 {
        chain.commit(&store, vec![]).await;
    }
    assert!(matches!(slow.next().await, Wake::Lagged(missed) if missed >= 76));
    drop(store);
    loop {
        match slow.next().await {
            Wake::Committed(_) => {}
            Wake::Closed => break,
            Wake::Lagged(missed) => panic!("lagged by {missed} twice"),
        }
    }
}
