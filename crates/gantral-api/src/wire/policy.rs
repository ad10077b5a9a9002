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
    /// Who signed it; absent when it is not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<SignedBy>,
}

/// Who signed a bundle, as the server checked it when it was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedBy {
    /// The name of the key in the server's configuration.
    pub key: String,
    /// The algorithm of the key, for example `ES256`.
    pub algorithm: String,
    /// The scope that key and signature name; absent when neither does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whether the bundle's revision is its version. If not, only the embedded engine can evaluate it.
    pub pinned: bool,
}

/// One bundle in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// The content digest of the bundle.
    pub policy_version_id: text::PolicyVersionId,
    /// When it was published.
    pub published_at: text::Time,
    /// Who signed it; absent when it is not signed. Of several signatures the newest counts whose revision is the version, else the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<SignedBy>,
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
