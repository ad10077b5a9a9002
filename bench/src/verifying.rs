//! Verified artifacts per second on one core: strict, bundle parsing included.
//!
//! The bundle comes from a real server: one instance with many gates, everything disclosed.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::verify_tar;
use serde_json::Value;

use crate::gates::{Agent, prepare};
use crate::server::Server;

/// How many gates the instance has; each leaves two artifacts.
const GATES: usize = 1_000;
const ROUNDS: usize = 5;
/// How long one round verifies.
const RUN: Duration = Duration::from_secs(3);

/// Makes the bundle, verifies it again and again, and prints the median.
pub fn run() -> Result<()> {
    let (bundle, trust) = bundle()?;
    let trust = Trust::parse(&trust)?;
    let report = verify_tar(&bundle, Some(&trust));
    let text = gantral_evidence::report::to_text(&report);
    if !text.starts_with("VALID") {
        bail!("the bundle does not verify: {text}");
    }
    let mut rates = Vec::new();
    for _ in 0..ROUNDS {
        let (started, mut times) = (Instant::now(), 0usize);
        while started.elapsed() < RUN {
            std::hint::black_box(verify_tar(std::hint::black_box(&bundle), Some(&trust)));
            times += 1;
        }
        rates.push((times * (2 * GATES + 3)) as f64 / started.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    let mut out = String::new();
    let median = rates.get(ROUNDS / 2).copied().unwrap_or_default();
    let mebibytes = bundle.len() as f64 / f64::from(1 << 20);
    writeln!(out, "verified artifacts per second and core: {median:.0} (bundle of {mebibytes:.1} MiB)")?;
    crate::print(&out)
}

/// Returns a bundle of one busy instance, and the trust file that believes its key.
fn bundle() -> Result<(Vec<u8>, Vec<u8>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let data = tempfile::tempdir()?;
        let server = Server::start(data.path())?;
        prepare(&server).await?;
        let (workload, approver) = (server.client("refund-agent")?, server.person("alice")?);
        let mut agent = Agent::start(server.address, &workload, &approver, "verify").await?;
        for _ in 0..GATES {
            agent.allowed().await?;
        }
        agent.connection.act_as(&workload);
        let path = format!("/v1/instances/{}/evidence", agent.instance);
        let bundle = agent.connection.send("GET", &path, "application/json", b"").await?;
        let keys = agent.connection.send("GET", "/v1/keys", "application/json", b"").await?.json()?;
        let hint: &Value = keys.get("trust_hint").context("no trust hint")?;
        Ok((bundle.body, serde_json::to_vec(hint)?))
    })
}
