//! A server with people, and a runner for it.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gantral_api::client::{Client, ClientConfig, TokenSource};
use gantral_api::wire::{
    Action, ApplyWorkflow, CreateInstance, Decide, Document, GateList, GateView, InstanceView, ShowInstance,
};
use gantral_core::ids::{InstanceId, Name, TenantId};
use gantral_core::state::{DecisionKind, State};
use gantral_core::time::UnixMillis;
use gantral_edge::child::CgroupPlace;
use gantral_edge::runner::{
    ContainerConfig, Observer, Pinned, Runner, RunnerConfig, RunnerError, RunnerEvent,
};
use gantral_evidence::trust::Trust;
use gantral_identity::{DEV_TENANT, DevDirectory, DevIssuer, IdentityConfig, TokenKey};
use gantral_server::evaluators::PolicySettings;
use gantral_server::settings::Setup;
use gantral_server::{listen, serve};
use gantral_testkit::{copy_ledger, policy};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::roles;

/// The longest time that anything takes here, on a machine that is busy with other tests.
pub const LONG: Duration = Duration::from_secs(60);

/// Asks a human for everything above 500.
const RULES: &str = r#"
default decision := "REQUIRE_HUMAN"
decision := "ALLOW" if input.action.parameters.amount_minor <= 500
"#;

/// A server in this process, with a ledger in a folder.
pub struct Place {
    pub folder: TempDir,
    pub url: String,
    issuer: Arc<DevIssuer>,
    stop: watch::Sender<bool>,
    served: Option<JoinHandle<std::io::Result<()>>>,
}

impl Place {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = Arc::new(DevIssuer::new(TokenKey::generate().unwrap(), DevDirectory::standard()));
        let (url, stop, served) = start(&folder, &issuer).await;
        Self { folder, url, issuer, stop, served: Some(served) }
    }

    /// Stops the server; nothing answers any more.
    pub async fn close(&mut self) {
        self.stop.send_replace(true);
        self.served.take().unwrap().await.unwrap().unwrap();
    }

    /// Stops the server, keeps a copy of its ledger or puts the copy back, and starts another one.
    pub async fn restart_from_a_copy(&mut self, back: bool) {
        self.close().await;
        let (data, copy) = (self.folder.path().join("server"), self.folder.path().join("copy"));
        if back {
            copy_ledger(&copy, &data);
        } else {
            copy_ledger(&data, &copy);
        }
        self.reopen().await;
    }

    /// Starts another server over the ledger, at another address.
    pub async fn reopen(&mut self) {
        let (url, stop, served) = start(&self.folder, &self.issuer).await;
        (self.url, self.stop, self.served) = (url, stop, Some(served));
    }

    pub fn token(&self, client: &str) -> String {
        let now = UnixMillis::new(gantral_now()).unwrap();
        self.issuer.client_token(client, now).unwrap().expose().to_owned()
    }

    pub fn client(&self, client: &str) -> Client {
        self.client_of(self.token(client))
    }

    pub fn human(&self, subject: &str) -> Client {
        let now = UnixMillis::new(gantral_now()).unwrap();
        self.client_of(self.issuer.human_token(subject, now).unwrap().expose().to_owned())
    }

    fn client_of(&self, token: String) -> Client {
        Client::new(ClientConfig::new(&*self.url, TokenSource::Fixed(token))).unwrap()
    }

    /// Registers workflow `refund` with what a runner does for it.
    pub async fn apply(&self, run: &serde_json::Value) {
        self.apply_definition(&serde_json::json!({
            "id": "refund", "version": "1", "team": "payments", "materiality": "MEDIUM", "run": run,
            "actions": {"refund": {"parameters": {"amount_minor": {"type": "integer"}}}},
            "floors": {"default_approvers": ["RISK_OFFICER"], "required_evidence": "development"},
        }))
        .await;
    }

    /// Registers workflow `refund`, whose calls an interceptor carries out.
    pub async fn apply_calls(&self) {
        self.apply_definition(&serde_json::json!({
            "id": "refund", "version": "1", "team": "payments", "materiality": "MEDIUM",
            "actions": {"refund": {"parameters": {
                "amount_minor": {"type": "integer"}, "currency": {"type": "string", "default": "EUR"}}}},
            "floors": {"default_approvers": ["RISK_OFFICER"], "required_evidence": "development"},
        }))
        .await;
    }

    async fn apply_definition(&self, definition: &serde_json::Value) {
        let bob = self.human("bob");
        let archive = policy::rules(RULES).to_archive().unwrap();
        let published = bob.publish_policy(archive).await.unwrap();
        let definition = Document::from_text(definition.to_string()).unwrap();
        let body = ApplyWorkflow { definition, policy_version_id: Some(published.policy_version_id) };
        bob.apply_workflow(&"refund".parse().unwrap(), &body).await.unwrap();
    }

    pub async fn create(&self) -> InstanceId {
        let body = CreateInstance {
            workflow: "refund".parse().unwrap(),
            version: None,
            session_id: None,
            trigger: None,
            input: None,
            call: None,
            parent: None,
        };
        *self.client("refund-agent").create_instance(&body).await.unwrap().instance.instance_id
    }

    pub async fn show(&self, id: InstanceId) -> InstanceView {
        self.client("refund-agent").instance(id.into(), &ShowInstance::default()).await.unwrap()
    }

    /// Waits until an instance is in a state.
    pub async fn reaches(&self, id: InstanceId, state: State) -> InstanceView {
        let until = Instant::now() + LONG;
        loop {
            let view = self.show(id).await;
            if *view.state == state {
                return view;
            }
            assert!(Instant::now() < until, "{} and not {state}", view.state);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the gate, and has alice say what becomes of it.
    pub async fn decide(&self, decision: DecisionKind, amount_minor: Option<u64>) {
        let alice = self.human("alice");
        let until = Instant::now() + LONG;
        let gate: GateView = loop {
            let page = alice.gates(&GateList::default()).await.unwrap();
            if let Some(summary) = page.items.first() {
                break alice.gate(summary.gate_id).await.unwrap();
            }
            assert!(Instant::now() < until, "no gate opens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let action = amount_minor.map(refund);
        let justification = "because the test says so".parse().unwrap();
        let gate_version = gate.version;
        let body = Decide {
            decision: decision.into(),
            gate_version,
            role: None,
            action,
            justification,
            delegation: None,
            break_glass: false,
            assertion: None,
        };
        alice.decide(gate.gate_id, &body).await.unwrap();
    }

    /// The trust file, as an operator would pin it.
    pub async fn trust(&self) -> Trust {
        let keys = self.client("dev-runner").keys().await.unwrap();
        Trust::parse(keys.trust_hint.as_str().as_bytes()).unwrap()
    }

    pub async fn pinned(&self) -> Pinned {
        Pinned { trust: self.trust().await, tenant: TenantId::parse(DEV_TENANT).unwrap() }
    }

    pub fn work(&self) -> PathBuf {
        self.folder.path().join("runner")
    }

    pub async fn config(&self) -> RunnerConfig {
        let queues = vec![Name::parse("default").unwrap()];
        RunnerConfig::new(queues, self.pinned().await, self.work(), roles::launcher())
    }

    /// Starts a runner in this process.
    pub async fn run(&self, change: impl FnOnce(&mut RunnerConfig)) -> Running {
        let mut config = self.config().await;
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        config.observer = Observer::new(move |event| told.lock().unwrap().push(event.clone()));
        change(&mut config);
        let runner = Runner::new(self.client("dev-runner"), config).unwrap();
        let (stop, mut stopped) = watch::channel(0);
        let mut stopped_again = stopped.clone();
        let drain = async move {
            stopped.wait_for(|times| *times > 0).await.unwrap();
        };
        let now = async move {
            stopped_again.wait_for(|times| *times > 1).await.unwrap();
        };
        let task = tokio::spawn(runner.run_until(drain, now));
        Running { events, stop, task }
    }
}

/// Serves the ledger of a folder.
async fn start(
    folder: &TempDir,
    issuer: &Arc<DevIssuer>,
) -> (String, watch::Sender<bool>, JoinHandle<std::io::Result<()>>) {
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listening = listen(address, None, true).await.unwrap();
    let url = listening.url();
    // Longer than a busy machine needs.
    let patient = serde_json::json!({"evaluators": {"embedded": {"kind": "embedded", "deadline": "10s"}}});
    let setup = Setup {
        data: &folder.path().join("server"),
        store: None,
        tenants: &[TenantId::parse(DEV_TENANT).unwrap()],
        identity: &IdentityConfig { issuers: vec![issuer.config()] },
        policy: &serde_json::from_value::<PolicySettings>(patient).unwrap(),
        archive: None,
        notifications: &gantral_server::notifications::NotificationSettings::default(),
        four_eyes: &gantral_server::four_eyes::FourEyesSettings::default(),
        delegations: &gantral_server::delegations::DelegationSettings::default(),
        passkeys: None,
        limits: &gantral_server::tenant_limits::LimitSettings::default(),
        retention: &gantral_server::retention::RetentionSettings::default(),
        orchestrator: Default::default(),
        // Nobody listens there; processes are told their place in a trace all the same.
        telemetry: &gantral_server::telemetry::TelemetrySettings {
            otlp_endpoint: Some("http://127.0.0.1:9".to_owned()),
            ..Default::default()
        },
        development: Some(Arc::clone(issuer)),
        public_url: url.clone(),
        worker: policy::worker_command(),
        public_logs: false,
        witnesses: &[],
    };
    let app = setup.app().await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let served = tokio::spawn(serve(app, listening, stopped));
    (url, stop, served)
}

/// A runner in this process.
pub struct Running {
    events: Arc<Mutex<Vec<RunnerEvent>>>,
    /// How often it was asked to stop.
    stop: watch::Sender<u32>,
    pub task: JoinHandle<Result<(), RunnerError>>,
}

impl Running {
    pub fn events(&self) -> Vec<RunnerEvent> {
        self.events.lock().unwrap().clone()
    }

    /// Waits for an event.
    pub async fn tells<T>(&self, find: impl Fn(&RunnerEvent) -> Option<T>) -> T {
        let until = Instant::now() + LONG;
        loop {
            if let Some(found) = self.events().iter().find_map(&find) {
                return found;
            }
            assert!(Instant::now() < until, "only {:?}", self.events());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks it to stop, and does not wait.
    pub fn ask_to_stop(&self) {
        self.stop.send_modify(|times| *times += 1);
    }

    /// Asks it to stop, and waits.
    pub async fn stop(self) -> Vec<RunnerEvent> {
        self.ask_to_stop();
        self.task.await.unwrap().unwrap();
        let events = self.events.lock().unwrap();
        events.clone()
    }
}

/// Starts a runner in a process of its own.
pub async fn runner_process(place: &Place, groups: &CgroupPlace) -> std::process::Child {
    let (token, trust) = (place.folder.path().join("token"), place.folder.path().join("trust.json"));
    std::fs::write(&token, place.token("dev-runner")).unwrap();
    std::fs::write(&trust, place.trust().await.encode()).unwrap();
    let words = roles::runner(&place.url, &token, &trust, &place.work(), groups);
    std::process::Command::new(&words[0]).args(&words[1..]).spawn().unwrap()
}

/// Starts a runner in a process of its own, which launches containers.
pub async fn runner_of(place: &Place, containers: &ContainerConfig) -> std::process::Child {
    let (token, trust) = (place.folder.path().join("token"), place.folder.path().join("trust.json"));
    std::fs::write(&token, place.token("dev-runner")).unwrap();
    std::fs::write(&trust, place.trust().await.encode()).unwrap();
    let mut words = roles::runner(&place.url, &token, &trust, &place.work(), &CgroupPlace::Nowhere);
    words.push(containers.image.clone());
    words.push(serde_json::json!([containers.engine_options, containers.run_options]).to_string());
    // A test that fails must not be waited for because of a runner that it left.
    let null = std::process::Stdio::null;
    std::process::Command::new(&words[0]).args(&words[1..]).stdout(null()).stderr(null()).spawn().unwrap()
}

/// Kills a runner, as a crash would.
pub fn end(mut runner: std::process::Child) {
    signal(runner.id(), Signal::KILL);
    assert_eq!(runner.wait().unwrap().signal(), Some(9));
}

pub fn signal(process: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(process).unwrap()).unwrap(), signal).unwrap();
}

/// Returns a run of a workflow with these commands.
pub fn runs(command: &[String], lease: &str) -> serde_json::Value {
    serde_json::json!({"queue": "default", "command": command, "lease": lease})
}

/// Returns a command of the shell.
pub fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

pub fn refund(amount_minor: u64) -> Action {
    Action {
        name: "refund".parse().unwrap(),
        target: "order/7".to_owned(),
        parameters: Document::from_text(format!(r#"{{"amount_minor":{amount_minor}}}"#)).unwrap(),
    }
}

/// Tells whether a process exists and is not a corpse.
pub fn lives(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}

/// Waits until a file has at least this many words that are numbers.
pub async fn numbers(path: &std::path::Path, count: usize) -> Vec<u32> {
    let until = Instant::now() + LONG;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let found: Vec<u32> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < until, "`{}` has {found:?}", path.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until a process is gone.
pub async fn dies(process: u32) {
    let until = Instant::now() + LONG;
    while lives(process) {
        assert!(Instant::now() < until, "{process} lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn gantral_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
