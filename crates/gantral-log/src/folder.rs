//! Objects as files of a folder, as any file server serves them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use gantral_core::ids::LogOrigin;

use crate::objects::{Object, ReadObjects, Shelf, UNFINISHED, WriteObjects, check_name};

/// Where the logs are in a data folder.
pub const FOLDER: &str = "log";

/// A folder of objects. One process writes to it; any number may read.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Uses a folder, which is made with the first object.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Returns where an object is, unless its name leads outside or is none.
    fn path(&self, name: &str) -> io::Result<PathBuf> {
        check_name(name)?;
        Ok(self.root.join(name))
    }
}

impl ReadObjects for Folder {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)?) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl WriteObjects for Folder {
    fn write(&self, objects: &[Object]) -> io::Result<()> {
        let mut folders = Vec::new();
        for object in objects {
            let path = self.path(&object.name)?;
            let folder = path.parent().unwrap_or(&self.root);
            make(folder)?;
            let mut unfinished = path.clone().into_os_string();
            unfinished.push(UNFINISHED);
            let mut file = File::create(&unfinished)?;
            file.write_all(&object.bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            folders.push(folder.to_owned());
        }
        folders.sort_unstable();
        folders.dedup();
        folders.iter().try_for_each(|folder| File::open(folder)?.sync_all())
    }

    fn remove_under(&self, folder: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.path(folder)?) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// A folder of logs: one folder for each origin.
#[derive(Debug, Clone)]
pub struct Folders {
    root: PathBuf,
}

impl Folders {
    /// Uses a folder, which is made with the first object.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }
}

impl Shelf for Folders {
    type Log = Folder;

    /// The name of the folder is the origin with `+` for `/`, which no origin contains: no log lies within another, whatever
    /// tenants are called. One process writes: there is no claim to compare.
    fn log(&self, origin: &LogOrigin, _: u64) -> Folder {
        Folder::new(&self.root.join(origin.as_str().replace('/', "+")))
    }
}

/// Makes a folder and those above it, each durable in the one above it.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => File::open(above)?.sync_all(),
    }
}

#[cfg(test)]
mod tests;
