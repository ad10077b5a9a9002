//! What consumptions rest on: the head that they name, and what the governance chain says was in force there.
//!
//! Source: `spec/verification.md` V58 to V60, `spec/governance.md` G10 to G14.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::event::{Consumed, Event};
use gantral_core::ids::{TeamId, WorkflowId};
use gantral_core::policy::PolicyVersionId;

use super::chain::Chain;
use super::code::{Code, Weight};
use super::finding::Findings;
use super::governed::Governed;
use super::mirror::LoggedChain;
use super::places::LogView;
use super::sealed::Artifact;
use crate::governance::{Detail, InForce, Scope};

/// How many consumptions could be compared with the governance chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Compared {
    /// With all that they rest on.
    pub(super) checked: usize,
    /// The head that they name, or the team of the workflow, is not known.
    pub(super) unchecked: usize,
    /// They say that there was no governance chain.
    pub(super) unnamed: usize,
}

/// What is in force for one workflow after an artifact of the governance chain.
struct After {
    epoch: u64,
    is_frozen: bool,
    policy: Option<PolicyVersionId>,
    /// Whether two persons put that policy in force.
    is_by_two: bool,
    /// Whether that depends on the team, which is not known.
    is_open: bool,
}

/// What was in force for one workflow, artifact by artifact.
#[derive(Default)]
struct History {
    after: Vec<After>,
    /// Where each policy came into force first.
    policies: BTreeMap<PolicyVersionId, usize>,
    /// From where on it is not known which policies were.
    open_from: Option<usize>,
}

/// What is compared, and with what.
struct Guards<'a> {
    governed: &'a Governed,
    history: History,
    logged: Option<&'a LoggedChain>,
    /// Where the mirror has each governance artifact first.
    by_leaf: BTreeMap<Digest, u64>,
    /// For each usable artifact, the least place of it and all that follow.
    least: Vec<Option<u64>>,
    is_complete_required: bool,
}

/// What the relying party requires of the ground that consumptions stand on.
#[derive(Clone, Copy)]
pub(super) struct Required {
    /// That it is compared with the governance chain.
    pub(super) complete: bool,
    /// That two persons put the policy in force.
    pub(super) four_eyes: bool,
}

/// Compares every consumption with the governance chain.
pub(super) fn check(
    chain: &Chain,
    governed: &Governed,
    team: Option<&TeamId>,
    view: &LogView<'_>,
    required: Required,
    findings: &mut Findings,
) -> Compared {
    let mut compared = Compared::default();
    let Some(first) = chain.lawful().first() else { return compared };
    let guards = Guards::new(first, governed, team, view, required.complete);
    let mut asks: Vec<&Artifact> = Vec::new();
    // The number of governance artifacts up to the newest head so far.
    let mut newest = 0;
    for artifact in chain.lawful() {
        match &artifact.statement.entry.event {
            Event::HumanRequired(_) | Event::Allowed(_) | Event::Observed(_) => asks.push(artifact),
            Event::Consumed(consumed) => {
                let known = guards.check_head(artifact, consumed, newest, findings);
                newest = newest.max(known.unwrap_or_default());
                let head = consumed.guard.governance_head;
                let position = head.and_then(|head| governed.position(&head));
                if required.four_eyes && !guards.is_by_two(position) {
                    let message = "four eyes are required, and it is not shown that two persons put its policy in force";
                    findings.add(Code::Require, artifact.place(), message);
                }
                match (head, position) {
                    (None, _) => {
                        compared.unnamed = compared.unnamed.saturating_add(1);
                        if consumed.guard.freeze_epoch != 0 {
                            guard(artifact, "it names a freeze, and no governance chain", findings);
                        }
                    }
                    (Some(_), Some(at)) if guards.check_in_force(artifact, consumed, at, findings) => {
                        compared.checked = compared.checked.saturating_add(1);
                        guards.check_asks(core::mem::take(&mut asks), at, findings);
                    }
                    (Some(head), _) => {
                        compared.unchecked = compared.unchecked.saturating_add(1);
                        guards.say_unchecked(artifact, &head, position.is_some(), findings);
                    }
                }
            }
            _ => {}
        }
    }
    compared
}

fn guard(artifact: &Artifact, message: &str, findings: &mut Findings) {
    findings.add(Code::Guard, artifact.place(), message);
}

impl<'a> Guards<'a> {
    fn new(
        first: &Artifact,
        governed: &'a Governed,
        team: Option<&TeamId>,
        view: &LogView<'a>,
        is_complete_required: bool,
    ) -> Self {
        let identity = &first.statement.identity;
        let logged = view.mirror.and_then(|mirror| mirror.governance(&identity.tenant));
        let mut by_leaf = BTreeMap::new();
        for (_, leaf) in logged.map(LoggedChain::leaves).unwrap_or_default() {
            by_leaf.entry(leaf.hash).or_insert(leaf.sequence);
        }
        let mut least: Vec<Option<u64>> = Vec::with_capacity(governed.artifacts.len());
        for artifact in governed.artifacts.iter().rev() {
            let after = least.last().copied().flatten();
            least.push(artifact.index().into_iter().chain(after).min());
        }
        least.reverse();
        let history = History::of(governed, &identity.workflow.id, team);
        Self { governed, history, logged, by_leaf, least, is_complete_required }
    }

    /// Compares the head with what else is known of the order of things; returns how many governance artifacts there were up to it.
    fn check_head(
        &self,
        artifact: &Artifact,
        consumed: &Consumed,
        newest: u64,
        findings: &mut Findings,
    ) -> Option<u64> {
        let count = match &consumed.guard.governance_head {
            None => 0,
            Some(head) => {
                let known = self.governed.artifact(head).map(|artifact| artifact.statement.sequence);
                known.or_else(|| self.by_leaf.get(head).copied())?.saturating_add(1)
            }
        };
        if count < newest {
            guard(artifact, "it rests on an older governance head than a consumption before it", findings);
        }
        let size = artifact.statement.anchor.map_or(0, |anchor| anchor.size);
        let by_mirror = self.logged.and_then(|logged| logged.first(count)).map(|(index, _)| index);
        let later = self.governed.artifacts.partition_point(|artifact| artifact.statement.sequence < count);
        let by_proof = self.least.get(later).copied().flatten();
        if by_mirror.into_iter().chain(by_proof).any(|index| index < size) {
            guard(artifact, "its own anchor holds a newer governance artifact than it names", findings);
        }
        Some(count)
    }

    /// Compares a consumption with what is in force at its head; returns whether all of it could be.
    fn check_in_force(
        &self,
        artifact: &Artifact,
        consumed: &Consumed,
        at: usize,
        findings: &mut Findings,
    ) -> bool {
        let Some(after) = self.history.after.get(at) else { return false };
        if after.epoch != consumed.guard.freeze_epoch {
            guard(artifact, "it names another freeze epoch than the governance chain", findings);
        }
        if after.is_open {
            return false;
        }
        if after.is_frozen {
            guard(artifact, "it was consumed while the governance chain says frozen", findings);
        }
        if after.policy != Some(consumed.guard.policy_version) {
            guard(artifact, "it names another policy than the one in force", findings);
        }
        true
    }

    /// Tells whether it is known that two persons put in force the policy that was so at a place of the governance chain (V71).
    fn is_by_two(&self, at: Option<usize>) -> bool {
        let after = at.and_then(|at| self.history.after.get(at));
        after.is_some_and(|after| after.is_by_two && !after.is_open)
    }

    /// Checks that each ask was made under a policy that was in force at some time up to a head (G14).
    fn check_asks(&self, asks: Vec<&Artifact>, at: usize, findings: &mut Findings) {
        if self.history.open_from.is_some_and(|from| from <= at) {
            return;
        }
        for ask in asks {
            let Some(record) = crate::commitments::policy(&ask.statement.entry.event) else { continue };
            if self.history.policies.get(&record.version).is_none_or(|from| *from > at) {
                let message = "it was asked under a policy that was never in force for the workflow";
                findings.add(Code::PolicyVersion, ask.place(), message);
            }
        }
    }

    fn say_unchecked(&self, artifact: &Artifact, head: &Digest, is_there: bool, findings: &mut Findings) {
        let mut say = |message: &str| {
            findings.weighed(Code::Guard, Weight::Inconclusive, artifact.place(), message);
        };
        let is_absent =
            self.logged.is_some_and(|logged| !logged.is_cut() && !self.by_leaf.contains_key(head));
        if is_absent && !is_there {
            say("the log does not hold the governance artifact that it names");
        }
        if self.is_complete_required && is_there {
            say("which team the workflow belongs to is not proved: its definition is not in the bundle");
        } else if self.is_complete_required {
            say("what was in force is not proved: the governance chain in the bundle does not reach so far");
        }
    }
}

impl History {
    fn of(governed: &Governed, workflow: &WorkflowId, team: Option<&TeamId>) -> Self {
        let mut history = Self::default();
        let mut in_force = InForce::default();
        let mut by_two: BTreeMap<Scope, bool> = BTreeMap::new();
        for (at, artifact) in governed.chain().iter().enumerate() {
            // The chain obeys its rules, or it would have ended before.
            let _ = in_force.apply(&artifact.statement.detail, artifact.hash);
            if let Detail::PolicyActivated { scope, .. } = &artifact.statement.detail {
                by_two.insert(scope.clone(), artifact.statement.proposed_by.is_some());
            }
            let is_open = team.is_none() && in_force.depends_on_team();
            let policy = in_force.policy(workflow, team);
            if team.is_none() && in_force.team_has_policy() {
                history.open_from.get_or_insert(at);
            }
            if let Some(policy) = policy {
                history.policies.entry(policy).or_insert(at);
            }
            let is_frozen = in_force.freezes(workflow, team);
            let scope = in_force.policy_scope(workflow, team);
            let is_by_two = scope.is_some_and(|scope| by_two.get(&scope) == Some(&true));
            history.after.push(After { epoch: in_force.epoch(), is_frozen, policy, is_by_two, is_open });
        }
        history
    }
}
