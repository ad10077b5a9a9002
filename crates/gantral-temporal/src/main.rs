//! `gantral-temporal`: beside the servers of a fleet, for one tenant; as many of them as wanted.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use gantral_api::client::{CertificateFiles, Client, ClientConfig, TokenSource};
use gantral_api::wire::text;
use gantral_temporal::bridge::{Bridge, BridgeConfig, connect};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// Has Temporal keep the time of Gantral's executions, and release their work to runners
///
/// Temporal is found by TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_… or a `temporal.toml`, as its own tools find
/// it. The servers are started with `--orchestrator temporal`.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The server of Gantral, or the address before several
    #[arg(long, value_name = "URL", env = "GANTRAL_URL")]
    url: String,
    /// A file with the token of an orchestrator, read anew for each request
    #[arg(long, value_name = "FILE", env = "GANTRAL_TOKEN_FILE")]
    token_file: PathBuf,
    /// The authorities to trust for the server, PEM; those of the system if there is none
    #[arg(long, value_name = "FILE", env = "GANTRAL_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// The certificate to show to a server that asks for one, PEM
    #[arg(long, value_name = "FILE", env = "GANTRAL_CERTIFICATE_FILE")]
    certificate_file: Option<PathBuf>,
    /// Its private key, PEM; in the same file if there is none
    #[arg(long, value_name = "FILE", env = "GANTRAL_CERTIFICATE_KEY_FILE", requires = "certificate_file")]
    certificate_key_file: Option<PathBuf>,
    /// A runner queue whose attempts are released here; may be given several times
    #[arg(
        long,
        value_name = "QUEUE",
        env = "GANTRAL_TEMPORAL_QUEUES",
        value_delimiter = ',',
        default_value = "default"
    )]
    queue: Vec<text::Name>,
    /// What the deployment is called in Temporal, where several share a namespace
    #[arg(long, value_name = "NAME", env = "GANTRAL_TEMPORAL_NAME", default_value = "gantral")]
    name: String,
    /// What this build of the workflows is called
    #[arg(long, value_name = "ID", env = "GANTRAL_TEMPORAL_BUILD_ID", default_value = env!("CARGO_PKG_VERSION"))]
    build_id: String,
    /// The worker deployment of Temporal whose version this build is; without it, any worker may be given any workflow
    #[arg(long, value_name = "NAME", env = "GANTRAL_TEMPORAL_DEPLOYMENT")]
    deployment: Option<String>,
    /// How many seconds between two searches for instances whose workflow somebody has ended
    #[arg(long, value_name = "SECONDS", env = "GANTRAL_TEMPORAL_SEARCH_EVERY", default_value_t = 600,
          value_parser = clap::value_parser!(u64).range(1..))]
    search_every: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter =
        EnvFilter::try_from_env("GANTRAL_LOG").unwrap_or_else(|_| EnvFilter::new("info,temporalio=warn"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "gantral-temporal ends");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> Result<()> {
    let token = TokenSource::File(arguments.token_file);
    let key = arguments.certificate_key_file;
    let certificate = arguments.certificate_file.map(|chain| CertificateFiles { chain, key });
    let ca_file = arguments.ca_file;
    let config = ClientConfig { ca_file, certificate, ..ClientConfig::new(&*arguments.url, token) };
    let api = Client::new(config).context("gantral")?;
    let config = BridgeConfig {
        deployment: arguments.name,
        queues: arguments.queue.into_iter().collect(),
        build_id: arguments.build_id,
        versioned: arguments.deployment,
        search_every: Duration::from_secs(arguments.search_every),
    };
    let bridge = Bridge::new(api, connect().await?, config).await?;
    tracing::info!(lane = %bridge.lane(), "ready");
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        stop_requested().await;
        tracing::info!("stopping");
        // The receiver is gone only when the bridge has ended already.
        let _ = stop.send(true);
    });
    bridge.run(stopped).await?;
    Ok(())
}

/// Waits until a service manager or a person asks the process to stop.
async fn stop_requested() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
