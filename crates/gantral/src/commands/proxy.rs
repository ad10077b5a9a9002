//! `gantral proxy --upstream URL`: stands before a service over HTTP, and has each governed request asked for before it is sent.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use gantral_api::wire::text;
use gantral_core::ids::WorkflowId;
use gantral_http::governor::{Governor, GovernorConfig, HOLD_MAX, Pending};
use gantral_http::proxy::{Door, ProxyConfig, serve};
use gantral_http::spool::Spool;
use gantral_http::upstream::Upstream;
use tokio::sync::watch;

use crate::cli::Server;
use crate::connection::run_long;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::http_gate::{GateArgs, RULES, said, token};
use crate::out::{GOOD, Out, styled};
use crate::pinned::PinnedArgs;
use crate::signals::stop_requested;
use crate::{interceptor, logging, machine};

/// Who it is in development.
const USUAL: &str = "dev-gate";
/// For how long a request is held open for humans, unless it is said: most clients and proxies wait for a minute.
const HOLD: &str = "40s";
/// What clients are told by that a human decides.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum PendingStatus {
    /// It is kept and carried out later
    #[value(name = "202")]
    Accepted,
    /// For clients that take any 2xx for done
    #[value(name = "503")]
    Unavailable,
}

/// Arguments of `proxy`.
#[derive(Debug, Args)]
#[command(after_help = format!("{RULES}\n\n{}\n\n{}", machine::HELP, logging::HELP))]
pub struct ProxyArgs {
    /// Which server of Gantral, and as whom.
    #[command(flatten)]
    server: Server,
    /// What is pinned.
    #[command(flatten)]
    pinned: PinnedArgs,
    /// The address of the service
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// Where to listen; port 0 picks a free one. Beyond loopback a certificate is needed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7440")]
    listen: SocketAddr,
    /// What the service is called in policies, approvals and evidence; its host when absent
    #[arg(long, value_name = "NAME")]
    name: Option<text::Name>,
    /// For how long a request is held open for humans before its client is told that it waits
    #[arg(long, value_name = "DURATION", default_value = HOLD)]
    hold: text::Duration,
    /// The status that tells a client that a request waits
    #[arg(long, value_name = "STATUS", default_value = "202")]
    pending_status: PendingStatus,
    /// A file with headers for the service, one `Name: value` a line, mode 0600
    #[arg(long, value_name = "FILE")]
    upstream_headers: Option<PathBuf>,
    /// The certificate authorities to trust for the service instead of the system's, PEM
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// A file with the token that clients must send as `Authorization: Bearer`, mode 0600
    #[arg(long, value_name = "FILE")]
    listen_token: Option<PathBuf>,
    /// What is governed.
    #[command(flatten)]
    gate: GateArgs,
}

/// Serves clients until it is told to stop.
pub fn run(args: &ProxyArgs, out: Out) -> Result<Exit, Failure> {
    logging::start("warn", out);
    let config = ProxyConfig {
        rules: args.gate.rules()?,
        choice: args.gate.choice()?,
        token: token(args.listen_token.as_deref())?,
        client_header: args.gate.client_header()?,
    };
    let hold = Duration::from_millis(args.hold.get());
    if hold > HOLD_MAX {
        return Err(Failure::new(format!("a request is held for {} s at most", HOLD_MAX.as_secs())));
    }
    let target = args.server.target(out, USUAL)?;
    let headers = args.upstream_headers.as_deref().map(interceptor::headers).transpose()?.unwrap_or_default();
    let upstream = Upstream::new(&args.upstream, args.upstream_ca.as_deref(), &headers).map_err(said)?;
    let service = args.name.as_ref().map_or_else(|| upstream.host(), ToString::to_string);
    let workflow = WorkflowId::clone(&args.gate.workflow);
    let folder =
        interceptor::spool(args.gate.spool.as_deref(), "proxy", &target, workflow.as_str(), &service)?;
    let spool = Spool::open(&folder).map_err(|error| Failure::file("open the spool", &folder, &error))?;
    let governor = Governor::new(GovernorConfig {
        service,
        hold,
        pending: match args.pending_status {
            PendingStatus::Accepted => Pending::Accepted,
            PendingStatus::Unavailable => Pending::Unavailable,
        },
        client: target.client()?,
        workflow,
        pinned: args.pinned.of(&target)?,
        spool,
        upstream,
    });
    let tls = args.gate.tls();
    run_long(async {
        let door = Door::open(args.listen, tls.as_ref()).await.map_err(said)?;
        let url = door.url();
        out.show(&serde_json::json!({ "url": url }), |_| {
            format!("{} on {url} before {}", styled(GOOD, "gantral proxy"), args.upstream)
        })?;
        let (stop, stopped) = watch::channel(false);
        let left = tokio::spawn(governor.clone().take_up());
        tokio::spawn(async move {
            stop_requested().await;
            // Whoever serves may have ended.
            let _ = stop.send(true);
        });
        let served = serve(governor, config, door, stopped).await;
        left.abort();
        served.map_err(|error| Failure::new(format!("clients cannot be served: {error}")))?;
        Ok(Exit::DONE)
    })
}
