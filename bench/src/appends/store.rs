//! Appends to our store, spread over all of its instances.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, InstanceId, TeamId, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;
use gantral_store::{
    Append, AppendOutcome, Changes, Head, InstanceIndex, ModeCode, NewArtifact, SealedArtifact, StateCode,
    Store, Wake,
};
use tokio::task::JoinSet;

use super::{ARTIFACT_BYTES, Chain as _, hash, id, shares, spawn_writers, state};
use crate::meter::{Disk, Meter, Window};

/// How many callers create the instances.
const LOADERS: usize = 256;

/// What one measurement of the store gave.
pub struct Measured {
    /// What was counted.
    pub window: Window,
    writer_nanos: u64,
}

impl Measured {
    /// Returns the processor time that the kernel accounted to the writer's thread, in microseconds an append.
    pub fn writer_micros(&self) -> f64 {
        self.writer_nanos as f64 / 1_000.0 / self.window.appends().max(1) as f64
    }
}

/// A store, and the heads of its instances.
pub struct Ledger {
    store: Store,
    chains: Vec<Chain>,
}

impl Ledger {
    /// Opens a new store at `path` and creates the instances.
    pub async fn load(path: &Path, instances: usize) -> Result<Self> {
        let store = Store::open_sqlite(path)?;
        let mut tasks = JoinSet::new();
        for numbers in shares((0..instances).collect(), LOADERS) {
            let store = store.clone();
            tasks.spawn(async move {
                let mut chains = Vec::with_capacity(numbers.len());
                for number in numbers {
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
        Ok(Self { store, chains })
    }

    /// Measures `writers` callers, each with its own share of the instances.
    pub async fn measure(&mut self, writers: usize, disk: Option<&Disk>) -> Result<Measured> {
        let meter = Arc::new(Meter::default());
        let counter = tokio::spawn(count_commits(self.store.subscribe(), Arc::clone(&meter)));
        let stores = std::iter::repeat(self.store.clone());
        let tasks = spawn_writers(std::mem::take(&mut self.chains), writers, stores, &meter);
        let before = writer_nanos()?;
        let window = meter.measure(disk).await?;
        let writer_nanos = writer_nanos()? - before;
        for own in tasks.join_all().await {
            self.chains.extend(own?);
        }
        counter.abort();
        Ok(Measured { window, writer_nanos })
    }
}

/// One instance to append to.
struct Chain {
    append: Append,
}

impl Chain {
    fn new(number: usize) -> Result<Self> {
        let created_at = UnixMillis::new(1_700_000_000_000 + number as u64)?;
        let index = InstanceIndex {
            state: StateCode(1),
            mode: ModeCode(1),
            team: TeamId::parse("payments")?,
            workflow: WorkflowId::parse("refund")?,
            workflow_version: Digest::of(b"refund"),
            session: None,
            created_by: ActorId::parse("agent")?,
            created_at,
            waiting_since: None,
            due_at: None,
            call_key: None,
            open: true,
        };
        let append = Append {
            tenant: TenantId::parse("default")?,
            instance: InstanceId::at(created_at.get(), id(number)),
            expected: None,
            artifacts: Vec::new(),
            index,
            guards: Vec::new(),
            effects: Vec::new(),
            idempotency: None,
        };
        Ok(Self { append })
    }
}

impl super::Chain for Chain {
    type Ledger = Store;

    async fn step(&mut self, store: &Store) -> Result<()> {
        let sequence = self.append.expected.map_or(0, |head| head.sequence + 1);
        let head = Head { sequence, hash: Digest::from_bytes(hash(sequence)) };
        let envelope = vec![7; ARTIFACT_BYTES];
        let sealed = SealedArtifact { sequence, hash: head.hash, envelope };
        let artifacts = vec![NewArtifact { sealed, ends_chain: false, signer: [7; 8] }];
        self.append.index.state = StateCode(state(sequence));
        let append = Append { artifacts, ..self.append.clone() };
        ensure!(store.append(append).await? == AppendOutcome::Committed, "the append was refused");
        self.append.expected = Some(head);
        Ok(())
    }
}

/// Counts the store's transactions: the writer announces each of them once.
async fn count_commits(mut changes: Changes, meter: Arc<Meter>) {
    loop {
        match changes.next().await {
            Wake::Committed(_) => meter.committed(1),
            Wake::Lagged(missed) => meter.committed(missed),
            Wake::Closed => return,
        }
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
