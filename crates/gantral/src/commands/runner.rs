//! `gantral runner`: claims work, verifies it against pinned keys, and launches a fresh process for each attempt.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use gantral_core::ids::Name;
use gantral_edge::child::Launcher;
use gantral_edge::runner::{Runner, RunnerConfig, RunnerError};

use crate::cli::Server;
use crate::connection::{Target, run_long};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, Out, styled};
use crate::pinned::PinnedArgs;
use crate::signals::stop_requested;
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
    #[arg(long = "queue", value_name = "QUEUE", required = true)]
    queues: Vec<String>,
    /// What is believed.
    #[command(flatten)]
    pinned: PinnedArgs,
    /// Tokens and contexts of running attempts, and their output in `logs`; for one runner at a time
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// The working directory of commands; this one when absent
    #[arg(long, value_name = "DIR")]
    command_dir: Option<PathBuf>,
    /// How many attempts run at the same time
    #[arg(long, value_name = "COUNT", default_value = "1")]
    concurrency: NonZeroUsize,
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
        let queues = args.queues.join(", ");
        let runner = Runner::new(client, config).map_err(failed)?;
        out.talk(format_args!("{} works for {} on {queues}", styled(GOOD, "gantral runner"), target.url));
        runner.run(stop_requested()).await.map_err(failed)?;
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
    config.concurrency = args.concurrency;
    config.inherit.clone_from(&args.inherit);
    Ok(config)
}

fn failed(error: RunnerError) -> Failure {
    match error {
        RunnerError::Refused(error) => error.into(),
        error => Failure::new(error.to_string()),
    }
}
