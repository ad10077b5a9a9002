//! `gantral witness`: a key and a memory of one's own, with which an auditor watches the logs of others.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gantral_evidence::log::note::NoteKey;
use gantral_witness::{Listening, TlsFiles, WitnessFolder, WitnessServer, parse_logs, serve};
use tokio::sync::watch;

use crate::connection::run_long;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logging;
use crate::out::{GOOD, Out, styled};
use crate::signals::stop_signals;

/// Subcommands of `witness`.
#[derive(Debug, Subcommand)]
pub enum WitnessCommand {
    /// Makes the key of a witness, and prints the line by which others know it
    Init(InitArgs),
    /// Checks what logs show, remembers it, and cosigns it
    Run(RunArgs),
}

/// Arguments of `witness init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where key and memory are kept; for one witness on one machine, and never restored from an old copy
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The name of the witness, such as `auditor.example/w1`
    #[arg(long, value_name = "NAME")]
    name: String,
}

/// Arguments of `witness run`.
#[derive(Debug, Args)]
#[command(after_help = logging::HELP)]
pub struct RunArgs {
    /// The folder that `init` made
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Where to listen; port 0 picks a free one. Beyond loopback a certificate is needed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7430")]
    listen: SocketAddr,
    /// The logs to watch: their keys, one a line, or a log policy
    #[arg(long, value_name = "FILE")]
    logs: PathBuf,
    /// The certificate chain, PEM, leaf first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

/// Runs a subcommand.
pub fn run(command: &WitnessCommand, out: Out) -> Result<Exit, Failure> {
    match command {
        WitnessCommand::Init(args) => init(args, out),
        WitnessCommand::Run(args) => {
            logging::start("info", out);
            run_long(watch_logs(args, out))
        }
    }
}

fn init(args: &InitArgs, out: Out) -> Result<Exit, Failure> {
    let folder = WitnessFolder::init(&args.dir, &args.name).map_err(said)?;
    let written = serde_json::json!({
        "name": folder.key().name(),
        "vkey": folder.key().to_string(),
        "policy_line": folder.policy_line(),
    });
    out.show(&written, |_| folder.policy_line())?;
    out.hint(format_args!(
        "this line goes into log policies, over a channel that others trust; then: gantral witness run --dir {} --logs FILE",
        args.dir.display()
    ));
    Ok(Exit::DONE)
}

async fn watch_logs(args: &RunArgs, out: Out) -> Result<Exit, Failure> {
    let logs = read_logs(&args.logs)?;
    let folder = WitnessFolder::open(&args.dir).map_err(said)?;
    let key = folder.key().clone();
    let tls = args.tls_certificate.clone().zip(args.tls_key.clone());
    let tls = tls.map(|(certificate, key)| TlsFiles::new(certificate, key));
    let count = logs.len();
    let witness = WitnessServer::new(folder, logs).map_err(said)?;
    let listening = Listening::bind(args.listen, tls.as_ref()).await.map_err(said)?;
    let (stop, stopped) = watch::channel(false);
    // Whoever reads the address may stop it at once.
    let signals = stop_signals();
    let stopper = tokio::spawn(async move {
        signals.await;
        // The witness may have ended before.
        let _ = stop.send(true);
    });
    let announced = serde_json::json!({ "url": listening.url(), "name": key.name(), "vkey": key.to_string(), "logs": count });
    out.show(&announced, |_| {
        format!(
            "{} {} on {} for {count} keys of logs",
            styled(GOOD, "gantral witness"),
            key.name(),
            listening.url()
        )
    })?;
    let served = serve(witness, listening, stopped).await;
    stopper.abort();
    served.map(|()| Exit::DONE).map_err(said)
}

fn read_logs(path: &Path) -> Result<Vec<NoteKey>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    parse_logs(&bytes).map_err(|error| Failure::file("use", path, &error))
}

fn said(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}
