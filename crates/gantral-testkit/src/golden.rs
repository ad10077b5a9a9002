//! Files that say what the code says.

use std::path::Path;

/// Compares a text with the file that holds it; `UPDATE_GOLDEN=1` writes the file instead.
///
/// # Panics
/// When they differ, or the file cannot be written.
pub fn golden(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, text).expect("the file can be written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(kept, text, "{} differs: look, then run with UPDATE_GOLDEN=1", path.display());
}
