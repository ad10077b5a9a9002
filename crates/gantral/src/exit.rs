//! How a command ends.

use std::process::ExitCode;

/// The exit status of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// All is done; for `ask` and `consume`: the action may be done now.
    pub const DONE: Self = Self(0);
    /// Something failed, and nothing is known to have changed.
    pub const FAILED: Self = Self(1);
    /// The command line was not understood.
    pub const USAGE: Self = Self(2);
    /// A gate is open, and the attempt should end with this status too; or a change of the rules waits for a second person.
    pub const WAITING: Self = Self(3);
    /// Policy denied the action; the execution has ended.
    pub const DENIED: Self = Self(4);
    /// `verify` could not even begin: neither valid nor invalid.
    pub const NOT_VERIFIED: Self = Self(3);
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}
