//! `gantral mcp`: stands between a client of the Model Context Protocol and a server, and has each call of a tool governed.
//!
//! Standard input and output are the client's; what there is to say goes to standard error.

mod servers;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use gantral_api::wire::text;
use gantral_core::digest::Hasher;
use gantral_core::ids::SessionId;
use gantral_edge::call::{Caller, CallerConfig};
use gantral_mcp::authority::Authority;
use gantral_mcp::governor::{Called, Governor, GovernorConfig};
use gantral_mcp::http::{self, Door};
use gantral_mcp::spool::Spool;
use gantral_mcp::stdio;
use gantral_mcp::upstream::Upstream;
use gantral_mcp::withheld::Rules;
use tokio::sync::watch;

use crate::cli::Server;
use crate::connection::Target;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::pinned::PinnedArgs;
use crate::signals::stop_requested;
use crate::{connection, interceptor, logging, machine};

/// Who it is in development.
const USUAL: &str = "dev-gate";
/// For how long a call is held open for humans, unless it is said: most clients wait for a minute.
const HOLD_SECONDS: u64 = 40;
/// What several servers are called together.
const SEVERAL: &str = "servers";

/// Arguments of `mcp`.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\n{}", machine::HELP, logging::HELP))]
pub struct McpArgs {
    /// Which server of Gantral, and as whom.
    #[command(flatten)]
    server: Server,
    /// The command that starts the server of tools
    #[arg(last = true, value_name = "COMMAND", required_unless_present_any = ["upstream", "servers"])]
    command: Vec<OsString>,
    /// The address of the server of tools, in place of a command
    #[arg(long, value_name = "URL", conflicts_with = "command")]
    upstream: Option<String>,
    /// A file with several servers, each under a prefix: tables `[servers.NAME]` with `command` or `url`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "upstream", "name"])]
    servers: Option<PathBuf>,
    /// What the server of tools is called in policies, approvals and evidence; made of its command or host when absent
    #[arg(long, value_name = "NAME")]
    name: Option<text::Name>,
    /// The workflow that governs the calls
    #[arg(long, default_value = "mcp")]
    workflow: text::WorkflowId,
    /// What is pinned.
    #[command(flatten)]
    pinned: PinnedArgs,
    /// For how many seconds a call is held open for humans before its client is told that it waits
    #[arg(long, value_name = "SECONDS", default_value_t = HOLD_SECONDS)]
    hold: u64,
    /// A file with headers for the server of tools, one `Name: value` a line, mode 0600
    #[arg(long, value_name = "FILE", requires = "upstream")]
    upstream_headers: Option<PathBuf>,
    /// The certificate authorities to trust for the server of tools instead of the system's, PEM
    #[arg(long, value_name = "FILE", requires = "upstream")]
    upstream_ca: Option<PathBuf>,
    /// Listens for clients over HTTP, on this machine, in place of standard input; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// A file with the token that clients must send as `Authorization: Bearer`, mode 0600
    #[arg(long, value_name = "FILE", requires = "listen")]
    listen_token: Option<PathBuf>,
    /// A member of the arguments that does not leave this machine, as a JSON pointer such as `/arguments/password`; may be repeated
    #[arg(long, value_name = "POINTER")]
    withhold: Vec<String>,
    /// A member that policy is shown as an attribute of its own, such as `amount=/arguments/amount`; may be repeated
    #[arg(long, value_name = "NAME=POINTER")]
    attribute: Vec<String>,
    /// Where calls are kept that wait, for its owner alone; one for each agent and server
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
}

/// Arguments of the guardian of a server.
#[derive(Debug, Args)]
pub struct McpChildArgs {
    /// The command.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the guardian of a server.
pub fn guard(args: &McpChildArgs) -> ExitCode {
    gantral_mcp::process::guard(&args.command)
}

/// Serves a client until it goes, or the server does.
pub fn run(args: &McpArgs, out: Out) -> Result<Exit, Failure> {
    logging::start("warn", out);
    let target = args.server.target(out, USUAL)?;
    let upstream = upstream(args)?;
    let (name, called) = called(args)?;
    let spool = spool(args, &target, &name)?;
    let session =
        spool.session().map_err(|error| Failure::new(format!("the spool cannot be used: {error}")))?;
    let session = SessionId::parse(&session)
        .map_err(|error| Failure::new(format!("the spool has no session: {error}")))?;
    let caller = CallerConfig {
        workflow: args.workflow.clone().into_inner(),
        session: Some(session),
        pinned: args.pinned.of(&target)?,
        journal: None,
    };
    let rules = Rules::parse(&args.withhold, &args.attribute);
    let governor = Governor::new(GovernorConfig {
        rules: rules.map_err(|error| Failure::new(error.to_string()))?,
        whose: whose(args, &target, &name),
        server: called,
        hold: std::time::Duration::from_secs(args.hold),
        authority: Authority::new(Caller::new(target.client()?, caller)),
        spool,
        opens: Arc::new(upstream.clone()),
    });
    let token = args.listen_token.as_deref().map(interceptor::token).transpose()?;
    // On one thread, also for many clients: a call is answered sooner where nothing changes threads on its way, and the server is what has work to do.
    match args.listen {
        None => connection::run(serve(governor, upstream)),
        Some(address) => connection::run(listen(governor, upstream, address, token, out)),
    }
}

async fn listen(
    governor: Arc<Governor>,
    upstream: Upstream,
    address: SocketAddr,
    token: Option<String>,
    out: Out,
) -> Result<Exit, Failure> {
    let door = Door::open(address, token).await.map_err(|error| Failure::new(error.to_string()))?;
    let url = door.url();
    out.show(&serde_json::json!({ "url": url }), |_| url.clone())?;
    let (stop, stopped) = watch::channel(false);
    let left = tokio::spawn(governor.clone().take_up());
    tokio::spawn(async move {
        stop_requested().await;
        // Whoever serves may have ended.
        let _ = stop.send(true);
    });
    let served = http::serve(governor, upstream, door, stopped).await;
    left.abort();
    served.map_err(|error| Failure::new(format!("clients cannot be served: {error}")))?;
    Ok(Exit::DONE)
}

async fn serve(governor: Arc<Governor>, upstream: Upstream) -> Result<Exit, Failure> {
    let started = upstream.link();
    let (link, running) =
        started.map_err(|error| Failure::new(format!("the server cannot be started: {error}")))?;
    let left = tokio::spawn(governor.clone().take_up());
    let served = stdio::serve(governor, link, std::io::stdin(), std::io::stdout(), stop_requested()).await;
    left.abort();
    gantral_mcp::process::all_ended(running).await;
    served.map_err(|error| Failure::new(format!("the client cannot be served: {error}")))?;
    Ok(Exit::DONE)
}

fn upstream(args: &McpArgs) -> Result<Upstream, Failure> {
    match (&args.servers, &args.upstream) {
        (Some(file), _) => servers::of_file(file),
        (None, Some(url)) => {
            servers::of_address(url, args.upstream_headers.as_deref(), args.upstream_ca.as_deref())
        }
        (None, None) => servers::of_command(args.command.clone()),
    }
}

/// Returns what names the calls that are kept, and what servers are called in actions.
fn called(args: &McpArgs) -> Result<(String, Called), Failure> {
    match &args.servers {
        None => name(args).map(|name| (name.clone(), Called::One(name))),
        // Another file names other servers, which cannot carry out what these were asked for.
        Some(file) => {
            let path = std::path::absolute(file).map_err(|error| Failure::file("find", file, &error))?;
            let digest =
                Hasher::new("gantral/mcp/servers/v1").bytes(path.as_os_str().as_encoded_bytes()).finish();
            let digest = digest.to_hex();
            let name = format!("{SEVERAL}-{}", digest.get(..12).unwrap_or_default());
            Ok((name, Called::Several(SEVERAL.to_owned())))
        }
    }
}

/// Returns what the server is called: what was said, or what starts it.
fn name(args: &McpArgs) -> Result<String, Failure> {
    let given = args.name.as_ref().map(|name| name.to_string());
    let made = given.or_else(|| args.upstream.as_deref().and_then(host)).or_else(|| program(&args.command));
    // It begins the target of each action, up to the first slash.
    let plain = |name: &String| !name.is_empty() && !name.contains('/') && name.parse::<text::Name>().is_ok();
    made.filter(plain).ok_or_else(|| {
        Failure::new("the server of tools has no usable name")
            .hint("give `--name NAME`: letters, digits and . _ : @ -")
    })
}

fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?']).next().map(ToOwned::to_owned)
}

/// Returns the first word of a command that says what it is about: launchers of packages are named like what they launch.
fn program(command: &[OsString]) -> Option<String> {
    let mut words = command.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-'));
    let launchers =
        ["npx", "uvx", "uv", "run", "node", "python", "python3", "bunx", "pipx", "docker", "deno"];
    let named = words.find_map(|word| {
        let file = Path::new(word).file_name()?.to_str()?;
        (!launchers.contains(&file)).then(|| file.to_owned())
    })?;
    let stem = [".js", ".mjs", ".py", ".ts"].iter().find_map(|end| named.strip_suffix(end));
    Some(stem.unwrap_or(&named).to_owned())
}

/// Opens the folder of calls: the one that was said, or one of this agent for this server.
fn spool(args: &McpArgs, target: &Target, name: &str) -> Result<Spool, Failure> {
    let folder = interceptor::spool(args.spool.as_deref(), "mcp", target, &args.workflow.to_string(), name)?;
    Spool::open(&folder).map_err(|error| Failure::file("open the spool", &folder, &error))
}

/// Returns a digest of whose calls of which server these are.
fn whose(args: &McpArgs, target: &Target, name: &str) -> String {
    let hasher = Hasher::new("gantral/mcp/spool/v1").text(&target.url).text(&target.credentials.described());
    hasher.text(&args.workflow.to_string()).bytes(name.as_bytes()).finish().to_hex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_is_called_like_what_is_launched() {
        let named = |words: &[&str]| program(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(
            named(&["npx", "-y", "@modelcontextprotocol/server-filesystem", "/srv"]).unwrap(),
            "server-filesystem"
        );
        assert_eq!(named(&["uvx", "mcp-server-git", "--repository", "."]).unwrap(), "mcp-server-git");
        assert_eq!(named(&["/usr/bin/python3", "tools/pay.py"]).unwrap(), "pay");
        assert_eq!(named(&["node"]), None);
        assert_eq!(host("https://tools.example.org:8443/mcp").unwrap(), "tools.example.org:8443");
    }
}
