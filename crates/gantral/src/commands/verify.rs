//! `gantral verify`: a bundle and a pinned trust file in, a verdict out.
//!
//! Reads the paths that it is given and nothing else: no network, no configuration, no environment. Only `--replay` starts other
//! processes: this program again, to evaluate policies in.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use gantral_evidence::report::{to_json, to_text};
use gantral_evidence::verify::{ReplayQuestion, Verdict};
use gantral_verify::window::{self, verify_window};
use gantral_verify::{BesidePaths, Evaluator, VerifyError, read_trust, verify_path};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{BAD, GOOD, LOOK, Out, styled};
use crate::replay::replay;

/// Arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 VALID, 1 INVALID, 2 INCONCLUSIVE, 3 nothing was verified.")]
pub struct VerifyArgs {
    /// The bundle, a file or a directory; or a window, a directory with `window.dsse.json`
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
    /// Evaluates the policies again, by the engine and version that the artifacts name: they must give the recorded answers
    #[arg(long, requires = "trust")]
    replay: bool,
    /// Your own OPA, a program, for what was evaluated by one: it must be of the version that the artifacts name
    #[arg(long, value_name = "FILE", requires = "replay")]
    opa: Option<PathBuf>,
}

/// Verifies and prints the report.
pub fn run(args: &VerifyArgs, out: Out) -> Result<Exit, Failure> {
    let (verdict, text, json) = judge(args).map_err(|error| failed(&error).exit(Exit::NOT_VERIFIED))?;
    if args.trust.is_none() {
        out.hint("without `--trust FILE` nobody's signature is believed, and nothing can be VALID");
    }
    if out.json {
        out.data(&String::from_utf8_lossy(&json))?;
    } else {
        out.data(&coloured(verdict, text))?;
    }
    Ok(Exit(verdict.exit_code()))
}

/// Returns the verdict, and the report in both forms.
fn judge(args: &VerifyArgs) -> Result<(Verdict, String, Vec<u8>), VerifyError> {
    let trust = args.trust.as_deref().map(read_trust).transpose()?;
    let beside = BesidePaths { mirror: args.mirror.clone(), receipts: args.receipts.clone() };
    if !window::is_window(&args.bundle) {
        let again = |questions: &[ReplayQuestion<'_>]| replay(questions, args.opa.as_deref());
        let evaluator: Option<&Evaluator<'_>> = if args.replay { Some(&again) } else { None };
        let report = verify_path(&args.bundle, trust.as_ref(), &beside, evaluator)?;
        return Ok((report.verdict, to_text(&report), to_json(&report)));
    }
    if args.replay {
        return Err(VerifyError::WindowReplay);
    }
    if beside != BesidePaths::default() {
        return Err(VerifyError::WindowBeside);
    }
    let progress = window::Progress::new(std::io::stderr().is_terminal());
    let report = verify_window(&args.bundle, trust.as_ref(), window::all_processors(), &|done, of| {
        progress.tell(done, of)
    });
    progress.end();
    let report = report?;
    Ok((report.verdict, window::to_text(&report), window::to_json(&report)))
}

fn failed(error: &VerifyError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        VerifyError::NoLog => failure.hint("pin the log and its witnesses: see `spec/verification.md` V26"),
        _ => failure,
    }
}

/// Colours the verdict, which is the first word.
fn coloured(verdict: Verdict, text: String) -> String {
    let word = verdict.as_str();
    let style = match verdict {
        Verdict::Valid => GOOD,
        Verdict::Invalid => BAD,
        Verdict::Inconclusive => LOOK,
    };
    match text.strip_prefix(word) {
        Some(rest) => format!("{}{}", styled(style, word), rest.trim_end()),
        None => text,
    }
}
