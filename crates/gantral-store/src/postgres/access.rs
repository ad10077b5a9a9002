//! Where a server is, and what it has to prove before it is told anything.
//!
//! What the address says about TLS is read here, in the words of PostgreSQL's own tools, and where they leave a choice the strict one is
//! taken: a connection is either verified, chain and name, or plain because somebody said so or because it does not leave the machine.
//! There is nothing in between, since a password that is sent to whoever answers is no longer one.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-ssl.html>.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::server::{ANSWER_WAIT, CONNECT_WAIT, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_RETRIES};
use crate::error::ConnectError;

/// What PostgreSQL calls its protocol when TLS is spoken from the first byte on.
const ALPN: &[u8] = b"postgresql";

/// A password, which nothing shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Keeps a password.
    pub const fn new(password: String) -> Self {
        Self(password)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// How a server is reached: everything that a connection needs.
#[derive(Clone)]
pub(super) struct Access {
    /// Where it is, and who logs in. Its mode of TLS is one of two: none, or verified.
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    /// Where it is, without who logs in and by what; for people.
    pub(super) server: String,
}

impl Access {
    /// Reads an address. Connects to nothing yet.
    pub(super) fn new(address: &str, password: Option<&Password>) -> Result<Self, ConnectError> {
        let (address, asked) = Asked::take(address)?;
        let mut config = Config::from_str(&address).map_err(|error| {
            // The outer text alone names a keyword at most; what it is made of may hold the password.
            wrong(&error.to_string())
        })?;
        if let Some(Password(password)) = password {
            if config.get_password().is_some() {
                return Err(wrong("a password is in it, and another one beside it"));
            }
            config.password(password);
        }
        config
            .connect_timeout(CONNECT_WAIT)
            .tcp_user_timeout(ANSWER_WAIT)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES);
        if config.get_application_name().is_none() {
            config.application_name("gantral");
        }
        let verified = asked.is_verified(&config)?;
        config.ssl_mode(if verified { SslMode::Require } else { SslMode::Disable });
        let direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        let tls = MakeRustlsConnect::new(asked.tls(verified, direct)?);
        let server = named(&config);
        Ok(Self { config, tls, server })
    }

    /// Says why a connection was not made.
    pub(super) fn unreachable(&self, error: &tokio_postgres::Error) -> ConnectError {
        let server = self.server.clone();
        let reason = super::writer::reason(error);
        // Class 28: who logs in. Class 3D: there is no such database.
        let class = error.code().and_then(|code| code.code().get(..2));
        match (untrusted(error), class) {
            (Some(reason), _) => ConnectError::Untrusted { server, reason },
            (None, Some("28" | "3D")) => ConnectError::Refused { server, reason },
            (None, _) => ConnectError::Unreachable { server, reason },
        }
    }
}

/// What an address asks of TLS.
#[derive(Debug, Default)]
struct Asked {
    mode: Option<Mode>,
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// What is asked for by a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Verified,
    Plain,
}

impl Asked {
    /// Takes out of an address what is ours to read, and returns what is left. In a list of `keyword=value` there is nothing of it but
    /// `sslmode`, of which the values that exist there are read later.
    fn take(address: &str) -> Result<(String, Self), ConnectError> {
        let mut asked = Self::default();
        let is_url = address.starts_with("postgres://") || address.starts_with("postgresql://");
        let Some((before, query)) = address.split_once('?').filter(|_| is_url) else {
            return Ok((address.to_owned(), asked));
        };
        let mut left = Vec::new();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            let file = || Some(PathBuf::from(value.as_ref()));
            let twice = match key {
                "sslmode" => asked.mode.replace(Mode::parse(&value)?).is_some(),
                "sslrootcert" => std::mem::replace(&mut asked.authorities, file()).is_some(),
                "sslcert" => std::mem::replace(&mut asked.certificate, file()).is_some(),
                "sslkey" => std::mem::replace(&mut asked.key, file()).is_some(),
                _ => {
                    left.push(pair);
                    false
                }
            };
            if twice {
                return Err(wrong(&format!("`{key}` is in it twice")));
            }
        }
        let rest = if left.is_empty() { before.to_owned() } else { format!("{before}?{}", left.join("&")) };
        Ok((rest, asked))
    }

    /// Tells whether the server has to prove itself.
    fn is_verified(&self, config: &Config) -> Result<bool, ConnectError> {
        let asked = match (self.mode, config.get_ssl_mode()) {
            (Some(mode), _) => Some(mode),
            (None, SslMode::Disable) => Some(Mode::Plain),
            (None, SslMode::Require) => Some(Mode::Verified),
            (None, _) => None,
        };
        let files = self.authorities.is_some() || self.certificate.is_some() || self.key.is_some();
        match asked {
            Some(Mode::Plain) if files => Err(wrong(
                "`sslmode=disable` and a file of certificates are both in it: leave one of them out",
            )),
            Some(mode) => Ok(mode == Mode::Verified),
            None => Ok(files || !stays_here(config)),
        }
    }

    /// Makes what TLS is spoken with.
    fn tls(&self, verified: bool, direct: bool) -> Result<ClientConfig, ConnectError> {
        let failed = |error: rustls::Error| ConnectError::Tls { reason: error.to_string() };
        let builder =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(failed)?;
        let builder = match self.authorities.as_deref().filter(|path| *path != Path::new("system")) {
            // Nothing is believed, and nobody is asked.
            None if !verified => builder.with_root_certificates(RootCertStore::empty()),
            None => builder.with_platform_verifier().map_err(failed)?,
            Some(path) => builder.with_root_certificates(authorities(path)?),
        };
        let mut config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = certificates("sslcert", certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| file("sslkey", key, &error.to_string()))?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .map_err(|error| file("sslcert", certificate, &error.to_string()))?
            }
            (Some(_), None) => return Err(wrong("`sslcert` wants its key: give `sslkey` as well")),
            (None, Some(_)) => return Err(wrong("`sslkey` wants its certificate: give `sslcert` as well")),
        };
        if direct {
            config.alpn_protocols.push(ALPN.to_vec());
        }
        Ok(config)
    }
}

impl Mode {
    fn parse(word: &str) -> Result<Self, ConnectError> {
        match word {
            // `require` alone would encrypt for whoever answers: with us it verifies.
            "verify-full" | "require" => Ok(Self::Verified),
            "disable" => Ok(Self::Plain),
            "allow" | "prefer" => Err(wrong(&format!(
                "with `sslmode={word}` whoever is in between decides that nothing is encrypted: say `verify-full`, or `disable` where \
                 nobody can be in between"
            ))),
            "verify-ca" => Err(wrong(
                "with `sslmode=verify-ca` every server with a certificate of the authority is believed: say `verify-full`",
            )),
            _ => Err(wrong("`sslmode` is one of `verify-full`, `require`, `disable`")),
        }
    }
}

/// Tells whether nothing that is sent leaves the machine: all names and all addresses say so.
fn stays_here(config: &Config) -> bool {
    let here = |host: &Host| match host {
        Host::Tcp(name) => {
            let address = name.parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(here)
        && config.get_hostaddrs().iter().all(|address| address.to_canonical().is_loopback())
}

fn authorities(path: &Path) -> Result<RootCertStore, ConnectError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("sslrootcert", path)? {
        store.add(certificate).map_err(|error| file("sslrootcert", path, &error.to_string()))?;
    }
    Ok(store)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let wrong = |why: &str| file(key, path, why);
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(&error.to_string()))?;
    if found.is_empty() { Err(wrong("it holds no certificate")) } else { Ok(found) }
}

fn wrong(reason: &str) -> ConnectError {
    ConnectError::Address { reason: reason.to_owned() }
}

fn file(key: &'static str, path: &Path, why: &str) -> ConnectError {
    ConnectError::File { key, path: path.to_owned(), why: why.to_owned() }
}

/// Says where a server is, without who logs in and by what.
fn named(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let ports = config.get_ports();
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        })
        .collect();
    format!("{}/{}", hosts.join(","), config.get_dbname().or(config.get_user()).unwrap_or_default())
}

/// Returns why a server is not believed, and what helps, if that is why there is no connection.
fn untrusted(error: &tokio_postgres::Error) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(next) = cause {
        let inner = next.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.map_or(next.downcast_ref(), |inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(why)) = tls {
            return Some(distrust(why));
        }
        // The driver has no code for it.
        if next.to_string() == "server does not support TLS" {
            return Some(
                "it does not speak TLS; set `ssl = on` there, or say `sslmode=disable` where nobody can be in between".to_owned(),
            );
        }
        cause = next.source();
    }
    None
}

fn distrust(why: &CertificateError) -> String {
    use CertificateError as Why;
    match why {
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "its certificate is for another name; connect by a name that is in it, or give it one with this name"
        }
        Why::UnknownIssuer => {
            "no authority that is believed has signed its certificate; name the file of the one that has by `sslrootcert`"
        }
        Why::Expired | Why::ExpiredContext { .. } => {
            "its certificate has expired; renew it, or set the clock of this machine"
        }
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            "its certificate is not valid yet; wait, or set the clock of this machine"
        }
        other => return format!("its certificate does not serve ({other}); give it one that does"),
    }
    .to_owned()
}
