//! Which leaves a log may take next (`spec/log.md` L5), decided on what a store has loaded.
//!
//! The artifacts that are the last of their chain in a log, and may be followed, are one bit for each number, in pages. A chain that has
//! a first leaf is known by the beginning of its tag. A store loads the pages and tags that a swap touches, asks [`Leaves::take`], and
//! writes back what [`Leaves::pages`] and [`Leaves::begun`] say.

use std::collections::{BTreeMap, BTreeSet};

use super::{LogGrowth, LogLink, SwapOutcome};

/// How many bytes of bits one row has: with its header it fills a page of a SQLite file, and half of one of PostgreSQL.
const PAGE_BYTES: usize = 4_000;
const PAGE_BITS: u64 = 8 * PAGE_BYTES as u64;
/// How many bytes of a tag name a chain. Nobody finds two chains that share them, and whoever did would only be refused.
const TAG_BYTES: usize = 16;

/// The beginning of a chain's tag.
pub(crate) type ShortTag = [u8; TAG_BYTES];

/// What a swap has to know of the leaves that stand already, and what it makes of it.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    pages: BTreeMap<u64, Vec<u8>>,
    known: BTreeSet<ShortTag>,
    begun: BTreeSet<ShortTag>,
}

impl Leaves {
    /// Returns the pages of bits that growths touch.
    pub(crate) fn pages_of<'a>(growths: impl Iterator<Item = &'a LogGrowth>) -> BTreeSet<u64> {
        let links = growths.flat_map(|growth| &growth.links);
        links
            .flat_map(|link| [Some(link.number), link.previous])
            .flatten()
            .map(|number| number / PAGE_BITS)
            .collect()
    }

    /// Returns the chains that growths begin.
    pub(crate) fn tags_of<'a>(growths: impl Iterator<Item = &'a LogGrowth>) -> BTreeSet<ShortTag> {
        let links = growths.flat_map(|growth| &growth.links);
        links.filter(|link| link.sequence == 0).map(short).collect()
    }

    /// Notes a page as it is stored.
    pub(crate) fn load_page(&mut self, page: u64, bits: Vec<u8>) {
        self.pages.insert(page, bits);
    }

    /// Notes that a chain has a first leaf.
    pub(crate) fn load_tag(&mut self, tag: ShortTag) {
        self.known.insert(tag);
    }

    /// Takes every leaf of the growths, in order; answers the first that has no place, after which nothing of it may be written.
    pub(crate) fn take<'a>(
        &mut self,
        growths: impl Iterator<Item = &'a LogGrowth>,
    ) -> Result<(), SwapOutcome> {
        for growth in growths {
            for link in &growth.links {
                if !self.is_next(link) {
                    let tenant = growth.row.tenant.clone();
                    let LogLink { number, tag, sequence, .. } = *link;
                    return Err(SwapOutcome::Refused { tenant, number, tag, sequence });
                }
            }
        }
        Ok(())
    }

    /// Returns every page that was loaded or touched, as it is to be stored.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pages.iter().map(|(page, bits)| (*page, bits.as_slice()))
    }

    /// Returns the chains that have begun.
    pub(crate) fn begun(&self) -> impl Iterator<Item = &ShortTag> {
        self.begun.iter()
    }

    /// Tells whether a leaf is the next of its chain in the log, and notes that it is there.
    fn is_next(&mut self, link: &LogLink) -> bool {
        let is_next = match (link.sequence, link.previous) {
            (0, None) => {
                let tag = short(link);
                !self.known.contains(&tag) && self.begun.insert(tag)
            }
            (0, Some(_)) | (1.., None) => false,
            (1.., Some(previous)) => self.bit(previous, false),
        };
        if is_next && !link.ends_chain {
            self.bit(link.number, true);
        }
        is_next
    }

    /// Sets the bit of a number, and returns how it stood. A row is always of full length.
    fn bit(&mut self, number: u64, to: bool) -> bool {
        let (page, place) = (number / PAGE_BITS, number % PAGE_BITS);
        let bits = self.pages.entry(page).or_default();
        bits.resize(PAGE_BYTES, 0);
        let (index, mask) = (usize::try_from(place / 8).unwrap_or(usize::MAX), 1 << (place % 8));
        let Some(byte) = bits.get_mut(index) else { return false };
        let stood = *byte & mask != 0;
        *byte = if to { *byte | mask } else { *byte & !mask };
        stood
    }
}

fn short(link: &LogLink) -> ShortTag {
    let mut tag = [0; TAG_BYTES];
    let (beginning, _) = link.tag.as_bytes().split_at(TAG_BYTES);
    tag.copy_from_slice(beginning);
    tag
}
