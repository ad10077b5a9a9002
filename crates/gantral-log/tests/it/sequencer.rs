//! What the sequencer does while nothing fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use gantral_core::digest::Digest;
use gantral_evidence::log::leaf::{Leaf, LeafKind};
use gantral_evidence::log::note::{NoteKey, NoteKeyKind, signature_line};
use gantral_evidence::statement::artifact_hash;
use gantral_log::published::{LogFault, SequencerState};
use gantral_store::{ChainId, GovernanceAppend, GovernanceOutcome, SealedArtifact, StoreError};
use gantral_vectors::cast;
use gantral_vectors::story::Story;
use rusqlite::Connection;

use crate::world::{Chain, House, ISSUER, World, check_log, houses, signed_tree, stands, tenant};

houses!(
    committed_artifacts_become_leaves_in_the_order_of_their_commits,
    the_logs_follow_the_ledger_until_they_are_told_to_stop,
);

async fn committed_artifacts_become_leaves_in_the_order_of_their_commits(house: House) {
    let world = house.world().await;
    let tenants = ["acme", "other", "a/b"].map(tenant);
    let mut chains: Vec<_> =
        (0..12).map(|number| Chain::new(&tenants[number % 3], &format!("chain {number}"))).collect();
    let mut sequencer = world.start().await;
    for step in 0..31usize {
        for (number, chain) in chains.iter_mut().enumerate().skip(step % 5) {
            let append = chain.append_of(1 + (step + number) as u64 % 3, step == 30);
            chain.committed(&world.store, append).await;
        }
        if step % 3 == 0 {
            assert!(sequencer.round().await.unwrap() > 0);
            assert_eq!(sequencer.round().await.unwrap(), 0);
        }
    }
    while sequencer.round().await.unwrap() > 0 {}
    let mut all = 0;
    for tenant in &tenants {
        let leaves = check_log(&world.store, &world.logs, tenant).await;
        all += leaves.len();
        let newest = sequencer.published().newest(tenant).unwrap();
        assert_eq!(newest.tree.size, leaves.len() as u64);
        assert_eq!(signed_tree(tenant, newest.note.as_bytes()), newest.tree);
        for chain in chains.iter().filter(|chain| chain.tenant == *tenant) {
            stands(&world.store, &leaves, chain).await;
        }
        let terminal = leaves.iter().filter(|leaf| leaf.terminal).count();
        assert_eq!(terminal, 4);
        assert!(leaves.iter().all(|leaf| leaf.kind == LeafKind::Artifact && leaf.issuer == ISSUER));
    }
    assert!(all as u64 <= world.store.log_claim().await.unwrap().taken);
    assert_eq!(all as u64, chains.iter().map(|chain| chain.head.unwrap().sequence + 1).sum::<u64>());
    world.gone().await;
}

#[tokio::test]
async fn a_governance_chain_stands_in_the_log_with_its_own_tag_and_type() {
    let world = World::new();
    let acme = tenant("acme");
    let mut expected = None;
    for sequence in 0..3 {
        let envelope = vec![sequence as u8];
        let artifact = SealedArtifact { sequence, hash: Digest::of(&envelope), envelope };
        let head = artifact.head();
        let append =
            GovernanceAppend { tenant: acme.clone(), expected, artifact, signer: ISSUER, effects: vec![] };
        assert_eq!(world.store.append_governance(append).await.unwrap(), GovernanceOutcome::Committed);
        expected = Some(head);
        Chain::new(&acme, &format!("chain {sequence}")).commit(&world.store, 1).await;
    }
    world.take_all().await;
    let leaves = check_log(&world.store, &world.logs, &acme).await;
    let kinds: Vec<_> = leaves.iter().map(|leaf| (leaf.kind, leaf.sequence)).collect();
    let (governance, artifact) = (LeafKind::Governance, (LeafKind::Artifact, 0));
    assert_eq!(kinds, [(governance, 0), artifact, (governance, 1), artifact, (governance, 2), artifact]);
    assert_eq!(leaves[0].tag, ChainId::Governance.tag(&acme));
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[tokio::test]
async fn two_runs_give_the_same_bytes() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let world = World::new();
        let mut sequencer = world.start().await;
        let mut chains = ["acme", "other"].map(|name| Chain::new(&tenant(name), name));
        for _ in 0..9 {
            for (count, chain) in (31..).zip(&mut chains) {
                chain.commit(&world.store, count).await;
            }
            sequencer.round().await.unwrap();
        }
        runs.push(files(&world.logs));
    }
    assert!(runs[0].len() > 10);
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn partial_tiles_are_removed_when_the_full_one_is_there() {
    let world = World::new();
    let acme = tenant("acme");
    let mut chain = Chain::new(&acme, "chain");
    let mut sequencer = world.start().await;
    for _ in 0..14 {
        chain.commit(&world.store, 40).await;
        sequencer.round().await.unwrap();
    }
    let partial: Vec<_> = files(&world.logs).into_keys().filter(|name| name.contains(".p/")).collect();
    assert_eq!(
        partial,
        [
            "acme+log/tile/0/002.p/48",
            "acme+log/tile/0/002.p/8",
            "acme+log/tile/1/000.p/1",
            "acme+log/tile/1/000.p/2",
            "acme+log/tile/entries/002.p/48",
            "acme+log/tile/entries/002.p/8",
        ]
    );
    check_log(&world.store, &world.logs, &acme).await;
}

async fn the_logs_follow_the_ledger_until_they_are_told_to_stop(house: House) {
    let world = house.world().await;
    let acme = tenant("acme");
    let mut chain = Chain::new(&acme, "chain");
    chain.commit(&world.store, 3).await;
    let sequencer = world.start().await;
    let (published, signatures) = (sequencer.published(), sequencer.signatures());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(sequencer.run(async {
        let _ = stopped.await;
    }));
    let first = published.until_size(&acme, 3).await.unwrap();
    chain.commit(&world.store, 2).await;
    let second = tokio::time::timeout(Duration::from_secs(10), published.until_size(&acme, 5)).await;
    let second = second.unwrap().unwrap();
    assert_eq!(second.tree.size, 5);

    let witness = NoteKey::new("witness.example", NoteKeyKind::Cosignature, cast::public(&cast::issuer()));
    let line = signature_line(&witness.unwrap(), &[1; 72]);
    let late = signatures.add(&acme, first.tree, vec![line.clone()]).await.unwrap();
    assert!(!late, "the log has grown since");
    for _ in 0..2 {
        assert!(signatures.add(&acme, second.tree, vec![line.clone()]).await.unwrap());
    }
    let note = format!("{}{line}", second.note);
    assert_eq!(published.newest(&acme).unwrap().note, note);
    assert_eq!(world.checkpoint(&acme).await, note.as_bytes());
    let many: Vec<_> = (0..64).map(|number| line.replace("witness", &format!("witness{number}"))).collect();
    for wrong in [vec!["no signature".to_owned()], vec![format!("{line}{}\nmore", second.note)], many] {
        let answer = signatures.add(&acme, second.tree, wrong).await;
        assert!(matches!(answer, Err(StoreError::Contradiction { .. })), "{answer:?}");
    }
    assert_eq!(published.newest(&acme).unwrap().note, note);

    chain.commit(&world.store, 1).await;
    published.until_size(&acme, 6).await.unwrap();
    assert_eq!(published.state(), SequencerState::Working);
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert!(matches!(published.state(), SequencerState::Stopped(_)));
    assert!(published.until_size(&acme, 7).await.is_err(), "whoever waits is told");
    check_log(&world.store, &world.logs, &acme).await;
}

#[tokio::test]
async fn a_backlog_of_many_rounds_is_taken_without_news() {
    let world = World::with(|path| gantral_store::Store::open_sqlite(path).unwrap());
    let acme = tenant("acme");
    let mut chain = Chain::new(&acme, "chain");
    for _ in 0..70 {
        chain.commit(&world.store, 64).await;
    }
    let World { store, path, logs, database, _folder } = world;
    drop(store);
    let store = gantral_store::Store::open_sqlite(&path).unwrap();
    let world = World { store, path, logs, database, _folder };
    let sequencer = world.start().await;
    let published = sequencer.published();
    let running = tokio::spawn(sequencer.run(std::future::pending()));
    published.until_size(&acme, 70 * 64).await.unwrap();
    running.abort();
    check_log(&world.store, &world.logs, &acme).await;
}

#[tokio::test]
async fn artifacts_from_before_the_log_are_taken_as_their_envelopes_say() {
    let world = World::new();
    let acme = tenant("acme");
    let raw = Connection::open(&world.path).unwrap();
    let story = Story::refund();
    let mut expected = Vec::new();
    for statement in &story.statements {
        let sealed = cast::sign(statement, &cast::issuer());
        raw.execute(
            "INSERT INTO artifact(number, previous, tenant, instance, sequence, hash, envelope)
             VALUES(?1 + 1, nullif(?1, 0), 'acme', ?2, ?1, ?3, ?4)",
            rusqlite::params![
                statement.sequence as i64,
                statement.identity.instance.as_bytes(),
                sealed.hash.as_bytes(),
                sealed.envelope
            ],
        )
        .unwrap();
        assert_eq!(artifact_hash(&sealed.payload), sealed.hash);
        expected.push(Leaf::of_artifact(statement, sealed.hash, cast::public(&cast::issuer()).id()));
    }
    world.take_all().await;
    let found = check_log(&world.store, &world.logs, &acme).await;
    assert_eq!(found, expected);
    assert!(found.last().unwrap().terminal);
    // One that was exchanged against another is not taken.
    raw.execute(
        "INSERT INTO artifact(previous, tenant, instance, sequence, hash, envelope)
         SELECT NULL, 'acme', x'00112233445546778899aabbccddeeff', 0, hash, envelope FROM artifact WHERE number = 1",
        [],
    )
    .unwrap();
    let mut sequencer = world.start().await;
    assert_eq!(sequencer.round().await.unwrap(), 1);
    let stopped = sequencer.published().stopped().remove(&acme).unwrap();
    assert_eq!(
        (stopped.fault, stopped.artifact),
        (LogFault::ArtifactDamaged, Some(expected.len() as u64 + 1))
    );
    assert_eq!(check_log(&world.store, &world.logs, &acme).await, expected);
}
