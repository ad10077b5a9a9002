//! Our terminal: the one at which `gantral run` was typed.

use std::ffi::CString;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::getpgrp;
use rustix::termios::{
    OptionalActions, Termios, Winsize, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, ttyname,
};
use tokio::net::unix::pipe::Receiver;

/// The terminal of whoever runs this process.
const OWN: &str = "/dev/tty";

/// Our terminal, opened once more: that reading from it does not block must be nobody else's affair. Put back as it was when dropped.
pub(super) struct Ours {
    file: Receiver,
    raw: Option<Raw>,
}

/// How it was, and how it was made.
struct Raw {
    before: Termios,
    set: Termios,
}

impl Ours {
    /// Opens it, if there is one: the one that is standard input, or else the one whose keys reach this process.
    pub(super) fn open() -> Option<Self> {
        let (input, out, err) = (io::stdin(), io::stdout(), io::stderr());
        let named = |fd: BorrowedFd<'_>| ttyname(fd, Vec::new()).ok();
        let own = CString::new(OWN).ok();
        let tried = if input.is_terminal() {
            [named(input.as_fd()), own, None]
        } else {
            [own, named(out.as_fd()), named(err.as_fd())]
        };
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut opened = tried.into_iter().flatten().filter_map(|name| open(name, flags, Mode::empty()).ok());
        let file = Receiver::from_owned_fd_unchecked(opened.next()?).ok()?;
        Some(Self { file, raw: None })
    }

    /// Returns how it is set.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn settings(&self) -> io::Result<Termios> {
        Ok(tcgetattr(&self.file)?)
    }

    /// Tells whether its keys are for this process and those beside it. Where no shell manages jobs they are.
    pub(super) fn is_in_front(&self) -> bool {
        tcgetpgrp(&self.file).map_or(true, |group| group == getpgrp())
    }

    /// Tells whether its keys come as they are.
    pub(super) const fn is_raw(&self) -> bool {
        self.raw.is_some()
    }

    /// Lets every key through as it is, and everything that is shown too: whatever there is to do with them, the terminal of the command does.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn make_raw(&mut self) -> io::Result<()> {
        if self.raw.is_none() {
            let before = self.settings()?;
            let mut set = before.clone();
            set.make_raw();
            tcsetattr(&self.file, OptionalActions::Now, &set)?;
            self.raw = Some(Raw { before, set });
        }
        Ok(())
    }

    /// Puts it back as it was, if it is ours to do so: in the background somebody else has set it.
    pub(super) fn put_back(&mut self) {
        if let Some(raw) = self.raw.take()
            && self.is_in_front()
        {
            // If it fails it is gone, and needs nothing any more.
            let _ = tcsetattr(&self.file, OptionalActions::Now, &raw.before);
        }
    }

    /// Forgets that it was made raw, if somebody else has set it since.
    pub(super) fn notice_others(&mut self) {
        let Some(raw) = &self.raw else { return };
        let is_as_set = self.settings().is_ok_and(|now| {
            let modes = |it: &Termios| (it.input_modes, it.output_modes, it.local_modes);
            modes(&now) == modes(&raw.set)
        });
        if !is_as_set {
            self.raw = None;
        }
    }

    /// Returns the next bytes that were typed; none if it is gone.
    pub(super) async fn typed(&self, chunk: &mut [u8]) -> usize {
        while self.file.readable().await.is_ok() {
            match self.file.try_read(chunk) {
                Ok(read) => return read,
                Err(error) if is_passing(&error) => {}
                Err(_) => return 0,
            }
        }
        0
    }

    /// Tells whether it is gone, as when its window was closed.
    pub(super) fn is_gone(&self) -> bool {
        tcgetattr(&self.file).is_err()
    }
}

impl AsFd for Ours {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.put_back();
    }
}

/// Tells whether trying again is all that is needed.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Returns the size of the terminal that is shown to.
pub(super) fn size(ours: Option<&Ours>) -> Option<Winsize> {
    let of = |fd: BorrowedFd<'_>| tcgetwinsize(fd).ok();
    let shown = of(io::stdout().as_fd()).or_else(|| of(io::stderr().as_fd()));
    shown.or_else(|| ours.and_then(|ours| of(ours.as_fd())))
}
