//! `gantral-sim`: many seeds, or one again.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a simulation talks to its terminal")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gantral_sim::weather::Mistake;
use gantral_sim::{Options, run};

const HELP: &str = "\
Simulates servers over a faulty store, many times, each time from another seed

Usage: cargo run -p gantral-sim -- [options]

Options:
  --seed N       only this seed
  --from N       the first seed (0 if it is not given)
  --seeds N      how many seeds (100 if it is not given)
  --seconds N    as many seeds as there is time for
  --nodes N      how many servers (3 if it is not given)
  --jobs N       how many threads, each with runs of its own (as many as the machine has)
  --mistake M    something wrong on purpose: `lost-flush`, `missing-fence` or `ignored-keys`
  --trace        print what happens, line by line
  --help         print this

Ends with 1 after the first seed from which something came out wrong, and prints how to see it again.
";

struct Arguments {
    from: u64,
    seeds: Option<u64>,
    time: Option<Duration>,
    nodes: usize,
    jobs: usize,
    mistake: Option<Mistake>,
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = match read(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("error: {wrong}\nhint: `--help` lists the options");
            return ExitCode::from(2);
        }
    };
    simulate(&arguments)
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut read =
        Arguments { from: 0, seeds: None, time: None, nodes: 3, jobs, mistake: None, trace: false };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
        let number = |value: String| value.parse::<u64>().map_err(|_| format!("`{value}` is no number"));
        match word.as_str() {
            "--seed" => (read.from, read.seeds) = (number(value()?)?, Some(1)),
            "--from" => read.from = number(value()?)?,
            "--seeds" => read.seeds = Some(number(value()?)?),
            "--seconds" => read.time = Some(Duration::from_secs(number(value()?)?)),
            "--nodes" => read.nodes = usize::try_from(number(value()?)?.clamp(1, 9)).unwrap_or(3),
            "--jobs" => read.jobs = usize::try_from(number(value()?)?.clamp(1, 256)).unwrap_or(1),
            "--mistake" => {
                let name = value()?;
                let known = Mistake::ALL.into_iter().find(|(known, _)| *known == name);
                let (_, mistake) = known.ok_or_else(|| format!("`{name}` is no mistake that is known"))?;
                read.mistake = Some(mistake);
            }
            "--trace" => read.trace = true,
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("no option `{word}`")),
        }
    }
    Ok(Some(read))
}

fn simulate(arguments: &Arguments) -> ExitCode {
    let Arguments { from, seeds, time, nodes, jobs, mistake, trace } = *arguments;
    let most = seeds.unwrap_or(if time.is_some() { u64::MAX } else { 100 });
    let began = Instant::now();
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let (steps, artifacts, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) && time.is_none_or(|time| began.elapsed() < time) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= most {
                        return;
                    }
                    let seed = from.wrapping_add(number);
                    let outcome = run(Options { seed, nodes, mistake, tells: trace });
                    outcome.trace.iter().for_each(|line| println!("{line}"));
                    steps.fetch_add(outcome.seen.steps, Ordering::Relaxed);
                    artifacts.fetch_add(outcome.seen.artifacts, Ordering::Relaxed);
                    done.fetch_add(1, Ordering::Relaxed);
                    if let Some(wrong) = outcome.wrong {
                        failed.store(true, Ordering::Relaxed);
                        eprintln!("seed {seed}: {wrong}");
                        eprintln!("hint: cargo run -p gantral-sim -- --seed {seed} --nodes {nodes} --trace");
                    }
                }
            });
        }
    });
    println!(
        "{} seeds, {} writes, {} artifacts, {} s",
        done.into_inner(),
        steps.into_inner(),
        artifacts.into_inner(),
        began.elapsed().as_secs()
    );
    if failed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
