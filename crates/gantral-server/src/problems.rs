//! Every refusal of the engine, of tokens and of requests, as the problem that the caller sees.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use gantral_api::problem::{Code, Fault, Problem};
use gantral_api::wire::PROBLEM_JSON;
use gantral_core::action::ActionError;
use gantral_core::command::Refusal;
use gantral_engine::EngineError;
use gantral_identity::{DevelopmentRefused, NotPermitted, TokenError};

use crate::clock::NoRandomness;

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
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let code = self.0.code();
        if matches!(code.fault(), Fault::Us | Fault::Environment) {
            tracing::error!(code = code.as_str(), detail = self.0.detail(), "request failed");
        }
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(code);
        response
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self(Problem::new(Code::TokenRejected, error.to_string()).with("reason", error.code()))
    }
}

impl From<NotPermitted> for Failure {
    fn from(error: NotPermitted) -> Self {
        Self(Problem::new(Code::Forbidden, error.to_string()).with("reason", error.code()))
    }
}

impl From<DevelopmentRefused> for Failure {
    fn from(_: DevelopmentRefused) -> Self {
        Self::new(Code::TokenRejected, "development tokens are good on loopback only")
    }
}

impl From<NoRandomness> for Failure {
    fn from(error: NoRandomness) -> Self {
        Self::new(Code::NotReady, error.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        let code = match error {
            EngineError::Refused(refusal) => return refused(refusal),
            EngineError::Action(error) => action_code(&error),
            EngineError::NotFound { .. } => Code::NotFound,
            EngineError::Input(_) | EngineError::Text { .. } | EngineError::Seal(_) => Code::InvalidBody,
            EngineError::Workflow(_) => Code::WorkflowInvalid,
            EngineError::WorkflowVersionExists => Code::WorkflowVersionExists,
            EngineError::NoActivePolicy => Code::NoActivePolicy,
            EngineError::PolicyUnknown => Code::PolicyUnknown,
            EngineError::JustificationRequired { .. } => Code::JustificationRequired,
            EngineError::Forbidden { .. } => Code::Forbidden,
            EngineError::LeaseLost => Code::LeaseLost,
            EngineError::KeyReused => Code::IdempotencyKeyReused,
            EngineError::CallKeyTaken { instance } => {
                return Self(
                    Problem::new(Code::CallKeyTaken, detail).with("instance_id", instance.to_string()),
                );
            }
            EngineError::Frozen => Code::Frozen,
            EngineError::Conflict => Code::Conflict,
            EngineError::Signer(_) => Code::SignerUnavailable,
            EngineError::Store(error) => {
                // What the database said is for the log of whoever runs it, not for the caller.
                tracing::error!(%error, "the ledger failed");
                return Self::new(Code::LedgerUnavailable, "the ledger cannot be written or read now");
            }
            EngineError::Damaged { what } => {
                tracing::error!(what, "a stored record cannot be relied on");
                return Self::new(Code::Internal, "the stored record of this instance cannot be relied on");
            }
        };
        Self::new(code, detail)
    }
}

const fn action_code(error: &ActionError) -> Code {
    match error {
        ActionError::Undeclared { .. } | ActionError::UndeclaredParameter { .. } => Code::ActionUndeclared,
        ActionError::InlineSecret { .. } => Code::SecretInline,
        ActionError::Shape { .. } | ActionError::MissingParameter { .. } | ActionError::WrongType { .. } => {
            Code::ActionInvalid
        }
    }
}

fn refused(refusal: Refusal) -> Failure {
    let detail = refusal.to_string();
    let code = match &refusal {
        Refusal::AlreadyDecided { by, decision, at, .. } => {
            let problem = Problem::new(Code::AlreadyDecided, detail)
                .with("decided_by", by.to_string())
                .with("decision", decision.as_str())
                .with("at", at.to_text());
            return Failure(problem);
        }
        Refusal::GateMoved { current, .. } => {
            return Failure(Problem::new(Code::GateMoved, detail).with("gate_version", *current));
        }
        Refusal::Ended { .. } | Refusal::InstanceExpired { .. } => Code::InstanceEnded,
        Refusal::WrongActor { .. } => Code::Forbidden,
        Refusal::WrongState { .. } => Code::WrongState,
        Refusal::StaleAttempt { .. } => Code::StaleAttempt,
        Refusal::AttemptInactive { .. } => Code::AttemptInactive,
        Refusal::AttemptAlive { .. } => Code::AttemptAlive,
        Refusal::GateUnknown { .. } => Code::GateUnknown,
        Refusal::DeadlinePassed { .. } => Code::DeadlinePassed,
        Refusal::SelfApproval => Code::SelfApproval,
        Refusal::NotEligible { .. } => Code::NotEligible,
        Refusal::AlreadyVoted => Code::AlreadyVoted,
        Refusal::EvidenceTooWeak => Code::EvidenceTooWeak,
        Refusal::ActionMismatch => Code::ActionMismatch,
        Refusal::GrantUnusable { .. } => Code::GrantUnusable,
        Refusal::GrantExpired { .. } => Code::GrantExpired,
        Refusal::ActionChanged => Code::ActionChanged,
        Refusal::EvaluatorFailed { .. } => Code::EvaluatorFailed,
        Refusal::NobodyEligible { .. } => Code::NobodyEligible,
        Refusal::OutcomeUnknown { .. } => Code::OutcomeUnknown,
        Refusal::OutcomeNotOwed { .. } => Code::OutcomeNotOwed,
        Refusal::OutcomeOpen { .. } => Code::OutcomeOpen,
        Refusal::NotCreator => Code::NotCreator,
        Refusal::ExtensionOutOfRange { .. } => Code::ExtensionOutOfRange,
        Refusal::TooManyEvents => Code::TooManyEvents,
        Refusal::Defect { .. } => Code::Internal,
    };
    Failure::new(code, detail)
}
