//! Which artifacts are the last of their chain in a log and may be followed: one bit for each number.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::int;

/// How many bytes of bits one row has: with its header it fills a page of the file.
const PAGE_BYTES: usize = 4_000;
const PAGE_BITS: u64 = 8 * PAGE_BYTES as u64;

/// The bits as they change in one transaction; nothing is written before [`Last::write`].
pub(super) struct Last<'c> {
    connection: &'c Connection,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl<'c> Last<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, pages: BTreeMap::new() }
    }

    /// Notes that an artifact may be followed.
    pub(super) fn put(&mut self, number: u64) -> rusqlite::Result<()> {
        let (byte, bit) = self.byte(number)?;
        if let Some(byte) = byte {
            *byte |= bit;
        }
        Ok(())
    }

    /// Notes that an artifact is followed, and tells whether it could be.
    pub(super) fn take(&mut self, number: u64) -> rusqlite::Result<bool> {
        let (byte, bit) = self.byte(number)?;
        let Some(byte) = byte else { return Ok(false) };
        let stood = *byte & bit != 0;
        *byte &= !bit;
        Ok(stood)
    }

    /// Writes every page that was asked for.
    pub(super) fn write(self) -> rusqlite::Result<()> {
        let mut insert =
            self.connection.prepare_cached("INSERT OR REPLACE INTO log_last(page, bits) VALUES(?1, ?2)")?;
        for (page, bits) in &self.pages {
            insert.execute(params![int(*page), bits])?;
        }
        Ok(())
    }

    /// Returns the byte in which the bit of a number stands, and the bit. A row is always of full length.
    fn byte(&mut self, number: u64) -> rusqlite::Result<(Option<&mut u8>, u8)> {
        let (page, place) = (number / PAGE_BITS, number % PAGE_BITS);
        if !self.pages.contains_key(&page) {
            let stored: Option<Vec<u8>> = self
                .connection
                .prepare_cached("SELECT bits FROM log_last WHERE page = ?1")?
                .query_row([int(page)], |row| row.get(0))
                .optional()?;
            let mut bits = stored.unwrap_or_default();
            bits.resize(PAGE_BYTES, 0);
            self.pages.insert(page, bits);
        }
        let index = usize::try_from(place / 8).unwrap_or(usize::MAX);
        let bits = self.pages.entry(page).or_default();
        Ok((bits.get_mut(index), 1 << (place % 8)))
    }
}
