//! What a process writes: into the runner's own log, without the values of its secrets, and nowhere else.

use std::fs::File;
use std::io::{self, PipeReader, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;

use super::mask::Mask;

/// A mask that learns of values while it is used.
pub(super) type SharedMask = Arc<Mutex<Mask>>;

/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 16 << 10;
/// How long output is read on after the processes are gone: only one that left the group can still hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A running copy of output into a log.
#[derive(Debug)]
pub(super) struct Output(JoinHandle<()>);

impl Output {
    /// Copies everything that comes out of a pipe, at most `bytes_max` bytes; the rest is read and dropped, so that
    /// nobody is blocked by a full pipe.
    pub(super) fn copy(pipe: PipeReader, log: File, mask: SharedMask, bytes_max: u64) -> io::Result<Self> {
        let pipe = Receiver::from_owned_fd(OwnedFd::from(pipe))?;
        Ok(Self(tokio::spawn(async move {
            if let Err(error) = copy(pipe, log, mask, bytes_max).await {
                tracing::warn!(%error, "the output of an attempt is lost");
            }
        })))
    }

    /// Waits for the end of the output.
    pub(super) async fn finish(mut self) {
        if tokio::time::timeout(LAST_WORDS, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

async fn copy(mut pipe: Receiver, mut log: File, mask: SharedMask, bytes_max: u64) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = bytes_max;
    let mut failure = None;
    loop {
        let read = pipe.read(&mut chunk).await?;
        let is_end = read == 0;
        let bytes = {
            let mut mask = mask.lock().unwrap_or_else(PoisonError::into_inner);
            if is_end { mask.finish() } else { mask.pass(chunk.get(..read).unwrap_or_default()) }
        };
        if left > 0 && failure.is_none() {
            let kept = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= u64::try_from(kept).unwrap_or(left);
            // Small writes into the page cache: not worth another thread.
            let mut written = log.write_all(bytes.get(..kept).unwrap_or_default());
            if written.is_ok() && left == 0 {
                written = writeln!(log, "\n[gantral: everything after {bytes_max} bytes was dropped]");
            }
            // A full disk must not block the process either.
            failure = written.err();
        }
        if is_end {
            break;
        }
    }
    failure.map_or(Ok(()), Err)
}
