//! Tokens of the development issuer, one file each, readable by their owner alone.

use std::io::Write as _;
use std::path::Path;

use gantral_identity::{DevIssuer, DevTokenError, IssuedToken};

use crate::connection::DevFolder;
use crate::failure::Failure;
use crate::when::now;

/// Writes the token of everybody in the directory, replacing older ones at once.
pub fn write_all(issuer: &DevIssuer, folder: &DevFolder) -> Result<(), Failure> {
    let directory = issuer.directory();
    for name in directory.people.keys() {
        write(&folder.token(name), issuer.human_token(name, now()))?;
    }
    for name in directory.clients.keys() {
        write(&folder.token(name), issuer.client_token(name, now()))?;
    }
    Ok(())
}

fn write(path: &Path, token: Result<IssuedToken, DevTokenError>) -> Result<(), Failure> {
    let token = token.map_err(|error| Failure::new(error.to_string()))?;
    write_private(path, token.expose().as_bytes())
}

/// Replaces a file by one with mode 0600; whoever reads it sees the old or the new one, never a part.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file("write", path, &error);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    // A new temporary file has mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}
