//! Folders of whoever runs this, after the XDG Base Directory Specification, and folders for their owner alone.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Returns where configuration and logins are; `None` for somebody without a home.
pub fn config() -> Option<PathBuf> {
    of_user("XDG_CONFIG_HOME", ".config")
}

/// Returns where a program keeps what has to outlive it. `option` names another folder.
pub fn state(option: &str) -> Result<PathBuf, Failure> {
    let missing = || Failure::new("there is no home folder").hint(format!("give `{option} DIR`"));
    of_user("XDG_STATE_HOME", ".local/state").ok_or_else(missing)
}

/// A relative path is none: the specification has it ignored.
fn of_user(variable: &str, under_home: &str) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(under_home)))
}

/// Makes a folder, and those that it lies in, for its owner alone.
pub fn make_private(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
