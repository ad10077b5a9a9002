//! The raw group commit: what the disk gives to whoever writes the same bytes and nothing else.
//!
//! The callers, the queue and the most appends of a batch are the store's. An append is one `pwrite` at the end of a file,
//! a batch one `fdatasync`: no index, no comparison, no second copy, which is what the ratio to it charges the store for.
//! The file grows with each batch, so that its inode is flushed too; a write-ahead log that starts over writes where it
//! has written before, and is spared that. A single writer may therefore be faster in the store than here; with many
//! writers the batches outweigh it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::Result;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::meter::{Disk, Meter, Window};

/// The size of one artifact, in bytes.
pub const ARTIFACT_BYTES: usize = 1_024;
/// The most appends of one commit, as in the store.
const BATCH_MAX: usize = 1_024;
/// The most appends that wait, as in the store.
const QUEUE_MAX: usize = 4 * BATCH_MAX;

/// One append: its bytes, and the caller that waits.
type Append = (Vec<u8>, oneshot::Sender<()>);

/// Measures `writers` callers of one file at `path`, which is removed afterwards.
pub async fn measure(path: &Path, writers: usize, disk: Option<&Disk>) -> Result<Window> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    let (sender, queue) = mpsc::channel::<Append>(QUEUE_MAX);
    let meter = Arc::new(Meter::default());
    let thread = {
        let meter = Arc::clone(&meter);
        thread::spawn(move || write(&file, queue, &meter))
    };
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let (sender, meter) = (sender.clone(), Arc::clone(&meter));
        tasks.spawn(async move {
            while meter.goes_on() {
                let (caller, answer) = oneshot::channel();
                sender.send((vec![7; ARTIFACT_BYTES], caller)).await?;
                answer.await?;
                meter.appended();
            }
            anyhow::Ok(())
        });
    }
    drop(sender);
    let window = meter.measure(disk).await?;
    for result in tasks.join_all().await {
        result?;
    }
    thread.join().map_err(|_| anyhow::anyhow!("the raw writer has panicked"))??;
    fs::remove_file(path)?;
    Ok(window)
}

/// Commits what is queued until the queue is closed and empty.
fn write(file: &File, mut queue: mpsc::Receiver<Append>, meter: &Meter) -> Result<()> {
    let mut offset = 0;
    let mut callers = Vec::with_capacity(BATCH_MAX);
    while let Some(first) = queue.blocking_recv() {
        let mut next = Some(first);
        while let Some((bytes, caller)) = next {
            file.write_all_at(&bytes, offset)?;
            offset += bytes.len() as u64;
            callers.push(caller);
            next = if callers.len() < BATCH_MAX { queue.try_recv().ok() } else { None };
        }
        file.sync_data()?;
        meter.committed(1);
        for caller in callers.drain(..) {
            // An error says that the measurement is over.
            let _ = caller.send(());
        }
    }
    Ok(())
}
