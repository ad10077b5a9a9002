//! The listening socket of our servers: loopback may be plain, everything else is TLS; and how one is served until it stops.
//!
//! What is answered, and who may ask, is the caller's router. A certificate of a client says nothing about who that is: it lets a connection
//! in, or is told to the router as [`ClientCertificate`].

mod certificates;
mod connections;
mod serving;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use crate::certificates::Certificates;

pub use certificates::ClientCertificate;
pub use serving::{ServeLimits, serve};

/// Certificate chain and key, PEM, and which certificates of clients are believed.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// What clients are asked for; nothing where absent.
    pub clients: Option<ClientAuthorities>,
}

impl TlsFiles {
    /// Names the files of a server that asks clients for nothing.
    pub const fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, clients: None }
    }
}

/// Whose certificates of clients are believed, and whether one is needed. A certificate that is shown must be good in any case.
#[derive(Debug, Clone)]
pub struct ClientAuthorities {
    /// The authorities, PEM, and no others.
    pub file: PathBuf,
    /// Whether a connection without a certificate ends before anything is read from it. Else it is the router's affair.
    pub required: bool,
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
    /// A file of certificates, or a key, cannot be used.
    #[error("`{path}` cannot be used: {why}", path = path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// A bound address, before anything is served on it.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Certificates>,
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
            Some(files) => Some(Certificates::read(files.clone()).await?),
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
