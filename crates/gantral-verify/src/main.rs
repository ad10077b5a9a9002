//! The offline verifier for auditors: one bundle, one trust file, one verdict.
//!
//! Reads the paths that it is given and nothing else: no network, no configuration, no environment. Everything that
//! decides is in `gantral-evidence`; this program reads files and prints.

mod arguments;
mod mirror;
mod read;

use std::io::{self, Write as _};
use std::process::ExitCode;

use gantral_evidence::container::{Files, read_tar};
use gantral_evidence::report::{to_json, to_text};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Beside, MirrorError, ReceiptsError, Report, refuse, verify_beside};

use arguments::{Arguments, Request, USAGE};
use read::{ReadError, Source};

/// The exit code when there is no verdict: 0, 1 and 2 are verdicts.
const FAILURE: u8 = 3;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nothing is left to be told if this fails as well.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(FAILURE)
        }
    }
}

/// Why there is no verdict.
#[derive(Debug)]
enum Failure {
    Usage(arguments::UsageError),
    Read(ReadError),
    Trust(gantral_evidence::trust::TrustError),
    Mirror(MirrorError),
    NoLog,
    Receipts(ReceiptsError),
    Write(io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(error) => write!(f, "{error}\n\n{USAGE}"),
            Self::Read(error) => write!(f, "{error}"),
            Self::Trust(error) => write!(f, "{error}"),
            Self::Mirror(error) => write!(f, "{error}"),
            Self::NoLog => f.write_str("`--mirror` needs a trust file with a `log`"),
            Self::Receipts(error) => write!(f, "{error}"),
            Self::Write(error) => write!(f, "cannot print the report: {error}"),
        }
    }
}

fn run() -> Result<u8, Failure> {
    match arguments::parse(std::env::args_os().skip(1)).map_err(Failure::Usage)? {
        Request::Help => print(format!("{USAGE}\n").as_bytes()).map(|()| 0),
        Request::Version => {
            print(format!("gantral-verify {}\n", env!("CARGO_PKG_VERSION")).as_bytes()).map(|()| 0)
        }
        Request::Verify(arguments) => {
            let report = report(&arguments)?;
            if arguments.json {
                let mut json = to_json(&report);
                json.push(b'\n');
                print(&json)?;
            } else {
                print(to_text(&report).as_bytes())?;
            }
            Ok(report.verdict.exit_code())
        }
    }
}

fn report(arguments: &Arguments) -> Result<Report, Failure> {
    let trust = match &arguments.trust {
        Some(path) => {
            let bytes = read::trust(path).map_err(Failure::Read)?;
            Some(Trust::parse(&bytes).map_err(Failure::Trust)?)
        }
        None => None,
    };
    let trust = trust.as_ref();
    match read::bundle(&arguments.bundle).map_err(Failure::Read)? {
        Source::Tar(bytes) => match read_tar(&bytes) {
            Ok(files) => judge(&files, trust, arguments),
            Err(error) => Ok(refuse(&error)),
        },
        Source::Files(files) => match files.as_files() {
            Ok(files) => judge(&files, trust, arguments),
            Err(error) => Ok(refuse(&error)),
        },
        Source::NotABundle(error) => Ok(refuse(&error)),
    }
}

fn judge(files: &Files<'_>, trust: Option<&Trust>, arguments: &Arguments) -> Result<Report, Failure> {
    let mirror = match &arguments.mirror {
        Some(folder) => {
            let log = trust.and_then(Trust::log).ok_or(Failure::NoLog)?;
            Some(mirror::read(folder, log, files)?)
        }
        None => None,
    };
    let receipts = arguments.receipts.as_deref().map(mirror::receipts).transpose()?.unwrap_or_default();
    Ok(verify_beside(files, trust, Beside { mirror: mirror.as_ref(), receipts: &receipts }))
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::Write)
}
