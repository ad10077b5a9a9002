//! What the API refuses, as Temporal understands it: a type by which a refusal is told from an outage, and whether a retry can help.

use gantral_api::client::ClientError;
use gantral_api::problem::Code;
use temporalio_common::error::ApplicationFailure;
use temporalio_sdk::activities::ActivityError;

/// The type of a failure that is no refusal of the API.
const UNREACHABLE: &str = "unreachable";

/// Returns the failure of an activity that asked the API. Its type is the code of the refusal. Only where there is no such instance a retry is
/// pointless; whatever else refuses is mended by somebody, and holds work back until then.
pub(crate) fn of_api(error: &ClientError) -> ActivityError {
    let code = error.code();
    let kind = code.map_or(UNREACHABLE, Code::as_str).to_owned();
    let pointless = code == Some(Code::NotFound);
    let failure = ApplicationFailure::builder(error.to_string()).type_name(kind).non_retryable(pointless);
    ActivityError::application(failure.build())
}

/// Returns the failure of an activity that could not reach Temporal, or was asked to stop: another worker may go on at once.
pub(crate) fn passing(kind: &str, why: impl std::fmt::Display) -> ApplicationFailure {
    ApplicationFailure::builder(why.to_string()).type_name(kind.to_owned()).build()
}
