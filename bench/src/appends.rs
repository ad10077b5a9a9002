//! Durable appends: how many a second, against what the disk itself gives.
//!
//! Every round measures the raw group commit (the same queue, `pwrite` and `fdatasync`) and the store side by side, so
//! that the ratio survives a noisy machine. An append is one artifact of 1 KiB, the index row, compare-and-swap. Writer
//! CPU is what the kernel accounts to the writer's thread.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, InstanceId, TeamId, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;
use gantral_store::{
    Append, AppendOutcome, Changes, Head, InstanceIndex, ModeCode, SealedArtifact, StateCode, Store, Wake,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// The size of one artifact, in bytes.
const ARTIFACT_BYTES: usize = 1_024;
/// How long each measurement runs.
const MEASURE: Duration = Duration::from_secs(2);
/// How many rounds; the median counts.
const ROUNDS: usize = 5;
/// The most jobs of one raw commit, as in the store.
const BATCH_MAX: usize = 1_024;
/// How many instances the small store has, and how many the large one.
const INSTANCES: [usize; 2] = [10_000, 1_000_000];

/// What one measurement of the store gave.
#[derive(Debug, Clone, Copy)]
struct Measured {
    per_second: f64,
    writer_micros: f64,
    per_commit: f64,
}

/// Measures and prints. With `large`, also a store of a million instances, which takes minutes to load.
pub fn run(large: bool) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("gantral-appends").tempdir_in(".")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure_all(folder.path(), large))
}

async fn measure_all(folder: &Path, large: bool) -> Result<()> {
    let sizes = if large { INSTANCES.as_slice() } else { INSTANCES.get(..1).unwrap_or_default() };
    let mut throughput = Vec::new();
    for &instances in sizes {
        let store = Store::open_sqlite(&folder.join(format!("{instances}.db")))?;
        let loading = Instant::now();
        let mut chains = load(&store, instances).await?;
        say(&format!("{instances} instances, loaded in {:.1} s", loading.elapsed().as_secs_f64()));
        for writers in [1, 64, 256] {
            let (mut ratios, mut measured, mut raws) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let raw = raw(&folder.join("raw"), writers).await?;
                let one = appends(&store, &mut chains, writers).await?;
                ratios.push(one.per_second / raw);
                raws.push(raw);
                measured.push(one);
            }
            let per_second = median(measured.iter().map(|one| one.per_second));
            say(&format!(
                "{writers:>4} writers: {:.2} of the raw group commit ({per_second:.0} against {:.0} a second), \
                 {:.1} us of writer CPU an append, {:.0} appends a commit",
                median(ratios),
                median(raws),
                median(measured.iter().map(|one| one.writer_micros)),
                median(measured.iter().map(|one| one.per_commit)),
            ));
            if writers == 256 {
                throughput.push(per_second);
            }
        }
    }
    if let [small, large] = throughput[..] {
        say(&format!("throughput of the large store: {:.2} of the small one", large / small));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
fn say(line: &str) {
    println!("{line}");
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One raw commit request: the bytes, and the caller that waits.
type Raw = (Vec<u8>, oneshot::Sender<()>);

/// Measures `pwrite` and `fdatasync` behind the same kind of queue, in commits of one caller a second.
async fn raw(path: &Path, writers: usize) -> Result<f64> {
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
    let (sender, queue) = mpsc::channel::<Raw>(4 * BATCH_MAX);
    let thread = thread::spawn(move || raw_writer(&file, queue));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let (sender, stop, done) = (sender.clone(), Arc::clone(&stop), Arc::clone(&done));
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let (caller, answer) = oneshot::channel();
                sender.send((vec![7; ARTIFACT_BYTES], caller)).await?;
                answer.await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    drop(sender);
    let rate = timed(&stop, &done).await;
    for result in tasks.join_all().await {
        result?;
    }
    thread.join().map_err(|_| anyhow::anyhow!("the raw writer has panicked"))??;
    fs::remove_file(path)?;
    Ok(rate)
}

fn raw_writer(file: &File, mut queue: mpsc::Receiver<Raw>) -> Result<()> {
    let mut offset = 0;
    let mut callers = Vec::with_capacity(BATCH_MAX);
    let mut bytes = Vec::with_capacity(BATCH_MAX * ARTIFACT_BYTES);
    while let Some((first, caller)) = queue.blocking_recv() {
        bytes.extend_from_slice(&first);
        callers.push(caller);
        while callers.len() < BATCH_MAX
            && let Ok((next, caller)) = queue.try_recv()
        {
            bytes.extend_from_slice(&next);
            callers.push(caller);
        }
        file.write_all_at(&bytes, offset)?;
        file.sync_data()?;
        offset += bytes.len() as u64;
        bytes.clear();
        for caller in callers.drain(..) {
            // An error says that the measurement is over.
            let _ = caller.send(());
        }
    }
    Ok(())
}

/// Lets the tasks run for a while, and returns how many a second they did.
async fn timed(stop: &AtomicBool, done: &AtomicU64) -> f64 {
    let (began, before) = (Instant::now(), done.load(Ordering::Relaxed));
    tokio::time::sleep(MEASURE).await;
    let count = done.load(Ordering::Relaxed) - before;
    stop.store(true, Ordering::Relaxed);
    count as f64 / began.elapsed().as_secs_f64()
}

/// One instance to append to.
#[derive(Debug, Clone)]
struct Chain {
    append: Append,
}

impl Chain {
    fn new(number: usize) -> Result<Self> {
        let digest = Digest::of(&number.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(digest.as_bytes().get(..16).context("a digest has 32 bytes")?);
        let index = InstanceIndex {
            state: StateCode(1),
            mode: ModeCode(1),
            team: TeamId::parse("payments")?,
            workflow: WorkflowId::parse("refund")?,
            workflow_version: digest,
            session: None,
            created_by: ActorId::parse("agent")?,
            created_at: UnixMillis::new(1_700_000_000_000 + number as u64)?,
            waiting_since: None,
            due_at: None,
            call_key: None,
            open: true,
        };
        let append = Append {
            tenant: TenantId::parse("default")?,
            instance: InstanceId::from_random(id),
            expected: None,
            artifacts: Vec::new(),
            index,
            guards: Vec::new(),
            effects: Vec::new(),
            idempotency: None,
        };
        Ok(Self { append })
    }

    /// Appends one artifact; every fourth moves the state, as a gate does.
    async fn step(&mut self, store: &Store) -> Result<()> {
        let sequence = self.append.expected.map_or(0, |head| head.sequence + 1);
        let mut hash = [0; 32];
        hash.get_mut(..8).context("a digest has 32 bytes")?.copy_from_slice(&sequence.to_be_bytes());
        let head = Head { sequence, hash: Digest::from_bytes(hash) };
        let envelope = vec![7; ARTIFACT_BYTES];
        self.append.artifacts = vec![SealedArtifact { sequence, hash: head.hash, envelope }];
        self.append.index.state = StateCode((sequence / 4 % 3) as u8);
        ensure!(
            store.append(self.append.clone()).await? == AppendOutcome::Committed,
            "the append was refused"
        );
        self.append.expected = Some(head);
        Ok(())
    }
}

/// Creates the instances.
async fn load(store: &Store, instances: usize) -> Result<Vec<Chain>> {
    let mut tasks = JoinSet::new();
    let share = instances.div_ceil(256);
    for first in (0..instances).step_by(share.max(1)) {
        let store = store.clone();
        tasks.spawn(async move {
            let mut chains = Vec::new();
            for number in first..instances.min(first + share) {
                let mut chain = Chain::new(number)?;
                chain.step(&store).await?;
                chains.push(chain);
            }
            anyhow::Ok(chains)
        });
    }
    let mut chains = Vec::with_capacity(instances);
    for made in tasks.join_all().await {
        chains.extend(made?);
    }
    Ok(chains)
}

/// Measures appends to instances spread over the whole store.
async fn appends(store: &Store, chains: &mut Vec<Chain>, writers: usize) -> Result<Measured> {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let share = chains.len().div_ceil(writers).max(1);
    let mut tasks = JoinSet::new();
    while !chains.is_empty() {
        let mut own = chains.split_off(chains.len().saturating_sub(share));
        let (store, stop, done) = (store.clone(), Arc::clone(&stop), Arc::clone(&done));
        tasks.spawn(async move {
            let count = own.len();
            for turn in 0.. {
                // A stride that visits every chain before it comes back, far from the one before.
                let chain = own.get_mut(turn * 7_919 % count).context("a stride stays inside")?;
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                chain.step(&store).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(own)
        });
    }
    let commits = Arc::new(AtomicU64::new(0));
    let counter = tokio::spawn(count_commits(store.subscribe(), Arc::clone(&commits)));
    let cpu = writer_nanos()?;
    let rate = timed(&stop, &done).await;
    let cpu = writer_nanos()? - cpu;
    let count = done.load(Ordering::Relaxed).max(1);
    let per_commit = count as f64 / commits.load(Ordering::Relaxed).max(1) as f64;
    counter.abort();
    for own in tasks.join_all().await {
        chains.extend(own?);
    }
    Ok(Measured { per_second: rate, writer_micros: cpu as f64 / 1_000.0 / count as f64, per_commit })
}

async fn count_commits(mut changes: Changes, commits: Arc<AtomicU64>) {
    loop {
        match changes.next().await {
            Wake::Committed(_) => commits.fetch_add(1, Ordering::Relaxed),
            Wake::Lagged(missed) => commits.fetch_add(missed, Ordering::Relaxed),
            Wake::Closed => return,
        };
    }
}

/// Returns the processor time of the store's writer so far, in nanoseconds.
fn writer_nanos() -> Result<u64> {
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim_end() == "gantral-writer" {
            let stat = fs::read_to_string(task.join("schedstat"))?;
            return Ok(stat.split(' ').next().context("the kernel keeps no schedule statistics")?.parse()?);
        }
    }
    anyhow::bail!("no thread of this process is the store's writer")
}
