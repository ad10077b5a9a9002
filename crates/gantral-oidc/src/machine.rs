//! Tokens of a machine: client credentials (RFC 6749 section 4.4), by a secret or by a key of its own (RFC 7523).

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::credential::{Credential, now};
use crate::endpoint::{GrantError, Provider};
use crate::fetch::url;
use crate::token::{Granted, Token};

/// How long before its end a token is replaced, at most: a fifth of a short life.
const MARGIN_MAX: Duration = Duration::from_secs(60);
/// How long a token counts as good at most, whatever is said of it.
const LIFE_MAX: Duration = Duration::from_secs(86_400);
/// How seldom a provider that did not answer is asked again, while the last token is still good.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// A machine at a provider.
#[derive(Debug)]
pub struct Machine {
    /// The exact issuer.
    pub issuer: String,
    /// The client.
    pub client: String,
    /// Its proof.
    pub credential: Credential,
    /// The parameters `scope`, `audience` and `resource`, where the provider wants them.
    pub scope: Option<String>,
    /// See `scope`.
    pub audience: Option<String>,
    /// See `scope`.
    pub resource: Option<String>,
    /// The authorities to trust, PEM; those of the system when absent.
    pub ca_file: Option<PathBuf>,
}

/// The tokens of a machine, one after the other: fetched when the last one is nearly over. Shared between tasks.
pub struct MachineTokens {
    machine: Machine,
    held: Mutex<Option<Held>>,
    /// Held while the provider is asked, so that it is asked once for all who wait.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Held {
    token: Token,
    /// When another one is worth asking for, and when this one is over.
    renew: Instant,
    over: Instant,
}

impl MachineTokens {
    /// Makes a source. Nothing is fetched yet.
    ///
    /// # Errors
    /// `Address` if the issuer is none.
    pub fn new(machine: Machine) -> Result<Self, GrantError> {
        url(&machine.issuer)?;
        Ok(Self { machine, held: Mutex::default(), asking: tokio::sync::Mutex::default() })
    }

    /// Returns a token that is good now. A provider that does not answer is no error while the last token is good.
    ///
    /// # Errors
    /// `GrantError`; ask again later.
    pub async fn token(&self) -> Result<Token, GrantError> {
        let fresh = |held: &Held| Instant::now() < held.renew;
        if let Some(held) = self.held().filter(fresh) {
            return Ok(held.token);
        }
        let _asking = self.asking.lock().await;
        let last = self.held();
        if let Some(held) = last.clone().filter(fresh) {
            return Ok(held.token);
        }
        match (self.fetch().await, last) {
            (Ok(held), _) => {
                let token = held.token.clone();
                self.keep(Some(held));
                Ok(token)
            }
            (Err(error), Some(last)) if Instant::now() < last.over => {
                tracing::warn!(issuer = self.machine.issuer, %error, "no new token, the last one is still good");
                let renew = last.over.min(Instant::now() + AGAIN_AFTER);
                self.keep(Some(Held { renew, ..last.clone() }));
                Ok(last.token)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Lets go of a token that was not believed. Returns whether it was the one that is held.
    pub fn refused(&self, token: &str) -> bool {
        let held = self.held().is_some_and(|held| held.token.expose() == token);
        if held {
            self.keep(None);
        }
        held
    }

    fn held(&self) -> Option<Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, held: Option<Held>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }

    async fn fetch(&self) -> Result<Held, GrantError> {
        let asked = Instant::now();
        let granted = self.machine.ask().await?;
        let now = now();
        let over = granted.expires_at(&granted.access, now);
        let life = Duration::from_millis(over.since(now).get()).min(LIFE_MAX);
        let margin = MARGIN_MAX.min(life / 5);
        // Counted from before the request: how long that took is not known to the provider.
        Ok(Held { token: granted.access, renew: asked + life - margin, over: asked + life })
    }
}

impl Machine {
    async fn ask(&self) -> Result<Granted, GrantError> {
        let provider = Provider::discover(&self.issuer, self.ca_file.as_deref()).await?;
        let mut form = vec![("grant_type", "client_credentials")];
        for (name, value) in
            [("scope", &self.scope), ("audience", &self.audience), ("resource", &self.resource)]
        {
            form.extend(value.as_deref().map(|value| (name, value)));
        }
        provider.grant_as(&self.client, &self.credential, form).await
    }
}

/// Shows whose tokens they are and none of them.
impl fmt::Debug for MachineTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineTokens").field("machine", &self.machine).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
