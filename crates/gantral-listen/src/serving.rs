//! A router on a socket, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::sync::watch;

use crate::Listening;
use crate::connections::Limited;

/// What a server grants those who connect.
#[derive(Debug, Clone, Copy)]
pub struct ServeLimits {
    /// The most connections at a time; one more is closed at once. `None`: as many as the system gives.
    pub connections_max: Option<usize>,
    /// How long a connection may be idle, or take to send the headers of a request.
    pub headers_within: Duration,
    /// How long requests under way may take to end once the server stops.
    pub drain: Duration,
}

/// Serves until `shutdown` turns true or is dropped, then lets what is under way end. Handlers may extract the peer as
/// `ConnectInfo<SocketAddr>`, and over TLS [`crate::ClientCertificate`] as an extension. Renewed certificates are read while it serves.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    router: Router,
    listening: Listening,
    limits: ServeLimits,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let limited = Limited::new(limits.connections_max);
    let handle = Handle::new();
    let stopper = tokio::spawn(stop_when(shutdown, handle.clone(), limits.drain));
    let served = match listening.tls {
        None => {
            let server = axum_server::from_tcp(listening.listener)?.handle(handle);
            let mut server = server.acceptor(limited);
            bounded(server.http_builder(), limits.headers_within);
            server.serve(service).await
        }
        Some(certificates) => {
            let server = axum_server::from_tcp(listening.listener)?.handle(handle);
            let mut server = server.acceptor(certificates.acceptor(limited));
            let following = tokio::spawn(certificates.follow());
            bounded(server.http_builder(), limits.headers_within);
            let served = server.serve(service).await;
            following.abort();
            served
        }
    };
    stopper.abort();
    served
}

fn bounded(builder: &mut Builder<TokioExecutor>, headers_within: Duration) {
    let timer = TokioTimer::new();
    builder.http1().timer(timer.clone()).header_read_timeout(headers_within);
    builder.http2().timer(timer);
}

async fn stop_when(mut shutdown: watch::Receiver<bool>, handle: Handle<SocketAddr>, drain: Duration) {
    // A dropped sender means that whoever started the server is gone.
    let _ = shutdown.wait_for(|stop| *stop).await;
    handle.graceful_shutdown(Some(drain));
}
