//! What programs that stand in the path of an action have in common: files with what they carry, and folders of what they keep.

use std::path::{Path, PathBuf};

use gantral_core::digest::Hasher;
use gantral_outbound::read_secret;

use crate::connection::Target;
use crate::credentials::Credentials;
use crate::failure::Failure;
use crate::folders;

/// How much of a file with secrets is read, in bytes: a few headers.
const SECRET_BYTES_MAX: u64 = 16 << 10;

/// Reads the token that clients must send.
pub fn token(path: &Path) -> Result<String, Failure> {
    let token = secret(path)?.trim().to_owned();
    if token.is_empty() {
        return Err(Failure::new(format!("`{}` holds no token", path.display())));
    }
    Ok(token)
}

/// Reads headers, one `Name: value` a line.
pub fn headers(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let text = secret(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pair = |line: &str| {
        line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
    };
    // The line itself is a secret.
    let wrong = || Failure::new(format!("a line of `{}` is not `Name: value`", path.display()));
    lines.map(|line| pair(line).ok_or_else(wrong)).collect()
}

fn secret(path: &Path) -> Result<String, Failure> {
    let bytes = read_secret(path, SECRET_BYTES_MAX).map_err(|error| Failure::file("read", path, &error))?;
    String::from_utf8(bytes).map_err(|_| Failure::new(format!("`{}` is not text", path.display())))
}

/// Returns the folder in which a program of this `kind` keeps what waits: one of its own for each server of Gantral, agent, workflow and `name`.
pub fn spool(
    given: Option<&Path>,
    kind: &str,
    target: &Target,
    workflow: &str,
    name: &str,
) -> Result<PathBuf, Failure> {
    // A port belongs to a name, and not into one of a folder.
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' }).collect();
    match (given, &target.dev) {
        (Some(folder), _) => Ok(folder.to_owned()),
        (None, Some(dev)) => Ok(dev.path().join(kind).join(acting(target)).join(name)),
        (None, None) => {
            let hasher =
                Hasher::new("gantral/spool/v1").text(&target.url).text(&target.credentials.described());
            let digest = hasher.text(workflow).finish().to_hex();
            let folder = folders::state("--spool")?.join("gantral").join(kind);
            Ok(folder.join(format!("{name}-{}", digest.get(..12).unwrap_or_default())))
        }
    }
}

/// Returns whose token it is in development.
fn acting(target: &Target) -> String {
    let Credentials::File(path) = &target.credentials else { return "agent".to_owned() };
    path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("agent").to_owned()
}
