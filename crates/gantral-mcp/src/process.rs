//! A server that is a process: messages are lines on its standard input and output.
//!
//! Between us and the server stands a guardian, a process of this program that leads the server's process group and passes on what we write.
//! When we let go of its input, or die, it closes the server's, waits a while, and ends all that the server started. So nothing of a server
//! outlives us, whichever way we end. Source: MCP, Lifecycle, Shutdown.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use gantral_edge::child::tree::{self, Waited};
use rustix::process::{Pid, Signal, getpgrp, getpid, kill_process, kill_process_group};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::lines;
use crate::link::{Link, QUEUE_MAX};
use crate::message::Message;

/// How long a server may take to end after its input was closed, before it is told to.
const END_WITHIN: Duration = Duration::from_secs(2);
/// How long it may take after it was told to, before it is killed.
const TERM_WITHIN: Duration = Duration::from_secs(1);
/// How long the guardian may take beyond these, before we kill its group ourselves: it may look for descendants for a second.
const GUARD_WITHIN: Duration = Duration::from_secs(2);
/// How much is passed on at a time, in bytes: what a pipe holds.
const PIPE_BYTES: usize = 64 << 10;
/// The exit status of a guardian that could not do its work.
const EXIT_UNUSABLE: u8 = 125;
/// Variables of ours that are no affair of a server: they say where to ask, and as whom.
const OWN_VARIABLES: &str = "GANTRAL_";

/// How to start a server.
#[derive(Debug, Clone)]
pub struct ServerCommand {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// This program, and the words that make it a guardian; the command follows.
    pub guardian: (PathBuf, Vec<OsString>),
}

/// Holds a server; whoever drops the link lets it end.
#[derive(Debug)]
pub struct Running {
    child: tokio::process::Child,
}

impl ServerCommand {
    /// Starts the server.
    ///
    /// # Errors
    /// The system's, when our own program cannot be started. Whether the server's can is seen by the end of its messages.
    pub fn start(&self) -> io::Result<(Link, Running)> {
        let (program, words) = &self.guardian;
        let mut command = Command::new(program);
        command.args(words).args(&self.command).stdin(Stdio::piped()).stdout(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with(OWN_VARIABLES) {
                command.env_remove(name);
            }
        }
        let mut child = command.process_group(0).spawn()?;
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "no pipe");
        let input = child.stdin.take().ok_or_else(gone)?;
        let output = child.stdout.take().ok_or_else(gone)?;
        let (to_server, from_client) = mpsc::channel(QUEUE_MAX);
        let (to_client, from_server) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(write(input, from_client));
        tokio::spawn(read(output, to_client));
        Ok((Link { to_server, from_server }, Running { child }))
    }
}

impl Running {
    /// Waits for the end of the server, whose link was dropped; kills what does not end in time.
    pub async fn ended(mut self) {
        let patience = END_WITHIN + TERM_WITHIN + GUARD_WITHIN;
        if tokio::time::timeout(patience, self.child.wait()).await.is_err() {
            let group = self.child.id().and_then(|id| i32::try_from(id).ok());
            if let Some(group) = group.and_then(Pid::from_raw) {
                // An error means that it is gone.
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
    }
}

/// Waits for the end of servers whose links were dropped; all at a time.
pub async fn all_ended(servers: Vec<Running>) {
    let ends: Vec<_> = servers.into_iter().map(|server| tokio::spawn(server.ended())).collect();
    for end in ends {
        // It ends by itself, and does not panic.
        let _ = end.await;
    }
}

async fn write(mut input: ChildStdin, mut messages: mpsc::Receiver<Message>) {
    while let Some(message) = messages.recv().await {
        if input.write_all(&message.into_line()).await.is_err() {
            return;
        }
    }
}

async fn read(output: ChildStdout, messages: mpsc::Sender<Message>) {
    let mut output = BufReader::with_capacity(PIPE_BYTES, output);
    loop {
        match lines::next(&mut output).await {
            Ok(Some(line)) => {
                if messages.send(Message::from_server(line)).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the server is not read any further");
                return;
            }
        }
    }
}

/// Becomes the guardian of a server: called by the hidden subcommand that [`ServerCommand::guardian`] names, never by people. Blocks the
/// caller.
pub fn guard(command: &[OsString]) -> ExitCode {
    // The group is what gets killed; whoever started this by hand would lose more than the server.
    if getpgrp() != getpid() {
        return unusable("is started by `gantral mcp`, in a process group of its own");
    }
    let Some((program, arguments)) = command.split_first() else { return unusable("names no command") };
    if let Err(error) = tree::adopt_orphans() {
        return unusable(&error.to_string());
    }
    let started = std::process::Command::new(program).args(arguments).stdin(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return unusable(&format!("cannot start `{}`: {error}", program.to_string_lossy())),
    };
    let Some(input) = child.stdin.take() else { return unusable("has no pipe to the server") };
    let server = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let watch = std::thread::Builder::new().name("input".to_owned()).spawn(move || pass_on(input, server));
    let status = match watch {
        Ok(_) => tree::wait_for(child.id()),
        Err(error) => child.kill().and(Err(error)),
    };
    // Whatever the server left behind ends, wherever it went, and this process with it.
    tree::end_descendants();
    let _ = kill_process_group(getpgrp(), Signal::KILL);
    match status {
        Ok(Waited::Exited(code)) => ExitCode::from(u8::try_from(code).unwrap_or(EXIT_UNUSABLE)),
        Ok(Waited::Killed(_)) | Err(_) => ExitCode::from(EXIT_UNUSABLE),
    }
}

/// Passes on what we are sent until it ends, then lets the server end, and then makes it.
fn pass_on(mut input: std::process::ChildStdin, server: Option<Pid>) {
    let mut from = io::stdin().lock();
    let mut buffer = vec![0; PIPE_BYTES];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        // A server that does not read any more still may have something to say: its end is seen by the other thread.
        if bytes.is_empty() || input.write_all(bytes).is_err() {
            break;
        }
    }
    drop(input);
    while from.read(&mut buffer).is_ok_and(|read| read > 0) {}
    std::thread::sleep(END_WITHIN);
    if let Some(server) = server {
        // An error means that it is gone.
        let _ = kill_process(server, Signal::TERM);
    }
    std::thread::sleep(TERM_WITHIN);
    tree::end_descendants();
    let _ = kill_process_group(getpgrp(), Signal::KILL);
}

fn unusable(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "error: `mcp-child` {why}");
    ExitCode::from(EXIT_UNUSABLE)
}
