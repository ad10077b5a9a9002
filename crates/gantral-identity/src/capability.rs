//! Proofs of standing: values that only the check itself can make, that are not copied, and that a function takes to
//! say which check must have happened. Whether somebody may do one certain thing is decided later, with these in hand.

use std::collections::BTreeSet;

use gantral_core::ids::{Name, Role};

use crate::error::Fault;
use crate::person::HumanSubject;
use crate::principal::{AttemptScope, Principal, PrincipalKind};

/// Why a principal was not given a proof of standing. Another token is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPermitted {
    /// Only a human may do this; no role makes a machine one.
    #[error("this needs a human, and the token belongs to a {}", found.as_str())]
    HumanNeeded {
        /// What the token belongs to.
        found: PrincipalKind,
    },
    /// Only a human or a workload may create work.
    #[error("this needs a human or a workload, and the token belongs to a {}", found.as_str())]
    RequesterNeeded {
        /// What the token belongs to.
        found: PrincipalKind,
    },
    /// Only a runner may do this.
    #[error("this needs a runner, and the token belongs to a {}", found.as_str())]
    RunnerNeeded {
        /// What the token belongs to.
        found: PrincipalKind,
    },
    /// Only an orchestrator may do this.
    #[error("this needs an orchestrator, and the token belongs to a {}", found.as_str())]
    OrchestratorNeeded {
        /// What the token belongs to.
        found: PrincipalKind,
    },
    /// A human without a configured administrator's role.
    #[error("this needs a role that administers")]
    AdministratorNeeded,
    /// Only a token that was minted for one attempt may do this.
    #[error("this needs the token of an attempt")]
    AttemptNeeded,
    /// A token that was minted for one attempt may act within it and nowhere else.
    #[error("the token of an attempt may not do this")]
    AttemptOnly,
}

impl NotPermitted {
    /// One of each variant, for documentation and tests.
    pub const ALL: [Self; 7] = [
        Self::HumanNeeded { found: PrincipalKind::Workload },
        Self::RequesterNeeded { found: PrincipalKind::Runner },
        Self::RunnerNeeded { found: PrincipalKind::Human },
        Self::OrchestratorNeeded { found: PrincipalKind::Runner },
        Self::AdministratorNeeded,
        Self::AttemptNeeded,
        Self::AttemptOnly,
    ];

    /// Returns the stable code; never reused for another meaning.
    pub const fn code(self) -> &'static str {
        match self {
            Self::HumanNeeded { .. } => "human_needed",
            Self::RequesterNeeded { .. } => "requester_needed",
            Self::RunnerNeeded { .. } => "runner_needed",
            Self::OrchestratorNeeded { .. } => "orchestrator_needed",
            Self::AdministratorNeeded => "administrator_needed",
            Self::AttemptNeeded => "attempt_token_needed",
            Self::AttemptOnly => "attempt_token_only",
        }
    }

    /// Returns who is at fault: always the caller.
    pub const fn fault(self) -> Fault {
        Fault::Caller
    }
}

/// A verified human, who may decide where the gate finds them eligible.
#[derive(Debug)]
pub struct Approver {
    principal: Principal,
    human: HumanSubject,
}

impl Approver {
    pub(crate) fn of(principal: &Principal) -> Result<Self, NotPermitted> {
        let human = human(principal)?;
        Ok(Self { principal: principal.clone(), human })
    }

    /// Returns the principal.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the human.
    pub fn human(&self) -> &HumanSubject {
        &self.human
    }

    /// Returns the roles that the human holds now.
    pub fn roles(&self) -> &BTreeSet<Role> {
        self.principal.roles()
    }
}

/// A verified human who holds a role that the issuer's configuration names as an administrator's.
#[derive(Debug)]
pub struct Administrator {
    principal: Principal,
    human: HumanSubject,
}

impl Administrator {
    pub(crate) fn of(principal: &Principal) -> Result<Self, NotPermitted> {
        let human = human(principal)?;
        if principal.holds_admin_role() {
            Ok(Self { principal: principal.clone(), human })
        } else {
            Err(NotPermitted::AdministratorNeeded)
        }
    }

    /// Returns the principal.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the human.
    pub fn human(&self) -> &HumanSubject {
        &self.human
    }
}

/// A verified human or workload that may create work on its own account.
#[derive(Debug)]
pub struct Requester {
    principal: Principal,
}

impl Requester {
    /// An attempt does not create work on its own account: what it starts is its child and takes an [`AttemptBearer`].
    pub(crate) fn of(principal: &Principal) -> Result<Self, NotPermitted> {
        if principal.attempt().is_some() {
            return Err(NotPermitted::AttemptOnly);
        }
        match principal.kind() {
            PrincipalKind::Human | PrincipalKind::Workload => Ok(Self { principal: principal.clone() }),
            found @ (PrincipalKind::Runner | PrincipalKind::Orchestrator) => {
                Err(NotPermitted::RequesterNeeded { found })
            }
        }
    }

    /// Returns the principal.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

/// A verified runner.
#[derive(Debug)]
pub struct RunnerIdentity {
    principal: Principal,
}

impl RunnerIdentity {
    pub(crate) fn of(principal: &Principal) -> Result<Self, NotPermitted> {
        match principal.kind() {
            PrincipalKind::Runner => Ok(Self { principal: principal.clone() }),
            found @ (PrincipalKind::Human | PrincipalKind::Workload | PrincipalKind::Orchestrator) => {
                Err(NotPermitted::RunnerNeeded { found })
            }
        }
    }

    /// Returns the principal.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Says whether this runner is configured for a queue.
    pub fn may_claim(&self, queue: &Name) -> bool {
        self.principal.queues().contains(queue)
    }
}

/// A verified orchestrator of a tenant. Nothing that takes this proof can grant, decide or end anything.
#[derive(Debug)]
pub struct Orchestrator {
    principal: Principal,
}

impl Orchestrator {
    pub(crate) fn of(principal: &Principal) -> Result<Self, NotPermitted> {
        match principal.kind() {
            PrincipalKind::Orchestrator => Ok(Self { principal: principal.clone() }),
            found @ (PrincipalKind::Human | PrincipalKind::Workload | PrincipalKind::Runner) => {
                Err(NotPermitted::OrchestratorNeeded { found })
            }
        }
    }

    /// Returns the principal.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}

/// A verified token of one attempt.
#[derive(Debug)]
pub struct AttemptBearer {
    principal: Principal,
    scope: AttemptScope,
}

impl AttemptBearer {
    pub(crate) fn of(principal: &Principal) -> Result<Self, NotPermitted> {
        let scope = principal.attempt().ok_or(NotPermitted::AttemptNeeded)?;
        Ok(Self { principal: principal.clone(), scope })
    }

    /// Returns the principal: the workload that the attempt acts for.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the instance and attempt that the token is limited to.
    pub fn scope(&self) -> AttemptScope {
        self.scope
    }
}

fn human(principal: &Principal) -> Result<HumanSubject, NotPermitted> {
    principal.human().ok_or(NotPermitted::HumanNeeded { found: principal.kind() })
}
