//! Runs targets from a terminal: all of them, one of them, or one input that broke a promise.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program of the terminal")]

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use gantral_fuzz::runner::Terms;
use gantral_fuzz::seeds::{self, Vectors};
use gantral_fuzz::target::Target;
use gantral_fuzz::targets::{TARGETS, find};

const HELP: &str = "\
cargo run -p gantral-fuzz [-- TARGET [FILE...]]
cargo run -p gantral-fuzz -- seeds FOLDER

Without a target: every target, one after the other. With files: only these inputs, without damage.
`seeds` writes the seeds and the words of each target into a folder, for another fuzzer.
GANTRAL_FUZZ_SECONDS is how long each target is run, 1 if it is not set; GANTRAL_FUZZ_SEED begins elsewhere.
";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.split_first() {
        None => run(TARGETS),
        Some((word, _)) if matches!(word.as_str(), "help" | "--help" | "-h") => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Some((word, [folder])) if word == "seeds" => match export(Path::new(folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => unreadable(folder, &error),
        },
        Some((name, files)) => match find(name) {
            Some(target) if files.is_empty() => run(std::slice::from_ref(target)),
            Some(target) => replay(target, files),
            None => {
                let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                eprintln!("no target `{name}`\nhint: one of {}", names.join(", "));
                ExitCode::FAILURE
            }
        },
    }
}

fn run(targets: &[Target]) -> ExitCode {
    let terms = Terms::from_environment();
    let vectors = match Vectors::load() {
        Ok(vectors) => vectors,
        Err(error) => return unreadable("spec/vectors", &error),
    };
    for target in targets {
        let seeds = match seeds::of(target, &vectors) {
            Ok(seeds) => seeds,
            Err(error) => return unreadable(target.name, &error),
        };
        match terms.run(target, &seeds) {
            Ok(tally) => println!(
                "{:<18}{:>5} seeds, {:>5} read{:>9} tried, {:>7} read{:>5} ways to refuse, slowest {:>6.1} ms, {:>3} MiB",
                target.name,
                tally.seeds,
                tally.seeds_accepted,
                tally.tried,
                tally.tried_accepted,
                tally.classes,
                tally.slowest.as_secs_f64() * 1_000.0,
                tally.grown.unwrap_or_default() >> 20,
            ),
            Err(failure) => {
                eprintln!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Writes `FOLDER/TARGET/NUMBER` for each seed, and `FOLDER/TARGET.dict` as libFuzzer reads it.
fn export(folder: &Path) -> io::Result<()> {
    let vectors = Vectors::load()?;
    for target in TARGETS {
        let own = folder.join(target.name);
        fs::create_dir_all(&own)?;
        for (number, seed) in seeds::of(target, &vectors)?.into_iter().enumerate() {
            fs::write(own.join(format!("{number:04}")), seed)?;
        }
        let quoted = |token: &&str| token.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let words: String = target.tokens.iter().map(|token| format!("\"{}\"\n", quoted(token))).collect();
        fs::write(folder.join(format!("{}.dict", target.name)), words)?;
    }
    Ok(())
}

fn replay(target: &Target, files: &[String]) -> ExitCode {
    for file in files {
        let input = match fs::read(file) {
            Ok(input) => input,
            Err(error) => return unreadable(file, &error),
        };
        match Terms::from_environment().one(target, &input) {
            Ok((seen, took)) => println!("{file}: {seen:?} after {took:?}"),
            Err(failure) => {
                eprintln!("{failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn unreadable(what: &str, error: &io::Error) -> ExitCode {
    eprintln!("cannot read or write `{what}`: {error}");
    ExitCode::FAILURE
}
