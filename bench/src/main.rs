//! Benchmarks that keep the promises of `docs/performance.md`.

mod appends;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["appends"] => appends::run(false),
        ["appends", "--large"] => appends::run(true),
        _ => bail!("usage: gantral-bench appends [--large]"),
    }
}
