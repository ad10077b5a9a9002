//! Many executions at once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, text};

/// Body of `POST /v1/windows`: which executions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskWindow {
    /// Created from this instant on.
    pub from: text::Time,
    /// Created before this instant, which has passed.
    pub to: text::Time,
    /// In this state now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<text::State>,
    /// Of this team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<text::TeamId>,
    /// Of this workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<text::WorkflowId>,
}

/// What the issuer says was in the window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WindowView {
    /// The signed statement: a DSSE v1 envelope whose payload is an in-toto statement.
    #[schema(value_type = Object)]
    pub statement: Document,
    /// The list that it is about, byte for byte: every instance with its newest artifact.
    #[schema(value_type = Object)]
    pub instances: Document,
    /// The delegation of the key that signed the statement, if it signed for an issuer key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub delegation: Option<Document>,
}
