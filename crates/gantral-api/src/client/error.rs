//! Why a call did not succeed.

use crate::problem::{Code, Fault, Problem};

/// Why a call did not succeed, after all retries. Unless it is a problem, whether the server did something is unknown:
/// repeat a write with the same idempotency key before believing anything.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClientError {
    /// The server refused, and says why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// No connection, or it broke. May be repeated.
    #[error("the server cannot be reached: {why}")]
    Unreachable {
        /// What failed, with its causes.
        why: String,
    },
    /// No complete answer in time. May be repeated.
    #[error("no answer within {within_ms} ms")]
    Timeout {
        /// The limit.
        within_ms: u128,
    },
    /// The answer is not one of this API: a proxy's page, or a server of another version.
    #[error("unexpected answer with status {status}: {why}")]
    UnexpectedAnswer {
        /// Its HTTP status.
        status: u16,
        /// What is unexpected.
        why: String,
    },
    /// The answer is larger than anything that the server should send.
    #[error("the answer is larger than {limit} bytes")]
    AnswerTooLarge {
        /// The limit.
        limit: usize,
    },
    /// There is no usable token.
    #[error("the token cannot be used: {why}")]
    Token {
        /// Why; never the token.
        why: String,
    },
    /// The request cannot be written. The caller's fault.
    #[error("the request cannot be sent: {why}")]
    Unsendable {
        /// Why.
        why: String,
    },
}

impl ClientError {
    pub(super) fn unsendable(why: impl core::fmt::Display) -> Self {
        Self::Unsendable { why: why.to_string() }
    }

    /// Returns the stable code, if the server refused.
    pub fn code(&self) -> Option<Code> {
        self.problem().map(Problem::code)
    }

    /// Returns the problem, if the server refused.
    pub fn problem(&self) -> Option<&Problem> {
        if let Self::Problem(problem) = self { Some(problem) } else { None }
    }

    /// Says who is at fault; decides the exit code of the command line.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Problem(problem) => problem.code().fault(),
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::UnexpectedAnswer { .. }
            | Self::AnswerTooLarge { .. } => Fault::Environment,
            Self::Token { .. } | Self::Unsendable { .. } => Fault::Caller,
        }
    }
}
