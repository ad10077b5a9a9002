//! Whether a passkey signs what somebody decides at a gate.

use gantral_api::wire::{GateView, Passkey, PasskeyState};
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
        Self { required, possible: mine.iter().any(|one| Self::counts(gate, one)) }
    }

    /// Tells whether a passkey counts at a gate: it stands, and was enrolled before the gate opened.
    pub fn counts(gate: &GateView, passkey: &Passkey) -> bool {
        let since = passkey.enrolled_at.as_ref().filter(|_| passkey.state == PasskeyState::Enrolled);
        since.is_some_and(|since| **since < *gate.opened_at)
    }
}
