//! What is said between `gantral run` and the keeper of a command's terminal: words of five bytes over a socket, and two files at the start.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// A tag and a number.
pub(super) const WORD_BYTES: usize = 5;
/// The input of the command, and our terminal.
const FILES_MAX: usize = 2;

/// What the keeper is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Our terminal is about to be made raw: remember how it is, and say [`News::Guarded`].
    Guard,
    /// Our terminal is as it was.
    Release,
    /// Start the command, or let it go on, with the keys of its terminal.
    Foreground,
    /// Start the command, or let it go on, without them.
    Background,
    /// A signal for whoever has the keys, as the keys would send it.
    Keys(i32),
    /// A signal for the command alone.
    Signal(i32),
    /// The terminal of the command has been closed.
    HungUp,
}

/// What the keeper says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// The terminal is there, and the command can be started.
    Ready,
    /// How our terminal was is remembered.
    Guarded,
    /// The command has the keys: what is typed reaches it, and nobody else.
    Given,
    /// Nothing has been started: the number of the system's error.
    NotStarted(i32),
    /// A signal has stopped the command.
    Stopped(i32),
    /// The command has ended with this status.
    Exited(i32),
    /// A signal has ended the command.
    Killed(i32),
}

/// A word of five bytes.
pub(super) trait Word: Sized {
    /// Returns its tag and its number.
    fn parts(self) -> (u8, i32);
    /// Reads it back.
    fn of(tag: u8, number: i32) -> Option<Self>;

    /// Returns its bytes.
    fn bytes(self) -> [u8; WORD_BYTES] {
        let (tag, number) = self.parts();
        let [a, b, c, d] = number.to_le_bytes();
        [tag, a, b, c, d]
    }

    /// Reads its bytes.
    ///
    /// # Errors
    /// If it is no word: the other end is not ours.
    fn parse([tag, a, b, c, d]: [u8; WORD_BYTES]) -> io::Result<Self> {
        Self::of(tag, i32::from_le_bytes([a, b, c, d])).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Says it.
    ///
    /// # Errors
    /// The other end is gone.
    fn say(self, mut to: impl Write) -> io::Result<()> {
        to.write_all(&self.bytes())
    }

    /// Hears the next one.
    ///
    /// # Errors
    /// The other end is gone, or is not ours.
    fn hear(mut from: impl Read) -> io::Result<Self> {
        let mut bytes = [0; WORD_BYTES];
        from.read_exact(&mut bytes)?;
        Self::parse(bytes)
    }
}

impl Word for Order {
    fn parts(self) -> (u8, i32) {
        match self {
            Self::Guard => (b'g', 0),
            Self::Release => (b'r', 0),
            Self::Foreground => (b'f', 0),
            Self::Background => (b'b', 0),
            Self::Keys(number) => (b'k', number),
            Self::Signal(number) => (b's', number),
            Self::HungUp => (b'h', 0),
        }
    }

    fn of(tag: u8, number: i32) -> Option<Self> {
        Some(match tag {
            b'g' => Self::Guard,
            b'r' => Self::Release,
            b'f' => Self::Foreground,
            b'b' => Self::Background,
            b'k' => Self::Keys(number),
            b's' => Self::Signal(number),
            b'h' => Self::HungUp,
            _ => return None,
        })
    }
}

impl Word for News {
    fn parts(self) -> (u8, i32) {
        match self {
            Self::Ready => (b'R', 0),
            Self::Guarded => (b'G', 0),
            Self::Given => (b'V', 0),
            Self::NotStarted(number) => (b'N', number),
            Self::Stopped(number) => (b'S', number),
            Self::Exited(number) => (b'X', number),
            Self::Killed(number) => (b'K', number),
        }
    }

    fn of(tag: u8, number: i32) -> Option<Self> {
        Some(match tag {
            b'R' => Self::Ready,
            b'G' => Self::Guarded,
            b'V' => Self::Given,
            b'N' => Self::NotStarted(number),
            b'S' => Self::Stopped(number),
            b'X' => Self::Exited(number),
            b'K' => Self::Killed(number),
            _ => return None,
        })
    }
}

/// Hands over the input of the command, and our terminal if there is one.
///
/// # Errors
/// The system's.
pub(super) fn hand_over(
    to: &UnixStream,
    input: BorrowedFd<'_>,
    ours: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let files: Vec<_> = [Some(input), ours].into_iter().flatten().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !beside.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(to, &[IoSlice::new(&[0])], &mut beside, SendFlags::empty())?;
    Ok(())
}

/// Takes what was handed over; nothing of it is inherited by a process that is started later.
///
/// # Errors
/// The other end is gone, or is not ours.
pub(super) fn take_over(from: &UnixStream) -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut beside, RecvFlags::empty())?;
    let mut files = Vec::with_capacity(FILES_MAX);
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            files.extend(some);
        }
    }
    for file in &files {
        fcntl_setfd(file.as_fd(), FdFlags::CLOEXEC)?;
    }
    let mut files = files.into_iter();
    let input = files.next().ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((input, files.next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_heard_as_they_were_said_and_others_are_none() {
        let (near, far) = UnixStream::pair().unwrap();
        let orders = [
            Order::Guard,
            Order::Release,
            Order::Foreground,
            Order::Background,
            Order::Keys(2),
            Order::Signal(15),
            Order::HungUp,
        ];
        for order in orders {
            order.say(&near).unwrap();
            assert_eq!(Order::hear(&far).unwrap(), order);
        }
        let news = [
            News::Ready,
            News::Guarded,
            News::Given,
            News::NotStarted(8),
            News::Stopped(20),
            News::Exited(-1),
            News::Killed(9),
        ];
        for said in news {
            said.say(&far).unwrap();
            assert_eq!(News::hear(&near).unwrap(), said);
        }
        (&near).write_all(b"?    ").unwrap();
        assert_eq!(Order::hear(&far).unwrap_err().kind(), io::ErrorKind::InvalidData);
        drop(near);
        assert!(Order::hear(&far).is_err());
    }

    #[test]
    fn files_arrive_with_or_without_a_terminal() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("input"), "from the file").unwrap();
        let input = std::fs::File::open(folder.path().join("input")).unwrap();
        for ours in [None, Some(input.as_fd())] {
            let (near, far) = UnixStream::pair().unwrap();
            hand_over(&near, input.as_fd(), ours).unwrap();
            let (taken, terminal) = take_over(&far).unwrap();
            assert_eq!(terminal.is_some(), ours.is_some());
            let mut text = String::new();
            std::fs::File::from(taken).read_to_string(&mut text).unwrap();
            assert_eq!(text, if ours.is_none() { "from the file" } else { "" }, "one file, one position");
        }
        let (near, far) = UnixStream::pair().unwrap();
        (&near).write_all(b"x").unwrap();
        assert!(take_over(&far).is_err(), "nothing was handed over");
    }
}
