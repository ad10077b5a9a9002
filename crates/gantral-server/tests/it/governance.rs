//! What changes the rules for everybody, and a ledger that has forgotten something.

use gantral_api::problem::Code;
use gantral_api::wire::{AuthorityAnswer, Document, Erase, PageQuery, PresentJournal};
use gantral_core::event::Event;
use gantral_evidence::container::read_tar;
use gantral_evidence::disclosure::Disclosure;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::statement::Statement;
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Verdict, verify};
use gantral_testkit::{AGENT, RUNNER, copy_ledger};
use serde_json::json;

use crate::place::{Place, code, freeze, problem, refund, to};

pub async fn events(place: &Place) -> Vec<String> {
    let page = place.human("bob").governance(&PageQuery::default()).await.unwrap();
    page.items.into_iter().map(|event| event.event).collect()
}

#[tokio::test]
async fn the_chain_is_listed_page_by_page() {
    let place = Place::start().await;
    let dave = place.human("dave");
    for frozen in [true, false, true] {
        dave.set_freeze(&freeze(&json!({"kind": "tenant"}), frozen)).await.unwrap();
    }
    let first = dave.governance(&PageQuery { cursor: None, limit: Some(2) }).await.unwrap();
    let second = dave.governance(&PageQuery { cursor: first.next.clone(), limit: Some(2) }).await.unwrap();
    let sequences: Vec<u64> = first.items.iter().chain(&second.items).map(|event| event.sequence).collect();
    assert_eq!(sequences, [0, 1, 2]);
    assert_eq!(second.next, None);
    let wrong = dave.governance(&PageQuery { cursor: Some("x".to_owned()), limit: None }).await;
    assert_eq!(code(wrong), Code::InvalidParameter);
}

#[tokio::test]
async fn what_was_erased_is_gone_and_the_evidence_still_verifies() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let envelope = waits.waiting.artifacts.last().unwrap().envelope.as_str().as_bytes().to_vec();
    let statement = Statement::decode(&Envelope::parse(&envelope).unwrap().payload).unwrap();
    let Event::HumanRequired(asked) = statement.entry.event else { panic!() };
    let erase: Erase = to(json!({
        "what": "snapshot", "instance_id": waits.id, "commitment": asked.gate.action.to_hex()
    }));
    assert_eq!(code(place.human("bob").erase(&erase).await), Code::Forbidden);
    let dave = place.human("dave");
    assert_eq!(dave.erase(&erase).await.unwrap().sealed[0].event, "erased");
    assert_eq!(code(dave.erase(&erase).await), Code::NotFound);
    let bundle = place.human("bob").evidence(waits.id).await.unwrap();
    let files = read_tar(&bundle).unwrap();
    assert!(files.get(&Disclosure::path(&asked.gate.action)).is_none());
    assert!(files.get(&Disclosure::path(&asked.gate.context)).is_some());
    let trust = place.human("bob").keys().await.unwrap().trust_hint;
    let trust = Trust::parse(trust.as_str().as_bytes()).unwrap();
    let report = verify(&files, Some(&trust));
    assert_ne!(report.verdict, Verdict::Invalid);
}

#[tokio::test]
async fn a_person_who_was_erased_is_another_person_afterwards() {
    let place = Place::start().await;
    let before = place.human("fiona").me().await.unwrap();
    let issuer = before.issuer.clone();
    let erase: Erase = to(json!({"what": "person", "issuer": issuer, "subject": "fiona"}));
    place.human("dave").erase(&erase).await.unwrap();
    assert_ne!(place.human("fiona").me().await.unwrap().id, before.id);
    let nobody: Erase = to(json!({"what": "person", "issuer": issuer, "subject": "nobody"}));
    assert_eq!(code(place.human("dave").erase(&nobody).await), Code::NotFound);
}

/// Returns the receipts of an ask.
async fn receipts(place: &Place) -> Vec<Document> {
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let AuthorityAnswer::Allow(allowed) = attempt.ask(id, &refund(480)).await.unwrap() else { panic!() };
    allowed.artifacts.into_iter().map(|receipt| receipt.envelope).collect()
}

#[tokio::test]
async fn a_journal_that_the_ledger_holds_changes_nothing() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let envelopes = receipts(&place).await;
    let foreign = Document::from_text(r#"{"payload":"","payloadType":"","signatures":[]}"#).unwrap();
    let shown = PresentJournal { envelopes: [envelopes.clone(), vec![foreign]].concat() };
    let held = place.machine(RUNNER).present_journal(&shown).await.unwrap().held;
    assert_eq!(held as usize, envelopes.len());
    assert_eq!(code(place.human("bob").present_journal(&shown).await), Code::Forbidden);
}

#[tokio::test]
async fn a_server_with_an_old_ledger_only_reads_and_says_what_is_ahead_of_it() {
    let mut place = Place::start().await;
    place.apply_refunds().await;
    place.stop().await;
    let (data, backup) = (place.folder.path().to_owned(), place.folder.path().join("backup"));
    copy_ledger(&data, &backup);
    place.restart_stopped().await;
    let envelopes = receipts(&place).await;
    place.stop().await;
    copy_ledger(&backup, &data);
    place.restart_stopped().await;
    place.ready().await;
    let shown = PresentJournal { envelopes };
    assert_eq!(code(place.machine(RUNNER).present_journal(&shown).await), Code::ReadOnly);
    let create = to(json!({"workflow": "refund"}));
    assert_eq!(code(place.machine(AGENT).create_instance(&create).await), Code::ReadOnly);
    let ready = problem(place.anonymous().ready().await);
    assert_eq!(ready.code(), Code::ReadOnly);
    assert!(ready.to_string().contains("executor"), "{ready}");
    place.human("bob").workflows(&PageQuery::default()).await.expect("it still reads");
}
