//! Which logs a witness knows: their keys, one a line, or those of a `tlog-policy`.

use gantral_evidence::log::note::{NoteKey, NoteKeyError, NoteKeyKind};
use gantral_evidence::log::policy::{ENTRIES_MAX, LogPolicy, POLICY_BYTES_MAX, PolicyError};

/// Why a text does not say which logs there are. Whoever wrote it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogsError {
    /// No text, or a larger one than any policy.
    #[error("the list of logs is no text of at most {POLICY_BYTES_MAX} bytes")]
    Text,
    /// A line that is no key.
    #[error("line {line} of the list of logs: {error}")]
    Key {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: NoteKeyError,
    },
    /// A key that is not a log's.
    #[error("line {line} of the list of logs: the key is not that of a log")]
    Kind {
        /// The line, from 1.
        line: usize,
    },
    /// It is a policy, and not a good one.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// None, or more than [`ENTRIES_MAX`].
    #[error("the list has {0} logs, and may have 1 to {ENTRIES_MAX}")]
    Count(usize),
}

/// Reads the keys of logs: one a line, with `#` before what is for people, or a whole `tlog-policy`.
///
/// # Errors
/// `LogsError`.
pub fn parse_logs(bytes: &[u8]) -> Result<Vec<NoteKey>, LogsError> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= POLICY_BYTES_MAX);
    let text = text.ok_or(LogsError::Text)?;
    let lines = (1..).zip(text.lines()).map(|(line, text)| (line, text.trim()));
    let lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
    let is_policy = lines.clone().any(|(_, text)| text.starts_with("log ") || text.starts_with("quorum "));
    let logs = if is_policy {
        LogPolicy::parse(bytes)?.logs().iter().map(|log| log.key.clone()).collect()
    } else {
        lines.map(|(line, text)| parse_log(line, text)).collect::<Result<Vec<_>, _>>()?
    };
    if (1..=ENTRIES_MAX).contains(&logs.len()) { Ok(logs) } else { Err(LogsError::Count(logs.len())) }
}

fn parse_log(line: usize, text: &str) -> Result<NoteKey, LogsError> {
    let key = NoteKey::parse(text).map_err(|error| LogsError::Key { line, error })?;
    if key.kind() == NoteKeyKind::Text { Ok(key) } else { Err(LogsError::Kind { line }) }
}

#[cfg(test)]
mod tests;
