//! Gates over HTTP, against a real server in a process of its own on the same machine.
//!
//! One gate is one `ask` with `consume: true` on a running instance, answered ALLOW: token check, policy, two seals,
//! one durable commit. A human gate is an ask that waits, and the decision that ends the wait.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::slice;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use gantral_policy::bundle::Bundle;
use serde_json::Value;
use tokio::task::{JoinHandle, LocalSet};

use crate::http::{Answer, Connection};
use crate::server::Server;
use crate::{disk_folder, median, quantiles, raw};

/// How long one measurement runs, and how often.
pub const RUN: Duration = Duration::from_secs(4);
const ROUNDS: usize = 5;
/// How many instances one measurement of human gates decides at most.
const HUMAN_GATES: usize = 6_000;
/// How many of them one caller has, who cannot decide more in that time.
const HUMAN_GATES_OF_ONE: usize = 3_000;
/// How many connections ask at the same time.
pub const CONNECTIONS: [usize; 3] = [1, 16, 64];

pub const POLICY: &str = "package gantral.policy\n\ndefault decision := \"REQUIRE_HUMAN\"\n\n\
    decision := \"ALLOW\" if input.action.parameters.amount <= 100\n\napprover_roles := [\"RISK_OFFICER\"]\n";

/// What follows the name in the definition of a workflow.
const WORKFLOW: &str = r#""version":"1","team":"payments","materiality":"MEDIUM","domain":"finance",
  "actions":{"refund":{"parameters":{"amount":{"type":"integer"}}}},"attempts_max":1000,
  "floors":{"default_approvers":["RISK_OFFICER"],"required_evidence":"development"}}"#;

/// What the columns mean, and their names.
const LEGEND: &str = "\
The last ratio is to the raw group commit: 1 KiB appended by as many callers to a file that is flushed, in the same round.
A flush is one such append by one caller alone.

measurement    connections  per second        p50        p99   raw commit      flush
";

/// What one run measured, over all its connections.
pub struct Measured {
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
}

/// One round: the gates, and what the disk itself gives to as many callers.
struct Round {
    gates: Measured,
    raw_per_second: f64,
}

/// Runs every measurement and prints medians.
pub fn run(connections: &[usize]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::Builder::new().prefix("gantral-gates").tempdir_in(disk_folder())?;
        let server = Server::start(folder.path())?;
        prepare(&server).await?;
        let mut out = String::from(LEGEND);
        for human in [false, true] {
            for &connections in connections {
                let mut rounds = Vec::new();
                for round in 0..ROUNDS {
                    let gates = measure(slice::from_ref(&server), "bench", connections, human, round).await?;
                    let raw = raw::measure(&folder.path().join("raw"), connections, None).await?;
                    rounds.push(Round { gates, raw_per_second: raw.per_second() });
                }
                let name = if human { "human gate" } else { "gate (ALLOW)" };
                line(&mut out, name, connections, &rounds)?;
            }
        }
        crate::print(&out)
    })
}

fn line(out: &mut String, name: &str, connections: usize, rounds: &[Round]) -> Result<()> {
    let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value));
    let rate = of(|round| round.gates.per_second);
    let p50 = of(|round| round.gates.p50.as_secs_f64() * 1e3);
    let p99 = of(|round| round.gates.p99.as_secs_f64() * 1e3);
    let ratio = of(|round| round.gates.per_second / round.raw_per_second);
    // The raw append of a caller alone is little more than one flush of the disk.
    let flush = of(|round| 1e3 / round.raw_per_second);
    let flush = if connections == 1 { format!("{flush:>9.2}ms") } else { String::new() };
    writeln!(out, "{name:<14}{connections:>12}{rate:>12.0}{p50:>9.2}ms{p99:>9.2}ms{ratio:>12.3}x{flush}")?;
    Ok(())
}

/// Applies the workflow `bench` under the small policy.
pub async fn prepare(server: &Server) -> Result<()> {
    apply(server, "bench", "", &Bundle::from_files([("policy.rego", POLICY.as_bytes().to_vec())])?).await
}

/// Applies a workflow under a policy; `more` are further members of its definition, each with a comma behind it.
pub async fn apply(server: &Server, workflow: &str, more: &str, policy: &Bundle) -> Result<()> {
    let name = format!("prepare-{workflow}");
    let mut admin = Connection::open(server.address, &server.person("bob")?, &name).await?;
    let archive = policy.to_archive()?;
    let published = admin.send("PUT", "/v1/policies", "application/gzip", &archive).await?;
    let version = text(&published.json()?, "policy_version_id")?;
    let definition = format!(r#"{{"id":"{workflow}",{more}{WORKFLOW}"#);
    let body = format!(r#"{{"definition":{definition},"policy_version_id":"{version}"}}"#);
    let path = format!("/v1/workflows/{workflow}");
    admin.send("PUT", &path, "application/json", body.as_bytes()).await?.json()?;
    Ok(())
}

/// Returns a member that is a text.
pub fn text(value: &Value, name: &str) -> Result<String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("no `{name}`"))
}

/// A running instance and the connection of its attempt.
pub struct Agent {
    pub connection: Connection,
    pub instance: String,
    workflow: String,
    workload: String,
    approver: String,
    /// Running instances with the tokens of their attempts.
    stock: Vec<(String, String)>,
}

impl Agent {
    pub async fn start(
        address: SocketAddr,
        workflow: &str,
        workload: &str,
        approver: &str,
        name: &str,
    ) -> Result<Self> {
        let connection = Connection::open(address, workload, name).await?;
        let mut agent = Self {
            connection,
            instance: String::new(),
            workflow: workflow.to_owned(),
            workload: workload.to_owned(),
            approver: approver.to_owned(),
            stock: Vec::new(),
        };
        agent.renew().await?;
        Ok(agent)
    }

    /// Creates the next instance and attaches to it.
    pub async fn renew(&mut self) -> Result<()> {
        self.connection.act_as(&self.workload);
        let body = format!(r#"{{"workflow":"{}"}}"#, self.workflow);
        let created = self.connection.post("/v1/instances", &body).await?.json()?;
        let id = created.get("instance").and_then(|view| view.get("instance_id")).and_then(Value::as_str);
        self.instance = id.context("no instance")?.to_owned();
        let path = format!("/v1/instances/{}/attempts", self.instance);
        let attached = self.connection.post(&path, r#"{"self":true}"#).await?.json()?;
        self.connection.act_as(&text(&attached, "token")?);
        Ok(())
    }

    /// Creates running instances to decide on later.
    async fn stock(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.renew().await?;
            self.stock.push((self.instance.clone(), self.connection.token().to_owned()));
        }
        Ok(())
    }

    /// Works until the time is over, or until the stock of instances is used up; returns how long each gate took.
    async fn work(mut self, human: bool, until: Instant) -> Result<Vec<Duration>> {
        let mut taken = Vec::new();
        while Instant::now() < until {
            if human {
                let Some((instance, token)) = self.stock.pop() else { break };
                self.instance = instance;
                self.connection.act_as(&token);
            }
            let begun = Instant::now();
            if human {
                self.decided().await?;
            } else {
                self.allowed().await?;
            }
            taken.push(begun.elapsed());
        }
        Ok(taken)
    }

    /// One gate that policy allows, in the next instance where this one has room for no more; returns the answer.
    pub async fn allowed(&mut self) -> Result<Answer> {
        let body =
            r#"{"action":{"name":"refund","target":"order/1","parameters":{"amount":7}},"consume":true}"#;
        loop {
            let path = format!("/v1/instances/{}/authority", self.instance);
            let answer = self.connection.post(&path, body).await?;
            if answer.status == 409 && answer.contains(b"too_many_events") {
                self.renew().await?;
                continue;
            }
            if answer.status != 200 || !answer.contains(b"\"answer\":\"ALLOW\"") {
                return Err(anyhow!("not allowed: {}", String::from_utf8_lossy(&answer.body)));
            }
            return Ok(answer);
        }
    }

    /// Reports that what was granted has been done.
    pub async fn succeeded(&mut self, grant: &str) -> Result<()> {
        let path = format!("/v1/instances/{}/grants/{grant}/outcome", self.instance);
        self.connection.post(&path, r#"{"status":"SUCCEEDED"}"#).await?.json()?;
        Ok(())
    }

    /// Asks for what a human must decide, and returns the gate.
    pub async fn wait(&mut self, amount: u64) -> Result<String> {
        let path = format!("/v1/instances/{}/authority", self.instance);
        let body = format!(
            r#"{{"action":{{"name":"refund","target":"order/1","parameters":{{"amount":{amount}}}}}}}"#
        );
        text(&self.connection.post(&path, &body).await?.json()?, "gate_id")
    }

    /// One gate that a human decides; the instance ends with it.
    async fn decided(&mut self) -> Result<()> {
        let gate = self.wait(4_800).await?;
        self.reject(&gate).await
    }

    /// Lets the connection be the approver's, until the next instance.
    pub fn become_approver(&mut self) {
        self.connection.act_as(&self.approver);
    }

    /// Has the approver reject what a gate asks for; the connection is the approver's afterwards.
    pub async fn reject(&mut self, gate: &str) -> Result<()> {
        self.become_approver();
        let path = format!("/v1/gates/{gate}/decisions");
        let body = r#"{"decision":"REJECT","gate_version":1,"justification":"too much"}"#;
        self.connection.post(&path, body).await?.json()?;
        Ok(())
    }
}

/// Prepares every agent first, then starts the clock. The agents are spread over the servers, which share a ledger.
pub async fn measure(
    servers: &[Server],
    workflow: &str,
    connections: usize,
    human: bool,
    round: usize,
) -> Result<Measured> {
    let server = servers.first().context("no server")?;
    let (workload, approver) = (server.client("refund-agent")?, server.person("alice")?);
    let local = LocalSet::new();
    let mut starting = Vec::new();
    for (number, server) in (0..connections).zip(servers.iter().cycle()) {
        let name = format!("{workflow}-{human}-{connections}-{round}-{number}");
        let (workload, approver, address) = (workload.clone(), approver.clone(), server.address);
        let workflow = workflow.to_owned();
        starting.push(local.spawn_local(async move {
            let mut agent = Agent::start(address, &workflow, &workload, &approver, &name).await?;
            if human {
                agent.stock(HUMAN_GATES.div_ceil(connections).min(HUMAN_GATES_OF_ONE)).await?;
            }
            Ok::<_, anyhow::Error>(agent)
        }));
    }
    let agents = all_of(&local, starting).await?;
    let started = Instant::now();
    let tasks: Vec<_> =
        agents.into_iter().map(|agent| local.spawn_local(agent.work(human, started + RUN))).collect();
    let all = all_of(&local, tasks).await?;
    Ok(Measured::of(all.into_iter().flatten().collect(), started.elapsed()))
}

/// Lets all tasks of a set run until they have ended, and returns what they did.
pub async fn all_of<T>(local: &LocalSet, tasks: Vec<JoinHandle<Result<T>>>) -> Result<Vec<T>> {
    let ended = async {
        let mut all = Vec::with_capacity(tasks.len());
        for task in tasks {
            all.push(task.await??);
        }
        Ok(all)
    };
    local.run_until(ended).await
}

impl Measured {
    /// Sums up how long each of many requests took, and all of them together.
    pub fn of(all: Vec<Duration>, together: Duration) -> Self {
        let per_second = all.len() as f64 / together.as_secs_f64();
        let [p50, p99] = quantiles(all);
        Self { per_second, p50, p99 }
    }
}
