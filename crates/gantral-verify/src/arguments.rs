//! The command line, read by hand: an auditor's program has no dependency that he need not read.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// How the program is used.
pub const USAGE: &str = "\
Verifies the evidence of governed executions, offline.

Usage: gantral-verify BUNDLE --trust FILE [--mirror DIR] [--receipts FILE] [--json]

  BUNDLE           a *.gantral file, or a directory with the same content; or a window, a directory with
                   `window.dsse.json`, which is verified on all processors
  --trust FILE     the keys that you believe and what you require, from a source that you trust
                   (never from the bundle); without it the verdict is INCONCLUSIVE
  --mirror DIR     the whole log, as a plain downloader leaves it: `checkpoint` and `tile/entries`;
                   shows forks, cut ends and whether the chain is complete
  --receipts FILE  answers that you kept, a JSON object with an `envelope` in each line: what they
                   promise must be there
  --json           print the report as JSON
  --help           print this text
  --version        print the version

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
    /// The folder of a mirror of the log.
    pub mirror: Option<PathBuf>,
    /// The receipts.
    pub receipts: Option<PathBuf>,
    /// Whether the report is JSON.
    pub json: bool,
}

/// Why the command line cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum UsageError {
    /// No bundle.
    NoBundle,
    /// A second bundle, or a second file for an option.
    Twice(&'static str),
    /// An option without its file.
    NoFile(&'static str),
    /// An option that does not exist.
    Unknown(String),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBundle => f.write_str("no bundle was given"),
            Self::Twice(what) => write!(f, "{what} was given twice"),
            Self::NoFile(option) => write!(f, "`{option}` needs a path"),
            Self::Unknown(option) => write!(f, "unknown option `{option}`"),
        }
    }
}

/// The options with a path, and what each is.
const OPTIONS: [(&str, &str); 3] =
    [("--trust", "the trust file"), ("--mirror", "the mirror"), ("--receipts", "the file of receipts")];

/// Reads the arguments after the program's name.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Request, UsageError> {
    let mut arguments = arguments;
    let (mut bundle, mut paths, mut json, mut only_paths) = (None, [None, None, None], false, false);
    while let Some(argument) = arguments.next() {
        let text = argument.to_str().filter(|_| !only_paths);
        if let Some((slot, what, option, value)) = text.and_then(|text| with_path(text, &mut paths)) {
            let path = match value {
                Some(value) => value,
                None => arguments.next().ok_or(UsageError::NoFile(option))?.into(),
            };
            set(slot, path, what)?;
            continue;
        }
        match text {
            Some("--help" | "-h") => return Ok(Request::Help),
            Some("--version" | "-V") => return Ok(Request::Version),
            Some("--json") => json = true,
            Some("--") => only_paths = true,
            Some(option) if option.starts_with('-') => {
                return Err(UsageError::Unknown(option.chars().filter(|c| !c.is_control()).collect()));
            }
            Some(_) | None => set(&mut bundle, argument.into(), "the bundle")?,
        }
    }
    let bundle = bundle.ok_or(UsageError::NoBundle)?;
    let [trust, mirror, receipts] = paths;
    Ok(Request::Verify(Arguments { bundle, trust, mirror, receipts, json }))
}

/// An option with a path: where it goes, what it is, its name, and the path if it stands behind `=`.
type WithPath<'a> = (&'a mut Option<PathBuf>, &'static str, &'static str, Option<PathBuf>);

fn with_path<'a>(argument: &str, paths: &'a mut [Option<PathBuf>; 3]) -> Option<WithPath<'a>> {
    paths.iter_mut().zip(OPTIONS).find_map(|(slot, (option, what))| {
        let rest = argument.strip_prefix(option)?;
        match rest.strip_prefix('=') {
            Some(path) => Some((slot, what, option, Some(path.into()))),
            None => rest.is_empty().then_some((slot, what, option, None)),
        }
    })
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
        let arguments = |json| Arguments {
            bundle: "b".into(),
            trust: Some("t".into()),
            mirror: None,
            receipts: None,
            json,
        };
        let expected = |json| Ok(Request::Verify(arguments(json)));
        let beside = Arguments { mirror: Some("m".into()), receipts: Some("r".into()), ..arguments(false) };
        let beside = Ok(Request::Verify(beside));
        assert_eq!(read(&["--mirror", "m", "b", "--receipts=r", "--trust", "t"]), beside);
        assert_eq!(read(&["b", "--trust", "t"]), expected(false));
        assert_eq!(read(&["--json", "--trust=t", "b"]), expected(true));
        assert_eq!(read(&["--trust", "t", "--", "b"]), expected(false));
    }

    #[test]
    fn a_command_line_that_asks_for_nothing_clear_is_refused() {
        assert_eq!(read(&[]), Err(UsageError::NoBundle));
        assert_eq!(read(&["a", "b"]), Err(UsageError::Twice("the bundle")));
        assert_eq!(read(&["a", "--trust"]), Err(UsageError::NoFile("--trust")));
        assert_eq!(read(&["a", "--mirror", "m", "--mirror=n"]), Err(UsageError::Twice("the mirror")));
        assert_eq!(read(&["a", "--fast"]), Err(UsageError::Unknown("--fast".to_owned())));
        assert_eq!(read(&["a", "--help"]), Ok(Request::Help));
    }
}
