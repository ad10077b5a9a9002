//! Changes of the rules that wait for a second person.

use gantral_core::digest::{Digest, Salt};
use gantral_core::ids::{ActorId, ProposalId};
use gantral_store::{
    GovernanceEffect, GovernanceOutcome, NewProposal, ProposalEnd, ProposalEnding, ProposalOutcome,
    ProposalReason, Store, StoredProposal,
};

use crate::conformance::conformance;
use crate::conformance::governance::governance;
use crate::world::{at, tenant};

conformance!(
    a_proposal_is_kept_as_it_was_made,
    the_same_is_proposed_once_at_a_time,
    a_tenant_has_no_more_open_proposals_than_it_may,
    a_proposal_ends_once_and_its_words_go_with_it,
    a_proposal_is_confirmed_with_the_artifact_or_not_at_all,
    what_nobody_confirmed_in_time_ends_by_itself,
    what_an_erased_person_proposed_ends_with_them,
);

const OPEN_MAX: usize = 3;

fn id(number: u8) -> ProposalId {
    ProposalId::from_random([number; 16])
}

fn person(name: &str) -> ActorId {
    ActorId::parse(name).unwrap()
}

fn proposal(number: u8) -> NewProposal {
    let reason = ProposalReason {
        commitment: Digest::of(&[number, 1]),
        salt: Salt::from_bytes([number; 32]),
        text: b"the limit is too low".to_vec(),
    };
    NewProposal {
        tenant: tenant("acme"),
        id: id(number),
        same: Digest::of(&[number]),
        proposer: person("bob"),
        body: vec![number; 3],
        reason: Some(reason),
        at: at(10),
        expires_at: at(20),
        tell: None,
    }
}

async fn put(store: &Store, proposal: NewProposal) -> ProposalOutcome {
    store.put_proposal(proposal, OPEN_MAX).await.unwrap()
}

async fn made(store: &Store, proposal: NewProposal) {
    assert_eq!(put(store, proposal).await, ProposalOutcome::Made);
}

async fn found(store: &Store, number: u8) -> StoredProposal {
    store.proposal(&tenant("acme"), id(number)).await.unwrap().unwrap()
}

fn confirm(number: u8, when: u64) -> GovernanceEffect {
    GovernanceEffect::ConfirmProposal { id: id(number), at: at(when), by: person("carol") }
}

async fn a_proposal_is_kept_as_it_was_made(store: &Store) {
    made(store, proposal(1)).await;
    made(store, NewProposal { reason: None, ..proposal(2) }).await;
    let kept = found(store, 1).await;
    assert_eq!((kept.body, kept.reason, kept.end), (vec![1; 3], proposal(1).reason, None));
    assert_eq!(found(store, 2).await.reason, None);
    assert_eq!(store.proposal(&tenant("other"), id(1)).await.unwrap(), None);
    let list = async |open, before, limit| {
        let found = store.list_proposals(&tenant("acme"), open, before, limit).await.unwrap();
        found.iter().map(|one| one.body[0]).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 10).await, [2, 1]);
    assert_eq!(list(None, Some(found(store, 2).await.number), 10).await, [1]);
    assert_eq!(list(None, None, 1).await, [2]);
    assert_eq!(list(Some(at(19)), None, 10).await, [2, 1]);
    assert_eq!(list(Some(at(20)), None, 10).await, [0_u8; 0], "its last instant is over");
    assert_eq!(store.list_proposals(&tenant("other"), None, None, 10).await.unwrap(), []);
}

async fn the_same_is_proposed_once_at_a_time(store: &Store) {
    made(store, proposal(1)).await;
    let again = NewProposal { same: Digest::of(&[1]), proposer: person("carol"), ..proposal(2) };
    let ProposalOutcome::Same(first) = put(store, again.clone()).await else { panic!("made twice") };
    assert_eq!(first, found(store, 1).await);
    assert_eq!(store.proposal(&tenant("acme"), id(2)).await.unwrap(), None);
    made(store, NewProposal { tenant: tenant("other"), ..again.clone() }).await;
    assert!(store.withdraw_proposal(&tenant("acme"), id(1), at(11), person("bob")).await.unwrap());
    made(store, again).await;
}

async fn a_tenant_has_no_more_open_proposals_than_it_may(store: &Store) {
    for number in 1..=3 {
        made(store, proposal(number)).await;
    }
    assert_eq!(put(store, proposal(4)).await, ProposalOutcome::Full);
    assert!(matches!(put(store, NewProposal { id: id(9), ..proposal(3) }).await, ProposalOutcome::Same(_)));
    made(store, NewProposal { tenant: tenant("other"), ..proposal(4) }).await;
    // Those that nobody confirmed in time take no place.
    made(store, NewProposal { at: at(20), expires_at: at(30), ..proposal(4) }).await;
    assert_eq!(found(store, 1).await.end.unwrap().how, ProposalEnding::Expired);
}

async fn a_proposal_ends_once_and_its_words_go_with_it(store: &Store) {
    made(store, proposal(1)).await;
    let withdraw = async |of: &str, number, when| {
        store.withdraw_proposal(&tenant(of), id(number), at(when), person("bob")).await.unwrap()
    };
    assert!(!withdraw("other", 1, 11).await);
    assert!(!withdraw("acme", 2, 11).await);
    assert!(!withdraw("acme", 1, 20).await, "it is over by then");
    assert!(withdraw("acme", 1, 11).await);
    assert!(!withdraw("acme", 1, 12).await);
    let ended = found(store, 1).await;
    let end =
        ProposalEnd { how: ProposalEnding::Withdrawn, at: at(11), by: Some(person("bob")), sealed: None };
    assert_eq!((ended.body, ended.reason, ended.end), (vec![1; 3], None, Some(end)));
    let refused = store.append_governance(governance(None, "a", vec![confirm(1, 12)])).await.unwrap();
    assert_eq!(refused, GovernanceOutcome::Refused(confirm(1, 12)));
    assert_eq!(store.expire_proposals(at(99)).await.unwrap(), 0);
}

async fn a_proposal_is_confirmed_with_the_artifact_or_not_at_all(store: &Store) {
    made(store, proposal(1)).await;
    made(store, proposal(2)).await;
    let append = async |effects| store.append_governance(governance(None, "a", effects)).await.unwrap();
    for refused in [confirm(1, 20), confirm(3, 12)] {
        assert_eq!(append(vec![refused.clone()]).await, GovernanceOutcome::Refused(refused));
    }
    let twice = append(vec![confirm(1, 12), confirm(1, 12)]).await;
    assert_eq!(twice, GovernanceOutcome::Refused(confirm(1, 12)));
    assert_eq!(found(store, 1).await.end, None, "nothing was written");
    assert_eq!(store.governance_head(&tenant("acme")).await.unwrap(), None);

    let first = governance(None, "a", vec![confirm(1, 12)]);
    let head = Some(first.artifact.head());
    assert_eq!(store.append_governance(first).await.unwrap(), GovernanceOutcome::Committed);
    let ended = found(store, 1).await;
    let (how, by) = (ProposalEnding::Confirmed, Some(person("carol")));
    let end = ProposalEnd { how, at: at(12), by, sealed: Some(0) };
    assert_eq!((ended.reason, ended.end), (None, Some(end)));
    let again = store.append_governance(governance(head, "b", vec![confirm(1, 13)])).await.unwrap();
    assert_eq!(again, GovernanceOutcome::Refused(confirm(1, 13)));
    assert!(!store.withdraw_proposal(&tenant("acme"), id(1), at(13), person("bob")).await.unwrap());
    let second = store.append_governance(governance(head, "b", vec![confirm(2, 13)])).await.unwrap();
    assert_eq!(second, GovernanceOutcome::Committed);
    assert_eq!(found(store, 2).await.end.unwrap().sealed, Some(1));
}

async fn what_nobody_confirmed_in_time_ends_by_itself(store: &Store) {
    made(store, proposal(1)).await;
    made(store, NewProposal { tenant: tenant("other"), ..proposal(2) }).await;
    made(store, NewProposal { expires_at: at(30), ..proposal(3) }).await;
    assert_eq!(store.expire_proposals(at(19)).await.unwrap(), 0);
    assert_eq!(store.expire_proposals(at(25)).await.unwrap(), 2);
    let end = ProposalEnd { how: ProposalEnding::Expired, at: at(20), by: None, sealed: None };
    let ended = found(store, 1).await;
    assert_eq!((ended.reason, ended.end), (None, Some(end)));
    assert_eq!(found(store, 3).await.end, None);
}

async fn what_an_erased_person_proposed_ends_with_them(store: &Store) {
    made(store, proposal(1)).await;
    made(store, NewProposal { proposer: person("carol"), ..proposal(2) }).await;
    made(store, NewProposal { tenant: tenant("other"), ..proposal(3) }).await;
    let gone = GovernanceEffect::EndProposalsOf { proposer: person("bob"), at: at(11) };
    let committed = store.append_governance(governance(None, "a", vec![gone])).await.unwrap();
    assert_eq!(committed, GovernanceOutcome::Committed);
    let end = ProposalEnd { how: ProposalEnding::Withdrawn, at: at(11), by: None, sealed: None };
    let ended = found(store, 1).await;
    assert_eq!((ended.reason, ended.end), (None, Some(end)));
    assert_eq!(found(store, 2).await.end, None);
    let other = store.proposal(&tenant("other"), id(3)).await.unwrap().unwrap();
    assert_eq!(other.end, None);
}
