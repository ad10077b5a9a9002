//! One worker process, seen from the server: started, spoken to, killed, and its death explained.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gantral_core::policy::EvalFailure;
use rustix::process::Signal;

use crate::frame::{FrameBuffer, Refused, Request, read_reply};

/// How long a process that closed its socket may take to end.
const END_TIME_MAX: Duration = Duration::from_millis(200);
/// The shortest wait that a socket can be told: zero would mean forever.
const WAIT_MIN: Duration = Duration::from_millis(1);
const READ_BYTES: usize = 64 * 1024;

/// How a worker is started: a program that calls [`crate::run_worker`] first thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program; absolute, because the worker has no `PATH`.
    pub program: PathBuf,
    /// Its arguments, for example `policy-worker`.
    pub args: Vec<OsString>,
}

impl WorkerCommand {
    /// Names this very program with one argument, as the server starts its workers.
    pub fn current_program(argument: &str) -> io::Result<Self> {
        Ok(Self { program: std::env::current_exe()?, args: vec![argument.into()] })
    }
}

/// What came of waiting for a reply.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// The worker answered.
    Reply(Result<Vec<u8>, Refused>),
    /// It did not answer in time and is still at it.
    TimedOut,
    /// It is dead, or not speaking the protocol.
    Closed,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// By a signal that its own limits or its own stack cause.
    Limits(i32),
    /// By a signal from outside, by its own exit, or it had to be killed after it broke the protocol.
    Outside(Option<i32>),
}

impl Death {
    pub(crate) fn failure(self) -> EvalFailure {
        match self {
            Self::Limits(_) => EvalFailure::ResourceLimit,
            Self::Outside(_) => EvalFailure::Unavailable,
        }
    }

    pub(crate) fn into_refused(self) -> Refused {
        let detail = match self {
            Self::Limits(signal) => {
                format!("the evaluation used up its memory, stack or time (signal {signal})")
            }
            Self::Outside(Some(signal)) => format!("the policy worker was killed (signal {signal})"),
            Self::Outside(None) => "the policy worker ended by itself".to_owned(),
        };
        Refused::new(self.failure(), detail)
    }
}

impl From<ExitStatus> for Death {
    fn from(status: ExitStatus) -> Self {
        // A failed allocation and a full stack abort; the other signals are what they look like without Rust's handler.
        let own =
            [Signal::ABORT, Signal::SEGV, Signal::BUS, Signal::ILL, Signal::TRAP, Signal::XCPU, Signal::XFSZ];
        match status.signal() {
            Some(signal) if own.iter().any(|known| known.as_raw() == signal) => Self::Limits(signal),
            other => Self::Outside(other),
        }
    }
}

/// A running worker. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    child: Child,
    socket: UnixStream,
    arrived: FrameBuffer,
    outgoing: Vec<u8>,
    chunk: Vec<u8>,
    awaited: VecDeque<u64>,
    next_number: u64,
}

impl WorkerProcess {
    /// Starts a worker with an environment that says nothing of ours, in a process group of its own, with one socket and nothing else.
    ///
    /// The worker dies with the thread that calls this.
    pub(crate) fn spawn(command: &WorkerCommand) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(&command.program)
            .args(&command.args)
            .env_clear()
            // Where the program's allocator is mimalloc, it takes address space as it needs it, and not a GiB in advance:
            // that is what the worker's limit is set on.
            .env("MIMALLOC_ARENA_RESERVE", "16MiB")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            child,
            socket: ours,
            arrived: FrameBuffer::default(),
            outgoing: Vec::new(),
            chunk: vec![0; READ_BYTES],
            awaited: VecDeque::new(),
            next_number: 0,
        })
    }

    /// Returns the process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends requests in one write. After an error the worker is of no use any more.
    pub(crate) fn send(&mut self, requests: &[Request<'_>], deadline: Instant) -> io::Result<()> {
        self.outgoing.clear();
        for request in requests {
            request.write(self.next_number, &mut self.outgoing);
            self.awaited.push_back(self.next_number);
            self.next_number = self.next_number.wrapping_add(1);
        }
        self.socket.set_write_timeout(Some(remaining(deadline)))?;
        let sent = self.socket.write_all(&self.outgoing);
        // A bundle was sent once; its bytes need not stay here.
        self.outgoing.shrink_to(READ_BYTES);
        sent
    }

    /// Waits for the next reply, until the deadline.
    pub(crate) fn receive(&mut self, deadline: Instant) -> Exchange {
        loop {
            match self.arrived.next() {
                Ok(Some(frame)) => {
                    let awaited = self.awaited.pop_front();
                    return match read_reply(frame) {
                        Some((number, reply)) if Some(number) == awaited => Exchange::Reply(reply),
                        Some(_) | None => Exchange::Closed,
                    };
                }
                Ok(None) => {}
                Err(_) => return Exchange::Closed,
            }
            if self.socket.set_read_timeout(Some(remaining(deadline))).is_err() {
                return Exchange::Closed;
            }
            match self.socket.read(&mut self.chunk) {
                Ok(0) => return Exchange::Closed,
                Ok(count) => self.arrived.extend(self.chunk.get(..count).unwrap_or_default()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if Instant::now() >= deadline => {
                        return Exchange::TimedOut;
                    }
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {}
                    _ => return Exchange::Closed,
                },
            }
        }
    }

    /// Tells whether the process still runs, as far as the system knows by now.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for the end of a worker that closed its socket, and says how it ended.
    pub(crate) fn bury(&mut self) -> Death {
        let deadline = Instant::now() + END_TIME_MAX;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.into(),
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_micros(200)),
                Ok(None) | Err(_) => {
                    self.kill();
                    return Death::Outside(None);
                }
            }
        }
    }

    /// Kills the worker and waits for its end. Killing one that is dead already does nothing.
    pub(crate) fn kill(&mut self) {
        // An error means that the process is gone, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(WAIT_MIN)
}
