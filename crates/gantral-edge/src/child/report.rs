//! What the guardian tells the runner: one line each, on a pipe that only the two of them hold.

use core::fmt;
use std::io;

/// The longest line, in bytes; the rest of a longer one is dropped.
pub(super) const LINE_BYTES_MAX: usize = 1_024;

/// The most lines that are passed over while one of these is waited for.
pub(super) const LINES_MAX: usize = 16;

/// One line.
#[derive(Debug)]
pub(super) enum Report {
    /// The command runs, with this process id.
    Started(u32),
    /// It exited with this status.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
    /// It could not be launched, or not be waited for.
    Failed(io::Error),
    /// It was not launched, because a limit or its control group could not be set.
    Unbound(io::Error),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(process) => write!(f, "started {process}"),
            Self::Exited(status) => write!(f, "exited {status}"),
            Self::Killed(signal) => write!(f, "killed {signal}"),
            Self::Failed(error) => write!(f, "failed {}", error.raw_os_error().unwrap_or_default()),
            Self::Unbound(error) => write!(f, "unbound {}", error.raw_os_error().unwrap_or_default()),
        }
    }
}

impl Report {
    /// Reads a line; `None` for anything that the guardian does not say.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (word, number) = line.trim_end().split_once(' ')?;
        match word {
            "started" => number.parse().ok().map(Self::Started),
            "exited" => number.parse().ok().map(Self::Exited),
            "killed" => number.parse().ok().map(Self::Killed),
            "failed" => number.parse().ok().map(failure).map(Self::Failed),
            "unbound" => number.parse().ok().map(failure).map(Self::Unbound),
            _ => None,
        }
    }
}

fn failure(number: i32) -> io::Error {
    if number == 0 {
        io::Error::other("its words cannot be passed on")
    } else {
        io::Error::from_raw_os_error(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_heard() {
        for report in [
            Report::Started(17),
            Report::Exited(3),
            Report::Killed(9),
            Report::Failed(io::Error::from_raw_os_error(2)),
            Report::Unbound(io::Error::from_raw_os_error(1)),
        ] {
            let line = format!("{report}\n");
            assert_eq!(Report::parse(&line).unwrap().to_string(), line.trim_end());
        }
    }

    #[test]
    fn what_the_guardian_never_says_is_not_heard() {
        for line in ["", "\n", "running 1 test", "started", "started x", "exited 3 4", "STARTED 1"] {
            assert!(Report::parse(line).is_none(), "{line}");
        }
    }
}
