//! Policy evaluation: the embedded engine in its worker against an OPA beside it, alone and as part of a whole gate.
//!
//! All of it is measured in the same rounds. The bare OPA answers the same policy over the same input and does nothing else: it checks
//! no token, signs nothing and stores nothing.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use gantral_core::policy::{PolicyVersionId, Verdict};
use gantral_engine::policy_point::{BoxFuture, PolicyPoint};
use gantral_policy::bundle::Bundle;
use gantral_policy::opa::{OpaConfig, OpaPolicyPoint};
use gantral_policy::{BundleSource, PoolConfig, RegoPolicyPoint, SourceUnavailable, WorkerCommand};

use crate::gates::{self, Measured, POLICY};
use crate::http::Connection;
use crate::opa::Opa;
use crate::server::{Beside, Server};
use crate::{disk_folder, median};

/// How often everything is measured.
const ROUNDS: usize = 5;
/// How many evaluations one measurement of them takes.
const EVALUATIONS: usize = 2_000;
/// How long a bare OPA is asked in one measurement.
const RUN: Duration = Duration::from_secs(4);
/// How long one evaluation may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How many rules the large policy has, of which the last one decides.
const RULES: usize = 200;
/// How many connections ask at the same time.
const CONNECTIONS: [usize; 2] = [16, 64];

const LEGEND: &str = "\
One evaluation, asked for by one caller alone: in a worker of the embedded engine, and by a request to an OPA on the same machine.

policy          worker p50     OPA p50   worker is faster by
";

const GATES: &str = "
One whole ALLOW gate, asked for by one caller alone: token, policy, seals, durable commit.

evaluator              p50        p99
";

const RATES: &str = "
Whole ALLOW gates under the embedded engine a second, and answers of a bare OPA with the same policy: as it starts by itself, which is with a
log of its requests, and without it.

connections   gates  bare OPA as it is             bare OPA, no log
";

/// One policy, in both engines.
struct Subject {
    name: &'static str,
    bundle: Bundle,
    input: Vec<u8>,
    opa: Opa,
}

/// Runs every measurement and prints medians.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::Builder::new().prefix("gantral-policies").tempdir_in(disk_folder())?;
        let small = Bundle::from_files([("policy.rego", POLICY.as_bytes().to_vec())])?;
        let large = Bundle::from_files([("policy.rego", many_rules().into_bytes())])?;
        let subject = |name, bundle: Bundle| {
            let opa = Opa::start(folder.path(), name, &bundle, true)?;
            Ok::<_, anyhow::Error>(Subject { name, input: input(bundle.version()), bundle, opa })
        };
        let subjects = [subject("small", small.clone())?, subject("200-rules", large.clone())?];
        let mut out = String::from(LEGEND);
        for subject in &subjects {
            evaluations(&mut out, subject).await?;
        }
        let [beside, _] = &subjects;
        let usual = Opa::start(folder.path(), "usual", &beside.bundle, false)?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        let server = Server::with(&data, &Beside { opa: Some(beside.opa.url()), ..Beside::default() })?;
        gates::apply(&server, "bench", "", &small).await?;
        gates::apply(&server, "bench-opa", r#""evaluator":"sidecar","#, &small).await?;
        gates::apply(&server, "bench-200", "", &large).await?;
        out.push_str(GATES);
        for (name, workflow) in
            [("embedded", "bench"), ("sidecar OPA", "bench-opa"), ("200 rules", "bench-200")]
        {
            let mut rounds = Vec::new();
            for round in 0..ROUNDS {
                rounds.push(gates::measure(slice::from_ref(&server), workflow, 1, false, round).await?);
            }
            let of =
                |value: fn(&Measured) -> Duration| median(rounds.iter().map(|round| millis(value(round))));
            writeln!(out, "{name:<16}{:>8.2}ms{:>9.2}ms", of(|round| round.p50), of(|round| round.p99))?;
        }
        out.push_str(RATES);
        for connections in CONNECTIONS {
            let mut rounds = Vec::new();
            for round in 0..ROUNDS {
                // A number of its own keeps the idempotency keys of the rounds apart.
                let gates =
                    gates::measure(slice::from_ref(&server), "bench", connections, false, ROUNDS + round)
                        .await?;
                let usual = bare(&usual, &beside.input, connections).await?;
                let quiet = bare(&beside.opa, &beside.input, connections).await?;
                rounds.push([gates.per_second, usual.per_second, quiet.per_second]);
            }
            let of = |value: fn(&[f64; 3]) -> f64| median(rounds.iter().map(value));
            let (rate, usual, quiet) =
                (of(|[gates, ..]| *gates), of(|[_, usual, _]| *usual), of(|[.., quiet]| *quiet));
            let (to_usual, to_quiet) =
                (of(|[gates, usual, _]| gates / usual), of(|[gates, _, quiet]| gates / quiet));
            writeln!(
                out,
                "{connections:>11}{rate:>8.0}{usual:>19.0}{to_usual:>8.2}x{quiet:>20.0}{to_quiet:>8.2}x"
            )?;
        }
        crate::print(&out)
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Measures single evaluations in both engines, round by round.
async fn evaluations(out: &mut String, subject: &Subject) -> Result<()> {
    let source = Arc::new(Shelf(subject.bundle.version(), subject.bundle.as_published()?.to_archive()?));
    let pool = PoolConfig { workers: NonZeroUsize::MIN, ..PoolConfig::default() };
    let worker = RegoPolicyPoint::start(&WorkerCommand::current_program("policy-worker")?, pool, source)?;
    let opa = OpaPolicyPoint::new(&OpaConfig::new(subject.opa.url()))?;
    let (mut near, mut far, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let worker = alone(&worker, subject).await?;
        let opa = alone(&opa, subject).await?;
        ratios.push(opa.as_secs_f64() / worker.as_secs_f64());
        near.push(millis(worker));
        far.push(millis(opa));
    }
    let (near, far, ratio) = (median(near), median(far), median(ratios));
    writeln!(out, "{:<14}{near:>10.3}ms{far:>10.3}ms{ratio:>21.1}x", subject.name)?;
    Ok(())
}

/// Returns the median time of one evaluation.
async fn alone(point: &dyn PolicyPoint, subject: &Subject) -> Result<Duration> {
    let mut taken = Vec::with_capacity(EVALUATIONS);
    let begun = Instant::now();
    for _ in 0..EVALUATIONS {
        let begun = Instant::now();
        let answered = point.evaluate(subject.bundle.version(), &subject.input, LIMIT).await;
        taken.push(begun.elapsed());
        ensure!(answered.result.map(|evaluation| evaluation.verdict) == Ok(Verdict::Allow), "not allowed");
    }
    Ok(Measured::of(taken, begun.elapsed()).p50)
}

/// Asks an OPA over so many connections.
async fn bare(opa: &Opa, input: &[u8], connections: usize) -> Result<Measured> {
    let body = format!("{{\"input\":{}}}", String::from_utf8_lossy(input));
    let started = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let (body, address) = (body.clone(), opa.address);
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(address, "none", "bare").await?;
            let mut taken = Vec::new();
            while started.elapsed() < RUN {
                let begun = Instant::now();
                let answer = connection.post("/v1/data/gantral/policy", &body).await?;
                taken.push(begun.elapsed());
                if !answer.contains(b"\"decision\":\"ALLOW\"") {
                    return Err(anyhow!("not allowed: {}", String::from_utf8_lossy(&answer.body)));
                }
            }
            Ok(taken)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    Ok(Measured::of(all, started.elapsed()))
}

/// Returns a policy of many rules, none of which but the last applies.
pub fn many_rules() -> String {
    let mut text = String::from("package gantral.policy\n\ndefault decision := \"REQUIRE_HUMAN\"\n\n");
    for number in 1..RULES {
        let _ = writeln!(text, "decision := \"DENY\" if input.action.target == \"order/blocked-{number}\"");
    }
    text.push_str("decision := \"ALLOW\" if input.action.parameters.amount <= 100\n");
    text.push_str("approver_roles := [\"RISK_OFFICER\"]\n");
    text
}

/// Returns an input as the engine makes it.
pub fn input(version: PolicyVersionId) -> Vec<u8> {
    format!(
        r#"{{"action":{{"name":"refund","parameters":{{"amount":7}},"target":"order/1"}},"context":{{"attributes":{{}},"domain":"finance","trigger":"OTHER"}},"execution":{{"cost_estimate":0,"current_state":"RUNNING","step":"refund"}},"identity":{{"actor_id":"refund-agent","roles":["AGENT_EXECUTOR"]}},"instance":{{"instance_id":"00000000-0000-4000-8000-000000000001","materiality":"MEDIUM","owning_team_id":"payments","workflow_id":"bench","workflow_version":"1"}},"now":"2026-01-01T00:00:00.000Z","policy":{{"policy_version_id":"{}"}},"requester":[]}}"#,
        version.0.to_hex()
    )
    .into_bytes()
}

/// One bundle.
struct Shelf(PolicyVersionId, Vec<u8>);

impl BundleSource for Shelf {
    fn bundle(&self, version: PolicyVersionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, SourceUnavailable>> {
        let found = (version == self.0).then(|| self.1.clone());
        Box::pin(std::future::ready(Ok(found)))
    }
}
