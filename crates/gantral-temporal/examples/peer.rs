//! What a team would build upon Temporal alone for a human gate, as a peer of the benchmark: a workflow that waits for a human, an update that says
//! what the human decided, and one activity that records it. Worker and clients are this process; the server is the one that it is given.
//!
//! It reads lines `CLIENTS SECONDS` from its input, and answers each with one of JSON: gates a second and how long a gate and its update took.
//! There is no policy in it, nobody is authenticated, and nothing is signed.
#![expect(missing_docs, reason = "the macros write a constant beside each method, without a word")]

use std::io::{BufRead as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use gantral_temporal::bridge::connect;
use temporalio_client::{Client, WorkflowExecuteUpdateOptions, WorkflowStartOptions};
use temporalio_common::worker::WorkerDeploymentOptions;
use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{
    ActivityOptions, Runtime, Worker, WorkerOptions, WorkflowContext, WorkflowContextView, WorkflowResult,
};
use tokio::task::{JoinSet, LocalSet};

/// The task queue.
const QUEUE: &str = "gates";
/// How long the activity may take.
const RECORD_WITHIN: Duration = Duration::from_secs(10);

/// A gate: what is asked, and what the human said.
#[workflow]
pub struct Gate {
    amount: u64,
    decision: Option<String>,
}

#[workflow_methods]
impl Gate {
    #[init]
    fn new(_: &WorkflowContextView, amount: u64) -> Self {
        Self { amount, decision: None }
    }

    /// Waits for the human.
    #[run]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<String> {
        ctx.wait_condition(|this| this.decision.is_some()).await?;
        Ok(ctx.state(|this| this.decision.clone()).unwrap_or_default())
    }

    /// Records what the human decided, and lets the workflow go on.
    #[update]
    pub async fn decide(
        ctx: &mut WorkflowContext<Self>,
        decision: String,
    ) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        let options = ActivityOptions::with_start_to_close_timeout(RECORD_WITHIN).build();
        ctx.execute_activity(Record::record, decision.clone(), options).await?;
        ctx.state_mut(|this| this.decision = Some(decision));
        Ok(ctx.state(|this| this.amount))
    }
}

/// What is done outside of the workflow: here nothing but an answer, which is the least that it can cost.
pub struct Record;

#[activities]
impl Record {
    /// Takes the decision.
    #[activity]
    pub async fn record(_ctx: ActivityContext, decision: String) -> Result<usize, ActivityError> {
        Ok(decision.len())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = connect().await?;
    let runtime = Runtime::from_current_tokio(Default::default()).map_err(|error| anyhow!("{error}"))?;
    let options = WorkerOptions::new(QUEUE)
        .deployment_options(WorkerDeploymentOptions::from_build_id("peer".to_owned()))
        .register_activities(Record)
        .register_workflow::<Gate>()?
        .build();
    let mut worker = Worker::new(&runtime, client.clone(), options).map_err(|error| anyhow!("{error}"))?;
    let stop = worker.shutdown_handle();
    LocalSet::new()
        .run_until(async move {
            let working = tokio::task::spawn_local(async move {
                worker.run().await.map_err(|error| anyhow!("the worker ended: {error}"))
            });
            serve(&client).await?;
            stop();
            working.await?
        })
        .await
}

/// Measures as it is told, until there is no further line.
async fn serve(client: &Client) -> Result<()> {
    loop {
        let mut line = String::new();
        let (read, line) = tokio::task::spawn_blocking(move || {
            std::io::stdin().lock().read_line(&mut line).map(|n| (n, line))
        })
        .await??;
        if read == 0 {
            return Ok(());
        }
        let (clients, seconds) = line.trim().split_once(' ').context("a line is `CLIENTS SECONDS`")?;
        let answer = measure(client, clients.parse()?, Duration::from_secs(seconds.parse()?)).await?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
}

/// How long one gate took, and how long its update.
struct Taken {
    gate: Duration,
    update: Duration,
}

async fn measure(client: &Client, clients: usize, time: Duration) -> Result<String> {
    let began = Instant::now();
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let client = client.clone();
        running.spawn(async move {
            let mut all = Vec::new();
            while began.elapsed() < time {
                all.push(gate(&client).await?);
            }
            Ok::<_, anyhow::Error>(all)
        });
    }
    let mut all = Vec::new();
    while let Some(some) = running.join_next().await {
        all.extend(some??);
    }
    let per_second = all.len() as f64 / began.elapsed().as_secs_f64();
    let gates = quantiles(all.iter().map(|taken| taken.gate));
    let updates = quantiles(all.iter().map(|taken| taken.update));
    Ok(serde_json::json!({ "per_second": per_second, "gate_ms": gates, "update_ms": updates }).to_string())
}

/// One whole gate: it is asked for, and a human decides.
async fn gate(client: &Client) -> Result<Taken> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = format!("gate-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let began = Instant::now();
    let workflow =
        client.start_workflow(Gate::run, 4_800, WorkflowStartOptions::new(QUEUE, id).build()).await?;
    let asked = began.elapsed();
    let options = WorkflowExecuteUpdateOptions::default();
    workflow.execute_update(Gate::decide, "REJECT".to_owned(), options).await?;
    let gate = began.elapsed();
    Ok(Taken { gate, update: gate.saturating_sub(asked) })
}

/// Returns the median and the 99th of a hundred, in milliseconds.
fn quantiles(all: impl Iterator<Item = Duration>) -> [f64; 2] {
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    [0.5, 0.99].map(|share| {
        let at = (all.len() as f64 * share) as usize;
        all.get(at).map_or(f64::NAN, |taken| taken.as_secs_f64() * 1e3)
    })
}
