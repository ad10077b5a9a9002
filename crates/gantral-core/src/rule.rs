//! Who must agree at a gate, and whether they have. Quorum is a pure function of the sealed rule and the votes.
//!
//! Source: `spec/states.md` §6.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::check::is_sufficient;
use crate::digest::Digest;
use crate::ids::{PersonId, Role};
use crate::policy::{Approvers, Escalation, Evaluation, Verdict};
use crate::state::HumanEvidence;
use crate::time::DurationMs;

/// The most stages a rule may have, groups a stage may have, and roles a group may name.
pub const RULE_PARTS_MAX: usize = 16;

/// The most humans that one group may ask for.
pub const APPROVALS_MAX: u32 = 16;

/// The most rejections that a rule may ask for before they refuse.
pub const REJECTIONS_MAX: u32 = 16;

/// The complete rule of a gate, sealed when the gate opens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
    /// How many distinct persons must reject before the gate closes, 1 to 16; with 1 any rejection is final.
    pub rejections: u32,
}

/// Groups that must all be satisfied.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stage {
    /// The groups, all of them needed.
    pub groups: Vec<Group>,
}

/// So many distinct persons who hold one of these roles.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// Any of these roles counts.
    pub roles: Vec<Role>,
    /// How many persons, at least 1.
    pub required: u32,
}

/// One vote for one resulting action, or one rejection of what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CountedVote {
    /// Whose vote it is: the person who voted, or for whom a delegate did.
    pub person: PersonId,
    /// Who cast it. One human never counts twice, whatever hat it wears.
    pub by: PersonId,
    /// The role under which.
    pub role: Role,
    /// The commitment of the action that the vote grants; of a rejection that of the action that was asked for.
    pub action: Digest,
    /// The evidence that it was cast with.
    pub evidence: HumanEvidence,
}

/// Where a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
            rejections: 1,
        }
    }

    /// Counts votes for one and the same action (S31).
    ///
    /// A stage is satisfied when its votes can be seated so that every group is full. A vote takes one seat of a group
    /// that names its role, and a person one seat of the whole gate, so that two groups need two people. Votes are
    /// seated in the order in which they were cast, moving earlier ones to another group where that makes room; whoever
    /// has a seat keeps one, so which group was tried first makes no difference. A rule or stage that asks nobody is
    /// never satisfied.
    pub fn tally<'a>(&self, votes: impl Iterator<Item = &'a CountedVote> + Clone) -> Tally {
        let mut seated: Vec<&CountedVote> = Vec::new();
        for (index, stage) in self.stages.iter().enumerate() {
            if !stage.seat(votes.clone(), &mut seated) {
                return Tally::Open { stage: index };
            }
        }
        if self.stages.is_empty() { Tally::Open { stage: 0 } } else { Tally::Satisfied }
    }

    /// Tells whether a role may vote in the stage that is open after these votes.
    pub fn is_eligible<'a>(&self, role: &Role, votes: impl Iterator<Item = &'a CountedVote> + Clone) -> bool {
        self.open_stage(votes).is_some_and(|(_, stage)| stage.roles().contains(role))
    }

    /// Returns the stage that is open after these votes; `None` when every one is satisfied.
    pub fn open_stage<'a>(
        &self,
        votes: impl Iterator<Item = &'a CountedVote> + Clone,
    ) -> Option<(usize, &Stage)> {
        let Tally::Open { stage } = self.tally(votes) else { return None };
        self.stages.get(stage).map(|open| (stage, open))
    }

    /// Tells whether so many distinct persons who rejected refuse (S32).
    pub fn is_refused_by(&self, rejections: usize) -> bool {
        u32::try_from(rejections).map_or(true, |rejections| rejections >= self.rejections)
    }

    /// Returns every role that any stage asks for, sorted, once each.
    pub fn roles(&self) -> Vec<Role> {
        self.stages.iter().flat_map(Stage::roles).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Replaces the roles of every group: what an escalation does.
    pub fn escalate(&mut self, roles: &[Role]) {
        for group in self.stages.iter_mut().flat_map(|stage| &mut stage.groups) {
            group.roles = roles.to_vec();
        }
    }
}

impl CountedVote {
    /// Tells whether this person voted, or was voted for by a delegate.
    pub fn involves(&self, person: PersonId) -> bool {
        self.person == person || self.by == person
    }
}

impl Stage {
    /// Returns every role that the stage asks for, sorted, once each.
    pub fn roles(&self) -> BTreeSet<Role> {
        self.groups.iter().flat_map(|group| group.roles.iter().cloned()).collect()
    }

    /// Seats votes of persons who have no seat yet; tells whether every group is full then.
    fn seat<'a>(
        &self,
        votes: impl Iterator<Item = &'a CountedVote>,
        seated: &mut Vec<&'a CountedVote>,
    ) -> bool {
        let mut benches: Vec<Bench<'_, 'a>> =
            self.groups.iter().map(|group| Bench { group, seats: Vec::new(), visited: false }).collect();
        for vote in votes {
            if benches.iter().all(Bench::is_full) {
                break;
            }
            let has_seat = seated.iter().any(|other| other.involves(vote.person) || other.involves(vote.by));
            for bench in &mut benches {
                bench.visited = false;
            }
            if !has_seat && place(&mut benches, vote) {
                seated.push(vote);
            }
        }
        !benches.is_empty() && benches.iter().all(Bench::is_full)
    }
}

/// The seats of one group, while votes are counted.
struct Bench<'g, 'v> {
    group: &'g Group,
    seats: Vec<&'v CountedVote>,
    visited: bool,
}

impl Bench<'_, '_> {
    fn is_full(&self) -> bool {
        u32::try_from(self.seats.len()).is_ok_and(|taken| taken >= self.group.required)
    }
}

/// Finds a seat, asking those who sit to move to another group; an augmenting path, each group tried once.
fn place<'v>(benches: &mut [Bench<'_, 'v>], vote: &'v CountedVote) -> bool {
    for index in 0..benches.len() {
        let Some(bench) = benches.get_mut(index) else { return false };
        if bench.visited || !bench.group.roles.contains(&vote.role) {
            continue;
        }
        bench.visited = true;
        if !bench.is_full() {
            bench.seats.push(vote);
            return true;
        }
        for (seat, sitting) in bench.seats.clone().into_iter().enumerate() {
            if place(benches, sitting) {
                if let Some(freed) = benches.get_mut(index).and_then(|bench| bench.seats.get_mut(seat)) {
                    *freed = vote;
                }
                return true;
            }
        }
    }
    false
}

/// What a workflow demands whatever policy says. Policy can only tighten it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Floors {
    /// The mildest verdict that may be enforced; `Allow` leaves it to policy.
    pub least_verdict: Verdict,
    /// Who decides when policy names nobody, and when an evaluator failure is closed to humans.
    pub default_approvers: Vec<Role>,
    /// When not empty, somebody with one of these roles must be among those who agree.
    pub least_roles: Vec<Role>,
    /// The least number of persons.
    pub required_approvals: u32,
    /// The most rejections that policy may ask for before they refuse, 1 to 16; with 1 any rejection is final.
    pub rejections_max: u32,
    /// Roles that may decide alone in an emergency. Whoever owns the workflow names them, and policy does not: it would loosen itself.
    pub break_glass_roles: Vec<Role>,
    /// The shortest justification of a decision by break-glass, in characters.
    pub break_glass_justification_min: u32,
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EscalationStep {
    /// The roles that become eligible instead.
    pub roles: Vec<Role>,
    /// How long they have.
    pub duration: DurationMs,
}

/// What a gate would be like: the rule and the time, before an instant is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GatePlan {
    /// Who must agree.
    pub rule: Rule,
    /// How long the first approvers have.
    pub timeout: DurationMs,
    /// Who is asked after them.
    pub escalation: Vec<EscalationStep>,
}

impl GatePlan {
    /// Tells whether votes that were cast at a gate that had escalated so many times, beside so many rejections, are
    /// enough for this plan.
    ///
    /// S36: what the first approvers may grant is enough, and so is what those may grant who were asked after them; never
    /// where as many persons had rejected as this plan takes to refuse. Votes with weaker evidence than this plan takes do not count.
    pub fn is_met_by(&self, votes: &[CountedVote], rejections: usize, escalated: usize) -> bool {
        if self.rule.is_refused_by(rejections) {
            return false;
        }
        let mut rule = self.rule.clone();
        let votes = votes.iter().filter(|vote| self.takes(vote));
        if rule.tally(votes.clone()) == Tally::Satisfied {
            return true;
        }
        self.escalation.iter().take(escalated).any(|step| {
            rule.escalate(&step.roles);
            rule.tally(votes.clone()) == Tally::Satisfied
        })
    }

    /// Tells whether a vote was cast with as strong evidence as this plan takes.
    pub fn takes(&self, vote: &CountedVote) -> bool {
        is_sufficient(vote.evidence, self.rule.required_evidence)
    }
}

impl Floors {
    /// Returns what a gate must be like when policy answered `evaluation`, or failed (`None`).
    ///
    /// `None` comes back when nobody would be eligible: that is a defect, never an open door.
    pub fn plan(&self, evaluation: Option<&Evaluation>) -> Option<GatePlan> {
        let stages = match evaluation.map(|evaluation| &evaluation.approvers) {
            Some(Approvers::Stages(stages)) => self.tightened(stages.clone()),
            Some(Approvers::Some { roles, required }) => self.one_group(roles, *required)?,
            None => self.one_group(&[], 1)?,
        };
        let timeout = evaluation.and_then(|e| e.timeout).unwrap_or(self.timeout).min(self.timeout_max);
        let escalation = evaluation.map(|e| self.steps(&e.escalation, timeout)).unwrap_or_default();
        let rejections = evaluation.map_or(1, |e| e.rejections).min(self.rejections_max).max(1);
        let break_glass_roles = self.break_glass_roles.clone();
        let wanted = evaluation.and_then(|e| e.required_evidence);
        let evidence = wanted.map_or(self.required_evidence, |wanted| wanted.max(self.required_evidence));
        let usual = Rule::one_group(Vec::new(), 1, evidence);
        let rule = Rule { stages, rejections, break_glass_roles, ..usual };
        Some(GatePlan { rule, timeout, escalation })
    }

    /// Returns the stage of one group, in which one seat is for a floor role where the others are for roles beyond.
    fn one_group(&self, named: &[Role], required: u32) -> Option<Vec<Stage>> {
        let roles = if named.is_empty() { self.default_approvers.as_slice() } else { named };
        if roles.is_empty() {
            return None;
        }
        let required = required.max(self.required_approvals).max(1);
        let mut groups = alloc::vec![Group { roles: roles.to_vec(), required }];
        if !self.is_covered(&groups) {
            let floor = Group { roles: self.least_roles.clone(), required: 1 };
            groups = [floor, Group { roles: roles.to_vec(), required: required.saturating_sub(1) }].into();
            groups.retain(|group| group.required > 0);
        }
        Some(alloc::vec![Stage { groups }])
    }

    /// Adds to the first stage what the stages of a policy leave short of the floors: a seat for a floor role where no group is for
    /// floor roles alone, and persons in its first group.
    fn tightened(&self, mut stages: Vec<Stage>) -> Vec<Stage> {
        let covered = stages.iter().any(|stage| self.is_covered(&stage.groups));
        let all = stages.iter().flat_map(|stage| &stage.groups);
        let persons = all.fold(u32::from(!covered), |sum, group| sum.saturating_add(group.required));
        if let Some(first) = stages.first_mut() {
            if let Some(group) = first.groups.first_mut() {
                let missing = self.required_approvals.saturating_sub(persons);
                group.required = group.required.saturating_add(missing);
            }
            if !covered {
                first.groups.insert(0, Group { roles: self.least_roles.clone(), required: 1 });
            }
        }
        stages
    }

    /// Tells whether some group can only be filled by floor roles.
    fn is_covered(&self, groups: &[Group]) -> bool {
        let is_floor = |group: &Group| group.roles.iter().all(|role| self.least_roles.contains(role));
        self.least_roles.is_empty() || groups.iter().any(is_floor)
    }

    /// Returns the steps of an escalation. S47: a step replaces the roles of every group, so nobody comes in by it who lacks a floor
    /// role; a step that leaves nobody is left out.
    fn steps(&self, wanted: &[Escalation], timeout: DurationMs) -> Vec<EscalationStep> {
        let above_floor = |role: &&Role| self.least_roles.is_empty() || self.least_roles.contains(role);
        let steps = wanted.iter().filter(|_| self.escalate).map(|step| EscalationStep {
            roles: step.roles.iter().filter(above_floor).cloned().collect(),
            duration: step.timeout.unwrap_or(timeout).min(self.timeout_max),
        });
        steps.filter(|step| !step.roles.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests;
