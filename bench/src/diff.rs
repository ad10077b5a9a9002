//! `gantral policy diff`: recorded asks, each put to two policies in workers, as the server does it.
//!
//! Reading the ledger is not part of it. Both processes' work is: the input is rewritten for each version, canonical, and checked.

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, stream};
use gantral_core::json::{Profile, Value, parse};
use gantral_core::policy::Verdict;
use gantral_engine::policy_input::under_version;
use gantral_policy::WorkerCommand;
use gantral_policy::bundle::Bundle;
use gantral_policy::compare::{COMPARED_AT_ONCE, Comparison};

use crate::gates::POLICY;
use crate::median;
use crate::policies::{input, many_rules};

/// How often everything is measured.
const ROUNDS: usize = 5;
/// How many asks one measurement takes under a small policy, and under one of 200 rules.
const ASKS: [usize; 2] = [20_000, 2_000];

const LEGEND: &str = "\
Recorded asks per second, each put to two policies.

policies              workers   per second   per core
";

/// Runs every measurement and prints medians.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let cores = std::thread::available_parallelism()?.get();
    let small = |limit: u32| bundle(POLICY.to_owned() + &format!("\nchanged := {limit}\n"));
    let large = |limit: u32| bundle(many_rules() + &format!("\nchanged := {limit}\n"));
    let mut out = String::from(LEGEND);
    let [few, many] = ASKS;
    let subjects = [("small", few, small(1)?, small(2)?), ("200 rules", many, large(1)?, large(2)?)];
    for (name, asks, a, b) in subjects {
        for workers in [NonZeroUsize::MIN, NonZeroUsize::MIN.saturating_add(1)] {
            let mut rates = Vec::new();
            for _ in 0..ROUNDS {
                let taken = runtime.block_on(measured(workers, asks, &a, &b))?;
                rates.push(asks as f64 / taken.as_secs_f64());
            }
            let rate = median(rates);
            // Each worker keeps a core busy, and this process what of the rest it needs.
            let per_core = rate / (workers.get() + 1).min(cores) as f64;
            writeln!(out, "{name:<18}{workers:>11}{rate:>13.0}{per_core:>11.0}")?;
        }
    }
    crate::print(&out)
}

fn bundle(source: String) -> Result<Bundle> {
    Ok(Bundle::from_files([("policy.rego", source.into_bytes())])?)
}

/// Compares once and returns how long it took, with the workers ready before.
async fn measured(workers: NonZeroUsize, asks: usize, a: &Bundle, b: &Bundle) -> Result<Duration> {
    let comparison = Comparison::start(&WorkerCommand::current_program("policy-worker")?, workers, [a, b])?;
    for ready in comparison.ready().await {
        ready?;
    }
    let recorded: Value = parse(&input(a.version()), &Profile::DOCUMENT)?;
    let begun = Instant::now();
    let mut asked = stream::iter(0..asks).map(|_| ask(&comparison, &recorded)).buffered(COMPARED_AT_ONCE);
    while let Some(allowed) = asked.next().await {
        ensure!(allowed?, "not allowed by both");
    }
    Ok(begun.elapsed())
}

async fn ask(comparison: &Comparison, recorded: &Value) -> Result<bool> {
    let [a, b] = comparison.versions();
    let (a, b) = (under_version(recorded, a)?, under_version(recorded, b)?);
    let said = comparison.ask([&a, &b]).await;
    Ok(said.iter().all(|said| said.as_ref().is_ok_and(|evaluation| evaluation.verdict == Verdict::Allow)))
}
