//! Counting for a while: appends, commits, and the flushes of the disk.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::fs::{major, minor};

/// How long each measurement runs.
const MEASURE: Duration = Duration::from_secs(2);
/// Which number of a disk's statistics counts the flushes it completed (the kernel's `Documentation/block/stat.rst`).
const FLUSHES_FIELD: usize = 15;

/// What the writers of one measurement share.
#[derive(Debug, Default)]
pub struct Meter {
    stopped: AtomicBool,
    appends: AtomicU64,
    commits: AtomicU64,
}

impl Meter {
    /// Says whether the writers go on.
    pub fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }

    /// Counts one append, after its answer.
    pub fn appended(&self) {
        self.appends.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts batches that became durable.
    pub fn committed(&self, batches: u64) {
        self.commits.fetch_add(batches, Ordering::Relaxed);
    }

    /// Lets the writers run for a while, tells them to stop, and returns what they did meanwhile.
    pub async fn measure(&self, disk: Option<&Disk>) -> Result<Window> {
        let before = self.read(disk)?;
        let began = Instant::now();
        tokio::time::sleep(MEASURE).await;
        let seconds = began.elapsed().as_secs_f64();
        let after = self.read(disk)?;
        self.stopped.store(true, Ordering::Relaxed);
        Ok(Window {
            seconds,
            appends: after.appends - before.appends,
            commits: after.commits - before.commits,
            flushes: after.flushes.zip(before.flushes).map(|(after, before)| after - before),
        })
    }

    fn read(&self, disk: Option<&Disk>) -> Result<Counts> {
        Ok(Counts {
            appends: self.appends.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            flushes: disk.map(Disk::flushes).transpose()?,
        })
    }
}

/// What the counters show at one moment.
struct Counts {
    appends: u64,
    commits: u64,
    flushes: Option<u64>,
}

/// What happened in one measurement.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    seconds: f64,
    appends: u64,
    /// None when nobody counted them.
    commits: u64,
    flushes: Option<u64>,
}

impl Window {
    /// Returns how many appends were answered.
    pub fn appends(&self) -> u64 {
        self.appends
    }

    /// Returns how many appends were answered a second.
    pub fn per_second(&self) -> f64 {
        self.appends as f64 / self.seconds
    }

    /// Returns how many appends one commit made durable, where commits were counted.
    pub fn appends_per_commit(&self) -> Option<f64> {
        ratio(self.appends, self.commits)
    }

    /// Returns how many flushes of the disk one commit took, where both were counted.
    pub fn flushes_per_commit(&self) -> Option<f64> {
        ratio(self.flushes?, self.commits)
    }

    /// Returns how many appends one flush of the disk made durable.
    pub fn appends_per_flush(&self) -> Option<f64> {
        ratio(self.appends, self.flushes?)
    }
}

fn ratio(of: u64, to: u64) -> Option<f64> {
    (to > 0).then(|| of as f64 / to as f64)
}

/// The disk below a folder, as the kernel counts its work.
#[derive(Debug)]
pub struct Disk {
    statistics: PathBuf,
}

impl Disk {
    /// Returns the disk below `folder`, or nothing when it has none of its own or does not count flushes.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn of(folder: &Path) -> Result<Option<Self>> {
        let device = fs::metadata(folder)?.dev();
        let block = PathBuf::from(format!("/sys/dev/block/{}:{}", major(device), minor(device)));
        // Flushes are counted for the whole disk, which stands above its partitions.
        let whole = if block.join("partition").exists() { block.join("..") } else { block };
        let disk = Self { statistics: whole.join("stat") };
        // A disk that has flushed nothing since the machine started is one that does not count.
        Ok(disk.flushes().is_ok_and(|flushes| flushes > 0).then_some(disk))
    }

    /// Returns how many flushes the disk has completed, for any process.
    fn flushes(&self) -> Result<u64> {
        let text = fs::read_to_string(&self.statistics)?;
        let field = text.split_whitespace().nth(FLUSHES_FIELD);
        Ok(field.context("the kernel counts no flushes")?.parse()?)
    }
}
