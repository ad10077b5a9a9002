//! Delegations: somebody lends roles that they hold to another person, for a while.
//!
//! Roles come with tokens, and whoever is away brings none: a delegation names the roles that its giver proved to hold when it was
//! made. Source: `spec/governance.md` §10.

use std::collections::BTreeSet;

use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::event::Actor;
use gantral_core::ids::{PersonId, Role, TenantId};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::governance::{Delegation, Detail};
use gantral_identity::{Approver, HumanSubject, Principal};

use super::{GovernanceReceipt, Governed, Governor, InForceAt, Still};
use crate::engine::{Call, Engine};
use crate::error::EngineError;

/// How far away the end of a delegation may lie where nothing is configured: two weeks, a usual holiday.
pub const DELEGATION_LONGEST_DEFAULT: DurationMs = DurationMs::from_secs(14 * 86_400);
/// How many delegations of one person may stand at a time: every vote looks at them.
const STANDING_MAX: usize = 16;
/// How many roles one delegation may name: as many as a gate asks for.
const ROLES_MAX: usize = 16;

/// What somebody wants to delegate.
#[derive(Debug, Clone)]
pub struct NewDelegation {
    /// To whom.
    pub to: HumanSubject,
    /// Which of their roles, 1 to 16.
    pub roles: BTreeSet<Role>,
    /// From when; from now on when absent or past.
    pub not_before: Option<UnixMillis>,
    /// Until when, exclusive.
    pub not_after: UnixMillis,
}

/// One delegation that was neither revoked nor is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationView {
    /// Who lends what to whom, and for how long.
    pub delegation: Delegation,
    /// The artifact that says so; its hash is the name of the delegation.
    pub sealed: GovernanceReceipt,
}

/// What a delegation lends to whoever votes by it.
pub(crate) struct Lent {
    pub(crate) from: PersonId,
    pub(crate) roles: BTreeSet<Role>,
}

impl Engine {
    /// Delegates roles of the caller to another person; `None` when the same was delegated already.
    ///
    /// # Errors
    /// `Forbidden` for roles that the caller does not hold, and where too many stand; `Text` for what is no delegation; `Conflict`: repeat; the
    /// signer's and the store's.
    pub async fn delegate(
        &self,
        call: &mut Call,
        approver: &Approver,
        why: Option<&str>,
        new: NewDelegation,
    ) -> Result<Option<GovernanceReceipt>, EngineError> {
        let wrong = |member, why| Err(EngineError::Text { member, why });
        let (tenant, now) = (approver.principal().tenant(), call.now);
        if new.roles.is_empty() || new.roles.len() > ROLES_MAX {
            return wrong("roles", "names 1 to 16 roles");
        }
        if !new.roles.is_subset(approver.roles()) {
            return Err(EngineError::Forbidden { why: "nobody delegates a role that they do not hold" });
        }
        let not_before = new.not_before.map_or(now, |begin| begin.max(now));
        if new.not_after <= not_before {
            return wrong("not_after", "does not lie after the beginning");
        }
        if new.not_after > now.plus(self.0.config.delegation_longest) {
            return wrong("not_after", "lies further away than this server allows");
        }
        if new.to == *approver.human() {
            return wrong("to", "is you");
        }
        let actor = self.actor(call, approver.principal(), None).await?;
        let nobody = EngineError::Forbidden { why: "only humans delegate" };
        let from = PersonId::from_actor(&actor.id).ok_or(nobody)?;
        let salt = call.fresh.salt();
        let to = self.0.registry.person(tenant, &new.to, salt).await?;
        let (roles, not_after) = (Vec::from_iter(new.roles), new.not_after);
        let by = Governor { actor: &actor, why };
        self.govern(tenant, call, by, |governed| {
            let of_giver = governed.delegations(now).filter(|(.., standing)| standing.from == from);
            let mut standing = 0;
            for (.., other) in of_giver {
                if (other.to, &other.roles, other.not_after) == (to, &roles, not_after)
                    && other.not_before <= not_before
                {
                    return Ok(None);
                }
                standing += 1;
            }
            if standing >= STANDING_MAX {
                return Err(EngineError::Forbidden { why: "you have 16 delegations; revoke one first" });
            }
            let roles = roles.clone();
            Ok(Some(Detail::Delegated { from, to, roles, not_before, not_after }.into()))
        })
        .await
    }

    /// Ends a delegation, as whoever gave it or as an administrator.
    ///
    /// # Errors
    /// `NotFound` for one that was revoked too; `Forbidden`; `Conflict`: repeat; the signer's and the store's.
    pub async fn revoke_delegation(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        by: Governor<'_>,
        administers: bool,
        hash: Digest,
    ) -> Result<GovernanceReceipt, EngineError> {
        let missing = || EngineError::NotFound { what: "the delegation" };
        let revoked = self.govern(tenant, call, by, |governed| {
            let found = governed.in_force.delegation(&hash).ok_or_else(missing)?;
            if !administers && found.from.actor() != by.actor.id {
                let why = "only who gave it, and administrators, revoke a delegation";
                return Err(EngineError::Forbidden { why });
            }
            Ok(Some(Detail::DelegationRevoked { delegation: hash }.into()))
        });
        revoked.await?.ok_or_else(missing)
    }

    /// Returns up to `limit` delegations that were neither revoked nor are over at `now`, in the order of the chain and behind sequence `after`;
    /// with `of`, those that this human gave or was given.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn delegations(
        &self,
        tenant: &TenantId,
        now: UnixMillis,
        of: Option<&Actor>,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DelegationView>, EngineError> {
        let concerns = |standing: &Delegation| {
            of.is_none_or(|of| [standing.from, standing.to].iter().any(|person| person.actor() == of.id))
        };
        let found: Vec<(u64, Delegation)> = {
            let still = self.still(tenant).await?;
            let standing = still.governed.delegations(now).filter(|(sequence, _, standing)| {
                after.is_none_or(|after| *sequence > after) && concerns(standing)
            });
            let found = standing.take(limit).map(|(sequence, _, standing)| (sequence, standing.clone()));
            found.collect()
        };
        let mut views = Vec::with_capacity(found.len());
        for (sequence, delegation) in found {
            let gone = || EngineError::Damaged { what: format!("governance artifact {sequence} is gone") };
            let sealed = self.governance(tenant, sequence, 1).await?.pop().ok_or_else(gone)?;
            views.push(DelegationView { delegation, sealed });
        }
        Ok(views)
    }

    /// Returns the roles that others lend to a principal at `now`. A hint for what to show; a ballot looks at its own delegation.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn lent_roles(
        &self,
        principal: &Principal,
        now: UnixMillis,
    ) -> Result<BTreeSet<Role>, EngineError> {
        let (tenant, none) = (principal.tenant(), BTreeSet::new());
        let Some(human) = principal.human() else { return Ok(none) };
        let known = self.in_force(tenant).await?;
        if !known.lends_anything(now) {
            return Ok(none);
        }
        let salt = self.0.store.known_person(tenant, human.issuer(), human.subject()).await?;
        let Some(salt) = salt else { return Ok(none) };
        let person = PersonId(commit(CommitmentLabel::Person, &salt, &human.person_bytes()));
        Ok(known.lent_to(person, now))
    }
}

impl Still {
    /// Returns what a delegation lends to a person who votes at `at`.
    ///
    /// # Errors
    /// `DelegationNotInForce`.
    pub(crate) fn lent(&mut self, hash: Digest, to: &Actor, at: UnixMillis) -> Result<Lent, EngineError> {
        let found = usable(&self.governed, &hash, to, at)?;
        let lent = Lent { from: found.from, roles: found.roles.iter().cloned().collect() };
        self.governed.rested_on(at);
        Ok(lent)
    }
}

/// Returns a delegation that a person may use at an instant.
fn usable<'a>(
    governed: &'a Governed,
    hash: &Digest,
    to: &Actor,
    at: UnixMillis,
) -> Result<&'a Delegation, EngineError> {
    let refused = |why| Err(EngineError::DelegationNotInForce { why });
    let Some(found) = governed.in_force.delegation(hash) else {
        return refused("there is no such delegation, or it was revoked");
    };
    if found.to.actor() != to.id {
        return refused("the delegation is to somebody else");
    }
    if governed.in_force.was_erased(&found.from.0) {
        return refused("whoever gave the delegation was erased");
    }
    if at < found.not_before {
        return refused("the delegation has not begun");
    }
    if at >= found.not_after {
        return refused("the delegation is over");
    }
    Ok(found)
}

impl InForceAt {
    /// Tells whether anybody lends anything at `now`.
    fn lends_anything(&self, now: UnixMillis) -> bool {
        self.in_force.delegations().any(|(_, standing)| standing.covers(now))
    }

    fn lent_to(&self, person: PersonId, now: UnixMillis) -> BTreeSet<Role> {
        let to_them = self.in_force.delegations().filter(|(_, standing)| {
            standing.to == person && standing.covers(now) && !self.in_force.was_erased(&standing.from.0)
        });
        to_them.flat_map(|(_, standing)| standing.roles.iter().cloned()).collect()
    }
}
