//! Bundles on disk: one file, or a directory with the same files.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use gantral_evidence::container::{ContainerError, Files, OwnedFiles, TAR_BYTES_MAX, read_tar};

use crate::failure::Failure;

/// How deep a bundle's directory may nest; the deepest path of a bundle has two parts.
const DEPTH_MAX: usize = 8;

/// A bundle as it was read.
pub enum Stored {
    /// The bytes of a tar.
    Tar(Vec<u8>),
    /// The files of a directory; or why they cannot be files of a bundle.
    Directory(Result<OwnedFiles, ContainerError>),
}

/// Reads a bundle, a file or a directory. Nothing is verified.
pub fn read(path: &Path) -> Result<Stored, Failure> {
    let failed = |error| Failure::file("read", path, &error);
    if fs::metadata(path).map_err(failed)?.is_dir() {
        let mut files = OwnedFiles::new();
        let read = collect(path, "", 0, &mut files)?;
        return Ok(Stored::Directory(read.map(|()| files)));
    }
    let limit = u64::try_from(TAR_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Stored::Tar(bytes))
}

fn collect(
    directory: &Path,
    prefix: &str,
    depth: usize,
    files: &mut OwnedFiles,
) -> Result<Result<(), ContainerError>, Failure> {
    let failed = |error| Failure::file("read", directory, &error);
    if depth > DEPTH_MAX {
        return Ok(Err(ContainerError::Path { path: prefix.to_owned() }));
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let path = format!("{prefix}{}", name.to_string_lossy());
        let kind = entry.file_type().map_err(failed)?;
        let added = if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), depth + 1, files)?
        } else if kind.is_file() {
            let content =
                fs::read(entry.path()).map_err(|error| Failure::file("read", &entry.path(), &error))?;
            files.insert(&path, content)
        } else {
            Err(ContainerError::NotRegular { offset: 0 })
        };
        if added.is_err() {
            return Ok(added);
        }
    }
    Ok(Ok(()))
}

/// Writes the files of a bundle into a new directory.
pub fn write_directory(files: &Files<'_>, directory: &Path) -> Result<(), Failure> {
    fs::create_dir(directory).map_err(|error| {
        Failure::file("make", directory, &error).hint("a bundle is written into a directory of its own")
    })?;
    for (path, content) in files.iter() {
        let target = directory.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| Failure::file("make", parent, &error))?;
        }
        fs::write(&target, content).map_err(|error| Failure::file("write", &target, &error))?;
    }
    Ok(())
}

/// Takes a tar apart and writes its files into a new directory.
pub fn unpack(tar: &[u8], directory: &Path) -> Result<(), Failure> {
    let files = read_tar(tar).map_err(|error| Failure::new(format!("the bundle is no bundle: {error}")))?;
    write_directory(&files, directory)
}
