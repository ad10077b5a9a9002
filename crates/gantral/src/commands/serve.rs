//! `gantral serve`: a server from a configuration file.

use std::path::PathBuf;

use clap::Args;
use gantral_core::ids::TenantId;
use gantral_server::settings::{Settings, Setup};
use gantral_server::{listen, serve as serve_app};
use tokio::sync::watch;

use super::policy::worker;
use super::store_place::{OrchestratorChoice, StorePlace};
use crate::connection::run_long;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logging;
use crate::out::{GOOD, Out, styled};
use crate::signals::stop_requested;

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = logging::HELP)]
pub struct ServeArgs {
    /// The configuration, TOML
    #[arg(long, value_name = "FILE", env = "GANTRAL_CONFIG", hide_env_values = true)]
    config: PathBuf,
    /// Where the ledger is.
    #[command(flatten)]
    place: StorePlace,
    /// Who says when work may begin, in place of what the configuration says; the same for every server upon one ledger
    #[arg(long, value_name = "WHO", env = "GANTRAL_ORCHESTRATOR", hide_env_values = true)]
    orchestrator: Option<OrchestratorChoice>,
}

/// Runs the server until it is told to stop.
pub fn run(args: &ServeArgs, out: Out) -> Result<Exit, Failure> {
    logging::start("info", out);
    let mut settings = Settings::read(&args.config, std::env::vars_os()).map_err(|error| said(&error))?;
    settings.store = args.place.or(settings.store.as_ref());
    settings.orchestrator = args.orchestrator.map_or(settings.orchestrator, Into::into);
    run_long(serve(&settings, out))
}

async fn serve(settings: &Settings, out: Out) -> Result<Exit, Failure> {
    let tenants = settings.tenants.iter().map(|name| {
        TenantId::parse(name).map_err(|error| Failure::new(format!("`tenants` names `{name}`: {error}")))
    });
    let tenants = tenants.collect::<Result<Vec<_>, _>>()?;
    let tls = settings.tls_files().map_err(|error| said(&error))?;
    let listening = listen(settings.listen, tls.as_ref(), false).await.map_err(|error| said(&error))?;
    let url = settings.public_url.clone().unwrap_or_else(|| listening.url());
    let setup = Setup {
        data: &settings.data,
        store: settings.store.as_ref(),
        tenants: &tenants,
        identity: &settings.identity,
        policy: &settings.policy,
        archive: settings.archive.as_ref(),
        notifications: &settings.notifications,
        four_eyes: &settings.four_eyes,
        delegations: &settings.delegations,
        passkeys: settings.passkeys.as_ref(),
        limits: &settings.limits,
        retention: &settings.retention,
        orchestrator: settings.orchestrator,
        telemetry: &settings.telemetry,
        development: None,
        public_url: url.trim_end_matches('/').to_owned(),
        worker: worker()?,
        public_logs: settings.log.public,
        witnesses: &settings.witnesses().map_err(|error| said(&error))?,
    };
    let app = setup.app().await.map_err(|error| said(&error))?;
    let (stop, stopped) = watch::channel(false);
    let said_as = serde_json::json!({ "url": listening.url(), "public_url": url });
    out.show(&said_as, |_| {
        format!("{} on {}, reached as {url}", styled(GOOD, "gantral serve"), listening.url())
    })?;
    let stopper = tokio::spawn(async move {
        stop_requested().await;
        // The server may have ended before.
        let _ = stop.send(true);
    });
    let served = serve_app(app, listening, stopped).await;
    stopper.abort();
    served.map(|()| Exit::DONE).map_err(|error| said(&error))
}

fn said(error: &dyn std::fmt::Display) -> Failure {
    let lines: Vec<String> = error.to_string().lines().map(|line| line.trim().to_owned()).collect();
    Failure::new(lines.join(" "))
}
