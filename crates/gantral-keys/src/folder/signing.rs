//! From a folder to whoever signs.

use std::fs::File;
use std::sync::Arc;

use gantral_evidence::keys::PublicKey;
use gantral_evidence::trust::KeyRole;

use super::{DELEGATIONS, Held, KeyFolder, KeysError};
use crate::delegated::{DelegatedSigner, DelegationTerms};
use crate::delegations::Delegations;
use crate::file::read_private;
use crate::local::LocalSigner;
use crate::openbao::OpenBaoSigner;
use crate::signer::{BoxFuture, SignError, Signature, Signer, SigningContext};

/// What signs artifacts, and what chains need to be checked.
pub struct IssuerSigner {
    /// Signs.
    pub signer: Arc<dyn Signer>,
    /// What must be renewed now and then so that it signs at all; `None` for a key in a file, which signs by itself.
    pub renewed: Option<Arc<DelegatedSigner>>,
    /// The issuer keys before this one.
    pub earlier: Vec<PublicKey>,
    /// The delegations of this key and of those before.
    pub delegations: Arc<Delegations>,
}

/// A signer that keeps the folder from being changed.
struct Holding {
    signer: Arc<dyn Signer>,
    _lock: Arc<File>,
}

impl Signer for Holding {
    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        self.signer.sign(context, message)
    }
}

impl KeyFolder {
    /// Returns who signs artifacts. A key in OpenBao delegates: whoever takes the signer renews it, first of all before anything is
    /// signed.
    ///
    /// # Errors
    /// `KeysError`; those of OpenBao are worth another try where they say so.
    pub async fn issuer(&self, terms: DelegationTerms) -> Result<IssuerSigner, KeysError> {
        let earlier = self.earlier(KeyRole::Issuer);
        let issuers = self.entries.iter().filter(|entry| entry.role == KeyRole::Issuer);
        let issuers: Vec<PublicKey> = issuers.map(|entry| entry.public_key.clone()).collect();
        let delegations = Arc::new(Delegations::open(&self.path.join(DELEGATIONS), &issuers)?);
        let (signer, is_remote) = self.signer_of(KeyRole::Issuer).await?;
        let renewed = is_remote
            .then(|| Arc::new(DelegatedSigner::new(Arc::clone(&signer), terms, Arc::clone(&delegations))));
        let signer = renewed.clone().map_or(signer, |delegated| delegated as Arc<dyn Signer>);
        Ok(IssuerSigner { signer: self.holding(signer), renewed, earlier, delegations })
    }

    /// Returns who signs checkpoints.
    ///
    /// # Errors
    /// As [`KeyFolder::issuer`].
    pub async fn log(&self) -> Result<Arc<dyn Signer>, KeysError> {
        Ok(self.holding(self.signer_of(KeyRole::Log).await?.0))
    }

    fn holding(&self, signer: Arc<dyn Signer>) -> Arc<dyn Signer> {
        Arc::new(Holding { signer, _lock: Arc::clone(&self.lock) })
    }

    /// Returns the current key of a role, and whether it is elsewhere.
    async fn signer_of(&self, role: KeyRole) -> Result<(Arc<dyn Signer>, bool), KeysError> {
        let current = self.entries.iter().find(|entry| entry.role == role && entry.is_current());
        let entry = current.ok_or(KeysError::Role { role })?;
        match entry.held.as_ref().ok_or(KeysError::Role { role })? {
            Held::File(name) => {
                let path = self.path.join(name);
                let bytes = read_private(&path)?;
                let other = KeysError::OtherKey { path, key_id: entry.public_key.id() };
                let signer = LocalSigner::from_pkcs8(role, &bytes)?;
                if *signer.public_key() == entry.public_key {
                    Ok((Arc::new(signer), false))
                } else {
                    Err(other)
                }
            }
            Held::OpenBao(config) => {
                let signer = OpenBaoSigner::connect(role, config, Some(&entry.public_key)).await?;
                Ok((Arc::new(signer), true))
            }
        }
    }
}
