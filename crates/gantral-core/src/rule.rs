//! Who must agree at a gate, and whether they have. Quorum is a pure function of the sealed rule and the votes.
//!
//! Source: `spec/states.md` §6.

use alloc::vec::Vec;

use crate::digest::Digest;
use crate::ids::{PersonId, Role};
use crate::policy::{Evaluation, Verdict};
use crate::state::HumanEvidence;
use crate::time::DurationMs;

/// The most stages a rule may have, groups a stage may have, and roles a group may name.
pub const RULE_PARTS_MAX: usize = 16;

/// The most humans that one group may ask for.
pub const APPROVALS_MAX: u32 = 16;

/// The complete rule of a gate, sealed when the gate opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Stages in order: a later stage counts only when every earlier one is satisfied.
    pub stages: Vec<Stage>,
    /// Whether the voters of one gate must be distinct persons. Always true today; sealed so that it can be checked.
    pub distinct: bool,
    /// Whether nobody of the requester chain may decide. Always true today.
    pub separation: bool,
    /// The least evidence that a decision must carry.
    pub required_evidence: HumanEvidence,
    /// Roles that may decide by break-glass only.
    pub break_glass_roles: Vec<Role>,
}

/// Groups that must all be satisfied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The groups, all of them needed.
    pub groups: Vec<Group>,
}

/// So many distinct persons who hold one of these roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Any of these roles counts.
    pub roles: Vec<Role>,
    /// How many persons, at least 1.
    pub required: u32,
}

/// One vote for one resulting action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedVote {
    /// Who voted.
    pub person: PersonId,
    /// The role under which.
    pub role: Role,
    /// The commitment of the action that the vote grants.
    pub action: Digest,
}

/// Where a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// Every stage is satisfied.
    Satisfied,
    /// This stage (from 0) needs more votes.
    Open {
        /// The index of the stage.
        stage: usize,
    },
}

impl Rule {
    /// Returns the rule in which one stage asks one group.
    pub fn one_group(roles: Vec<Role>, required: u32, evidence: HumanEvidence) -> Self {
        Self {
            stages: alloc::vec![Stage { groups: alloc::vec![Group { roles, required }] }],
            distinct: true,
            separation: true,
            required_evidence: evidence,
            break_glass_roles: Vec::new(),
        }
    }

    /// Counts votes for one and the same action, in the order in which they were cast.
    ///
    /// A vote counts for every group of its stage that names its role; a person counts once in a group, and in one
    /// group of a stage only, so that two groups need two people.
    pub fn tally<'a>(&self, votes: impl Iterator<Item = &'a CountedVote> + Clone) -> Tally {
        let mut used: Vec<PersonId> = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            for group in &stage.groups {
                let mut have = 0u32;
                for vote in votes.clone() {
                    if have < group.required
                        && group.roles.contains(&vote.role)
                        && !used.contains(&vote.person)
                    {
                        used.push(vote.person);
                        have = have.saturating_add(1);
                    }
                }
                if have < group.required {
                    return Tally::Open { stage: index };
                }
            }
        }
        Tally::Satisfied
    }

    /// Tells whether a role may vote in the stage that is open after these votes.
    pub fn is_eligible<'a>(&self, role: &Role, votes: impl Iterator<Item = &'a CountedVote> + Clone) -> bool {
        let Tally::Open { stage } = self.tally(votes) else { return false };
        self.stages
            .get(stage)
            .is_some_and(|stage| stage.groups.iter().any(|group| group.roles.contains(role)))
    }

    /// Returns every role that any stage asks for, sorted, once each.
    pub fn roles(&self) -> Vec<Role> {
        let mut roles: Vec<Role> = self
            .stages
            .iter()
            .flat_map(|stage| &stage.groups)
            .flat_map(|group| group.roles.iter().cloned())
            .collect();
        roles.sort();
        roles.dedup();
        roles
    }

    /// Replaces the roles of every group: what an escalation does.
    pub fn escalate(&mut self, roles: &[Role]) {
        for group in self.stages.iter_mut().flat_map(|stage| &mut stage.groups) {
            group.roles = roles.to_vec();
        }
    }
}

/// What a workflow demands whatever policy says. Policy can only tighten it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floors {
    /// The mildest verdict that may be enforced; `Allow` leaves it to policy.
    pub least_verdict: Verdict,
    /// Who decides when policy names nobody, and when an evaluator failure is closed to humans.
    pub default_approvers: Vec<Role>,
    /// When not empty, somebody with one of these roles must be among those who agree.
    pub least_roles: Vec<Role>,
    /// The least number of persons.
    pub required_approvals: u32,
    /// The least evidence of a decision.
    pub required_evidence: HumanEvidence,
    /// How long humans have when policy does not say.
    pub timeout: DurationMs,
    /// The longest that they may have before the gate escalates or closes.
    pub timeout_max: DurationMs,
    /// Whether a gate that nobody answered is put to the escalation roles before it closes.
    pub escalate: bool,
}

/// Who is asked next, and how long they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscalationStep {
    /// The roles that become eligible instead.
    pub roles: Vec<Role>,
    /// How long they have.
    pub duration: DurationMs,
}

/// What a gate would be like: the rule and the time, before an instant is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatePlan {
    /// Who must agree.
    pub rule: Rule,
    /// How long the first approvers have.
    pub timeout: DurationMs,
    /// Who is asked after them.
    pub escalation: Vec<EscalationStep>,
}

impl Floors {
    /// Returns what a gate must be like when policy answered `evaluation`, or failed (`None`).
    ///
    /// `None` comes back when nobody would be eligible: that is a defect, never an open door.
    pub fn plan(&self, evaluation: Option<&Evaluation>) -> Option<GatePlan> {
        let named = evaluation.map(|e| e.approver_roles.as_slice()).unwrap_or_default();
        let roles = if named.is_empty() { self.default_approvers.clone() } else { named.to_vec() };
        if roles.is_empty() {
            return None;
        }
        let required = evaluation.map_or(1, |e| e.required_approvals).max(self.required_approvals).max(1);
        let mut rule = Rule::one_group(roles.clone(), required, self.required_evidence);
        let covered = self.least_roles.is_empty() || roles.iter().all(|role| self.least_roles.contains(role));
        if let (false, Some(stage)) = (covered, rule.stages.first_mut()) {
            tighten(stage, &self.least_roles);
        }
        let timeout = evaluation.and_then(|e| e.timeout).unwrap_or(self.timeout).min(self.timeout_max);
        let next = evaluation.map(|e| e.escalation_roles.as_slice()).unwrap_or_default();
        let escalation = if self.escalate && !next.is_empty() {
            alloc::vec![EscalationStep { roles: next.to_vec(), duration: timeout }]
        } else {
            Vec::new()
        };
        Some(GatePlan { rule, timeout, escalation })
    }
}

/// Keeps the number of persons and makes one of them hold a floor role.
fn tighten(stage: &mut Stage, least_roles: &[Role]) {
    if let Some(group) = stage.groups.first_mut() {
        group.required = group.required.saturating_sub(1);
    }
    stage.groups.retain(|group| group.required > 0);
    stage.groups.insert(0, Group { roles: least_roles.to_vec(), required: 1 });
}

#[cfg(test)]
mod tests;
