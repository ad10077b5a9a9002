//! The section `[passkeys]` of the configuration: whose authenticators count at gates.

use gantral_engine::Passkeys;
use gantral_evidence::human::{Origin, RelyingParty, RelyingPartyError, RelyingPartyId};
use gantral_evidence::keys::PublicKey;
use serde::Deserialize;

/// The section `[passkeys]`. Without it no authenticator counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasskeySettings {
    /// For whom authenticators sign: the name of a host. That of the public URL when absent. Keys that were made for another one are lost.
    #[serde(default)]
    pub relying_party_id: Option<String>,
    /// On which pages they may be asked; the origin of the public URL when absent.
    #[serde(default)]
    pub origins: Vec<String>,
    /// The public keys of the directory, in hexadecimal: whoever holds their private keys says whose an authenticator is. Never here.
    #[serde(default)]
    pub directory: Vec<String>,
}

/// What is wrong with the section. Its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum PasskeysError {
    /// Nobody could ever enrol.
    #[error("`passkeys.directory` names no key, so that nobody could enrol an authenticator")]
    NoDirectory,
    /// Not a public key.
    #[error("`passkeys.directory` has `{text}`, which is not an Ed25519 public key in hexadecimal")]
    Directory {
        /// As it was written.
        text: String,
    },
    /// Not a relying party.
    #[error("`passkeys`: {why}")]
    RelyingParty {
        /// What is wrong.
        why: String,
    },
    /// An origin on which no browser would sign for the relying party.
    #[error("`passkeys.origins` has `{origin}`, where browsers sign nothing for `{id}`")]
    Elsewhere {
        /// The origin.
        origin: String,
        /// The relying party.
        id: String,
    },
}

impl PasskeySettings {
    /// Returns whose authenticators count, on a server that is reached under `public_url`.
    ///
    /// # Errors
    /// `PasskeysError`, with what was written.
    pub fn open(&self, public_url: &str) -> Result<Passkeys, PasskeysError> {
        let wrong = |error: RelyingPartyError| PasskeysError::RelyingParty { why: error.to_string() };
        let own = origin_of(public_url).unwrap_or_default();
        let id = self.relying_party_id.as_deref().unwrap_or_else(|| host_of(own));
        let id = RelyingPartyId::parse(id).map_err(wrong)?;
        let written = if self.origins.is_empty() { vec![own.to_owned()] } else { self.origins.clone() };
        let mut origins = Vec::with_capacity(written.len());
        for origin in written {
            let host = host_of(&origin);
            let is_within =
                host == id.as_str() || host.strip_suffix(id.as_str()).is_some_and(|rest| rest.ends_with('.'));
            if !is_within {
                return Err(PasskeysError::Elsewhere { origin, id: id.as_str().to_owned() });
            }
            origins.push(Origin::parse(&origin).map_err(wrong)?);
        }
        let relying_party = RelyingParty::new(id, origins).map_err(wrong)?;
        if self.directory.is_empty() {
            return Err(PasskeysError::NoDirectory);
        }
        let key = |text: &String| {
            PublicKey::parse(text).map_err(|_| PasskeysError::Directory { text: text.clone() })
        };
        let directory = self.directory.iter().map(key).collect::<Result<_, _>>()?;
        Ok(Passkeys { relying_party, directory })
    }
}

/// Returns scheme, host and port of a URL.
fn origin_of(url: &str) -> Option<&str> {
    let host = url.find("://")?.saturating_add(3);
    let end = url.get(host..)?.find('/').map_or(url.len(), |end| host.saturating_add(end));
    url.get(..end)
}

/// Returns the host of an origin, without its port.
fn host_of(origin: &str) -> &str {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

#[cfg(test)]
mod tests;
