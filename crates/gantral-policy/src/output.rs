//! The output contract: reads what a policy answered, strictly.
//!
//! | member | type | default |
//! |---|---|---|
//! | `decision` | `ALLOW`, `REQUIRE_HUMAN` or `DENY` | none: without it the policy is undefined |
//! | `approver_roles` | array or set of role names | the workflow's approvers |
//! | `required_approvals` | integer, 1 to 16 | 1 |
//! | `timeout` | text: `250ms`, `30s`, `30m`, `24h`, `7d` | the workflow's |
//! | `escalation_roles` | array or set of role names | no escalation |
//! | `reasons` | array or set of texts | none |
//!
//! Other members of the document are the policy's helper rules and are not read. The contract is the seed's, with
//! `required_approvals` and `reasons` added. Whoever evaluates (a worker, an OPA) answers through this one reader.

use gantral_core::ids::Role;
use gantral_core::json::{self, Object, Profile, Value};
use gantral_core::policy::{EvalFailure, Evaluation, Verdict};
use gantral_core::rule::{APPROVALS_MAX, RULE_PARTS_MAX};
use gantral_core::time::DurationMs;

/// The members that are read, sorted.
pub const MEMBERS: [&str; 6] =
    ["approver_roles", "decision", "escalation_roles", "reasons", "required_approvals", "timeout"];
/// The largest output document, in bytes: it is shown to people and kept with the gate.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// The largest number of roles in one list: as many as one group of a gate's rule has room for.
pub const ROLES_MAX: usize = RULE_PARTS_MAX;
/// The largest number of reasons.
pub const REASONS_MAX: usize = 64;
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
    /// Not a duration.
    #[error("`timeout` is not a duration like `30m`")]
    Timeout,
    /// Not a list of at most 64 texts of at most 1000 bytes.
    #[error("`reasons` is not a list of at most 64 texts of at most 1000 bytes")]
    Reasons,
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
            | Self::Timeout
            | Self::Reasons => EvalFailure::Malformed,
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
    let approver_roles = roles(&contract, "approver_roles")?;
    let nobody = approver_roles.as_ref().is_some_and(Vec::is_empty);
    if nobody && verdict == Verdict::RequireHuman {
        return Err(OutputError::Nobody);
    }
    Ok(Evaluation {
        verdict,
        approver_roles: approver_roles.unwrap_or_default(),
        required_approvals: required_approvals(&contract)?,
        timeout: timeout(&contract)?,
        escalation_roles: roles(&contract, "escalation_roles")?.unwrap_or_default(),
        reasons: reasons(&contract)?,
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

fn roles(contract: &Object, member: &'static str) -> Result<Option<Vec<Role>>, OutputError> {
    let refused = || OutputError::Roles { member };
    let Some(value) = contract.get(member) else {
        return Ok(None);
    };
    let names = value.as_array().filter(|names| names.len() <= ROLES_MAX).ok_or_else(refused)?;
    let mut roles = Vec::with_capacity(names.len());
    for name in names {
        let role = name.as_str().and_then(|name| Role::parse(name).ok()).ok_or_else(refused)?;
        // Naming a role twice must not make it count twice.
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Ok(Some(roles))
}

fn required_approvals(contract: &Object) -> Result<u32, OutputError> {
    match contract.get("required_approvals") {
        None => Ok(1),
        Some(value) => {
            value.as_u32().filter(|count| (1..=APPROVALS_MAX).contains(count)).ok_or(OutputError::Approvals)
        }
    }
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

#[cfg(test)]
mod tests;
