//! Every refusal of the engine, of tokens and of requests, as the problem that the caller sees.

mod refusals;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::PROBLEM_JSON;
use gantral_core::action::ActionError;
use gantral_engine::policy_input::InputError;
use gantral_engine::{EngineError, ProposalStanding};
use gantral_identity::{DevelopmentRefused, Fault, NotPermitted, TokenError};

use crate::clock::NoRandomness;
use crate::handlers::proposals::ended;

/// How long a caller should wait before it repeats what the server could not do now, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A problem as an answer.
#[derive(Debug)]
pub(crate) struct Failure(pub Problem);

pub(crate) type Answer<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Problem::new(code, detail))
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("{what} was not found"))
    }

    /// A member of a JSON body that is not what the route takes.
    pub(crate) fn member(path: &str, why: impl Into<String>) -> Self {
        Self(Problem::new(Code::InvalidBody, why).with("path", path))
    }

    /// A part of the path or query, or a header, that is not what the route takes.
    pub(crate) fn parameter(name: &str, why: impl Into<String>) -> Self {
        Self(Problem::new(Code::InvalidParameter, why).with("parameter", name))
    }
}

/// The status alone: the body is written by [`finished`], which knows the path and the request's number.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = status(&self.0).into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

fn status(problem: &Problem) -> StatusCode {
    StatusCode::from_u16(problem.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Writes a problem, with the path that was called and the number under which the log knows the request.
pub(crate) fn finished(problem: Problem, path: &str, request_id: &str) -> Response {
    let problem = problem.with_instance(path).with("request_id", request_id);
    let status = status(&problem);
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    match problem.code() {
        Code::Unauthenticated => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // RFC 6750 section 3.1.
        Code::TokenRejected => {
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        code if code == Code::GrantNotReleased
            || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) =>
        {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        _ => {}
    }
    response
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        let code = match error.fault() {
            Fault::Environment => Code::IssuerUnavailable,
            Fault::Caller | Fault::Us => Code::TokenRejected,
        };
        Self(Problem::new(code, error.to_string()).with("reason", error.code()))
    }
}

impl From<NotPermitted> for Failure {
    fn from(error: NotPermitted) -> Self {
        Self(Problem::new(Code::Forbidden, error.to_string()).with("reason", error.code()))
    }
}

impl From<DevelopmentRefused> for Failure {
    fn from(error: DevelopmentRefused) -> Self {
        let detail = "development tokens are good on loopback only";
        Self(Problem::new(Code::TokenRejected, detail).with("reason", error.code()))
    }
}

impl From<NoRandomness> for Failure {
    fn from(error: NoRandomness) -> Self {
        let checks = serde_json::json!({ "randomness": "failed" });
        Self(Problem::new(Code::NotReady, error.to_string()).with("checks", checks))
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        let problem = |code| Problem::new(code, detail.clone());
        Self(match error {
            EngineError::Refused(refusal) => return refusals::failure(&refusal),
            EngineError::Action(error) => action(&error),
            EngineError::NotFound { what } => problem(unknown(what)),
            EngineError::Evidence { index, member, error } => problem(Code::EvidenceRefused)
                .with("path", format!("evidence[{index}].{member}"))
                .with("reason", error.reason()),
            EngineError::Input(error) => input(&error, detail),
            EngineError::Text { member, .. } => problem(Code::InvalidBody).with("path", member),
            EngineError::Seal(_) => problem(Code::InvalidBody),
            EngineError::Workflow(error) => problem(Code::WorkflowInvalid).with("path", error.path),
            EngineError::WorkflowVersionExists => problem(Code::WorkflowVersionExists),
            EngineError::NoActivePolicy => problem(Code::NoActivePolicy),
            EngineError::PolicyMoved { present } => {
                problem(Code::PolicyMoved).with("present", present.map(|version| version.0.to_hex()))
            }
            EngineError::SamePerson { .. } => problem(Code::SamePerson),
            EngineError::DelegationNotInForce { .. } => problem(Code::DelegationNotInForce),
            EngineError::PasskeyRefused { .. } => problem(Code::PasskeyRefused),
            EngineError::ProposalDiffers => problem(Code::ProposalDiffers),
            EngineError::ProposalMoved { .. } => problem(Code::ProposalMoved),
            EngineError::ProposalEnded { how, at, by, sealed } => {
                ended(problem(Code::ProposalEnded), ProposalStanding::Ended { how, at, by, sealed })
            }
            EngineError::ProposalsFull { most } => problem(Code::ProposalsFull).with("most", most),
            EngineError::InstancesFull { most } => problem(Code::InstancesFull).with("most", most),
            EngineError::StorageFull { most } => problem(Code::StorageFull).with("most", most),
            EngineError::NoPolicyBefore => problem(Code::NoPolicyBefore),
            EngineError::PolicyUnknown => problem(Code::PolicyUnknown),
            EngineError::PolicyUnsigned => problem(Code::PolicyUnsigned),
            EngineError::PolicyUnpinned => problem(Code::PolicyUnpinned),
            EngineError::JustificationRequired { least } => {
                problem(Code::JustificationRequired).with("least", least)
            }
            EngineError::Forbidden { .. } => problem(Code::Forbidden),
            EngineError::LeaseLost => problem(Code::LeaseLost),
            EngineError::KeyReused => problem(Code::IdempotencyKeyReused),
            EngineError::CallKeyTaken { instance } => {
                problem(Code::CallKeyTaken).with("instance_id", instance.to_string())
            }
            EngineError::Frozen => problem(Code::Frozen),
            EngineError::NotReleased => problem(Code::GrantNotReleased),
            EngineError::NotImmediate { .. } | EngineError::NotArchived => problem(Code::ReleaseNotImmediate),
            EngineError::Conflict => problem(Code::Conflict),
            EngineError::Signer(_) => problem(Code::SignerUnavailable),
            EngineError::Store(error) => {
                // What the database said is for the log of whoever runs it, not for the caller.
                tracing::error!(%error, "the ledger failed");
                Problem::new(Code::LedgerUnavailable, "the ledger cannot be written or read now")
            }
            EngineError::RetiredKey { .. } => {
                tracing::error!(%error, "this server must not sign");
                Problem::new(Code::Internal, "this server must not sign")
            }
            EngineError::Damaged { what } => {
                tracing::error!(what, "a stored record cannot be relied on");
                Problem::new(Code::Internal, "the stored record of this instance cannot be relied on")
            }
        })
    }
}

/// The codes of what the engine looks for by name; everything else has no code of its own.
fn unknown(what: &str) -> Code {
    match what {
        "the gate" => Code::GateUnknown,
        "the workflow" | "the workflow version" => Code::WorkflowUnknown,
        _ => Code::NotFound,
    }
}

fn action(error: &ActionError) -> Problem {
    let detail = error.to_string();
    match error {
        ActionError::Undeclared { name } => {
            Problem::new(Code::ActionUndeclared, detail).with("path", name.as_str())
        }
        ActionError::UndeclaredParameter { parameter, .. } => {
            Problem::new(Code::ActionUndeclared, detail).with("path", format!("parameters.{parameter}"))
        }
        ActionError::InlineSecret { path } => {
            Problem::new(Code::SecretInline, detail).with("path", path.as_str())
        }
        ActionError::Shape { .. } => Problem::new(Code::ActionInvalid, detail),
        ActionError::MissingParameter { parameter } | ActionError::WrongType { parameter, .. } => {
            Problem::new(Code::ActionInvalid, detail).with("path", format!("parameters.{parameter}"))
        }
    }
}

/// What an ask adds to its action breaks the contract between engine and policies.
fn input(error: &InputError, detail: String) -> Problem {
    let problem = Problem::new(Code::ActionInvalid, detail);
    match error {
        InputError::Missing { member }
        | InputError::Unknown { member }
        | InputError::Value { member, .. } => problem.with("path", member.as_str()),
        _ => problem,
    }
}
