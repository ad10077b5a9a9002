//! Messages as lines: one each, bounded. Source: MCP, Transports, stdio.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

use crate::message::MESSAGE_BYTES_MAX;

/// Why no further line can be read.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The stream.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Longer than any good one: what follows would be read from its middle.
    #[error("a message is larger than {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
}

/// Reads the next line that is not empty, without its end; `None` when there is no more. A last line without an end counts: it is whole or
/// no message.
///
/// # Errors
/// [`LineError`]; the stream is of no use any more.
pub async fn next(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>, LineError> {
    loop {
        let mut line = Vec::new();
        let more = fill(reader, &mut line).await?;
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        if !line.is_empty() {
            return Ok(Some(line));
        }
        if !more {
            return Ok(None);
        }
    }
}

/// Reads up to the end of the line; tells whether anything can follow.
async fn fill(reader: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> Result<bool, LineError> {
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(false);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n').map(|at| at.saturating_add(1));
        let taken = end.unwrap_or(buffer.len());
        if line.len().saturating_add(taken) > MESSAGE_BYTES_MAX {
            return Err(LineError::TooLong);
        }
        line.extend_from_slice(buffer.get(..taken).unwrap_or_default());
        reader.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}
