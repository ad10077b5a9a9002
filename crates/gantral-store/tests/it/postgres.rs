//! What is true of a PostgreSQL database.

use std::time::Duration;

use gantral_core::digest::Digest;
use gantral_store::{
    AppendOutcome, ConnectError, Effect, PostgresOptions, ServingKeys, SessionRow, Store, StoreError, Wake,
};
use gantral_testkit::cluster::{Cluster, Ledger, shared};
use tokio::task::{JoinHandle, JoinSet};
use tokio_postgres::Client;

use crate::conformance::logs::Logs;
use crate::world::{Chain, at, put_one_of_each, tenant};

/// How many steps the schema has.
const STEPS: u32 = 6;

async fn open(database: &str) -> Result<Store, ConnectError> {
    Store::open_postgres(&shared().address(database), PostgresOptions::default()).await
}

/// Opens a connection that sees our tables by their names.
async fn inside(ledger: &Ledger) -> Client {
    let raw = ledger.raw().await;
    raw.batch_execute("SET search_path TO gantral").await.unwrap();
    raw
}

#[tokio::test]
async fn what_was_committed_is_there_for_every_store_that_is_opened() {
    let database = shared().database().await;
    let mut chain = Chain::new(&tenant("acme"));
    let mut others = Vec::new();
    for _ in 0..3 {
        // By a URL, as it is configured.
        let store = Store::open_postgres(&shared().url(&database), PostgresOptions::default()).await.unwrap();
        chain.stands(&store).await;
        chain.commit(&store, vec![]).await;
        others.push(store);
    }
    for store in &others {
        chain.stands(store).await;
    }
    drop(others);
    shared().remove(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_servers_that_begin_at_once_make_the_schema_once() {
    let database = shared().database().await;
    let prefer = format!("ALTER DATABASE {database} SET default_transaction_isolation TO 'serializable'");
    shared().raw(&database).await.batch_execute(&prefer).await.unwrap();
    let mut servers = JoinSet::new();
    for _ in 0..6 {
        let database = database.clone();
        servers.spawn(async move {
            let store = open(&database).await.unwrap();
            Chain::new(&tenant("acme")).commit(&store, vec![]).await;
            store
        });
    }
    let stores = servers.join_all().await;
    let counts = stores[0].counts().await.unwrap();
    assert_eq!(counts.instances.iter().map(|(_, count)| count).sum::<u64>(), 6);
    let raw = shared().raw(&database).await;
    let steps = raw.query_one("SELECT count(*) FROM gantral.schema_version", &[]).await.unwrap();
    assert_eq!(steps.get::<_, i64>(0), i64::from(STEPS));
    drop(stores);
    shared().remove(&database).await;
}

#[tokio::test]
async fn history_refuses_to_be_changed_deleted_or_emptied() {
    let ledger = Ledger::fresh().await;
    let store = &ledger.store;
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![Effect::PutEvidence { digest: Digest::of(b"e"), content: b"e".to_vec() }]).await;
    put_one_of_each(store, &chain.tenant).await;

    let raw = inside(&ledger).await;
    for (table, column) in [
        ("artifact", "envelope"),
        ("workflow", "definition"),
        ("policy_bundle", "bytes"),
        ("policy_signature", "bytes"),
        ("human_evidence", "content"),
        ("proposal", "body"),
    ] {
        for sql in [
            format!("UPDATE {table} SET {column} = '\\x00'"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("UPDATE {table} SET tenant = 'other'"),
        ] {
            let refused = raw.batch_execute(&sql).await.unwrap_err();
            let said = refused.as_db_error().unwrap().message().to_owned();
            assert!(said.contains("append-only") || said.contains("never change"), "{sql}: {said}");
        }
    }
    // A second artifact of one place is refused by the database too.
    for (number, constraint) in [("number", "artifact_pkey"), ("NULL", "artifact_place")] {
        let again = format!(
            "INSERT INTO artifact SELECT {number}, previous, tenant, instance, sequence, hash, envelope, terminal, signer FROM artifact"
        );
        let refused = raw.batch_execute(&again).await.unwrap_err();
        assert_eq!(refused.as_db_error().unwrap().constraint(), Some(constraint));
    }
    raw.batch_execute("UPDATE proposal SET ending = 'expired'").await.unwrap();
    let refused = raw.batch_execute("UPDATE proposal SET ending = 'confirmed'").await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("end once"));
    chain.stands(store).await;
    ledger.gone().await;
}

#[tokio::test]
async fn a_schema_that_this_release_did_not_make_is_refused_and_not_touched() {
    let ledger = Ledger::fresh().await;
    let raw = inside(&ledger).await;
    raw.batch_execute("INSERT INTO schema_version(version, digest) VALUES(7000, '\\x00')").await.unwrap();
    let refused = open(&ledger.database).await.unwrap_err();
    assert!(matches!(refused, ConnectError::NewerSchema { found: 7000, known: STEPS, .. }), "{refused}");
    raw.batch_execute(
        "DELETE FROM schema_version WHERE version = 7000; UPDATE schema_version SET digest = '\\x00'",
    )
    .await
    .unwrap();
    let refused = open(&ledger.database).await.unwrap_err();
    assert!(matches!(refused, ConnectError::OtherSchema { number: 1, .. }), "{refused}");
    ledger.gone().await;

    let database = shared().database().await;
    let raw = shared().raw(&database).await;
    raw.batch_execute("CREATE SCHEMA gantral; CREATE TABLE gantral.theirs(x int)").await.unwrap();
    let refused = open(&database).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Foreign { .. }), "{refused}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'gantral'";
    assert_eq!(raw.query_one(tables, &[]).await.unwrap().get::<_, i64>(0), 1);
    // A schema that is empty was made for us.
    raw.batch_execute("DROP TABLE gantral.theirs").await.unwrap();
    drop(open(&database).await.unwrap());
    shared().remove(&database).await;
}

#[tokio::test]
async fn a_server_that_does_not_flush_is_refused() {
    for setting in ["fsync", "full_page_writes"] {
        let cluster = Cluster::start_with(&[&format!("{setting}=off")]);
        let address = cluster.address("postgres");
        let refused = Store::open_postgres(&address, PostgresOptions::default()).await.unwrap_err();
        let named = matches!(&refused, ConnectError::NotDurable { setting: named, .. } if *named == setting);
        assert!(named, "{refused}");
    }
}

#[tokio::test]
async fn a_database_that_prefers_to_commit_without_flushing_is_not_asked() {
    let database = shared().database().await;
    let raw = shared().raw(&database).await;
    raw.batch_execute(&format!("ALTER DATABASE {database} SET synchronous_commit TO off")).await.unwrap();
    raw.batch_execute(&format!(
        "ALTER DATABASE {database} SET default_transaction_isolation TO 'serializable'"
    ))
    .await
    .unwrap();
    let store = open(&database).await.unwrap();
    let mut chain = Chain::new(&tenant("acme"));
    // The first artifact says how its transaction is committed.
    raw.batch_execute(
        "CREATE TABLE gantral.seen(how text, level text);
         CREATE FUNCTION gantral.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO gantral.seen VALUES(current_setting('synchronous_commit'), current_setting('transaction_isolation'));
           RETURN NEW; END $$;
         CREATE TRIGGER see AFTER INSERT ON gantral.artifact FOR EACH ROW EXECUTE FUNCTION gantral.see()",
    )
    .await
    .unwrap();
    chain.commit(&store, vec![]).await;
    let row = raw.query_one("SELECT how, level FROM gantral.seen", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("on", "read committed"));
    drop(store);
    shared().remove(&database).await;
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_told_without_its_password() {
    for address in [
        "postgres://gantral:hunter2@127.0.0.1:1/ledger",
        "postgres://gantral:hunter2@127.0.0.1:many/ledger",
        "host=127.0.0.1 password=hunter2 port=1 sslmode=require",
        "password=hunter2 hots=127.0.0.1",
    ] {
        let refused = Store::open_postgres(address, PostgresOptions::default()).await.unwrap_err();
        let expected = matches!(refused, ConnectError::Unreachable { .. } | ConnectError::Address { .. });
        assert!(expected, "{refused:?}");
        let told = format!("{refused} {refused:?}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

/// Takes the next number for an artifact that is not committed yet.
async fn in_flight(raw: &Client) {
    raw.batch_execute(
        "BEGIN; INSERT INTO artifact(tenant, instance, sequence, hash, envelope, terminal, signer)
         VALUES('slow', '\\x000102030405460780090a0b0c0d0e0f', 0, sha256('slow'), 'slow', false, 'a signer')",
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn whoever_reads_in_order_waits_for_a_smaller_number_that_is_not_committed() {
    for ending in ["COMMIT", "ROLLBACK"] {
        let ledger = Ledger::fresh().await;
        let store = &ledger.store;
        let raw = inside(&ledger).await;
        let mut chain = Chain::new(&tenant("acme"));
        chain.commit(store, vec![]).await; // 1
        in_flight(&raw).await; // 2
        chain.commit(store, vec![]).await; // 3
        let numbers = async || {
            let page = store.committed(0, 10).await.unwrap();
            let numbers: Vec<_> = page.artifacts.iter().map(|artifact| artifact.number).collect();
            (numbers, page.through)
        };
        assert_eq!(numbers().await, (vec![1], 1));
        assert_eq!(store.newest_commit().await.unwrap(), 1);
        let mut logs = Logs::default();
        logs.take(store, 10).await;
        assert_eq!(store.log_claim().await.unwrap().taken, 1);
        raw.batch_execute(ending).await.unwrap();
        let kept = if ending == "COMMIT" { vec![1, 2, 3] } else { vec![1, 3] };
        assert_eq!(numbers().await, (kept, 3));
        assert_eq!(store.newest_commit().await.unwrap(), 3);
        logs.take(store, 10).await;
        assert_eq!(store.log_claim().await.unwrap().taken, 3);
        ledger.gone().await;
    }
}

/// An append that waits for the row of its instance, which another session holds.
struct Held {
    ledger: Ledger,
    raw: Client,
    chain: Chain,
    caller: JoinHandle<Result<AppendOutcome, StoreError>>,
}

async fn append_that_waits() -> Held {
    let ledger = Ledger::fresh().await;
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(&ledger.store, vec![]).await;
    let raw = inside(&ledger).await;
    raw.batch_execute("BEGIN; SELECT * FROM instance FOR UPDATE").await.unwrap();
    let (store, append) = (ledger.store.clone(), chain.append());
    let caller = tokio::spawn(async move { store.append(append).await });
    waits_for_a_lock(&raw).await;
    Held { ledger, raw, chain, caller }
}

#[tokio::test]
async fn a_caller_that_stops_waiting_does_not_stop_the_write() {
    let Held { ledger, raw, mut chain, caller } = append_that_waits().await;
    chain.head = chain.append().head();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    raw.batch_execute("COMMIT").await.unwrap();
    let mut tries = 0;
    while ledger.store.instance(&chain.tenant, chain.id).await.unwrap().map(|row| row.head) != chain.head {
        tries += 1;
        assert!(tries < 500, "the write was not finished");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    chain.stands(&ledger.store).await;
    ledger.gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_that_come_at_once_share_their_commits() {
    let ledger = Ledger::fresh().await;
    let raw = inside(&ledger).await;
    let begun = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
    let before: i64 = raw.query_one(begun, &[]).await.unwrap().get(0);
    let mut writers = JoinSet::new();
    for _ in 0..64 {
        let store = ledger.store.clone();
        writers.spawn(async move {
            let mut chain = Chain::new(&tenant("acme"));
            for _ in 0..8 {
                chain.commit(&store, vec![]).await;
            }
            chain
        });
    }
    for chain in writers.join_all().await {
        chain.stands(&ledger.store).await;
    }
    let after: i64 = raw.query_one(begun, &[]).await.unwrap().get(0);
    assert!(after - before < 64 * 8 / 4, "{} transactions", after - before);
    ledger.gone().await;
}

#[tokio::test]
async fn appends_that_wait_for_a_row_do_not_hold_up_those_that_come_after() {
    let Held { ledger, raw, chain: mut held, caller } = append_that_waits().await;
    let mut callers = vec![caller];
    for _ in 0..4 {
        let (store, append) = (ledger.store.clone(), held.append());
        callers.push(tokio::spawn(async move { store.append(append).await }));
    }
    for _ in 0..3 {
        let mut chain = Chain::new(&tenant("acme"));
        tokio::time::timeout(Duration::from_secs(3), chain.commit(&ledger.store, vec![])).await.unwrap();
    }
    assert!(callers.iter().all(|caller| !caller.is_finished()));
    raw.batch_execute("COMMIT").await.unwrap();
    held.head = held.append().head();
    let mut committed = 0;
    for caller in callers {
        match caller.await.unwrap().unwrap() {
            AppendOutcome::Committed => committed += 1,
            outcome => assert_eq!(outcome, AppendOutcome::Moved(held.head)),
        }
    }
    assert_eq!(committed, 1);
    held.stands(&ledger.store).await;
    ledger.gone().await;
}

#[tokio::test]
async fn a_session_that_planned_upon_empty_tables_plans_anew_when_they_are_filled() {
    let ledger = Ledger::fresh().await;
    let raw = inside(&ledger).await;
    let options = PostgresOptions { connections: 1, ..PostgresOptions::default() };
    let store = Store::open_postgres(&shared().url(&ledger.database), options).await.unwrap();
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(&store, vec![]).await;
    let looks = async |count: usize| {
        for _ in 0..count {
            assert_eq!(
                store.instance(&chain.tenant, chain.id).await.unwrap().map(|row| row.head),
                chain.head
            );
        }
    };
    looks(10).await;
    raw.batch_execute(
        "INSERT INTO instance(tenant, id, head_number, head_sequence, head_hash, state, mode, open, team, workflow,
           workflow_version, created_by, created_at)
         SELECT tenant, substr(sha256(number::text::bytea), 1, 16), head_number, head_sequence, head_hash, state, mode, open,
           team, workflow, workflow_version, created_by, created_at + number
         FROM instance, generate_series(1, 5000) AS number",
    )
    .await
    .unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    looks(200).await;
    // What a session has read is told when it ends.
    drop(store);
    let scans = "SELECT coalesce(sum(idx_scan) FILTER(WHERE indexrelname = 'instance_pkey'), 0)::bigint,
           coalesce(sum(idx_scan) FILTER(WHERE indexrelname <> 'instance_pkey'), 0)::bigint
         FROM pg_stat_user_indexes WHERE relname = 'instance'";
    let mut told = (0, 0);
    for _ in 0..500 {
        let row = raw.query_one(scans, &[]).await.unwrap();
        told = (row.get::<_, i64>(0), row.get::<_, i64>(1));
        if told.0 + told.1 >= 210 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(told.0 >= 200 && told.1 < 50, "by the key and otherwise: {told:?}");
    ledger.gone().await;
}

/// Waits until a session of a store waits for a lock.
async fn waits_for_a_lock(raw: &Client) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'gantral' AND wait_event_type = 'Lock'";
    for _ in 0..500 {
        if raw.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody waits for a lock");
}

#[tokio::test]
async fn a_session_that_the_server_ends_keeps_nothing_of_its_write_and_the_next_one_goes_on() {
    let Held { ledger, raw, mut chain, caller } = append_that_waits().await;
    raw.batch_execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'gantral'",
    )
    .await
    .unwrap();
    let failed = caller.await.unwrap().unwrap_err();
    assert!(matches!(failed, StoreError::Failed { .. }) && !failed.may_be_kept(), "{failed}");
    raw.batch_execute("COMMIT").await.unwrap();
    chain.stands(&ledger.store).await;
    chain.commit(&ledger.store, vec![]).await;
    chain.stands(&ledger.store).await;
    ledger.gone().await;
}

#[tokio::test]
async fn an_error_in_the_commit_says_that_the_write_may_be_kept() {
    let ledger = Ledger::fresh().await;
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(&ledger.store, vec![]).await;
    let raw = inside(&ledger).await;
    // A check that is put off to the commit ends the session there: what became of the write is not told.
    raw.batch_execute(
        "CREATE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER hang_up AFTER INSERT ON artifact DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION hang_up()",
    )
    .await
    .unwrap();
    let unknown = ledger.store.append(chain.append()).await.unwrap_err();
    assert!(matches!(unknown, StoreError::Unknown { .. }) && unknown.may_be_kept(), "{unknown}");
    chain.stands(&ledger.store).await;
    // One that refuses there has ended the transaction, and says so.
    raw.batch_execute(
        "CREATE OR REPLACE FUNCTION hang_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'no' USING ERRCODE = 'integrity_constraint_violation'; END $$",
    )
    .await
    .unwrap();
    let refused = ledger.store.append(chain.append()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Contradiction { .. }), "{refused}");
    raw.batch_execute("DROP TRIGGER hang_up ON artifact").await.unwrap();
    chain.commit(&ledger.store, vec![]).await;
    chain.stands(&ledger.store).await;
    ledger.gone().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_told_beside_those_that_can() {
    let ledger = Ledger::fresh().await;
    let mut chains = ["acme", "other"].map(|name| Chain::new(&tenant(name)));
    for _ in 0..2 {
        for chain in &mut chains {
            chain.commit(&ledger.store, vec![]).await;
        }
    }
    let raw = inside(&ledger).await;
    raw.batch_execute(
        "DROP TRIGGER artifact_kept ON artifact;
         CREATE TABLE kept AS SELECT * FROM artifact WHERE number = 3",
    )
    .await
    .unwrap();
    for damage in ["hash = '\\x00'", "instance = '\\x0102'", "sequence = -1", "signer = '\\x00'"] {
        raw.batch_execute(&format!("UPDATE artifact SET {damage} WHERE number = 3")).await.unwrap();
        let page = ledger.store.committed(0, 10).await.unwrap();
        let numbers: Vec<_> = page.artifacts.iter().map(|artifact| artifact.number).collect();
        assert_eq!((numbers, page.through), (vec![1, 2, 4], 4), "{damage}");
        let damaged: Vec<_> = page.damaged.iter().map(|row| (row.number, row.tenant.as_str())).collect();
        assert_eq!(damaged, [(3, "acme")], "{damage}");
        raw.batch_execute(
            "UPDATE artifact a SET hash = k.hash, instance = k.instance, sequence = k.sequence, signer = k.signer
             FROM kept k WHERE a.number = k.number",
        )
        .await
        .unwrap();
        assert_eq!(ledger.store.committed(0, 10).await.unwrap().damaged, []);
    }
    // Nobody knows whose log would lack it.
    raw.batch_execute("UPDATE artifact SET tenant = '' WHERE number = 3").await.unwrap();
    let page = ledger.store.committed(0, 10).await;
    assert!(matches!(page, Err(StoreError::Damaged { .. })), "{page:?}");
    ledger.gone().await;
}

#[tokio::test]
async fn a_text_that_no_database_takes_is_a_contradiction_and_keeps_nothing() {
    let ledger = Ledger::fresh().await;
    let session = SessionRow {
        id: Digest::of(b"s"),
        issuer: "https://id.example".to_owned(),
        subject: "a\0b".to_owned(),
        client: "console".to_owned(),
        claims: "{}".to_owned(),
        started: at(1),
        ends: at(9),
    };
    let refused = ledger.store.begin_session(session.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Contradiction { .. }), "{refused}");
    assert_eq!(ledger.store.session(session.id).await.unwrap(), None);
    ledger.gone().await;
}

#[tokio::test]
async fn a_store_that_is_closed_tells_its_subscribers() {
    let ledger = Ledger::fresh().await;
    let mut changes = ledger.store.subscribe();
    let mut chain = Chain::new(&tenant("acme"));
    assert_eq!(ledger.store.append(chain.append()).await.unwrap(), AppendOutcome::Committed);
    chain.head = chain.append().head();
    ledger.gone().await;
    assert!(matches!(changes.next().await, Wake::Committed(_)));
    assert!(matches!(changes.next().await, Wake::Closed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_the_first_server_are_those_of_all_until_they_are_replaced() {
    let ledger = Ledger::fresh().await;
    let keys = |byte: u8| ServingKeys { issuer: [byte; 32], log: [7; 32], attempts: format!("kid {byte}") };
    assert_eq!(ledger.store.serving_keys().await.unwrap(), None);
    let mut firsts = JoinSet::new();
    for byte in 1..=6 {
        let database = ledger.database.clone();
        firsts.spawn(async move {
            let store = open(&database).await.unwrap();
            store.serve_by(None, keys(byte)).await.unwrap().then_some(byte)
        });
    }
    let firsts: Vec<u8> = firsts.join_all().await.into_iter().flatten().collect();
    let [first] = firsts[..] else { panic!("{firsts:?} were all the first") };
    assert_eq!(ledger.store.serving_keys().await.unwrap(), Some(keys(first)));
    assert!(!ledger.store.serve_by(Some(keys(9)), keys(10)).await.unwrap());
    assert!(ledger.store.serve_by(Some(keys(first)), keys(10)).await.unwrap());
    assert!(!ledger.store.serve_by(Some(keys(first)), keys(11)).await.unwrap());
    assert_eq!(ledger.store.serving_keys().await.unwrap(), Some(keys(10)));

    let elsewhere = open(&ledger.database).await.unwrap();
    assert_eq!(elsewhere.behind().await.unwrap(), None);
    ledger.store.fall_behind("a witness has seen more".to_owned()).await.unwrap();
    ledger.store.fall_behind("something else".to_owned()).await.unwrap();
    assert_eq!(elsewhere.behind().await.unwrap().as_deref(), Some("a witness has seen more"));
    drop(elsewhere);
    ledger.gone().await;
}
