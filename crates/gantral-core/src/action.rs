//! What is to be done: named before it is done, after validation and default-filling.
//!
//! The canonical bytes of an action are what the approver sees, what policy evaluates, what is granted and what the
//! executor recomputes. Source: `spec/commitments.md` §3.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::digest::{CommitmentLabel, Digest, Hasher, Salt, commit};
use crate::ids::{ActorId, Name, SessionId, TenantId, WorkflowId};
use crate::json::{Object, Value};
use crate::secret::find_inline_secret;
use crate::workflow::{ParameterKind, Workflow};

/// The longest target, in bytes.
pub const TARGET_BYTES_MAX: usize = 512;

/// One action, complete: every declared parameter is present or has no default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its declared name.
    pub name: Name,
    /// What it acts on.
    pub target: String,
    /// Its parameters.
    pub parameters: Object,
}

/// Why something is not an action of a workflow. The caller's fault; asking again unchanged is pointless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// Not an object of `name`, `target` and `parameters`.
    #[error("an action is an object of `name`, `target` and `parameters`: {why}")]
    Shape {
        /// What is wrong.
        why: &'static str,
    },
    /// The workflow does not declare the action.
    #[error("the workflow does not declare the action `{name}`")]
    Undeclared {
        /// The action.
        name: String,
    },
    /// The workflow does not declare the parameter.
    #[error("the action `{action}` does not declare the parameter `{parameter}`")]
    UndeclaredParameter {
        /// The action.
        action: String,
        /// The parameter, cut to a length that can be shown.
        parameter: String,
    },
    /// A required parameter is missing.
    #[error("the parameter `{parameter}` is missing")]
    MissingParameter {
        /// The parameter.
        parameter: String,
    },
    /// A parameter has another type than declared.
    #[error("the parameter `{parameter}` is not {expected}")]
    WrongType {
        /// The parameter.
        parameter: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Something looks like an inline secret.
    #[error("`{path}` looks like a secret: pass a reference instead")]
    InlineSecret {
        /// Where, never what.
        path: String,
    },
}

impl Action {
    /// Reads an action strictly against its declaration, and fills in the declared defaults.
    ///
    /// # Errors
    /// `ActionError`; the caller must change the action.
    pub fn admit(value: &Value, workflow: &Workflow) -> Result<Self, ActionError> {
        let action = Self::read(value)?;
        let declaration = workflow
            .actions
            .get(&action.name)
            .ok_or_else(|| ActionError::Undeclared { name: action.name.to_string() })?;
        let mut parameters = Object::new();
        for (name, _) in action.parameters.iter() {
            if !declaration.parameters.contains_key(name) {
                return Err(ActionError::UndeclaredParameter {
                    action: action.name.to_string(),
                    parameter: name.chars().filter(|c| !c.is_control()).take(64).collect(),
                });
            }
        }
        for (name, parameter) in &declaration.parameters {
            match action.parameters.get(name).or(parameter.default.as_ref()) {
                Some(value) if parameter.kind.admits(value) => {
                    parameters.insert(name.clone(), value.clone());
                }
                Some(_) => {
                    let expected = parameter.kind.described();
                    return Err(ActionError::WrongType { parameter: name.clone(), expected });
                }
                None if parameter.required => {
                    return Err(ActionError::MissingParameter { parameter: name.clone() });
                }
                None => {}
            }
        }
        let admitted = Self { parameters, ..action };
        match find_inline_secret(&admitted.to_value()) {
            Some(path) => Err(ActionError::InlineSecret { path }),
            None => Ok(admitted),
        }
    }

    /// Reads an action from a document that was admitted before.
    ///
    /// # Errors
    /// `ActionError::Shape`.
    pub fn read(value: &Value) -> Result<Self, ActionError> {
        let shape = |why| ActionError::Shape { why };
        let object = value.as_object().ok_or(shape("not an object"))?;
        if object.names().any(|name| !matches!(name, "name" | "target" | "parameters")) {
            return Err(shape("an unknown member"));
        }
        let name = object.get("name").and_then(Value::as_str).ok_or(shape("`name` is missing"))?;
        let name = Name::parse(name).map_err(|_| shape("`name` is not a name"))?;
        let target = object.get("target").and_then(Value::as_str).ok_or(shape("`target` is missing"))?;
        if target.is_empty() || target.len() > TARGET_BYTES_MAX {
            return Err(shape("`target` is empty or longer than 512 bytes"));
        }
        let parameters = match object.get("parameters") {
            None => Object::new(),
            Some(Value::Object(parameters)) => parameters.clone(),
            Some(_) => return Err(shape("`parameters` is not an object")),
        };
        Ok(Self { name, target: target.to_string(), parameters })
    }

    /// Returns the action as a document.
    pub fn to_value(&self) -> Value {
        let object = Object::new()
            .with("name", self.name.as_str())
            .with("parameters", Value::Object(self.parameters.clone()))
            .with("target", self.target.as_str());
        Value::Object(object)
    }

    /// Returns the canonical bytes: what is committed to.
    pub fn to_canonical(&self) -> Vec<u8> {
        self.to_value().to_canonical()
    }

    /// Returns the plain digest, for joining and recomputing inside a deployment; artifacts never carry it.
    pub fn digest(&self) -> Digest {
        Hasher::new("gantral/action/v1").bytes(&self.to_canonical()).finish()
    }

    /// Returns the key under which a retry of the same governed call finds the instance that is open for it:
    /// `SHA-256("gantral/call/v1" 00 tenant 00 principal 00 session 00 workflow 00 action_digest)`.
    ///
    /// Never built from an identifier of the transport: those change with every retry.
    pub fn call_key(
        &self,
        tenant: &TenantId,
        principal: &ActorId,
        session: Option<&SessionId>,
        workflow: &WorkflowId,
    ) -> Digest {
        Hasher::new("gantral/call/v1")
            .text(tenant.as_str())
            .text(principal.as_str())
            .text(session.map_or("", SessionId::as_str))
            .text(workflow.as_str())
            .bytes(self.digest().as_bytes())
            .finish()
    }

    /// Returns the salted commitment that artifacts carry.
    pub fn commitment(&self, salt: &Salt) -> Digest {
        commit(CommitmentLabel::Action, salt, &self.to_canonical())
    }

    /// Returns the parameters that the workflow lets policy see.
    pub fn policy_view(&self, workflow: &Workflow) -> Object {
        let declared = workflow.actions.get(&self.name).map(|action| &action.parameters);
        let mut visible = Object::new();
        for (name, value) in self.parameters.iter() {
            if declared.and_then(|parameters| parameters.get(name)).is_some_and(|parameter| parameter.policy)
            {
                visible.insert(name, value.clone());
            }
        }
        visible
    }
}

impl ParameterKind {
    /// Tells whether a value is of this kind.
    pub fn admits(self, value: &Value) -> bool {
        match self {
            Self::String => matches!(value, Value::String(_)),
            Self::Integer => value.as_i64().is_some(),
            Self::Number => matches!(value, Value::Number(_)),
            Self::Boolean => matches!(value, Value::Bool(_)),
            Self::Object => matches!(value, Value::Object(_)),
            Self::Array => matches!(value, Value::Array(_)),
            Self::Any => true,
        }
    }

    const fn described(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer of 64 bits",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Any => "a value",
        }
    }
}

#[cfg(test)]
mod tests;
