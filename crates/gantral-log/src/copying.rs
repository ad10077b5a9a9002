//! The objects of one tree of a log, copied while the log grows on: what readers of that tree need, and nothing that came later.

use gantral_evidence::log::tree::{SIZE_MAX, TreeHead};

use crate::objects::{Object, ReadObjects, WriteObjects};
use crate::sequencer::CHECKPOINT;
use crate::tile::{LEVELS_MAX, Row, Tile};
use crate::tree::{Edge, LogError, read};

/// How many objects are written at a time.
const BATCH: usize = 256;

/// Copies a tree, with the signed checkpoint that is about it, and returns how many objects that are. A partial tile that is gone because the log has grown
/// is cut out of the full one. That the right edge makes the root of the tree is checked in the copy; full tiles are what
/// [`crate::regrow`] compares with the ledger.
///
/// # Errors
/// `LogError`: an object that the tree needs is not there or of another length, or the copy is not that tree.
pub fn copy_tree(
    from: &impl ReadObjects,
    to: &impl WriteObjects,
    tree: &TreeHead,
    checkpoint: &str,
) -> Result<u64, LogError> {
    if tree.size > SIZE_MAX {
        return Err(LogError::Range);
    }
    let (mut batch, mut copied) = (Vec::with_capacity(BATCH), 0_u64);
    for row in (0..LEVELS_MAX).map(Row::Hashes).chain([Row::Entries]) {
        let tiles = (0..).map_while(|index| Tile::of_tree(row, index, tree.size));
        for tile in tiles {
            batch.push(Object { name: tile.to_string(), bytes: read(from, tile)? });
            if batch.len() == BATCH {
                copied = copied.saturating_add(BATCH as u64);
                to.write(&std::mem::take(&mut batch))?;
            }
        }
    }
    batch.push(Object { name: CHECKPOINT.to_owned(), bytes: checkpoint.as_bytes().to_vec() });
    copied = copied.saturating_add(batch.len() as u64);
    to.write(&batch)?;
    Edge::load(to, tree)?;
    Ok(copied)
}

#[cfg(test)]
mod tests;
