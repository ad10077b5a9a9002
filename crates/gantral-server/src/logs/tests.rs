//! Several servers keep the logs of one database.

use std::time::Instant;

use gantral_core::digest::Digest;
use gantral_evidence::trust::KeyRole;
use gantral_keys::LocalSigner;
use gantral_log::objects::ReadObjects as _;
use gantral_log::sequencer::CHECKPOINT;
use gantral_log::tree::Edge;
use gantral_store::{
    GovernanceAppend, GovernanceOutcome, Holder, LEASE, LogRow, PostgresOptions, SealedArtifact,
};
use gantral_testkit::cluster::{Ledger, shared};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

/// One server, as far as it keeps logs.
struct Node {
    logs: Logs,
    standing: Standing,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Node {
    async fn start(ledger: &Ledger, key: &[u8], number: u8) -> Self {
        let address = shared().address(&ledger.database);
        let store = Store::open_postgres(&address, PostgresOptions::default()).await.unwrap();
        let (standing, acme) = (Standing::default(), acme());
        let nowhere = tempfile::tempdir().unwrap();
        let parts = LogParts {
            duties: Duties::new(store.clone(), Holder::from_random([number; 16])),
            store,
            data: nowhere.path(),
            tenants: &[acme],
            signer: Arc::new(LocalSigner::from_pkcs8(KeyRole::Log, key).unwrap()),
            earlier: Vec::new(),
            suffix: "log".to_owned(),
            witnesses: &[],
        };
        let (logs, keeping) = Logs::open(parts, &standing).await.unwrap();
        assert!(!nowhere.path().join(FOLDER).exists(), "nothing of it is in a folder");
        let (stop, stopped) = oneshot::channel::<()>();
        let keeping = keeping.unwrap();
        let running = tokio::spawn(keeping.run(async { drop(stopped.await) }));
        Self { logs, standing, stop: Some(stop), running }
    }

    fn state(&self) -> SequencerState {
        self.logs.published().state()
    }

    /// Waits until so much is published here, and reads all of it as a reader does.
    async fn serves(&self, size: u64) -> LogRow {
        let acme = acme();
        let newest = tokio::time::timeout(LEASE * 3, self.logs.published().until_size(&acme, size));
        let newest = newest.await.unwrap().unwrap();
        let objects = self.logs.objects(&acme).unwrap();
        let tree = newest.tree;
        let read = tokio::task::spawn_blocking(move || {
            assert_eq!(Edge::load(&objects, &tree).unwrap().size(), tree.size);
            objects.read(CHECKPOINT).unwrap().unwrap()
        });
        assert!(read.await.unwrap().starts_with(b"acme/log\n"));
        LogRow { tenant: acme, size: tree.size, root: tree.root, checkpoint: newest.note.clone() }
    }

    async fn end(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.await.unwrap();
    }
}

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// Appends to the governance chain.
async fn commit(store: &Store, count: u64) {
    for _ in 0..count {
        let expected = store.governance_head(&acme()).await.unwrap();
        let sequence = expected.map_or(0, |head| head.sequence + 1);
        let envelope = sequence.to_be_bytes().to_vec();
        let artifact = SealedArtifact { sequence, hash: Digest::of(&envelope), envelope };
        let append =
            GovernanceAppend { tenant: acme(), expected, artifact, signer: *b"a signer", effects: vec![] };
        assert_eq!(store.append_governance(append).await.unwrap(), GovernanceOutcome::Committed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_server_publishes_what_one_of_them_lets_grow_and_another_goes_on_where_that_one_ends() {
    let ledger = Ledger::fresh().await;
    let key = LocalSigner::generate().unwrap();
    commit(&ledger.store, 3).await;
    let one = Node::start(&ledger, &key, 1).await;
    one.serves(3).await;
    let two = Node::start(&ledger, &key, 2).await;
    let three = Node::start(&ledger, &key, 3).await;
    commit(&ledger.store, 2).await;
    for node in [&one, &two, &three] {
        let row = node.serves(5).await;
        assert_eq!(ledger.store.log(&acme()).await.unwrap(), Some(row));
    }
    assert_eq!(
        [one.state(), two.state(), three.state()],
        [SequencerState::Working, SequencerState::StandingBy, SequencerState::StandingBy]
    );

    // Killed: nothing of it is given back.
    let killed = Instant::now();
    one.running.abort();
    commit(&ledger.store, 300).await;
    two.serves(305).await;
    three.serves(305).await;
    assert!(killed.elapsed() < LEASE * 2, "{:?}", killed.elapsed());
    let stands_by = |node: &Node| node.state() == SequencerState::StandingBy;
    assert!(stands_by(&two) != stands_by(&three), "one of both has taken over");

    // Ended in order: the last one goes on without waiting for a lease.
    let (next, last) = if stands_by(&two) { (three, two) } else { (two, three) };
    next.end().await;
    let ended = Instant::now();
    commit(&ledger.store, 1).await;
    last.serves(306).await;
    assert!(ended.elapsed() < LEASE / 2, "{:?}", ended.elapsed());
    assert_eq!((last.state(), last.standing.behind()), (SequencerState::Working, None));
    last.end().await;
    ledger.gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_passed_by_stands_by_and_follows_the_one_that_did() {
    let ledger = Ledger::fresh().await;
    let key = LocalSigner::generate().unwrap();
    commit(&ledger.store, 1).await;
    let one = Node::start(&ledger, &key, 1).await;
    one.serves(1).await;
    let two = Node::start(&ledger, &key, 2).await;
    // As if the first had been stopped for longer than its lease: the second finds the duty free.
    let raw = ledger.raw().await;
    let passed_by = async {
        while two.state() == SequencerState::StandingBy {
            let first = [1u8; 16].as_slice();
            let over = "UPDATE gantral.duty SET until = now() - interval '1 second' WHERE holder = $1";
            raw.execute(over, &[&first]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LEASE * 2, passed_by).await.unwrap();
    commit(&ledger.store, 4).await;
    let (followed, own) = (one.serves(5).await, two.serves(5).await);
    assert_eq!(followed, own);
    let stands_by = async {
        while one.state() != SequencerState::StandingBy {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LEASE, stands_by).await.unwrap();
    // What the other one cannot take stands still for whoever reads it here.
    raw.batch_execute("INSERT INTO gantral.log_held(tenant, number) VALUES('acme', 6)").await.unwrap();
    let held = async {
        while one.logs.standing().still == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LEASE, held).await.unwrap();
    let standing = one.logs.standing();
    assert_eq!(standing.stopped[&acme()].artifact, Some(6));
    two.end().await;
    one.end().await;
    ledger.gone().await;
}
