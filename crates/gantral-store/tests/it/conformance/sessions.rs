//! Who is logged in to the console.

use gantral_core::digest::Digest;
use gantral_store::{SESSIONS_MAX, SessionRow, Store};

use crate::conformance::conformance;
use crate::world::at;

conformance!(
    a_session_is_found_until_it_is_ended,
    sessions_that_have_ended_are_forgotten_when_another_begins,
    a_person_has_no_more_sessions_than_they_may_and_the_oldest_goes,
);

fn session(name: &str, subject: &str, started: u64, ends: u64) -> SessionRow {
    SessionRow {
        id: Digest::of(name.as_bytes()),
        issuer: "https://id.example".to_owned(),
        subject: subject.to_owned(),
        client: "console".to_owned(),
        claims: format!(r#"{{"sub":"{subject}"}}"#),
        started: at(started),
        ends: at(ends),
    }
}

async fn a_session_is_found_until_it_is_ended(store: &Store) {
    let (one, two) = (session("one", "ada", 1, 100), session("two", "ada", 2, 100));
    store.begin_session(one.clone()).await.unwrap();
    store.begin_session(two.clone()).await.unwrap();
    assert_eq!(store.session(one.id).await.unwrap(), Some(one.clone()));
    store.end_session(one.id).await.unwrap();
    store.end_session(one.id).await.unwrap();
    assert_eq!(store.session(one.id).await.unwrap(), None);
    assert_eq!(store.session(two.id).await.unwrap(), Some(two));
}

async fn sessions_that_have_ended_are_forgotten_when_another_begins(store: &Store) {
    let (old, new) = (session("old", "ada", 1, 10), session("new", "otto", 10, 20));
    store.begin_session(old.clone()).await.unwrap();
    store.begin_session(new.clone()).await.unwrap();
    assert_eq!(store.session(old.id).await.unwrap(), None);
    assert_eq!(store.session(new.id).await.unwrap(), Some(new));
}

async fn a_person_has_no_more_sessions_than_they_may_and_the_oldest_goes(store: &Store) {
    let other = session("other", "otto", 1, 1_000);
    store.begin_session(other.clone()).await.unwrap();
    for number in 0..=SESSIONS_MAX {
        let started = u64::try_from(number).unwrap() + 2;
        store.begin_session(session(&format!("s{number}"), "ada", started, 1_000)).await.unwrap();
    }
    assert_eq!(store.session(Digest::of(b"s0")).await.unwrap(), None);
    assert!(store.session(Digest::of(b"s1")).await.unwrap().is_some());
    assert_eq!(store.session(other.id).await.unwrap(), Some(other));
}
