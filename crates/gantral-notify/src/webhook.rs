//! One webhook: in which form it is told, where, and under which secrets.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use gantral_core::time::UnixMillis;
use serde_json::Value;

use crate::channel::Tried;
use crate::endpoint::{Answer, Endpoint, Request};
use crate::message::{MEDIA_TYPE, body};
use crate::retry_after::retry_after;
use crate::secret::{SECRETS_MAX, SecretError, is_reference, resolve, resolve_line};
use crate::signature::{Secret, sign};
use crate::told::Told;
use crate::words::words;
use crate::{slack, teams};
pub use gantral_outbound::AddressError;
use gantral_outbound::NoAnswer;

/// How long an answer may take when the configuration does not say.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How many messages of a webhook are under way at once, each of another gate. While the webhook is away it is one.
const AT_ONCE: usize = 16;
/// The status by which a receiver says that it wants nothing more (Standard Webhooks).
const GONE: u16 = 410;
/// The statuses by which a receiver says that it takes nothing now, whatever it is: it is asked for less, or something behind it is away.
const TAKES_NOTHING: [u16; 4] = [429, 502, 503, 504];

/// In which form a webhook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// CloudEvents, signed after Standard Webhooks.
    CloudEvents,
    /// For an incoming webhook of Slack.
    Slack,
    /// An Adaptive Card, for a webhook of a Teams workflow.
    Teams,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::CloudEvents, Self::Slack, Self::Teams];

    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CloudEvents => "cloudevents",
            Self::Slack => "slack",
            Self::Teams => "teams",
        }
    }

    /// Returns the format of a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// Tells whether people read it as it comes: its address holds a token, and nothing is signed.
    const fn is_chat(self) -> bool {
        match self {
            Self::CloudEvents => false,
            Self::Slack | Self::Teams => true,
        }
    }
}

/// A webhook, as it is configured.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// In which form it is told.
    pub format: Format,
    /// Its address, or a reference to it: `https`, or `http` on loopback. That of a chat holds a token and is a reference.
    pub url: String,
    /// References to its secrets, at least one and at most [`SECRETS_MAX`]; none for a chat.
    pub secrets: Vec<String>,
    /// The authorities to trust for it, PEM; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
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
    /// Secrets for a chat.
    #[error("`secrets` has no meaning for a chat: it checks no signatures, its address is what it trusts")]
    Unsigned,
    /// The address of a chat stands in the configuration.
    #[error("`url` of a chat holds a token: write `env:NAME` or `file:/path`")]
    OpenAddress,
}

/// A webhook that can be told.
pub struct Webhook {
    format: Format,
    endpoint: Endpoint,
    secrets: Vec<Secret>,
}

impl Webhook {
    /// Resolves the secrets and reads the certificates. Connects to nothing.
    ///
    /// # Errors
    /// `WebhookError`, which shows neither address nor secrets.
    pub fn new(
        config: WebhookConfig,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, WebhookError> {
        match (config.format.is_chat(), config.secrets.len()) {
            (true, 0) if !is_reference(&config.url) => return Err(WebhookError::OpenAddress),
            (true, 0) | (false, 1..=SECRETS_MAX) => {}
            (true, _) => return Err(WebhookError::Unsigned),
            (false, _) => return Err(WebhookError::Secrets),
        }
        let url =
            if is_reference(&config.url) { resolve_line(&config.url, &environment)? } else { config.url };
        let secrets = config.secrets.iter().map(|reference| resolve(reference, &environment));
        Ok(Self {
            secrets: secrets.collect::<Result<_, _>>()?,
            endpoint: Endpoint::new(&url, config.ca_file.as_deref(), config.timeout)?,
            format: config.format,
        })
    }

    /// Returns how many messages may be under way at once, each of another gate. In a chat they stand one below the other, so one.
    pub(crate) fn at_once(&self) -> usize {
        if self.format.is_chat() { 1 } else { AT_ONCE }
    }

    /// Tries to deliver a message once. `source` is the URL under which people reach the server.
    pub(crate) async fn tell(&self, told: &Told, source: &str, now: UnixMillis) -> Tried {
        let Ok(request) = self.request(told, source, now) else {
            return Tried::Failed("it cannot be written".to_owned());
        };
        match self.endpoint.post(request).await {
            Ok(Answer { status: 200..=299, .. }) => Tried::Taken,
            Ok(Answer { status: GONE, .. }) => Tried::Gone,
            Ok(Answer { status, retry_after: wait }) if TAKES_NOTHING.contains(&status) => {
                let wait = wait.and_then(|value| retry_after(&value, now));
                Tried::Away { why: format!("answered {status}"), wait }
            }
            Ok(Answer { status, .. }) => Tried::Failed(format!("answered {status}")),
            Err(error @ NoAnswer::Connect) => Tried::Away { why: error.to_string(), wait: None },
            // A receiver of somebody's own may stumble over one message; a chat does not.
            Err(error) if self.format.is_chat() => Tried::Away { why: error.to_string(), wait: None },
            Err(error) => Tried::Failed(error.to_string()),
        }
    }

    fn request(&self, told: &Told, source: &str, now: UnixMillis) -> Result<Request, serde_json::Error> {
        let chat = |media_type, body: Value| {
            Ok(Request { media_type, headers: Vec::new(), body: serde_json::to_vec(&body)? })
        };
        match self.format {
            Format::CloudEvents => {
                let (body, id, timestamp) = (body(told, source, now)?, told.id(), now.get() / 1_000);
                let signature = sign(&self.secrets, &id, timestamp, &body);
                let headers = vec![
                    ("webhook-id", id),
                    ("webhook-timestamp", timestamp.to_string()),
                    ("webhook-signature", signature),
                ];
                Ok(Request { media_type: MEDIA_TYPE, headers, body })
            }
            Format::Slack => chat(slack::MEDIA_TYPE, slack::body(&words(told, source))),
            Format::Teams => chat(teams::MEDIA_TYPE, teams::body(&words(told, source))),
        }
    }
}

impl std::fmt::Debug for Webhook {
    /// Shows neither address nor secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("format", &self.format).finish_non_exhaustive()
    }
}
