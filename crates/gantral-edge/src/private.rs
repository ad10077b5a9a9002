//! Files and directories for their owner alone: what runners and interceptors keep on disk.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The longest name that was made once, in bytes.
const NAME_BYTES_MAX: u64 = 256;

/// Makes a directory, and those that it lies in.
///
/// # Errors
/// The system's.
pub fn directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}

/// Makes an empty file, if there is none.
///
/// # Errors
/// The system's.
pub(crate) fn make_sure(path: &Path) -> io::Result<()> {
    open(OpenOptions::new().append(true).create(true), path).map(drop)
}

/// Opens a file, which gets the mode if it is made.
///
/// # Errors
/// The system's.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.mode(FILE_MODE).open(path)
}

/// Writes beside the file, then takes its place: a reader sees the old content or the new one, whoever else writes. Needs no flush to disk:
/// it means nothing after a crash.
///
/// # Errors
/// The system's; the old content is there then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = open(OpenOptions::new().write(true).create(true).truncate(true), &beside)?;
    file.write_all(bytes)?;
    std::fs::rename(&beside, path)
}

/// Removes a file, if it is there.
///
/// # Errors
/// The system's.
pub fn remove(path: &Path) -> io::Result<()> {
    there(std::fs::remove_file(path))
}

/// Moves a file, if it is there.
///
/// # Errors
/// The system's.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
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
///
/// # Errors
/// The system's; a part of the lines may be there then.
pub fn append(path: &Path, mut lines: Vec<u8>) -> io::Result<()> {
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

/// Returns what the files of a folder are called whose names have this end, without it, in no order.
///
/// # Errors
/// The system's.
pub fn named(folder: &Path, end: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if let Some(start) = name.to_str().and_then(|name| name.strip_suffix(end)) {
            found.push(start.to_owned());
        }
    }
    Ok(found)
}

/// Reads a name, which is made once and at random: so many bytes, in hexadecimal digits, after a prefix.
///
/// # Errors
/// The system's.
pub fn name_once(path: &Path, prefix: &str, bytes: usize) -> io::Result<String> {
    let mut file = open(OpenOptions::new().read(true).append(true).create(true), path)?;
    // Of two processes that make it, the second one reads what the first one made.
    file.lock()?;
    let mut name = String::new();
    (&file).take(NAME_BYTES_MAX).read_to_string(&mut name)?;
    // A crash of the machine may have cut it off: nobody was told it then.
    if name.len() < prefix.len().saturating_add(bytes.saturating_mul(2)) {
        file.set_len(0)?;
        let mut drawn = vec![0; bytes];
        getrandom::fill(&mut drawn).map_err(io::Error::other)?;
        name = drawn.iter().fold(prefix.to_owned(), |name, byte| format!("{name}{byte:02x}"));
        file.write_all(name.as_bytes())?;
        file.sync_all()?;
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
