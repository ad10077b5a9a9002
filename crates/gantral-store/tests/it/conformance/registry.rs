//! Workflows, policies, persons.

use gantral_core::digest::{Digest, Salt};
use gantral_core::policy::PolicyVersionId;
use gantral_store::{PolicySignature, PutOutcome, Store, WorkflowRow};
use tokio::task::JoinSet;

use crate::conformance::conformance;
use crate::world::{at, name, team, tenant, workflow};

conformance!(
    a_workflow_version_never_changes,
    workflows_are_found_by_version_digest_and_latest,
    a_policy_bundle_never_changes,
    policy_bundles_are_listed_newest_first,
    a_signature_comes_beside_the_bundle_and_the_newest_that_is_pinned_counts,
    one_person_has_one_salt,
);

fn row(id: &str, version: &str, definition: &[u8]) -> WorkflowRow {
    WorkflowRow {
        id: workflow(id),
        version: name(version),
        digest: Digest::of(definition),
        team: team("payments"),
        definition: definition.to_vec(),
        created_at: at(5),
    }
}

async fn a_workflow_version_never_changes(store: &Store) {
    let acme = tenant("acme");
    let first = row("refund", "1", b"one");
    assert_eq!(store.put_workflow(&acme, first.clone()).await.unwrap(), PutOutcome::Stored);
    assert_eq!(store.put_workflow(&acme, first.clone()).await.unwrap(), PutOutcome::Same);
    assert_eq!(store.put_workflow(&acme, row("refund", "1", b"two")).await.unwrap(), PutOutcome::Differs);
    assert_eq!(store.workflow(&acme, &workflow("refund"), &name("1")).await.unwrap(), Some(first));
}

async fn workflows_are_found_by_version_digest_and_latest(store: &Store) {
    let acme = tenant("acme");
    let rows = [row("refund", "2", b"b"), row("refund", "1", b"a"), row("claim", "1", b"c")];
    for row in &rows {
        store.put_workflow(&acme, row.clone()).await.unwrap();
    }
    assert_eq!(store.latest_workflow(&acme, &workflow("refund")).await.unwrap().as_ref(), Some(&rows[1]));
    assert_eq!(store.workflow_by_digest(&acme, Digest::of(b"b")).await.unwrap().as_ref(), Some(&rows[0]));
    let all = store.list_workflows(&acme, None, 10).await.unwrap();
    assert_eq!(all, [rows[2].clone(), rows[1].clone()]);
    assert_eq!(store.list_workflows(&acme, None, 1).await.unwrap(), all[..1]);
    assert_eq!(store.list_workflows(&acme, Some(workflow("claim")), 10).await.unwrap(), all[1..]);
}

async fn policy_bundles_are_listed_newest_first(store: &Store) {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let version = |bytes: &[u8]| PolicyVersionId(Digest::of(bytes));
    for (bytes, instant) in [(b"a", 1), (b"b", 3), (b"c", 2)] {
        store.put_policy_bundle(&acme, version(bytes), bytes.to_vec(), at(instant)).await.unwrap();
    }
    let first = store.list_policy_bundles(&acme, None, 2).await.unwrap();
    let rest = store.list_policy_bundles(&acme, first.next, 2).await.unwrap();
    let versions: Vec<_> = first.items.iter().chain(&rest.items).map(|row| row.version).collect();
    assert_eq!(versions, [version(b"b"), version(b"c"), version(b"a")]);
    assert_eq!(rest.next, None);
    assert!(store.list_policy_bundles(&other, None, 10).await.unwrap().items.is_empty());
}

async fn a_policy_bundle_never_changes(store: &Store) {
    let acme = tenant("acme");
    let version = PolicyVersionId(Digest::of(b"bundle"));
    let put =
        async |bytes: &[u8]| store.put_policy_bundle(&acme, version, bytes.to_vec(), at(1)).await.unwrap();
    assert_eq!(put(b"bundle").await, PutOutcome::Stored);
    assert_eq!(put(b"bundle").await, PutOutcome::Same);
    assert_eq!(put(b"other").await, PutOutcome::Differs);
    assert_eq!(store.policy_bundle(&acme, version).await.unwrap(), Some(b"bundle".to_vec()));
}

async fn a_signature_comes_beside_the_bundle_and_the_newest_that_is_pinned_counts(store: &Store) {
    let acme = tenant("acme");
    let version = PolicyVersionId(Digest::of(b"bundle"));
    let by = |key: &str, pinned: bool| PolicySignature {
        key: key.to_owned(),
        algorithm: "ES256".to_owned(),
        scope: pinned.then(|| "prod".to_owned()),
        pinned,
    };
    let sign = async |bytes: &[u8], by| {
        store.put_signed_policy_bundle(&acme, version, bytes.to_vec(), by, at(2)).await.unwrap()
    };
    let handed_out = async || {
        let archive = store.policy_archive(&acme, version).await.unwrap().unwrap();
        let row = store.policy_bundle_row(&acme, version).await.unwrap().unwrap();
        let listed = store.list_policy_bundles(&acme, None, 10).await.unwrap().items;
        assert_eq!(row.signature, archive.signature);
        assert_eq!(listed, [row]);
        (archive.bytes, archive.signature)
    };
    assert_eq!(store.policy_bundle_row(&acme, version).await.unwrap(), None);
    assert_eq!(store.policy_archive(&acme, version).await.unwrap(), None);
    store.put_policy_bundle(&acme, version, b"plain".to_vec(), at(1)).await.unwrap();
    assert_eq!(handed_out().await, (b"plain".to_vec(), None));

    assert_eq!(sign(b"first", by("a", false)).await, PutOutcome::Differs);
    assert_eq!(handed_out().await, (b"first".to_vec(), Some(by("a", false))));
    sign(b"second", by("b", true)).await;
    sign(b"second", by("b", true)).await;
    assert_eq!(handed_out().await, (b"second".to_vec(), Some(by("b", true))));
    // What an OPA can be held to is not displaced by what it cannot be held to.
    sign(b"first", by("a", false)).await;
    assert_eq!(handed_out().await, (b"second".to_vec(), Some(by("b", true))));
    // What was signed before counts again when it is brought again.
    sign(b"third", by("c", true)).await;
    sign(b"second", by("b", true)).await;
    assert_eq!(handed_out().await, (b"second".to_vec(), Some(by("b", true))));
    // The bytes that came first stay for whoever evaluates.
    assert_eq!(store.policy_bundle(&acme, version).await.unwrap(), Some(b"plain".to_vec()));
    let alone = PolicyVersionId(Digest::of(b"alone"));
    let put = store.put_signed_policy_bundle(&acme, alone, b"x".to_vec(), by("a", true), at(3)).await;
    assert_eq!(put.unwrap(), PutOutcome::Stored);
    assert_eq!(store.policy_bundle(&acme, alone).await.unwrap(), Some(b"x".to_vec()));
    assert_eq!(store.policy_archive(&tenant("other"), alone).await.unwrap(), None);
    assert_eq!(store.policy_bundle_row(&tenant("other"), alone).await.unwrap(), None);
}

async fn one_person_has_one_salt(store: &Store) {
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            store
                .person(&tenant("acme"), "https://id", "alice", Salt::from_bytes([number; 32]))
                .await
                .unwrap()
        });
    }
    let salts = tasks.join_all().await;
    assert!(salts.iter().all(|salt| *salt == salts[0]));
    let other =
        store.person(&tenant("other"), "https://id", "alice", Salt::from_bytes([99; 32])).await.unwrap();
    assert_eq!(other, Salt::from_bytes([99; 32]));
}
