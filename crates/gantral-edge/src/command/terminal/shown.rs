//! What a command writes to its terminal: passed on to ours as it comes, and digested.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use gantral_core::digest::Digest;

use super::super::carry::Captured;

/// How much is read at once: more than a system holds ready.
const CHUNK_BYTES: usize = 64 << 10;
/// After the command has ended: how long nothing may come before all has come. What was written by then is ready at once; this is for systems that
/// hand it over late.
const QUIET: Duration = Duration::from_millis(50);
/// After the command has ended: how long processes that it left behind are listened to at most.
const AFTER_MAX: Duration = Duration::from_millis(500);
/// After the command has ended: how many bytes are passed on at most. A terminal holds far less than this, so that all of it is the command's or
/// of those that it left behind.
const AFTER_BYTES_MAX: usize = 1 << 20;

/// Passes on what comes out of `from`, in a thread of its own, since terminals may block whoever writes. The returned end says when it is done
/// and what it was; it is done when nobody holds the terminal any more, when our terminal is gone, or when the other returned file has
/// been closed and all that was written by then has been passed on.
///
/// # Errors
/// The system's.
pub(super) fn show(from: OwnedFd, to: OwnedFd) -> io::Result<(oneshot::Receiver<Captured>, OwnedFd)> {
    let (ended, end) = std::os::unix::net::UnixStream::pair()?;
    let (done, shown) = oneshot::channel();
    let relay = Relay { from, to, ended: ended.into(), sha: Sha256::new(), bytes: 0 };
    std::thread::Builder::new().name("terminal".to_owned()).spawn(move || {
        // Nobody asks any more if the command is given up.
        let _ = done.send(relay.run());
    })?;
    Ok((shown, end.into()))
}

struct Relay {
    from: OwnedFd,
    to: OwnedFd,
    ended: OwnedFd,
    sha: Sha256,
    bytes: u64,
}

/// What stands after an attempt to read.
enum Step {
    /// So many bytes were passed on.
    Passed(usize),
    /// Nothing is ready.
    Nothing,
    /// Nothing will ever come.
    Over,
}

impl Relay {
    fn run(mut self) -> Captured {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut open = true;
        while open {
            open = match self.pass(&mut chunk) {
                Step::Passed(_) => true,
                Step::Over => return self.captured(),
                Step::Nothing => !self.waits(),
            };
        }
        // The command has ended: whatever it wrote is ready by now.
        let until = Instant::now() + AFTER_MAX;
        let mut after = 0_usize;
        while after < AFTER_BYTES_MAX {
            match self.pass(&mut chunk) {
                Step::Passed(bytes) => after = after.saturating_add(bytes),
                Step::Over => break,
                Step::Nothing if Instant::now() < until && self.comes_more() => {}
                Step::Nothing => break,
            }
        }
        self.captured()
    }

    fn pass(&mut self, chunk: &mut [u8]) -> Step {
        match read(&self.from, &mut *chunk) {
            Ok(read) => {
                let Some(some) = chunk.get(..read).filter(|some| !some.is_empty()) else { return Step::Over };
                self.sha.update(some);
                self.bytes = self.bytes.saturating_add(u64::try_from(read).unwrap_or_default());
                if self.write_all(some).is_ok() { Step::Passed(read) } else { Step::Over }
            }
            Err(Errno::INTR) => Step::Passed(0),
            Err(Errno::AGAIN) => Step::Nothing,
            // Nobody holds the terminal any more, and all has been read.
            Err(_) => Step::Over,
        }
    }

    fn write_all(&self, mut some: &[u8]) -> Result<(), Errno> {
        while !some.is_empty() {
            match write(&self.to, some) {
                Ok(written) => some = some.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                // Somebody else made it so; what is open there is shared.
                Err(Errno::AGAIN) => {
                    poll(&mut [PollFd::new(&self.to, PollFlags::OUT)], None).or_else(interrupted)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits until there is something to read, or the command has ended; says whether it has.
    fn waits(&self) -> bool {
        let mut files = [PollFd::new(&self.from, PollFlags::IN), PollFd::new(&self.ended, PollFlags::IN)];
        let failed = poll(&mut files, None).or_else(interrupted).is_err();
        failed || files.last().is_some_and(|ended| !ended.revents().is_empty())
    }

    /// Waits a moment; says whether there is something to read.
    fn comes_more(&self) -> bool {
        let quiet = Timespec::try_from(QUIET).ok();
        poll(&mut [PollFd::new(&self.from, PollFlags::IN)], quiet.as_ref()).is_ok_and(|ready| ready > 0)
    }

    fn captured(self) -> Captured {
        Captured { bytes: self.bytes, digest: Digest::from_bytes(self.sha.finalize().into()) }
    }
}

fn interrupted(error: Errno) -> Result<usize, Errno> {
    if error == Errno::INTR { Ok(0) } else { Err(error) }
}
