//! Mail over SMTP (RFC 5321, RFC 3207, RFC 8314): one server that takes it, and mailboxes that get it.
//!
//! Of an answer only the code counts. What a server may see is sent over TLS that it was verified for, or does not leave this machine.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantral_core::time::UnixMillis;
use lettre::Address;
use lettre::message::Mailbox as Named;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::channel::Tried;
use crate::mail::letter::letter;
use crate::secret::{SecretError, resolve_line};
use crate::told::Told;
use crate::words::words;

mod letter;

/// How long a delivery may take, from the connection to the last answer, when the configuration does not say.
pub const MAIL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// How many connections the server gets at once, whoever the mail is for.
const CONNECTIONS_MAX: usize = 4;
/// How long the farewell may take: the mail is taken by then.
const QUIT_WITHIN: Duration = Duration::from_secs(1);
/// How a password may be shown, from the first that the server offers. It is shown over TLS or on this machine only.
const MECHANISMS: &[Mechanism] = &[Mechanism::Plain, Mechanism::Login];

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// TLS from the first byte.
    Implicit,
    /// TLS before anything is said; a server that does not offer it gets nothing.
    StartTls,
    /// None: on this machine only.
    None,
}

impl MailTls {
    /// Every protection.
    pub const ALL: [Self; 3] = [Self::Implicit, Self::StartTls, Self::None];

    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::StartTls => "starttls",
            Self::None => "none",
        }
    }

    /// Returns the protection of a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tls| tls.as_str() == text)
    }

    /// Returns the port where it is usual (RFC 8314, RFC 6409).
    pub const fn port(self) -> u16 {
        match self {
            Self::Implicit => 465,
            Self::StartTls => 587,
            Self::None => 25,
        }
    }
}

/// A mail server, as it is configured.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// Its name or address, which its certificate is for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How connections are protected.
    pub tls: MailTls,
    /// The authorities to trust for it, PEM; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// As whom to log in, and a reference to the password; not at all when absent.
    pub login: Option<(String, String)>,
    /// From whom mail is, as `Name <address>`.
    pub from: String,
    /// How long a delivery may take.
    pub timeout: Duration,
}

/// Why mail cannot be sent like that. Whoever configured it is at fault.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Not an address of mail.
    #[error("`{text}` is not an address of mail in ASCII, such as `approvals@example.com`")]
    Address {
        /// As it was written.
        text: String,
    },
    /// No host.
    #[error("`host` is `{host}`, which is neither a name nor an address")]
    Host {
        /// As it was written.
        host: String,
    },
    /// Plain, and not on this machine.
    #[error("mail without tls goes to loopback addresses only: write `tls` as `implicit` or `starttls`")]
    Plain,
    /// The password.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file of certificate authorities.
    #[error("`{path}` cannot be used: {why}", path = path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("tls cannot be set up: {0}")]
    Tls(String),
}

/// A server that takes mail. Cheap to clone.
#[derive(Clone)]
pub struct MailServer(Arc<Server>);

struct Server {
    config: MailConfig,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    from: Named,
    /// Who speaks: the domain that the mail is from.
    hello: ClientId,
    connections: Semaphore,
}

impl std::fmt::Debug for MailServer {
    /// Shows where, and not as whom.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailServer").field("host", &self.0.config.host).finish_non_exhaustive()
    }
}

/// One mailbox.
pub struct Mailbox {
    server: MailServer,
    address: Address,
}

impl std::fmt::Debug for Mailbox {
    /// Shows no address: it names a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").field("server", &self.server).finish_non_exhaustive()
    }
}

/// At which step a delivery failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Connection,
    Login,
    Sender,
    Recipient,
    Content,
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "the connection",
            Self::Login => "the login",
            Self::Sender => "the sender",
            Self::Recipient => "the recipient",
            Self::Content => "the message",
        }
    }
}

impl MailServer {
    /// Resolves the password and reads the certificates. Connects to nothing.
    ///
    /// # Errors
    /// `MailError`, which does not show the password.
    pub fn new(
        config: MailConfig,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, MailError> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        if config.host.is_empty() || !config.host.chars().all(good) {
            return Err(MailError::Host { host: config.host });
        }
        let tls = match config.tls {
            MailTls::Implicit | MailTls::StartTls => Some(trusted(&config)?),
            MailTls::None if is_loopback(&config.host) => None,
            MailTls::None => return Err(MailError::Plain),
        };
        let wrong = || MailError::Address { text: config.from.clone() };
        let from: Named = config.from.parse().map_err(|_| wrong())?;
        if !from.email.to_string().is_ascii() {
            return Err(wrong());
        }
        let login = config.login.as_ref().map(|(user, password)| {
            resolve_line(password, environment).map(|password| Credentials::new(user.clone(), password))
        });
        Ok(Self(Arc::new(Server {
            tls,
            credentials: login.transpose()?,
            hello: ClientId::Domain(from.email.domain().to_owned()),
            from,
            connections: Semaphore::new(CONNECTIONS_MAX),
            config,
        })))
    }

    /// Returns a mailbox that gets mail through it.
    ///
    /// # Errors
    /// `Address`.
    pub fn mailbox(&self, address: &str) -> Result<Mailbox, MailError> {
        let read = address.parse().ok().filter(|_| address.is_ascii());
        let address = read.ok_or_else(|| MailError::Address { text: address.to_owned() })?;
        Ok(Mailbox { server: self.clone(), address })
    }

    /// Delivers a letter, up to the answer that takes it.
    async fn deliver(&self, to: &Address, letter: &[u8]) -> Result<AsyncSmtpConnection, (Step, Error)> {
        let Server { config, tls, credentials, from, hello, .. } = self.0.as_ref();
        let at = |step| move |error| (step, error);
        let place = (config.host.as_str(), config.port);
        let implicit = tls.clone().filter(|_| config.tls == MailTls::Implicit);
        let connected =
            AsyncSmtpConnection::connect_tokio1(place, Some(config.timeout), hello, implicit, None);
        let mut connection = connected.await.map_err(at(Step::Connection))?;
        if let Some(tls) = tls.clone().filter(|_| config.tls == MailTls::StartTls) {
            connection.starttls(tls, hello).await.map_err(at(Step::Connection))?;
        }
        if let Some(credentials) = credentials {
            connection.auth(MECHANISMS, credentials).await.map_err(at(Step::Login))?;
        }
        let sender = Mail::new(Some(from.email.clone()), Vec::new());
        connection.command(sender).await.map_err(at(Step::Sender))?;
        connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(at(Step::Recipient))?;
        connection.command(Data).await.map_err(at(Step::Content))?;
        connection.message(letter).await.map_err(at(Step::Content))?;
        Ok(connection)
    }
}

impl Mailbox {
    /// Tries to deliver a message once. `source` is the URL under which people reach the server.
    pub(crate) async fn tell(&self, told: &Told, source: &str, now: UnixMillis) -> Tried {
        let server = &self.server.0;
        let Ok(letter) = letter(told, &words(told, source), &server.from, &self.address, now) else {
            return Tried::Failed("it cannot be written".to_owned());
        };
        // The semaphore is never closed.
        let _permit = server.connections.acquire().await;
        match timeout(server.config.timeout, self.server.deliver(&self.address, &letter)).await {
            Ok(Ok(mut connection)) => {
                // Whatever comes of it, the mail is taken.
                let _ = timeout(QUIT_WITHIN, connection.quit()).await;
                Tried::Taken
            }
            Ok(Err((step, error))) => failed(step, &error),
            Err(_) => Tried::Away { why: "no answer in time".to_owned(), wait: None },
        }
    }
}

/// Only what a server says for good about the content itself is the matter of one message.
fn failed(step: Step, error: &Error) -> Tried {
    let place = step.as_str();
    let why = match error.status() {
        Some(code) => format!("answered {code} to {place}"),
        None if error.is_tls() => "no tls that can be trusted".to_owned(),
        None if error.is_client() => format!("does not offer what {place} needs"),
        None => format!("no connection, or it broke: {place}"),
    };
    if step == Step::Content && error.is_permanent() {
        Tried::Failed(why)
    } else {
        Tried::Away { why, wait: None }
    }
}

/// Tells whether a host is on this machine.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn trusted(config: &MailConfig) -> Result<TlsParameters, MailError> {
    let mut builder: TlsParametersBuilder = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        let wrong = |why: String| MailError::Authorities { path: path.clone(), why };
        let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
        if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err(wrong("it holds no certificate".to_owned()));
        }
        let authorities = Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(authorities);
    }
    builder.build().map_err(|error| MailError::Tls(error.to_string()))
}

#[cfg(test)]
mod tests;
