//! Whether a passkey signs what somebody decides at a gate.

use gantral_api::wire::{GateView, Passkey};
use gantral_core::state::HumanEvidence;

/// How a decision of this human at this gate is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signing {
    /// Whether nothing weaker counts here.
    pub(crate) required: bool,
    /// Whether a passkey of theirs counts here.
    pub(crate) possible: bool,
}

impl Signing {
    /// Chooses among the passkeys of a human.
    pub fn at(gate: &GateView, mine: &[Passkey]) -> Self {
        let required = matches!(*gate.required_evidence, HumanEvidence::Webauthn);
        Self { required, possible: mine.iter().any(|one| one.counts_at(gate.opened_at.into_inner())) }
    }
}
