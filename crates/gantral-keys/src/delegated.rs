//! A key that signs twice a day, and keys in memory that sign for it in between.
//!
//! Nothing that signs an artifact waits for the key that delegates, or for a disk. No clock is read: whether a delegate may
//! sign an artifact is judged by the same rule and from the same bytes as a verifier will judge it. Source: `spec/keys.md` §6.

use std::sync::{Arc, PoisonError, RwLock};

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::delegation::{DELEGATION_MAX, KeyDelegation};
use gantral_evidence::keys::PublicKey;
use gantral_evidence::trust::KeyRole;

use crate::delegations::Delegations;
use crate::facts::Facts;
use crate::file::FileError;
use crate::local::{GenerateError, KeyFormatError, LocalSigner};
use crate::signer::{BoxFuture, SignError, Signature, Signer, SigningContext};

/// How long before its making a delegation begins, for a clock that is set back a little.
const BACKDATED: DurationMs = DurationMs::from_secs(60);
/// How many delegates are held: the newest, and the one before for what was begun under it.
const HELD_MAX: usize = 2;

/// What is delegated.
#[derive(Debug, Clone)]
pub struct DelegationTerms {
    /// How long a delegate signs; at half of it, the next one is made. At least two seconds, and less than [`DELEGATION_MAX`].
    pub period: DurationMs,
    /// The tenants; `None`: those of the issuer key.
    pub tenants: Option<Vec<TenantId>>,
    /// The logs; `None`: those of the issuer key.
    pub origins: Option<Vec<LogOrigin>>,
}

impl Default for DelegationTerms {
    fn default() -> Self {
        Self { period: DurationMs::from_secs(24 * 3_600), tenants: None, origins: None }
    }
}

/// Why no new delegate was made. Those that there are keep signing until their time is over; the caller tries again soon.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The period is too short or too long: a configuration to mend.
    #[error("a delegation lasts at least 2 seconds and less than {} days", DELEGATION_MAX.get() / 86_400_000)]
    Period,
    /// The key that delegates does not sign.
    #[error("the issuer key did not sign a delegation: {0}")]
    Signer(#[from] SignError),
    /// What it signed is not under the key that is pinned.
    #[error("the issuer key signed a delegation with another key than is pinned")]
    OtherKey,
    /// The delegation cannot be kept.
    #[error(transparent)]
    File(#[from] FileError),
    /// No key can be made.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// What was made is no key: a defect.
    #[error(transparent)]
    Format(#[from] KeyFormatError),
}

/// What became of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// A new delegate signs from now on.
    Renewed,
    /// The newest has not reached half of its time.
    NotDue,
}

struct Delegate {
    signer: LocalSigner,
    delegation: KeyDelegation,
}

/// Signs artifacts with keys in memory that an issuer key delegates to.
pub struct DelegatedSigner {
    issuer: Arc<dyn Signer>,
    terms: DelegationTerms,
    kept: Arc<Delegations>,
    /// The newest first.
    held: RwLock<Vec<Arc<Delegate>>>,
    renewing: tokio::sync::Mutex<()>,
}

impl DelegatedSigner {
    /// Returns a signer that signs nothing until it is renewed for the first time.
    pub fn new(issuer: Arc<dyn Signer>, terms: DelegationTerms, kept: Arc<Delegations>) -> Self {
        let (held, renewing) = (RwLock::default(), tokio::sync::Mutex::default());
        Self { issuer, terms, kept, held, renewing }
    }

    /// Makes the next delegate if the newest has reached half of its time at `now`, or there is none. Meant to be called every
    /// minute or so; cheap when nothing is due. Calls wait for each other, signatures never wait for a call.
    ///
    /// # Errors
    /// `RenewError`; whoever calls tries again at the next turn.
    pub async fn renew(&self, now: UnixMillis) -> Result<Renewal, RenewError> {
        let _one_at_a_time = self.renewing.lock().await;
        if !self.is_due(now) {
            return Ok(Renewal::NotDue);
        }
        let delegate = self.delegate(now)?;
        let message = delegate.delegation.message();
        let signature = self.issuer.sign(SigningContext::Delegation, &message).await?;
        let key = self.issuer.public_key();
        if signature.key_id != key.id() || key.verify_strict(&message, &signature.bytes).is_err() {
            return Err(RenewError::OtherKey);
        }
        let envelope = delegate.delegation.signed(&signature.bytes);
        self.kept.keep(delegate.delegation.clone(), envelope)?;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.insert(0, Arc::new(delegate));
        held.truncate(HELD_MAX);
        Ok(Renewal::Renewed)
    }

    fn is_due(&self, now: UnixMillis) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let half = DurationMs::new(self.terms.period.get() / 2);
        held.first().is_none_or(|newest| newest.delegation.not_after.since(now) <= half)
    }

    fn delegate(&self, now: UnixMillis) -> Result<Delegate, RenewError> {
        let period = self.terms.period;
        let lasts = DurationMs::new(period.get().saturating_add(BACKDATED.get()));
        if period < DurationMs::from_secs(2) || lasts > DELEGATION_MAX {
            return Err(RenewError::Period);
        }
        let signer = LocalSigner::from_pkcs8(KeyRole::Issuer, &LocalSigner::generate()?)?;
        let not_before = now.get().saturating_sub(BACKDATED.get());
        let delegation = KeyDelegation {
            delegator: self.issuer.public_key().id(),
            delegate: signer.public_key().clone(),
            tenants: self.terms.tenants.clone(),
            origins: self.terms.origins.clone(),
            not_before: UnixMillis::new(not_before).unwrap_or(now),
            not_after: now.plus(period),
        };
        Ok(Delegate { signer, delegation })
    }

    /// Returns the newest delegate that may sign these bytes.
    fn delegate_for(&self, message: &[u8]) -> Result<Arc<Delegate>, SignError> {
        let facts = Facts::of(message).ok_or(SignError::WrongContext)?;
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let may = |delegate: &&Arc<Delegate>| facts.are_permitted(&delegate.delegation);
        held.iter().find(may).map(Arc::clone).ok_or(SignError::Unavailable)
    }

    fn sign_now(&self, context: SigningContext, message: &[u8]) -> Result<Signature, SignError> {
        match context {
            SigningContext::Artifact => self.delegate_for(message)?.signer.sign_now(context, message),
            SigningContext::Delegation
            | SigningContext::Enrolment
            | SigningContext::Checkpoint
            | SigningContext::Cosignature => Err(SignError::WrongContext),
        }
    }
}

impl Signer for DelegatedSigner {
    fn public_key(&self) -> &PublicKey {
        self.issuer.public_key()
    }

    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        Box::pin(std::future::ready(self.sign_now(context, message)))
    }
}

#[cfg(test)]
mod tests;
