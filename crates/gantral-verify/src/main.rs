//! The offline verifier for auditors: evidence, a trust file, a verdict.

mod arguments;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use gantral_evidence::report::{to_json, to_text};
use gantral_verify::window::{self, verify_window};
use gantral_verify::{BesidePaths, VerifyError, read_trust, verify_path};

use arguments::{Arguments, Request, USAGE, UsageError};

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
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}\n\n{USAGE}")]
    Usage(UsageError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("cannot print the report: {0}")]
    Write(io::Error),
}

fn run() -> Result<u8, Failure> {
    match arguments::parse(std::env::args_os().skip(1)).map_err(Failure::Usage)? {
        Request::Help => print(format!("{USAGE}\n").as_bytes()).map(|()| 0),
        Request::Version => {
            print(format!("gantral-verify {}\n", env!("CARGO_PKG_VERSION")).as_bytes()).map(|()| 0)
        }
        Request::Verify(arguments) => verify(&arguments),
    }
}

fn verify(arguments: &Arguments) -> Result<u8, Failure> {
    let trust = arguments.trust.as_deref().map(read_trust).transpose()?;
    let beside = BesidePaths { mirror: arguments.mirror.clone(), receipts: arguments.receipts.clone() };
    let (code, text, json) = if window::is_window(&arguments.bundle) {
        if beside != BesidePaths::default() {
            return Err(VerifyError::WindowBeside.into());
        }
        let progress = window::Progress::new(io::stderr().is_terminal());
        let report =
            verify_window(&arguments.bundle, trust.as_ref(), window::all_processors(), &|done, of| {
                progress.tell(done, of)
            })?;
        progress.end();
        (report.verdict.exit_code(), window::to_text(&report), window::to_json(&report))
    } else {
        let report = verify_path(&arguments.bundle, trust.as_ref(), &beside, None)?;
        (report.verdict.exit_code(), to_text(&report), to_json(&report))
    };
    if arguments.json {
        print(&[json.as_slice(), b"\n"].concat())?;
    } else {
        print(text.as_bytes())?;
    }
    Ok(code)
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::Write)
}
