//! Benchmarks that keep the promises of `docs/performance.md`.

mod appends;
mod diff;
mod fleet;
mod gates;
mod http;
mod log;
mod mcp;
mod meter;
mod million;
mod opa;
mod peer;
mod policies;
mod postgres;
mod raw;
mod server;
mod soak;
mod verifying;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use mimalloc::MiMalloc;

/// The allocator of `gantral` itself.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const USAGE: &str = "usage: gantral-bench appends [--large] | diff | fleet | gates [CONNECTIONS] | log | mcp | million [INSTANCES] | policies | soak [MINUTES FOLDER] | verify";

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["appends"] => appends::run(false),
        ["appends", "--large"] => appends::run(true),
        ["diff"] => diff::run(),
        ["fleet"] => fleet::run(),
        ["gates"] => gates::run(&gates::CONNECTIONS),
        ["gates", connections] => gates::run(&[connections.parse()?]),
        ["log"] => log::run(),
        ["mcp"] => mcp::run(),
        ["million"] => million::run(million::INSTANCES),
        ["million", instances] => million::run(instances.parse()?),
        ["policies"] => policies::run(),
        ["soak"] => soak::run(soak::MINUTES, disk_folder()),
        ["soak", minutes, out] => soak::run(minutes.parse()?, out.as_ref()),
        ["verify"] => verifying::run(),
        ["verify-window", window, trust, threads] => {
            verifying::window(window.as_ref(), trust.as_ref(), threads.parse()?)
        }
        // What the benchmarks start as processes of their own.
        ["serve", data, beside] => server::run(data.into(), beside),
        ["policy-worker"] => Ok(gantral_policy::run_worker()?),
        _ => bail!(USAGE),
    }
}

/// Returns the folder whose disk is measured: the build folder where there is one, since a temporary folder may be memory.
fn disk_folder() -> &'static Path {
    let target = Path::new("target");
    if target.is_dir() { target } else { Path::new(".") }
}

/// Returns the path of a pinned part, whether it is there or not.
fn part(path: &str) -> PathBuf {
    let parts = std::env::var_os("GANTRAL_PARTS").map_or_else(|| PathBuf::from(".parts"), PathBuf::from);
    parts.join(path)
}

/// Returns the median, which is not a number when there are no values.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the median and the 99th of a hundred of how long things took; nothing took any time when there were none.
fn quantiles(mut took: Vec<Duration>) -> [Duration; 2] {
    took.sort_unstable();
    [50, 99].map(|share| took.get(took.len() * share / 100).copied().unwrap_or_default())
}

/// Returns a time in milliseconds.
fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Writes figures to the standard output.
fn print(text: &str) -> Result<()> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
