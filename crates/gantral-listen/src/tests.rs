use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;

fn limits(connections_max: Option<usize>) -> ServeLimits {
    let (headers_within, drain) = (Duration::from_millis(300), Duration::from_secs(5));
    ServeLimits { connections_max, headers_within, drain }
}

/// Serves a page that names its reader, and one that takes a moment.
async fn started(
    connections_max: Option<usize>,
) -> (SocketAddr, watch::Sender<bool>, tokio::task::JoinHandle<std::io::Result<()>>) {
    let router = Router::new()
        .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()))
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(Duration::from_millis(300)).await;
                "done"
            }),
        );
    let listening = Listening::bind("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let address = listening.address();
    assert_eq!(listening.url(), format!("http://{address}"));
    let (stop, stopped) = watch::channel(false);
    (address, stop, tokio::spawn(serve(router, listening, limits(connections_max), stopped)))
}

async fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn plain_http_does_not_leave_the_machine() {
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = Listening::bind(everywhere, None).await.unwrap_err();
    assert!(matches!(refused, ListenError::PlainBeyondLoopback { .. }), "{refused}");
    let missing = TlsFiles::new("/nonexistent/c".into(), "/nonexistent/k".into());
    let refused = Listening::bind(everywhere, Some(&missing)).await.unwrap_err();
    assert!(matches!(refused, ListenError::Tls { .. }), "{refused}");
    let first = Listening::bind("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let refused = Listening::bind(first.address(), None).await.unwrap_err();
    assert!(matches!(refused, ListenError::Bind { .. }), "{refused}");
}

#[tokio::test]
async fn what_is_under_way_ends_after_the_stop_and_nothing_new_begins() {
    let (address, stop, serving) = started(None).await;
    assert!(ask(address, "/").await.ends_with("127.0.0.1"));
    let slow = tokio::spawn(async move { ask(address, "/slow").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(true).unwrap();
    assert!(slow.await.unwrap().ends_with("done"));
    serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_server_stops_when_whoever_started_it_is_gone() {
    let (_, stop, serving) = started(None).await;
    drop(stop);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_sends_nothing_loses_the_connection() {
    let (address, _stop, _serving) = started(None).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), idle.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "it is still open");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_and_its_place_is_given_again() {
    let (address, _stop, _serving) = started(Some(1)).await;
    let first = TcpStream::connect(address).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    // Closed without a word, perhaps as a reset.
    assert_eq!(second.read(&mut [0; 1]).await.unwrap_or(0), 0);
    drop(first);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(ask(address, "/").await.ends_with("127.0.0.1"));
}
