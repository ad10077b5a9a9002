//! The section `[notifications.mail]`: the server that takes mail, and the mailboxes that get it.

use std::path::PathBuf;
use std::time::Duration;

use gantral_notify::{MAIL_TIMEOUT_DEFAULT, MailConfig, MailServer, MailTls};
use serde::Deserialize;

use super::{AtMost, Common, NotificationsError, Told, time, unknown};

/// The most mailboxes: each is looked after by itself, costs a row for each message, and is a label of metrics.
const MAILBOXES_MAX: usize = 256;
/// The shortest and the longest time that a delivery may take, in milliseconds.
const TIMEOUTS: std::ops::RangeInclusive<u64> = 1_000..=300_000;

/// The section `[notifications.mail]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// The server that takes mail, by the name that its certificate is for.
    pub host: String,
    /// `implicit`, `starttls`, or `none` on loopback; the first when absent.
    #[serde(default)]
    pub tls: Option<String>,
    /// Its port; 465, 587 or 25 when absent, by `tls`.
    #[serde(default)]
    pub port: Option<u16>,
    /// The authorities to trust for it, PEM; those of the system when absent.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// As whom to log in; not at all when absent.
    #[serde(default)]
    pub user: Option<String>,
    /// A reference to the password: `env:NAME` or `file:/path`.
    #[serde(default)]
    pub password: Option<String>,
    /// From whom mail is, as `Name <address>`.
    pub from: String,
    /// How long a delivery may take, `1s` to `5m`; `60s` when absent.
    #[serde(default)]
    pub timeout: Option<String>,
    /// Who gets it.
    #[serde(default)]
    pub to: Vec<MailboxSettings>,
}

/// One mailbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailboxSettings {
    /// Its name, unique among all channels.
    pub name: String,
    /// Its address.
    pub address: String,
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

impl MailSettings {
    /// Reads the section, and adds its mailboxes to those who are told.
    pub(super) fn open(&self, told: &mut Told<'_>) -> Result<(), NotificationsError> {
        if self.to.len() > MAILBOXES_MAX {
            return Err(NotificationsError::TooMany { section: "mail.to", most: MAILBOXES_MAX });
        }
        let server = MailServer::new(self.config()?, |name| std::env::var_os(name))?;
        for to in &self.to {
            told.add(&to.common(), server.mailbox(&to.address)?)?;
        }
        Ok(())
    }

    fn config(&self) -> Result<MailConfig, NotificationsError> {
        let known = MailTls::ALL.map(MailTls::as_str);
        let tls = self.tls.as_deref().unwrap_or(MailTls::Implicit.as_str());
        let tls = MailTls::parse(tls).ok_or_else(|| unknown("mail", "tls", tls, &known))?;
        let login = match (&self.user, &self.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            (None, None) => None,
            _ => return Err(NotificationsError::Login),
        };
        let timeout = time("mail", "timeout", self.timeout.as_deref(), TIMEOUTS)?;
        Ok(MailConfig {
            host: self.host.clone(),
            port: self.port.unwrap_or(tls.port()),
            tls,
            ca_file: self.ca_file.clone(),
            login,
            from: self.from.clone(),
            timeout: timeout.map_or(MAIL_TIMEOUT_DEFAULT, |time| Duration::from_millis(time.get())),
        })
    }
}

impl MailboxSettings {
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
}
