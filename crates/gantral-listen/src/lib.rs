//! The listening socket of our servers: loopback may be plain, everything else is TLS; and how one is served until it stops.
//!
//! What is answered, and who may ask, is the caller's router.

mod connections;
mod serving;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use axum_server::tls_rustls::RustlsConfig;

pub use serving::{ServeLimits, serve};

/// Certificate chain and key, PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why nothing listens. Whoever runs the server is at fault; nothing is bound.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Plain HTTP would leave this machine.
    #[error(
        "`{address}` is not loopback: give a certificate and a key, or let a proxy with TLS stand before it"
    )]
    PlainBeyondLoopback {
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
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<RustlsConfig>,
}

impl Listening {
    /// Binds an address; port 0 picks a free one. Without files the address must be loopback.
    ///
    /// # Errors
    /// [`ListenError`]; nothing is bound then.
    pub async fn bind(address: SocketAddr, tls: Option<&TlsFiles>) -> Result<Self, ListenError> {
        let tls = match tls {
            None if !address.ip().to_canonical().is_loopback() => {
                return Err(ListenError::PlainBeyondLoopback { address });
            }
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

#[cfg(test)]
mod tests;
