//! The providers of a configuration, and their keys as they are now.

mod following;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use futures_util::future::{join_all, select};
use gantral_identity::{IdentityConfig, KeySource, Verifier};
use gantral_outbound::AddressError;

use crate::fetch::{FetchError, url};
use following::Following;

/// Why providers cannot be followed. The configuration is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// An address.
    #[error("issuer `{issuer}`: `keys.published` has no usable {member}: {source}")]
    Address {
        /// The issuer.
        issuer: String,
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        source: AddressError,
    },
    /// Nobody could log in there.
    #[error("issuer `{issuer}` has a `login`, and is no address where one could: {source}")]
    Login {
        /// The issuer.
        issuer: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// A time that is none.
    #[error(
        "issuer `{issuer}`: `keys.published` has a `{member}` that is not within {least} and {most} seconds"
    )]
    Time {
        /// The issuer.
        issuer: String,
        /// The member.
        member: &'static str,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// Two ways to the keys.
    #[error("issuer `{issuer}`: `keys.published` has both `discovery_url` and `jwks_url`")]
    TwoWays {
        /// The issuer.
        issuer: String,
    },
}

/// What came of asking a provider for its keys.
#[derive(Debug)]
pub struct Refreshed {
    /// The issuer.
    pub issuer: String,
    /// Whether its keys are others than before, or why they could not be had.
    pub outcome: Result<bool, FetchError>,
}

/// How it stands with the keys of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderStatus {
    /// The issuer.
    pub issuer: String,
    /// How long ago its keys were fetched; `None` when there are none that are believed.
    pub age: Option<Duration>,
    /// How often they could not be had, since the start.
    pub failures: u64,
}

/// Every configured issuer that publishes its keys. Shared between tasks.
#[derive(Debug, Default)]
pub struct Providers(BTreeMap<String, Following>);

impl Providers {
    /// Reads what a configuration says. Nothing is fetched yet.
    ///
    /// # Errors
    /// `ProviderError`, for whoever wrote it.
    pub fn new(config: &IdentityConfig) -> Result<Self, ProviderError> {
        let published = config.issuers.iter().filter_map(|issuer| match &issuer.keys {
            KeySource::Published(source) => Some((&issuer.issuer, source)),
            KeySource::Static(_) => None,
        });
        for issuer in config.issuers.iter().filter(|issuer| issuer.login.is_some()) {
            // Whoever logs in asks the issuer itself, from wherever they are.
            url(&issuer.issuer)
                .map_err(|source| ProviderError::Login { issuer: issuer.issuer.clone(), source })?;
        }
        let providers =
            published.map(|(issuer, source)| Ok((issuer.clone(), Following::new(issuer, source)?)));
        providers.collect::<Result<_, _>>().map(Self)
    }

    /// Fetches the keys of every provider once, side by side, so that the first token is not refused. One that does not answer is
    /// said in the log, and asked again later.
    pub async fn begin(&self, verifier: &Verifier) {
        self.refresh(verifier).await;
    }

    /// Keeps the keys current until `stop` ends.
    pub async fn run(&self, verifier: &Verifier, stop: impl Future<Output = ()>) {
        let following = join_all(self.0.values().map(|provider| provider.follow(verifier)));
        select(std::pin::pin!(following), std::pin::pin!(stop)).await;
    }

    /// Asks the issuer of a token that was refused for want of its key, unless it was asked just now. Verify the token again
    /// afterwards, once, whatever came of it.
    pub async fn ask_for(&self, verifier: &Verifier, token: &str) {
        let provider = verifier.publisher_of(token).and_then(|issuer| self.0.get(&issuer));
        if let Some(provider) = provider {
            provider.ask_again(verifier).await;
        }
    }

    /// Asks every provider now, because somebody says that keys have changed.
    pub async fn refresh(&self, verifier: &Verifier) -> Vec<Refreshed> {
        let asked = self.0.iter().map(async |(issuer, provider)| Refreshed {
            issuer: issuer.clone(),
            outcome: provider.refresh(verifier).await,
        });
        join_all(asked).await
    }

    /// Tells how it stands, by issuer.
    pub fn statuses(&self) -> Vec<ProviderStatus> {
        self.0.values().map(Following::status).collect()
    }
}

#[cfg(test)]
mod tests;
