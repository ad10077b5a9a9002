//! Asking the runner for a secret, from within an attempt, once its grant is used up.
//!
//! One line of JSON on the runner's local socket, one line back. The socket is the one that `GANTRAL_SECRETS` names; the runner tells by the
//! process at its other end which attempt asks. Source: `spec/runner.md` §6.

use core::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_api::wire::{EvidenceItem, text};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// The variable that names the socket.
pub const SOCKET_VARIABLE: &str = "GANTRAL_SECRETS";
/// The longest request, in bytes: two names and a number.
pub const REQUEST_BYTES_MAX: usize = 1 << 10;
/// The longest answer, in bytes: the largest secret in base64, and room.
const ANSWER_BYTES_MAX: u64 = 128 << 10;
/// How long the runner may take: it asks the server, and OpenBao.
const ANSWER_WITHIN: Duration = Duration::from_secs(40);

/// What is asked of the runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The value of a secret.
    Secret {
        /// Its name in the settings of the runner.
        name: text::Name,
        /// The grant that was used up for the action that needs it.
        grant: text::GrantId,
    },
    /// What was handed out under a grant, for the report of its outcome.
    Records {
        /// The grant.
        grant: text::GrantId,
    },
}

impl Request {
    /// Reads a line. It comes from a process that may do as it likes.
    ///
    /// # Errors
    /// In words for people: what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        if line.len() > REQUEST_BYTES_MAX {
            return Err(format!("a request has {REQUEST_BYTES_MAX} bytes at most"));
        }
        serde_json::from_slice(line).map_err(|error| error.to_string())
    }
}

/// What the runner answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Answer {
    /// The value.
    Value {
        /// In base64.
        value: String,
        /// The record of the hand-out, to be named in the report of the outcome.
        record: EvidenceItem,
    },
    /// What was handed out.
    Records {
        /// One for each hand-out.
        records: Vec<EvidenceItem>,
    },
    /// Nothing.
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why, for people; nothing of a secret.
        detail: String,
    },
}

/// Without the value.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { record, .. } => write!(f, "Value({record:?})"),
            Self::Records { records } => write!(f, "Records({records:?})"),
            Self::Refused { code, detail } => write!(f, "Refused({code:?}, {detail})"),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Self::Value { value, .. } = self {
            value.zeroize();
        }
    }
}

/// Why the runner gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is none.
    SecretRequestInvalid,
    /// The process is none of the attempt's.
    SecretNotYours,
    /// No such secret is for this workflow and queue, or not for this action.
    SecretNotForThis,
    /// The grant is not used up by this attempt, its action is reported already, or had to start before now.
    SecretWithoutGrant,
    /// More was asked for than an attempt may.
    SecretTooMany,
    /// The reference gives no value now, or the server no evidence. May be asked again.
    SecretUnavailable,
}

impl Code {
    /// Returns the code as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SecretRequestInvalid => "secret_request_invalid",
            Self::SecretNotYours => "secret_not_yours",
            Self::SecretNotForThis => "secret_not_for_this",
            Self::SecretWithoutGrant => "secret_without_grant",
            Self::SecretTooMany => "secret_too_many",
            Self::SecretUnavailable => "secret_unavailable",
        }
    }
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The runner cannot be asked: not within an attempt, or its attempt has ended.
    #[error("the runner cannot be asked at `{path}`: {error}")]
    Socket {
        /// The socket.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The runner refuses.
    #[error("{detail}")]
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        detail: String,
    },
    /// What came back is no answer.
    #[error("the runner's answer cannot be read")]
    Answer,
}

/// A secret, with the record of its hand-out.
pub struct Secret {
    /// The value.
    pub value: Zeroizing<Vec<u8>>,
    /// To be named in the report of the outcome.
    pub record: EvidenceItem,
}

/// Asks for a secret. Blocks the caller.
///
/// # Errors
/// `Refused` with `SecretUnavailable`, and `Socket`, may be tried again.
pub fn ask(socket: &Path, name: text::Name, grant: text::GrantId) -> Result<Secret, AskError> {
    match &exchange(socket, &Request::Secret { name, grant })? {
        Answer::Value { value, record } => {
            let bytes = STANDARD.decode(value).map_err(|_| AskError::Answer)?;
            Ok(Secret { value: Zeroizing::new(bytes), record: record.clone() })
        }
        Answer::Refused { code, detail } => Err(AskError::Refused { code: *code, detail: detail.clone() }),
        Answer::Records { .. } => Err(AskError::Answer),
    }
}

/// Asks what was handed out under a grant. Blocks the caller.
///
/// # Errors
/// As [`ask`].
pub fn records(socket: &Path, grant: text::GrantId) -> Result<Vec<EvidenceItem>, AskError> {
    match &exchange(socket, &Request::Records { grant })? {
        Answer::Records { records } => Ok(records.clone()),
        Answer::Refused { code, detail } => Err(AskError::Refused { code: *code, detail: detail.clone() }),
        Answer::Value { .. } => Err(AskError::Answer),
    }
}

fn exchange(socket: &Path, request: &Request) -> Result<Answer, AskError> {
    let failed = |error| AskError::Socket { path: socket.display().to_string(), error };
    let mut line = serde_json::to_vec(request).map_err(|_| AskError::Answer)?;
    line.push(b'\n');
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(failed)?;
    stream.write_all(&line).map_err(failed)?;
    let mut answer = Zeroizing::new(Vec::new());
    BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_until(b'\n', &mut answer).map_err(failed)?;
    serde_json::from_slice(&answer).map_err(|_| AskError::Answer)
}
