//! Which processes are in a container: those that are in the namespace of processes of its first one.
//!
//! The namespace is held open from the first look, so that its number is given to no other as long as the attempt lives. It is told by
//! whom the engine calls the container's first process, twice: in between, that process had not ended, and its number was nobody else's.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::Engine;

/// The processes inside one container.
#[derive(Debug)]
pub(in crate::runner) struct Inside {
    engine: Arc<Engine>,
    name: String,
    namespace: OnceCell<File>,
}

impl Inside {
    pub(super) fn new(engine: Arc<Engine>, name: String) -> Self {
        Self { engine, name, namespace: OnceCell::new() }
    }

    /// Tells whether a process, as this machine numbers it, is inside. What cannot be found out is not.
    pub(in crate::runner) async fn holds(&self, process: i32) -> bool {
        let Ok(namespace) = self.namespace.get_or_try_init(|| self.look()).await else { return false };
        let is_same = || -> io::Result<bool> {
            let (ours, its) = (namespace.metadata()?, std::fs::metadata(path(process))?);
            Ok((ours.dev(), ours.ino()) == (its.dev(), its.ino()))
        };
        is_same().unwrap_or(false)
    }

    async fn look(&self) -> io::Result<File> {
        let first = self.first().await?;
        let namespace = File::open(path(first))?;
        if self.first().await? != first {
            return Err(io::Error::other("the container ended"));
        }
        let (its, own) = (namespace.metadata()?, std::fs::metadata("/proc/self/ns/pid")?);
        if (its.dev(), its.ino()) == (own.dev(), own.ino()) {
            tracing::error!(
                container = self.name,
                "it shares the processes of this machine, and is given no secret"
            );
            return Err(io::Error::other("the container has no processes of its own"));
        }
        Ok(namespace)
    }

    async fn first(&self) -> io::Result<i32> {
        let found = self.engine.first_process(&self.name).await;
        let found = found.inspect_err(|error| tracing::warn!(%error, "a process that asks cannot be told"));
        found.ok().flatten().ok_or_else(|| io::Error::other("the container does not run"))
    }
}

fn path(process: i32) -> String {
    format!("/proc/{process}/ns/pid")
}
