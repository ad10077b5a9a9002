//! The section `[notifications]` of the configuration: who is told of gates.

use std::path::PathBuf;
use std::time::Duration;

use gantral_core::ids::{IdError, Name, Role, TeamId, TenantId, WorkflowId};
use gantral_core::time::DurationMs;
use gantral_engine::{NoticeKind, Recipient, Recipients};
use gantral_notify::{
    Channel, ChannelConfig, Couriers, Format, MailError, Pace, RETRY_FOR_DEFAULT, TIMEOUT_DEFAULT, Way,
    Webhook, WebhookConfig, WebhookError,
};
use serde::Deserialize;

pub use self::mail::{MailSettings, MailboxSettings};

mod mail;

/// The most webhooks: each is looked after by itself, costs a row for each message, and is a label of metrics.
const WEBHOOKS_MAX: usize = 64;
/// The shortest and the longest time that an answer may take, in milliseconds.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 100..=60_000;
/// The shortest and the longest time for which a message is tried, in milliseconds: 1 s and 30 days.
const RETRIES: std::ops::RangeInclusive<u64> = 1_000..=30 * 86_400_000;

/// The shortest and the longest time for which messages are gathered, in milliseconds: 1 min and 7 days.
const SPANS: std::ops::RangeInclusive<u64> = 60_000..=7 * 86_400_000;
/// How many messages a limit may be.
const AT_MOST: std::ops::RangeInclusive<u64> = 1..=1_000;

/// The section `[notifications]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationSettings {
    /// Webhooks.
    #[serde(default)]
    pub webhooks: Vec<WebhookSettings>,
    /// Mail.
    #[serde(default)]
    pub mail: Option<MailSettings>,
}

/// How often a channel may be told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtMost {
    /// How many messages, 1 to 1000.
    pub messages: u64,
    /// Within how long, `1m` to `7d`.
    pub within: String,
}

/// One webhook.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Its name, unique among all channels.
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
    /// Only gates that ask one of these roles; all when absent.
    #[serde(default)]
    pub roles: Vec<String>,
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
    /// How often it may be told; the rest is gathered.
    #[serde(default)]
    pub at_most: Option<AtMost>,
    /// Of all together, once the first message has waited so long, `1m` to `7d`; of each by itself when absent.
    #[serde(default)]
    pub digest: Option<String>,
}

/// What is wrong with the section. Its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum NotificationsError {
    /// Too many.
    #[error("`notifications.{section}` has more than {most}")]
    TooMany {
        /// Where.
        section: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// Not a name of its kind.
    #[error("`notifications`: {0}")]
    Name(#[from] IdError),
    /// Two of one name.
    #[error("`notifications` names `{name}` twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// No tenant, or one that is not served.
    #[error("channel `{name}`: `tenant` must be one of `tenants`, and may be absent only where there is one")]
    Tenant {
        /// The channel.
        name: String,
    },
    /// No such word.
    #[error("channel `{name}`: `{member}` has `{word}`, which is none of {known}")]
    Word {
        /// The channel.
        name: String,
        /// The member.
        member: &'static str,
        /// As it was written.
        word: String,
        /// All words.
        known: String,
    },
    /// No such time.
    #[error("channel `{name}`: `{member}` is `{text}`, which is not a time in its range")]
    Time {
        /// The channel, or `mail`.
        name: String,
        /// The member.
        member: &'static str,
        /// As it was written.
        text: String,
    },
    /// Both of two that exclude each other.
    #[error("channel `{name}`: `digest` and `at_most` exclude each other")]
    Pace {
        /// The channel.
        name: String,
    },
    /// No such limit.
    #[error("channel `{name}`: `at_most.messages` is {messages}, which is not 1 to 1000")]
    AtMost {
        /// The channel.
        name: String,
        /// As it was written.
        messages: u64,
    },
    /// Messages would be too old before they are told.
    #[error("channel `{name}`: `{member}` is more than half of `retry_for`")]
    TooOld {
        /// The channel.
        name: String,
        /// The member.
        member: &'static str,
    },
    /// It cannot be told like that.
    #[error("webhook `{name}`: {source}")]
    Webhook {
        /// The webhook.
        name: String,
        /// Why.
        source: WebhookError,
    },
    /// Mail cannot be sent like that.
    #[error("mail: {0}")]
    Mail(#[from] MailError),
    /// A user without a password, or the other way round.
    #[error("mail: `user` and `password` belong together")]
    Login,
}

/// Who is told, and what carries it there.
#[derive(Default)]
pub struct Notifications {
    /// For the engine, which writes what is told.
    pub recipients: Recipients,
    /// For the server, which delivers it.
    pub couriers: Couriers,
}

/// What webhooks and mailboxes have in common.
struct Common<'a> {
    name: &'a str,
    tenant: Option<&'a str>,
    roles: &'a [String],
    teams: &'a [String],
    workflows: &'a [String],
    kinds: &'a [String],
    retry_for: Option<&'a str>,
    at_most: Option<&'a AtMost>,
    digest: Option<&'a str>,
}

impl NotificationSettings {
    /// Reads names, times, secrets and certificates. Connects to nothing.
    ///
    /// # Errors
    /// `NotificationsError`, naming the channel; it shows neither addresses of webhooks nor secrets.
    pub fn open(&self, tenants: &[TenantId]) -> Result<Notifications, NotificationsError> {
        if self.webhooks.len() > WEBHOOKS_MAX {
            return Err(NotificationsError::TooMany { section: "webhooks", most: WEBHOOKS_MAX });
        }
        let mut told = Told { tenants, recipients: Vec::new(), channels: Vec::new() };
        for settings in &self.webhooks {
            told.add(&settings.common(), settings.webhook()?)?;
        }
        if let Some(mail) = &self.mail {
            mail.open(&mut told)?;
        }
        Ok(Notifications { recipients: Recipients(told.recipients), couriers: Couriers::new(told.channels) })
    }
}

/// The channels that were read so far.
struct Told<'a> {
    tenants: &'a [TenantId],
    recipients: Vec<Recipient>,
    channels: Vec<Channel>,
}

impl Told<'_> {
    fn add(&mut self, common: &Common<'_>, way: impl Into<Way>) -> Result<(), NotificationsError> {
        let recipient = common.recipient(self.tenants)?;
        if self.recipients.iter().any(|other| other.name == recipient.name) {
            return Err(NotificationsError::Twice { name: common.name.to_owned() });
        }
        let retry_for = time(common.name, "retry_for", common.retry_for, RETRIES)?;
        let retry_for = retry_for.unwrap_or(RETRY_FOR_DEFAULT);
        let config = ChannelConfig {
            name: recipient.name.clone(),
            tenant: recipient.tenant.clone(),
            pace: common.pace(retry_for)?,
            retry_for,
        };
        self.channels.push(Channel::new(config, way));
        self.recipients.push(recipient);
        Ok(())
    }
}

impl Common<'_> {
    fn recipient(&self, tenants: &[TenantId]) -> Result<Recipient, NotificationsError> {
        let tenant = match (self.tenant, tenants) {
            (Some(name), _) => tenants.iter().find(|tenant| tenant.as_str() == name),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        let kind = |text: &String| {
            let known = || NoticeKind::ALL.map(NoticeKind::as_str);
            NoticeKind::parse(text).ok_or_else(|| unknown(self.name, "kinds", text, &known()))
        };
        Ok(Recipient {
            name: Name::parse(self.name)?,
            tenant: tenant.ok_or_else(|| NotificationsError::Tenant { name: self.name.to_owned() })?.clone(),
            roles: self.roles.iter().map(|text| Role::parse(text)).collect::<Result<_, _>>()?,
            teams: self.teams.iter().map(|text| TeamId::parse(text)).collect::<Result<_, _>>()?,
            workflows: self.workflows.iter().map(|text| WorkflowId::parse(text)).collect::<Result<_, _>>()?,
            kinds: self.kinds.iter().map(kind).collect::<Result<_, _>>()?,
        })
    }
}

impl Common<'_> {
    fn pace(&self, retry_for: DurationMs) -> Result<Pace, NotificationsError> {
        let name = || self.name.to_owned();
        let (member, text) = match (self.digest, self.at_most) {
            (None, None) => return Ok(Pace::Each),
            (Some(_), Some(_)) => return Err(NotificationsError::Pace { name: name() }),
            (Some(every), None) => ("digest", every),
            (None, Some(limit)) => ("at_most.within", limit.within.as_str()),
        };
        let read = time(self.name, member, Some(text), SPANS)?;
        let span = read.filter(|span| span.get() <= retry_for.get() / 2);
        let span = span.ok_or_else(|| NotificationsError::TooOld { name: name(), member })?;
        match self.at_most {
            None => Ok(Pace::Digest { every: span }),
            Some(AtMost { messages, .. }) if AT_MOST.contains(messages) => {
                Ok(Pace::AtMost { messages: *messages, within: span })
            }
            Some(AtMost { messages, .. }) => {
                Err(NotificationsError::AtMost { name: name(), messages: *messages })
            }
        }
    }
}

impl WebhookSettings {
    fn common(&self) -> Common<'_> {
        Common {
            name: &self.name,
            tenant: self.tenant.as_deref(),
            roles: &self.roles,
            teams: &self.teams,
            workflows: &self.workflows,
            kinds: &self.kinds,
            retry_for: self.retry_for.as_deref(),
            at_most: self.at_most.as_ref(),
            digest: self.digest.as_deref(),
        }
    }

    fn webhook(&self) -> Result<Webhook, NotificationsError> {
        let known = Format::ALL.map(Format::as_str);
        let format = self.format.as_deref().unwrap_or(Format::CloudEvents.as_str());
        let timeout = time(&self.name, "timeout", self.timeout.as_deref(), TIMEOUTS)?;
        let config = WebhookConfig {
            format: Format::parse(format).ok_or_else(|| unknown(&self.name, "format", format, &known))?,
            url: self.url.clone(),
            secrets: self.secrets.clone(),
            ca_file: self.ca_file.clone(),
            timeout: timeout.map_or(TIMEOUT_DEFAULT, |time| Duration::from_millis(time.get())),
        };
        Webhook::new(config, |name| std::env::var_os(name))
            .map_err(|source| NotificationsError::Webhook { name: self.name.clone(), source })
    }
}

fn unknown(name: &str, member: &'static str, word: &str, known: &[&str]) -> NotificationsError {
    let known: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
    NotificationsError::Word { name: name.to_owned(), member, word: word.to_owned(), known: known.join(", ") }
}

fn time(
    name: &str,
    member: &'static str,
    text: Option<&str>,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<DurationMs>, NotificationsError> {
    let Some(text) = text else { return Ok(None) };
    let time = DurationMs::parse(text).filter(|time| range.contains(&time.get()));
    let wrong = || NotificationsError::Time { name: name.to_owned(), member, text: text.to_owned() };
    time.map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
