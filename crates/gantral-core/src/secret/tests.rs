use super::*;
use crate::json::{Profile, parse};

fn check(document: &str, expected: Option<&str>) {
    let value = parse(document.as_bytes(), &Profile::DOCUMENT).unwrap();
    assert_eq!(find_inline_secret(&value).as_deref(), expected, "{document}");
}

#[test]
fn credentials_are_found_where_they_stand() {
    check(r#"{"a":[{"note":"use ghp_0123456789abcdef0123 now"}]}"#, Some("/a/0/note"));
    check(r#"{"key":"-----BEGIN PRIVATE KEY-----"}"#, Some("/key"));
    check(r#"{"url":"https://x:AKIA0123456789ABCDEF@host"}"#, None);
    check(r#"{"url":"key=AKIA0123456789ABCDEF@host"}"#, Some("/url"));
    check(r#"{"h":"eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlc2lnbmF0dXJl"}"#, Some("/h"));
    check(r#"{"Api-Key":"abc"}"#, Some("/Api-Key"));
}

#[test]
fn references_and_plain_words_pass() {
    check(
        r#"{"password":"env:DB_PASSWORD","secret":"file:/run/s","amount":4800,"note":"the secret of success"}"#,
        None,
    );
    check(r#"{"password":""}"#, None);
}
