//! What a witness keeps: the newest checkpoint of each log, and what it refused although the log had signed it.

use std::io;

use gantral_core::digest::Digest;
use gantral_core::ids::LogOrigin;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::note::Note;
use gantral_evidence::log::tree::TreeHead;

use super::{Refusal, Request};
use crate::objects::{Object, WriteObjects};

/// Where refusals are kept: a folder for each log, named by the digest of its origin.
pub const REFUSED: &str = "refused";

/// The newest checkpoint of a log that was remembered.
pub(super) struct Remembered {
    /// Its tree; the empty one when nothing was.
    pub tree: TreeHead,
    /// The note as it was signed: with a later one that contradicts it, it convicts the log.
    note: String,
}

/// Reads back what was remembered of a log.
pub(super) fn remembered(memory: &impl WriteObjects, origin: &LogOrigin) -> io::Result<Remembered> {
    let Some(bytes) = memory.read(&name(origin))? else {
        return Ok(Remembered { tree: TreeHead::empty(), note: String::new() });
    };
    let note = Note::parse(&bytes).map_err(io::Error::other)?;
    let checkpoint = Checkpoint::parse(note.text).map_err(io::Error::other)?;
    if checkpoint.origin == *origin {
        let note = String::from_utf8(bytes).map_err(io::Error::other)?;
        Ok(Remembered { tree: checkpoint.tree, note })
    } else {
        Err(io::Error::other("the memory of the witness is of another log"))
    }
}

/// Keeps the two checkpoints of a refusal for whoever runs the witness.
///
/// Only what the log signed comes here, so only the log can fill the folder. It has 256 places for trees that contradict, which
/// prove a fault of the log, and 256 for growth that was not shown, which may be a defect; what was kept first stays.
pub(super) fn keep_refusal(
    memory: &impl WriteObjects,
    origin: &LogOrigin,
    seen: &Remembered,
    request: &Request,
    refusal: &Refusal,
    now: u64,
) {
    let what = match refusal {
        Refusal::SplitView => "split-view",
        Refusal::Inconsistent => "inconsistent",
        Refusal::Request(_)
        | Refusal::Unknown(_)
        | Refusal::Signature
        | Refusal::Size(_)
        | Refusal::Unavailable(_) => return,
    };
    let digest = Digest::of(request.checkpoint.as_bytes());
    let place = digest.as_bytes().first().copied().unwrap_or_default();
    let name = format!("{REFUSED}/{}/{what}-{place:02x}", Digest::of(origin.as_str().as_bytes()));
    let text = format!("{refusal}\ntime {now}\n\nseen\n\n{}\noffered\n\n{}", seen.note, request.encode());
    let kept = memory.read(&name).and_then(|known| match known {
        Some(_) => Ok(()),
        None => memory.write(&[Object { name: name.clone(), bytes: text.into_bytes() }]),
    });
    match kept {
        Ok(()) => tracing::error!(log = %origin, evidence = name, "refused: {refusal}"),
        // The refusal stands without its record.
        Err(error) => {
            tracing::error!(log = %origin, "refused, and it cannot be recorded: {refusal}: {error}")
        }
    }
}

/// Returns where a log is remembered: by a digest, since an origin may have any shape.
pub(super) fn name(origin: &LogOrigin) -> String {
    format!("logs/{}", Digest::of(origin.as_str().as_bytes()))
}
