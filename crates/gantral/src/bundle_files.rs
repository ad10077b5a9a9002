//! Bundles as directories: the same files as in one tar.

use std::fs;
use std::path::Path;

use gantral_evidence::container::{Files, read_tar};

use crate::failure::Failure;

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
