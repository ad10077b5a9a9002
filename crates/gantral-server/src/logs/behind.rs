//! Whether the ledger is behind its own log: an old backup that was restored beside what everybody has seen.

use gantral_core::ids::TenantId;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::note::{Note, NoteKey, NoteKeyKind, Signed};
use gantral_log::objects::ReadObjects as _;
use gantral_log::sequencer::CHECKPOINT;
use gantral_log::stored::KeptLog;
use gantral_store::Store;

use super::LogsError;

/// Compares what is published of a log with the ledger; returns what the ledger lacks.
pub(super) async fn published(
    store: &Store,
    tenant: &TenantId,
    objects: KeptLog,
    keys: &[PublicKey],
) -> Result<Option<String>, LogsError> {
    let files = |source| LogsError::Files { tenant: tenant.clone(), source };
    let read = tokio::task::spawn_blocking(move || objects.read(CHECKPOINT)).await;
    let Some(note) = read.map_err(|error| files(std::io::Error::other(error)))?.map_err(files)? else {
        return Ok(None);
    };
    let foreign = || LogsError::Foreign { tenant: tenant.clone() };
    let checkpoint = checked(&note, keys).ok_or_else(foreign)?;
    let published = checkpoint.tree;
    let row = store.log(tenant).await?;
    let (size, root) = row.map_or((0, None), |row| (row.size, Some(row.root)));
    if size < published.size {
        let (has, origin) = (published.size, &checkpoint.origin);
        return Ok(Some(format!(
            "the log `{origin}` has published {has} leaves, and the ledger knows of {size}"
        )));
    }
    // A larger one that does not extend what was published is found by the sequencer, whose tiles are then not those of its tree.
    if size == published.size && root != Some(published.root) {
        let origin = &checkpoint.origin;
        return Ok(Some(format!("the log `{origin}` has published another tree of {size} leaves")));
    }
    Ok(None)
}

/// Reads a checkpoint that one of these keys has signed.
fn checked(note: &[u8], keys: &[PublicKey]) -> Option<Checkpoint> {
    let note = Note::parse(note).ok()?;
    let checkpoint = Checkpoint::parse(note.text).ok()?;
    let signed = |key: &PublicKey| {
        let key = NoteKey::new(checkpoint.origin.as_str(), NoteKeyKind::Text, key.clone());
        key.is_ok_and(|key| matches!(key.check(&note), Signed::Good { .. }))
    };
    keys.iter().any(signed).then_some(checkpoint)
}
