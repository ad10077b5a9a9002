//! Actions, and the permissions to do them.

use gantral_core::json::{Object, ParseError, Value};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, EvidenceItem, text};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// The declared name of the action.
    pub name: text::Name,
    /// What it acts on, 1 to 512 bytes.
    #[schema(min_length = 1, max_length = 512)]
    pub target: String,
    /// Its parameters. Numbers are exact: they are compared and committed to as decimals, never as doubles.
    #[schema(value_type = Object)]
    pub parameters: Document,
}

impl Action {
    /// Reads the parameters strictly and returns the whole action as a core value.
    ///
    /// # Errors
    /// If the parameters are not usable JSON. Whether they are an object, and declared, is looked at when the action
    /// is admitted.
    pub fn to_value(&self) -> Result<Value, ParseError> {
        let object = Object::new()
            .with("name", self.name.as_str())
            .with("parameters", self.parameters.to_value()?)
            .with("target", self.target.as_str());
        Ok(Value::Object(object))
    }
}

/// A permission to do one action once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GrantView {
    /// The grant.
    pub grant_id: text::GrantId,
    /// The action as authorised: after an OVERRIDE, as the human changed it.
    pub action: Action,
    /// The commitment to that action which the artifacts carry.
    pub action_commitment: text::Digest,
    /// The salt of the commitment; an executor recomputes the commitment before it acts.
    pub action_salt: text::Salt,
    /// When the grant lapses unused.
    pub expires_at: text::Time,
    /// The gate that it came from; absent when policy allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate_id: Option<text::GateId>,
    /// Whether a human changed the action.
    pub overridden: bool,
}

/// What became of a consumed grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutcomeView {
    /// The grant.
    pub grant_id: text::GrantId,
    /// What was reported; absent while the report is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<text::OutcomeStatus>,
    /// What was captured of the action, as the report named it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceItem>,
}
