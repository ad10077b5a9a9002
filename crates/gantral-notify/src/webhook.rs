//! One webhook: who is told, where, under which secrets, and for how long it is tried.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use gantral_core::ids::{Name, TenantId};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_store::OutboxRow;

use crate::endpoint::{Endpoint, Signed};
use crate::message::{body, message_id};
use crate::secret::{SECRETS_MAX, SecretError, resolve};
use crate::signature::{Secret, sign};
pub use gantral_outbound::AddressError;

/// How long an answer may take when the configuration does not say.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// For how long a message is tried when the configuration does not say.
pub const RETRY_FOR_DEFAULT: DurationMs = DurationMs::from_secs(24 * 3_600);
/// The status by which a receiver says that it wants nothing more (Standard Webhooks).
const GONE: u16 = 410;

/// A webhook, as it is configured.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Its name, unique among all.
    pub name: Name,
    /// The tenant whose gates it is told of.
    pub tenant: TenantId,
    /// Its address: `https`, or `http` on loopback.
    pub url: String,
    /// References to its secrets, at least one and at most [`SECRETS_MAX`].
    pub secrets: Vec<String>,
    /// The authorities to trust for it, PEM; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// For how long a message is tried before it is given up.
    pub retry_for: DurationMs,
}

/// Why a webhook cannot be used. Whoever configured it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Its address or its authorities.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// None, or more secrets than a rotation needs.
    #[error("`secrets` names 1 to {SECRETS_MAX}")]
    Secrets,
}

/// A webhook that can be told.
pub struct Webhook {
    name: Name,
    tenant: TenantId,
    endpoint: Endpoint,
    secrets: Vec<Secret>,
    retry_for: DurationMs,
}

/// What came of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tried {
    /// A 2xx.
    Taken,
    /// The receiver wants nothing more.
    Gone,
    /// Anything else, in words that hold nothing secret.
    Failed(String),
}

impl Webhook {
    /// Resolves the secrets and reads the certificates. Connects to nothing.
    ///
    /// # Errors
    /// [`WebhookError`], which shows neither address nor secrets.
    pub fn new(
        config: WebhookConfig,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, WebhookError> {
        if !(1..=SECRETS_MAX).contains(&config.secrets.len()) {
            return Err(WebhookError::Secrets);
        }
        let secrets = config.secrets.iter().map(|reference| resolve(reference, &environment));
        Ok(Self {
            secrets: secrets.collect::<Result<_, _>>()?,
            endpoint: Endpoint::new(&config.url, config.ca_file.as_deref(), config.timeout)?,
            name: config.name,
            tenant: config.tenant,
            retry_for: config.retry_for,
        })
    }

    /// Returns its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the tenant whose gates it is told of.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns since when a message may have waited: one that has waited since then or longer is given up when it fails.
    pub(crate) fn given_up_since(&self, now: UnixMillis) -> UnixMillis {
        UnixMillis::new(now.get().saturating_sub(self.retry_for.get())).unwrap_or(UnixMillis::EPOCH)
    }

    /// Tries to deliver a message once. `source` is the URL under which people reach the server.
    pub(crate) async fn tell(&self, row: &OutboxRow, source: &str, now: UnixMillis) -> Tried {
        let Ok(body) = body(row, source) else { return Tried::Failed("it cannot be written".to_owned()) };
        let (id, timestamp) = (message_id(row), now.get() / 1_000);
        let signature = sign(&self.secrets, &id, timestamp, &body);
        match self.endpoint.post(Signed { id, timestamp, signature, body }).await {
            Ok(200..=299) => Tried::Taken,
            Ok(GONE) => Tried::Gone,
            Ok(status) => Tried::Failed(format!("answered {status}")),
            Err(error) => Tried::Failed(error.to_string()),
        }
    }
}

impl std::fmt::Debug for Webhook {
    /// Shows neither address nor secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
