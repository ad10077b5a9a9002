//! The command line, read by hand: an auditor's program has no dependency that he need not read.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// How the program is used.
pub const USAGE: &str = "\
Verifies the evidence of one governed execution, offline.

Usage: gantral-verify BUNDLE --trust FILE [--json]

  BUNDLE        a *.gantral file, or a directory with the same content
  --trust FILE  the keys that you believe and what you require, from a source that you trust
                (never from the bundle); without it the verdict is INCONCLUSIVE
  --json        print the report as JSON
  --help        print this text
  --version     print the version

Exit status: 0 VALID, 1 INVALID, 2 INCONCLUSIVE, 3 no verdict (wrong usage, or a file cannot be read).";

/// What somebody asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// The usage text.
    Help,
    /// The version.
    Version,
    /// A verdict.
    Verify(Arguments),
}

/// What to verify, and how to say it.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The bundle.
    pub bundle: PathBuf,
    /// The trust file.
    pub trust: Option<PathBuf>,
    /// Whether the report is JSON.
    pub json: bool,
}

/// Why the command line cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum UsageError {
    /// No bundle.
    NoBundle,
    /// A second bundle, or a second trust file.
    Twice(&'static str),
    /// `--trust` without a file.
    NoFile,
    /// An option that does not exist.
    Unknown(String),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBundle => f.write_str("no bundle was given"),
            Self::Twice(what) => write!(f, "{what} was given twice"),
            Self::NoFile => f.write_str("`--trust` needs a file"),
            Self::Unknown(option) => write!(f, "unknown option `{option}`"),
        }
    }
}

/// Reads the arguments after the program's name.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, UsageError> {
    let mut arguments = arguments;
    let (mut bundle, mut trust, mut json, mut only_paths) = (None, None, false, false);
    while let Some(argument) = arguments.next() {
        match argument.to_str().filter(|_| !only_paths) {
            Some("--help" | "-h") => return Ok(Request::Help),
            Some("--version" | "-V") => return Ok(Request::Version),
            Some("--json") => json = true,
            Some("--") => only_paths = true,
            Some("--trust") => {
                let file = arguments.next().ok_or(UsageError::NoFile)?;
                set(&mut trust, file.into(), "the trust file")?;
            }
            Some(option) if option.starts_with("--trust=") => {
                let file = option.trim_start_matches("--trust=").into();
                set(&mut trust, file, "the trust file")?;
            }
            Some(option) if option.starts_with('-') => {
                return Err(UsageError::Unknown(option.chars().filter(|c| !c.is_control()).collect()));
            }
            Some(_) | None => set(&mut bundle, argument.into(), "the bundle")?,
        }
    }
    let bundle = bundle.ok_or(UsageError::NoBundle)?;
    Ok(Request::Verify(Arguments { bundle, trust, json }))
}

fn set(slot: &mut Option<PathBuf>, path: PathBuf, what: &'static str) -> Result<(), UsageError> {
    match slot.replace(path) {
        None => Ok(()),
        Some(_) => Err(UsageError::Twice(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Request, UsageError> {
        parse(arguments.iter().map(|argument| OsString::from(*argument)))
    }

    #[test]
    fn a_bundle_and_its_trust_file_come_in_any_order() {
        let expected =
            |json| Ok(Request::Verify(Arguments { bundle: "b".into(), trust: Some("t".into()), json }));
        assert_eq!(read(&["b", "--trust", "t"]), expected(false));
        assert_eq!(read(&["--json", "--trust=t", "b"]), expected(true));
        assert_eq!(read(&["--trust", "t", "--", "b"]), expected(false));
    }

    #[test]
    fn a_command_line_that_asks_for_nothing_clear_is_refused() {
        assert_eq!(read(&[]), Err(UsageError::NoBundle));
        assert_eq!(read(&["a", "b"]), Err(UsageError::Twice("the bundle")));
        assert_eq!(read(&["a", "--trust"]), Err(UsageError::NoFile));
        assert_eq!(read(&["a", "--fast"]), Err(UsageError::Unknown("--fast".to_owned())));
        assert_eq!(read(&["a", "--help"]), Ok(Request::Help));
    }
}
