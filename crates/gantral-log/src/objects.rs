//! Where the objects of a log are kept: names and bytes, nothing else.

use std::io;

use gantral_core::ids::LogOrigin;

/// Reads objects by name. A mirror can be one as well as the log's own storage.
pub trait ReadObjects {
    /// Returns the bytes of an object, or `None` when there is none of this name.
    ///
    /// # Errors
    /// When it cannot be told; the caller may try again.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
}

/// Keeps objects.
pub trait WriteObjects: ReadObjects {
    /// Writes whole objects, durable when this returns. Until then each may be there, whole, or not.
    ///
    /// An object of the same name is replaced: what was staged before a crash counts for nothing until a checkpoint covers it.
    ///
    /// # Errors
    /// When any could not be written; the caller may try again with the same objects.
    fn write(&self, objects: &[Object]) -> io::Result<()>;

    /// Removes all objects whose names begin with `folder` and a slash. Not durable: after a crash some may be there again.
    ///
    /// # Errors
    /// When any could not be removed; the caller may try again.
    fn remove_under(&self, folder: &str) -> io::Result<()>;
}

/// Keeps the objects of many logs, each apart from the others.
pub trait Shelf: Send + Sync + 'static {
    /// The objects of one log.
    type Log: WriteObjects + Send + Sync + 'static;

    /// Returns the objects of the log of this origin. `fence` is the claim to the logs under which they are written: a shelf that several
    /// processes reach refuses what a claim writes that another one has passed by. Who only reads gives [`READ_ONLY`].
    fn log(&self, origin: &LogOrigin, fence: u64) -> Self::Log;

    /// Tells whether its objects are reached without waiting for a disk or a network. Then whoever works on them does so at once, and not on a
    /// thread for what waits.
    fn holds_nobody_up(&self) -> bool {
        false
    }
}

/// The claim of whoever has none: the first is 1.
pub const READ_ONLY: u64 = 0;

/// The suffix of a file that is not whole yet. No object ends with it.
pub(crate) const UNFINISHED: &str = "~";

/// Refuses a name that is none, or that leads outside where its log is.
pub(crate) fn check_name(name: &str) -> io::Result<()> {
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.ends_with(UNFINISHED);
    let clean = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if clean && name.split('/').all(part) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is not the name of an object")))
    }
}

/// One object to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name: a relative path with `/`.
    pub name: String,
    /// All of its bytes.
    pub bytes: Vec<u8>,
}
