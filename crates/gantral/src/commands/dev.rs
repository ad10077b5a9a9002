//! `gantral dev`: a server for one developer, with identities of its own.
//!
//! Everything is kept in one folder: ledger, keys, tokens, the URL. Served on the loopback interface only, because whoever
//! can read the folder is anybody.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use gantral_api::client::{Client, ClientConfig, TokenSource};
use gantral_identity::{DevDirectory, DevIssuer, TokenKey};
use gantral_server::settings::Orchestrator;

use super::policy::worker;
use super::store_place::{OrchestratorChoice, StorePlace};
use crate::connection::{DEV_FOLDER, DevFolder, run_long};
use crate::dev_tokens::{write_all, write_private};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::local_server::LocalServer;
use crate::logging;
use crate::out::{FAINT, GOOD, Out, STRONG, styled};
use crate::signals::stop_requested;
use crate::{folders, gates};

/// A workflow to begin with, as seen from the repository.
const EXAMPLE: &str = "examples/split-agent/workflow.toml";
/// How often tokens are renewed: three times in their life, so that a missed time harms nobody.
const RENEW_EVERY: Duration = Duration::from_secs(20 * 60);

/// Arguments of `dev`.
#[derive(Debug, Args)]
#[command(after_help = logging::HELP)]
pub struct DevArgs {
    /// Where everything is kept
    #[arg(long, value_name = "DIR", default_value = DEV_FOLDER)]
    dir: PathBuf,
    /// Where to listen, on the loopback interface; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7420")]
    listen: SocketAddr,
    /// Where the ledger is.
    #[command(flatten)]
    place: StorePlace,
    /// Who says when work may begin
    #[arg(long, value_name = "WHO", env = "GANTRAL_ORCHESTRATOR", hide_env_values = true)]
    orchestrator: Option<OrchestratorChoice>,
}

/// Runs the server until it is told to stop.
pub fn run(args: &DevArgs, out: Out) -> Result<Exit, Failure> {
    logging::start("warn", out);
    run_long(dev(args, out))
}

async fn dev(args: &DevArgs, out: Out) -> Result<Exit, Failure> {
    let folder = DevFolder::new(&args.dir);
    make_private(&folder)?;
    let key =
        TokenKey::load_or_generate(&folder.issuer_key()).map_err(|error| Failure::new(error.to_string()))?;
    let issuer = Arc::new(DevIssuer::new(key, DevDirectory::standard()));
    write_all(&issuer, &folder)?;
    let store = args.place.or(None);
    let orchestrator = args.orchestrator.map_or_else(Orchestrator::default, Into::into);
    let mut server =
        LocalServer::start(&folder.data(), (store.as_ref(), orchestrator), args.listen, &issuer, worker()?)
            .await?;
    let administrator = administrator(&folder, server.url())?;
    write_trust(&folder, &administrator).await?;
    gates::install(&administrator).await?;
    write_private(&folder.url(), format!("{}\n", server.url()).as_bytes())?;
    announce(&folder, server.url(), out)?;
    let mut renewal = tokio::time::interval(RENEW_EVERY);
    renewal.tick().await;
    let mut stop = std::pin::pin!(stop_requested());
    loop {
        tokio::select! {
            _ = renewal.tick() => write_all(&issuer, &folder)?,
            failure = server.ended() => return Err(failure),
            () = &mut stop => break,
        }
    }
    out.talk("stopping");
    // A folder whose server is gone names none.
    let _ = std::fs::remove_file(folder.url());
    server.stop().await;
    Ok(Exit::DONE)
}

fn make_private(folder: &DevFolder) -> Result<(), Failure> {
    let path = folder.path();
    folders::make_private(path).map_err(|error| Failure::file("make", path, &error))?;
    // Nothing in there belongs into a repository.
    std::fs::write(path.join(".gitignore"), "*\n").map_err(|error| Failure::file("write to", path, &error))
}

fn administrator(folder: &DevFolder, url: &str) -> Result<Client, Failure> {
    Ok(Client::new(ClientConfig::new(url, TokenSource::File(folder.token("dave"))))?)
}

/// The issuer key of this server is pinned by whoever started it: here, server and relying party are one person.
async fn write_trust(folder: &DevFolder, administrator: &Client) -> Result<(), Failure> {
    let keys = administrator.keys().await?;
    write_private(&folder.trust(), keys.trust_hint.as_str().as_bytes())
}

fn announce(folder: &DevFolder, url: &str, out: Out) -> Result<(), Failure> {
    let shown = folder.path().display();
    let data = serde_json::json!({ "url": url, "directory": folder.path() });
    out.show(&data, |_| {
        format!(
            "{} on {} {}",
            styled(GOOD, "gantral dev"),
            styled(STRONG, url),
            styled(FAINT, "(development identities, this machine only)")
        )
    })?;
    // Whoever installed the program alone has no such file.
    let example = if Path::new(EXAMPLE).exists() {
        format!(
            "
  gantral workflows apply {EXAMPLE}
  gantral runner --queue default
  gantral instances create split-refund
"
        )
    } else {
        String::new()
    };
    out.talk(format_args!(
        "
  console   {url}/console/
  people    alice (RISK_OFFICER), bob (DEVELOPER, owns the agent), carol (TECH_LEAD), dave (PLATFORM_ADMIN)
  clients   refund-agent (asks), dev-runner (runs queue `default`), dev-gate (stands before commands)
  tokens    {shown}/tokens/NAME.token, renewed while this runs
  trust     {shown}/trust.json

In other terminals, in this folder:

  gantral run -- sh -c 'echo done > result.txt'   # a command that a human decides on
  gantral approvals ls
  gantral govern .mcp.json                        # has the servers of an MCP client governed
{example}
Commands find this server by `./{DEV_FOLDER}` and act as whoever usually does such things; `--as NAME` chooses another.
Stop with Ctrl-C; everything is kept in `{shown}`."
    ));
    Ok(())
}
