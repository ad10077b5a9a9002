//! Mail through a real server: over TLS it trusts, logged in, once each and in order.

use std::path::PathBuf;
use std::time::Duration;

use gantral_core::ids::{Name, TenantId};
use gantral_core::time::DurationMs;
use gantral_notify::{Couriers, MailConfig, MailServer, MailTls};
use gantral_store::{OutboxRow, OutboxTurn};
use gantral_testkit::mail::{MAIL_PASSWORD, MAIL_USER, MailServer as Taking, TakenMail};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::outbox::{Office, channel};
use crate::receiver::until;

fn config(port: u16, tls: MailTls, ca_file: PathBuf) -> MailConfig {
    MailConfig {
        host: "localhost".to_owned(),
        port,
        tls,
        ca_file: Some(ca_file),
        login: (tls != MailTls::None).then(|| (MAIL_USER.to_owned(), "env:PASSWORD".to_owned())),
        from: "Gantral <approvals@example.com>".to_owned(),
        timeout: Duration::from_secs(20),
    }
}

/// Returns an office that mails two people.
fn office(config: MailConfig) -> Office {
    let server = MailServer::new(config, |_| Some(MAIL_PASSWORD.into())).unwrap();
    let mailed = |name: &str| channel(name, server.mailbox(&format!("{name}@example.com")).unwrap());
    Office::of(Couriers::new(vec![mailed("lead"), mailed("audit")]))
}

async fn taken(server: &Taking, count: usize) -> Vec<TakenMail> {
    until(&format!("{count} mails"), async || server.taken().len() >= count).await;
    server.taken()
}

/// Returns the first message that waits.
async fn first(office: &Office) -> Option<OutboxRow> {
    let later = office.now().plus(DurationMs::from_secs(3_600));
    let turn = OutboxTurn { recipient: Name::parse("lead").unwrap(), now: later, latest: later };
    office.store.outbox(turn, 1).await.unwrap().pop()
}

/// Waits until a delivery failed, and returns why.
async fn failure(office: &Office) -> String {
    until("a failure", async || first(office).await.is_some_and(|row| row.attempts > 0)).await;
    first(office).await.unwrap().failure.unwrap()
}

fn gates(mails: &[TakenMail]) -> Vec<String> {
    let gate = |mail: &TakenMail| mail.header("References").unwrap();
    mails.iter().map(|mail| gate(mail)["<gate-".len()..].split('@').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn mail_arrives_over_tls_from_whoever_logged_in_and_is_answered_by_no_machine() {
    for (name, tls) in
        [("implicit", MailTls::Implicit), ("starttls", MailTls::StartTls), ("none", MailTls::None)]
    {
        let folder = TempDir::new().unwrap();
        let server = Taking::start(folder.path(), name, 0);
        let mut office = office(config(server.port, tls, server.ca_file()));
        let gate = office.open(1, &["lead", "audit"]).await;
        office.start();
        let mails = taken(&server, 2).await;
        let mail = mails.iter().find(|mail| mail.to == ["lead@example.com"]).unwrap();
        assert_eq!((mail.from.as_str(), mail.hello.as_str()), ("approvals@example.com", "example.com"));
        assert_eq!((mail.tls, mail.login), (tls != MailTls::None, tls != MailTls::None), "{name}");
        assert_eq!(mail.header("To").unwrap(), "lead@example.com");
        assert_eq!(mail.header("From").unwrap(), "Gantral <approvals@example.com>");
        assert_eq!(mail.header("Auto-Submitted").unwrap(), "auto-generated");
        assert_eq!(mail.header("Subject").unwrap(), "[gantral] Approval wanted: refund");
        assert_eq!(mail.header("Content-Type").unwrap(), "text/plain; charset=utf-8");
        assert!(
            mail.text.contains(&format!("https://gantral.invalid/console/gates/{}", gate.id)),
            "{mail:?}"
        );
        until("an empty outbox", async || office.store.outbox_counts().await.unwrap().is_empty()).await;
    }
}

#[tokio::test]
async fn mail_that_waited_for_its_server_arrives_in_order_and_once_each() {
    let folder = TempDir::new().unwrap();
    let server = Taking::start(folder.path(), "implicit", 0);
    let (port, ca_file) = (server.port, server.ca_file());
    drop(server);
    let mut office = office(config(port, MailTls::Implicit, ca_file));
    office.start();
    let mut expected = Vec::new();
    for number in 0..12 {
        expected.push(office.open(number, &["lead"]).await.id.to_string());
    }
    assert_eq!(failure(&office).await, "no connection, or it broke: the connection");
    let server = Taking::start(folder.path(), "implicit", port);
    // Full at first, so that the first mail is tried twice over one connection each.
    server.answer(Some(("data", "452 full")));
    until("an answer", async || first(&office).await.unwrap().failure.unwrap().contains("452")).await;
    server.answer(None);
    let mails = taken(&server, 12).await;
    assert_eq!(gates(&mails), expected);
    let mut ids: Vec<String> = mails.iter().map(|mail| mail.header("Message-ID").unwrap()).collect();
    assert!(ids.iter().all(|id| id.starts_with("<msg_") && id.ends_with("@example.com>")), "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 12);
}

#[tokio::test]
async fn a_server_that_is_not_trusted_or_offers_no_tls_gets_neither_mail_nor_password() {
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let stranger = Taking::start(other.path(), "none", 0);
    for (name, tls, expected) in [
        ("implicit", MailTls::Implicit, "the connection"),
        ("starttls", MailTls::StartTls, "the connection"),
        ("none", MailTls::StartTls, "does not offer what the connection needs"),
    ] {
        let server = Taking::start(folder.path(), name, 0);
        let ca_file = if name == "none" { server.ca_file() } else { stranger.ca_file() };
        let mut office = office(config(server.port, tls, ca_file));
        office.open(1, &["lead"]).await;
        office.start();
        let why = failure(&office).await;
        assert!(why.contains(expected) && !why.contains("CANARY"), "{name}: {why}");
        assert!(server.taken().is_empty());
    }
    let server = Taking::start(folder.path(), "implicit", 0);
    let wrong =
        MailServer::new(config(server.port, MailTls::Implicit, server.ca_file()), |_| Some("wrong".into()));
    let mailbox = wrong.unwrap().mailbox("lead@example.com").unwrap();
    let mut office = Office::of(Couriers::new(vec![channel("lead", mailbox)]));
    office.open(1, &["lead"]).await;
    office.start();
    assert_eq!(failure(&office).await, "answered 535 to the login");
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_holds_up_its_own_gate_only() {
    let folder = TempDir::new().unwrap();
    let server = Taking::start(folder.path(), "starttls", 0);
    let mut office = office(config(server.port, MailTls::StartTls, server.ca_file()));
    server.answer(Some(("data", "554 no")));
    office.open(1, &["lead"]).await;
    office.start();
    assert_eq!(failure(&office).await, "answered 554 to the message");
    server.answer(None);
    let second = office.open(2, &["lead"]).await;
    assert_eq!(gates(&taken(&server, 1).await), [second.id.to_string()]);
    // Put off by itself, and given up when it is too old.
    office.advance(3_600);
    server.answer(Some(("data", "554 no")));
    until("a burial", async || office.counts("lead").await.is_some_and(|count| count.dead == 1)).await;
    let dead = office.store.dead_letters(&TenantId::parse("acme").unwrap(), 0, 10).await.unwrap();
    assert_eq!(dead[0].failure.as_deref(), Some("answered 554 to the message"));
}

#[tokio::test]
async fn a_mailbox_that_is_refused_holds_up_no_other_mailbox_and_nothing_of_it_is_lost() {
    let folder = TempDir::new().unwrap();
    let server = Taking::start(folder.path(), "implicit", 0);
    let mut office = office(config(server.port, MailTls::Implicit, server.ca_file()));
    server.answer(Some(("rcpt", "450 later")));
    let expected = [office.open(1, &["lead"]).await.id, office.open(2, &["lead"]).await.id];
    office.start();
    assert_eq!(failure(&office).await, "answered 450 to the recipient");
    server.answer(None);
    office.open(3, &["audit"]).await;
    let mails = taken(&server, 3).await;
    let of_lead: Vec<TakenMail> = mails.into_iter().filter(|mail| mail.to == ["lead@example.com"]).collect();
    assert_eq!(gates(&of_lead), expected.map(|id| id.to_string()));
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_keeps_nothing_and_blocks_no_change() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let held = tokio::spawn(async move {
        let mut connections = Vec::new();
        loop {
            connections.push(silent.accept().await.unwrap());
        }
    });
    let folder = TempDir::new().unwrap();
    let config = MailConfig {
        timeout: Duration::from_millis(300),
        ca_file: None,
        ..config(port, MailTls::None, PathBuf::new())
    };
    let mut office = office(config);
    office.start();
    let mut expected = Vec::new();
    for number in 0..20 {
        expected.push(office.open(number, &["lead"]).await.id.to_string());
    }
    let why = failure(&office).await;
    assert!(why.contains("no answer in time") || why.contains("the connection"), "{why}");
    held.abort();
    let _ = held.await;
    let server = Taking::start(folder.path(), "none", port);
    assert_eq!(gates(&taken(&server, 20).await), expected);
}
