//! A key of ours that signs tokens (Ed25519, RFC 8037), and the file that keeps it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gantral_core::digest::{Digest, Hasher};
use gantral_core::json::{Object, Value};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::error::Fault;
use crate::keys::{Algorithm, Jwk};

const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_FOOT: &str = "-----END PRIVATE KEY-----";
/// The longest key file, in bytes; an Ed25519 key takes about 120.
const KEY_FILE_BYTES_MAX: u64 = 4_096;

/// A token that we made: a secret, shown by nothing but [`expose`](Self::expose).
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedToken {
    token: String,
    expires_at: UnixMillis,
}

impl IssuedToken {
    /// Returns the token itself, to be given to its bearer and to nobody else.
    pub fn expose(&self) -> &str {
        &self.token
    }

    /// Returns when it expires, in whole seconds.
    pub fn expires_at(&self) -> UnixMillis {
        self.expires_at
    }
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Why a key file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file could not be read or written: worth trying again once the cause is mended.
    #[error("key file `{path}` cannot be used: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner may read or change the file: its key has to be considered known.
    #[error("key file `{path}` is open to others than its owner: replace it, with mode 0600")]
    Open {
        /// The file.
        path: String,
    },
    /// Not a PKCS#8 Ed25519 private key in PEM.
    #[error("key file `{path}` does not hold an Ed25519 private key in PEM")]
    Malformed {
        /// The file.
        path: String,
    },
    /// The random source or the cryptographic library failed.
    #[error("no key could be made")]
    Generate,
}

impl KeyFileError {
    /// Returns who is at fault.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Io { .. } | Self::Generate => Fault::Environment,
            Self::Open { .. } | Self::Malformed { .. } => Fault::Us,
        }
    }
}

/// An Ed25519 key that signs tokens. Not the key that signs artifacts: one key, one purpose.
pub struct TokenKey {
    pair: Ed25519KeyPair,
    kid: String,
}

impl TokenKey {
    /// Makes a new key from the system's random source.
    pub fn generate() -> Result<Self, KeyFileError> {
        Ed25519KeyPair::generate().map(Self::from_pair).map_err(|_| KeyFileError::Generate)
    }

    /// Loads the key of a file, or makes one and keeps it there with mode 0600.
    ///
    /// Durable when it returns. A file that others may read is refused, not repaired.
    pub fn load_or_generate(path: &Path) -> Result<Self, KeyFileError> {
        match File::open(path) {
            Ok(file) => Self::read(file, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::generate()?;
                key.write_new(path)?;
                Ok(key)
            }
            Err(source) => Err(KeyFileError::Io { path: path.display().to_string(), source }),
        }
    }

    fn from_pair(pair: Ed25519KeyPair) -> Self {
        let kid = thumbprint(pair.public_key().as_ref());
        Self { pair, kid }
    }

    fn read(file: File, path: &Path) -> Result<Self, KeyFileError> {
        let shown = || path.display().to_string();
        let failed = |source| KeyFileError::Io { path: shown(), source };
        if is_open_to_others(&file).map_err(failed)? {
            return Err(KeyFileError::Open { path: shown() });
        }
        let mut text = String::new();
        file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        let der = from_pem(&text).ok_or_else(|| KeyFileError::Malformed { path: shown() })?;
        let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| KeyFileError::Malformed { path: shown() })?;
        Ok(Self::from_pair(pair))
    }

    /// Refuses to write over a file: two processes that start at once must not end with two keys.
    fn write_new(&self, path: &Path) -> Result<(), KeyFileError> {
        let document = self.pair.to_pkcs8v1().map_err(|_| KeyFileError::Generate)?;
        let text = format!("{PEM_HEAD}\n{}\n{PEM_FOOT}\n", STANDARD.encode(document.as_ref()));
        let written = create_private(path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(|source| KeyFileError::Io { path: path.display().to_string(), source })
    }

    /// Returns the `kid`: the RFC 7638 thumbprint of the public key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the public key.
    pub fn public_jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP".to_owned(),
            kid: Some(self.kid.clone()),
            usage: Some("sig".to_owned()),
            alg: Some(Algorithm::EdDsa.as_str().to_owned()),
            crv: Some("Ed25519".to_owned()),
            x: Some(URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref())),
            ..Jwk::default()
        }
    }

    /// Signs claims that are good from `now` for `ttl`, in whole seconds; `None` if the cryptographic library fails.
    pub(crate) fn issue(
        &self,
        typ: &str,
        claims: Object,
        now: UnixMillis,
        ttl: DurationMs,
    ) -> Option<IssuedToken> {
        let issued = now.get() / 1_000;
        let expires = now.plus(ttl).get() / 1_000;
        let token = self.sign(typ, claims.with("iat", issued).with("exp", expires))?;
        Some(IssuedToken { token, expires_at: UnixMillis::new(expires.saturating_mul(1_000)).ok()? })
    }

    /// Derives 32 bytes that nobody without the key can guess, always the same for the same purpose and context; `None` if the cryptographic
    /// library fails. The signature behind them is deterministic (RFC 8032 §5.1.6), is shown to nobody, and is of no token: none begins so.
    pub(crate) fn derive(&self, purpose: &str, context: &[&[u8]]) -> Option<[u8; 32]> {
        let mut named = Hasher::new(purpose);
        for part in context {
            named = named.bytes(&part.len().to_be_bytes()).bytes(part);
        }
        let message = ["gantral/derive/v1\0".as_bytes(), named.finish().as_bytes()].concat();
        let signature = self.pair.try_sign(&message).ok()?;
        Some(*Hasher::new("gantral/derived/v1").bytes(signature.as_ref()).finish().as_bytes())
    }

    fn sign(&self, typ: &str, claims: Object) -> Option<String> {
        let header = Object::new()
            .with("alg", Algorithm::EdDsa.as_str())
            .with("kid", self.kid.as_str())
            .with("typ", typ);
        let mut token = URL_SAFE_NO_PAD.encode(Value::Object(header).to_canonical());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(Value::Object(claims).to_canonical(), &mut token);
        let signature = self.pair.try_sign(token.as_bytes()).ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Some(token)
    }
}

/// Shows the name of the key and nothing of it.
impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Returns texts as the elements of a claim.
pub(crate) fn list<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Value> {
    texts.map(Value::from).collect()
}

/// RFC 7638 section 3: the required members in lexicographic order, without white space.
fn thumbprint(public: &[u8]) -> String {
    let members =
        Object::new().with("crv", "Ed25519").with("kty", "OKP").with("x", URL_SAFE_NO_PAD.encode(public));
    URL_SAFE_NO_PAD.encode(Digest::of(&Value::Object(members).to_canonical()).as_bytes())
}

/// Reads the one private key of a PEM text.
pub(crate) fn from_pem(text: &str) -> Option<Vec<u8>> {
    let body = text.trim().strip_prefix(PEM_HEAD)?.strip_suffix(PEM_FOOT)?;
    STANDARD.decode(body.split_ascii_whitespace().collect::<String>()).ok()
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Says whether others than its owner may open a file.
#[cfg(unix)]
pub(crate) fn is_open_to_others(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

/// Elsewhere a file inherits the access list of its folder, which is for its owner to set.
#[cfg(not(unix))]
pub(crate) fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests;
