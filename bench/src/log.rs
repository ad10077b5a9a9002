//! The transparency log: what an append costs in a log that is large, against one that is all but empty, what a proof costs, and
//! what a monitor takes to read all of it.
//!
//! Both logs are folders on the same disk, and append in the same rounds. An append is a batch of 256 leaves, each object
//! durable before the batch counts.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use gantral_core::digest::Digest;
use gantral_core::ids::LogOrigin;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::leaf::{Leaf, LeafKind};
use gantral_evidence::log::note::{NoteKey, NoteKeyKind, signature_line};
use gantral_evidence::log::policy::LogPolicy;
use gantral_evidence::log::tree::check_inclusion;
use gantral_evidence::trust::KeyRole;
use gantral_keys::{LocalSigner, Signer as _, SigningContext};
use gantral_log::folder::Folder;
use gantral_log::monitor::{Monitor, Occasion, Questions};
use gantral_log::objects::{Object, WriteObjects as _};
use gantral_log::proving::Prover;
use gantral_log::tree::Edge;

use crate::{disk_folder, median, ms, print, quantiles};

/// How many leaves the large log has before it is measured; not a whole number of tiles, so that its tiles are partial.
const LEAVES: u64 = 10_000_100;
/// How many leaves a batch has.
const BATCH: u64 = 256;
/// How many rounds, and how many batches and proofs each has.
const ROUNDS: usize = 5;
const BATCHES: u64 = 100;
const PROOFS: usize = 1_000;

/// Measures and prints.
pub fn run() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("gantral-log").tempdir_in(disk_folder())?;
    let mut empty = Log::new(folder.path().join("empty"));
    let mut large = Log::new(folder.path().join("large"));
    // Batches then end at the same place of a tile in both, and write as many objects.
    empty.load(LEAVES % BATCH)?;
    let loading = Instant::now();
    large.load(LEAVES)?;
    print(&format!("{LEAVES} leaves, loaded in {:.1} s\n", loading.elapsed().as_secs_f64()))?;
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (small, big) = (empty.append(BATCHES)?, large.append(BATCHES)?);
        ratios.push(big / small);
        rates.push(big);
    }
    print(&format!(
        "appends: {:.2}x the throughput of an all but empty log in the large one, which took {:.0} leaves a second\n",
        median(ratios),
        median(rates)
    ))?;
    let mut taken = Vec::new();
    for number in 0..ROUNDS * PROOFS {
        taken.push(large.prove(number as u64)?);
    }
    let [p50, p99] = quantiles(taken).map(ms);
    print(&format!("proofs of inclusion from files: p50 {p50:.2} ms, p99 {p99:.2} ms\n"))?;
    monitor(&mut large)
}

/// Has a monitor read the whole log, and then what one batch adds. Each leaf is a chain of its own: the worst case for its memory.
fn monitor(log: &mut Log) -> Result<()> {
    let signer = LocalSigner::from_pkcs8(KeyRole::Log, &LocalSigner::generate()?)?;
    let key = NoteKey::new("log.example/acme", NoteKeyKind::Text, signer.public_key().clone())?;
    let policy = LogPolicy::parse(format!("log {key}\nquorum none\n").as_bytes())?;
    let mut monitor = Monitor::new(policy);
    for what in ["all", "a batch more"] {
        log.publish(&signer, &key)?;
        let (began, before) = (Instant::now(), resident()?);
        let occasion = Occasion { now_ms: 0, is_live: true };
        let report = monitor.pass(&log.folder, &Questions::default(), occasion)?;
        ensure!(report.is_clean(), "the monitor found {:?}", report.findings);
        let (taken, kept) = (began.elapsed().as_secs_f64(), resident()?.saturating_sub(before));
        let state = monitor.state().context("a clean pass is remembered")?.len();
        print(&format!(
            "monitor, {what}: {taken:.3} s, {:.0} leaves a second, {:.0} MiB more of memory, {:.0} MiB of state\n",
            (log.edge.size() - report.known) as f64 / taken,
            kept as f64 / 1_048_576.0,
            state as f64 / 1_048_576.0
        ))?;
        log.append(1)?;
    }
    Ok(())
}

/// Returns how many bytes of memory this process has.
fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1_024)
}

/// One log, and what stands at its edge.
struct Log {
    root: PathBuf,
    folder: Folder,
    edge: Edge,
}

impl Log {
    fn new(root: PathBuf) -> Self {
        let folder = Folder::new(&root);
        Self { root, folder, edge: Edge::default() }
    }

    fn batch(&mut self, count: u64) -> Result<Vec<Object>> {
        let from = self.edge.size();
        Ok(self.edge.append(&(from..from + count).map(leaf).collect::<Vec<_>>())?)
    }

    /// Appends without waiting for the disk, which is not what is measured.
    fn load(&mut self, leaves: u64) -> Result<()> {
        let mut left = leaves;
        while left > 0 {
            let count = left.min(64 * BATCH);
            left -= count;
            for object in self.batch(count)? {
                let path = self.root.join(&object.name);
                fs::create_dir_all(path.parent().context("an object is in a folder")?)?;
                fs::write(path, object.bytes)?;
            }
        }
        Ok(())
    }

    /// Appends batches, each durable, and returns how many leaves that were a second.
    fn append(&mut self, batches: u64) -> Result<f64> {
        let began = Instant::now();
        for _ in 0..batches {
            let objects = self.batch(BATCH)?;
            self.folder.write(&objects)?;
        }
        Ok((batches * BATCH) as f64 / began.elapsed().as_secs_f64())
    }

    /// Signs and publishes the checkpoint.
    fn publish(&self, signer: &LocalSigner, key: &NoteKey) -> Result<()> {
        let origin = LogOrigin::parse(key.name())?;
        let text = Checkpoint { origin, tree: self.edge.head() }.text();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let signature = runtime.block_on(signer.sign(SigningContext::Checkpoint, text.as_bytes()))?;
        let bytes = format!("{text}\n{}", signature_line(key, &signature.bytes)).into_bytes();
        Ok(self.folder.write(&[Object { name: "checkpoint".to_owned(), bytes }])?)
    }

    /// Makes one proof of a leaf somewhere, from the files alone, and returns how long that took.
    fn prove(&self, number: u64) -> Result<Duration> {
        let tree = self.edge.head();
        let index = number.wrapping_mul(7_919_000_017) % tree.size;
        let began = Instant::now();
        let proof = Prover::new(&self.folder, tree.size)?.inclusion(index)?;
        let taken = began.elapsed();
        check_inclusion(index, tree.size, &tree.root, &leaf(index).tree_hash(), &proof)?;
        Ok(taken)
    }
}

/// Returns a leaf like any other: its content is of no importance to a tree.
fn leaf(number: u64) -> Leaf {
    let tag = Digest::of(&number.to_be_bytes());
    Leaf { kind: LeafKind::Artifact, sequence: 0, terminal: false, tag, hash: tag, issuer: [0; 8] }
}
