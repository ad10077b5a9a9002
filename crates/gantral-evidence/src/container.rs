//! The bundle as a container: a closed list of files, before anything is known about their meaning.
//!
//! A bundle is a deterministic tar or the same files in a directory. Its `bundle.json` lists every other file with
//! length and digest. The list is not signed: it finds damage and says where, and keeps strangers' files out; what the
//! files prove is for signatures to say. Nothing here touches a file system. Source: `spec/bundle.md`.

mod manifest;
mod tar;

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::ids::InstanceId;
use gantral_core::json::ParseError;

pub use manifest::{
    FORMAT, Fault, FaultKind, MANIFEST_BYTES_MAX, MANIFEST_PATH, Manifest, ManifestFile, Scope,
};
pub use tar::{read_tar, write_tar};

/// The most artifacts of one instance.
pub const ARTIFACTS_MAX: usize = 10_000;
/// The most files of one bundle: ten for each artifact.
pub const FILES_MAX: usize = 100_000;
/// The most bytes of all files together: 256 MiB. With it the largest tar is known before it is read.
pub const CONTENT_BYTES_MAX: usize = 256 << 20;
/// The largest tar, in bytes: the content, and for each file a header and padding.
pub const TAR_BYTES_MAX: usize = CONTENT_BYTES_MAX + (FILES_MAX + 1) * 2 * 512;
/// The longest path, in bytes: what a tar header holds in one field.
pub const PATH_BYTES_MAX: usize = 100;
/// Where the artifacts are.
pub const ARTIFACTS_DIRECTORY: &str = "artifacts/";
/// Where keys and their delegations are.
pub const KEYS_DIRECTORY: &str = "keys/";

/// Why files are not a bundle at all. The bundle, a copy of something, is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerError {
    /// More than a limit allows: nothing is known about the content.
    #[error("container is over its limit of {0}")]
    Limit(&'static str),
    /// A path that is absolute, climbs, is too long, or has characters that some file system would change.
    #[error("`{path}` is not a path of a bundle")]
    Path {
        /// The path, cut to a length that can be shown.
        path: String,
    },
    /// One path twice, or one path as a file and as a directory.
    #[error("`{path}` occurs twice")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// A link, directory, device or other entry that is not a regular file.
    #[error("tar entry at byte {offset} is not a regular file")]
    NotRegular {
        /// Where its header starts.
        offset: usize,
    },
    /// Not the one deterministic tar of its files: order, header fields, padding or end.
    #[error("not a deterministic tar at byte {offset}")]
    Tar {
        /// Where the header or padding starts.
        offset: usize,
    },
    /// No `bundle.json`.
    #[error("`{MANIFEST_PATH}` is missing")]
    NoManifest,
    /// `bundle.json` is not canonical JSON.
    #[error("`{MANIFEST_PATH}` is not acceptable: {0}")]
    ManifestJson(ParseError),
    /// `bundle.json` has another format: nothing is known about it.
    #[error("`{MANIFEST_PATH}` has an unknown format")]
    UnknownFormat,
    /// A member of `bundle.json` is missing, unknown or invalid.
    #[error("`{MANIFEST_PATH}` has no valid `{0}`")]
    ManifestMember(&'static str),
}

/// The files of a bundle, borrowed from a tar or from a list: at most [`FILES_MAX`], sorted, without duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files<'a>(Vec<(&'a str, &'a [u8])>);

impl<'a> Files<'a> {
    /// Takes files in any order, as read from a directory. Paths are relative and separated by `/`.
    pub fn from_list(list: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, ContainerError> {
        let mut entries = Vec::new();
        for (path, content) in list {
            check_path(path)?;
            if entries.len() == FILES_MAX {
                return Err(ContainerError::Limit("files"));
            }
            entries.push((path, content));
        }
        entries.sort_unstable_by_key(|(path, _)| *path);
        let twice = entries.iter().zip(entries.iter().skip(1)).find(|(a, b)| a.0 == b.0);
        if let Some(((path, _), _)) = twice {
            return Err(ContainerError::Duplicate { path: (*path).to_owned() });
        }
        Self(entries).checked()
    }

    /// Checks what can only be checked of all files together. The entries are sorted, and their paths are checked.
    fn checked(self) -> Result<Self, ContainerError> {
        let size = self.0.iter().fold(0_usize, |size, (_, content)| size.saturating_add(content.len()));
        if size > CONTENT_BYTES_MAX {
            return Err(ContainerError::Limit("bytes"));
        }
        if self.within(ARTIFACTS_DIRECTORY).count() > ARTIFACTS_MAX {
            return Err(ContainerError::Limit("artifacts"));
        }
        for (path, _) in &self.0 {
            let parents = path.match_indices('/').filter_map(|(end, _)| path.get(..end));
            if let Some(parent) = parents.into_iter().find(|parent| self.get(parent).is_some()) {
                return Err(ContainerError::Duplicate { path: parent.to_owned() });
            }
        }
        Ok(self)
    }

    /// Returns the content of a file.
    pub fn get(&self, path: &str) -> Option<&'a [u8]> {
        let at = self.0.binary_search_by_key(&path, |(other, _)| *other).ok()?;
        self.0.get(at).map(|(_, content)| *content)
    }

    /// Iterates over all files in the order of their paths.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a [u8])> + Clone {
        self.0.iter().copied()
    }

    /// Iterates over the files whose path starts with a prefix, in the order of their paths.
    pub fn within(&self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let start = self.0.partition_point(|(path, _)| *path < prefix);
        self.0.iter().skip(start).copied().take_while(move |(path, _)| path.starts_with(prefix))
    }

    /// Returns the number of files.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Files that are being put together: by an exporter, or by whoever reads a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnedFiles(BTreeMap<String, Vec<u8>>);

impl OwnedFiles {
    /// Returns an empty set.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`ContainerError::Path`], [`ContainerError::Duplicate`], or a limit on the number of files; nothing was added.
    pub fn insert(&mut self, path: &str, content: Vec<u8>) -> Result<(), ContainerError> {
        check_path(path)?;
        if self.0.contains_key(path) {
            return Err(ContainerError::Duplicate { path: path.to_owned() });
        }
        if self.0.len() == FILES_MAX {
            return Err(ContainerError::Limit("files"));
        }
        self.0.insert(path.to_owned(), content);
        Ok(())
    }

    /// Removes a file and returns its content.
    pub fn remove(&mut self, path: &str) -> Option<Vec<u8>> {
        self.0.remove(path)
    }

    /// Writes `bundle.json` for the files that are there, replacing an older one.
    ///
    /// # Errors
    /// A limit, or one path as a file and a directory; the files are as before, without `bundle.json`.
    pub fn seal(&mut self, instance: InstanceId, scope: Scope) -> Result<(), ContainerError> {
        self.remove(MANIFEST_PATH);
        let manifest = Manifest::of(instance, scope, &self.as_files()?).encode();
        self.insert(MANIFEST_PATH, manifest)?;
        if let Err(error) = self.as_files() {
            self.remove(MANIFEST_PATH);
            return Err(error);
        }
        Ok(())
    }

    /// Borrows the files, checking the limits.
    pub fn as_files(&self) -> Result<Files<'_>, ContainerError> {
        Files(self.0.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect()).checked()
    }
}

/// Checks that a path is relative, does not climb, and means the same file on every file system: parts of
/// `[a-z0-9_-]` with dots inside, separated by `/`.
fn check_path(path: &str) -> Result<(), ContainerError> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.');
    let is_part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && part.bytes().all(is_plain)
    };
    if path.len() <= PATH_BYTES_MAX && path.split('/').all(is_part) {
        Ok(())
    } else {
        Err(ContainerError::Path { path: shown(path) })
    }
}

/// Returns a path as an error message may show it: short, and without characters that could change a terminal.
fn shown(path: &str) -> String {
    path.chars().take(PATH_BYTES_MAX).map(|c| if c.is_ascii_graphic() { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests;
