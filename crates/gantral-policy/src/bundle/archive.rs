//! Bundles as `tar.gz` archives: reads what `opa build` and `tar` write, writes one deterministic form.

use std::io::{Read, Write};

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use tar::{Archive, EntryType, Header};

use super::{
    BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX, Bundle, BundleError, Collector, FILE_BYTES_MAX, is_bundle_file,
};

/// What a tar archive adds to its files at most: a header, padding and a long name for each entry, and the end.
const TAR_OVERHEAD_BYTES_MAX: usize = (BUNDLE_FILES_MAX + 1) * 4 * 512 + 20 * 512;
/// The largest archive that is accepted, in bytes, compressed.
pub const ARCHIVE_BYTES_MAX: usize = BUNDLE_BYTES_MAX + TAR_OVERHEAD_BYTES_MAX;

impl Bundle {
    /// Reads a `tar.gz` archive. Decompression stops at the limits of a bundle, whatever the archive claims.
    pub fn from_archive(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > ARCHIVE_BYTES_MAX {
            return Err(BundleError::TooLarge);
        }
        let mut archive = Archive::new(Capped { inner: GzDecoder::new(bytes), left: ARCHIVE_BYTES_MAX });
        let mut collector = Collector::default();
        let mut entries_seen = 0_usize;
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            entries_seen += 1;
            if entries_seen > 2 * BUNDLE_FILES_MAX {
                return Err(BundleError::TooManyFiles);
            }
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            match entry.header().entry_type() {
                EntryType::Directory => continue,
                EntryType::Regular | EntryType::Continuous => {}
                _ => return Err(BundleError::NotPlain { path: path.chars().take(80).collect() }),
            }
            let mut content = Vec::new();
            let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
            entry.by_ref().take(limit).read_to_end(&mut content).map_err(unreadable)?;
            collector.add(&path, content)?;
        }
        collector.finish()
    }

    /// Returns the one archive of this bundle: entries sorted, no times, owners or names, one compression level.
    pub fn to_archive(&self) -> Result<Vec<u8>, BundleError> {
        let encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
        let mut builder = tar::Builder::new(encoder);
        for (path, content) in self.files().filter(|(path, _)| is_bundle_file(path)) {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            builder.append_data(&mut header, path, content).map_err(unreadable)?;
        }
        let mut encoder = builder.into_inner().map_err(unreadable)?;
        encoder.flush().map_err(unreadable)?;
        encoder.finish().map_err(unreadable)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn unreadable(error: std::io::Error) -> BundleError {
    match error.get_ref().is_some_and(|inner| inner.is::<OverLimit>()) {
        true => BundleError::TooLarge,
        false => BundleError::Archive { reason: error.to_string() },
    }
}

/// More bytes came out of the archive than a bundle may hold.
#[derive(Debug, thiserror::Error)]
#[error("the archive decompresses to more than a bundle may hold")]
struct OverLimit;

/// A reader that fails, instead of ending, when its allowance is used up.
struct Capped<R> {
    inner: R,
    left: usize,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count) {
            Some(left) => {
                self.left = left;
                Ok(count)
            }
            None => Err(std::io::Error::other(OverLimit)),
        }
    }
}
