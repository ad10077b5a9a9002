//! `gantral runner`: claims work, verifies it against pinned keys, and launches a fresh process for each attempt.

use std::fs::File;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use gantral_api::wire::text;
use gantral_core::ids::Name;
use gantral_edge::child::Launcher;
use gantral_edge::runner::{Runner, RunnerConfig, RunnerError, RunnerSettings, SETTINGS_BYTES_MAX};

use crate::cli::Server;
use crate::connection::{Target, run_long};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, Out, styled};
use crate::pinned::PinnedArgs;
use crate::signals::stop_signals_twice;
use crate::{logging, machine};

/// Which runner it is in development.
const USUAL: &str = "dev-runner";

/// Arguments of `runner`.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\n{}", machine::HELP, logging::HELP))]
pub struct RunnerArgs {
    /// Which server, and as whom.
    #[command(flatten)]
    server: Server,
    /// A queue to claim from; may be given several times
    #[arg(long = "queue", value_name = "QUEUE", required_unless_present = "config")]
    queues: Vec<String>,
    /// The settings of the runner, TOML: queues, limits, secrets. What is said here as well counts
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is believed.
    #[command(flatten)]
    pinned: PinnedArgs,
    /// Tokens and contexts of running attempts, and their output in `logs`; for one runner at a time
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// The working directory of commands; this one when absent
    #[arg(long, value_name = "DIR")]
    command_dir: Option<PathBuf>,
    /// How many attempts run at the same time; 1 when nothing is said
    #[arg(long, value_name = "COUNT")]
    concurrency: Option<NonZeroUsize>,
    /// How long attempts may go on after the first SIGTERM, such as `10m`; `1m` when nothing is said. A second one ends them at once
    #[arg(long, value_name = "DURATION")]
    drain: Option<text::Duration>,
    /// A further environment variable that commands inherit, beside PATH, HOME, LANG and TZ
    #[arg(long = "inherit", value_name = "NAME")]
    inherit: Vec<String>,
}

/// Works until it is told to stop, then lets what runs come to its end.
pub fn run(args: &RunnerArgs, out: Out) -> Result<Exit, Failure> {
    logging::start("info", out);
    let target = args.server.target(out, USUAL)?;
    let config = config(args, &target)?;
    let client = target.client()?;
    run_long(async {
        let queues = config.queues.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (drain, now) = stop_signals_twice();
        let runner = Runner::new(client, config).map_err(failed)?;
        out.talk(format_args!("{} works for {} on {queues}", styled(GOOD, "gantral runner"), target.url));
        runner.run_until(drain, now).await.map_err(failed)?;
        Ok(Exit::DONE)
    })
}

fn config(args: &RunnerArgs, target: &Target) -> Result<RunnerConfig, Failure> {
    let queue = |text: &String| {
        Name::parse(text).map_err(|error| Failure::new(format!("`{text}` is no queue: {error}")))
    };
    let queues = args.queues.iter().map(queue).collect::<Result<Vec<_>, _>>()?;
    let launcher = Launcher::this_program()
        .map_err(|error| Failure::new(format!("this program cannot find itself: {error}")))?;
    let work_dir = match (&args.work_dir, &target.dev) {
        (Some(work_dir), _) => work_dir.clone(),
        (None, Some(dev)) => dev.path().join("runner"),
        (None, None) => {
            return Err(Failure::new("no work directory").hint("give `--work-dir DIR`, one for each runner"));
        }
    };
    let mut config = RunnerConfig::new(queues, args.pinned.of(target)?, work_dir, launcher);
    config.command_dir.clone_from(&args.command_dir);
    if let Some(file) = &args.config {
        let settings = settings(file)?;
        settings.apply(&mut config).map_err(|error| Failure::file("use", file, &error))?;
    }
    config.concurrency = args.concurrency.unwrap_or(config.concurrency);
    config.drain = args.drain.map_or(config.drain, |time| Duration::from_millis(time.get()));
    config.inherit.clone_from(&args.inherit);
    Ok(config)
}

fn settings(file: &Path) -> Result<RunnerSettings, Failure> {
    let read = |error| Failure::file("read", file, &error);
    let mut bytes = Vec::new();
    let limit = u64::try_from(SETTINGS_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(file).and_then(|opened| opened.take(limit).read_to_end(&mut bytes)).map_err(read)?;
    if bytes.len() == SETTINGS_BYTES_MAX {
        return Err(Failure::file("use", file, &"it is too large to be meant"));
    }
    toml::from_slice(&bytes).map_err(|error| {
        let said: Vec<&str> = error.message().lines().collect();
        let line = error.span().and_then(|span| bytes.get(..span.start)).map(|before| {
            let lines = before.iter().filter(|byte| **byte == b'\n').count();
            format!(" (line {})", lines + 1)
        });
        Failure::file("use", file, &format!("{}{}", said.join(" "), line.unwrap_or_default()))
    })
}

fn failed(error: RunnerError) -> Failure {
    match error {
        RunnerError::Refused(error) => error.into(),
        error => Failure::new(error.to_string()),
    }
}
