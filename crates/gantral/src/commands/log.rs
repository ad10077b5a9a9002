//! `gantral log`: what an auditor does with a transparency log.
//!
//! `monitor` needs no server and nobody's word: the published files of a log, or a mirror of them, and keys that were pinned.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use gantral_evidence::container::{KEYS_DIRECTORY, MANIFEST_PATH, read_tar};
use gantral_evidence::log::policy::LogPolicy;
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::parse_receipts;
use gantral_evidence::window::{LIST_PATH, STATEMENT_PATH};
use gantral_log::folder::Folder;
use gantral_log::monitor::{HandedOver, Monitor, Occasion, Questions, Reception, Report, StateFolder};
use gantral_log::objects::ReadObjects;
use gantral_log::remote::{RemoteConfig, RemoteLog};
use gantral_verify::{Source as Stored, read_bundle};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::show::monitor::{document, text};
use crate::signals::stop_signals;

/// Subcommands of `log`.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Reads every leaf of a log, and finds forks, gaps, rewriting, hidden executions and broken promises
    Monitor(Box<MonitorArgs>),
}

/// Arguments of `log monitor`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 clean, 1 something was found, 3 the log could not be read or judged.")]
pub struct MonitorArgs {
    /// A mirror of the log: a folder with `checkpoint` and `tile`
    #[arg(long, value_name = "DIR", conflicts_with = "url", required_unless_present = "url")]
    mirror: Option<PathBuf>,
    /// Where the log is published: the address above `checkpoint` and `tile`
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A file with a bearer token for the URL, mode 0600
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
    /// The certificate authorities to trust for the URL instead of the system's, PEM
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
    /// The trust file that you pinned; its `log` says which logs and witnesses are believed
    #[arg(long, value_name = "FILE", required_unless_present = "policy")]
    trust: Option<PathBuf>,
    /// A log policy, in place of that of the trust file
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Where to remember what was seen; without it everything is read, and nothing is held against the log later
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Bundles that must be in the log: files, directories, or directories of them
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "trust")]
    bundles: Vec<PathBuf>,
    /// Answers that were kept, a JSON object with an `envelope` in each line: what they promise must be in the log
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "trust")]
    receipts: Vec<PathBuf>,
    /// Delegations to keys that have signed receipts, where no bundle brings them
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "trust")]
    delegation: Vec<PathBuf>,
    /// Checkpoints that others were shown: they must be of the same history
    #[arg(long, value_name = "FILE", num_args = 1..)]
    checkpoint: Vec<PathBuf>,
    /// The first index of the window of which every execution must be among the bundles
    #[arg(long, value_name = "INDEX", requires = "bundles")]
    from_index: Option<u64>,
    /// The index behind the last of the window
    #[arg(long, value_name = "INDEX", requires = "bundles")]
    to_index: Option<u64>,
    /// How long an artifact may stay out of the log; the promise and the skew of the trust file when absent
    #[arg(long, value_name = "SECONDS")]
    delay: Option<u64>,
    /// Reads everything again, also what was read before
    #[arg(long)]
    again: bool,
    /// Goes on, with a pause of so many seconds, until it is told to stop
    #[arg(long, value_name = "SECONDS")]
    follow: Option<u64>,
}

/// Runs a subcommand.
pub fn run(command: &LogCommand, out: Out) -> Result<Exit, Failure> {
    let LogCommand::Monitor(args) = command;
    monitor(args, out).map_err(|failure| failure.exit(Exit::NOT_VERIFIED))
}

/// Where the objects are.
enum Source {
    Mirror(Folder),
    Published(RemoteLog),
}

impl ReadObjects for Source {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Mirror(folder) => folder.read(name),
            Self::Published(log) => log.read(name),
        }
    }
}

fn monitor(args: &MonitorArgs, out: Out) -> Result<Exit, Failure> {
    let trust = args.trust.as_deref().map(read_trust).transpose()?;
    let questions = questions(args, trust.as_ref())?;
    // The passes run on this thread, which does not drive the runtime.
    let runtime = Runtime::new().map_err(|error| said(&error))?;
    let source = source(args, &runtime)?;
    let folder = args.state.as_deref().map(StateFolder::open).transpose().map_err(|error| said(&error))?;
    let policy = policy(args, trust.as_ref())?;
    let mut monitor = resume(policy, folder.as_ref(), args)?;
    let mut stop = args.follow.map(|seconds| (Duration::from_secs(seconds), stopped(&runtime)));
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| said(&error))?;
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let occasion = Occasion { now_ms, is_live: args.url.is_some() };
        let passed = monitor.pass(&source, &questions, occasion);
        let exit = match &passed {
            Ok(report) => {
                keep(&monitor, folder.as_ref(), report)?;
                out.show(&document(report), |_| text(report))?;
                if report.is_clean() { Exit::DONE } else { Exit::FAILED }
            }
            Err(_) => Exit::NOT_VERIFIED,
        };
        let Some((pause, stop)) = &mut stop else {
            return passed.map(|_| exit).map_err(|error| said(&error));
        };
        if let Err(error) = passed {
            // Who follows a log outlives its interruptions.
            out.failure(&said(&error));
        }
        let told = runtime
            .block_on(async { tokio::time::timeout(*pause, stop.wait_for(|stop| *stop)).await.is_ok() });
        if told {
            return Ok(exit);
        }
    }
}

/// Returns what turns true when the process is asked to end. A pass that is under way comes to its end.
fn stopped(runtime: &Runtime) -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    let signals = {
        let _within = runtime.enter();
        stop_signals()
    };
    runtime.spawn(async move {
        signals.await;
        // Nobody listens once the last pass is over.
        let _ = stop.send(true);
    });
    stopped
}

fn source(args: &MonitorArgs, runtime: &Runtime) -> Result<Source, Failure> {
    match (&args.mirror, &args.url) {
        (Some(folder), _) => Ok(Source::Mirror(Folder::new(folder))),
        (None, Some(url)) => {
            let (token_file, ca_file) = (args.token_file.clone(), args.ca_file.clone());
            let config = RemoteConfig { url: url.clone(), token_file, ca_file };
            let log = RemoteLog::new(&config, runtime.handle().clone());
            Ok(Source::Published(log.map_err(|error| said(&error))?))
        }
        (None, None) => Err(Failure::new("no log is named").hint("give `--mirror DIR` or `--url URL`")),
    }
}

fn policy(args: &MonitorArgs, trust: Option<&Trust>) -> Result<LogPolicy, Failure> {
    if let Some(path) = &args.policy {
        let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
        return LogPolicy::parse(&bytes).map_err(|error| Failure::file("use", path, &error));
    }
    let log = trust.and_then(Trust::log);
    log.map(|log| log.policy().clone()).ok_or_else(|| {
        Failure::new("the trust file believes no log")
            .hint("pin the log and its witnesses under `log`, or give `--policy FILE`")
    })
}

fn resume(policy: LogPolicy, folder: Option<&StateFolder>, args: &MonitorArgs) -> Result<Monitor, Failure> {
    let Some(folder) = folder else { return Ok(Monitor::new(policy)) };
    let path = args.state.as_deref().unwrap_or(Path::new("."));
    let stored = folder.load().map_err(|error| Failure::file("read", path, &error))?;
    match stored {
        None => Ok(Monitor::new(policy)),
        Some(bytes) => Monitor::resume(policy, &bytes).map_err(|error| {
            Failure::file("use", path, &error)
                .hint("another folder begins anew, and holds nothing against the log that it showed before")
        }),
    }
}

/// Makes durable what a pass has added, before anything is said about it.
fn keep(monitor: &Monitor, folder: Option<&StateFolder>, report: &Report) -> Result<(), Failure> {
    let size = report.checkpoint.as_ref().map(|checkpoint| checkpoint.tree.size);
    let is_new = size != Some(report.known) || report.known == 0 || !report.findings.is_empty();
    match (folder, monitor.state().filter(|_| is_new)) {
        (Some(folder), Some(state)) => folder
            .store(state)
            .map_err(|error| Failure::new(format!("what was seen cannot be remembered: {error}"))),
        _ => Ok(()),
    }
}

fn questions(args: &MonitorArgs, trust: Option<&Trust>) -> Result<Questions, Failure> {
    let of_trust = trust.and_then(Trust::log).map(|log| log.patience_ms());
    let delay = args.delay.map(|seconds| seconds.saturating_mul(1_000));
    let window = (args.from_index.is_some() || args.to_index.is_some())
        .then(|| args.from_index.unwrap_or_default()..args.to_index.unwrap_or(u64::MAX));
    Ok(Questions {
        handed_over: handed_over(args, trust)?,
        window,
        again: args.again,
        patience_ms: delay.or(of_trust).unwrap_or_default(),
    })
}

fn handed_over(args: &MonitorArgs, trust: Option<&Trust>) -> Result<HandedOver, Failure> {
    // Without a trust file there are neither bundles nor receipts.
    let nobody = Trust::default();
    let mut reception = Reception::new(trust.unwrap_or(&nobody));
    for path in bundles(&args.bundles)? {
        let name = path.display().to_string();
        match read_bundle(&path).map_err(|error| said(&error))? {
            Stored::Tar(bytes) => reception.bundle(&name, read_tar(&bytes)),
            Stored::NotABundle(error) => reception.bundle(&name, Err(error)),
            Stored::Files(files) => reception.bundle(&name, files.as_files()),
        }
    }
    for path in &args.delegation {
        let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
        reception.delegation(&bytes).map_err(|error| Failure::file("use", path, &error))?;
    }
    for path in &args.receipts {
        let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
        let receipts = parse_receipts(&bytes).map_err(|error| Failure::file("use", path, &error))?;
        reception.receipts(&path.display().to_string(), receipts);
    }
    for path in &args.checkpoint {
        let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
        reception.checkpoint(&path.display().to_string(), bytes);
    }
    Ok(reception.finish())
}

/// Returns the bundles that paths name: each itself, or everything in a directory that is none.
fn bundles(paths: &[PathBuf]) -> Result<BTreeSet<PathBuf>, Failure> {
    let mut bundles = BTreeSet::new();
    for path in paths {
        if !path.is_dir() || path.join(MANIFEST_PATH).exists() {
            bundles.insert(path.clone());
            continue;
        }
        let failed = |error| Failure::file("read", path, &error);
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            // What a window has beside its bundles.
            if ![STATEMENT_PATH, LIST_PATH, KEYS_DIRECTORY].iter().any(|name| path.ends_with(name)) {
                bundles.insert(path);
            }
        }
    }
    Ok(bundles)
}

fn read_trust(path: &Path) -> Result<Trust, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    Trust::parse(&bytes).map_err(|error| Failure::file("use", path, &error))
}

fn said(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}
