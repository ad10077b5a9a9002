//! Objects in the database of the ledger, for servers that share no folder; and which of both a ledger's logs are kept in.

use std::io;
use std::path::Path;

use gantral_core::ids::LogOrigin;
use gantral_store::{PostgresStore, Store};
use tokio::runtime::Handle;

use crate::folder::{Folder, Folders};
use crate::objects::{Object, ReadObjects, Shelf, WriteObjects, check_name};

/// The objects of all logs in one database. Any number of processes read; the one writes that has claimed the logs.
#[derive(Debug, Clone)]
pub struct StoredLogs {
    store: PostgresStore,
    runtime: Handle,
}

/// The objects of one log in a database. Reading and writing block their thread, which must not be one that drives the runtime.
#[derive(Debug, Clone)]
pub struct StoredLog {
    store: PostgresStore,
    runtime: Handle,
    origin: LogOrigin,
    fence: u64,
}

impl StoredLogs {
    /// Uses a database, whose connections `runtime` drives.
    pub const fn new(store: PostgresStore, runtime: Handle) -> Self {
        Self { store, runtime }
    }
}

impl Shelf for StoredLogs {
    type Log = StoredLog;

    fn log(&self, origin: &LogOrigin, fence: u64) -> StoredLog {
        let (store, runtime) = (self.store.clone(), self.runtime.clone());
        StoredLog { store, runtime, origin: origin.clone(), fence }
    }
}

/// Says that a write came to nothing, because another process has claimed the logs.
fn passed_by(done: bool) -> io::Result<()> {
    if done { Ok(()) } else { Err(io::Error::other("another process lets the logs grow")) }
}

impl ReadObjects for StoredLog {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        check_name(name)?;
        self.runtime.block_on(self.store.log_object(&self.origin, name)).map_err(io::Error::other)
    }
}

impl WriteObjects for StoredLog {
    fn write(&self, objects: &[Object]) -> io::Result<()> {
        let objects = objects.iter().map(|object| {
            check_name(&object.name)?;
            Ok((object.name.clone(), object.bytes.clone()))
        });
        let objects = objects.collect::<io::Result<_>>()?;
        let put = self.store.put_log_objects(self.fence, &self.origin, objects);
        passed_by(self.runtime.block_on(put).map_err(io::Error::other)?)
    }

    fn remove_under(&self, folder: &str) -> io::Result<()> {
        check_name(folder)?;
        let removed = self.store.remove_log_objects(self.fence, &self.origin, folder);
        passed_by(self.runtime.block_on(removed).map_err(io::Error::other)?)
    }
}

/// Where the logs of a ledger are kept: those of a file in folders beside it, those of a database in it.
#[derive(Debug, Clone)]
pub enum Kept {
    /// In folders.
    Folders(Folders),
    /// In the database.
    Stored(StoredLogs),
}

/// The objects of one log, wherever they are.
#[derive(Debug, Clone)]
pub enum KeptLog {
    /// In a folder.
    Folder(Folder),
    /// In the database.
    Stored(StoredLog),
}

impl Kept {
    /// Returns where the logs of a ledger are kept; `folder` is the one beside a file. Must be called by a task of the runtime that
    /// drives the store.
    pub fn of(store: &Store, folder: &Path) -> Self {
        match store {
            Store::Sqlite(_) => Self::Folders(Folders::new(folder)),
            Store::Postgres(store) => Self::Stored(StoredLogs::new(store.clone(), Handle::current())),
        }
    }
}

impl Shelf for Kept {
    type Log = KeptLog;

    fn log(&self, origin: &LogOrigin, fence: u64) -> KeptLog {
        match self {
            Self::Folders(folders) => KeptLog::Folder(folders.log(origin, fence)),
            Self::Stored(stored) => KeptLog::Stored(stored.log(origin, fence)),
        }
    }
}

impl ReadObjects for KeptLog {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Folder(folder) => folder.read(name),
            Self::Stored(stored) => stored.read(name),
        }
    }
}

impl WriteObjects for KeptLog {
    fn write(&self, objects: &[Object]) -> io::Result<()> {
        match self {
            Self::Folder(folder) => folder.write(objects),
            Self::Stored(stored) => stored.write(objects),
        }
    }

    fn remove_under(&self, folder: &str) -> io::Result<()> {
        match self {
            Self::Folder(kept) => kept.remove_under(folder),
            Self::Stored(kept) => kept.remove_under(folder),
        }
    }
}
