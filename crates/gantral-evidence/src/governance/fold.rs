//! What is in force at one place of a governance chain: the fold that the engine checks itself against, and the verifier
//! everybody. Source: `spec/governance.md` §3 and §5.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::ids::{Name, PersonId, Role, TeamId, WorkflowId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::Mode;
use gantral_core::time::UnixMillis;

use super::event::{Detail, Scope};
use crate::keys::KeyId;
use crate::trust::KeyRole;

/// A rule of the chain that an event breaks (G6, G7). Whoever sealed it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GovernanceFault {
    /// Not the epoch after the one in force.
    #[error("the epoch does not follow the one before")]
    Epoch,
    /// Frozen twice, or lifted without a freeze.
    #[error("what is frozen is not frozen again, and only that is lifted")]
    Freeze,
    /// Another policy was in force for this scope.
    #[error("another policy was in force for this scope before")]
    Previous,
    /// Added twice, or never added.
    #[error("a key is added once, and only then retired or compromised")]
    Key,
    /// Ends before it begins.
    #[error("a delegation begins before it ends")]
    Window,
    /// Enrols what is enrolled.
    #[error("what is enrolled is not enrolled again before it was revoked")]
    Enrolled,
    /// Revokes what is not there.
    #[error("only what is in force is revoked")]
    Revoked,
}

/// A delegation that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Whose authority it is.
    pub from: PersonId,
    /// Who may use it.
    pub to: PersonId,
    /// Under which roles.
    pub roles: Vec<Role>,
    /// From when.
    pub not_before: UnixMillis,
    /// Until when, exclusive.
    pub not_after: UnixMillis,
}

impl Delegation {
    /// Tells whether it is in force at an instant, unless it was revoked.
    pub fn covers(&self, at: UnixMillis) -> bool {
        self.not_before <= at && at < self.not_after
    }
}

/// The policies of one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policies {
    present: PolicyVersionId,
    before: Option<PolicyVersionId>,
}

/// A key that the chain names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeclaredKey {
    /// What it is for.
    pub role: KeyRole,
    /// Whether it signs nothing any more.
    pub retired: bool,
    /// From which index of the log on it counts for nothing, if it was compromised.
    pub compromised_from: Option<u64>,
}

/// What the chain says is in force, after some of its artifacts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InForce {
    epoch: u64,
    frozen: BTreeSet<Scope>,
    policies: BTreeMap<Scope, Policies>,
    modes: BTreeMap<(Scope, Option<Name>), Mode>,
    keys: BTreeMap<KeyId, DeclaredKey>,
    delegations: BTreeMap<Digest, Delegation>,
    enrolments: BTreeMap<Digest, PersonId>,
    erased: BTreeSet<Digest>,
}

impl InForce {
    /// Applies the next event, whose artifact has this hash. A broken rule changes nothing.
    ///
    /// # Errors
    /// The rule that the event breaks.
    pub fn apply(&mut self, detail: &Detail, hash: Digest) -> Result<(), GovernanceFault> {
        match detail {
            Detail::KeyAdded { key, role } => {
                require(!self.keys.contains_key(&key.id()), GovernanceFault::Key)?;
                let declared = DeclaredKey { role: *role, retired: false, compromised_from: None };
                self.keys.insert(key.id(), declared);
            }
            Detail::KeyRetired { key } => {
                self.keys.get_mut(key).ok_or(GovernanceFault::Key)?.retired = true;
            }
            Detail::KeyCompromised { key, from_index } => {
                let declared = self.keys.get_mut(key).ok_or(GovernanceFault::Key)?;
                let earliest = declared.compromised_from.map_or(*from_index, |from| from.min(*from_index));
                declared.compromised_from = Some(earliest);
            }
            Detail::PolicyActivated { scope, version, previous } => {
                require(self.policy_of(scope) == *previous, GovernanceFault::Previous)?;
                self.policies.insert(scope.clone(), Policies { present: *version, before: *previous });
            }
            Detail::ModeChanged { scope, action, mode } => {
                self.modes.insert((scope.clone(), action.clone()), *mode);
            }
            Detail::Frozen { scope, epoch } => {
                self.follows(*epoch)?;
                require(!self.frozen.contains(scope), GovernanceFault::Freeze)?;
                self.frozen.insert(scope.clone());
                self.epoch = *epoch;
            }
            Detail::Lifted { scope, epoch } => {
                self.follows(*epoch)?;
                require(self.frozen.remove(scope), GovernanceFault::Freeze)?;
                self.epoch = *epoch;
            }
            Detail::Delegated { from, to, roles, not_before, not_after } => {
                require(not_before < not_after, GovernanceFault::Window)?;
                let (roles, not_before, not_after) = (roles.clone(), *not_before, *not_after);
                let delegation = Delegation { from: *from, to: *to, roles, not_before, not_after };
                self.delegations.insert(hash, delegation);
            }
            Detail::DelegationRevoked { delegation } => {
                require(self.delegations.remove(delegation).is_some(), GovernanceFault::Revoked)?;
            }
            Detail::Enrolled { person, entry } => {
                require(!self.enrolments.contains_key(entry), GovernanceFault::Enrolled)?;
                self.enrolments.insert(*entry, *person);
            }
            Detail::EnrolmentRevoked { entry } => {
                require(self.enrolments.remove(entry).is_some(), GovernanceFault::Revoked)?;
            }
            Detail::Erased { commitment, .. } => _ = self.erased.insert(*commitment),
        }
        Ok(())
    }

    fn follows(&self, epoch: u64) -> Result<(), GovernanceFault> {
        require(Some(epoch) == self.epoch.checked_add(1), GovernanceFault::Epoch)
    }

    /// Returns how often something was frozen or lifted.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Tells whether a scope itself is frozen, whatever stands above it.
    pub fn is_frozen(&self, scope: &Scope) -> bool {
        self.frozen.contains(scope)
    }

    /// Tells whether a workflow is frozen, by itself, by its team or by its tenant.
    pub fn freezes(&self, workflow: &WorkflowId, team: Option<&TeamId>) -> bool {
        scopes(workflow, team).any(|scope| self.frozen.contains(&scope))
    }

    /// Returns every scope that is frozen itself: the tenant, then teams and workflows by name.
    pub fn frozen(&self) -> impl Iterator<Item = &Scope> {
        self.frozen.iter()
    }

    /// Returns the policy that is in force for exactly this scope.
    pub fn policy_of(&self, scope: &Scope) -> Option<PolicyVersionId> {
        self.policies.get(scope).map(|policies| policies.present)
    }

    /// Returns the policy that was in force for exactly this scope before the present one.
    pub fn policy_before(&self, scope: &Scope) -> Option<PolicyVersionId> {
        self.policies.get(scope)?.before
    }

    /// Returns every scope that has a policy of its own, with the one in force.
    pub fn policies(&self) -> impl Iterator<Item = (&Scope, PolicyVersionId)> {
        self.policies.iter().map(|(scope, policies)| (scope, policies.present))
    }

    /// Returns the policy that is in force for a workflow: that of the narrowest scope that has one (G3).
    pub fn policy(&self, workflow: &WorkflowId, team: Option<&TeamId>) -> Option<PolicyVersionId> {
        scopes(workflow, team).find_map(|scope| self.policy_of(&scope))
    }

    /// Returns the narrowest scope of a workflow that has a policy: that of [`InForce::policy`].
    pub fn policy_scope(&self, workflow: &WorkflowId, team: Option<&TeamId>) -> Option<Scope> {
        scopes(workflow, team).find(|scope| self.policies.contains_key(scope))
    }

    /// Returns the mode of an action of a workflow: its own, else that of the narrowest scope that has one, else `ENFORCE` (G16). Without an
    /// action: of those that have none of their own.
    pub fn mode(&self, workflow: &WorkflowId, team: Option<&TeamId>, action: Option<&Name>) -> Mode {
        let of_action = |action| self.mode_of(&Scope::Workflow(workflow.clone()), Some(action));
        let of_scope = || scopes(workflow, team).find_map(|scope| self.mode_of(&scope, None));
        let mode = action.and_then(of_action).or_else(of_scope);
        mode.unwrap_or(Mode::Enforce)
    }

    /// Returns the mode that was set for exactly this scope, and this action of it.
    pub fn mode_of(&self, scope: &Scope, action: Option<&Name>) -> Option<Mode> {
        self.modes.get(&(scope.clone(), action.cloned())).copied()
    }

    /// Returns every scope, and every action of one, for which a mode was set, with the one in force.
    pub fn modes(&self) -> impl Iterator<Item = (&Scope, Option<&Name>, Mode)> {
        self.modes.iter().map(|((scope, action), mode)| (scope, action.as_ref(), *mode))
    }

    /// Tells whether some team is frozen or has a policy, so that the team of a workflow matters (G12).
    pub fn depends_on_team(&self) -> bool {
        self.team_has_policy() || self.frozen.iter().any(|scope| matches!(scope, Scope::Team(_)))
    }

    /// Tells whether a policy is in force for some team.
    pub fn team_has_policy(&self) -> bool {
        self.policies.keys().any(|scope| matches!(scope, Scope::Team(_)))
    }

    /// Returns what the chain says of a key.
    pub fn key(&self, key: &KeyId) -> Option<DeclaredKey> {
        self.keys.get(key).copied()
    }

    /// Returns every key that the chain names, by rising id.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, DeclaredKey)> {
        self.keys.iter().map(|(key, declared)| (*key, *declared))
    }

    /// Returns a delegation by the hash of its artifact, unless it was revoked.
    pub fn delegation(&self, hash: &Digest) -> Option<&Delegation> {
        self.delegations.get(hash)
    }

    /// Returns every delegation that was not revoked, by the hash of its artifact; also those that are over.
    pub fn delegations(&self) -> impl Iterator<Item = (&Digest, &Delegation)> {
        self.delegations.iter()
    }

    /// Returns whose enrolment an entry is, unless it was revoked.
    pub fn enrolment(&self, entry: &Digest) -> Option<PersonId> {
        self.enrolments.get(entry).copied()
    }

    /// Tells whether a commitment was erased by right.
    pub fn was_erased(&self, commitment: &Digest) -> bool {
        self.erased.contains(commitment)
    }
}

/// Returns the scopes of a workflow, the narrowest first.
fn scopes(workflow: &WorkflowId, team: Option<&TeamId>) -> impl Iterator<Item = Scope> {
    let team = team.cloned().map(Scope::Team);
    [Some(Scope::Workflow(workflow.clone())), team, Some(Scope::Tenant)].into_iter().flatten()
}

fn require(holds: bool, fault: GovernanceFault) -> Result<(), GovernanceFault> {
    if holds { Ok(()) } else { Err(fault) }
}
