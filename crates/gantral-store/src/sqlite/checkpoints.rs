//! Copying the write-ahead log into the file, on a thread of its own.
//!
//! A checkpoint reads and flushes for tens of milliseconds. The thread copies what is there while the writer goes on; the
//! writer then copies the little that came meanwhile, so that the log may start over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

/// The log is copied when it has this many pages: 64 MB of those that a new file has.
const PAGES: u32 = 8_000;
/// How many pages more before the copy is tried again, when a reader kept the log from starting over.
const PAGES_MORE: u32 = 2_000;

/// The writer's side: when to order a copy, and when one is done.
pub(super) struct Checkpoints {
    /// Pages in the log, as the last commit left it.
    pages: Arc<AtomicU32>,
    /// At how many pages the next copy is ordered.
    next: u32,
    under_way: bool,
    orders: SyncSender<()>,
    done: Receiver<()>,
}

impl Checkpoints {
    /// Starts the thread over a connection of its own, and watches the log through the writer's.
    pub(super) fn start(writer: &mut Connection, own: Connection) -> io::Result<(Self, JoinHandle<()>)> {
        let pages = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&pages);
        writer
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
                seen.store(u32::try_from(count).unwrap_or(u32::MAX), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(io::Error::other)?;
        let (orders, ordered) = sync_channel::<()>(1);
        let (finished, done) = sync_channel(1);
        let thread = thread::Builder::new().name("gantral-checkpoint".to_owned()).spawn(move || {
            while ordered.recv().is_ok() {
                copy(&own);
                if finished.send(()).is_err() {
                    return;
                }
            }
        })?;
        Ok((Self { pages, next: PAGES, under_way: false, orders, done }, thread))
    }

    /// Called between two commits, with the writer's connection.
    pub(super) fn after_commit(&mut self, writer: &Connection) {
        if self.under_way {
            match self.done.try_recv() {
                Err(TryRecvError::Empty) => return,
                Ok(()) | Err(TryRecvError::Disconnected) => self.under_way = false,
            }
            copy(writer);
            self.next = self.pages.load(Ordering::Relaxed).saturating_add(PAGES_MORE);
            return;
        }
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < PAGES {
            self.next = PAGES;
        } else if pages >= self.next {
            self.under_way = self.orders.try_send(()).is_ok();
        }
    }

    /// Waits for a copy that is under way.
    pub(super) fn settle(&mut self) {
        if self.under_way {
            // An error says that the thread has ended, and that nothing is under way.
            let _ = self.done.recv();
            self.under_way = false;
        }
    }
}

/// Copies what no reader holds. What is not copied stays in the log, durable and readable, for the next time.
fn copy(connection: &Connection) {
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log was not copied into the file; the next copy tries again");
    }
}
