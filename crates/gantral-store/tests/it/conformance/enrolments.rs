//! The authenticators of approvers, and what they said.

use gantral_core::digest::Digest;
use gantral_store::{
    ENROLMENT_WAITS, ENROLMENTS_MAX, Effect, EnrolmentOutcome, GovernanceEffect, GovernanceOutcome,
    NewEnrolment, Store, StoreError, StoredEnrolment,
};

use crate::conformance::conformance;
use crate::conformance::governance::governance;
use crate::world::{Chain, actor, at, tenant};

conformance!(
    an_enrolment_is_kept_as_it_was_asked_for,
    nobody_has_more_enrolments_than_they_may,
    what_the_directory_signs_is_kept_with_the_artifact_or_not_at_all,
    what_waits_is_taken_back_or_forgotten_and_what_was_signed_never,
    an_erased_person_has_no_name_on_their_enrolments,
    evidence_commits_with_the_decision_and_never_changes,
);

fn entry(number: usize) -> Digest {
    Digest::of(&number.to_be_bytes())
}

fn new(number: usize) -> NewEnrolment {
    NewEnrolment {
        tenant: tenant("acme"),
        entry: entry(number),
        person: actor("alice"),
        issuer: "https://id.example".to_owned(),
        subject: "alice@example.com".to_owned(),
        payload: number.to_be_bytes().to_vec(),
        assertion: b"signed".to_vec(),
        at: at(10),
    }
}

async fn asked(store: &Store, new: NewEnrolment) -> EnrolmentOutcome {
    store.ask_for_enrolment(new).await.unwrap()
}

async fn found(store: &Store, number: usize) -> Option<StoredEnrolment> {
    store.enrolment(&tenant("acme"), entry(number)).await.unwrap()
}

fn signs(number: usize) -> GovernanceEffect {
    GovernanceEffect::SignEnrolment { entry: entry(number), envelope: b"by the directory".to_vec() }
}

async fn an_enrolment_is_kept_as_it_was_asked_for(store: &Store) {
    assert_eq!(asked(store, new(1)).await, EnrolmentOutcome::Waits);
    assert_eq!(asked(store, NewEnrolment { person: actor("bob"), ..new(2) }).await, EnrolmentOutcome::Waits);
    assert_eq!(
        asked(store, NewEnrolment { assertion: b"other".to_vec(), ..new(1) }).await,
        EnrolmentOutcome::Waits
    );
    let kept = found(store, 1).await.unwrap();
    assert_eq!(
        (kept.payload.as_slice(), kept.assertion.as_slice()),
        (new(1).payload.as_slice(), b"signed".as_slice())
    );
    assert_eq!((kept.asked_at, kept.envelope.as_ref(), kept.person.as_str()), (at(10), None, "alice"));
    assert_eq!(kept.asked_by, Some(("https://id.example".to_owned(), "alice@example.com".to_owned())));
    assert_eq!(store.enrolment(&tenant("other"), entry(1)).await.unwrap(), None);
    let list = async |of: Option<&str>, before, limit| {
        let of = of.map(actor);
        let found = store.list_enrolments(&tenant("acme"), of.as_ref(), before, limit).await.unwrap();
        found.iter().map(|one| one.entry).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, 9).await, [entry(2), entry(1)]);
    assert_eq!(list(Some("bob"), None, 9).await, [entry(2)]);
    assert_eq!(list(None, None, 1).await, [entry(2)]);
    assert_eq!(list(None, Some(found(store, 2).await.unwrap().number), 9).await, [entry(1)]);
    assert_eq!(store.list_enrolments(&tenant("other"), None, None, 9).await.unwrap(), []);
}

async fn nobody_has_more_enrolments_than_they_may(store: &Store) {
    for number in 0..ENROLMENTS_MAX {
        assert_eq!(asked(store, new(number)).await, EnrolmentOutcome::Waits);
    }
    assert_eq!(asked(store, new(ENROLMENTS_MAX)).await, EnrolmentOutcome::Full);
    assert_eq!(asked(store, new(0)).await, EnrolmentOutcome::Waits, "it waits already");
    let others = NewEnrolment { person: actor("bob"), ..new(ENROLMENTS_MAX) };
    assert_eq!(asked(store, others).await, EnrolmentOutcome::Waits);
}

async fn what_the_directory_signs_is_kept_with_the_artifact_or_not_at_all(store: &Store) {
    let refused = store.append_governance(governance(None, "a", vec![signs(1)])).await.unwrap();
    assert_eq!(refused, GovernanceOutcome::Refused(signs(1)), "nobody asked for it");
    asked(store, new(1)).await;
    let append = governance(None, "a", vec![signs(1)]);
    let head = Some(append.artifact.head());
    assert_eq!(store.append_governance(append).await.unwrap(), GovernanceOutcome::Committed);
    assert_eq!(found(store, 1).await.unwrap().envelope.as_deref(), Some(b"by the directory".as_slice()));
    let again = store.append_governance(governance(head, "b", vec![signs(1)])).await.unwrap();
    assert_eq!(again, GovernanceOutcome::Refused(signs(1)), "it waits no longer");
}

async fn what_waits_is_taken_back_or_forgotten_and_what_was_signed_never(store: &Store) {
    let forget = async |of: &str, number| store.forget_enrolment(&tenant(of), entry(number)).await.unwrap();
    for number in 1..=3 {
        asked(store, new(number)).await;
    }
    store.append_governance(governance(None, "a", vec![signs(1)])).await.unwrap();
    assert!(!forget("acme", 1).await);
    assert!(!forget("other", 2).await);
    assert!(forget("acme", 2).await);
    assert!(!forget("acme", 2).await);
    let later = at(10 + ENROLMENT_WAITS.get());
    asked(store, NewEnrolment { at: later, ..new(4) }).await;
    assert!(found(store, 3).await.is_some(), "a week is not over yet");
    asked(store, NewEnrolment { at: at(later.get() + 1), ..new(5) }).await;
    assert!(found(store, 3).await.is_none());
    assert!(found(store, 1).await.is_some());
}

async fn an_erased_person_has_no_name_on_their_enrolments(store: &Store) {
    asked(store, new(1)).await;
    let (issuer, subject) = ("https://id.example".to_owned(), "alice@example.com".to_owned());
    let salt = gantral_core::digest::Salt::from_bytes([1; 32]);
    store.person(&tenant("acme"), &issuer, &subject, salt).await.unwrap();
    let erase = GovernanceEffect::ErasePerson { issuer, subject };
    store.append_governance(governance(None, "a", vec![erase])).await.unwrap();
    assert_eq!(found(store, 1).await.unwrap().asked_by, None);
}

async fn evidence_commits_with_the_decision_and_never_changes(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let evidence =
        |content: &[u8]| Effect::PutEvidence { digest: Digest::of(b"file"), content: content.to_vec() };
    chain.commit(store, vec![evidence(b"file")]).await;
    let kept = store.human_evidence(&tenant("acme"), chain.id).await.unwrap();
    assert_eq!(kept, [(Digest::of(b"file"), b"file".to_vec())]);
    assert_eq!(store.human_evidence(&tenant("other"), chain.id).await.unwrap(), []);
    let again = store.append(chain.with(vec![evidence(b"something else")])).await;
    assert!(matches!(again, Err(StoreError::Contradiction { .. } | StoreError::Damaged { .. })), "{again:?}");
    assert_eq!(store.human_evidence(&tenant("acme"), chain.id).await.unwrap(), kept);
}
