//! Files with what requests carry and nobody else may read.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Reads a file that holds a secret, which only its owner may read; of a longer one so many bytes.
///
/// # Errors
/// The system's, and one of the kind `InvalidData` that says what is wrong with the file, and nothing of its content.
pub fn read_secret(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    // The mode is that of the file that is read, whatever stands under the name later.
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(wrong("not a file"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(wrong("others may read it, and it holds a secret: `chmod 600`"));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
