//! Identity providers over the network: what they publish of themselves, and the keys that they exchange.
//!
//! What a token has to be is the affair of `gantral-identity`, which fetches nothing. Here the keys of configured issuers are
//! fetched and brought to it: in time, again when a token names a key that is not known, and when somebody says so. A provider
//! that is away holds up nobody: its last keys are believed for as long as the configuration says, and then no longer.
//!
//! Sources: OpenID Connect Discovery 1.0, RFC 7517 (key sets), RFC 8414 (metadata of authorization servers).

mod fetch;
mod metadata;
mod providers;

pub use fetch::FetchError;
pub use metadata::Metadata;
pub use providers::{ProviderError, ProviderStatus, Providers, Refreshed};
