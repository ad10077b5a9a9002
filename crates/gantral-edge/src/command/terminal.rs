//! Running a command at a terminal: it has one of its own, and everything passes between that one and ours.
//!
//! The command is as it would be without us: a session, job control, the size of the window, passwords that are not shown. What it shows is
//! digested on its way. Between us and the command stands its [`keeper`], to which all orders go; this module decides them. Ours is raw
//! only while the command has the keys, and is put back before this process stops or ends. In a pipeline, whose other commands may
//! read our terminal, the command is given the keys only when it asks for them.

mod held;
mod keeper;
mod ours;
mod shown;
mod words;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::ioctl_fionbio;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcsetattr, tcsetwinsize};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::OwnedReadHalf;
use tokio::net::unix::pipe::Sender;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use self::held::{End, Held};
pub use self::keeper::keep;
use self::ours::{Ours, size};
use self::words::{News, WORD_BYTES, Word as _, hand_over};
use super::Resolved;
use super::carry::{CarryError, Ended, captured, pass_on, variables};
use super::signals::Signals;

/// What is caught while a command runs at a terminal. The signals of the background are not: they stop this process as they should.
const CAUGHT: &[Signal] =
    &[Signal::INT, Signal::QUIT, Signal::TSTP, Signal::CONT, Signal::TERM, Signal::HUP, Signal::WINCH];
/// How many words of the keeper may wait: they are few and far between.
const NEWS_MAX: usize = 16;
/// How long the keeper may take to end when nothing is left to keep.
const KEEPER_WITHIN: Duration = Duration::from_secs(2);

/// This program, and the words that make it the keeper of a command; the command follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// The program.
    pub program: PathBuf,
    /// The words.
    pub words: Vec<OsString>,
}

/// Runs a command at a terminal, which standard output is (`out_shown`), or standard error (`err_shown`), or both.
pub(super) async fn carry(
    resolved: &Resolved,
    keeper: &Keeper,
    (out_shown, err_shown): (bool, bool),
) -> Result<Ended, CarryError> {
    // Before it starts, so that no signal that comes at once is lost.
    let signals = Signals::catch(CAUGHT);
    let ours = Ours::open();
    let begun = begin(resolved, keeper, (out_shown, err_shown), ours, signals);
    let (mut child, mut held) = begun.map_err(|error| CarryError::Terminal { error })?;
    let stdout = child.stdout.take().map(|from| tokio::spawn(pass_on(from, io::stdout())));
    let stderr = child.stderr.take().map(|from| tokio::spawn(pass_on(from, io::stderr())));
    let end = held.run().await;
    let terminal = held.close().await;
    if tokio::time::timeout(KEEPER_WITHIN, child.wait()).await.is_err() {
        // It has nothing to keep any more, and holds up nobody.
        let _ = child.start_kill();
    }
    match end {
        End::Ended { status, signalled } => {
            let (stdout, stderr) = (captured(stdout).await, captured(stderr).await);
            Ok(Ended { status, signalled, stdout, stderr, terminal })
        }
        End::NotStarted(error) => {
            Err(CarryError::Start { program: resolved.executable.display().to_string(), error })
        }
        End::NoKeeper => Err(CarryError::Terminal { error: io::ErrorKind::BrokenPipe.into() }),
    }
}

/// Opens the terminal of the command, and starts its keeper.
fn begin(
    resolved: &Resolved,
    keeper: &Keeper,
    (out_shown, err_shown): (bool, bool),
    ours: Option<Ours>,
    signals: Signals,
) -> io::Result<(Child, Held)> {
    let (master, terminal) = open_pair(ours.as_ref())?;
    let (near, far) = UnixStream::pair()?;
    let mut command = Command::new(&keeper.program);
    command.arg0("gantral").args(&keeper.words).arg(&resolved.executable).args(&resolved.arguments);
    command.current_dir(&resolved.directory).env_clear().envs(variables(resolved));
    let stdio = |shown: bool| if shown { terminal.try_clone().map(Stdio::from) } else { Ok(Stdio::piped()) };
    command.stdin(OwnedFd::from(far)).stdout(stdio(out_shown)?).stderr(stdio(err_shown)?);
    let child = command.spawn()?;
    let input = io::stdin();
    // What is no terminal stays what it is: a file, or what comes through a pipe.
    let typed = input.is_terminal() && ours.is_some();
    let input = if typed { terminal.as_fd() } else { input.as_fd() };
    hand_over(&near, input, ours.as_ref().map(AsFd::as_fd))?;
    let to = if out_shown {
        io::stdout().as_fd().try_clone_to_owned()
    } else {
        io::stderr().as_fd().try_clone_to_owned()
    };
    let (showing, end) = shown::show(master.try_clone()?, to?)?;
    near.set_nonblocking(true)?;
    let (read, orders) = tokio::net::UnixStream::from_std(near)?.into_split();
    let (said, news) = mpsc::channel(NEWS_MAX);
    tokio::spawn(hear(read, said));
    // The other commands of a pipeline may read our terminal.
    let keys_at_once = typed && out_shown;
    let master = Sender::from_owned_fd_unchecked(master)?;
    let held = Held::of(ours, master, orders, news, signals, (showing, end), keys_at_once);
    // With `command` the last of the new terminal that is held here is closed: its end must be seen.
    Ok((child, held))
}

/// Opens a new terminal that is set as ours is; returns the end that stands for the screen and the keys, and the end that programs see.
fn open_pair(ours: Option<&Ours>) -> io::Result<(OwnedFd, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = open(ptsname(&master, Vec::new())?, flags, Mode::empty())?;
    if let Some(ours) = ours {
        tcsetattr(&terminal, OptionalActions::Now, &ours.settings()?)?;
    }
    if let Some(size) = size(ours) {
        tcsetwinsize(&master, size)?;
    }
    ioctl_fionbio(&master, true)?;
    Ok((master, terminal))
}

/// Hears what the keeper says, for as long as somebody wants to know.
async fn hear(mut from: OwnedReadHalf, to: mpsc::Sender<News>) {
    let mut bytes = [0; WORD_BYTES];
    while from.read_exact(&mut bytes).await.is_ok() {
        let Ok(news) = News::parse(bytes) else { return };
        if to.send(news).await.is_err() {
            return;
        }
    }
}
