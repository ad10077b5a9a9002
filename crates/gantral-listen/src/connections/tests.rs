use super::*;
use tokio::net::TcpListener;

#[tokio::test]
async fn what_is_written_leaves_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    assert!(!stream.nodelay().unwrap());
    let (held, ()) = Limited::new(None).accept(stream, ()).await.unwrap();
    assert!(held.stream.nodelay().unwrap());
}
