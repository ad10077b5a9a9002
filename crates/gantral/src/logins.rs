//! The logins of a person on this machine: one file for each server, in a folder that is theirs alone.
//!
//! `$XDG_CONFIG_HOME/gantral/logins`, or `~/.config/gantral/logins`: mode 0700, files 0600, replaced at once, never in part. A file
//! that others could read is not used, because what is in it may be theirs already.

mod renewing;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gantral_api::client::{CertificateFiles, Client, ClientConfig, TokenSource};
use gantral_api::wire::LoginToken;
use gantral_core::digest::Digest;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_oidc::{Granted, PublicClient, Token};
use gantral_outbound::read_secret;
use serde::{Deserialize, Serialize};

use crate::dev_tokens::write_private;
use crate::failure::Failure;
use crate::folders;

pub use renewing::LoginTokens;

/// The largest file that is read: two tokens of the largest kind fit.
const FILE_BYTES_MAX: u64 = 65_536;
/// The form of the files.
const FORM: u32 = 1;
/// How long before its end a token is renewed, at most: a fifth of a short life.
const MARGIN_MAX: DurationMs = DurationMs::from_secs(60);
/// How long another process that renews the same login is waited for, and how often it is looked.
const LOCK_TIME_MAX: Duration = Duration::from_secs(60);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// A login as it is kept. It holds secrets: it is written to its file and nowhere else.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    form: u32,
    /// The server.
    pub url: String,
    /// The provider.
    pub issuer: String,
    client_id: String,
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    sends: LoginToken,
    /// The token that is sent to the server.
    token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    renew_at_ms: u64,
    expires_at_ms: u64,
    /// The authorities of the server, if they were named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The certificate that is shown to the server, if one was named, and its key, if that is in another file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate_key_file: Option<PathBuf>,
    /// The authorities of the provider, if they were named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_ca_file: Option<PathBuf>,
}

/// Where a login came from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The server, as [`address`] returns it.
    pub url: String,
    /// The provider.
    pub issuer: String,
    /// The client, and what it asks for.
    pub client: PublicClient,
    /// Which token is sent.
    pub sends: LoginToken,
    /// The authorities of the server, if they were named.
    pub ca_file: Option<PathBuf>,
    /// The certificate that is shown to the server, if one was named.
    pub certificate: Option<CertificateFiles>,
    /// The authorities of the provider, if they were named.
    pub provider_ca_file: Option<PathBuf>,
}

impl Kept {
    /// Makes a login of what a provider gave.
    pub fn new(origin: Origin, granted: Granted, now: UnixMillis) -> Result<Self, Failure> {
        let certificate = origin.certificate;
        let mut kept = Self {
            form: FORM,
            url: origin.url,
            issuer: origin.issuer,
            client_id: origin.client.id,
            scopes: origin.client.scopes,
            audience: origin.client.audience,
            resource: origin.client.resource,
            sends: origin.sends,
            token: String::new(),
            refresh_token: None,
            renew_at_ms: 0,
            expires_at_ms: 0,
            ca_file: origin.ca_file,
            certificate_file: certificate.as_ref().map(|files| files.chain.clone()),
            certificate_key_file: certificate.and_then(|files| files.key),
            provider_ca_file: origin.provider_ca_file,
        };
        kept.take(granted, now)?;
        Ok(kept)
    }

    /// Takes the tokens of a renewal. A provider that gives no other refresh token means that the last one stays.
    fn take(&mut self, granted: Granted, now: UnixMillis) -> Result<(), Failure> {
        let token = match self.sends {
            LoginToken::Access => Some(&granted.access),
            LoginToken::Id => granted.id.as_ref(),
        };
        let token = token.ok_or_else(|| {
            Failure::new(format!("`{}` gave no ID token", self.issuer))
                .hint("ask for the scope `openid`, or send access tokens: `identity.issuers.login`")
        })?;
        let expires = granted.expires_at(token, now);
        let margin = DurationMs::new(MARGIN_MAX.get().min(expires.since(now).get() / 5));
        self.expires_at_ms = expires.get();
        self.renew_at_ms = expires.get().saturating_sub(margin.get());
        self.token = token.expose().to_owned();
        if let Some(refresh) = &granted.refresh {
            self.refresh_token = Some(refresh.expose().to_owned());
        }
        Ok(())
    }

    /// Returns the certificate that is shown to the server.
    pub fn certificate(&self) -> Option<CertificateFiles> {
        let chain = self.certificate_file.clone()?;
        Some(CertificateFiles { chain, key: self.certificate_key_file.clone() })
    }

    /// Returns the client.
    pub fn client(&self) -> PublicClient {
        PublicClient {
            id: self.client_id.clone(),
            scopes: self.scopes.clone(),
            audience: self.audience.clone(),
            resource: self.resource.clone(),
            // Nobody is asked anything by a renewal.
            prompt: None,
        }
    }

    /// Returns the token that is sent to the server, for its header and nothing else.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Returns the refresh token, for the provider and nobody else.
    pub fn refresh_token(&self) -> Option<Token> {
        Token::new(self.refresh_token.clone()?)
    }

    /// Returns until when the token is good.
    pub fn expires_at(&self) -> UnixMillis {
        UnixMillis::new(self.expires_at_ms).unwrap_or(UnixMillis::EPOCH)
    }

    fn is_fresh(&self, now: UnixMillis) -> bool {
        now.get() < self.renew_at_ms
    }
}

/// Shows whose login it is and no token.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("url", &self.url).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Returns the one way in which the address of a server is written.
pub fn address(url: &str) -> Result<String, Failure> {
    let client = Client::new(ClientConfig::new(url, TokenSource::None))?;
    Ok(client.base().trim_end_matches('/').to_owned())
}

/// The folder of the logins.
#[derive(Debug, Clone)]
pub struct Logins(PathBuf);

impl Logins {
    /// Returns the folder of whoever runs this; `None` if they have none. Nothing is read.
    pub fn of_user() -> Option<Self> {
        Some(Self(folders::config()?.join("gantral").join("logins")))
    }

    /// Returns the folder of whoever runs this, for somebody who needs one.
    pub fn needed() -> Result<Self, Failure> {
        let missing = || Failure::new("there is no folder for logins").hint("set HOME, or XDG_CONFIG_HOME");
        Self::of_user().ok_or_else(missing)
    }

    /// Returns the server of the last login.
    pub fn current(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.0.join("current")).ok()?;
        Some(text.trim().to_owned()).filter(|url| !url.is_empty())
    }

    /// Remembers the server of the last login.
    pub fn set_current(&self, url: &str) -> Result<(), Failure> {
        write_private(&self.0.join("current"), url.as_bytes())
    }

    /// Reads the login at a server; `None` if there is none.
    pub fn read(&self, url: &str) -> Result<Option<Kept>, Failure> {
        self.check_folder()?;
        let path = self.path(url, "json");
        let unusable = |error: &dyn fmt::Display| {
            Failure::file("use", &path, &error).hint(format!("log in again: gantral login --url {url}"))
        };
        let bytes = match read_secret(&path, FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(&error)),
        };
        // What is wrong with it is not shown: the words of a parser quote what they read.
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|_| unusable(&"it is no login"))?;
        if kept.form != FORM || kept.url != url {
            return Err(unusable(&"it is a login of another form or server"));
        }
        Ok(Some(kept))
    }

    /// Keeps a login. Whoever reads sees the old or the new one.
    pub fn write(&self, kept: &Kept) -> Result<(), Failure> {
        self.make_folder()?;
        let text = serde_json::to_vec(kept);
        let text = text.map_err(|_| Failure::new("the login cannot be written as JSON"))?;
        write_private(&self.path(&kept.url, "json"), &text)
    }

    /// Forgets the login at a server.
    pub fn remove(&self, url: &str) -> Result<(), Failure> {
        let path = self.path(url, "json");
        std::fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, &error))
    }

    /// Waits until nobody else changes the login at a server, and keeps everybody else waiting until what is returned is dropped.
    pub async fn lock(&self, url: &str) -> Result<File, Failure> {
        self.make_folder()?;
        let path = self.path(url, "lock");
        let failed = |error: io::Error| Failure::file("lock", &path, &error);
        let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(failed)?;
        let locked = tokio::time::timeout(LOCK_TIME_MAX, async {
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                    Err(std::fs::TryLockError::Error(error)) => return Err(error),
                }
            }
        });
        let slow = || failed(io::Error::new(io::ErrorKind::TimedOut, "another process holds it"));
        locked.await.map_err(|_| slow())?.map_err(failed)?;
        Ok(file)
    }

    /// The name says which server, and is a name in every file system.
    fn path(&self, url: &str, ending: &str) -> PathBuf {
        self.0.join(format!("{}.{ending}", Digest::of(url.as_bytes()).to_hex()))
    }

    fn make_folder(&self) -> Result<(), Failure> {
        let made = folders::make_private(&self.0);
        made.map_err(|error| Failure::file("make", &self.0, &error))?;
        self.check_folder()
    }

    /// Whoever may write into the folder could put another login in place.
    fn check_folder(&self) -> Result<(), Failure> {
        match std::fs::metadata(&self.0) {
            Ok(metadata) if metadata.mode() & 0o077 != 0 => Err(open_to_others(&self.0)),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Failure::file("read", &self.0, &error)),
        }
    }
}

fn open_to_others(path: &Path) -> Failure {
    let shown = path.display();
    Failure::new(format!("`{shown}` is open to others than its owner"))
        .hint(format!("chmod 700 {shown}, and log in again if others use this machine"))
}

#[cfg(test)]
mod tests;
