//! A server in this process with the development issuer: what `dev` and `demo` run.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use gantral_core::ids::TenantId;
use gantral_identity::{DEV_TENANT, DevIssuer, IdentityConfig};
use gantral_policy::WorkerCommand;
use gantral_server::delegations::DelegationSettings;
use gantral_server::evaluators::PolicySettings;
use gantral_server::four_eyes::FourEyesSettings;
use gantral_server::notifications::NotificationSettings;
use gantral_server::retention::RetentionSettings;
use gantral_server::serve;
use gantral_server::settings::{Orchestrator, Setup};
use gantral_server::store::StoreSettings;
use gantral_server::telemetry::TelemetrySettings;
use gantral_server::tenant_limits::LimitSettings;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::failure::Failure;

/// A running server. Dropping it stops it; [`stop`](Self::stop) also waits.
pub struct LocalServer {
    url: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<std::io::Result<()>>,
}

impl LocalServer {
    /// Opens the ledger in `store`, or else in `data`, and serves it on a loopback address; port 0 picks a free one.
    pub async fn start(
        data: &Path,
        (store, orchestrator): (Option<&StoreSettings>, Orchestrator),
        listen: SocketAddr,
        issuer: &Arc<DevIssuer>,
        worker: WorkerCommand,
    ) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
        let listening = gantral_server::listen(listen, None, true).await.map_err(|error| {
            let failure = failed(&error);
            if listen.ip().is_loopback() {
                failure.hint("another `gantral dev` may be running; `--listen 127.0.0.1:0` picks a free port")
            } else {
                failure
            }
        })?;
        let url = listening.url();
        let tenants = [TenantId::parse(DEV_TENANT).map_err(|error| failed(&error))?];
        let setup = Setup {
            data,
            store,
            tenants: &tenants,
            identity: &IdentityConfig { issuers: vec![issuer.config()] },
            policy: &PolicySettings::default(),
            archive: None,
            notifications: &NotificationSettings::default(),
            four_eyes: &FourEyesSettings::default(),
            delegations: &DelegationSettings::default(),
            passkeys: None,
            limits: &LimitSettings::default(),
            retention: &RetentionSettings::default(),
            orchestrator,
            telemetry: &TelemetrySettings::default(),
            development: Some(Arc::clone(issuer)),
            public_url: url.clone(),
            worker,
            public_logs: false,
            witnesses: &[],
        };
        let app = setup.app().await.map_err(|error| failed(&error).hint("`gantral doctor` looks further"))?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(app, listening, stopped));
        Ok(Self { url, stop, task })
    }

    /// Returns the base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the server ends by itself: only when its socket fails.
    pub async fn ended(&mut self) -> Failure {
        match (&mut self.task).await {
            Ok(Ok(())) => Failure::new("the server ended"),
            Ok(Err(error)) => Failure::new(format!("the server failed: {error}")),
            Err(error) => Failure::new(format!("the server broke: {error}")),
        }
    }

    /// Stops taking requests and waits for those under way.
    pub async fn stop(self) {
        // The receiver is gone only when the server has ended already.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}
