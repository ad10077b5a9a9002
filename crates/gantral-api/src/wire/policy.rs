//! Policy bundles.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::text;

/// The bundle's own tests, as the worker ran them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestCounts {
    /// Rules that gave true.
    pub passed: u32,
    /// Rules that gave anything else.
    pub failed: u32,
}

/// Answer of `PUT /v1/policies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublishedPolicy {
    /// The content digest of the bundle. Publishing the same content again gives the same version.
    pub policy_version_id: text::PolicyVersionId,
    /// How its tests went.
    pub tests: TestCounts,
}

/// One bundle in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// The content digest of the bundle.
    pub policy_version_id: text::PolicyVersionId,
    /// When it was published.
    pub published_at: text::Time,
}

/// One page of policies, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyPage {
    /// The bundles.
    pub items: Vec<PolicyView>,
    /// The cursor of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
