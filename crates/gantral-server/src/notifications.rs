//! The section `[notifications]` of the configuration: who is told of gates.

use std::path::PathBuf;
use std::time::Duration;

use gantral_core::ids::{IdError, Name, TeamId, TenantId, WorkflowId};
use gantral_core::time::DurationMs;
use gantral_engine::{NoticeKind, Recipient, Recipients};
use gantral_notify::{
    Couriers, Format, RETRY_FOR_DEFAULT, TIMEOUT_DEFAULT, Webhook, WebhookConfig, WebhookError,
};
use serde::Deserialize;

/// The most webhooks: each is looked after by itself, costs a row for each message, and is a label of metrics.
const WEBHOOKS_MAX: usize = 64;
/// The shortest and the longest time that an answer may take.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 100..=60_000;
/// The shortest and the longest time for which a message is tried, in milliseconds: 1 s and 30 days.
const RETRIES: std::ops::RangeInclusive<u64> = 1_000..=30 * 86_400_000;

/// The section `[notifications]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationSettings {
    /// Webhooks.
    #[serde(default)]
    pub webhooks: Vec<WebhookSettings>,
}

/// One webhook.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Its name, unique among all.
    pub name: String,
    /// In which form it is told: `cloudevents`, `slack` or `teams`; the first when absent.
    #[serde(default)]
    pub format: Option<String>,
    /// Its address: `https`, or `http` on loopback; or a reference to it, `env:NAME` or `file:/path`, which that of a chat is.
    pub url: String,
    /// References to its secrets: `env:NAME` or `file:/path`. Every message is signed with each. None for a chat.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// The tenant whose gates it is told of; may be absent where the server has only one.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Only gates of these teams; of all when absent.
    #[serde(default)]
    pub teams: Vec<String>,
    /// Only gates of these workflows; of all when absent.
    #[serde(default)]
    pub workflows: Vec<String>,
    /// Only messages of these kinds, such as `gate.opened`; of all when absent.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// The authorities to trust for it, PEM; those of the system when absent.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How long an answer may take, `100ms` to `60s`; `10s` when absent.
    #[serde(default)]
    pub timeout: Option<String>,
    /// For how long a message is tried, `1s` to `30d`; `24h` when absent.
    #[serde(default)]
    pub retry_for: Option<String>,
}

/// What is wrong with the section. Its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum NotificationsError {
    /// Too many.
    #[error("`notifications.webhooks` has more than {WEBHOOKS_MAX}")]
    TooMany,
    /// Not a name of its kind.
    #[error("`notifications.webhooks`: {0}")]
    Name(#[from] IdError),
    /// Two of one name.
    #[error("`notifications.webhooks` names `{name}` twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// No tenant, or one that is not served.
    #[error("webhook `{name}`: `tenant` must be one of `tenants`, and may be absent only where there is one")]
    Tenant {
        /// The webhook.
        name: String,
    },
    /// No such kind.
    #[error("webhook `{name}`: `kinds` has `{kind}`, which is none of {known}")]
    Kind {
        /// The webhook.
        name: String,
        /// As it was written.
        kind: String,
        /// All kinds.
        known: String,
    },
    /// No such format.
    #[error("webhook `{name}`: `format` is `{format}`, which is none of `cloudevents`, `slack`, `teams`")]
    Format {
        /// The webhook.
        name: String,
        /// As it was written.
        format: String,
    },
    /// No such time.
    #[error("webhook `{name}`: `{member}` is `{text}`, which is not a time in its range")]
    Time {
        /// The webhook.
        name: String,
        /// `timeout` or `retry_for`.
        member: &'static str,
        /// As it was written.
        text: String,
    },
    /// It cannot be told like that.
    #[error("webhook `{name}`: {source}")]
    Webhook {
        /// The webhook.
        name: String,
        /// Why.
        source: WebhookError,
    },
}

/// Who is told, and what carries it there.
#[derive(Default)]
pub struct Notifications {
    /// For the engine, which writes what is told.
    pub recipients: Recipients,
    /// For the server, which delivers it.
    pub couriers: Couriers,
}

impl NotificationSettings {
    /// Reads names, times, secrets and certificates. Connects to nothing.
    ///
    /// # Errors
    /// `NotificationsError`, naming the webhook; it shows neither addresses nor secrets.
    pub fn open(&self, tenants: &[TenantId]) -> Result<Notifications, NotificationsError> {
        if self.webhooks.len() > WEBHOOKS_MAX {
            return Err(NotificationsError::TooMany);
        }
        let mut recipients: Vec<Recipient> = Vec::new();
        let mut webhooks = Vec::new();
        for settings in &self.webhooks {
            let recipient = settings.recipient(tenants)?;
            if recipients.iter().any(|other| other.name == recipient.name) {
                return Err(NotificationsError::Twice { name: settings.name.clone() });
            }
            webhooks.push(settings.webhook(&recipient)?);
            recipients.push(recipient);
        }
        Ok(Notifications { recipients: Recipients(recipients), couriers: Couriers::new(webhooks) })
    }
}

impl WebhookSettings {
    fn recipient(&self, tenants: &[TenantId]) -> Result<Recipient, NotificationsError> {
        let tenant = match (&self.tenant, tenants) {
            (Some(name), _) => tenants.iter().find(|tenant| tenant.as_str() == name),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let kind = |text: &String| {
            NoticeKind::parse(text).ok_or_else(|| NotificationsError::Kind {
                name: self.name.clone(),
                kind: text.clone(),
                known: NoticeKind::ALL.map(|kind| format!("`{}`", kind.as_str())).join(", "),
            })
        };
        Ok(Recipient {
            name: Name::parse(&self.name)?,
            tenant: tenant.ok_or_else(|| NotificationsError::Tenant { name: self.name.clone() })?.clone(),
            teams: self.teams.iter().map(|text| TeamId::parse(text)).collect::<Result<_, _>>()?,
            workflows: self.workflows.iter().map(|text| WorkflowId::parse(text)).collect::<Result<_, _>>()?,
            kinds: self.kinds.iter().map(kind).collect::<Result<_, _>>()?,
        })
    }

    fn webhook(&self, recipient: &Recipient) -> Result<Webhook, NotificationsError> {
        let timeout = self.time("timeout", self.timeout.as_deref(), TIMEOUTS)?;
        let format = self.format.as_deref().map_or(Some(Format::CloudEvents), Format::parse);
        let format = format.ok_or_else(|| NotificationsError::Format {
            name: self.name.clone(),
            format: self.format.clone().unwrap_or_default(),
        })?;
        let config = WebhookConfig {
            name: recipient.name.clone(),
            tenant: recipient.tenant.clone(),
            format,
            url: self.url.clone(),
            secrets: self.secrets.clone(),
            ca_file: self.ca_file.clone(),
            timeout: timeout.map_or(TIMEOUT_DEFAULT, |time| Duration::from_millis(time.get())),
            retry_for: self
                .time("retry_for", self.retry_for.as_deref(), RETRIES)?
                .unwrap_or(RETRY_FOR_DEFAULT),
        };
        Webhook::new(config, |name| std::env::var_os(name))
            .map_err(|source| NotificationsError::Webhook { name: self.name.clone(), source })
    }

    fn time(
        &self,
        member: &'static str,
        text: Option<&str>,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<DurationMs>, NotificationsError> {
        let Some(text) = text else { return Ok(None) };
        let time = DurationMs::parse(text).filter(|time| range.contains(&time.get()));
        let wrong = || NotificationsError::Time { name: self.name.clone(), member, text: text.to_owned() };
        time.map(Some).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests;
