//! `gantral verify`: a bundle and a pinned trust file in, a verdict out.
//!
//! Reads two paths and nothing else: no network, no configuration, no environment.

use std::path::PathBuf;

use clap::Args;
use gantral_evidence::report::{to_json, to_text};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Report, Verdict, refuse, verify, verify_tar};

use crate::bundle_files::{Stored, read};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{BAD, GOOD, LOOK, Out, styled};

/// Arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 VALID, 1 INVALID, 2 INCONCLUSIVE, 3 nothing was verified.")]
pub struct VerifyArgs {
    /// The bundle, a file or a directory
    bundle: PathBuf,
    /// The trust file that you pinned: which keys you believe, and what you require
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

/// Verifies and prints the report.
pub fn run(args: &VerifyArgs, out: Out) -> Result<Exit, Failure> {
    let report = report(args).map_err(|failure| failure.exit(Exit::NOT_VERIFIED))?;
    if args.trust.is_none() {
        out.hint("without `--trust FILE` nobody's signature is believed, and nothing can be VALID");
    }
    if out.json {
        out.data(&String::from_utf8_lossy(&to_json(&report)))?;
    } else {
        out.data(&coloured(&report))?;
    }
    Ok(Exit(report.verdict.exit_code()))
}

fn report(args: &VerifyArgs) -> Result<Report, Failure> {
    let trust = args.trust.as_deref().map(read_trust).transpose()?;
    Ok(match read(&args.bundle)? {
        Stored::Tar(bytes) => verify_tar(&bytes, trust.as_ref()),
        Stored::Directory(Err(error)) => refuse(&error),
        Stored::Directory(Ok(files)) => match files.as_files() {
            Ok(files) => verify(&files, trust.as_ref()),
            Err(error) => refuse(&error),
        },
    })
}

fn read_trust(path: &std::path::Path) -> Result<Trust, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    Trust::parse(&bytes).map_err(|error| Failure::file("use", path, &error))
}

/// Colours the verdict, which is the first word.
fn coloured(report: &Report) -> String {
    let text = to_text(report);
    let word = report.verdict.as_str();
    let style = match report.verdict {
        Verdict::Valid => GOOD,
        Verdict::Invalid => BAD,
        Verdict::Inconclusive => LOOK,
    };
    match text.strip_prefix(word) {
        Some(rest) => format!("{}{}", styled(style, word), rest.trim_end()),
        None => text,
    }
}
