//! Verified artifacts per second: strict, with the proof of each in the log, reading and parsing included.
//!
//! The evidence comes from a real server: a window of instances with many gates, everything disclosed.

use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use gantral_core::time::UnixMillis;
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::verify_tar;
use gantral_evidence::window::{LIST_PATH, STATEMENT_PATH};
use gantral_verify::read_trust;
use gantral_verify::window::verify_window;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gates::{Agent, prepare};
use crate::http::Connection;
use crate::median;
use crate::server::Server;

/// How many gates an instance has; each leaves two artifacts.
const GATES: usize = 1_000;
/// How many artifacts an instance has.
const ARTIFACTS: usize = 2 * GATES + 3;
/// How many instances the large window has, and the small one.
const INSTANCES: [usize; 2] = [50, 5];
const ROUNDS: usize = 5;
/// How long one round verifies.
const RUN: Duration = Duration::from_secs(3);

/// Makes the evidence, verifies it again and again, and prints the medians.
pub fn run() -> Result<()> {
    let evidence = Evidence::make()?;
    let trust = read_trust(&evidence.trust)?;
    let bundle = fs::read(&evidence.bundle)?;
    let report = verify_tar(&bundle, Some(&trust));
    let text = gantral_evidence::report::to_text(&report);
    ensure!(text.starts_with("VALID"), "the bundle does not verify: {text}");
    let mut out = String::new();
    let rate = median((0..ROUNDS).map(|_| again(&bundle, &trust)));
    let mebibytes = bundle.len() as f64 / f64::from(1 << 20);
    writeln!(out, "one bundle of {ARTIFACTS} artifacts ({mebibytes:.1} MiB), in memory, on one core:")?;
    writeln!(out, "  {rate:.0} artifacts a second, each with its proof in the log")?;
    let [large, small] = &evidence.windows;
    let count = INSTANCES[0] * ARTIFACTS;
    let of = |window: &Path, threads: usize| -> Result<(f64, f64)> {
        let runs = (0..ROUNDS).map(|_| evidence.child(window, threads)).collect::<Result<Vec<_>>>()?;
        Ok((median(runs.iter().map(|run| run.0)), median(runs.iter().map(|run| run.1))))
    };
    let ((one, peak), (two, _), (_, peak_small)) = (of(large, 1)?, of(large, 2)?, of(small, 1)?);
    writeln!(
        out,
        "a window of {count} artifacts in {} bundles, from files, in a process of its own:",
        INSTANCES[0]
    )?;
    writeln!(out, "  {one:.0} artifacts a second on one thread, {two:.0} on two: {:.2}x", two / one)?;
    writeln!(out, "  memory at most {peak:.0} MiB, and {peak_small:.0} MiB for {} bundles", INSTANCES[1])?;
    crate::print(&out)
}

/// Verifies one bundle for a while; returns artifacts a second.
fn again(bundle: &[u8], trust: &Trust) -> f64 {
    let (started, mut times) = (Instant::now(), 0usize);
    while started.elapsed() < RUN {
        std::hint::black_box(verify_tar(std::hint::black_box(bundle), Some(trust)));
        times += 1;
    }
    (times * ARTIFACTS) as f64 / started.elapsed().as_secs_f64()
}

/// Verifies a window once and says how fast, in artifacts a second, and in how much memory, in MiB: for a process of its own.
pub fn window(folder: &Path, trust: &Path, threads: NonZeroUsize) -> Result<()> {
    let trust = read_trust(trust)?;
    let started = Instant::now();
    let report = verify_window(folder, Some(&trust), threads, &|_, _| {})?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(report.verdict.exit_code() == 0, "{}", gantral_verify::window::to_text(&report));
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|rest| rest.trim().strip_suffix(" kB")).context("no peak of memory")?;
    let mebibytes: f64 = peak.trim().parse::<f64>()? / 1_024.0;
    crate::print(&format!("{} {mebibytes}\n", report.artifacts as f64 / seconds))
}

/// What is verified.
struct Evidence {
    folder: TempDir,
    bundle: PathBuf,
    trust: PathBuf,
    windows: [PathBuf; 2],
}

impl Evidence {
    /// Lets a real server make it.
    fn make() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("gantral-verify").tempdir_in(crate::disk_folder())?;
        let windows = ["large", "small"].map(|name| folder.path().join(name));
        let (bundle, trust) = (folder.path().join("one.gantral"), folder.path().join("trust.json"));
        let made = Self { folder, bundle, trust, windows };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(made.fill())?;
        Ok(made)
    }

    async fn fill(&self) -> Result<()> {
        let data = self.folder.path().join("server");
        fs::create_dir(&data)?;
        let server = Server::start(&data)?;
        prepare(&server).await?;
        let (workload, approver) = (server.client("refund-agent")?, server.person("alice")?);
        let mut from = now()?;
        for (window, instances) in self.windows.iter().zip(INSTANCES) {
            fs::create_dir(window)?;
            let mut agents = Vec::with_capacity(instances);
            for number in 0..instances {
                // Another name for each agent: under the same, its calls would be repetitions.
                let name = format!("verify-{instances}-{number}");
                let mut agent = Agent::start(server.address, "bench", &workload, &approver, &name).await?;
                for _ in 0..GATES {
                    agent.allowed().await?;
                }
                agents.push(agent);
            }
            // The instant of the last is inside.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let to = now()?;
            // A connection that was silent for long is closed.
            let mut connection = Connection::open(server.address, &workload, "fetch").await?;
            for agent in &agents {
                let path = format!("/v1/instances/{}/evidence", agent.instance);
                let bundle = connection.get(&path).await?.body;
                fs::write(window.join(format!("{}.gantral", agent.instance)), &bundle)?;
                fs::write(&self.bundle, &bundle)?;
            }
            connection.act_as(&server.person("dave")?);
            let body = json!({"from": from.to_text(), "to": to.to_text()}).to_string();
            let said = connection.send("POST", "/v1/windows", "application/json", body.as_bytes()).await?;
            let said: Value = said.json()?;
            let part = |name: &str| said.get(name).map(Value::to_string).context("no window");
            fs::write(window.join(LIST_PATH), part("instances")?)?;
            fs::write(window.join(STATEMENT_PATH), part("statement")?)?;
            let keys = connection.get("/v1/keys").await?.json()?;
            let hint: &Value = keys.get("trust_hint").context("no trust hint")?;
            fs::write(&self.trust, serde_json::to_vec(hint)?)?;
            from = to;
        }
        Ok(())
    }

    /// Verifies a window in a process of its own; returns artifacts a second, and MiB.
    fn child(&self, window: &Path, threads: usize) -> Result<(f64, f64)> {
        let mut child = Command::new(std::env::current_exe()?);
        child.arg("verify-window").arg(window).arg(&self.trust).arg(threads.to_string());
        let ran = child.output()?;
        let text = String::from_utf8(ran.stdout)?;
        match text.trim().split_once(' ') {
            Some((rate, memory)) if ran.status.success() => Ok((rate.parse()?, memory.parse()?)),
            _ => bail!("{text}{}", String::from_utf8_lossy(&ran.stderr)),
        }
    }
}

fn now() -> Result<UnixMillis> {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    Ok(UnixMillis::new(u64::try_from(millis)?)?)
}
