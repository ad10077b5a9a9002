//! The section `[policy.signing]` of the configuration: by whose keys policy bundles are signed, and whether they must be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use gantral_core::time::UnixMillis;
use gantral_policy::bundle::Bundle;
use gantral_policy::bundle::signature::{KeyError, SignatureError, SignedBy, VerificationKeys};
use serde::Deserialize;

/// The section `[policy.signing]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningSettings {
    /// Whether a bundle that is not signed is refused, when it is published and when it is put in force.
    #[serde(default)]
    pub required: bool,
    /// Public keys by the names that signatures have for them.
    #[serde(default)]
    pub keys: BTreeMap<String, SigningKeySettings>,
}

/// One public key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKeySettings {
    /// What it signs with, as OPA's `--signing-alg`.
    pub algorithm: String,
    /// The file of the public key, PEM.
    pub file: PathBuf,
    /// The scope that signatures by it must have; when absent they must have none.
    #[serde(default)]
    pub scope: Option<String>,
}

/// What is wrong with the section. Its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum SigningSettingsError {
    /// Nothing could be published.
    #[error("`policy.signing.required` is true, and `policy.signing.keys` has none")]
    NoKeys,
    /// The file cannot be read.
    #[error("`policy.signing.keys.{name}.file`: `{path}` cannot be read: {source}", path = path.display())]
    Read {
        /// The key.
        name: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The key cannot be used.
    #[error("`policy.signing.keys.{name}`: {source}")]
    Key {
        /// The key.
        name: String,
        /// Why.
        source: KeyError,
    },
}

/// Why a bundle is not published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningRefusal {
    /// It is not signed, and must be.
    #[error("the bundle is not signed")]
    Unsigned,
    /// It is signed, and not well.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// By whose keys bundles are signed, and whether they must be. By default they need not be, and one that is signed is refused, because
/// nobody could check it.
#[derive(Debug, Default)]
pub struct PolicySigning {
    keys: VerificationKeys,
    required: bool,
}

impl SigningSettings {
    /// Reads the keys.
    ///
    /// # Errors
    /// `SigningSettingsError`, naming the member.
    pub fn open(&self) -> Result<PolicySigning, SigningSettingsError> {
        if self.required && self.keys.is_empty() {
            return Err(SigningSettingsError::NoKeys);
        }
        let mut keys = VerificationKeys::default();
        for (name, SigningKeySettings { algorithm, file, scope }) in &self.keys {
            let pem = std::fs::read(file).map_err(|source| SigningSettingsError::Read {
                name: name.clone(),
                path: file.clone(),
                source,
            })?;
            keys.add(name, algorithm, &pem, scope.as_deref())
                .map_err(|source| SigningSettingsError::Key { name: name.clone(), source })?;
        }
        Ok(PolicySigning { keys, required: self.required })
    }
}

impl PolicySigning {
    /// Tells whether every bundle must be signed.
    pub const fn is_required(&self) -> bool {
        self.required
    }

    /// Says who signed a bundle; nothing if nobody did and nobody has to. May take seconds for the largest bundles.
    ///
    /// # Errors
    /// `SigningRefusal`; trying again is pointless.
    pub fn check(&self, bundle: &Bundle, now: UnixMillis) -> Result<Option<SignedBy>, SigningRefusal> {
        match bundle.verify(&self.keys, now)? {
            None if self.required => Err(SigningRefusal::Unsigned),
            signed_by => Ok(signed_by),
        }
    }
}
