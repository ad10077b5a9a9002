//! Bundles as folders: what policy authors keep in their repository.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::{BUNDLE_FILES_MAX, Bundle, BundleError, Collector, FILE_BYTES_MAX, is_bundle_file};

/// The deepest folder below the root that is read.
const DEPTH_MAX: usize = 16;

impl Bundle {
    /// Reads a folder with everything below it. Other files (a README, test inputs) are left out; a symbolic link in
    /// the place of a bundle file is refused.
    pub fn from_directory(root: &Path) -> Result<Self, BundleError> {
        let mut collector = Collector::default();
        collect(root, "", 0, &mut collector)?;
        collector.finish()
    }

    /// Writes the files to a new folder. Their paths were checked when the bundle was read: none leaves it.
    ///
    /// # Errors
    /// When the folder exists, or a file cannot be written; what was written stays.
    pub fn to_directory(&self, root: &Path) -> io::Result<()> {
        fs::create_dir(root)?;
        for (path, content) in self.files() {
            let file = root.join(path);
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(file, content)?;
        }
        Ok(())
    }

    /// Reads a folder, or else a `tar.gz` file.
    pub fn from_path(path: &Path) -> Result<Self, BundleError> {
        if path.is_dir() {
            return Self::from_directory(path);
        }
        let limit = super::archive::ARCHIVE_BYTES_MAX;
        Self::from_archive(&read_at_most(path, limit)?)
    }
}

fn collect(folder: &Path, prefix: &str, depth: usize, collector: &mut Collector) -> Result<(), BundleError> {
    let failed = |source| BundleError::Read { path: folder.to_owned(), source };
    let mut entries = fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if entries.len() > 4 * BUNDLE_FILES_MAX {
        return Err(BundleError::TooManyFiles);
    }
    // The first error shown must not depend on the order in which the file system lists names.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            if depth >= DEPTH_MAX {
                return Err(BundleError::Path { path });
            }
            // Hidden folders belong to version control and editors.
            if !name.starts_with('.') {
                collect(&entry.path(), &format!("{path}/"), depth + 1, collector)?;
            }
        } else if is_bundle_file(&path) {
            if !kind.is_file() {
                return Err(BundleError::NotPlain { path });
            }
            collector.add(&path, read_at_most(&entry.path(), FILE_BYTES_MAX)?)?;
        }
    }
    Ok(())
}

/// Reads a file, at most one byte beyond the limit, so that the limit is seen to be exceeded.
fn read_at_most(path: &Path, limit: usize) -> Result<Vec<u8>, BundleError> {
    let failed = |source| BundleError::Read { path: path.to_owned(), source };
    let mut content = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).map_err(failed)?.take(limit).read_to_end(&mut content).map_err(failed)?;
    Ok(content)
}
