//! How things are called in Temporal. Several deployments, and several tenants, may share one namespace.

use gantral_api::wire::text;
use serde::{Deserialize, Serialize};

/// The search attribute with the state of an instance.
pub const STATE: &str = "GantralState";
/// The search attribute with the tenant.
pub const TENANT: &str = "GantralTenant";
/// The search attribute with the team that owns the workflow.
pub const TEAM: &str = "GantralTeam";
/// All of them, each a keyword.
pub const SEARCH_ATTRIBUTES: [&str; 3] = [STATE, TENANT, TEAM];

/// What begins the names of one tenant of one deployment. It travels with the input of each workflow, so that a replay makes the same names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The deployment.
    pub deployment: String,
    /// The tenant.
    pub tenant: String,
}

impl Lane {
    /// Returns the identifier of the workflow of an instance.
    pub fn workflow(&self, instance: &text::InstanceId) -> String {
        format!("{self}/instance/{instance}")
    }

    /// Returns the identifier of the one workflow that follows the ledger.
    pub fn follower(&self) -> String {
        format!("{self}/follower")
    }

    /// Returns the identifier of the one workflow that finds instances without a workflow.
    pub fn keeper(&self) -> String {
        format!("{self}/keeper")
    }

    /// Returns the task queue of workflows, and of activities that any worker may do.
    pub fn tasks(&self) -> String {
        self.to_string()
    }

    /// Returns the task queue of the gateway to the runners of a queue. Whoever does not poll it never sees what is on it.
    pub fn gateway(&self, queue: &text::Name) -> String {
        format!("{self}/queue/{queue}")
    }
}

impl std::fmt::Display for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.deployment, self.tenant)
    }
}
