//! The identity providers that are believed, and their keys.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One identity provider whose keys are fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuerView {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// How long ago its keys were fetched, in seconds; absent while there are none that are believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_age_seconds: Option<u64>,
    /// How often they could not be had, since the server started.
    pub failures: u64,
}

/// Answer of `GET /v1/issuers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Issuers {
    /// The providers, by issuer.
    pub items: Vec<IssuerView>,
}

/// What came of asking one identity provider for its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefreshedIssuer {
    /// The exact `iss` of its tokens.
    pub issuer: String,
    /// Whether its keys are others than before; false also when they could not be had.
    pub changed: bool,
    /// Why they could not be had, in words for people; those of before stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// Answer of `POST /v1/issuers/refresh`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefreshedIssuers {
    /// The providers, by issuer.
    pub items: Vec<RefreshedIssuer>,
}
