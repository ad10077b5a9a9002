//! A key in the transit engine of OpenBao, which this process asks for signatures and never sees.
//!
//! What comes back is believed only if it verifies under the pinned public key. The token is read from its file for each
//! request, because somebody else renews it; it goes to the pinned address and nowhere else, and stands in no error.
//! Source: OpenBao's API of the transit secrets engine; `spec/keys.md` K16.

mod client;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_evidence::keys::{KeyId, PublicKey};
use gantral_evidence::trust::KeyRole;
use serde::{Deserialize, Serialize};

use crate::file::FileError;
use crate::form::fits;
use crate::signer::{BoxFuture, SignError, Signature, Signer, SigningContext};
use client::Client;

/// How long one answer may take when the configuration does not say.
pub const OPENBAO_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBaoConfig {
    /// The address, such as `https://bao.example.org:8200`. Plain `http` is for loopback.
    pub url: String,
    /// Where the transit engine is mounted; usually `transit`.
    pub mount: String,
    /// The name of the key, which is of type `ed25519`.
    pub key: String,
    /// A file with the token, mode 0600.
    pub token_file: PathBuf,
    /// A PEM file with the authorities to trust, and no others; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// Why OpenBao did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum OpenBaoError {
    /// The configuration cannot be used; trying again is pointless.
    #[error("openbao: {0}")]
    Config(String),
    /// The token file cannot be used.
    #[error("openbao token: {0}")]
    Token(#[from] FileError),
    /// It cannot be reached, or gave no answer in time. Worth another try.
    #[error("openbao cannot be reached: {0}")]
    Unreachable(&'static str),
    /// It refuses the token, or the token does not permit this.
    #[error(
        "openbao refuses the token for key `{key}`: a policy must allow reading the key and updating its `sign`"
    )]
    Forbidden {
        /// The key.
        key: String,
    },
    /// There is no such key.
    #[error("openbao has no key `{key}` under mount `{mount}`")]
    Missing {
        /// The mount.
        mount: String,
        /// The key.
        key: String,
    },
    /// The key is no Ed25519 key.
    #[error("key `{key}` is of type `{found}`, not `ed25519`")]
    Type {
        /// The key.
        key: String,
        /// What it is.
        found: String,
    },
    /// No version of the key is the one that is pinned: it was deleted, or replaced under its name.
    #[error("no version of key `{key}` is the pinned key `{pinned}`")]
    Changed {
        /// The key in OpenBao.
        key: String,
        /// The pinned one.
        pinned: KeyId,
    },
    /// It answered with another status.
    #[error("openbao answered with status {0}")]
    Status(u16),
    /// Its answer is something else than its interface says.
    #[error("openbao gave an answer that cannot be read: {0}")]
    Answer(&'static str),
    /// It signed with another version of the key than the pinned one.
    #[error("openbao signed with version `{found}` of the key, not with the pinned version {pinned}")]
    Version {
        /// What stands in the answer.
        found: String,
        /// What was asked for.
        pinned: u32,
    },
    /// What it gave is no signature of the pinned key.
    #[error("openbao gave a signature that does not verify under the pinned key")]
    Signature,
}

/// Signs with one version of a key in OpenBao.
pub struct OpenBaoSigner {
    role: KeyRole,
    client: Client,
    public: PublicKey,
    version: u32,
}

#[derive(Deserialize)]
struct KeyAnswer {
    #[serde(rename = "type")]
    kind: String,
    latest_version: u32,
    keys: BTreeMap<u32, KeyVersion>,
}

#[derive(Deserialize)]
struct KeyVersion {
    public_key: String,
}

#[derive(Serialize)]
struct SignRequest {
    input: String,
    key_version: u32,
}

#[derive(Deserialize)]
struct SignAnswer {
    signature: String,
}

impl OpenBaoSigner {
    /// Finds the version of the key whose public key is `pinned`, or the newest when nothing is pinned yet. That version signs
    /// from then on: rotating the key in OpenBao changes nothing here.
    ///
    /// # Errors
    /// `OpenBaoError`; `Unreachable` and `Status` are worth another try.
    pub async fn connect(
        role: KeyRole,
        config: &OpenBaoConfig,
        pinned: Option<&PublicKey>,
    ) -> Result<Self, OpenBaoError> {
        let client = Client::new(config)?;
        let answer: KeyAnswer = client.key().await?;
        if answer.kind != "ed25519" {
            return Err(OpenBaoError::Type { key: config.key.clone(), found: answer.kind });
        }
        let (version, public) = match pinned {
            None => {
                let newest = answer.keys.get(&answer.latest_version);
                let newest = newest.ok_or(OpenBaoError::Answer("no newest version"))?;
                (answer.latest_version, public_key(newest)?)
            }
            Some(pinned) => {
                let same = |version: &KeyVersion| public_key(version).is_ok_and(|key| key == *pinned);
                let found = answer.keys.iter().find(|(_, version)| same(version));
                let changed = OpenBaoError::Changed { key: config.key.clone(), pinned: pinned.id() };
                (*found.ok_or(changed)?.0, pinned.clone())
            }
        };
        Ok(Self { role, client, public, version })
    }

    /// Signs, and says what went wrong where [`Signer::sign`] may not.
    ///
    /// # Errors
    /// `OpenBaoError`; nothing was signed that may be used.
    async fn request(&self, message: &[u8]) -> Result<Signature, OpenBaoError> {
        let request = SignRequest { input: STANDARD.encode(message), key_version: self.version };
        let answer: SignAnswer = self.client.sign(&request).await?;
        let (version, encoded) = answer
            .signature
            .strip_prefix("vault:")
            .and_then(|rest| rest.split_once(':'))
            .ok_or(OpenBaoError::Answer("not the form of a signature"))?;
        if version != format!("v{}", self.version) {
            return Err(OpenBaoError::Version { found: version.to_owned(), pinned: self.version });
        }
        let bytes: [u8; 64] = STANDARD
            .decode(encoded)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(OpenBaoError::Answer("not 64 bytes in base64"))?;
        self.public.verify_strict(message, &bytes).map_err(|_| OpenBaoError::Signature)?;
        Ok(Signature { key_id: self.public.id(), bytes })
    }
}

fn public_key(version: &KeyVersion) -> Result<PublicKey, OpenBaoError> {
    let raw: [u8; 32] = STANDARD
        .decode(&version.public_key)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(OpenBaoError::Answer("a public key is not 32 bytes in base64"))?;
    PublicKey::from_bytes(&raw).map_err(|_| OpenBaoError::Answer("a public key that signs nothing"))
}

impl Signer for OpenBaoSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        Box::pin(async move {
            if context.role() != self.role || !fits(context, message) {
                return Err(SignError::WrongContext);
            }
            self.request(message).await.map_err(|error| {
                tracing::warn!(key_id = %self.public.id(), %error, "nothing was signed");
                SignError::Unavailable
            })
        })
    }
}
