//! What could be read in two ways, by us and by the service, reaches neither it nor Gantral.

use super::*;

/// Lets everything pass, so that whatever arrives is seen.
const OPEN: [&str; 2] = ["--rule", "pass * /**"];

fn head(line: &str, more: &str) -> Vec<u8> {
    format!("{line}\r\nhost: shop\r\n{more}connection: close\r\n\r\n").into_bytes()
}

#[test]
fn request_that_is_not_plain_goes_nowhere() {
    let shop = Shop::open(&OPEN);
    for (request, code) in [
        (head("POST http://elsewhere.example/a HTTP/1.1", "content-length: 0\r\n"), "target_refused"),
        (head("POST /a/../b HTTP/1.1", "content-length: 0\r\n"), "path_ambiguous"),
        (head("POST /a/%2e%2e/b HTTP/1.1", "content-length: 0\r\n"), "path_ambiguous"),
        (head("POST /a%2fb HTTP/1.1", "content-length: 0\r\n"), "path_ambiguous"),
        (head("POST /a%0d%0aX-A:%201 HTTP/1.1", "content-length: 0\r\n"), "path_ambiguous"),
        (head("GET /a HTTP/1.1", "upgrade: websocket\r\n"), "upgrade_refused"),
        (head("GET /a HTTP/1.1", "x-http-method-override: DELETE\r\n"), "override_refused"),
        (head("TRACE /a HTTP/1.1", ""), "method_refused"),
    ] {
        let answer = shop.raw(&request);
        assert!(answer.contains(&format!(r#""code":"{code}""#)), "{code}: {answer}");
    }
    // The parser refuses these itself.
    for request in [
        b"POST /a HTTP/1.1\r\nhost: shop\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_vec(),
        b"POST /a HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked, x\r\n\r\n0\r\n\r\n".to_vec(),
        b"POST /a b HTTP/1.1\r\nhost: shop\r\n\r\n".to_vec(),
        b"POST /a HTTP/1.1\r\nhost: shop\r\nx-a : 1\r\n\r\n".to_vec(),
        b"POST /a HTTP/1.1\r\nhost: shop\r\n x-a: 1\r\n\r\n".to_vec(),
    ] {
        let answer = shop.raw(&request);
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer} for {}", String::from_utf8_lossy(&request));
    }
    assert_eq!(shop.ledger(), "");
}

#[test]
fn second_request_cannot_be_smuggled_in_the_body_of_the_first() {
    let shop = Shop::open(&OPEN);
    let inner = "POST /smuggled HTTP/1.1\r\nhost: shop\r\ncontent-length: 0\r\n\r\n";
    // Two lengths: whoever took the other one would see a second request.
    let chunked = format!("0\r\n\r\n{inner}");
    let both = format!(
        "POST /a HTTP/1.1\r\nhost: shop\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{chunked}",
        chunked.len()
    );
    shop.raw(both.as_bytes());
    assert!(!shop.ledger().contains("smuggled"), "{}", shop.ledger());
    let plain = format!(
        "POST /b HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{inner}",
        inner.len()
    );
    shop.raw(plain.as_bytes());
    assert!(!shop.ledger().lines().any(|line| line.starts_with("POST /smuggled")), "{}", shop.ledger());
}

#[test]
fn header_of_the_connection_and_of_ours_does_not_reach_the_service() {
    let shop = Shop::open(&OPEN);
    let got =
        shop.curl("GET", "/a", &["-H", "connection: x-hop", "-H", "x-hop: 1", "-H", "gantral-grant: forged"]);
    let headers = &got.json()["headers"];
    for name in ["x-hop", "gantral-grant", "connection"] {
        assert!(headers[name].is_null(), "{name}: {headers}");
    }
    assert_eq!(headers["host"], format!("127.0.0.1:{}", shop.service_port));
}

#[test]
fn token_of_the_proxy_opens_it_and_stays_here() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (token, headers) =
        (file("token", "open-sesame"), file("headers", "Authorization: Bearer of-the-service"));
    let shop = Shop::open(&[&OPEN[..], &["--listen-token", &token, "--upstream-headers", &headers]].concat());
    shop.curl("GET", "/a", &[]).problem(401, "unauthenticated");
    shop.curl("GET", "/a", &["-H", "authorization: Bearer guess"]).problem(401, "unauthenticated");
    let got = shop.curl("GET", "/a", &["-H", "authorization: Bearer open-sesame"]);
    assert_eq!(got.json()["headers"]["authorization"], "Bearer of-the-service");
}

#[test]
fn body_that_people_and_service_may_read_differently_is_not_asked_for() {
    let shop = Shop::open(&[]);
    shop.json("POST", "/a", r#"{"amount":1,"amount":1000}"#).problem(400, "body_unreadable");
    shop.json("POST", "/a", r#"{"password":"hunter2"}"#).problem(422, "secret_inline");
    shop.curl("POST", "/a?access_token=x", &[]).problem(400, "secret_in_query");
    assert_eq!(shop.ledger(), "");
}
