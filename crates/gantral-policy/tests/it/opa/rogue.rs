//! What is no OPA, or one that means us ill: each ends in a failure, in time, and in little memory.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gantral_core::policy::{EvalFailure, PolicyVersionId, Verdict};
use gantral_policy::opa::{BreakerState, OpaConfig, OpaPolicyPoint};

use super::service::{answered, ask, config, free_port, listen, read_request, write_answer};
use super::{LIMIT, other_version};

fn point(port: u16) -> OpaPolicyPoint {
    OpaPolicyPoint::new(&config(port)).unwrap()
}

/// What an OPA under this version answers.
fn allow(version: PolicyVersionId) -> String {
    format!(
        r#"{{"provenance":{{"version":"1.9.0","bundles":{{"b":{{"revision":"{}"}}}}}},"result":{{"decision":"ALLOW"}}}}"#,
        version.0.to_hex()
    )
}

/// Serves every request by `serve`, and expects one of these failures.
async fn check(serve: impl Fn(&mut TcpStream) + Send + Sync + 'static, expect: EvalFailure) {
    let port = listen(move |_, mut stream| {
        if !read_request(&mut stream).is_empty() {
            serve(&mut stream);
        }
    });
    let told = answered(&point(port), other_version(), "{}", LIMIT).await;
    assert_eq!(told.result, Err(expect));
}

#[tokio::test]
async fn the_bytes_that_were_committed_to_are_what_is_sent() {
    let input = r#"{"a":1.10,"b":"\u00e4","c":12345678901234567890}"#;
    let (sent, received) = std::sync::mpsc::channel();
    let port = listen(move |_, mut stream| {
        sent.send(read_request(&mut stream)).unwrap();
        write_answer(&mut stream, 200, &allow(other_version()));
    });
    assert_eq!(ask(&point(port), other_version(), input).await.map(|e| e.verdict), Ok(Verdict::Allow));
    let request = received.recv().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, format!(r#"{{"input":{input}}}"#));
    assert!(
        head.starts_with(
            "POST /v1/data/gantral/policy?strict-builtin-errors=true&provenance=true HTTP/1.1\r\n"
        ),
        "{head}"
    );
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
}

#[tokio::test]
async fn garbage_is_never_an_answer() {
    check(|stream| drop(stream.write_all(b"\0\x01\x02 no HTTP at all\r\n\r\n")), EvalFailure::ResourceLimit)
        .await;
    check(|_| {}, EvalFailure::ResourceLimit).await;
    check(|stream| write_answer(stream, 200, "<html>"), EvalFailure::Malformed).await;
    check(|stream| write_answer(stream, 204, ""), EvalFailure::Malformed).await;
    check(|stream| write_answer(stream, 503, "busy"), EvalFailure::Unavailable).await;
    check(|stream| write_answer(stream, 413, "too much"), EvalFailure::Evaluation).await;
    let nested = format!(r#"{{"result":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    check(move |stream| write_answer(stream, 200, &nested), EvalFailure::Malformed).await;
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    let endless = |stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n");
        while stream.write_all(&[b' '; 65_536]).is_ok() {}
    };
    check(endless, EvalFailure::ResourceLimit).await;
    let headers = |stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"x: y\r\n").is_ok() {}
    };
    check(headers, EvalFailure::ResourceLimit).await;
}

#[tokio::test]
async fn an_answer_in_drops_is_late() {
    let drops = |stream: &mut TcpStream| {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{}", allow(other_version()));
        for byte in answer.bytes() {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    check(drops, EvalFailure::ResourceLimit).await;
}

#[tokio::test]
async fn nobody_is_followed_anywhere() {
    let followed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&followed);
    let elsewhere = listen(move |_, mut stream| {
        count.fetch_add(1, Ordering::Relaxed);
        read_request(&mut stream);
        write_answer(&mut stream, 200, &allow(other_version()));
    });
    let redirect = move |stream: &mut TcpStream| {
        let answer = format!(
            "HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:{elsewhere}/v1/data/gantral/policy\r\ncontent-length: 0\r\n\r\n"
        );
        let _ = stream.write_all(answer.as_bytes());
    };
    check(redirect, EvalFailure::Unavailable).await;
    assert_eq!(followed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_evaluation_that_was_lost_is_tried_once_more() {
    let port = listen(|number, mut stream| {
        if !read_request(&mut stream).is_empty() && number > 0 {
            write_answer(&mut stream, 200, &allow(other_version()));
        }
    });
    let point = point(port);
    assert_eq!(ask(&point, other_version(), "{}").await.map(|e| e.verdict), Ok(Verdict::Allow));
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    check(
        move |stream| {
            count.fetch_add(1, Ordering::Relaxed);
            write_answer(stream, 502, "");
        },
        EvalFailure::Unavailable,
    )
    .await;
    assert_eq!(tries.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_cannot_be_handed_over_is_late_and_an_outage() {
    // It takes connections, and never begins to speak TLS.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let point = OpaPolicyPoint::new(&OpaConfig::new(url)).unwrap();
    for _ in 0..5 {
        let told = answered(&point, other_version(), "{}", Duration::from_millis(50)).await;
        assert_eq!(told.result, Err(EvalFailure::DeadlineExceeded));
    }
    assert_eq!(point.status().breaker, BreakerState::Open);
}

#[tokio::test]
async fn more_than_opa_is_given_at_once_wait_and_are_late_without_having_been_asked() {
    let at_once = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&at_once);
    let port = listen(move |_, mut stream| {
        if read_request(&mut stream).starts_with("POST") {
            count.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_secs(3));
    });
    let point = Arc::new(point(port));
    let begin = |asks: usize, limit: Duration| -> Vec<_> {
        (0..asks)
            .map(|_| {
                let point = Arc::clone(&point);
                tokio::spawn(async move { answered(&point, other_version(), "{}", limit).await.result })
            })
            .collect()
    };
    let at_work = begin(64, LIMIT * 3);
    tokio::time::sleep(LIMIT).await;
    for waiting in begin(16, LIMIT) {
        assert_eq!(waiting.await.unwrap(), Err(EvalFailure::DeadlineExceeded));
    }
    for slow in at_work {
        assert_eq!(slow.await.unwrap(), Err(EvalFailure::ResourceLimit));
    }
    assert_eq!(at_once.load(Ordering::Relaxed), 64);
}

#[tokio::test]
async fn nothing_at_the_address_is_an_outage() {
    let told = answered(&point(free_port()), other_version(), "{}", LIMIT).await;
    assert_eq!(told.result, Err(EvalFailure::Unavailable));
}
