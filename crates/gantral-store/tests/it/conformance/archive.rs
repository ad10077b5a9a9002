//! The archive: what the archiver is given, and what it records.

use gantral_core::digest::Digest;
use gantral_store::{ArchiveStep, ArchivedObject, ChainId, Store};

use crate::conformance::conformance;
use crate::world::{Chain, tenant};

conformance!(
    artifacts_of_a_tenant_are_read_with_their_envelopes_in_the_order_of_their_commits,
    the_archive_grows_step_by_step_and_a_step_that_is_recorded_again_changes_nothing,
);

async fn artifacts_of_a_tenant_are_read_with_their_envelopes_in_the_order_of_their_commits(store: &Store) {
    let (acme, other) = (tenant("acme"), tenant("other"));
    let mut chains = [Chain::new(&acme), Chain::new(&other), Chain::new(&acme)];
    for chain in &mut chains {
        let append = chain.append_of(2);
        chain.committed(store, append).await;
    }
    let all = store.sealed_after(&acme, 0, 10).await.unwrap();
    let chain = |place: usize| ChainId::Instance(chains[place].id);
    let places: Vec<_> = all.iter().map(|row| (row.chain, row.sealed.sequence)).collect();
    assert_eq!(places, [(chain(0), 0), (chain(0), 1), (chain(2), 0), (chain(2), 1)]);
    assert!(all.is_sorted_by(|one, next| one.number < next.number));
    let stored = store.chain(&acme, chains[2].id, 0, 10).await.unwrap();
    assert_eq!(all[2].sealed, stored[0]);
    let rest = store.sealed_after(&acme, all[1].number, 1).await.unwrap();
    assert_eq!(rest, all[2..3]);
    assert_eq!(store.sealed_after(&tenant("nobody"), 0, 10).await.unwrap(), []);
}

fn step(segment: u64) -> ArchiveStep {
    ArchiveStep {
        segment,
        size: 10 * (segment + 1),
        number: 100 * (segment + 1),
        head: Digest::of(&segment.to_be_bytes()),
        version: (segment > 0).then(|| format!("version of {segment}")),
    }
}

fn object(name: &str, version: Option<&str>) -> ArchivedObject {
    let (digest, version) = (Digest::of(name.as_bytes()), version.map(str::to_owned));
    ArchivedObject { name: name.to_owned(), digest, version }
}

async fn the_archive_grows_step_by_step_and_a_step_that_is_recorded_again_changes_nothing(store: &Store) {
    let (acme, other) = (tenant("acme"), tenant("other"));
    assert_eq!(store.archive(&acme).await.unwrap(), None);
    assert!(!store.keep_archived(&acme, step(1), vec![]).await.unwrap(), "a step has to begin");
    let first = vec![object("segments/0", None), object("workflows/a", Some("v1"))];
    assert!(store.keep_archived(&acme, step(0), first.clone()).await.unwrap());
    assert!(store.keep_archived(&acme, step(0), vec![object("x", None)]).await.unwrap());
    let different = ArchiveStep { head: Digest::of(b"another"), ..step(0) };
    assert!(!store.keep_archived(&acme, different, vec![]).await.unwrap(), "the place is taken");
    let back = ArchiveStep { size: step(0).size, ..step(1) };
    assert!(!store.keep_archived(&acme, back, vec![]).await.unwrap(), "an archive only grows");
    let again = vec![object("workflows/a", Some("v2")), object("segments/1", Some("v3"))];
    assert!(store.keep_archived(&acme, step(1), again).await.unwrap());
    assert_eq!(store.archive(&acme).await.unwrap(), Some(step(1)));
    assert_eq!(store.archive(&other).await.unwrap(), None);
    let names = ["x", "workflows/a", "segments/1", "segments/0"].map(str::to_owned).to_vec();
    let found = store.archived(&acme, names.clone()).await.unwrap();
    let kept =
        [object("segments/0", None), object("segments/1", Some("v3")), object("workflows/a", Some("v1"))];
    assert_eq!(found, kept, "what was recorded first stays");
    assert_eq!(store.archived(&other, names).await.unwrap(), []);
}
