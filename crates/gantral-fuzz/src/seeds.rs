//! Seeds: files of the test vectors, and of `corpus/` for formats that no vector has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use gantral_core::json::{self, Profile};

use crate::framed::FileMap;
use crate::target::Target;

/// The files of `spec/vectors`, by their paths below it.
#[derive(Debug, Clone, Default)]
pub struct Vectors {
    files: BTreeMap<String, Vec<u8>>,
}

impl Vectors {
    /// Reads all of them.
    ///
    /// # Errors
    /// When a file or folder cannot be read.
    pub fn load() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors");
        let mut files = BTreeMap::new();
        walk(&root, "", &mut files)?;
        Ok(Self { files })
    }

    /// Returns every file whose path ends like this, each content once.
    pub fn ending(&self, end: &str) -> Vec<Vec<u8>> {
        self.matching(|path| path.ends_with(end))
    }

    /// Returns every file whose path is accepted, each content once, in the order of the paths.
    pub fn matching(&self, accepts: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
        let mut seen = BTreeSet::new();
        let files = self.files.iter().filter(|(path, _)| accepts(path));
        files.filter(|(_, content)| seen.insert(*content)).map(|(_, content)| content.clone()).collect()
    }

    /// Returns one file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Returns the names of the cases in `bundles/`, in their order.
    pub fn cases(&self) -> BTreeSet<&str> {
        let below = |path: &'_ String| path.strip_prefix("bundles/").map(str::len);
        let paths = self.files.keys().filter(|path| below(path).is_some());
        paths.filter_map(|path| path.split('/').nth(1)).collect()
    }

    /// Returns the files of a folder, by their paths below it.
    pub fn folder(&self, folder: &str) -> FileMap {
        let inside = |path: &String| path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned);
        self.files.iter().filter_map(|(path, content)| Some((inside(path)?, content.clone()))).collect()
    }

    /// Returns the files of the bundle of a case.
    pub fn bundle(&self, case: &str) -> FileMap {
        self.folder(&format!("bundles/{case}/bundle"))
    }

    /// Tells whether a case is one that every verifier must call valid.
    pub fn is_valid(&self, case: &str) -> bool {
        let expected = self.get(&format!("bundles/{case}/expect.json")).and_then(|file| {
            let value = json::parse(file, &Profile::DOCUMENT).ok()?;
            Some(value.get("verdict")?.as_str()? == "VALID")
        });
        expected.unwrap_or_default()
    }
}

/// Returns the seeds of a target.
///
/// # Errors
/// When a file of `corpus/` cannot be read.
pub fn of(target: &Target, vectors: &Vectors) -> io::Result<Vec<Vec<u8>>> {
    let mut seeds = (target.seeds)(vectors);
    let folder = corpus(target.name);
    if folder.is_dir() {
        let mut files = BTreeMap::new();
        walk(&folder, "", &mut files)?;
        seeds.extend(files.into_values());
    }
    Ok(seeds)
}

/// Returns the folder of the committed seeds of a target; there may be none.
pub fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

fn walk(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let path = format!("{prefix}{}", name.to_string_lossy());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}
