//! Why there is no verdict.

use std::path::PathBuf;

use gantral_evidence::trust::TrustError;
use gantral_evidence::verify::{MirrorError, ReceiptsError};
use gantral_evidence::window::NOTHING_BESIDE;

use crate::read::ReadError;

/// Why there is no verdict. The environment, or what the relying party gave, is at fault; nothing is said about the evidence.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// A file cannot be read; may be tried again.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The trust file is none.
    #[error("cannot use `{path}`: {error}", path = path.display())]
    Trust {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: TrustError,
    },
    /// The mirror is none, or not authentic.
    #[error("cannot use `{path}`: {error}", path = path.display())]
    Mirror {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        error: MirrorError,
    },
    /// A mirror, and nobody who vouches for a log.
    #[error("`--mirror` needs a trust file with a `log`")]
    NoLog,
    /// A mirror, and many bundles.
    #[error("{NOTHING_BESIDE}")]
    WindowBeside,
    /// Evaluating again, and many bundles.
    #[error("the policies of a window are evaluated again bundle by bundle: give one of its bundles")]
    WindowReplay,
    /// The receipts are none.
    #[error("cannot use `{path}`: {error}", path = path.display())]
    Receipts {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ReceiptsError,
    },
}
