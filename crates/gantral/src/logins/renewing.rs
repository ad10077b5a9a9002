//! The token of a login, renewed in time, by one process at a time.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use gantral_api::client::{FetchToken, NoToken, TokenFuture};
use gantral_core::json::text::inert;
use gantral_core::time::UnixMillis;
use gantral_oidc::{GrantError, Provider};

use super::{Kept, Logins};
use crate::failure::Failure;
use crate::when::now;

/// The tokens of the login at one server.
#[derive(Debug)]
pub struct LoginTokens {
    logins: Logins,
    url: String,
    /// Whether the server did not believe a token that should be good: the next one is a new one, once.
    disbelieved: AtomicBool,
    asked_anew: AtomicBool,
}

impl LoginTokens {
    /// Names the login at a server.
    pub fn new(logins: Logins, url: String) -> Self {
        Self { logins, url, disbelieved: AtomicBool::new(false), asked_anew: AtomicBool::new(false) }
    }

    /// Returns the login with a token that is good now.
    pub async fn current(&self) -> Result<Kept, Failure> {
        let disbelieved = self.disbelieved.swap(false, Ordering::Relaxed);
        let known = self.read()?;
        if known.is_fresh(now()) && !disbelieved {
            return Ok(known);
        }
        if known.refresh_token().is_none() {
            return if now() < known.expires_at() { Ok(known) } else { Err(self.over(&"it is over")) };
        }
        let _lock = self.logins.lock(&self.url).await?;
        // Another process may have been faster, and then the refresh token that was read above is spent.
        let mut kept = self.read()?;
        let renewed = kept.token() != known.token();
        if kept.is_fresh(now()) && (renewed || !disbelieved) {
            return Ok(kept);
        }
        match self.renewed(&mut kept).await {
            Ok(()) => Ok(kept),
            Err(Renewing::Refused(error)) => Err(self.over(&error)),
            Err(Renewing::Failed(_)) if now() < kept.expires_at() => Ok(kept),
            Err(Renewing::Failed(failure)) => Err(failure),
        }
    }

    /// Tells whether the provider lets it be renewed.
    pub fn renews(&self) -> bool {
        self.read().is_ok_and(|kept| kept.refresh_token().is_some())
    }

    async fn renewed(&self, kept: &mut Kept) -> Result<(), Renewing> {
        let failed = |error: GrantError| {
            if error.is_refusal() {
                Renewing::Refused(error)
            } else {
                let why = format!("`{}` does not renew the login at `{}`: {error}", kept.issuer, self.url);
                Renewing::Failed(Failure::new(why))
            }
        };
        let Some(refresh) = kept.refresh_token() else { return Ok(()) };
        let asked: UnixMillis = now();
        let provider = Provider::discover(&kept.issuer, kept.provider_ca_file.as_deref()).await;
        let granted = match provider {
            Ok(provider) => provider.refresh(&kept.client(), &refresh).await.map_err(failed)?,
            Err(error) => return Err(failed(error)),
        };
        kept.take(granted, asked).map_err(Renewing::Failed)?;
        self.logins.write(kept).map_err(Renewing::Failed)
    }

    fn read(&self) -> Result<Kept, Failure> {
        let kept = self.logins.read(&self.url)?;
        kept.ok_or_else(|| self.over(&"somebody logged out"))
    }

    fn over(&self, why: &dyn Display) -> Failure {
        Failure::new(format!("the login at `{}` has ended: {why}", self.url))
            .hint(format!("gantral login --url {}", self.url))
    }
}

/// Why a login was not renewed.
enum Renewing {
    /// The provider said no: only the person can go on.
    Refused(GrantError),
    /// Anything else, which may be otherwise in a moment.
    Failed(Failure),
}

impl FetchToken for LoginTokens {
    fn token(&self) -> TokenFuture<'_> {
        Box::pin(async {
            let kept = self.current().await.map_err(|failure| {
                let remedy = failure.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
                NoToken(inert(&format!("{failure}{remedy}")))
            })?;
            Ok(kept.token().to_owned())
        })
    }

    fn refused(&self, _token: &str) -> bool {
        let again = !self.asked_anew.swap(true, Ordering::Relaxed);
        self.disbelieved.store(again, Ordering::Relaxed);
        again
    }
}
