//! One provider, and its keys as they are now.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantral_identity::{JwkSet, PublishedKeys, Verifier};
use reqwest::Url;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{ProviderError, ProviderStatus};
use crate::fetch::{FetchError, fetch, url};
use crate::metadata::Metadata;

/// How seldom a provider is asked because of tokens whose key is not known: anybody can make those up.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// How many requests wait for one answer; more of them are refused at once.
const WAITING_MAX: usize = 64;
/// The shortest time between two fetches, whatever the provider says of their age.
const REFRESH_LEAST: Duration = Duration::from_secs(30);
/// The first pause after a failure, which doubles.
const AGAIN_FIRST: Duration = Duration::from_secs(2);
/// The bounds of what is configured, in seconds.
const REFRESH_SECONDS: (u64, u64) = (30, 3_600);
const KEEP_SECONDS: (u64, u64) = (60, 604_800);

/// One provider.
#[derive(Debug)]
pub(super) struct Following {
    issuer: String,
    source: PublishedKeys,
    jwks: Option<Url>,
    pub(super) refresh: Duration,
    pub(super) keep: Duration,
    /// Held while it is asked, so that it is asked once for all who wait.
    asking: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    waiting: Semaphore,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// When it was last asked, with whatever result.
    asked: Option<Instant>,
    /// When the keys that are believed were had.
    fetched: Option<Instant>,
    /// How long it says that they are current.
    max_age: Option<Duration>,
    /// How often it failed since the last success, and in all.
    in_a_row: u32,
    failures: u64,
}

impl Following {
    pub(super) fn new(issuer: &str, source: &PublishedKeys) -> Result<Self, ProviderError> {
        let wrong = |member, source| ProviderError::Address { issuer: issuer.to_owned(), member, source };
        let read = |member, text: &Option<String>| {
            text.as_deref().map(url).transpose().map_err(|source| wrong(member, source))
        };
        let jwks = read("`jwks_url`", &source.jwks_url)?;
        let discovery = read("`discovery_url`", &source.discovery_url)?;
        match (&jwks, &discovery) {
            (Some(_), Some(_)) => return Err(ProviderError::TwoWays { issuer: issuer.to_owned() }),
            (None, None) => _ = url(issuer).map_err(|source| wrong("issuer as its address", source))?,
            _ => {}
        }
        let within = |member, seconds: u64, (least, most): (u64, u64)| {
            let issuer = || issuer.to_owned();
            let within = (least..=most).contains(&seconds).then(|| Duration::from_secs(seconds));
            within.ok_or_else(|| ProviderError::Time { issuer: issuer(), member, least, most })
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            jwks,
            refresh: within("refresh_seconds", source.refresh_seconds, REFRESH_SECONDS)?,
            keep: within("keep_seconds", source.keep_seconds, KEEP_SECONDS)?,
            source: source.clone(),
            asking: tokio::sync::Mutex::default(),
            state: Mutex::default(),
            waiting: Semaphore::new(WAITING_MAX),
        })
    }

    /// Asks now; returns whether the keys are others than before.
    pub(super) async fn refresh(&self, verifier: &Verifier) -> Result<bool, FetchError> {
        let _asking = self.asking.lock().await;
        self.ask(verifier).await
    }

    /// Asks, unless it was asked just now; whoever comes while it is asked waits for the same answer.
    pub(super) async fn ask_again(&self, verifier: &Verifier) {
        let Ok(_place) = self.waiting.try_acquire() else { return };
        let _asking = self.asking.lock().await;
        if self.state().asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN_AFTER) {
            // Said in the log; the token is refused for want of its key.
            let _ = self.ask(verifier).await;
        }
    }

    /// Keeps the keys current; never ends.
    pub(super) async fn follow(&self, verifier: &Verifier) {
        loop {
            let due = self.due(self.state());
            tokio::time::sleep_until(due).await;
            let _asking = self.asking.lock().await;
            // Somebody else may have asked in the meantime.
            if self.due(self.state()) <= Instant::now() {
                let _ = self.ask(verifier).await;
            }
            self.drop_what_is_too_old(verifier);
        }
    }

    pub(super) fn status(&self) -> ProviderStatus {
        let State { fetched, failures, .. } = self.state();
        ProviderStatus {
            issuer: self.issuer.clone(),
            age: fetched.map(|fetched| fetched.elapsed()),
            failures,
        }
    }

    fn drop_what_is_too_old(&self, verifier: &Verifier) {
        let mut state = self.lock();
        if state.fetched.is_some_and(|fetched| fetched.elapsed() >= self.keep) {
            state.fetched = None;
            verifier.drop_keys(&self.issuer);
            tracing::error!(
                issuer = self.issuer,
                "its keys are too old to be believed: its tokens are refused"
            );
        }
    }

    fn state(&self) -> State {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when it is asked next: before the keys that are here become too old to be believed, in any case.
    fn due(&self, state: State) -> Instant {
        let Some(asked) = state.asked else { return Instant::now() };
        let pause = match state.in_a_row {
            0 => state.max_age.unwrap_or(self.refresh).max(REFRESH_LEAST).min(self.refresh),
            failures => AGAIN_FIRST.saturating_mul(1 << (failures - 1).min(10)).min(self.refresh),
        };
        let next = asked + pause;
        state.fetched.map_or(next, |fetched| next.min(fetched + self.keep)).max(asked)
    }

    async fn ask(&self, verifier: &Verifier) -> Result<bool, FetchError> {
        let outcome = self.fetch(verifier).await;
        let mut state = self.lock();
        state.asked = Some(Instant::now());
        match &outcome {
            Ok((changed, max_age)) => {
                state.fetched = state.asked;
                state.max_age = *max_age;
                state.in_a_row = 0;
                if *changed {
                    tracing::info!(issuer = self.issuer, "has other keys than before");
                }
            }
            Err(error) => {
                state.in_a_row = state.in_a_row.saturating_add(1);
                state.failures = state.failures.saturating_add(1);
                tracing::warn!(issuer = self.issuer, %error, "its keys cannot be had");
            }
        }
        outcome.map(|(changed, _)| changed)
    }

    async fn fetch(&self, verifier: &Verifier) -> Result<(bool, Option<Duration>), FetchError> {
        let at = match &self.jwks {
            Some(url) => url.clone(),
            None => Metadata::fetch(&self.issuer, &self.source).await?.jwks,
        };
        let set = fetch::<JwkSet>(&at, &self.source, "a key set").await?;
        let put = verifier.put_keys(&self.issuer, set.document)?;
        for error in put.left_out {
            tracing::warn!(issuer = self.issuer, %error, "a key of its set is left out");
        }
        Ok((put.changed, set.max_age))
    }
}
