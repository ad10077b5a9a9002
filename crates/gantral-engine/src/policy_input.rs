//! The input contract: what policies see, built from typed values and checked when it comes from elsewhere.
//!
//! A policy that meets an input it does not expect may fail open (`default decision := "ALLOW"` answers ALLOW to `{}`),
//! so nothing is evaluated that does not follow the contract. The engine commits to the very bytes that
//! [`PolicyInput::to_canonical`] returns, and evaluates those. The contract is the seed's §4.1; `action`, `requester`,
//! `totals` and `now` are documented extensions.

mod schema;

use gantral_core::ids::{ActorId, InstanceId, Name, Role, TeamId, WorkflowId};
use gantral_core::json::{Number, Object, Profile, Value};
use gantral_core::policy::{Materiality, PolicyVersionId};
use gantral_core::time::UnixMillis;

pub use schema::{ContractMember, contract_members, validate};

/// The largest input, in bytes.
pub const INPUT_BYTES_MAX: usize = 256 * 1024;

/// The field of work that a workflow belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    /// Software delivery.
    Sdlc,
    /// Money.
    Finance,
    /// Running systems.
    Operations,
    /// Customers.
    Support,
}

impl Domain {
    /// Every domain.
    pub const ALL: [Self; 4] = [Self::Sdlc, Self::Finance, Self::Operations, Self::Support];

    /// Returns the word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sdlc => "sdlc",
            Self::Finance => "finance",
            Self::Operations => "operations",
            Self::Support => "support",
        }
    }

    /// Finds a domain by its word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|domain| domain.as_str() == text)
    }
}

/// What made the agent ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// A change that somebody proposed.
    Pr,
    /// An incident.
    Incident,
    /// A payment.
    Payment,
    /// Anything else.
    Other,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 4] = [Self::Pr, Self::Incident, Self::Payment, Self::Other];

    /// Returns the word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pr => "PR",
            Self::Incident => "INCIDENT",
            Self::Payment => "PAYMENT",
            Self::Other => "OTHER",
        }
    }

    /// Finds a trigger by its word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == text)
    }
}

/// Why something is not an input of the contract. The asker's fault; nothing was evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Not JSON within the limits.
    #[error("the policy input is not usable JSON: {reason}")]
    Json {
        /// What the reader said.
        reason: String,
    },
    /// A required member is missing.
    #[error("the policy input has no `{member}`")]
    Missing {
        /// The path of the member.
        member: String,
    },
    /// A member that the contract does not have.
    #[error("the policy input has an unknown member `{member}`")]
    Unknown {
        /// The path of the member, cut to a length that can be shown.
        member: String,
    },
    /// A member with a value that the contract does not allow.
    #[error("`{member}` of the policy input is not {expected}")]
    Value {
        /// The path of the member.
        member: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// The execution that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceInput {
    /// The instance.
    pub instance_id: InstanceId,
    /// Its workflow.
    pub workflow_id: WorkflowId,
    /// The label or digest of the workflow's version.
    pub workflow_version: Name,
    /// How much is at stake.
    pub materiality: Materiality,
    /// The team that owns the workflow.
    pub owning_team_id: TeamId,
}

/// What is to be done, as far as the workflow lets policy see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionInput {
    /// The name of the action.
    pub name: Name,
    /// What it is done to.
    pub target: String,
    /// Its parameters.
    pub parameters: Object,
}

/// Everything that a policy sees. Plain data: the engine fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInput {
    /// The execution that asks.
    pub instance: InstanceInput,
    /// The step of the workflow.
    pub step: Name,
    /// What the action is expected to cost, in the unit of the workflow; not negative.
    pub cost_estimate: Number,
    /// The field of work.
    pub domain: Domain,
    /// What made the agent ask.
    pub trigger: Trigger,
    /// What the workflow tells policies beyond the contract.
    pub attributes: Object,
    /// Who asks.
    pub actor_id: ActorId,
    /// The roles of who asks.
    pub roles: Vec<Role>,
    /// The version under which the input is evaluated.
    pub policy_version_id: PolicyVersionId,
    /// The action, if the ask names one.
    pub action: Option<ActionInput>,
    /// On whose behalf: an object or a list, from verified tokens.
    pub requester: Option<Value>,
    /// What was granted before, for budgets.
    pub totals: Option<Object>,
    /// The instant of the ask: the only clock that policies have.
    pub now: Option<UnixMillis>,
}

impl PolicyInput {
    /// Returns the bytes that are committed to and evaluated.
    ///
    /// # Errors
    /// Values that the types cannot hold in check: a negative cost, a requester that is neither object nor list, or too
    /// many bytes.
    pub fn to_canonical(&self) -> Result<Vec<u8>, InputError> {
        let document = self.document();
        schema::check(&document)?;
        bounded(document.to_canonical())
    }

    fn document(&self) -> Value {
        let instance = Object::new()
            .with("instance_id", self.instance.instance_id.to_string())
            .with("materiality", self.instance.materiality.as_str())
            .with("owning_team_id", self.instance.owning_team_id.as_str())
            .with("workflow_id", self.instance.workflow_id.as_str())
            .with("workflow_version", self.instance.workflow_version.as_str());
        let execution = Object::new()
            .with("cost_estimate", self.cost_estimate.clone())
            .with("current_state", schema::STATE)
            .with("step", self.step.as_str());
        let context = Object::new()
            .with("attributes", self.attributes.clone())
            .with("domain", self.domain.as_str())
            .with("trigger", self.trigger.as_str());
        let roles: Vec<Value> = self.roles.iter().map(|role| Value::from(role.as_str())).collect();
        let identity = Object::new().with("actor_id", self.actor_id.as_str()).with("roles", roles);
        let policy = Object::new().with("policy_version_id", self.policy_version_id.0.to_hex());
        let mut document = Object::new()
            .with("context", context)
            .with("execution", execution)
            .with("identity", identity)
            .with("instance", instance)
            .with("policy", policy);
        self.add_extensions(&mut document);
        Value::from(document)
    }

    fn add_extensions(&self, document: &mut Object) {
        if let Some(action) = &self.action {
            document.insert("action", action_object(action));
        }
        if let Some(requester) = &self.requester {
            document.insert("requester", requester.clone());
        }
        if let Some(totals) = &self.totals {
            document.insert("totals", totals.clone());
        }
        if let Some(now) = self.now {
            document.insert("now", now.to_text());
        }
    }
}

/// Returns the input under which something was asked, with another action, policy version and instant, and with the totals of that instant
/// where the workflow counts.
///
/// # Errors
/// As [`PolicyInput::to_canonical`]; also when `asked` is not an input.
pub fn patched(
    asked: &Value,
    action: &ActionInput,
    version: PolicyVersionId,
    totals: Option<Object>,
    now: UnixMillis,
) -> Result<Vec<u8>, InputError> {
    let mut document = asked.as_object().cloned().unwrap_or_else(Object::new);
    if let Some(totals) = totals {
        document.insert("totals", totals);
    }
    document.insert("action", action_object(action));
    document.insert("now", now.to_text());
    document.insert("policy", policy_object(version));
    let document = Value::from(document);
    schema::check(&document)?;
    bounded(document.to_canonical())
}

/// Returns the input under which something was asked as another policy version would have seen it.
///
/// # Errors
/// As [`patched`].
pub fn under_version(asked: &Value, version: PolicyVersionId) -> Result<Vec<u8>, InputError> {
    let mut document = asked.as_object().cloned().unwrap_or_else(Object::new);
    document.insert("policy", policy_object(version));
    let document = Value::from(document);
    schema::check(&document)?;
    bounded(document.to_canonical())
}

fn policy_object(version: PolicyVersionId) -> Object {
    Object::new().with("policy_version_id", version.0.to_hex())
}

fn action_object(action: &ActionInput) -> Object {
    Object::new()
        .with("name", action.name.as_str())
        .with("parameters", action.parameters.clone())
        .with("target", action.target.as_str())
}

fn bounded(bytes: Vec<u8>) -> Result<Vec<u8>, InputError> {
    if bytes.len() > INPUT_BYTES_MAX {
        let reason = format!("it is larger than {INPUT_BYTES_MAX} bytes");
        return Err(InputError::Json { reason });
    }
    Ok(bytes)
}

/// What inputs may be, as JSON.
const fn profile() -> Profile {
    Profile::DOCUMENT.with_bytes_max(INPUT_BYTES_MAX)
}

#[cfg(test)]
mod tests;
