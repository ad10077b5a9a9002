//! What a command may use, set on the process that becomes it, so that everything it starts inherits it.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// Limits of one process, each of which its descendants have too. What is absent stays as the runner has it.
///
/// There are no core dumps in any case: one would hold the secrets of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time of one process, in seconds; then a signal ends it.
    pub cpu_seconds: Option<u64>,
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// The largest file that a process may write, in bytes.
    pub file_bytes: Option<u64>,
    /// The address space of one process, in bytes.
    pub address_bytes: Option<u64>,
}

impl Limits {
    /// Sets them on this process, for good.
    ///
    /// # Errors
    /// The system's: then the process must not become the command.
    pub(super) fn set(&self) -> io::Result<()> {
        let configured = [
            (Resource::Core, Some(0)),
            (Resource::Cpu, self.cpu_seconds),
            (Resource::Nofile, self.open_files),
            (Resource::Fsize, self.file_bytes),
            (Resource::As, self.address_bytes),
        ];
        for (resource, limit) in configured {
            if let Some(limit) = limit {
                lower(resource, limit)?;
            }
        }
        Ok(())
    }
}

/// Lowers a limit beyond recall; one that is lower already stays.
fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let limit = getrlimit(resource).maximum.map_or(limit, |old| old.min(limit));
    Ok(setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?)
}
