//! Where the repository and the pinned test parts are.

use std::path::{Path, PathBuf};

/// Returns the root of this repository.
///
/// # Panics
/// When it is not there any more.
pub fn repository() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    above.canonicalize().expect("tests run where they were built")
}

/// Returns a file or folder of the pinned parts. Its links are not followed: an interpreter finds its packages by the path it was started by.
///
/// # Panics
/// When it is not installed.
#[track_caller]
pub fn part(path: &str) -> PathBuf {
    let told = std::env::var_os("GANTRAL_PARTS").map(PathBuf::from);
    let part = told.unwrap_or_else(|| repository().join(".parts")).join(path);
    assert!(part.exists(), "the part `{path}` is missing\nhint: `cargo xtask parts`");
    part
}
