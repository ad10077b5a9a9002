//! What requests to a witness and to a published log have in common.

use std::path::Path;
use std::time::Duration;

use gantral_outbound::{Expected, client_for};
use reqwest::{Client, Url};

pub use gantral_outbound::AddressError;
pub(crate) use gantral_outbound::{NoAnswer, below, body};

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const EXPECTED: Expected = Expected {
    such_as: "not one such as `https://log.example.org/`",
    query: false,
    ends: "it ends with a path",
};

/// Reads an address: `https`, or `http` on this machine.
pub(crate) fn address(text: &str) -> Result<Url, AddressError> {
    gantral_outbound::address(text, &EXPECTED)
}

/// Makes a client for an address. Connects to nothing yet.
pub(crate) fn client(base: &Url, ca_file: Option<&Path>) -> Result<Client, AddressError> {
    client_for(base, ca_file, |client| client.connect_timeout(CONNECT_WITHIN))
}

#[cfg(test)]
mod tests;
