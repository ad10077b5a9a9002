//! Durable appends: how many a second, against what the disk itself gives and against PostgreSQL.
//!
//! Every round measures the raw group commit, the store and PostgreSQL one after the other, so that the ratios survive a
//! noisy machine; the median of the rounds counts. An append is one artifact of 1 KiB, the index row, compare-and-swap,
//! and is durable when it is answered.

mod postgres;
mod store;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use gantral_core::digest::Digest;
use tokio::task::JoinSet;

use self::postgres::Postgres;
use self::store::{Ledger, Measured};
use crate::meter::{Disk, Meter, Window};
use crate::postgres::{Binaries, SETTINGS_TOLD};
use crate::raw::ARTIFACT_BYTES;
use crate::{median, print, raw};

/// How many rounds; the median counts.
const ROUNDS: usize = 5;
/// How many callers append at a time, each waiting for its answer.
const WRITERS: [usize; 3] = [1, 64, 256];
/// How many instances the small store has, and how many the large one.
const INSTANCES: [usize; 2] = [10_000, 1_000_000];

/// What the words of the figures mean, printed above them.
const LEGEND: &str = "\
Ratios are medians of the ratios of each round, other figures medians of the rounds.
A commit is one batch of the writer: one `fdatasync` of the raw file, one transaction of the store. A flush is one that
the disk counted, whoever asked for it, so that an idle machine shows it best.
";

/// Measures and prints. With `large`, also stores of a million instances, which take minutes to load.
pub fn run(large: bool) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("gantral-appends").tempdir_in(crate::disk_folder())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure_all(folder.path(), large))
}

async fn measure_all(folder: &Path, large: bool) -> Result<()> {
    print(LEGEND)?;
    let disk = Disk::of(folder)?;
    if disk.is_none() {
        print("Flushes are left out: the disk of this folder does not count them.\n")?;
    }
    let binaries = Binaries::find();
    match &binaries {
        Some(found) => print(&format!("{} with {}\n", found.version()?, SETTINGS_TOLD))?,
        None => print("PostgreSQL is left out: no `initdb` and `postgres` are installed here.\n")?,
    }
    let sizes = if large { INSTANCES.as_slice() } else { INSTANCES.get(..1).unwrap_or_default() };
    let mut throughput = Vec::new();
    for &instances in sizes {
        let loading = Instant::now();
        let mut ledger = Ledger::load(&folder.join(format!("{instances}.db")), instances).await?;
        print(&format!("\n{instances} instances, loaded in {:.1} s\n", loading.elapsed().as_secs_f64()))?;
        let mut postgres = match &binaries {
            Some(binaries) => Some(Postgres::load(binaries, instances).await?),
            None => None,
        };
        for writers in WRITERS {
            let mut rounds = Vec::with_capacity(ROUNDS);
            for _ in 0..ROUNDS {
                let raw = raw::measure(&folder.join("raw"), writers, disk.as_ref()).await?;
                let store = ledger.measure(writers, disk.as_ref()).await?;
                let postgres = match &mut postgres {
                    Some(postgres) => Some(postgres.measure(writers, disk.as_ref()).await?),
                    None => None,
                };
                rounds.push(Round { raw, store, postgres });
            }
            print(&told(writers, &rounds))?;
            if writers == 256 {
                throughput.push(median(rounds.iter().map(|round| round.store.window.per_second())));
            }
        }
    }
    if let [small, large] = throughput[..] {
        print(&format!("\n{:.2}x the throughput of the small store in the large one\n", large / small))?;
    }
    Ok(())
}

/// What one round gave.
struct Round {
    raw: Window,
    store: Measured,
    postgres: Option<Window>,
}

/// Returns the figures of some rounds in words, the ratios first.
fn told(writers: usize, rounds: &[Round]) -> String {
    let over_raw =
        median(rounds.iter().map(|round| round.store.window.per_second() / round.raw.per_second()));
    let over_postgres = median(rounds.iter().filter_map(|round| {
        let postgres = round.postgres.as_ref()?;
        Some(round.store.window.per_second() / postgres.per_second())
    }));
    let mut text = format!("{writers:>4} writers: {over_raw:.2}x the raw group commit");
    if over_postgres.is_finite() {
        text += &format!(", {over_postgres:.2}x unbatched PostgreSQL");
    }
    let cpu = median(rounds.iter().map(|round| round.store.writer_micros()));
    text.push('\n');
    text += &line("the store", rounds.iter().map(|round| &round.store.window));
    text += &format!(", {cpu:.1} us of writer CPU an append\n");
    text += &line("raw", rounds.iter().map(|round| &round.raw));
    text.push('\n');
    if over_postgres.is_finite() {
        text += &line("PostgreSQL", rounds.iter().filter_map(|round| round.postgres.as_ref()));
        text += &match writers.min(postgres::CONNECTIONS_MAX) {
            1 => ", 1 connection\n".to_owned(),
            many => format!(", {many} connections\n"),
        };
    }
    text
}

/// Returns one contender's line, without its end.
fn line<'a>(name: &str, windows: impl Iterator<Item = &'a Window> + Clone) -> String {
    let mut text =
        format!("      {name:<10} {:>6.0} appends a second", median(windows.clone().map(Window::per_second)));
    let appends = median(windows.clone().filter_map(Window::appends_per_commit));
    if appends.is_finite() {
        text += &format!(", {appends:.1} appends a commit");
    }
    // PostgreSQL does not say how many of its transactions it made durable together; only the flushes tell.
    let per_commit = median(windows.clone().filter_map(Window::flushes_per_commit));
    let appends = median(windows.filter_map(Window::appends_per_flush));
    if per_commit.is_finite() {
        text += &format!(", {per_commit:.2} flushes a commit");
    } else if appends.is_finite() {
        text += &format!(", {appends:.1} appends a flush");
    }
    text
}

/// One instance to append to, and what it is appended through.
trait Chain: Send + Sized + 'static {
    /// A store, or a session of one.
    type Ledger: Send + 'static;

    /// Appends one artifact.
    fn step(&mut self, ledger: &Self::Ledger) -> impl Future<Output = Result<()>> + Send;
}

/// Lets a writer append through each ledger to its own share of the chains, until the meter says otherwise; each then
/// gives its share back.
fn spawn_writers<C: Chain>(
    chains: Vec<C>,
    writers: usize,
    ledgers: impl IntoIterator<Item = C::Ledger>,
    meter: &Arc<Meter>,
) -> JoinSet<Result<Vec<C>>> {
    let mut tasks = JoinSet::new();
    for (mut own, ledger) in shares(chains, writers).into_iter().zip(ledgers) {
        let meter = Arc::clone(meter);
        tasks.spawn(async move {
            let count = own.len();
            let mut turns = 0..;
            while meter.goes_on()
                && let Some(turn) = turns.next()
            {
                let chain = own.get_mut(visited(turn, count)).context("a stride stays inside")?;
                chain.step(&ledger).await?;
                meter.appended();
            }
            Ok(own)
        });
    }
    tasks
}

/// Splits what is appended to among the writers, as evenly as it goes.
fn shares<T>(mut all: Vec<T>, writers: usize) -> Vec<Vec<T>> {
    (1..=writers).rev().map(|left| all.split_off(all.len() - all.len() / left)).collect()
}

/// Returns what a writer with `count` instances appends to in this turn: a stride that visits each of them before it
/// comes back, far from the one before.
fn visited(turn: usize, count: usize) -> usize {
    turn * 7_919 % count
}

/// Returns the identifier of an instance: as random as a real one, and the same for every contender.
fn id(number: usize) -> [u8; 16] {
    let digest = Digest::of(&number.to_be_bytes());
    std::array::from_fn(|at| digest.as_bytes().get(at).copied().unwrap_or_default())
}

/// Returns what stands for the hash of an artifact; nobody seals one here.
fn hash(sequence: u64) -> [u8; 32] {
    let bytes = sequence.to_be_bytes();
    std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())
}

/// Returns the state after an artifact: every fourth moves it, as a gate does.
fn state(sequence: u64) -> u8 {
    (sequence / 4 % 3) as u8
}
