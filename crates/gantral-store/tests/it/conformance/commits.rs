//! The ledger in the order of its commits.

use gantral_store::{Append, COMMITS_MAX, InstanceFilter, Kept, Store};

use crate::conformance::conformance;
use crate::world::{Chain, governed, instance, snapshot_effect, team, tenant, workflow};

conformance!(
    commits_of_instances_are_read_back_from_the_newest,
    a_filter_leaves_out_what_does_not_fit,
    what_an_append_kept_is_found_from_each_of_its_artifacts,
    a_sample_is_of_the_newest_instance_up_to_its_number,
);

/// Returns the places that were committed with numbers from `first` to `last`.
async fn within(
    store: &Store,
    of: &str,
    filter: InstanceFilter,
    span: (u64, u64),
) -> Vec<(u64, gantral_core::ids::InstanceId, u64)> {
    let found = store.commits_within(&tenant(of), filter, span).await.unwrap();
    found.into_iter().map(|commit| (commit.number, commit.instance, commit.artifact.sequence)).collect()
}

async fn commits_of_instances_are_read_back_from_the_newest(store: &Store) {
    assert_eq!(store.newest_commit().await.unwrap(), 0);
    let (mut one, mut other, mut foreign) =
        (Chain::new(&tenant("acme")), Chain::new(&tenant("acme")), Chain::new(&tenant("other")));
    one.commit(store, vec![]).await; // 1
    foreign.commit(store, vec![]).await; // 2
    let append = other.append_of(2);
    other.committed(store, append).await; // 3, 4
    governed(store, &tenant("acme"), None).await; // 5
    one.commit(store, vec![]).await; // 6
    assert_eq!(store.newest_commit().await.unwrap(), 6);
    let all = [(6, one.id, 1), (4, other.id, 1), (3, other.id, 0), (1, one.id, 0)];
    assert_eq!(within(store, "acme", InstanceFilter::default(), (1, 6)).await, all);
    assert_eq!(within(store, "acme", InstanceFilter::default(), (2, 4)).await, all[1..3]);
    assert_eq!(within(store, "other", InstanceFilter::default(), (1, 6)).await, [(2, foreign.id, 0)]);
    for (number, id, sequence) in all {
        assert_eq!(store.commit_of(&tenant("acme"), id, sequence).await.unwrap(), Some(number));
    }
    assert_eq!(store.commit_of(&tenant("other"), one.id, 0).await.unwrap(), None);
    assert_eq!(store.commit_of(&tenant("acme"), one.id, 2).await.unwrap(), None);
    // Of a wide span only its end is looked at.
    let wide = (1, 1 + COMMITS_MAX);
    assert_eq!(within(store, "acme", InstanceFilter::default(), wide).await, all[..3]);
}

async fn a_filter_leaves_out_what_does_not_fit(store: &Store) {
    let (mut one, mut other) = (Chain::new(&tenant("acme")), Chain::new(&tenant("acme")));
    (other.index.team, other.index.workflow) = (team("support"), workflow("answer"));
    one.commit(store, vec![]).await;
    other.commit(store, vec![]).await;
    let (of_one, of_other) = ((1, one.id, 0), (2, other.id, 0));
    let teams = |names: &[&str]| InstanceFilter {
        teams: Some(names.iter().map(|name| team(name)).collect()),
        ..InstanceFilter::default()
    };
    let workflow = InstanceFilter { workflow: Some(workflow("answer")), ..InstanceFilter::default() };
    for (filter, expected) in [
        (teams(&[]), vec![]),
        (teams(&["payments"]), vec![of_one]),
        (teams(&["support", "payments"]), vec![of_other, of_one]),
        (workflow, vec![of_other]),
    ] {
        assert_eq!(within(store, "acme", filter.clone(), (1, 2)).await, expected, "{filter:?}");
    }
}

async fn what_an_append_kept_is_found_from_each_of_its_artifacts(store: &Store) {
    let (mut one, mut other) = (Chain::new(&tenant("acme")), Chain::new(&tenant("acme")));
    let (first, kept_first) = snapshot_effect(b"first");
    let (second, kept_second) = snapshot_effect(b"second");
    let append = Append { effects: vec![kept_first], ..one.append_of(3) };
    one.committed(store, append).await; // 1, 2, 3
    other.commit(store, vec![]).await; // 4
    one.commit(store, vec![kept_second]).await; // 5
    let places = [(one.id, 1), (one.id, 2), (one.id, 3), (other.id, 4), (one.id, 5), (one.id, 6)];
    let kept = store.kept_with(&tenant("acme"), places.to_vec()).await.unwrap();
    let commitments: Vec<Vec<_>> =
        kept.iter().map(|kept| kept.iter().map(|Kept { commitment, .. }| *commitment).collect()).collect();
    let (first, second) = (vec![first], vec![second]);
    assert_eq!(commitments, [first.clone(), first.clone(), first, vec![], second, vec![]]);
    assert_eq!(kept[0][0].plaintext, b"first");
    let foreign = store.kept_with(&tenant("other"), places.to_vec()).await.unwrap();
    assert!(foreign.iter().all(Vec::is_empty), "{foreign:?}");
}

async fn a_sample_is_of_the_newest_instance_up_to_its_number(store: &Store) {
    governed(store, &tenant("acme"), None).await; // 1
    let mut one = Chain::new(&tenant("acme"));
    one.commit(store, vec![]).await; // 2
    governed(store, &tenant("acme"), None).await; // 3
    let envelope = store.chain(&tenant("acme"), one.id, 0, 1).await.unwrap().remove(0).envelope;
    let sampled = store.sampled(vec![0, 1, 2, 3, 9]).await.unwrap();
    assert_eq!(sampled, [None, None, Some(envelope.clone()), Some(envelope.clone()), Some(envelope)]);
    assert_eq!(store.commit_of(&tenant("acme"), instance(), 0).await.unwrap(), None);
}
