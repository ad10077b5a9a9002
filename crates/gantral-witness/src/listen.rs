//! The listening socket: loopback may be plain, everything else is TLS.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use axum_server::tls_rustls::RustlsConfig;

/// Certificate chain and key, PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why the witness does not listen. Whoever runs it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Plain HTTP would leave this machine.
    #[error("`{0}` is not loopback: give a certificate and a key, or let a proxy with TLS stand before it")]
    PlainBeyondLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on `{address}`: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("certificate or key cannot be used: {0}")]
    Tls(std::io::Error),
}

/// A bound address, before anything is served on it.
pub struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<RustlsConfig>,
    address: SocketAddr,
}

impl Listening {
    /// Binds an address; port 0 picks a free one.
    ///
    /// # Errors
    /// `ListenError`; nothing is bound then.
    pub async fn bind(address: SocketAddr, tls: Option<&TlsFiles>) -> Result<Self, ListenError> {
        let tls = match tls {
            None if !address.ip().to_canonical().is_loopback() => {
                return Err(ListenError::PlainBeyondLoopback(address));
            }
            None => None,
            Some(files) => {
                // Another part of the process may have installed the same provider before.
                let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
                let config = RustlsConfig::from_pem_file(&files.certificate, &files.key).await;
                Some(config.map_err(ListenError::Tls)?)
            }
        };
        let bind = |address| {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        };
        let (listener, address) = bind(address).map_err(|source| ListenError::Bind { address, source })?;
        Ok(Self { listener, tls, address })
    }

    /// Returns the URL of the address.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}
