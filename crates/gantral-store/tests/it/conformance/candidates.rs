//! Policies that are evaluated beside those in force.

use gantral_core::digest::Digest;
use gantral_core::policy::PolicyVersionId;
use gantral_store::{CANDIDATES_MAX, CandidateOutcome, CandidateScope as Scope, PolicyCandidate, Store};

use crate::conformance::conformance;
use crate::world::{at, team, tenant, workflow};

conformance!(
    a_scope_has_one_candidate_which_is_replaced_and_forgotten,
    a_tenant_has_no_more_candidates_than_it_may,
);

fn candidate(of: &str, scope: Scope, version: &[u8], set_at: u64) -> PolicyCandidate {
    let version = PolicyVersionId(Digest::of(version));
    PolicyCandidate { tenant: tenant(of), scope, version, set_at: at(set_at) }
}

async fn a_scope_has_one_candidate_which_is_replaced_and_forgotten(store: &Store) {
    let refund = || Scope::Workflow(workflow("refund"));
    let set = |candidate| async { store.set_policy_candidate(candidate).await.unwrap() };
    assert_eq!(set(candidate("acme", refund(), b"one", 1)).await, CandidateOutcome::Set);
    assert_eq!(set(candidate("acme", refund(), b"one", 2)).await, CandidateOutcome::Same);
    let first = candidate("acme", refund(), b"one", 1);
    assert_eq!(store.policy_candidates().await.unwrap(), [first], "the first naming counts");
    assert_eq!(set(candidate("acme", refund(), b"two", 3)).await, CandidateOutcome::Set);
    assert_eq!(set(candidate("acme", Scope::Tenant, b"one", 4)).await, CandidateOutcome::Set);
    assert_eq!(set(candidate("other", refund(), b"one", 5)).await, CandidateOutcome::Set);
    let all = [
        candidate("acme", Scope::Tenant, b"one", 4),
        candidate("acme", refund(), b"two", 3),
        candidate("other", refund(), b"one", 5),
    ];
    assert_eq!(store.policy_candidates().await.unwrap(), all);
    assert!(store.clear_policy_candidate(&tenant("acme"), &refund()).await.unwrap());
    assert!(!store.clear_policy_candidate(&tenant("acme"), &refund()).await.unwrap());
    assert_eq!(store.policy_candidates().await.unwrap(), [all[0].clone(), all[2].clone()]);
}

async fn a_tenant_has_no_more_candidates_than_it_may(store: &Store) {
    for number in 0..CANDIDATES_MAX {
        let scope = Scope::Team(team(&format!("team-{number}")));
        let set = store.set_policy_candidate(candidate("acme", scope, b"one", 1)).await.unwrap();
        assert_eq!(set, CandidateOutcome::Set);
    }
    let set = |of: &str, scope, version: &'static [u8]| {
        store.set_policy_candidate(candidate(of, scope, version, 2))
    };
    assert_eq!(set("acme", Scope::Tenant, b"one").await.unwrap(), CandidateOutcome::Full);
    assert_eq!(set("acme", Scope::Team(team("team-0")), b"two").await.unwrap(), CandidateOutcome::Set);
    assert_eq!(set("other", Scope::Tenant, b"one").await.unwrap(), CandidateOutcome::Set);
    assert_eq!(store.policy_candidates().await.unwrap().len(), CANDIDATES_MAX + 1);
}
