//! The governance chain, and what becomes true with it.

use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_store::{
    AppendOutcome, ChainId, GovernanceAppend, GovernanceEffect, GovernanceOutcome, Guard, Head,
    SealedArtifact, SnapshotContent, Store, StoreError,
};

use crate::conformance::conformance;
use crate::conformance::logs::Logs;
use crate::world::{Chain, SIGNER, at, reason, snapshot_effect, tenant};

conformance!(
    a_governance_chain_grows_at_its_head_only,
    an_effect_commits_with_its_artifact_or_not_at_all,
    what_is_erased_is_gone_and_its_erasure_stays,
    an_append_may_demand_the_head_of_governance,
    governance_artifacts_stand_in_the_log_of_their_tenant,
);

/// Returns an append of one artifact that follows `expected`.
pub fn governance(expected: Option<Head>, words: &str, effects: Vec<GovernanceEffect>) -> GovernanceAppend {
    let sequence = expected.map_or(0, |head| head.sequence + 1);
    let envelope = words.as_bytes().to_vec();
    let artifact = SealedArtifact { sequence, hash: Digest::of(&envelope), envelope };
    GovernanceAppend { tenant: tenant("acme"), expected, artifact, signer: SIGNER, effects }
}

/// Expects an append to be committed, and returns the head after it.
async fn committed(store: &Store, append: GovernanceAppend) -> Option<Head> {
    let head = append.artifact.head();
    assert_eq!(store.append_governance(append).await.unwrap(), GovernanceOutcome::Committed);
    Some(head)
}

async fn a_governance_chain_grows_at_its_head_only(store: &Store) {
    let acme = tenant("acme");
    assert_eq!(store.governance_head(&acme).await.unwrap(), None);
    let first = committed(store, governance(None, "first", vec![])).await;
    let stale = store.append_governance(governance(None, "again", vec![])).await.unwrap();
    assert_eq!(stale, GovernanceOutcome::Moved(first));
    let second = committed(store, governance(first, "second", vec![])).await;
    assert_eq!(store.governance_head(&acme).await.unwrap(), second);
    let chain = store.governance_chain(&acme, 0, 10).await.unwrap();
    let words: Vec<_> =
        chain.iter().map(|artifact| (artifact.sequence, artifact.envelope.as_slice())).collect();
    assert_eq!(words, [(0, b"first".as_slice()), (1, b"second".as_slice())]);
    assert_eq!(store.governance_chain(&acme, 1, 1).await.unwrap(), chain[1..]);
    assert_eq!(store.governance_chain(&tenant("other"), 0, 10).await.unwrap(), []);
    let mut gap = governance(second, "gap", vec![]);
    gap.artifact.sequence += 1;
    let answer = store.append_governance(gap).await;
    assert!(matches!(answer, Err(StoreError::Contradiction { .. })), "{answer:?}");
}

async fn an_effect_commits_with_its_artifact_or_not_at_all(store: &Store) {
    let acme = tenant("acme");
    let (commitment, put) = reason("the auditors asked for it");
    let absent = GovernanceEffect::EraseSnapshot { instance: None, commitment, at: at(5) };
    let effects = vec![put.clone(), absent.clone()];
    let refused = store.append_governance(governance(None, "a", effects)).await.unwrap();
    assert_eq!(refused, GovernanceOutcome::Refused(absent.clone()));
    assert_eq!(store.governance_head(&acme).await.unwrap(), None);
    assert_eq!(store.governance_snapshot(&acme, commitment).await.unwrap(), None);

    let head = committed(store, governance(None, "a", vec![put])).await;
    let kept = store.governance_snapshot(&acme, commitment).await.unwrap().unwrap();
    assert_eq!((kept.place.sequence, kept.label), (0, CommitmentLabel::Justification));
    assert!(
        matches!(kept.content, SnapshotContent::Kept { plaintext, .. } if plaintext == b"the auditors asked for it")
    );
    assert_eq!(store.governance_snapshot(&tenant("other"), commitment).await.unwrap(), None);
    committed(store, governance(head, "b", vec![absent])).await;
    let left = store.governance_snapshot(&acme, commitment).await.unwrap().unwrap();
    assert_eq!(left.content, SnapshotContent::Erased { at: at(5) });
}

async fn what_is_erased_is_gone_and_its_erasure_stays(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let (commitment, keep) = snapshot_effect(b"personal");
    chain.commit(store, vec![keep]).await;
    let old = store.person(&chain.tenant, "https://id", "alice", Salt::from_bytes([1; 32])).await.unwrap();
    let snapshot = GovernanceEffect::EraseSnapshot { instance: Some(chain.id), commitment, at: at(9) };
    let person =
        GovernanceEffect::ErasePerson { issuer: "https://id".to_owned(), subject: "alice".to_owned() };
    for effect in [&snapshot, &person] {
        let twice =
            store.append_governance(governance(None, "x", vec![effect.clone(), effect.clone()])).await;
        assert_eq!(twice.unwrap(), GovernanceOutcome::Refused(effect.clone()));
    }
    let head = committed(store, governance(None, "a", vec![snapshot.clone(), person.clone()])).await;
    let left = store.snapshot(&chain.tenant, chain.id, commitment).await.unwrap().unwrap();
    assert_eq!(left.content, SnapshotContent::Erased { at: at(9) });
    for gone in [snapshot, person] {
        let refused = store.append_governance(governance(head, "b", vec![gone.clone()])).await.unwrap();
        assert_eq!(refused, GovernanceOutcome::Refused(gone));
    }
    assert_eq!(store.governance_head(&chain.tenant).await.unwrap(), head);
    assert_eq!(store.known_person(&chain.tenant, "https://id", "alice").await.unwrap(), None);
    let new = store.person(&chain.tenant, "https://id", "alice", Salt::from_bytes([2; 32])).await.unwrap();
    assert!(old != new, "the same human is somebody else from now on");
    chain.stands(store).await;
}

async fn an_append_may_demand_the_head_of_governance(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let none = Guard::GovernanceHead(None);
    let append = chain.guarded(none.clone());
    chain.committed(store, append).await;
    let head = committed(store, governance(None, "a", vec![])).await;
    let refused = store.append(chain.guarded(none.clone())).await.unwrap();
    assert_eq!(refused, AppendOutcome::GuardFailed(none.clone()));
    let append = chain.guarded(Guard::GovernanceHead(head.map(|head| head.hash)));
    chain.committed(store, append).await;
    let mut other = Chain::new(&tenant("other"));
    let append = other.guarded(none);
    other.committed(store, append).await;
}

async fn governance_artifacts_stand_in_the_log_of_their_tenant(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let mut newest = store.newest();
    let head = committed(store, governance(None, "a", vec![])).await;
    assert!(newest.above(0).await);
    chain.commit(store, vec![]).await;
    committed(store, governance(head, "b", vec![])).await;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let told: Vec<_> = page.iter().map(|row| (row.chain, row.sequence, row.previous)).collect();
    let own = ChainId::Instance(chain.id);
    assert_eq!(told, [(ChainId::Governance, 0, None), (own, 0, None), (ChainId::Governance, 1, Some(1))]);
    Logs::default().take(store, 10).await;
    let positions = store.log_positions(&chain.tenant, ChainId::Governance, 0, 10).await.unwrap();
    assert_eq!(positions, [0, 2]);
}
