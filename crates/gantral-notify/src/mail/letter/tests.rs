#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use super::*;
use crate::message::tests::{gate, told};

fn written(words: &Words) -> String {
    let from: Named = "Gantral <approvals@example.com>".parse().unwrap();
    let to: Address = "lead@example.com".parse().unwrap();
    let now = UnixMillis::parse("2026-01-01T00:00:05.000Z").unwrap();
    String::from_utf8(letter(&told(Vec::new()), words, &from, &to, now).unwrap()).unwrap()
}

fn words(title: &str, label: &str, said: &str) -> Words {
    Words {
        title: title.to_owned(),
        facts: vec![(label.to_owned(), said.to_owned())],
        items: Vec::new(),
        url: "https://gantral.example.com/console/gates/1".to_owned(),
    }
}

/// Returns the lines of the headers, with what is folded put together.
fn headers(mail: &str) -> Vec<String> {
    let head = mail.split_once("\r\n\r\n").unwrap().0;
    head.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
}

#[test]
fn a_mail_is_plain_text_with_a_name_of_its_own_that_no_try_changes() {
    let mail = written(&words("Approval wanted: refund", "Workflow", "refund"));
    let (id, gate) = (told(Vec::new()).id(), gate().id);
    let expected = format!(
        "From: Gantral <approvals@example.com>\r\nTo: lead@example.com\r\nSubject: [gantral] Approval wanted: refund\r\n\
         Date: Thu, 01 Jan 2026 00:00:05 +0000\r\nMessage-ID: <{id}@example.com>\r\nReferences: <gate-{gate}@example.com>\r\n\
         Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\nContent-Type: text/plain; charset=utf-8\r\n"
    );
    let mut found = headers(&mail);
    found.retain(|line| !line.starts_with("MIME-Version") && !line.starts_with("Content-Transfer-Encoding"));
    let mut expected: Vec<&str> = expected.trim_end().split("\r\n").collect();
    found.sort();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let body = mail.split_once("\r\n\r\n").unwrap().1;
    assert!(
        body.contains(
            "Workflow: refund\r\n\r\nOpen in the console:\r\nhttps://gantral.example.com/console/gates/1\r\n"
        ),
        "{body}"
    );
}

#[test]
fn no_text_becomes_a_header_or_a_second_message() {
    for hostile in [
        "x\r\nBcc: all@example.com",
        "x\nBcc: all@example.com\n\n<html>",
        "x\r\n.\r\nMAIL FROM:<a@example.com>",
        "x\u{2028}y\u{202e}z",
        "ü\r\nBcc: all@example.com",
    ] {
        let mail = written(&words(hostile, hostile, hostile));
        assert!(!headers(&mail).iter().any(|line| line.starts_with("Bcc")), "{mail}");
        assert!(mail.is_ascii() && !mail.contains("\r\n.\r\n"), "{mail}");
        assert_eq!(mail.matches("\r\nBcc").count() + mail.matches("\nBcc").count(), 0, "{mail}");
        assert!(mail.lines().all(|line| line.len() <= 998), "{mail}");
    }
}
