//! Identity providers over the network: what they publish of themselves, and the keys that they exchange.
//!
//! What a token has to be is the affair of `gantral-identity`, which fetches nothing. Here the keys of configured issuers are
//! fetched and brought to it: in time, again when a token names a key that is not known, and when somebody says so. A provider
//! that is away holds up nobody: its last keys are believed for as long as the configuration says, and then no longer.
//!
//! The other half is for whoever needs a token: people who log in with a browser, here or elsewhere, and machines that prove who they are
//! by a secret or a key. Tokens go to the endpoints that the discovery document of exactly this issuer names, by a protected connection,
//! and are shown by nothing.
//!
//! Sources: OpenID Connect Discovery 1.0, RFC 7517 (key sets), RFC 8414 (metadata of authorization servers), RFC 6749 and RFC 7636 (grants,
//! PKCE), RFC 8252 (loopback redirects), RFC 9207 (issuer of an answer), RFC 8628 (devices), RFC 7523 (assertions), RFC 7009 (revocation).

mod browser;
mod credential;
mod device;
mod endpoint;
mod fetch;
mod loopback;
mod machine;
mod metadata;
mod pkce;
mod providers;
mod refusal;
mod token;
#[cfg(test)]
mod told;
mod web;

pub use credential::Credential;
pub use device::DeviceCode;
pub use endpoint::{GrantError, Provider, PublicClient};
pub use fetch::FetchError;
pub use machine::{Machine, MachineTokens};
pub use metadata::Metadata;
pub use providers::{ProviderError, ProviderStatus, Providers, Refreshed};
pub use refusal::Refusal;
pub use token::{Granted, Token};
pub use web::{WebAnswer, WebClient, WebLogin};
