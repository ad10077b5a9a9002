//! The listening socket: loopback may be plain, everything else is TLS.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use gantral_identity::development_allowed;
use tokio::sync::watch;

use crate::app::App;
use crate::logs::Keeping;
use crate::router::router;
use crate::scheduler::run_scheduler;

/// How long requests under way may take to end once the server stops; long polls are cut.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a connection may be idle, or take to send the headers of a request.
const HEADERS_WITHIN: Duration = Duration::from_secs(75);

/// Certificate chain and key, PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Plain HTTP would leave this machine.
    #[error("`{address}` is not loopback: give a certificate and a key")]
    PlainBeyondLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The development issuer would be trusted from elsewhere.
    #[error("`{address}` is not loopback: the development issuer is for this machine only")]
    DevelopmentBeyondLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be had.
    #[error("cannot listen on `{address}`: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("certificate or key cannot be used: {source}")]
    Tls {
        /// Why.
        source: std::io::Error,
    },
}

/// A bound address, before anything is served on it.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<RustlsConfig>,
}

impl Listening {
    /// Binds an address; port 0 picks a free one.
    ///
    /// # Errors
    /// `ListenError`; nothing is bound then.
    pub async fn bind(
        address: SocketAddr,
        tls: Option<&TlsFiles>,
        development: bool,
    ) -> Result<Self, ListenError> {
        let loopback = development_allowed(&address).is_ok();
        if development && !loopback {
            return Err(ListenError::DevelopmentBeyondLoopback { address });
        }
        if tls.is_none() && !loopback {
            return Err(ListenError::PlainBeyondLoopback { address });
        }
        let tls = match tls {
            None => None,
            Some(files) => {
                // Another part of the process may have installed the same provider before.
                let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
                let config = RustlsConfig::from_pem_file(&files.certificate, &files.key).await;
                Some(config.map_err(|source| ListenError::Tls { source })?)
            }
        };
        let bind = |address| {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        };
        let (listener, address) = bind(address).map_err(|source| ListenError::Bind { address, source })?;
        Ok(Self { listener, address, tls })
    }

    /// Returns the address that was bound.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the address.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

/// Serves until `shutdown` turns true, then drains. The scheduler runs beside it.
///
/// # Errors
/// When the socket fails.
pub async fn serve(app: App, listening: Listening, shutdown: watch::Receiver<bool>) -> std::io::Result<()> {
    let service = router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let handle = Handle::new();
    let keeping = app.take_keeping().map(|keeping| tokio::spawn(keep(keeping, shutdown.clone())));
    let scheduler = tokio::spawn(run_scheduler(app, shutdown.clone()));
    let stopper = tokio::spawn(stop_when(shutdown, handle.clone()));
    let served = match listening.tls {
        None => {
            let mut server = axum_server::from_tcp(listening.listener)?.handle(handle);
            bounded(server.http_builder());
            server.serve(service).await
        }
        Some(tls) => {
            let mut server = axum_server::from_tcp_rustls(listening.listener, tls)?.handle(handle);
            bounded(server.http_builder());
            server.serve(service).await
        }
    };
    stopper.abort();
    scheduler.abort();
    // Whoever opens the ledger next must not find the scheduler still at it.
    let _ = scheduler.await;
    if let Some(mut keeping) = keeping {
        // A round that has begun is ended, unless the disk hangs.
        if tokio::time::timeout(DRAIN, &mut keeping).await.is_err() {
            keeping.abort();
        }
    }
    served
}

/// Lets the logs grow until `shutdown` turns true.
async fn keep(keeping: Keeping, mut shutdown: watch::Receiver<bool>) {
    // A dropped sender means that whoever started the server is gone.
    keeping.run(async { _ = shutdown.wait_for(|stop| *stop).await }).await;
}

fn bounded(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    let timer = hyper_util::rt::TokioTimer::new();
    builder.http1().timer(timer.clone()).header_read_timeout(HEADERS_WITHIN);
    builder.http2().timer(timer);
}

async fn stop_when(mut shutdown: watch::Receiver<bool>, handle: Handle<SocketAddr>) {
    // A dropped sender means that whoever started the server is gone.
    let _ = shutdown.wait_for(|stop| *stop).await;
    handle.graceful_shutdown(Some(DRAIN));
}
