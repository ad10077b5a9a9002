//! Passkeys at the console: what its script asks for, and the forms beside it.

use gantral_api::problem::Code;
use gantral_api::wire::{EnrolPasskey, PasskeyState, RequestPasskey};
use gantral_core::digest::Digest;
use gantral_testkit::Authenticator;
use serde_json::Value;

use crate::browser::{Browser, Seen};
use crate::passkeys::{authenticator, enrolled, mine, signed, waiting};
use crate::place::{HOST, Place, refund, refused};

const PAGE: &str = "/console/passkeys";

/// Has the console draft the enrolment of a key, as its script does.
async fn drafted(browser: &mut Browser<'_>, key: &Authenticator) -> Seen {
    let csrf = browser.get(PAGE).await.hidden("csrf");
    let (id, public, aaguid) = (key.credential_id(), key.public_key(), "0".repeat(32));
    let fields = [
        ("csrf", csrf.as_str()),
        ("credential_id", &id),
        ("algorithm", "es256"),
        ("public_key", &public),
        ("aaguid", &aaguid),
        ("backup_eligible", "false"),
    ];
    browser.send(&format!("{PAGE}/draft"), &fields).await
}

/// Asks for a passkey at the console; returns what the directory signs.
async fn asked(browser: &mut Browser<'_>, key: &Authenticator) -> RequestPasskey {
    let draft: Value = serde_json::from_str(&drafted(browser, key).await.text).unwrap();
    let entry = Digest::parse(draft["entry_digest"].as_str().unwrap()).unwrap();
    let assertion = String::from_utf8(key.sign(entry, &entry).encode()).unwrap();
    let page = browser.get(PAGE).await;
    let (csrf, number) = (page.hidden("csrf"), page.hidden("key"));
    let enrolment = draft["enrolment"].to_string();
    let fields =
        [("csrf", csrf.as_str()), ("key", &number), ("enrolment", &enrolment), ("assertion", &assertion)];
    let seen = browser.send(PAGE, &fields).await;
    assert_eq!(seen.status, 201, "{}", seen.text);
    let document = |text: &str| gantral_api::wire::Document::from_text(text).unwrap();
    RequestPasskey { enrolment: document(&enrolment), assertion: document(&assertion) }
}

/// Returns the digits of a passkey as the page shows them.
fn digits(entry: &str) -> String {
    [&entry[..4], &entry[4..8], &entry[8..12], &entry[12..16]].join(" ")
}

#[tokio::test]
async fn a_passkey_is_added_seen_and_revoked_at_the_console() {
    let place = Place::start().await;
    let mut fiona = Browser::of(&place, "fiona").await;
    let empty = fiona.get(PAGE).await;
    empty.shows("You have no passkey.");
    empty.shows(&format!("data-relying-party=\"{HOST}\""));
    empty.shows("Only a script can ask your device for a passkey.");
    let asked = asked(&mut fiona, &authenticator()).await;
    let entry = place.human("fiona").passkeys(&mine()).await.unwrap().items[0].entry_digest;
    let waiting = fiona.get(PAGE).await;
    waiting.shows("Waits to be enrolled");
    waiting.shows("bound to its device");
    waiting.shows(&digits(&entry.to_string()));
    Browser::of(&place, "frank").await.get(PAGE).await.hides(&digits(&entry.to_string()));

    let envelope = signed(&place, &asked).await;
    place.human("dave").enrol_passkey(entry, &EnrolPasskey { envelope }).await.unwrap();
    let enrolled = fiona.get(PAGE).await;
    enrolled.shows("Enrolled");
    enrolled.hides("Waits to be enrolled");
    let (csrf, revoke) = (enrolled.hidden("csrf"), format!("{PAGE}/{entry}/revoke"));
    let forged = fiona.send(&revoke, &[("csrf", "0"), ("key", "k")]).await;
    assert_eq!(forged.status, 403, "no page of this session sent it");
    let why = [("csrf", csrf.as_str()), ("key", "k"), ("justification", "left in a <b>train</b>")];
    fiona.send(&revoke, &why).await.shows("End of passkey");
    fiona.get(PAGE).await.shows("Revoked");
    let left = place.human("fiona").passkeys(&mine()).await.unwrap().items;
    assert_eq!(left[0].state, PasskeyState::Revoked);
    let history = fiona.get("/console/history").await;
    history.shows("left in a &lt;b&gt;train&lt;/b&gt;");
}

#[tokio::test]
async fn a_passkey_that_was_only_asked_for_is_forgotten_by_its_owner_alone() {
    let place = Place::start().await;
    let (mut fiona, mut frank) = (Browser::of(&place, "fiona").await, Browser::of(&place, "frank").await);
    asked(&mut fiona, &authenticator()).await;
    let entry = place.human("fiona").passkeys(&mine()).await.unwrap().items[0].entry_digest;
    let revoke = format!("{PAGE}/{entry}/revoke");
    let csrf = frank.get(PAGE).await.hidden("csrf");
    assert_eq!(frank.send(&revoke, &[("csrf", &csrf), ("key", "k")]).await.status, 404);
    let csrf = fiona.get(PAGE).await.hidden("csrf");
    let seen = fiona.send(&revoke, &[("csrf", &csrf), ("key", "k")]).await;
    assert_eq!((seen.status, seen.location.as_str()), (303, PAGE));
    fiona.get(PAGE).await.shows("You have no passkey.");
}

#[tokio::test]
async fn the_script_is_refused_as_the_api_refuses_and_only_with_a_session() {
    let place = Place::start().await;
    let key = authenticator();
    let mut nobody = Browser::new(&place);
    let seen = nobody.send(&format!("{PAGE}/draft"), &[("csrf", "0")]).await;
    assert_eq!((seen.status, seen.location.as_str()), (303, "/console/login?return=/console/"));
    let mut fiona = Browser::of(&place, "fiona").await;
    let forged = fiona.form(&format!("{PAGE}/draft"), &[("csrf", "0")], "same-origin");
    assert_eq!(refused(forged).await.code(), Code::Forbidden);
    // What one person had drafted is not asked for by another.
    let draft: Value = serde_json::from_str(&drafted(&mut fiona, &key).await.text).unwrap();
    let entry = Digest::parse(draft["entry_digest"].as_str().unwrap()).unwrap();
    let assertion = String::from_utf8(key.sign(entry, &entry).encode()).unwrap();
    let mut frank = Browser::of(&place, "frank").await;
    let page = frank.get(PAGE).await;
    let (csrf, number, enrolment) = (page.hidden("csrf"), page.hidden("key"), draft["enrolment"].to_string());
    let fields =
        [("csrf", csrf.as_str()), ("key", &number), ("enrolment", &enrolment), ("assertion", &assertion)];
    assert_eq!(refused(frank.form(PAGE, &fields, "same-origin")).await.code(), Code::PasskeyRefused);
}

#[tokio::test]
async fn a_decision_at_the_console_is_signed_by_the_passkey_of_whoever_decides() {
    let place = Place::start().await;
    let key = authenticator();
    let entry = enrolled(&place, "fiona", &key).await;
    let waits = waiting(&place).await;
    let (mut fiona, mut frank) = (Browser::of(&place, "fiona").await, Browser::of(&place, "frank").await);
    let gate = format!("/console/gates/{}", waits.gate);
    frank.get(&gate).await.shows("and you have none.");
    let page = fiona.get(&gate).await;
    page.shows("Your passkey must sign what you decide here");
    let (csrf, number) = (page.hidden("csrf"), page.hidden("key"));
    let fields = |assertion| {
        [
            ("csrf", csrf.as_str()),
            ("key", number.as_str()),
            ("gate_version", "1"),
            ("decision", "OVERRIDE"),
            ("target", "order/7"),
            ("parameter:amount_minor", "480"),
            ("parameter:currency", "EUR"),
            ("justification", "one month\r\nis owed"),
            ("assertion", assertion),
        ]
    };
    let decisions = format!("{gate}/decisions");
    let bare = fiona.send(&decisions, &fields("")).await;
    assert_eq!(bare.status, 422);
    bare.shows("Nothing was decided");
    let asked = fiona.send(&format!("{gate}/statement"), &fields("")).await;
    let asked: Value = serde_json::from_str(&asked.text).unwrap();
    assert_eq!(
        (&asked["relying_party_id"], &asked["passkeys"][0]["entry_digest"]),
        (&HOST.into(), &entry.to_hex().into())
    );
    let digest = Digest::parse(asked["decision_digest"].as_str().unwrap()).unwrap();
    let sign = |key: &Authenticator| String::from_utf8(key.sign(entry, &digest).encode()).unwrap();
    let (of_another, assertion) = (sign(&authenticator()), sign(&key));
    let forged = fiona.send(&decisions, &fields(&of_another)).await;
    assert_eq!(forged.status, 422);
    forged.shows("Nothing was decided");
    let changed: Vec<(&str, &str)> = fields("")
        .into_iter()
        .filter(|(name, _)| *name != "assertion")
        .map(|(name, value)| if value == "480" { (name, "481") } else { (name, value) })
        .collect();
    let other = fiona.send(&decisions, &[&changed[..], &[("assertion", assertion.as_str())]].concat()).await;
    assert_eq!(other.status, 422, "it signed another amount");
    let done = fiona.send(&decisions, &fields(&assertion)).await;
    done.shows("You approved it with your changes.");
    done.shows("Your passkey signed it");
}

#[tokio::test]
async fn a_passkey_signs_at_gates_that_do_not_ask_for_one_if_it_was_there_first() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let gate = format!("/console/gates/{}", waits.gate);
    let mut fiona = Browser::of(&place, "fiona").await;
    fiona.get(&gate).await.hides("data-sign");
    place.clock.advance(gantral_core::time::DurationMs::from_secs(1));
    enrolled(&place, "fiona", &authenticator()).await;
    fiona.get(&gate).await.hides("data-sign");
    let later = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(later).await;
    attempt.ask(later, &refund(48_000)).await.unwrap();
    let open = place.human("fiona").gates(&Default::default()).await.unwrap().items;
    let later = open.iter().find(|open| open.gate_id != waits.gate).unwrap().gate_id;
    let page = fiona.get(&format!("/console/gates/{later}")).await;
    page.shows("Sign it with your passkey");
    // It may be left out here: the server vouches then, as before.
    let (csrf, number) = (page.hidden("csrf"), page.hidden("key"));
    let fields = [
        ("csrf", csrf.as_str()),
        ("key", &number),
        ("gate_version", "1"),
        ("decision", "APPROVE"),
        ("justification", "looked at the order"),
        ("assertion", ""),
    ];
    let done = fiona.send(&format!("/console/gates/{later}/decisions"), &fields).await;
    done.shows("You approved it as asked.");
    done.hides("Your passkey signed it");
}
