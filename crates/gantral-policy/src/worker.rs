//! The worker: the body of the child process in which policies are evaluated.
//!
//! A policy can take a process down (a stack overflow or a failed allocation aborts, it does not unwind), so none is
//! ever parsed or evaluated in the server. The worker is single-threaded, limits itself before it reads a byte, has no
//! environment, and ends when its socket closes or its parent dies. It holds bundles by version and nothing else:
//! every evaluation starts from a fresh copy of a prepared engine.

mod ast;
mod builtins;
mod calls;
mod engine;
mod limits;
mod lint;
mod nesting;
mod publish;
mod testing;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use gantral_core::policy::{EvalFailure, PolicyVersionId};

use crate::bundle::Bundle;
use crate::frame::{FrameBuffer, Refused, Request, write_reply};
use engine::Prepared;
use limits::CpuAllowance;

/// How many bytes are read at once.
const READ_BYTES: usize = 64 * 1024;
/// How long replies are held back to go out in one write with those of the requests behind them.
const HOLD_MAX: Duration = Duration::from_millis(1);

/// Why a worker ended other than by its socket being closed.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The limits could not be set: nothing was read.
    #[error("the worker cannot limit itself: {0}")]
    Limits(#[source] io::Error),
    /// Standard input is no socket, or reading or writing it failed.
    #[error("the worker lost its socket: {0}")]
    Socket(#[source] io::Error),
    /// The server sent something that is not a request of this protocol.
    #[error("the worker received something that is not a request")]
    Protocol,
}

/// Runs a worker until its socket closes: the whole life of the child process.
///
/// Requests and replies both go over the socket that is standard input, so that nothing printed to standard output can
/// disturb them. Must be called first thing in a process of its own, on its main thread.
///
/// # Errors
/// See [`WorkerError`]; the process should exit at once.
pub fn run_worker() -> Result<(), WorkerError> {
    limits::restrict_self().map_err(WorkerError::Limits)?;
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(WorkerError::Socket)?;
    Worker::default().serve(&mut UnixStream::from(socket))
}

#[derive(Default)]
struct Worker {
    prepared: BTreeMap<PolicyVersionId, Prepared>,
    cpu: CpuAllowance,
}

impl Worker {
    fn serve(&mut self, socket: &mut (impl Read + Write)) -> Result<(), WorkerError> {
        let mut arrived = FrameBuffer::default();
        let mut chunk = vec![0_u8; READ_BYTES];
        let mut replies = Vec::new();
        loop {
            let count = match socket.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(WorkerError::Socket(error)),
            };
            arrived.extend(chunk.get(..count).unwrap_or_default());
            let mut written = Instant::now();
            while let Some(frame) = arrived.next().map_err(|_| WorkerError::Protocol)? {
                let (number, request) = Request::read(frame).ok_or(WorkerError::Protocol)?;
                self.cpu.renew();
                let answer = self.answer_unwinding(request);
                write_reply(number, &answer, &mut replies);
                if written.elapsed() >= HOLD_MAX {
                    write_all(socket, &mut replies)?;
                    written = Instant::now();
                }
            }
            write_all(socket, &mut replies)?;
        }
    }

    /// Answers, turning a panic inside the engine into a failure. Its state is dropped: engines are copied for use.
    fn answer_unwinding(&mut self, request: Request<'_>) -> Result<Vec<u8>, Refused> {
        catch_unwind(AssertUnwindSafe(|| self.answer(request))).unwrap_or_else(|_| {
            Err(Refused::new(EvalFailure::Evaluation, "the engine failed on this policy"))
        })
    }

    fn answer(&mut self, request: Request<'_>) -> Result<Vec<u8>, Refused> {
        match request {
            Request::Load(version, archive) => {
                let bundle = read_bundle(archive)?;
                if bundle.version() != version {
                    let detail = format!("the bundle has version `{}`", bundle.version().0);
                    return Err(Refused::new(EvalFailure::VersionMismatch, detail));
                }
                self.prepared.insert(version, Prepared::new(&bundle)?);
                Ok(Vec::new())
            }
            Request::Drop(version) => {
                self.prepared.remove(&version);
                Ok(Vec::new())
            }
            Request::Eval(version, input) => match self.prepared.get(&version) {
                Some(prepared) => prepared.evaluate(input),
                None => Err(Refused::new(EvalFailure::VersionUnknown, "this version is not loaded")),
            },
            Request::Check(archive) => publish::check(&read_bundle(archive)?),
            Request::Lint(archive) => publish::lint(&read_bundle(archive)?),
            Request::Test(archive) => publish::test(&read_bundle(archive)?),
        }
    }
}

fn write_all(socket: &mut impl Write, replies: &mut Vec<u8>) -> Result<(), WorkerError> {
    socket.write_all(replies).map_err(WorkerError::Socket)?;
    replies.clear();
    Ok(())
}

fn read_bundle(archive: &[u8]) -> Result<Bundle, Refused> {
    Bundle::from_archive(archive).map_err(|error| Refused::new(EvalFailure::Evaluation, error.to_string()))
}
