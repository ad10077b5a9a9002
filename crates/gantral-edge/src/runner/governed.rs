//! Secrets that an attempt is given only against a grant that it has used up.
//!
//! What may be given, and for what, is said by the operator of the runner, and by nobody else: a definition of a workflow comes from a server.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;

use gantral_core::digest::Digest;
use gantral_core::ids::{Name, WorkflowId};
use zeroize::Zeroizing;

use super::openbao::{OpenBao, OpenBaoError, Place};
use super::secrets::{SecretError, resolve_one};

/// What a reference into OpenBao begins with.
const BAO: &str = "bao://";

/// Where the value of a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    text: String,
    bao: Option<Place>,
}

/// Why a text is not a reference. The configuration is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `env:NAME`, `file:/path` or `bao://mount/path#field`")]
pub struct ReferenceError(String);

impl Reference {
    /// Reads a reference; nothing is looked for yet.
    ///
    /// # Errors
    /// If it is of no known kind.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let wrong = || ReferenceError(text.to_owned());
        let bao = match text.strip_prefix(BAO) {
            Some(place) => Some(Place::parse(place).ok_or_else(wrong)?),
            None => None,
        };
        let variable = text.strip_prefix("env:").is_some_and(|name| !name.is_empty());
        let file = text.strip_prefix("file:").is_some_and(|path| path.starts_with('/'));
        if bao.is_none() && !variable && !file {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), bao })
    }

    /// Returns the reference as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Tells whether it leads into OpenBao.
    pub fn is_bao(&self) -> bool {
        self.bao.is_some()
    }

    /// Returns the digest by which a record names it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

/// One secret that a runner governs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Governed {
    /// Its name.
    pub name: Name,
    /// Where its value is.
    pub from: Reference,
    /// The workflows whose attempts may have it.
    pub workflows: BTreeSet<WorkflowId>,
    /// The actions for which they may have it.
    pub actions: BTreeSet<Name>,
    /// The queues from which they may come; any when empty.
    pub queues: BTreeSet<Name>,
}

impl Governed {
    /// Tells whether attempts of a workflow may have it for any action.
    pub(super) fn is_for(&self, workflow: &WorkflowId, queue: Option<&Name>) -> bool {
        let by_queue = self.queues.is_empty() || queue.is_some_and(|queue| self.queues.contains(queue));
        self.workflows.contains(workflow) && by_queue
    }
}

/// Why there is no value. Nothing of a value stands in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unresolved {
    #[error(transparent)]
    Local(#[from] SecretError),
    #[error("the secret `{name}`: {error}")]
    Bao { name: Name, error: OpenBaoError },
    #[error("the secret `{name}` is in OpenBao, and this runner has none")]
    NoBao { name: Name },
}

/// All that a runner governs, and where it gets it from.
pub(super) struct Vault {
    pub secrets: Vec<Governed>,
    pub bao: Option<Arc<OpenBao>>,
}

/// Without what is in them.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.secrets.iter().map(|secret| &secret.name)).finish()
    }
}

impl Vault {
    /// Looks a value up, now.
    pub(super) async fn value(&self, secret: &Governed) -> Result<Zeroizing<Vec<u8>>, Unresolved> {
        let (name, reference) = (secret.name.clone(), secret.from.as_str());
        let value = match (&secret.from.bao, &self.bao) {
            (Some(place), Some(bao)) => {
                bao.read(place).await.map_err(|error| Unresolved::Bao { name: name.clone(), error })?
            }
            (Some(_), None) => return Err(Unresolved::NoBao { name }),
            (None, _) => {
                let variable = |name: &str| std::env::var_os(name);
                let value: OsString = resolve_one(name.as_str(), reference, variable)?;
                Zeroizing::new(value.into_vec())
            }
        };
        super::secrets::fits(name.as_str(), reference, &value)?;
        Ok(value)
    }
}
