//! The threads that read, each over its own connection.

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

/// The queue of reads.
#[derive(Debug)]
pub(super) struct Readers(mpsc::Sender<Read>);

impl Readers {
    /// Starts one thread for each connection.
    pub(super) fn start(connections: Vec<Connection>) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
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
        Ok((Self(sender), threads))
    }

    /// Runs one read on whichever thread is free.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fail> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (caller, answer) = oneshot::channel();
        let work: Read = Box::new(move |connection| {
            // An error says that the caller no longer waits.
            let _ = caller.send(read(connection));
        });
        let lost = || StoreError::Failed { reason: "the readers have ended".to_owned() };
        self.0.send(work).await.map_err(|_| lost())?;
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
