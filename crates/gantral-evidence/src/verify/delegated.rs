//! Decisions for somebody else: each rests on a delegation of the governance chain.
//!
//! Source: `spec/verification.md` V61.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::event::Ballot;
use gantral_core::ids::PersonId;

use super::code::{Code, Weight};
use super::finding::Findings;
use super::governed::Governed;
use super::sealed::Artifact;
use crate::governance::{Detail, GovernanceStatement};

/// The delegations of a governance chain, and what revokes them.
pub(super) struct Delegations<'a> {
    governed: &'a Governed,
    revoked: BTreeMap<Digest, Vec<&'a Artifact<GovernanceStatement>>>,
}

impl<'a> Delegations<'a> {
    pub(super) fn of(governed: &'a Governed) -> Self {
        let mut revoked: BTreeMap<Digest, Vec<_>> = BTreeMap::new();
        for artifact in governed.chain() {
            if let Detail::DelegationRevoked { delegation } = &artifact.statement.detail {
                revoked.entry(*delegation).or_default().push(artifact);
            }
        }
        Self { governed, revoked }
    }

    /// Compares a decision with the delegation that it names.
    pub(super) fn check(&self, artifact: &Artifact, ballot: &Ballot, findings: &mut Findings) {
        // One without the other is for the rules of gates to judge.
        let (Some(from), Some(hash)) = (ballot.acts_for, &ballot.delegation) else { return };
        let Some(delegation) = self.governed.artifact(hash) else {
            let message = "the delegation is not proved: the governance chain of the bundle does not hold it";
            return findings.weighed(Code::Guard, Weight::Inconclusive, artifact.place(), message);
        };
        let wrong = match &delegation.statement.detail {
            Detail::Delegated { from: giver, to, roles, not_before, not_after } => {
                let at = artifact.statement.entry.at;
                let actor = PersonId::from_actor(&artifact.statement.entry.actor.id);
                if *giver != from || Some(*to) != actor {
                    Some("the delegation is one of other persons")
                } else if !roles.contains(&ballot.role) {
                    Some("the delegation does not cover the role")
                } else if at < *not_before || at >= *not_after {
                    Some("the delegation was not in force at that time")
                } else if self.was_revoked(hash, artifact) {
                    Some("the delegation was revoked before")
                } else {
                    None
                }
            }
            _ => Some("what it names is no delegation"),
        };
        if let Some(message) = wrong {
            findings.add(Code::Guard, artifact.place(), message);
        }
    }

    fn was_revoked(&self, hash: &Digest, before: &Artifact) -> bool {
        let size = before.statement.anchor.map_or(0, |anchor| anchor.size);
        self.revoked.get(hash).into_iter().flatten().any(|revocation| {
            revocation.statement.at < before.statement.entry.at
                || revocation.index().is_some_and(|index| index < size)
        })
    }
}
