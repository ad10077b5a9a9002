//! The folder `spec/vectors/` as the generator makes it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::case::FileMap;
use crate::cases;

/// What is generated below the folder. The rest of it is written by hand.
pub const GENERATED: &[&str] = &["bundles", "cross", "windows"];

/// Returns the folder in this repository.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors")
}

/// Returns every generated file by its path below the folder.
pub fn generated() -> FileMap {
    let mut files = FileMap::new();
    for case in cases::all() {
        let name = case.name();
        files.extend(
            case.files().into_iter().map(|(path, content)| (format!("bundles/{name}/{path}"), content)),
        );
    }
    for cross in cases::cross::all() {
        let name = cross.name();
        files.extend(
            cross.files().into_iter().map(|(path, content)| (format!("cross/{name}/{path}"), content)),
        );
    }
    for window in cases::windows::all() {
        let name = window.name();
        files.extend(
            window.files().into_iter().map(|(path, content)| (format!("windows/{name}/{path}"), content)),
        );
    }
    files
}

/// Reads every generated file below `root`.
///
/// # Errors
/// When a file cannot be read; a folder that is not there has no files.
pub fn read(root: &Path) -> io::Result<FileMap> {
    let mut files = FileMap::new();
    for part in GENERATED {
        read_folder(root, part, &mut files)?;
    }
    Ok(files)
}

fn read_folder(root: &Path, prefix: &str, files: &mut FileMap) -> io::Result<()> {
    let folder = root.join(prefix);
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_folder(root, &path, files)?;
        } else {
            files.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// Makes the generated files below `root` those of [`generated`]; returns how many changed.
///
/// # Errors
/// When a file cannot be written or removed; running it again goes on.
pub fn write(root: &Path) -> io::Result<usize> {
    let (old, new) = (read(root)?, generated());
    let gone = old.keys().filter(|path| !new.contains_key(*path));
    let mut changed = 0_usize;
    for path in gone {
        fs::remove_file(root.join(path))?;
        changed += 1;
    }
    for (path, content) in new.iter().filter(|(path, content)| old.get(*path) != Some(*content)) {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap_or(root))?;
        fs::write(file, content)?;
        changed += 1;
    }
    Ok(changed)
}
