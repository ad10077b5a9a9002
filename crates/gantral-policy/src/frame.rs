//! The protocol between the server and a worker: length-prefixed frames over one local socket.
//!
//! A request is `length u32 | op u8 | number u64 | body`, a reply is `length u32 | status u8 | number u64 | body`, all
//! integers little-endian, the length counted from after itself. A worker answers every request once and in order, so
//! the number only guards against a confused stream.

use gantral_core::digest::Digest;
use gantral_core::policy::{EvalFailure, PolicyVersionId};

use crate::bundle::{BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX};

/// The largest frame, in bytes: a whole bundle that does not compress.
pub(crate) const FRAME_BYTES_MAX: usize = BUNDLE_BYTES_MAX + BUNDLE_FILES_MAX * 4096;
/// The largest body of a reply, in bytes: a report of the tests of the largest bundle stays below it.
pub(crate) const REPLY_BYTES_MAX: usize = 1024 * 1024;

const LENGTH_BYTES: usize = 4;
const HEAD_BYTES: usize = 1 + 8;
const VERSION_BYTES: usize = 32;
const STATUS_OK: u8 = 0;

/// What a worker is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// Keep this bundle ready under this version; refuse it if its content has another version.
    Load(PolicyVersionId, &'a [u8]),
    /// Forget the bundle of this version.
    Drop(PolicyVersionId),
    /// Evaluate this input under this version.
    Eval(PolicyVersionId, &'a [u8]),
    /// Check whether this bundle may be published, and run its tests.
    Check(&'a [u8]),
    /// Look at this bundle without running anything of it.
    Lint(&'a [u8]),
    /// Run the tests of this bundle.
    Test(&'a [u8]),
}

impl<'a> Request<'a> {
    const LOAD: u8 = 1;
    const DROP: u8 = 2;
    const EVAL: u8 = 3;
    const CHECK: u8 = 4;
    const TEST: u8 = 5;
    const LINT: u8 = 6;

    /// Appends this request as a frame.
    pub(crate) fn write(&self, number: u64, out: &mut Vec<u8>) {
        let (op, version, body): (u8, Option<&PolicyVersionId>, &[u8]) = match self {
            Self::Load(version, archive) => (Self::LOAD, Some(version), archive),
            Self::Drop(version) => (Self::DROP, Some(version), &[]),
            Self::Eval(version, input) => (Self::EVAL, Some(version), input),
            Self::Check(archive) => (Self::CHECK, None, archive),
            Self::Lint(archive) => (Self::LINT, None, archive),
            Self::Test(archive) => (Self::TEST, None, archive),
        };
        let version: &[u8] = version.map_or(&[], |version| version.0.as_bytes());
        write_frame(op, number, &[version, body], out);
    }

    /// Reads a request from what follows the length of a frame.
    pub(crate) fn read(frame: &'a [u8]) -> Option<(u64, Self)> {
        let (op, number, body) = split_head(frame)?;
        let versioned = || {
            let (version, body) = body.split_first_chunk::<VERSION_BYTES>()?;
            Some((PolicyVersionId(Digest::from_bytes(*version)), body))
        };
        let request = match op {
            Self::LOAD => versioned().map(|(version, archive)| Self::Load(version, archive))?,
            Self::DROP => versioned().map(|(version, _)| Self::Drop(version))?,
            Self::EVAL => versioned().map(|(version, input)| Self::Eval(version, input))?,
            Self::CHECK => Self::Check(body),
            Self::LINT => Self::Lint(body),
            Self::TEST => Self::Test(body),
            _ => return None,
        };
        Some((number, request))
    }
}

/// Why a worker could not do what it was asked, with a text for the policy's author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}: {detail}")]
pub struct Refused {
    /// The class of the failure, as recorded.
    pub failure: EvalFailure,
    /// What happened where; may quote the policy's source, which is text by someone.
    pub detail: String,
}

impl Refused {
    pub(crate) fn new(failure: EvalFailure, detail: impl Into<String>) -> Self {
        Self { failure, detail: detail.into() }
    }
}

/// Appends a reply as a frame. A body above the limit becomes a failure of its own.
pub(crate) fn write_reply(number: u64, reply: &Result<Vec<u8>, Refused>, out: &mut Vec<u8>) {
    match reply {
        Ok(body) if body.len() <= REPLY_BYTES_MAX => write_frame(STATUS_OK, number, &[body], out),
        Ok(_) => write_frame(status(EvalFailure::ResourceLimit), number, &[b"the answer is too large"], out),
        Err(refused) => {
            let detail = refused.detail.as_bytes();
            let detail = detail.get(..REPLY_BYTES_MAX).unwrap_or(detail);
            write_frame(status(refused.failure), number, &[detail], out);
        }
    }
}

/// Reads a reply from what follows the length of a frame.
pub(crate) fn read_reply(frame: &[u8]) -> Option<(u64, Result<Vec<u8>, Refused>)> {
    let (code, number, body) = split_head(frame)?;
    if code == STATUS_OK {
        return Some((number, Ok(body.to_vec())));
    }
    let failure = EvalFailure::ALL.into_iter().find(|failure| status(*failure) == code)?;
    Some((number, Err(Refused::new(failure, String::from_utf8_lossy(body)))))
}

const fn status(failure: EvalFailure) -> u8 {
    match failure {
        EvalFailure::Unavailable => 1,
        EvalFailure::DeadlineExceeded => 2,
        EvalFailure::VersionMismatch => 3,
        EvalFailure::VersionUnknown => 4,
        EvalFailure::Conflict => 5,
        EvalFailure::Undefined => 6,
        EvalFailure::Malformed => 7,
        EvalFailure::Evaluation => 8,
        EvalFailure::ResourceLimit => 9,
    }
}

fn write_frame(code: u8, number: u64, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length = HEAD_BYTES + parts.iter().map(|part| part.len()).sum::<usize>();
    // Saturates far above `FRAME_BYTES_MAX`, which the reader refuses.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    out.push(code);
    out.extend_from_slice(&number.to_le_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn split_head(frame: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (&code, rest) = frame.split_first()?;
    let (number, body) = rest.split_first_chunk::<8>()?;
    Some((code, u64::from_le_bytes(*number), body))
}

/// The other side sent something that is not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame is larger than the protocol allows")]
pub(crate) struct FrameTooLarge;

/// Bytes that arrived, cut into frames.
#[derive(Debug, Default)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    start: usize,
}

impl FrameBuffer {
    /// Adds what was read.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the next whole frame, without its length.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, FrameTooLarge> {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        let Some((length, body)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > FRAME_BYTES_MAX {
            return Err(FrameTooLarge);
        }
        let frame = body.get(..length);
        if frame.is_some() {
            self.start += LENGTH_BYTES + length;
        }
        Ok(frame)
    }
}

#[cfg(test)]
mod tests;
