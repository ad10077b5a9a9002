//! `gantral authz`: answers proxies that ask before they send a request on, such as Envoy, and hears from them what came of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gantral_api::wire::text;
use gantral_core::ids::WorkflowId;
use gantral_http::authz::door::{ChecksConfig, serve};
use gantral_http::authz::{Authorizer, AuthorizerConfig, HOLD_MAX};
use gantral_http::proxy::Door;
use gantral_http::spool::Spool;
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

const ROUTES: &str = "\
It answers Envoy's ext_authz over gRPC and over HTTP (path prefix `/ext_authz`), and at `/forward_auth` whoever sends method and target in
`X-Forwarded-Method` and `X-Forwarded-Uri` (Traefik, Caddy) or `X-Original-Method` and `X-Original-URI` (nginx). Services ask for themselves at
`/access/v1/evaluation` and `/access/v1/evaluations` (AuthZEN). What came of it, it learns from Envoy's access log over gRPC, or at
`/gantral/outcome`.";

/// Arguments of `authz`.
#[derive(Debug, Args)]
#[command(after_help = format!("{ROUTES}\n\n{RULES}\n\n{}\n\n{}", machine::HELP, logging::HELP))]
pub struct AuthzArgs {
    /// Which server of Gantral, and as whom.
    #[command(flatten)]
    server: Server,
    /// What is pinned.
    #[command(flatten)]
    pinned: PinnedArgs,
    /// Where to listen; port 0 picks a free one. Beyond loopback a certificate is needed
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7441")]
    listen: SocketAddr,
    /// What the service is called in policies, approvals and evidence; the host of each request when absent
    #[arg(long, value_name = "NAME")]
    name: Option<text::Name>,
    /// For how long a question is held open for humans, less than whoever asks waits for an answer; not at all when absent
    #[arg(long, value_name = "DURATION")]
    hold: Option<text::Duration>,
    /// The workflow that governs evaluations of access (AuthZEN)
    #[arg(long, value_name = "WORKFLOW", default_value = "access")]
    access_workflow: text::WorkflowId,
    /// Envoy is configured to send whole bodies (`with_request_body`): a request without one that is whole is refused
    #[arg(long)]
    bodies: bool,
    /// A file with the token that questions must carry as `Gantral-Token`, mode 0600
    #[arg(long, value_name = "FILE")]
    listen_token: Option<PathBuf>,
    /// What is governed.
    #[command(flatten)]
    gate: GateArgs,
}

/// Answers until it is told to stop.
pub fn run(args: &AuthzArgs, out: Out) -> Result<Exit, Failure> {
    logging::start("warn", out);
    let config = ChecksConfig {
        rules: args.gate.rules()?,
        choice: args.gate.choice()?,
        token: token(args.listen_token.as_deref())?,
        client_header: args.gate.client_header()?,
        service: args.name.as_ref().map(ToString::to_string),
        bodies: args.bodies,
    };
    let hold = args.hold.as_ref().map_or(Duration::ZERO, |hold| Duration::from_millis(hold.get()));
    if hold > HOLD_MAX {
        return Err(Failure::new(format!("a question is held for {} s at most", HOLD_MAX.as_secs())));
    }
    let target = args.server.target(out, USUAL)?;
    let workflow = WorkflowId::clone(&args.gate.workflow);
    let named = config.service.as_deref().unwrap_or("any");
    let folder = interceptor::spool(args.gate.spool.as_deref(), "authz", &target, workflow.as_str(), named)?;
    let spool = Spool::open(&folder).map_err(|error| Failure::file("open the spool", &folder, &error))?;
    let pinned = args.pinned.of(&target)?;
    let access = WorkflowId::clone(&args.access_workflow);
    let authorizer =
        Authorizer::new(AuthorizerConfig { client: target.client()?, workflow, access, pinned, hold, spool });
    let tls = args.gate.tls();
    run_long(async {
        let door = Door::open(args.listen, tls.as_ref()).await.map_err(said)?;
        let url = door.url();
        out.show(&serde_json::json!({ "url": url }), |_| {
            format!("{} on {url}", styled(GOOD, "gantral authz"))
        })?;
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            stop_requested().await;
            // Whoever serves may have ended.
            let _ = stop.send(true);
        });
        let served = serve(authorizer, config, door, stopped).await;
        served.map_err(|error| Failure::new(format!("questions cannot be answered: {error}")))?;
        Ok(Exit::DONE)
    })
}
