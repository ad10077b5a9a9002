//! Reading evidence from disk and judging it: what the auditor's program and `gantral verify` share.
//!
//! Reads the paths that it is given and nothing else: no network, no configuration, no environment. Everything that
//! decides is in `gantral-evidence`.

mod beside;
mod error;
mod read;
pub mod window;

use std::path::{Path, PathBuf};

use gantral_evidence::container::{Files, read_tar};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{
    Beside, Replay, ReplayQuestion, Report, refuse, replay_questions, verify_beside, verify_replayed,
};

pub use error::VerifyError;
pub use read::{ReadError, Source, bundle as read_bundle};

/// What stands beside what is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BesidePaths {
    /// The folder of a mirror of the whole log.
    pub mirror: Option<PathBuf>,
    /// A file of receipts.
    pub receipts: Option<PathBuf>,
}

/// Reads a trust file.
///
/// # Errors
/// When there is no verdict because of it.
pub fn read_trust(path: &Path) -> Result<Trust, VerifyError> {
    let unusable = |error| VerifyError::Trust { path: path.to_owned(), error };
    Trust::parse(&read::trust(path)?).map_err(unusable)
}

/// Evaluates policies again; nothing here can.
pub type Evaluator<'e> = dyn Fn(&[ReplayQuestion<'_>]) -> Vec<Replay> + 'e;

/// Verifies one bundle: a file or a directory. With an evaluator its policies are evaluated again, and must give the same.
///
/// # Errors
/// When there is no verdict: something cannot be read, or is not what the relying party should have given.
pub fn verify_path(
    path: &Path,
    trust: Option<&Trust>,
    beside: &BesidePaths,
    evaluator: Option<&Evaluator<'_>>,
) -> Result<Report, VerifyError> {
    match read_bundle(path)? {
        Source::Tar(bytes) => match read_tar(&bytes) {
            Ok(files) => judge(&files, trust, beside, evaluator),
            Err(error) => Ok(refuse(&error)),
        },
        Source::Files(files) => match files.as_files() {
            Ok(files) => judge(&files, trust, beside, evaluator),
            Err(error) => Ok(refuse(&error)),
        },
        Source::NotABundle(error) => Ok(refuse(&error)),
    }
}

fn judge(
    files: &Files<'_>,
    trust: Option<&Trust>,
    beside: &BesidePaths,
    evaluator: Option<&Evaluator<'_>>,
) -> Result<Report, VerifyError> {
    let mirror = match &beside.mirror {
        Some(folder) => {
            let log = trust.and_then(Trust::log).ok_or(VerifyError::NoLog)?;
            Some(beside::mirror(folder, log, files)?)
        }
        None => None,
    };
    let receipts = beside.receipts.as_deref().map(beside::receipts).transpose()?.unwrap_or_default();
    let beside = Beside { mirror: mirror.as_ref(), receipts: &receipts };
    Ok(match evaluator {
        None => verify_beside(files, trust, beside),
        Some(evaluate) => {
            let replays = evaluate(&replay_questions(files, trust, beside));
            verify_replayed(files, trust, beside, &replays)
        }
    })
}
