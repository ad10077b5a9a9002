//! The keeper: a process of this program that leads the session of a command's terminal.
//!
//! A group of processes can be stopped by a key only if somebody of its own session watches over it: that is the keeper, which lives in the session of
//! the new terminal where `gantral run` lives in that of ours. It starts the command in a group of its own, says when it stops or ends, and gives
//! it the keys or takes them away. It also remembers how our terminal was before it was made raw, and puts it back if `gantral run` is killed.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::SigSet;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpgrp, ioctl_tiocsctty, kill_process,
    kill_process_group, setsid, waitid, waitpid,
};
use rustix::stdio::{dup2_stderr, dup2_stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr, tcsetpgrp};

use super::words::{News, Order, Word as _, take_over};

/// The exit status of a keeper that could not do its work.
const EXIT_UNUSABLE: u8 = 125;
/// The mark of an error that has no number.
const NO_NUMBER: i32 = 0;

/// Becomes the keeper of a command: standard input is the socket to `gantral run`, standard output and error are the command's, and at least
/// one of them is the new terminal.
pub fn keep(command: &[OsString]) -> ExitCode {
    // Whoever started it sees that it is gone; there is nobody else to tell, since standard error is the command's.
    kept(command).map_or(ExitCode::from(EXIT_UNUSABLE), |()| ExitCode::SUCCESS)
}

fn kept(command: &[OsString]) -> io::Result<()> {
    let control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (input, ours) = take_over(&control)?;
    let (out, err) = (io::stdout(), io::stderr());
    let terminal = if out.is_terminal() { out.as_fd() } else { err.as_fd() }.try_clone_to_owned()?;
    setsid()?;
    ioctl_tiocsctty(&terminal)?;
    News::Ready.say(&control)?;
    let mut guard = Guard { ours, saved: None };
    let with_keys = loop {
        match Order::hear(&control)? {
            Order::Foreground => break true,
            Order::Background => break false,
            Order::Guard => guard.saves(&control)?,
            Order::Release => guard.saved = None,
            // Nothing runs yet that it could reach: what asks to end is asked for again.
            Order::Keys(_) | Order::Signal(_) | Order::HungUp => {}
        }
    };
    match start(command, input) {
        Ok(pid) => {
            let held = Arc::new(Mutex::new(Held { terminal: Some(terminal), pid, front: pid }));
            SigSet::all().thread_block()?;
            attend(&control, held, guard, with_keys)
        }
        Err(error) => {
            News::NotStarted(error.raw_os_error().unwrap_or(NO_NUMBER)).say(&control)?;
            // Our terminal stays guarded until whoever made it raw has put it back, or is gone.
            guard.until_released(&control);
            Ok(())
        }
    }
}

/// Starts the command in a group of its own.
fn start(command: &[OsString], input: OwnedFd) -> io::Result<Pid> {
    let [program, arguments @ ..] = command else { return Err(io::ErrorKind::InvalidInput.into()) };
    let child = Command::new(program).args(arguments).stdin(Stdio::from(input)).process_group(0).spawn()?;
    // Waited for by its number, since stops are told too.
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Does as it is told until `gantral run` lets go or is gone. All signals are blocked in this process by now: a hang-up is for the command, and
/// only who has blocked SIGTTOU may give the keys away without having them.
fn attend(control: &UnixStream, held: Arc<Mutex<Held>>, mut guard: Guard, with_keys: bool) -> io::Result<()> {
    if with_keys {
        // One that was faster, and stopped because it had none, is told of like any other.
        lock(&held).give_keys();
        News::Given.say(control)?;
    }
    let news = control.try_clone()?;
    let watched = Arc::clone(&held);
    std::thread::Builder::new().name("watch".to_owned()).spawn(move || watch(&news, &watched))?;
    while let Ok(order) = Order::hear(control) {
        match order {
            Order::Guard => guard.saves(control)?,
            Order::Release => guard.saved = None,
            Order::Foreground => {
                lock(&held).give_keys();
                // If it is not heard the end of this socket is.
                let _ = News::Given.say(control);
                lock(&held).go_on();
            }
            Order::Background => lock(&held).background(),
            Order::Keys(number) => lock(&held).keys(number),
            Order::Signal(number) => lock(&held).signal(number),
            Order::HungUp => lock(&held).hang_up(),
        }
    }
    guard.puts_back();
    lock(&held).hang_up();
    Ok(())
}

/// Says when the command stops, and how it ends.
fn watch(news: &UnixStream, held: &Mutex<Held>) {
    let pid = lock(held).pid;
    let changes = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
    loop {
        match waitid(WaitId::Pid(pid), changes | WaitIdOptions::NOWAIT) {
            Err(Errno::INTR) => continue,
            // Nobody else waits for it; if it is lost all the same, the end of this socket says so.
            Err(_) => break,
            Ok(_) => {}
        }
        // Its number is another's as soon as it is buried: not while a signal is on its way.
        let mut held = lock(held);
        let Ok(Some((_, status))) = waitpid(Some(pid), WaitOptions::UNTRACED | WaitOptions::NOHANG) else {
            continue;
        };
        let said = if let Some(number) = status.stopping_signal() {
            News::Stopped(number)
        } else {
            held.let_go();
            status.exit_status().map_or_else(
                || News::Killed(status.terminating_signal().unwrap_or(Signal::KILL.as_raw())),
                News::Exited,
            )
        };
        // Whoever does not hear it is gone, which the other thread sees.
        let _ = said.say(news);
        if !matches!(said, News::Stopped(_)) {
            return;
        }
    }
    let _ = news.shutdown(std::net::Shutdown::Both);
}

/// The command, and its terminal for as long as it lives.
struct Held {
    terminal: Option<OwnedFd>,
    pid: Pid,
    /// Who gets the keys when the command has them: a shell hands them on to its jobs.
    front: Pid,
}

impl Held {
    /// Returns the group that has the keys, if it is not this process.
    fn with_keys(&self) -> Option<Pid> {
        let group = tcgetpgrp(self.terminal.as_ref()?).ok()?;
        (group != getpgrp()).then_some(group)
    }

    fn give_keys(&self) {
        let Some(terminal) = &self.terminal else { return };
        if self.with_keys().is_none() && tcsetpgrp(terminal, self.front).is_err() {
            // The job that had them is gone. If the command is too, it has just ended.
            let _ = tcsetpgrp(terminal, self.pid);
        }
    }

    fn background(&mut self) {
        let Some(terminal) = &self.terminal else { return };
        if let Some(group) = self.with_keys() {
            self.front = group;
            // Without this the command keeps keys that nobody sends it: it waits instead of being stopped.
            let _ = tcsetpgrp(terminal, getpgrp());
        }
        self.go_on();
    }

    /// Lets whoever was stopped go on.
    fn go_on(&self) {
        if self.terminal.is_none() {
            return;
        }
        let _ = kill_process_group(self.pid, Signal::CONT);
        if self.front != self.pid {
            let _ = kill_process_group(self.front, Signal::CONT);
        }
    }

    fn keys(&self, number: i32) {
        if self.terminal.is_some()
            && let Some(signal) = Signal::from_named_raw(number)
        {
            let _ = kill_process_group(self.with_keys().unwrap_or(self.pid), signal);
        }
    }

    fn signal(&self, number: i32) {
        if self.terminal.is_some()
            && let Some(signal) = Signal::from_named_raw(number)
        {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Lets go of the terminal of a command that has ended. What it left running is not told to hang up when this process ends, since the keys
    /// are this process's again; and it alone holds the terminal from now on.
    fn let_go(&mut self) {
        if let Some(terminal) = self.terminal.take() {
            let _ = tcsetpgrp(&terminal, getpgrp());
        }
        if let Ok(nothing) = File::options().write(true).open("/dev/null") {
            let _ = dup2_stdout(&nothing);
            let _ = dup2_stderr(&nothing);
        }
    }

    /// Tells a command that still runs that its terminal is gone: the system tells only the leader of a session, which this process is.
    fn hang_up(&self) {
        if self.terminal.is_some() {
            let _ = kill_process_group(self.pid, Signal::HUP);
            let _ = kill_process_group(self.pid, Signal::CONT);
        }
    }
}

/// How our terminal was before it was made raw.
struct Guard {
    ours: Option<OwnedFd>,
    saved: Option<Termios>,
}

impl Guard {
    fn saves(&mut self, control: &UnixStream) -> io::Result<()> {
        self.saved = self.ours.as_ref().and_then(|ours| tcgetattr(ours).ok());
        News::Guarded.say(control)
    }

    fn puts_back(&mut self) {
        if let (Some(ours), Some(saved)) = (&self.ours, self.saved.take()) {
            let _ = tcsetattr(ours, OptionalActions::Now, &saved);
        }
    }

    fn until_released(&mut self, control: &UnixStream) {
        while let Ok(order) = Order::hear(control) {
            if order == Order::Release {
                self.saved = None;
            }
        }
        self.puts_back();
    }
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
