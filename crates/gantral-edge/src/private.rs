//! Files and directories for their owner alone.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes a directory, and those that it lies in.
pub(crate) fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// Opens a file, which gets the mode if it is made.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(FILE_MODE).open(path)
}

/// Writes beside the file, then takes its place: a reader sees the old content or the new one, whoever else writes. Needs no flush to disk:
/// it means nothing after a crash.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = open(OpenOptions::new().write(true).create(true).truncate(true), &beside)?;
    file.write_all(bytes)?;
    std::fs::rename(&beside, path)
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    there(std::fs::remove_file(path))
}

/// Moves a file, if it is there.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    there(std::fs::rename(from, to))
}

/// Takes it for done where the file is not there: there was nothing, or another process was faster.
fn there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Appends whole lines, each with its end, durable when this returns. Others append too: a line that was cut off by a crash is ended
/// first, so that these are whole. Whoever moves the file away and then locks it has everything that was ever in it.
pub(crate) fn append(path: &Path, mut lines: Vec<u8>) -> io::Result<()> {
    let mut file = loop {
        let file = open(OpenOptions::new().read(true).append(true).create(true), path)?;
        file.lock()?;
        // It may have been moved away before it was locked.
        match std::fs::metadata(path) {
            Ok(there) if there.ino() == file.metadata()?.ino() => break file,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
    };
    if !ends_with_newline(&file)? {
        lines.insert(0, b'\n');
    }
    file.write_all(&lines)?;
    file.sync_all()?;
    file.unlock()
}

fn ends_with_newline(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if let Some(at) = length.checked_sub(1) {
        file.read_exact_at(&mut last, at)?;
    }
    Ok(last == [b'\n'])
}

#[cfg(test)]
mod tests;
