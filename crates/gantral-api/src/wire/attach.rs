//! How an attempt is named when it attaches.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Body of `POST /v1/instances/{id}/attempts`: `{"attempt": 1}` by the runner that holds the lease, or
/// `{"self": true}` by the workload that created the instance and runs it itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AttachBody", into = "AttachBody")]
pub enum Attach {
    /// An attempt that was assigned to a runner.
    Assigned {
        /// Its number.
        attempt: u32,
    },
    /// The next attempt, of a workload that runs itself.
    SelfRun,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttachBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(default, rename = "self", skip_serializing_if = "Option::is_none")]
    self_run: Option<bool>,
}

impl TryFrom<AttachBody> for Attach {
    type Error = &'static str;

    fn try_from(body: AttachBody) -> Result<Self, Self::Error> {
        match (body.attempt, body.self_run) {
            (Some(attempt), None | Some(false)) => Ok(Self::Assigned { attempt }),
            (None, Some(true)) => Ok(Self::SelfRun),
            (Some(_), Some(true)) => Err("give either `attempt` or `self`"),
            (None, None | Some(false)) => Err("`attempt` or `self: true` is missing"),
        }
    }
}

impl From<Attach> for AttachBody {
    fn from(attach: Attach) -> Self {
        match attach {
            Attach::Assigned { attempt } => Self { attempt: Some(attempt), self_run: None },
            Attach::SelfRun => Self { attempt: None, self_run: Some(true) },
        }
    }
}

impl PartialSchema for Attach {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .description(Some("The attempt that the claim named."));
        let itself = ObjectBuilder::new()
            .schema_type(Type::Boolean)
            .enum_values(Some([true]))
            .description(Some("The creating workload runs the next attempt itself."));
        let closed = |builder: ObjectBuilder| {
            builder
                .schema_type(Type::Object)
                .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        };
        OneOfBuilder::new()
            .item(closed(ObjectBuilder::new().property("attempt", number).required("attempt")))
            .item(closed(ObjectBuilder::new().property("self", itself).required("self")))
            .into()
    }
}

impl ToSchema for Attach {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Attach")
    }
}
