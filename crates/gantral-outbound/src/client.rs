//! Whom requests believe.

use std::path::Path;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Url};

use crate::address::AddressError;

/// Makes a client for an address, with what `more` sets beside. Connects to nothing yet.
///
/// # Errors
/// `Authorities`, `Tls`.
pub fn client_for(
    base: &Url,
    ca_file: Option<&Path>,
    more: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, AddressError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails only if another thread was faster, and then there is one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let builder = Client::builder()
        .user_agent(concat!("gantral/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy();
    let builder = match ca_file {
        Some(path) => builder.tls_certs_only(authorities(path)?),
        // Without TLS no authority is needed, and a small image may hold none.
        None if base.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
    };
    more(builder).build().map_err(|error| AddressError::Tls(error.to_string()))
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, AddressError> {
    let wrong = |why: String| AddressError::Authorities { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("it holds no certificate".to_owned())) } else { Ok(found) }
}
