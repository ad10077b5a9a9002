//! The certificate that is shown, and those that are asked for, as long as a server runs: files that somebody renews are read anew.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tower_layer::Layer as _;

use crate::connections::Limited;
use crate::{ClientAuthorities, ListenError, TlsFiles};

/// How often files are looked at. Whoever renews certificates does so hours before they end.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Whether the connection of a request has shown a certificate; an extension of each request that comes over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Clients are not asked for one.
    NotAsked,
    /// None was shown.
    Absent,
    /// One was shown, of a believed authority, and it was good when the connection began.
    Shown,
}

/// What TLS is spoken with.
#[derive(Debug)]
pub(crate) struct Certificates {
    files: TlsFiles,
    read: Material,
    config: RustlsConfig,
}

/// The bytes of the files.
#[derive(PartialEq, Eq)]
struct Material {
    certificate: Vec<u8>,
    key: Vec<u8>,
    clients: Option<Vec<u8>>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ListenError::Tls`], naming the file that cannot be used.
    pub(crate) async fn read(files: TlsFiles) -> Result<Self, ListenError> {
        let read = Material::read(&files).await?;
        let config = RustlsConfig::from_config(Arc::new(read.config(&files)?));
        Ok(Self { files, read, config })
    }

    /// Looks at the files again; returns whether others are in force from now on, for connections that begin. Those that cannot be used,
    /// because only one of two is renewed yet, change nothing.
    ///
    /// # Errors
    /// [`ListenError::Tls`]; what was in force stays so.
    pub(crate) async fn look(&mut self) -> Result<bool, ListenError> {
        let read = Material::read(&self.files).await?;
        if read == self.read {
            return Ok(false);
        }
        self.config.reload_from_config(Arc::new(read.config(&self.files)?));
        self.read = read;
        Ok(true)
    }

    /// Looks at the files again and again.
    pub(crate) async fn follow(mut self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.look().await {
                Ok(false) => {}
                Ok(true) => tracing::info!("the certificates were read anew"),
                Err(error) => {
                    tracing::error!(%error, "renewed certificates cannot be used, the former ones stay")
                }
            }
        }
    }

    /// Returns what takes connections, for as many as there is room for.
    pub(crate) fn acceptor(&self, limited: Limited) -> Showing {
        let asked = self.files.clients.is_some();
        Showing { inner: RustlsAcceptor::new(self.config.clone()).acceptor(limited), asked }
    }
}

impl Material {
    async fn read(files: &TlsFiles) -> Result<Self, ListenError> {
        let read = async |path: &Path| tokio::fs::read(path).await.map_err(|error| unusable(path, &error));
        let clients = match &files.clients {
            Some(clients) => Some(read(&clients.file).await?),
            None => None,
        };
        Ok(Self { certificate: read(&files.certificate).await?, key: read(&files.key).await?, clients })
    }

    fn config(&self, files: &TlsFiles) -> Result<ServerConfig, ListenError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let of_key = |error: &dyn std::fmt::Display| unusable(&files.key, error);
        let chain = certificates(&files.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| of_key(&error))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| of_key(&error))?;
        let builder = match files.clients.as_ref().zip(self.clients.as_deref()) {
            None => builder.with_no_client_auth(),
            Some((clients, pem)) => builder.with_client_cert_verifier(verifier(clients, pem, provider)?),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| of_key(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if files.clients.is_some() {
            // A session that is taken up again shows no certificate anew, and would outlive it.
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(config)
    }
}

/// Returns what looks at the certificates of clients.
fn verifier(
    clients: &ClientAuthorities,
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, ListenError> {
    let mut authorities = RootCertStore::empty();
    for authority in certificates(&clients.file, pem)? {
        authorities.add(authority).map_err(|error| unusable(&clients.file, &error))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| unusable(&clients.file, &error))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ListenError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(unusable(path, &"it holds no certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> ListenError {
    ListenError::Tls { path: path.to_owned(), why: why.to_string() }
}

/// Shows no key.
impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

/// Takes connections over TLS, and tells the router of each whether it has shown a certificate.
#[derive(Debug, Clone)]
pub(crate) struct Showing {
    inner: RustlsAcceptor<Limited>,
    asked: bool,
}

impl<S: Send + 'static> Accept<TcpStream, S> for Showing {
    type Stream = <RustlsAcceptor<Limited> as Accept<TcpStream, S>>::Stream;
    type Service = AddExtension<S, ClientCertificate>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let (accepting, asked) = (self.inner.accept(stream, service), self.asked);
        Box::pin(async move {
            let (stream, service) = accepting.await?;
            let shown = match stream.get_ref().1.peer_certificates() {
                _ if !asked => ClientCertificate::NotAsked,
                Some([_, ..]) => ClientCertificate::Shown,
                Some([]) | None => ClientCertificate::Absent,
            };
            Ok((stream, Extension(shown).layer(service)))
        })
    }
}

#[cfg(test)]
mod tests;
