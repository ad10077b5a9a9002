//! Where a text has left traces on disk.

use std::path::{Path, PathBuf};

/// Returns every file below a folder, however deep, that holds these bytes. A file that is removed meanwhile holds nothing.
pub fn files_holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if holds(&std::fs::read(&path).unwrap_or_default(), text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    found
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
