//! Real connections to a real port.

use super::*;

const STATE: &str = "the-state-of-this-login";

fn state() -> Digest {
    Digest::of(STATE.as_bytes())
}

fn check(line: &str, expected: Option<Redirected>) {
    assert_eq!(redirected(&format!("{line} HTTP/1.1\r\nhost: a\r\n\r\n"), &state()), expected, "{line}");
}

fn with_code() -> Redirected {
    Redirected { code: Some("a b".to_owned()), ..Redirected::default() }
}

#[test]
fn only_a_get_of_the_path_with_the_state_is_the_redirect() {
    check(&format!("GET /callback?code=a+b&state={STATE}"), Some(with_code()));
    check(&format!("GET /callback?state={STATE}&code=a%20b&session_state=x"), Some(with_code()));
    for line in [
        "GET /callback?code=a&state=another".to_owned(),
        "GET /callback?code=a".to_owned(),
        format!("GET /callback?code=a&state={STATE}&state={STATE}"),
        format!("GET /callback?code=a&code=b&state={STATE}"),
        format!("GET /other?code=a&state={STATE}"),
        format!("HEAD /callback?code=a&state={STATE}"),
        format!("POST /callback?code=a&state={STATE}"),
        format!("GET http://evil.example/callback?code=a&state={STATE}"),
        format!("GET @evil.example/callback?code=a&state={STATE}"),
        "junk".to_owned(),
        String::new(),
    ] {
        check(&line, None);
    }
}

async fn ask(address: &str, request: &[u8]) -> String {
    let authority = address.trim_start_matches("http://").trim_end_matches(PATH);
    let mut stream = TcpStream::connect(authority).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // Whoever is turned away in the middle of its words may see the connection break.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn junk_and_scanners_do_not_end_the_wait_and_see_nothing_of_what_they_sent() {
    let loopback = Loopback::bind().await.unwrap();
    let address = loopback.address();
    let waiting = tokio::spawn(loopback.wait(state(), Duration::from_secs(30)));
    // Connections that say nothing, as browsers open them in advance.
    let authority = address.trim_start_matches("http://").trim_end_matches(PATH).to_owned();
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(&authority).await.unwrap());
    }
    let script = b"GET /callback?state=<script>alert(1)</script> HTTP/1.1\r\n\r\n";
    let answer = ask(&address, script).await;
    assert!(answer.starts_with("HTTP/1.1 404") && !answer.contains("alert"), "{answer}");
    assert_eq!(ask(&address, &[b'a'; HEAD_BYTES_MAX + 4_096]).await, "");
    ask(&address, b"\x16\x03\x01\r\n\r\n").await;
    assert!(!waiting.is_finished());
    let good = format!("GET /callback?code=a+b&state={STATE} HTTP/1.1\r\nhost: x\r\n\r\n");
    let answer = ask(&address, good.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("default-src 'none'"), "{answer}");
    assert!(!answer.contains(STATE));
    assert_eq!(waiting.await.unwrap(), Some(with_code()));
}

#[tokio::test]
async fn wait_ends_when_nobody_comes() {
    let loopback = Loopback::bind().await.unwrap();
    assert_eq!(loopback.wait(state(), Duration::from_millis(50)).await, None);
}
