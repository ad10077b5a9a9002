//! Benchmarks that keep the promises of `docs/performance.md`.

mod appends;
mod gates;
mod http;
mod server;
mod verifying;

use std::io::Write as _;

use anyhow::{Result, bail};

const USAGE: &str = "usage: gantral-bench appends [--large] | gates [CONNECTIONS] | verify";

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["appends"] => appends::run(false),
        ["appends", "--large"] => appends::run(true),
        ["gates"] => gates::run(&gates::CONNECTIONS),
        ["gates", connections] => gates::run(&[connections.parse()?]),
        ["verify"] => verifying::run(),
        // What the benchmarks start as processes of their own.
        ["serve", data] => server::run(data.into()),
        ["policy-worker"] => Ok(gantral_policy::run_worker()?),
        _ => bail!(USAGE),
    }
}

/// Writes figures to the standard output.
fn print(text: &str) -> Result<()> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
