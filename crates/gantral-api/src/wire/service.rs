//! What the service says about itself and its caller.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, text};

/// Answer of `GET /v1/me`: the caller as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The tenant.
    pub tenant: text::TenantId,
    /// The identifier under which the caller acts.
    pub id: text::ActorId,
    /// The kind, from issuer and client configuration.
    pub kind: CallerKind,
    /// Who vouches for the identity.
    pub issuer: String,
    /// A name for people. Not evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The human who owns a workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<text::ActorId>,
    /// The roles that it holds.
    pub roles: Vec<text::Role>,
    /// The teams that it belongs to.
    pub teams: Vec<text::TeamId>,
    /// The one attempt that the token is good for; with `attempt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<text::InstanceId>,
    /// The number of that attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// The kind of a caller, from issuer and client configuration, never from a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallerKind {
    /// A person.
    Human,
    /// An agent, or another program that asks.
    Workload,
    /// A program that executes attempts.
    Runner,
    /// A program that says when attempts may begin.
    Orchestrator,
}

impl CallerKind {
    /// Returns the word as sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Workload => "workload",
            Self::Runner => "runner",
            Self::Orchestrator => "orchestrator",
        }
    }
}

impl std::fmt::Display for CallerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A public key of the issuer of artifacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuerKey {
    /// The identifier that envelopes name.
    pub key_id: String,
    /// The signature algorithm: `ed25519`.
    pub algorithm: String,
    /// The raw public key as hexadecimal digits.
    pub public_key: String,
}

/// Answer of `GET /v1/keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Keys {
    /// The keys that sign, or signed, artifacts of the caller's tenant.
    pub keys: Vec<IssuerKey>,
    /// A trust file to start from. Compare it over another channel before pinning it: trust that comes from the
    /// server proves nothing about the server.
    #[schema(value_type = Object)]
    pub trust_hint: Document,
}

/// Answer of `GET /healthz` and of a ready `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`, or `ready`.
    pub status: String,
    /// The version of the server.
    pub version: String,
    /// Of `GET /readyz`: the policy evaluators that did not answer and are left alone for now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evaluators_away: Vec<String>,
    /// Of `GET /readyz`: the tenants of which nothing is done, because their governance chains were damaged when the server started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged_tenants: Vec<text::TenantId>,
    /// Of `GET /readyz`: the logs that stand still while others grow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped_logs: Vec<StoppedLog>,
}

/// A transparency log that stands still until somebody has mended what it may not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoppedLog {
    /// The tenant.
    pub tenant: text::TenantId,
    /// What is wrong: `log_artifact_damaged`, `log_artifact_refused`, `log_files_damaged`, `log_checkpoint_damaged` or `log_held`.
    pub code: String,
}
