//! What one person may not change alone.

use std::collections::BTreeMap;

use gantral_core::ids::TenantId;
use gantral_core::time::DurationMs;
use gantral_evidence::governance::GovernanceKind;

/// For how long a proposal can be confirmed where nothing is configured: three days, so that it outlives a weekend.
pub const EXPIRES_DEFAULT: DurationMs = DurationMs::from_secs(3 * 86_400);
/// How many proposals of one tenant may be open where nothing is configured.
pub const OPEN_DEFAULT: usize = 32;

/// Which administrators may lift a freeze. Freezing always takes one person alone: it is the emergency brake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unfreeze {
    /// Any of them.
    #[default]
    Anyone,
    /// Another person than the one who froze.
    Another,
    /// Two persons: one proposes it, and another confirms it.
    Two,
}

/// What takes two persons in a tenant, and how long and how often it may wait for the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FourEyesRules {
    /// Whether putting a policy in force does, also by a rollback or with a workflow.
    pub policy: bool,
    /// Whether changing a mode does.
    pub mode: bool,
    /// Who may lift a freeze.
    pub unfreeze: Unfreeze,
    /// For how long a proposal can be confirmed.
    pub expires: DurationMs,
    /// How many proposals of the tenant may be open at a time.
    pub open_max: usize,
}

impl Default for FourEyesRules {
    fn default() -> Self {
        Self {
            policy: false,
            mode: false,
            unfreeze: Unfreeze::Anyone,
            expires: EXPIRES_DEFAULT,
            open_max: OPEN_DEFAULT,
        }
    }
}

impl FourEyesRules {
    /// Tells whether an event takes two persons.
    pub const fn takes_two(&self, kind: GovernanceKind) -> bool {
        match kind {
            GovernanceKind::PolicyActivated => self.policy,
            GovernanceKind::ModeChanged => self.mode,
            GovernanceKind::Lifted => matches!(self.unfreeze, Unfreeze::Two),
            GovernanceKind::KeyAdded
            | GovernanceKind::KeyRetired
            | GovernanceKind::KeyCompromised
            | GovernanceKind::Frozen
            | GovernanceKind::Delegated
            | GovernanceKind::DelegationRevoked
            | GovernanceKind::Enrolled
            | GovernanceKind::EnrolmentRevoked
            | GovernanceKind::Erased => false,
        }
    }
}

/// The rules of every tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FourEyes {
    /// Of tenants without rules of their own.
    pub usual: FourEyesRules,
    /// Of these tenants instead.
    pub tenants: BTreeMap<TenantId, FourEyesRules>,
}

impl FourEyes {
    /// Returns the rules of a tenant.
    pub fn of(&self, tenant: &TenantId) -> FourEyesRules {
        self.tenants.get(tenant).copied().unwrap_or(self.usual)
    }
}
