//! Reading: threads that do, each over its own connection, and connections that whoever asks for a few rows borrows.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::writer::Fail;
use crate::error::StoreError;

/// The most reads that wait; who comes later waits for room.
const QUEUE_MAX: usize = 4_096;

type Read = Box<dyn FnOnce(&Connection) + Send>;

/// The queue of reads, and what is lent.
#[derive(Debug)]
pub(super) struct Readers {
    /// `None` where whoever asks reads everything itself.
    queue: Option<mpsc::Sender<Read>>,
    lent: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Starts one thread for each connection of the first; the others are lent.
    pub(super) fn start(
        connections: Vec<Connection>,
        lent: Vec<Connection>,
    ) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (sender, queue) = mpsc::channel::<Read>(QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let threads = connections
            .into_iter()
            .map(|connection| {
                let queue = Arc::clone(&queue);
                thread::Builder::new()
                    .name("gantral-reader".to_owned())
                    .spawn(move || work(&queue, &connection))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok((Self { queue: Some(sender), lent: Mutex::new(lent) }, threads))
    }

    /// Starts no thread: whoever asks borrows a connection.
    pub(super) fn here(lent: Vec<Connection>) -> Self {
        Self { queue: None, lent: Mutex::new(lent) }
    }

    /// Reads a few rows by their keys on the thread that asks, if a connection is there to be lent: that takes microseconds, and the way to
    /// another thread and back takes ten times as long.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.borrow() {
            Some(connection) => self.read_by(connection, read),
            None => self.send(read).await,
        }
    }

    fn borrow(&self) -> Option<Connection> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn read_by<T>(
        &self,
        connection: Connection,
        read: impl FnOnce(&Connection) -> Result<T, Fail>,
    ) -> Result<T, StoreError> {
        let found = read(&connection);
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        found.map_err(|fail| fail.told())
    }

    /// Runs one read on whichever thread is free.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.queue.is_none()
            && let Some(connection) = self.borrow()
        {
            return self.read_by(connection, read);
        }
        self.send(read).await
    }

    async fn send<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (caller, answer) = oneshot::channel();
        let work: Read = Box::new(move |connection| {
            // An error says that the caller no longer waits.
            let _ = caller.send(read(connection));
        });
        let lost = || StoreError::Failed { reason: "the readers have ended".to_owned() };
        let queue = self.queue.as_ref().ok_or_else(lost)?;
        queue.send(work).await.map_err(|_| lost())?;
        answer.await.map_err(|_| lost())?.map_err(|fail| fail.told())
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Read>>, connection: &Connection) {
    loop {
        // One thread waits for the queue; the others wait for it to take one.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        match next {
            Some(read) => read(connection),
            None => return,
        }
    }
}
