//! The places of tiles and entry bundles, and their names.
//!
//! Source: C2SP `tlog-tiles`.

use std::fmt;

/// How many hashes a full tile has, and how many leaves a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// How many bytes a hash has.
pub const HASH_BYTES: usize = 32;
/// The most levels of tiles of the largest tree: 2^53 leaves fit below seven.
pub const LEVELS_MAX: u8 = 7;

/// What stands between the place of a partial tile and its width.
pub const PARTIAL: &str = ".p/";

/// What an object of a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    /// The leaves themselves, each after its length in two bytes.
    Entries,
    /// Hashes of complete trees of 256^level leaves each.
    Hashes(u8),
}

/// A place in a log: a row, a tile of it, and how much of the tile there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Which row.
    pub row: Row,
    /// Which tile of the row, from 0.
    pub index: u64,
    /// How many hashes or leaves are in it: 1 to [`TILE_WIDTH`].
    pub width: u64,
}

impl Tile {
    /// Returns the tile of this row at `index` in a tree of `size` leaves, or `None` when the tree has none there.
    pub fn of_tree(row: Row, index: u64, size: u64) -> Option<Self> {
        let level = match row {
            Row::Entries => 0,
            Row::Hashes(level) => level,
        };
        let hashes = size.checked_shr(8 * u32::from(level)).unwrap_or_default();
        let width = hashes.saturating_sub(index.saturating_mul(TILE_WIDTH)).min(TILE_WIDTH);
        (width > 0).then_some(Self { row, index, width })
    }

    /// Says whether the tile is full, and will never change.
    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Returns the same tile once it is full.
    pub const fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }
}

/// Writes the name under which the tile is served: `tile/0/x001/234`, with `.p/WIDTH` while it is partial.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Row::Entries => f.write_str("tile/entries/")?,
            Row::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut groups = vec![self.index % 1_000];
        let mut rest = self.index / 1_000;
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        while let Some(group) = groups.pop() {
            if groups.is_empty() { write!(f, "{group:03}")? } else { write!(f, "x{group:03}/")? }
        }
        if self.is_full() { Ok(()) } else { write!(f, "{PARTIAL}{}", self.width) }
    }
}

#[cfg(test)]
mod tests;
