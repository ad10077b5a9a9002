//! A mode lease: how far a client may go on for a short while when no server answers it.
//!
//! Source: `spec/governance.md` §7.

mod statement;

use alloc::string::{String, ToString as _};

use gantral_core::ids::{Name, TenantId, WorkflowId};
use gantral_core::state::Mode;
use gantral_core::time::{DurationMs, UnixMillis};

use crate::container::Files;
use crate::dsse::Envelope;
use crate::trust::Trust;
use crate::verify::{Code, Said, authenticate_unplaced, code_of, code_of_envelope};

pub use statement::{ACTIONS_MAX, ModeLease, PREDICATE_TYPE};

/// The longest that a lease lasts.
pub const LIFETIME_MAX: DurationMs = DurationMs::from_secs(24 * 3_600);
/// How far in the future a lease may have been made: clocks differ.
pub const SKEW: DurationMs = DurationMs::from_secs(60);
/// What findings call the envelope.
const PATH: &str = "mode-lease.dsse.json";

/// Why an envelope is no lease that may be believed: the bytes are at fault, or what is pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the mode lease is not believed: {message} ({code})", code = code.as_str())]
pub struct ModeLeaseFault {
    /// The code that a verifier would say.
    pub code: Code,
    /// What is wrong, for people.
    pub message: String,
}

/// Why a lease that is believed does not permit an action. Nothing may be done without a server's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLeased {
    /// For another tenant or workflow.
    #[error("the mode lease is for another tenant or workflow")]
    Other,
    /// Over, or not begun.
    #[error("the mode lease is over, or was made in the future")]
    Time,
    /// What policy says of the action is enforced.
    #[error("what policy says of the action is enforced")]
    Enforced,
}

impl ModeLease {
    /// Reads and authenticates a lease (G18). `keys` are the delegations that came with it, named as in a bundle.
    ///
    /// # Errors
    /// The fault; the same for the same bytes.
    pub fn open(envelope: &[u8], keys: &Files<'_>, trust: &Trust) -> Result<Self, ModeLeaseFault> {
        let fault = |(code, message)| ModeLeaseFault { code, message };
        let envelope = Envelope::parse(envelope)
            .map_err(|error| fault((code_of_envelope(&error), error.to_string())))?;
        let read =
            |payload: &[u8]| Self::decode(payload).map_err(|error| (code_of(&error), error.to_string()));
        let authentic = authenticate_unplaced(PATH, &envelope, keys, Some(trust), read, Self::said);
        authentic.map(|(lease, _)| lease).map_err(fault)
    }

    fn said(&self) -> Said<'_> {
        let size = self.anchor.map_or(0, |anchor| anchor.size);
        Said { tenant: &self.tenant, origin: &self.origin, at: self.at, size }
    }

    /// Says whether a client may go on with an action at an instant, though no server answers it (G20).
    ///
    /// # Errors
    /// Why not.
    pub fn permits(
        &self,
        tenant: &TenantId,
        workflow: &WorkflowId,
        action: &Name,
        now: UnixMillis,
    ) -> Result<(), NotLeased> {
        self.holds(tenant, workflow, now)?;
        match self.mode_of(action) {
            Mode::Shadow => Ok(()),
            Mode::Enforce => Err(NotLeased::Enforced),
        }
    }

    /// Says whether this is about a workflow, at an instant.
    ///
    /// # Errors
    /// `Other` or `Time`.
    pub fn holds(&self, tenant: &TenantId, workflow: &WorkflowId, now: UnixMillis) -> Result<(), NotLeased> {
        if self.tenant != *tenant || self.workflow != *workflow {
            return Err(NotLeased::Other);
        }
        if now.plus(SKEW) < self.at || now >= self.expires_at {
            return Err(NotLeased::Time);
        }
        Ok(())
    }

    /// Returns the mode of an action.
    pub fn mode_of(&self, action: &Name) -> Mode {
        self.actions.get(action).copied().unwrap_or(self.mode)
    }

    /// Tells whether anything is only observed.
    pub fn observes(&self) -> bool {
        self.mode == Mode::Shadow || self.actions.values().any(|mode| *mode == Mode::Shadow)
    }
}

#[cfg(test)]
mod tests;
