//! `gantral keys install`: the keys of a deployment from where they are handed over into a data folder.
//!
//! What hands secrets to containers owns them as somebody else and cannot give them mode 0600, which a server demands of its keys. So they
//! are copied, by the user of the server, before it starts. Nothing that is in the data folder is ever replaced.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use gantral_evidence::trust::KeyRole;
use gantral_keys::{KeyFolder, read_private, write_private};
use gantral_server::keys::ATTEMPTS;

use super::{failed, show};
use crate::failure::Failure;
use crate::out::Out;

/// How many files may be handed over: a deployment has four, and two more for each key that was rotated.
const FILES_MAX: usize = 64;
/// How large a file may be: as large as any that a server reads as a secret.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// The files of keys whose names do not change.
const NAMED: [&str; 2] = ["keys.json", ATTEMPTS];

/// Arguments of `keys install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The folder with `keys.json`, the `.pk8` files and `attempts.pem`, such as a mounted secret
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

/// Copies what is not there yet, and shows the keys.
pub fn install(data: &Path, args: &InstallArgs, out: Out) -> Result<(), Failure> {
    let handed = handed_over(&args.from)?;
    if let Some(missing) = NAMED.iter().find(|name| !handed.iter().any(|(given, _)| given == *name)) {
        return Err(Failure::new(format!("`{}` has no `{missing}`", args.from.display()))
            .hint("hand over what `gantral keys init` made: keys.json, the .pk8 files and attempts.pem"));
    }
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(|error| Failure::new(format!("`{}` cannot be made: {error}", data.display())))?;
    // The list of keys comes last: a folder that was left in the middle has none, and is not served by mistake with fewer keys.
    let (listed, keys): (Vec<_>, Vec<_>) = handed.iter().partition(|(name, _)| name == NAMED[0]);
    for (name, bytes) in keys.into_iter().chain(listed) {
        put(&data.join(name), bytes)?;
    }
    let entries = KeyFolder::look(data).map_err(failed)?;
    for role in [KeyRole::Issuer, KeyRole::Log] {
        if !entries.iter().any(|entry| entry.role == role && entry.is_current()) {
            return Err(Failure::new(format!(
                "what was handed over has no key of the role `{}`",
                role.as_str()
            )));
        }
    }
    show(&entries, out)
}

/// Reads the keys of a folder, whoever may read them there.
fn handed_over(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let unreadable = |path: &Path, error: std::io::Error| {
        Failure::new(format!("`{}` cannot be read: {error}", path.display()))
    };
    let mut handed = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| is_key(name)) else {
            continue;
        };
        if handed.len() == FILES_MAX {
            return Err(Failure::new(format!("`{}` has more than {FILES_MAX} keys", folder.display())));
        }
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        read.map_err(|error| unreadable(&path, error))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let why = format!("`{}` is larger than {FILE_BYTES_MAX} bytes, and no key", path.display());
            return Err(Failure::new(why));
        }
        handed.push((name.to_owned(), bytes));
    }
    Ok(handed)
}

fn is_key(name: &str) -> bool {
    NAMED.contains(&name) || name.ends_with(".pk8") && !name.starts_with('.')
}

/// Writes a file unless it is there already with the same content.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            write_private(path, bytes).map_err(|error| Failure::new(error.to_string()))
        }
        Err(error) => Err(Failure::new(format!("`{}` cannot be read: {error}", path.display()))),
        Ok(_) => {
            let there = read_private(path).map_err(|error| Failure::new(error.to_string()))?;
            if there == bytes {
                return Ok(());
            }
            let why =
                format!("`{}` is there with another content, and keys are never replaced", path.display());
            Err(Failure::new(why).hint("gantral keys rotate replaces a key; an empty data folder takes any"))
        }
    }
}
