//! `gantral verify`: a bundle and a pinned trust file in, a verdict out.
//!
//! Reads the paths that it is given and nothing else: no network, no configuration, no environment.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use gantral_evidence::container::{Files, read_tar};
use gantral_evidence::report::{to_json, to_text};
use gantral_evidence::trust::{Trust, TrustedLog};
use gantral_evidence::verify::{
    Beside, Mirror, MirrorReader, Questions, Receipt, Report, Verdict, parse_receipts, refuse, verify_beside,
};

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
    /// A mirror of the whole log, with `checkpoint` and `tile/entries`: shows forks and cut ends
    #[arg(long, value_name = "DIR", requires = "trust")]
    mirror: Option<PathBuf>,
    /// Answers that you kept, a JSON object with an `envelope` in each line: what they promise must be there
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
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
    match read(&args.bundle)? {
        Stored::Tar(bytes) => match read_tar(&bytes) {
            Ok(files) => judge(&files, trust.as_ref(), args),
            Err(error) => Ok(refuse(&error)),
        },
        Stored::Directory(Err(error)) => Ok(refuse(&error)),
        Stored::Directory(Ok(files)) => match files.as_files() {
            Ok(files) => judge(&files, trust.as_ref(), args),
            Err(error) => Ok(refuse(&error)),
        },
    }
}

fn judge(files: &Files<'_>, trust: Option<&Trust>, args: &VerifyArgs) -> Result<Report, Failure> {
    let mirror = match &args.mirror {
        Some(folder) => {
            let log = trust.and_then(Trust::log).ok_or_else(|| {
                Failure::new("`--mirror` needs a trust file with a `log`")
                    .hint("pin the log and its witnesses: see `spec/verification.md` V26")
            })?;
            Some(read_mirror(folder, log, files)?)
        }
        None => None,
    };
    let receipts = args.receipts.as_deref().map(read_receipts).transpose()?.unwrap_or_default();
    Ok(verify_beside(files, trust, Beside { mirror: mirror.as_ref(), receipts: &receipts }))
}

/// Reads all leaves of a mirror, and keeps what judging this bundle needs.
fn read_mirror(folder: &Path, log: &TrustedLog, files: &Files<'_>) -> Result<Mirror, Failure> {
    let unusable = |error| Failure::file("use", folder, &error);
    let checkpoint = folder.join("checkpoint");
    let note = std::fs::read(&checkpoint).map_err(|error| Failure::file("read", &checkpoint, &error))?;
    let mut reader = MirrorReader::new(&note, log, Questions::of(files)).map_err(unusable)?;
    while let Some(names) = reader.next_objects() {
        reader.entries(&read_first(folder, &names)?).map_err(unusable)?;
    }
    reader.finish().map_err(unusable)
}

/// Reads the first of several files that is there. A partial bundle may be gone once the full one is there.
fn read_first(folder: &Path, names: &[String]) -> Result<Vec<u8>, Failure> {
    for name in names {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => return Ok(bytes),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(Failure::file("read", &path, &error)),
        }
    }
    Err(Failure::new(format!("the mirror `{}` has no `{}`", folder.display(), names.join("` and no `"))))
}

fn read_receipts(path: &Path) -> Result<Vec<Receipt>, Failure> {
    let text = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    parse_receipts(&text).map_err(|error| Failure::file("use", path, &error))
}

fn read_trust(path: &Path) -> Result<Trust, Failure> {
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
