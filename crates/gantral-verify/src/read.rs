//! Reading: a tar or a directory, within the limits of the container, never through a link.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use gantral_core::json::DOCUMENT_BYTES_MAX;
use gantral_evidence::container::{CONTENT_BYTES_MAX, ContainerError, OwnedFiles, TAR_BYTES_MAX};

/// The most directories inside one another; a bundle needs three.
const DEPTH_MAX: usize = 8;

/// A bundle as it lies there.
pub enum Source {
    /// The bytes of a tar.
    Tar(Vec<u8>),
    /// The files of a directory.
    Files(OwnedFiles),
    /// Files that are no bundle whatever they contain: a finding, not a failure.
    NotABundle(ContainerError),
}

/// Why a file cannot be read: the environment is at fault, and it may be tried again.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`: {error}", path = path.display())]
pub struct ReadError {
    path: PathBuf,
    error: io::Error,
}

/// Reads a bundle, a file or a directory. Nothing is verified.
///
/// # Errors
/// When a file cannot be read.
pub fn bundle(path: &Path) -> Result<Source, ReadError> {
    let kind = fs::metadata(path).map_err(failed(path))?;
    if !kind.is_dir() {
        // One byte more than allowed shows that there are too many.
        return limited(path, TAR_BYTES_MAX.saturating_add(1)).map(Source::Tar);
    }
    Ok(match directory(path, "")? {
        Ok(files) => Source::Files(files),
        Err(error) => Source::NotABundle(error),
    })
}

/// Reads the files of a directory, with this before the names; the inner error says why they could be none of a bundle.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn directory(path: &Path, prefix: &str) -> Result<Result<OwnedFiles, ContainerError>, ReadError> {
    let mut gathered = Gathered { files: OwnedFiles::new(), bytes: 0 };
    Ok(gathered.directory(path, prefix, 0)?.map(|()| gathered.files))
}

/// Reads a trust file. One that is too large is refused when it is parsed.
pub(crate) fn trust(path: &Path) -> Result<Vec<u8>, ReadError> {
    limited(path, DOCUMENT_BYTES_MAX.saturating_add(1))
}

impl ReadError {
    /// Names the file that cannot be read.
    pub(crate) fn new(path: &Path, error: io::Error) -> Self {
        Self { path: path.to_owned(), error }
    }

    /// Tells whether there is no such file.
    pub(crate) fn is_not_there(&self) -> bool {
        self.error.kind() == io::ErrorKind::NotFound
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    move |error| ReadError::new(path, error)
}

/// Reads at most so many bytes of a file.
pub(crate) fn limited(path: &Path, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let file = File::open(path).map_err(failed(path))?;
    file.take(limit).read_to_end(&mut bytes).map_err(failed(path))?;
    Ok(bytes)
}

struct Gathered {
    files: OwnedFiles,
    bytes: usize,
}

impl Gathered {
    /// Reads a directory; the inner error says why its files are no bundle.
    fn directory(
        &mut self,
        directory: &Path,
        prefix: &str,
        depth: usize,
    ) -> Result<Result<(), ContainerError>, ReadError> {
        if depth > DEPTH_MAX {
            return Ok(Err(ContainerError::Limit("depth")));
        }
        for entry in fs::read_dir(directory).map_err(failed(directory))? {
            let entry = entry.map_err(failed(directory))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(failed(&path))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let added = if kind.is_dir() {
                self.directory(&path, &format!("{name}/"), depth.saturating_add(1))?
            } else if kind.is_file() {
                self.file(&path, &name)?
            } else {
                Err(ContainerError::Path { path: name })
            };
            if added.is_err() {
                return Ok(added);
            }
        }
        Ok(Ok(()))
    }

    fn file(&mut self, path: &Path, name: &str) -> Result<Result<(), ContainerError>, ReadError> {
        let left = CONTENT_BYTES_MAX.saturating_sub(self.bytes);
        let content = limited(path, left.saturating_add(1))?;
        if content.len() > left {
            return Ok(Err(ContainerError::Limit("bytes")));
        }
        self.bytes = self.bytes.saturating_add(content.len());
        Ok(self.files.insert(name, content))
    }
}
