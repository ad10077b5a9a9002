//! The process: connected to both, it works on the task queues of one tenant until it is asked to stop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gantral_api::client::{Client as ApiClient, ClientError};
use gantral_api::wire::{CallerKind, CourseQuery, text};
use temporalio_client::envconfig::LoadClientConfigProfileOptions;
use temporalio_client::errors::WorkflowStartError;
use temporalio_client::{
    Client, ClientOptions, Connection, WorkflowIdConflictPolicy, WorkflowStartOptions, tonic,
};
use temporalio_common::protos::temporal::api::enums::v1::IndexedValueType;
use temporalio_common::protos::temporal::api::operatorservice::v1::AddSearchAttributesRequest;
use temporalio_common::worker::{VersioningBehavior, WorkerDeploymentOptions, WorkerDeploymentVersion};
use temporalio_sdk::{Runtime, Worker, WorkerOptions};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::activities::{Api, Gateway};
use crate::execution::Execution;
use crate::keeping::{Follower, Following, Keeper, Keeping};
use crate::names::{Lane, SEARCH_ATTRIBUTES};
use crate::watch::Watch;

/// How long activities are given to end when the process stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// How often it is seen to that follower and keeper run: whoever ends one from outside ends it for so long.
const KEEP_EVERY: Duration = Duration::from_secs(15);

/// What a bridge is set up with.
pub struct BridgeConfig {
    /// The name of the deployment in Temporal.
    pub deployment: String,
    /// The runner queues whose attempts it releases.
    pub queues: BTreeSet<text::Name>,
    /// What this build of the workflows is called.
    pub build_id: String,
    /// The worker deployment whose version the build is; without one, workers are not versioned.
    pub versioned: Option<String>,
    /// How long between two searches for instances without a workflow.
    pub search_every: Duration,
}

/// Why a bridge does not work, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The API does not answer, or refuses.
    #[error("gantral: {0}")]
    Api(#[from] ClientError),
    /// The token is somebody else's.
    #[error("the token belongs to a {kind}, and must be an orchestrator's")]
    NotAnOrchestrator {
        /// What it belongs to.
        kind: CallerKind,
    },
    /// Temporal cannot be reached, or refuses.
    #[error("temporal: {0}")]
    Temporal(String),
    /// A worker ended by itself.
    #[error("a worker ended: {0}")]
    Worker(String),
}

fn temporal(error: impl std::fmt::Display) -> BridgeError {
    BridgeError::Temporal(error.to_string())
}

/// Connects to Temporal as its environment variables and configuration file say (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, …).
///
/// # Errors
/// `Temporal` when it cannot be reached, which may be tried again, or when the configuration is none.
pub async fn connect() -> Result<Client, BridgeError> {
    let (connection, client) =
        ClientOptions::load_from_config(LoadClientConfigProfileOptions::default()).map_err(temporal)?;
    let connection = Connection::connect(connection).await.map_err(temporal)?;
    Client::new(connection, client).map_err(temporal)
}

/// A bridge that is ready to work.
pub struct Bridge {
    api: ApiClient,
    temporal: Client,
    config: BridgeConfig,
    lane: Lane,
}

impl Bridge {
    /// Asks the API who is asking, and sees to it that Temporal knows the search attributes.
    ///
    /// # Errors
    /// `Api` and `Temporal`; `NotAnOrchestrator`, which another token mends.
    pub async fn new(api: ApiClient, temporal: Client, config: BridgeConfig) -> Result<Self, BridgeError> {
        let me = api.me().await?;
        if me.kind != CallerKind::Orchestrator {
            return Err(BridgeError::NotAnOrchestrator { kind: me.kind });
        }
        // A server that hands out work itself says so here, and not only when there is some.
        api.courses(&CourseQuery { cursor: Some("now".to_owned()), wait: None }).await?;
        let lane = Lane { deployment: config.deployment.clone(), tenant: me.tenant.to_string() };
        let bridge = Self { api, temporal, config, lane };
        bridge.declare_search_attributes().await;
        Ok(bridge)
    }

    /// Returns the names under which it works.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// Asks Temporal to know our search attributes. Where this is not for us to ask, somebody has done it: workflows say so otherwise.
    async fn declare_search_attributes(&self) {
        for name in SEARCH_ATTRIBUTES {
            let attribute = (name.to_owned(), i32::from(IndexedValueType::Keyword));
            let request = AddSearchAttributesRequest {
                search_attributes: [attribute].into(),
                namespace: self.temporal.options().namespace.clone(),
            };
            let mut operator = self.temporal.connection().operator_service();
            match operator.add_search_attributes(tonic::Request::new(request)).await {
                Ok(_) => tracing::info!(name, "the search attribute is known"),
                Err(status) if status.code() == tonic::Code::AlreadyExists => {}
                Err(status) => tracing::warn!(
                    name,
                    reason = status.message(),
                    "the search attribute cannot be declared: `temporal operator search-attribute create`"
                ),
            }
        }
    }

    /// Works until `stop` turns true, and then hands over in order.
    ///
    /// # Errors
    /// `Worker` when one ends by itself: start the process again.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), BridgeError> {
        let runtime = Runtime::from_current_tokio(Default::default()).map_err(temporal)?;
        let attempts = Watch::new(self.api.clone(), self.temporal.clone());
        let mut workers = vec![self.worker(&runtime, self.keeper_options()?)?];
        for queue in &self.config.queues {
            let gateway = Gateway { api: self.api.clone(), watch: Arc::clone(&attempts) };
            let options = self.options(self.lane.gateway(queue)).register_activities(gateway).build();
            workers.push(self.worker(&runtime, options)?);
        }
        let stops: Vec<_> = workers.iter().map(Worker::shutdown_handle).collect();
        let work = LocalSet::new();
        let mut running = tokio::task::JoinSet::new();
        for mut worker in workers {
            running
                .spawn_local_on(async move { worker.run().await.map_err(|error| error.to_string()) }, &work);
        }
        work.run_until(async {
            let ended = tokio::select! {
                ended = running.join_next() => Some(ended),
                () = attempts.run() => None,
                () = self.keep() => None,
                _ = stop.wait_for(|stop| *stop) => None,
            };
            stops.iter().for_each(|stop| stop());
            if let Some(ended) = ended {
                return Err(BridgeError::Worker(match ended {
                    Some(Ok(Err(error))) => error,
                    Some(Err(error)) => error.to_string(),
                    Some(Ok(Ok(()))) | None => "nobody asked it to".to_owned(),
                }));
            }
            // Those that poll are waited for before what they took is handed over.
            while let Some(ended) = running.join_next().await {
                if let Ok(Err(error)) = ended {
                    tracing::warn!(error, "a worker did not stop in order");
                }
            }
            attempts.stop().await;
            Ok(())
        })
        .await
    }

    fn worker(&self, runtime: &Runtime, options: WorkerOptions) -> Result<Worker, BridgeError> {
        Worker::new(runtime, self.temporal.clone(), options).map_err(temporal)
    }

    fn options(
        &self,
        queue: String,
    ) -> temporalio_sdk::WorkerOptionsBuilder<impl temporalio_sdk::worker_options_builder::State> {
        WorkerOptions::new(queue).deployment_options(self.deployment()).graceful_shutdown_period(STOP_WITHIN)
    }

    /// The build is named, and not told by the bytes of the program: two builds of one source are one, and a patch says what differs.
    fn deployment(&self) -> WorkerDeploymentOptions {
        match &self.config.versioned {
            None => WorkerDeploymentOptions::from_build_id(self.config.build_id.clone()),
            Some(name) => {
                let version = WorkerDeploymentVersion::builder()
                    .deployment_name(name.clone())
                    .build_id(self.config.build_id.clone())
                    .build();
                // An instance may wait longer than a build lives.
                WorkerDeploymentOptions::new(version)
                    .use_worker_versioning(true)
                    .default_versioning_behavior(VersioningBehavior::AutoUpgrade)
                    .build()
            }
        }
    }

    fn keeper_options(&self) -> Result<WorkerOptions, BridgeError> {
        let api = Api { api: self.api.clone(), temporal: self.temporal.clone() };
        let options = self.options(self.lane.tasks()).register_activities(api);
        let options = options.register_workflow::<Execution>().map_err(temporal)?;
        let options = options.register_workflow::<Follower>().map_err(temporal)?;
        let options = options.register_workflow::<Keeper>().map_err(temporal)?;
        Ok(options.build())
    }

    /// Sees to it for ever that follower and keeper run.
    async fn keep(&self) {
        loop {
            if let Err(error) = self.begin_keeping().await {
                tracing::warn!(%error, "it cannot be seen to that the ledger is followed");
            }
            tokio::time::sleep(KEEP_EVERY).await;
        }
    }

    async fn begin_keeping(&self) -> Result<(), WorkflowStartError> {
        let once = |id: String| {
            WorkflowStartOptions::new(self.lane.tasks(), id)
                .id_conflict_policy(WorkflowIdConflictPolicy::UseExisting)
                .build()
        };
        let following = Following { lane: self.lane.clone(), cursor: None };
        self.temporal.start_workflow(Follower::run, following, once(self.lane.follower())).await?;
        let keeping = Keeping { lane: self.lane.clone(), every: self.config.search_every };
        self.temporal.start_workflow(Keeper::run, keeping, once(self.lane.keeper())).await?;
        Ok(())
    }
}
