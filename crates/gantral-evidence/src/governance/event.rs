//! What can happen on a governance chain. Source: `spec/governance.md` §2.

use alloc::vec::Vec;

use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::ids::{InstanceId, Name, PersonId, Role, TeamId, WorkflowId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::Mode;
use gantral_core::time::UnixMillis;

use crate::keys::{KeyId, PublicKey};
use crate::trust::KeyRole;

/// The kinds of event; the set is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GovernanceKind {
    /// A key may sign from here on.
    KeyAdded,
    /// A key signs nothing that follows.
    KeyRetired,
    /// What a key signed counts only below an index of the log.
    KeyCompromised,
    /// A policy is in force.
    PolicyActivated,
    /// Answers are enforced, or only observed.
    ModeChanged,
    /// Nothing is consumed and nothing launched.
    Frozen,
    /// A freeze has ended.
    Lifted,
    /// A person may act for another.
    Delegated,
    /// A delegation ends.
    DelegationRevoked,
    /// An approver has a key of their own.
    Enrolled,
    /// An enrolment ends.
    EnrolmentRevoked,
    /// What a commitment stood for is gone.
    Erased,
}

impl GovernanceKind {
    /// Every kind, in the order of the specification.
    pub const ALL: [Self; 12] = [
        Self::KeyAdded,
        Self::KeyRetired,
        Self::KeyCompromised,
        Self::PolicyActivated,
        Self::ModeChanged,
        Self::Frozen,
        Self::Lifted,
        Self::Delegated,
        Self::DelegationRevoked,
        Self::Enrolled,
        Self::EnrolmentRevoked,
        Self::Erased,
    ];

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyAdded => "key_added",
            Self::KeyRetired => "key_retired",
            Self::KeyCompromised => "key_compromised",
            Self::PolicyActivated => "policy_activated",
            Self::ModeChanged => "mode_changed",
            Self::Frozen => "frozen",
            Self::Lifted => "lifted",
            Self::Delegated => "delegated",
            Self::DelegationRevoked => "delegation_revoked",
            Self::Enrolled => "enrolled",
            Self::EnrolmentRevoked => "enrolment_revoked",
            Self::Erased => "erased",
        }
    }

    /// Tells whether one person may propose such an event, and another put it in force (G23).
    pub const fn is_proposable(self) -> bool {
        match self {
            Self::PolicyActivated | Self::ModeChanged | Self::Lifted => true,
            Self::KeyAdded
            | Self::KeyRetired
            | Self::KeyCompromised
            | Self::Frozen
            | Self::Delegated
            | Self::DelegationRevoked
            | Self::Enrolled
            | Self::EnrolmentRevoked
            | Self::Erased => false,
        }
    }

    /// Finds a kind by its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What an event is about (G3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything of the tenant.
    Tenant,
    /// The workflows of one team.
    Team(TeamId),
    /// One workflow.
    Workflow(WorkflowId),
}

impl Scope {
    /// Returns the word and the name.
    pub(super) fn parts(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Tenant => ("tenant", None),
            Self::Team(team) => ("team", Some(team.as_str())),
            Self::Workflow(workflow) => ("workflow", Some(workflow.as_str())),
        }
    }

    /// Finds the scope of a word and a name.
    pub(super) fn of(kind: &str, name: Option<&Name>) -> Option<Self> {
        match (kind, name) {
            ("tenant", None) => Some(Self::Tenant),
            ("team", Some(name)) => TeamId::parse(name.as_str()).ok().map(Self::Team),
            ("workflow", Some(name)) => WorkflowId::parse(name.as_str()).ok().map(Self::Workflow),
            _ => None,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// A key may sign from here on.
    KeyAdded {
        /// The key.
        key: PublicKey,
        /// What for.
        role: KeyRole,
    },
    /// A key signs nothing that follows.
    KeyRetired {
        /// The key.
        key: KeyId,
    },
    /// What a key signed counts only below an index.
    KeyCompromised {
        /// The key.
        key: KeyId,
        /// The first index of the log at which it counts for nothing.
        from_index: u64,
    },
    /// A policy is in force for the next ask.
    PolicyActivated {
        /// For what.
        scope: Scope,
        /// Which.
        version: PolicyVersionId,
        /// What was in force for exactly this scope before.
        previous: Option<PolicyVersionId>,
    },
    /// Answers are enforced, or only observed.
    ModeChanged {
        /// For what.
        scope: Scope,
        /// For this action of a workflow alone; `None` for every action of the scope.
        action: Option<Name>,
        /// From now on.
        mode: Mode,
    },
    /// Nothing is consumed and nothing launched.
    Frozen {
        /// What.
        scope: Scope,
        /// The new epoch.
        epoch: u64,
    },
    /// A freeze has ended.
    Lifted {
        /// What.
        scope: Scope,
        /// The new epoch.
        epoch: u64,
    },
    /// A person may act for another.
    Delegated {
        /// Whose authority it is.
        from: PersonId,
        /// Who may use it.
        to: PersonId,
        /// Under which roles; 1 to 64.
        roles: Vec<Role>,
        /// From when.
        not_before: UnixMillis,
        /// Until when, exclusive.
        not_after: UnixMillis,
    },
    /// A delegation ends.
    DelegationRevoked {
        /// The hash of its governance artifact.
        delegation: Digest,
    },
    /// An approver has a key of their own.
    Enrolled {
        /// Who.
        person: PersonId,
        /// The digest of the entry that the directory signed.
        entry: Digest,
    },
    /// An enrolment ends.
    EnrolmentRevoked {
        /// The digest of the entry.
        entry: Digest,
    },
    /// Salt and plaintext behind a commitment are gone.
    Erased {
        /// The instance whose artifact carries it; `None` for a person, or for a justification of this chain.
        instance: Option<InstanceId>,
        /// The commitment.
        commitment: Digest,
        /// What it committed to.
        label: CommitmentLabel,
    },
}

impl Detail {
    /// Returns the kind of the event.
    pub const fn kind(&self) -> GovernanceKind {
        match self {
            Self::KeyAdded { .. } => GovernanceKind::KeyAdded,
            Self::KeyRetired { .. } => GovernanceKind::KeyRetired,
            Self::KeyCompromised { .. } => GovernanceKind::KeyCompromised,
            Self::PolicyActivated { .. } => GovernanceKind::PolicyActivated,
            Self::ModeChanged { .. } => GovernanceKind::ModeChanged,
            Self::Frozen { .. } => GovernanceKind::Frozen,
            Self::Lifted { .. } => GovernanceKind::Lifted,
            Self::Delegated { .. } => GovernanceKind::Delegated,
            Self::DelegationRevoked { .. } => GovernanceKind::DelegationRevoked,
            Self::Enrolled { .. } => GovernanceKind::Enrolled,
            Self::EnrolmentRevoked { .. } => GovernanceKind::EnrolmentRevoked,
            Self::Erased { .. } => GovernanceKind::Erased,
        }
    }
}
