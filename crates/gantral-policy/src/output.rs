//! The output contract: reads what a policy answered, strictly.
//!
//! | member | type | default |
//! |---|---|---|
//! | `decision` | `ALLOW`, `REQUIRE_HUMAN` or `DENY` | none: without it the policy is undefined |
//! | `approver_roles` | array or set of role names | the workflow's approvers |
//! | `required_approvals` | integer, 1 to 16 | 1 |
//! | `required_rejections` | integer, 1 to 16: how many distinct people must reject before that refuses | 1 |
//! | `required_evidence` | `operator`, `oidc` or `webauthn`: the least evidence of a decision | the workflow's, which it can only raise |
//! | `timeout` | text: `250ms`, `30s`, `30m`, `24h`, `7d` | the workflow's |
//! | `escalation_roles` | array or set of role names | no escalation |
//! | `stages` | array of {`all_of`: [{`any_of`: roles, `count`}]}, instead of `approver_roles` and `required_approvals` | one stage of one group |
//! | `escalation` | array of {`roles`, `timeout`}, instead of `escalation_roles` | one step, or none |
//! | `reasons` | array or set of texts | none |
//! | `standing_rules` | array or set of at most 16 names: the standing rules on which an ALLOW rests | none |
//!
//! Other members of the document are the policy's helper rules and are not read. The contract is the seed's four members, with
//! `required_approvals`, `required_rejections`, `required_evidence`, `stages`, `escalation`, `reasons` and `standing_rules` added. Whoever evaluates (a worker, an OPA) answers through this one reader.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use gantral_core::ids::{Name, Role};
use gantral_core::json::{self, Object, Profile, Value};
use gantral_core::policy::{Approvers, Escalation, EvalFailure, Evaluation, Verdict, evidence_asked_for};
use gantral_core::rule::{APPROVALS_MAX, Group, REJECTIONS_MAX, RULE_PARTS_MAX, Stage};
use gantral_core::state::HumanEvidence;
use gantral_core::time::DurationMs;

/// The members that are read, sorted.
pub const MEMBERS: [&str; 11] = [
    "approver_roles",
    "decision",
    "escalation",
    "escalation_roles",
    "reasons",
    "required_approvals",
    "required_evidence",
    "required_rejections",
    "stages",
    "standing_rules",
    "timeout",
];
/// The largest output document, in bytes: it is shown to people and kept with the gate.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// The largest number of roles in one list: as many as one group of a gate's rule has room for.
pub const ROLES_MAX: usize = RULE_PARTS_MAX;
/// The largest number of stages, and of steps of an escalation.
pub const STAGES_MAX: usize = RULE_PARTS_MAX;
/// The largest number of groups in a stage: a floor of the workflow may add one.
pub const GROUPS_MAX: usize = RULE_PARTS_MAX - 1;
/// The largest number of reasons.
pub const REASONS_MAX: usize = 64;
/// The largest number of standing rules that one answer rests on.
pub const STANDING_RULES_MAX: usize = 16;
/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 1_000;

/// How an output breaks the contract. Always the policy's fault; evaluating again gives the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// Not a JSON object within the limits.
    #[error("the output is not a JSON object: {reason}")]
    Document {
        /// What the reader said.
        reason: String,
    },
    /// No member `decision`: the policy is undefined for this input.
    #[error("the output has no `decision`")]
    NoDecision,
    /// A decision that the contract does not have.
    #[error("`decision` is none of ALLOW, REQUIRE_HUMAN, DENY")]
    Decision,
    /// A list of roles that is no list of at most 16 role names.
    #[error("`{member}` is not a list of at most 16 role names")]
    Roles {
        /// The member.
        member: &'static str,
    },
    /// A human is required, and nobody may be one.
    #[error("`decision` is REQUIRE_HUMAN and `approver_roles` is empty")]
    Nobody,
    /// Not a number of approvals from 1 to 16.
    #[error("`required_approvals` is not an integer from 1 to 16")]
    Approvals,
    /// Not a number of rejections from 1 to 16: with less nobody would refuse, and with more hardly anybody could.
    #[error("`required_rejections` is not an integer from 1 to 16")]
    Rejections,
    /// Not a kind of evidence that a policy may ask for.
    #[error("`required_evidence` is none of operator, oidc, webauthn")]
    Evidence,
    /// Not stages of groups.
    #[error(
        "`stages` is not a list of 1 to 16 stages {{`all_of`: [{{`any_of`: roles, `count`: 1 to 16}}]}} of 1 to 15 groups"
    )]
    Stages,
    /// Not steps of an escalation.
    #[error("`escalation` is not a list of at most 16 steps {{`roles`, `timeout`}}")]
    Escalation,
    /// The same is said twice.
    #[error("`{member}` and `{other}` say the same: give one of them")]
    Twice {
        /// The member.
        member: &'static str,
        /// What it stands instead of.
        other: &'static str,
    },
    /// Not a duration.
    #[error("`timeout` is not a duration like `30m`")]
    Timeout,
    /// Not a list of at most 64 texts of at most 1000 bytes.
    #[error("`reasons` is not a list of at most 64 texts of at most 1000 bytes")]
    Reasons,
    /// Not a list of at most 16 names.
    #[error("`standing_rules` is not a list of at most 16 names")]
    StandingRules,
}

impl OutputError {
    /// Returns the failure that is recorded.
    pub const fn failure(&self) -> EvalFailure {
        match self {
            Self::NoDecision => EvalFailure::Undefined,
            Self::Document { .. }
            | Self::Decision
            | Self::Roles { .. }
            | Self::Nobody
            | Self::Approvals
            | Self::Rejections
            | Self::Evidence
            | Self::Stages
            | Self::Escalation
            | Self::Twice { .. }
            | Self::Timeout
            | Self::Reasons
            | Self::StandingRules => EvalFailure::Malformed,
        }
    }
}

/// Reads the output document of a policy.
pub fn read(bytes: &[u8]) -> Result<Evaluation, OutputError> {
    let document = json::parse(bytes, &Profile::DOCUMENT.with_bytes_max(OUTPUT_BYTES_MAX))
        .map_err(|error| OutputError::Document { reason: error.to_string() })?;
    let Value::Object(members) = document else {
        return Err(OutputError::Document { reason: "it is another value".to_owned() });
    };
    let contract = contract_members(members);
    let verdict = contract.get("decision").ok_or(OutputError::NoDecision)?;
    let verdict = verdict.as_str().and_then(Verdict::parse).ok_or(OutputError::Decision)?;
    Ok(Evaluation {
        verdict,
        approvers: approvers(&contract, verdict)?,
        rejections: rejections(&contract)?,
        required_evidence: evidence(&contract)?,
        timeout: timeout(&contract)?,
        escalation: escalation(&contract)?,
        reasons: reasons(&contract)?,
        standing_rules: standing_rules(&contract)?,
        decision: Value::from(contract).to_canonical(),
    })
}

fn contract_members(members: Object) -> Object {
    let mut contract = Object::new();
    for (name, value) in members {
        if MEMBERS.contains(&name.as_str()) {
            contract.insert(name, value);
        }
    }
    contract
}

/// Reads who must approve: one group, or stages of groups.
fn approvers(contract: &Object, verdict: Verdict) -> Result<Approvers, OutputError> {
    if let Some(value) = contract.get("stages") {
        for other in ["approver_roles", "required_approvals"] {
            if contract.get(other).is_some() {
                return Err(OutputError::Twice { member: "stages", other });
            }
        }
        let stages = list(value, 1..=STAGES_MAX).ok_or(OutputError::Stages)?;
        let stages = stages.iter().map(stage).collect::<Option<_>>().ok_or(OutputError::Stages)?;
        return Ok(Approvers::Stages(stages));
    }
    let named = roles(contract, "approver_roles")?;
    let nobody = named.as_ref().is_some_and(Vec::is_empty);
    if nobody && verdict == Verdict::RequireHuman {
        return Err(OutputError::Nobody);
    }
    let required = match contract.get("required_approvals") {
        None => 1,
        Some(value) => count(value, APPROVALS_MAX).ok_or(OutputError::Approvals)?,
    };
    Ok(Approvers::Some { roles: named.unwrap_or_default(), required })
}

/// Reads how many people must reject before that refuses, beside whoever must approve.
fn rejections(contract: &Object) -> Result<u32, OutputError> {
    match contract.get("required_rejections") {
        None => Ok(1),
        Some(value) => count(value, REJECTIONS_MAX).ok_or(OutputError::Rejections),
    }
}

/// Reads the least evidence of a decision. A word that is not known must not be taken for none.
fn evidence(contract: &Object) -> Result<Option<HumanEvidence>, OutputError> {
    match contract.get("required_evidence") {
        None => Ok(None),
        Some(value) => value.as_str().and_then(evidence_asked_for).map(Some).ok_or(OutputError::Evidence),
    }
}

fn stage(value: &Value) -> Option<Stage> {
    let members = closed(value, &["all_of"])?;
    let groups = list(members.get("all_of")?, 1..=GROUPS_MAX)?;
    Some(Stage { groups: groups.iter().map(group).collect::<Option<_>>()? })
}

fn group(value: &Value) -> Option<Group> {
    let members = closed(value, &["any_of", "count"])?;
    let roles = role_names(members.get("any_of")?).filter(|roles| !roles.is_empty())?;
    let required = members.get("count").map_or(Some(1), |value| count(value, APPROVALS_MAX))?;
    Some(Group { roles, required })
}

/// Reads who is asked when nobody answered: one step, or several.
fn escalation(contract: &Object) -> Result<Vec<Escalation>, OutputError> {
    let Some(value) = contract.get("escalation") else {
        let roles = roles(contract, "escalation_roles")?.filter(|roles| !roles.is_empty());
        return Ok(roles.map(|roles| Escalation { roles, timeout: None }).into_iter().collect());
    };
    if contract.get("escalation_roles").is_some() {
        return Err(OutputError::Twice { member: "escalation", other: "escalation_roles" });
    }
    let step = |value: &Value| {
        let members = closed(value, &["roles", "timeout"])?;
        let roles = role_names(members.get("roles")?).filter(|roles| !roles.is_empty())?;
        let timeout = match members.get("timeout") {
            None => None,
            Some(value) => Some(value.as_str().and_then(DurationMs::parse)?),
        };
        Some(Escalation { roles, timeout })
    };
    let steps = list(value, 0..=STAGES_MAX).ok_or(OutputError::Escalation)?;
    steps.iter().map(step).collect::<Option<_>>().ok_or(OutputError::Escalation)
}

/// Returns an object that has no other members than these: a misspelt restriction must not vanish.
fn closed<'a>(value: &'a Value, known: &[&str]) -> Option<&'a Object> {
    value.as_object().filter(|members| members.names().all(|name| known.contains(&name)))
}

fn list(value: &Value, lengths: RangeInclusive<usize>) -> Option<&[Value]> {
    value.as_array().filter(|values| lengths.contains(&values.len()))
}

fn count(value: &Value, most: u32) -> Option<u32> {
    value.as_u32().filter(|count| (1..=most).contains(count))
}

fn roles(contract: &Object, member: &'static str) -> Result<Option<Vec<Role>>, OutputError> {
    match contract.get(member) {
        None => Ok(None),
        Some(value) => role_names(value).map(Some).ok_or(OutputError::Roles { member }),
    }
}

fn role_names(value: &Value) -> Option<Vec<Role>> {
    let names = list(value, 0..=ROLES_MAX)?;
    let mut roles = Vec::with_capacity(names.len());
    for name in names {
        let role = Role::parse(name.as_str()?).ok()?;
        // Naming a role twice must not make it count twice.
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Some(roles)
}

fn timeout(contract: &Object) -> Result<Option<DurationMs>, OutputError> {
    match contract.get("timeout") {
        None => Ok(None),
        Some(value) => value.as_str().and_then(DurationMs::parse).map(Some).ok_or(OutputError::Timeout),
    }
}

fn reasons(contract: &Object) -> Result<Vec<String>, OutputError> {
    let Some(value) = contract.get("reasons") else {
        return Ok(Vec::new());
    };
    let texts = value.as_array().filter(|texts| texts.len() <= REASONS_MAX).ok_or(OutputError::Reasons)?;
    let text = |text: &Value| text.as_str().filter(|text| text.len() <= REASON_BYTES_MAX).map(str::to_owned);
    texts.iter().map(text).collect::<Option<_>>().ok_or(OutputError::Reasons)
}

/// Reads the rules on which an ALLOW rests. Naming one twice must not make it count twice.
fn standing_rules(contract: &Object) -> Result<Vec<Name>, OutputError> {
    let Some(value) = contract.get("standing_rules") else { return Ok(Vec::new()) };
    let listed = list(value, 0..=STANDING_RULES_MAX).ok_or(OutputError::StandingRules)?;
    let name = |value: &Value| value.as_str().and_then(|text| Name::parse(text).ok());
    let names: Option<BTreeSet<Name>> = listed.iter().map(name).collect();
    Ok(names.ok_or(OutputError::StandingRules)?.into_iter().collect())
}

#[cfg(test)]
mod tests;
