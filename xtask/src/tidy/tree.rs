//! The files of the repository: what git tracks, and what it would track if it were added.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Every file by its path, with `/` between the parts.
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
}

impl Tree {
    /// Reads the repository at `root`; ignored files are not part of it.
    ///
    /// # Errors
    /// When git does not answer or a file cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("cannot start `git`")?;
        if !output.status.success() {
            bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
        let mut files = BTreeMap::new();
        for name in names.split_terminator('\0') {
            let path = root.join(name);
            // A file that was removed but not yet committed is still in git's list.
            if path.is_file() {
                let bytes = fs::read(&path).with_context(|| format!("cannot read `{name}`"))?;
                files.insert(name.to_owned(), bytes);
            }
        }
        Ok(Self::new(files))
    }

    fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        let mut folders = BTreeSet::from([String::new()]);
        for name in files.keys() {
            let slashes = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
            folders.extend(slashes.map(str::to_owned));
        }
        Self { files, folders }
    }

    /// Makes a tree for a test.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self::new(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect())
    }

    /// Returns every file with its bytes, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
    }

    /// Returns every file that is text; the rest has no lines to look at.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter_map(|(path, bytes)| Some((path, str::from_utf8(bytes).ok()?)))
    }

    /// Returns every text file whose name ends in one of `endings`.
    pub fn texts_ending<'a>(&'a self, endings: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.texts().filter(move |(path, _)| endings.iter().any(|ending| path.ends_with(ending)))
    }

    /// Returns the text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        str::from_utf8(self.files.get(path)?).ok()
    }

    /// Returns the bytes of one file.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Says whether a file or a folder has this path.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path) || self.folders.contains(path)
    }
}
