//! Many instances that wait for humans: what a gate costs among them, what a start costs, a page of the inbox, memory, and whether what is due
//! is done in time. Measured with few and with many, by the same server over the same file.

use std::fmt::Write as _;
use std::path::Path;
use std::slice;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use gantral_policy::bundle::Bundle;

use crate::gates::{Agent, all_of, apply, measure, text};
use crate::http::Connection;
use crate::server::Server;
use crate::{disk_folder, median, ms, quantiles};

/// How many wait at last, unless it is said.
pub const INSTANCES: usize = 1_000_000;
/// With how many it is measured first.
const FEW: usize = 10_000;
/// How often gates are measured; the median counts.
const ROUNDS: usize = 5;
/// How many ask at the same time.
const CONNECTIONS: usize = 64;
/// How often a page is read.
const PAGES: usize = 200;
/// How often something is let come due.
const DUE: usize = 10;
/// The amount of a refund that humans have a day for, and of one that they have two seconds for.
const LONG: u64 = 4_800;
const SHORT: u64 = 200;
/// How long humans have for the short one.
const SHORT_TIME: Duration = Duration::from_secs(2);
/// How often it is looked whether something was done.
const LOOK: Duration = Duration::from_millis(5);
/// How long something due is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

const POLICY: &str = "package gantral.policy\n\ndefault decision := \"REQUIRE_HUMAN\"\n\n\
    decision := \"ALLOW\" if input.action.parameters.amount <= 100\n\n\
    timeout := \"2s\" if input.action.parameters.amount == 200\n\n\
    timeout := \"24h\" if input.action.parameters.amount > 200\n\n\
    approver_roles := [\"RISK_OFFICER\"]\n";

const LEGEND: &str = "\
waiting      ALLOW/s  human/s   start  first page p50, p99    last page  due, late by  memory  ledger
";

/// What was measured with so many waiting.
struct Measured {
    waiting: usize,
    allowed: f64,
    human: f64,
    start: Duration,
    first: [Duration; 2],
    last: Duration,
    late: Duration,
    memory: u64,
    ledger: u64,
}

/// Lets `instances` wait, measures with few and with all, and prints both.
pub fn run(instances: usize) -> Result<()> {
    ensure!(instances > FEW, "more than {FEW} instances are needed to compare");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::Builder::new().prefix("gantral-million").tempdir_in(disk_folder())?;
        let server = Server::start(folder.path())?;
        let policy = Bundle::from_files([("policy.rego", POLICY.as_bytes().to_vec())])?;
        apply(&server, "bench", "", &policy).await?;
        let mut out = String::from(LEGEND);
        fill(&server, 0, FEW).await?;
        drop(server);
        let few = all(folder.path(), FEW).await?;
        few.line(&mut out)?;
        let server = Server::start(folder.path())?;
        fill(&server, FEW, instances).await?;
        drop(server);
        let many = all(folder.path(), instances).await?;
        many.line(&mut out)?;
        let (allowed, human) = (many.allowed / few.allowed, many.human / few.human);
        writeln!(out, "of the gates a second with few: ALLOW {allowed:.2}x, human {human:.2}x")?;
        crate::print(&out)
    })
}

impl Measured {
    fn line(&self, out: &mut String) -> Result<()> {
        let Self { waiting, allowed, human, start, first, last, late, memory, ledger } = self;
        let [p50, p99] = first.map(ms);
        let last = ms(*last);
        let (start, late) = (start.as_secs_f64(), late.as_secs_f64());
        let (memory, ledger) = (memory >> 20, ledger >> 20);
        writeln!(
            out,
            "{waiting:<11}{allowed:>9.0}{human:>9.0}{start:>7.2}s{p50:>12.2}ms{p99:>7.2}ms{last:>10.2}ms{late:>12.2}s{memory:>5}MiB{ledger:>5}MiB"
        )?;
        Ok(())
    }
}

/// Lets instances wait, from so many to so many.
async fn fill(server: &Server, from: usize, to: usize) -> Result<()> {
    let (workload, approver) = (server.client("refund-agent")?, server.person("alice")?);
    let local = tokio::task::LocalSet::new();
    let mut filling = Vec::new();
    for number in 0..CONNECTIONS {
        let (workload, approver, address) = (workload.clone(), approver.clone(), server.address);
        filling.push(local.spawn_local(async move {
            let name = format!("fill-{from}-{number}");
            let mut agent = Agent::start(address, "bench", &workload, &approver, &name).await?;
            for mine in (from + number..to).step_by(CONNECTIONS) {
                if mine != from + number {
                    agent.renew().await?;
                }
                agent.wait(LONG).await?;
            }
            Ok::<_, anyhow::Error>(())
        }));
    }
    all_of(&local, filling).await.map(drop)
}

/// Starts a server over what is there, and measures everything.
async fn all(data: &Path, waiting: usize) -> Result<Measured> {
    let began = Instant::now();
    let server = Server::start(data)?;
    let mut connection = Connection::open(server.address, &server.person("alice")?, "inbox").await?;
    ensure!(connection.get("/readyz").await?.status == 200, "the server is not ready");
    let start = began.elapsed();
    let (first, last) = pages(&mut connection, waiting).await?;
    let memory = server.memory()?;
    let mut late = Duration::ZERO;
    for number in 0..DUE {
        late = late.max(due(&server, &format!("due-{waiting}-{number}")).await?);
    }
    let [mut allowed, mut human] = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        let round = waiting + round;
        let servers = slice::from_ref(&server);
        allowed.push(measure(servers, "bench", CONNECTIONS, false, round).await?.per_second);
        human.push(measure(servers, "bench", CONNECTIONS, true, round).await?.per_second);
    }
    let memory = memory.max(server.memory()?);
    let ledger = std::fs::metadata(data.join(gantral_server::store::LEDGER))?.len();
    Ok(Measured {
        waiting,
        allowed: median(allowed),
        human: median(human),
        start,
        first,
        last,
        late,
        memory,
        ledger,
    })
}

/// Reads the first page of the inbox many times, and the one behind as many pages of 200 as take a second; returns how long both took.
async fn pages(connection: &mut Connection, waiting: usize) -> Result<([Duration; 2], Duration)> {
    let mut took = Vec::new();
    for _ in 0..PAGES {
        let began = Instant::now();
        let page = connection.get("/v1/gates?mine=true").await?.json()?;
        took.push(began.elapsed());
        let items = page.get("items").and_then(serde_json::Value::as_array).context("a page has items")?;
        ensure!(items.len() == 50.min(waiting), "a page of {} items", items.len());
    }
    let first = quantiles(took);
    let mut path = "/v1/gates?mine=true&limit=200".to_owned();
    let (mut last, whole) = (Duration::ZERO, Instant::now());
    while whole.elapsed() < Duration::from_secs(1) {
        let began = Instant::now();
        let page = connection.get(&path).await?.json()?;
        last = began.elapsed();
        match page.get("next").and_then(serde_json::Value::as_str) {
            Some(next) => path = format!("/v1/gates?mine=true&limit=200&cursor={next}"),
            None => break,
        }
    }
    Ok((first, last))
}

/// Lets a gate come due, and returns how late the server closed it.
async fn due(server: &Server, name: &str) -> Result<Duration> {
    let (workload, approver) = (server.client("refund-agent")?, server.person("alice")?);
    let mut agent = Agent::start(server.address, "bench", &workload, &approver, name).await?;
    let began = Instant::now();
    let gate = agent.wait(SHORT).await?;
    let path = format!("/v1/gates/{gate}");
    let mut reader = Connection::open(server.address, &approver, name).await?;
    while began.elapsed() < PATIENCE {
        if text(&reader.get(&path).await?.json()?, "state")? != "OPEN" {
            return Ok(began.elapsed().saturating_sub(SHORT_TIME));
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("what was due was not done in {PATIENCE:?}")
}
