//! Where requests go.

use std::net::IpAddr;
use std::path::PathBuf;

use reqwest::Url;

/// Why an address cannot be used. Whoever configured it is at fault; trying again is pointless.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is no address that is spoken to. It is not shown: it may hold a secret.
    #[error("the address cannot be used: {0}")]
    Url(&'static str),
    /// The file of certificate authorities.
    #[error("`{path}` cannot be used: {why}", path = path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("tls cannot be set up: {0}")]
    Tls(String),
}

/// What an address looks like where it is configured.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// What is said of a text that is no address: "not one such as …".
    pub such_as: &'static str,
    /// Whether it may have a query.
    pub query: bool,
    /// What is said of one that goes on behind its end.
    pub ends: &'static str,
}

/// Reads an address: `https`, or `http` on this machine.
///
/// # Errors
/// `Url`.
pub fn address(text: &str, expected: &Expected) -> Result<Url, AddressError> {
    let url = Url::parse(text).map_err(|_| AddressError::Url(expected.such_as))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Url("user and password do not belong into it"));
    }
    let goes_on = url.fragment().is_some() || (url.query().is_some() && !expected.query);
    if goes_on || url.cannot_be_a_base() {
        return Err(AddressError::Url(expected.ends));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(AddressError::Url("plain http is for loopback addresses, use https")),
        _ => Err(AddressError::Url("the scheme must be https")),
    }
}

/// Returns the address below another one; `path` is not encoded yet, with slashes between its parts.
pub fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    // An address that was read has a path.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url
}

/// Tells whether an address is on this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests;
