//! Reading what stands beside a bundle: a mirror of the log as a plain downloader leaves it, and receipts.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use gantral_evidence::container::Files;
use gantral_evidence::log::note::NOTE_BYTES_MAX;
use gantral_evidence::trust::TrustedLog;
use gantral_evidence::verify::{
    Mirror, MirrorReader, OBJECT_BYTES_MAX, Questions, RECEIPTS_BYTES_MAX, Receipt, parse_receipts,
};

use crate::error::VerifyError;
use crate::read::{ReadError, limited};

/// The name of the checkpoint of a mirror.
const CHECKPOINT: &str = "checkpoint";

/// Reads all leaves of a mirror, and keeps what judging this bundle needs.
pub(crate) fn mirror(folder: &Path, log: &TrustedLog, files: &Files<'_>) -> Result<Mirror, VerifyError> {
    let unusable = |error| VerifyError::Mirror { path: folder.to_owned(), error };
    let checkpoint = limited(&folder.join(CHECKPOINT), NOTE_BYTES_MAX.saturating_add(1))?;
    let mut reader = MirrorReader::new(&checkpoint, log, Questions::of(files)).map_err(unusable)?;
    let mut bundle = Vec::new();
    while let Some(names) = reader.next_objects() {
        first(folder, &names, &mut bundle)?;
        reader.entries(&bundle).map_err(unusable)?;
    }
    reader.finish().map_err(unusable)
}

/// Reads the first of several files that is there. A partial bundle may be gone once the full one is there.
fn first(folder: &Path, names: &[String], bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    let mut missing = ReadError::new(folder, io::ErrorKind::NotFound.into());
    for name in names {
        let path = folder.join(name);
        bytes.clear();
        let limit = u64::try_from(OBJECT_BYTES_MAX).unwrap_or(u64::MAX);
        match File::open(&path).and_then(|file| file.take(limit).read_to_end(bytes)) {
            Ok(_) => return Ok(()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                missing = ReadError::new(&path, error);
            }
            Err(error) => return Err(ReadError::new(&path, error)),
        }
    }
    Err(missing)
}

/// Reads receipts.
pub(crate) fn receipts(path: &Path) -> Result<Vec<Receipt>, VerifyError> {
    let text = limited(path, RECEIPTS_BYTES_MAX.saturating_add(1))?;
    parse_receipts(&text).map_err(|error| VerifyError::Receipts { path: path.to_owned(), error })
}
