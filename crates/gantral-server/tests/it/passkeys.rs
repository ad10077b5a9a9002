//! Passkeys over HTTP: asked for, enrolled by the directory, and what they sign.

use gantral_api::client::Client;
use gantral_api::problem::Code;
use gantral_api::wire::{
    Decide, Document, EnrolPasskey, MineQuery, NewPasskey, PasskeyState, RequestPasskey, RevokePasskey,
};
use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::time::DurationMs;
use gantral_evidence::human::{Assertion, Enrolment};
use gantral_identity::person_bytes;
use gantral_keys::{Signer as _, SigningContext};
use gantral_testkit::policy::example;
use gantral_testkit::{Authenticator, workflows};

use crate::place::{HOST, PUBLIC_URL, Place, Waits, code, decision, directory_signer, problem, refund};

pub fn authenticator() -> Authenticator {
    Authenticator::new(HOST, PUBLIC_URL, false)
}

pub fn new_passkey(key: &Authenticator) -> NewPasskey {
    NewPasskey {
        credential_id: key.credential_id(),
        algorithm: "es256".to_owned(),
        public_key: key.public_key(),
        aaguid: "0".repeat(32),
        backup_eligible: key.is_synced(),
    }
}

fn document(assertion: &Assertion) -> Document {
    Document::from_bytes(&assertion.encode()).unwrap()
}

/// Drafts an enrolment for whoever a client stands for, and has the authenticator sign it.
pub async fn request(client: &Client, key: &Authenticator) -> RequestPasskey {
    let draft = client.draft_passkey(&new_passkey(key)).await.unwrap();
    let assertion = key.sign(*draft.entry_digest, &draft.entry_digest);
    RequestPasskey { enrolment: draft.enrolment, assertion: document(&assertion) }
}

/// Returns what the directory makes of a request.
pub async fn signed(place: &Place, asked: &RequestPasskey) -> Document {
    let enrolment = Enrolment::decode(asked.enrolment.as_str().as_bytes()).unwrap();
    let signer = directory_signer(&place.folder);
    let signature = signer.sign(SigningContext::Enrolment, &enrolment.message()).await.unwrap();
    Document::from_bytes(&enrolment.signed(&signature.key_id, &signature.bytes)).unwrap()
}

/// Enrols an authenticator of somebody; returns its name.
pub async fn enrolled(place: &Place, who: &str, key: &Authenticator) -> Digest {
    let asked = request(&place.human(who), key).await;
    let passkey = place.human(who).request_passkey(&asked).await.unwrap();
    assert_eq!(passkey.state, PasskeyState::Requested);
    let envelope = signed(place, &asked).await;
    let sealed = place.human("dave").enrol_passkey(passkey.entry_digest, &EnrolPasskey { envelope }).await;
    assert_eq!(sealed.unwrap().sealed[0].event, "enrolled");
    place.clock.advance(DurationMs::from_secs(1));
    *passkey.entry_digest
}

/// Goes to where a refund waits that takes passkeys only.
pub async fn waiting(place: &Place) -> Waits {
    let demanded = "\"required_evidence\": \"webauthn\"";
    let definition = workflows::REFUND.replace("\"required_evidence\": \"development\"", demanded);
    place.apply(&definition, &example("refunds")).await;
    let id = place.create("refund").await.instance_id;
    let (attempt, attached) = place.begin(id).await;
    let answer = attempt.ask(id, &refund(48_000)).await.unwrap();
    let gantral_api::wire::AuthorityAnswer::RequireHuman(waiting) = answer else {
        panic!("no human is asked")
    };
    Waits { id, gate: waiting.gate_id, attempt, token: attached.token, waiting }
}

pub fn mine() -> MineQuery {
    MineQuery { mine: Some(true), ..MineQuery::default() }
}

#[tokio::test]
async fn an_approver_enrols_an_authenticator_and_decides_with_it() {
    let mut place = Place::start().await;
    let key = authenticator();
    let entry = enrolled(&place, "fiona", &key).await;
    let waits = waiting(&place).await;
    let fiona = place.human("fiona");
    assert_eq!(fiona.gate(waits.gate).await.unwrap().required_evidence.to_string(), "webauthn");
    assert_eq!(code(fiona.decide(waits.gate, &decision("APPROVE", 1)).await), Code::EvidenceTooWeak);

    let body = decision("APPROVE", 1);
    let to_sign = fiona.decision_to_sign(waits.gate, &body).await.unwrap();
    assert_eq!((to_sign.relying_party_id.as_str(), to_sign.passkeys.len()), (HOST, 1));
    assert_eq!(*to_sign.passkeys[0].entry_digest, entry);
    // What is enrolled while the gate waits counts at later ones.
    let late = enrolled(&place, "fiona", &authenticator()).await;
    let named = fiona.decision_to_sign(waits.gate, &body).await.unwrap().passkeys;
    assert_eq!(named.iter().map(|passkey| *passkey.entry_digest).collect::<Vec<_>>(), [entry]);
    assert_eq!(fiona.passkeys(&mine()).await.unwrap().items[0].entry_digest, late.into());
    assert!(to_sign.statement.as_str().contains("\"format\":\"gantral/decision/v1\""));
    // The same decision has the same statement, also by another server with the same keys.
    place.restart().await;
    let fiona = place.human("fiona");
    let again = fiona.decision_to_sign(waits.gate, &body).await.unwrap();
    assert_eq!(again.decision_digest, to_sign.decision_digest);

    let assertion = Some(document(&key.sign(entry, &to_sign.decision_digest)));
    let other = Decide { assertion: assertion.clone(), ..decision("REJECT", 1) };
    assert_eq!(code(fiona.decide(waits.gate, &other).await), Code::PasskeyRefused);
    let others = Decide { assertion: assertion.clone(), ..body.clone() };
    assert_eq!(code(place.human("frank").decide(waits.gate, &others).await), Code::PasskeyRefused);
    assert!(fiona.decide(waits.gate, &Decide { assertion, ..body }).await.unwrap().grant_id.is_some());
    let bundle = fiona.evidence(waits.id).await.unwrap();
    let holds = |name: &str| bundle.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(holds("human/") && holds(&format!("directory/{entry}.dsse.json")));
}

#[tokio::test]
async fn what_the_directory_is_shown_says_who_asks_and_to_nobody_else() {
    let place = Place::start().await;
    let key = authenticator();
    let asked = request(&place.human("fiona"), &key).await;
    let entry = place.human("fiona").request_passkey(&asked).await.unwrap().entry_digest;
    let shown = place.human("dave").passkey(entry).await.unwrap();
    let owner = shown.requested_by.unwrap();
    assert_eq!(owner.subject, "fiona");
    let person = commit(CommitmentLabel::Person, &owner.salt, &person_bytes(&owner.issuer, &owner.subject));
    assert_eq!(shown.passkey.person.to_string(), person.to_hex());
    assert_eq!(shown.enrolment.as_str(), asked.enrolment.as_str());
    assert_eq!(code(place.human("frank").passkey(entry).await), Code::NotFound);
    assert_eq!(code(place.human("frank").passkeys(&MineQuery::default()).await), Code::Forbidden);
    assert_eq!(place.human("frank").passkeys(&mine()).await.unwrap().items, []);
    assert_eq!(place.human("mallory").passkeys(&MineQuery::default()).await.unwrap().items, []);
    assert_eq!(place.human("dave").passkeys(&MineQuery::default()).await.unwrap().items, [shown.passkey]);
}

#[tokio::test]
async fn a_passkey_ends_by_its_owner_and_a_request_is_forgotten() {
    let place = Place::start().await;
    let key = authenticator();
    let entry = enrolled(&place, "fiona", &key).await;
    let fiona = place.human("fiona");
    let other = authenticator();
    let waits = fiona.request_passkey(&request(&fiona, &other).await).await.unwrap().entry_digest;
    assert_eq!(
        code(place.human("frank").revoke_passkey(waits, &RevokePasskey::default()).await),
        Code::NotFound
    );
    assert_eq!(fiona.revoke_passkey(waits, &RevokePasskey::default()).await.unwrap().sealed, []);
    let ended = fiona.revoke_passkey(entry.into(), &RevokePasskey::default()).await.unwrap();
    assert_eq!(ended.sealed[0].event, "enrolment_revoked");
    let left = fiona.passkeys(&mine()).await.unwrap().items;
    assert_eq!((left.len(), left[0].state), (1, PasskeyState::Revoked));
}

#[tokio::test]
async fn what_is_no_key_or_no_assertion_is_said_to_be_none() {
    let place = Place::start().await;
    let fiona = place.human("fiona");
    let key = authenticator();
    for (changed, member) in [
        (NewPasskey { algorithm: "rs256".to_owned(), ..new_passkey(&key) }, "algorithm"),
        (NewPasskey { public_key: "04".repeat(65), ..new_passkey(&key) }, "public_key"),
        (NewPasskey { credential_id: "=".to_owned(), ..new_passkey(&key) }, "credential_id"),
        (NewPasskey { aaguid: "zz".to_owned(), ..new_passkey(&key) }, "aaguid"),
    ] {
        let refusal = problem(fiona.draft_passkey(&changed).await);
        assert_eq!((refusal.code(), refusal.member("path").unwrap()), (Code::InvalidBody, &member.into()));
    }
    let asked = request(&fiona, &key).await;
    let empty = Document::from_text("{}").unwrap();
    let no_assertion = RequestPasskey { assertion: empty.clone(), ..asked.clone() };
    assert_eq!(code(fiona.request_passkey(&no_assertion).await), Code::InvalidBody);
    let no_enrolment = RequestPasskey { enrolment: empty, ..asked };
    assert_eq!(code(fiona.request_passkey(&no_enrolment).await), Code::InvalidBody);
}
