//! A signer that is unavailable on purpose.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use gantral_evidence::keys::PublicKey;
use gantral_keys::{BoxFuture, LocalSigner, SignError, Signature, Signer, SigningContext};

/// Says which signatures fail, counted from 1. Clones are one plan.
#[derive(Debug, Clone, Default)]
pub struct SignerFaults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    asked: u64,
    failing: BTreeSet<u64>,
}

impl SignerFaults {
    /// Lets the `nth` signature from now on fail; the next is 1.
    pub fn fail_after(&self, nth: u64) {
        let mut plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = plan.asked.saturating_add(nth);
        plan.failing.insert(number);
    }

    fn fails(&self) -> bool {
        let mut plan = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plan.asked = plan.asked.saturating_add(1);
        let number = plan.asked;
        plan.failing.remove(&number)
    }
}

/// Signs with a real key, but for the signatures that are planned to fail.
pub struct FaultySigner {
    signer: LocalSigner,
    faults: SignerFaults,
}

impl FaultySigner {
    /// Wraps a signer.
    pub fn new(signer: LocalSigner, faults: SignerFaults) -> Self {
        Self { signer, faults }
    }
}

impl Signer for FaultySigner {
    fn public_key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        if self.faults.fails() {
            return Box::pin(std::future::ready(Err(SignError::Unavailable)));
        }
        self.signer.sign(context, message)
    }
}
