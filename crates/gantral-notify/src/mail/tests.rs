#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use super::*;

fn config() -> MailConfig {
    MailConfig {
        host: "mail.example.com".to_owned(),
        port: 465,
        tls: MailTls::Implicit,
        ca_file: None,
        login: Some(("gantral".to_owned(), "env:PASSWORD".to_owned())),
        from: "Gantral <approvals@example.com>".to_owned(),
        timeout: MAIL_TIMEOUT_DEFAULT,
    }
}

fn made(config: MailConfig) -> Result<MailServer, MailError> {
    MailServer::new(config, |_| Some("CANARY".into()))
}

#[test]
fn mail_goes_over_tls_or_to_this_machine() {
    for host in ["127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1"] {
        assert!(made(MailConfig { host: host.to_owned(), tls: MailTls::None, ..config() }).is_ok(), "{host}");
    }
    for host in ["mail.example.com", "10.0.0.1", "localhost.example.com"] {
        let plain = made(MailConfig { host: host.to_owned(), tls: MailTls::None, ..config() });
        assert!(matches!(plain, Err(MailError::Plain)), "{host}");
    }
    for host in ["", "mail.example.com/x", "a b", "a\r\nb"] {
        let error = made(MailConfig { host: host.to_owned(), ..config() });
        assert!(matches!(error, Err(MailError::Host { .. })), "{host}");
    }
    assert_eq!(MailTls::ALL.map(|tls| MailTls::parse(tls.as_str())), MailTls::ALL.map(Some));
}

#[test]
fn what_is_no_address_is_refused_and_no_password_is_shown() {
    for bad in ["", "approvals", "a@b@c", "a@example.com\r\nBcc: b@example.com", "ü@example.com", "Name"] {
        let from = made(MailConfig { from: bad.to_owned(), ..config() });
        assert!(matches!(from, Err(MailError::Address { .. })), "{bad:?}");
        let to = made(config()).unwrap().mailbox(bad);
        assert!(matches!(to, Err(MailError::Address { .. })), "{bad:?}");
    }
    let server = made(config()).unwrap();
    let mailbox = server.mailbox("lead@example.com").unwrap();
    let shown = format!("{server:?} {mailbox:?}");
    assert!(!shown.contains("CANARY") && !shown.contains("lead@"), "{shown}");
    let open = made(MailConfig { login: Some(("a".to_owned(), "CANARY".to_owned())), ..config() });
    let error = open.err().unwrap();
    assert!(matches!(error, MailError::Secret(SecretError::Reference)), "{error}");
    assert!(!error.to_string().contains("CANARY"), "{error}");
}
