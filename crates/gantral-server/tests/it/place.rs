//! One server with its folder, its people and its clock.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use gantral_api::client::{Client, ClientConfig, ClientError, TokenSource};
use gantral_api::problem::{Code, Problem};
use gantral_api::wire::{
    Allowed, ApplyWorkflow, Ask, Attach, Attached, AuthorityAnswer, CreateInstance, Decide, InstanceView,
    SetFreeze, ShowInstance, Waiting, text,
};
use gantral_core::ids::TenantId;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_engine::checkpoints::NoCheckpoints;
use gantral_engine::policy_point::Evaluators;
use gantral_engine::{Engine, EngineConfig, FourEyes, FourEyesRules, Passkeys, Ports};
use gantral_evidence::human::{Origin, RelyingParty, RelyingPartyId};
use gantral_evidence::trust::KeyRole;
use gantral_identity::{
    AttemptTokens, DevDirectory, DevIssuer, DevPerson, IdentityConfig, TenantRule, TokenKey, Verifier,
};
use gantral_keys::{LocalSigner, Signer as _};
use gantral_policy::bundle::Bundle;
use gantral_policy::{PoolConfig, RegoPolicyPoint};
use gantral_server::evaluators::{EmbeddedSettings, EvaluatorSettings, Opas, PolicySettings};
use gantral_server::notifications::{NotificationSettings, Notifications};
use gantral_server::signing::PolicySigning;
use gantral_server::telemetry::{TelemetrySettings, TracedPoint, TracedSigner};
use gantral_server::tenant_limits::LimitSettings;
use gantral_server::{
    App, AppParts, Capacity, Clock as ServerClock, Standing, StoredBundles, listen, router, serve,
};
use gantral_store::{Duties, Holder, OpenError, Store};
use gantral_testkit::policy::{example, worker_command};
use gantral_testkit::{AGENT, Clock, OTHER_AGENT, RUNNER, workflows};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The URL under which the server says that it is reached; it outlives every port.
pub const PUBLIC_URL: &str = "https://gantral.invalid";
/// The host of that URL, for which authenticators sign.
pub const HOST: &str = "gantral.invalid";
/// An agent of another team of the same tenant.
pub const STRANGER: &str = "stranger-agent";
/// An agent of another tenant.
pub const FOREIGNER: &str = "foreign-agent";
/// A runner of another tenant, on the queue of the same name.
pub const FOREIGN_RUNNER: &str = "foreign-runner";
/// The orchestrator of the tenant.
pub const ORCHESTRATOR: &str = "dev-orchestrator";
/// An orchestrator of another tenant.
pub const FOREIGN_ORCHESTRATOR: &str = "foreign-orchestrator";
/// Humans who decide for finance, and have to do with nothing else.
pub const LEADS: [&str; 10] =
    ["lena", "leo", "levi", "lia", "lilly", "linus", "lisa", "lois", "luca", "lydia"];
/// How long an evaluation may take on a machine that is busy with other tests.
const POLICY_LIMIT: Duration = Duration::from_secs(20);

struct Shown(Clock);

impl ServerClock for Shown {
    fn now(&self) -> UnixMillis {
        self.0.now()
    }
}

/// A server that runs, or ran.
pub struct Place {
    pub folder: TempDir,
    pub clock: Clock,
    pub issuer: Arc<DevIssuer>,
    /// Weak, so that nothing but the server keeps the ledger open.
    pub policy: Weak<RegoPolicyPoint>,
    pub url: String,
    scheduled: bool,
    capacity: Capacity,
    notifications: NotificationSettings,
    four_eyes: FourEyes,
    limits: LimitSettings,
    orchestrated: bool,
    telemetry: TelemetrySettings,
    client: Client,
    running: Option<(watch::Sender<bool>, JoinHandle<std::io::Result<()>>)>,
}

impl Place {
    pub async fn start() -> Self {
        Self::with(true, Capacity::default(), NotificationSettings::default()).await
    }

    /// Starts a server that tells webhooks of gates.
    pub async fn telling(notifications: NotificationSettings) -> Self {
        Self::with(true, Capacity::default(), notifications).await
    }

    /// Starts a server in which nothing but callers makes time pass.
    pub async fn without_scheduler() -> Self {
        Self::with(false, Capacity::default(), NotificationSettings::default()).await
    }

    /// Starts a server that takes on less than usual.
    pub async fn with_capacity(capacity: Capacity) -> Self {
        Self::with(true, capacity, NotificationSettings::default()).await
    }

    /// Starts the server again under other limits.
    pub async fn set_limits(&mut self, limits: LimitSettings) {
        self.limits = limits;
        self.restart().await;
    }

    /// Starts the server again, with a collector.
    pub async fn trace(&mut self, telemetry: TelemetrySettings) {
        self.telemetry = telemetry;
        self.restart().await;
    }

    /// Starts a server that lets one person alone change no more than this.
    pub async fn four_eyes(usual: FourEyesRules) -> Self {
        let mut place = Self::start().await;
        place.set_rules(usual).await;
        place
    }

    /// Starts a server that gives a runner only what an orchestrator has released.
    pub async fn orchestrated() -> Self {
        let mut place = Self::start().await;
        place.set_orchestrated(true).await;
        place
    }

    /// Starts the server again, with or without an orchestrator beside it.
    pub async fn set_orchestrated(&mut self, orchestrated: bool) {
        self.orchestrated = orchestrated;
        self.restart().await;
    }

    /// Starts the server again under other rules.
    pub async fn set_rules(&mut self, usual: FourEyesRules) {
        self.four_eyes = FourEyes { usual, ..FourEyes::default() };
        self.restart().await;
    }

    async fn with(scheduled: bool, capacity: Capacity, notifications: NotificationSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = Arc::new(DevIssuer::new(token_key(&folder), directory()));
        let clock = Clock::default();
        let (four_eyes, limits) = (FourEyes::default(), LimitSettings::default());
        let telemetry = TelemetrySettings::default();
        let beside = (&limits, false, &telemetry);
        let (app, policy) = app(&folder, &clock, &issuer, capacity, &notifications, &four_eyes, beside);
        let (url, running) = run(app, scheduled).await;
        let client = client(&url);
        Self {
            folder,
            clock,
            issuer,
            policy,
            url,
            scheduled,
            capacity,
            notifications,
            four_eyes,
            limits,
            orchestrated: false,
            telemetry,
            client,
            running: Some(running),
        }
    }

    /// Stops the server and starts another one on the same folder.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.restart_stopped().await;
    }

    /// Starts another server on the folder of the one that was stopped.
    pub async fn restart_stopped(&mut self) {
        let (clock, issuer, told) = (&self.clock, &self.issuer, &self.notifications);
        let (app, policy) = app(
            &self.folder,
            clock,
            issuer,
            self.capacity,
            told,
            &self.four_eyes,
            (&self.limits, self.orchestrated, &self.telemetry),
        );
        let (url, running) = run(app, self.scheduled).await;
        (self.client, self.policy, self.url) = (client(&url), policy, url);
        self.running = Some(running);
    }

    pub async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.send(true).unwrap();
        task.await.unwrap().unwrap();
    }

    /// Waits until a policy worker runs.
    pub async fn ready(&self) {
        for _ in 0..200 {
            if self.client.ready().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no policy worker came up");
    }

    pub fn anonymous(&self) -> Client {
        self.client.clone()
    }

    pub fn bearing(&self, token: &str) -> Client {
        self.client.with_token(TokenSource::Fixed(token.to_owned()))
    }

    pub fn human_token(&self, name: &str) -> String {
        self.issuer.human_token(name, self.clock.now()).unwrap().expose().to_owned()
    }

    /// Returns a client with a token of a human under one role, whatever roles they have otherwise.
    pub fn human_under(&self, name: &str, role: &str) -> Client {
        let teams = self.issuer.directory().people[name].teams.clone();
        self.bearing(&self.human_token_as(name, &[role], &teams[0]))
    }

    /// Returns a token of a human under these roles and of this team, whatever the directory says.
    pub fn human_token_as(&self, name: &str, roles: &[&str], team: &str) -> String {
        let mut directory = self.issuer.directory().clone();
        let person = directory.people.get_mut(name).unwrap();
        person.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        person.teams = vec![team.to_owned()];
        let issuer = DevIssuer::new(token_key(&self.folder), directory);
        issuer.human_token(name, self.clock.now()).unwrap().expose().to_owned()
    }

    pub fn client_token(&self, name: &str) -> String {
        self.issuer.client_token(name, self.clock.now()).unwrap().expose().to_owned()
    }

    pub fn human(&self, name: &str) -> Client {
        self.bearing(&self.human_token(name))
    }

    pub fn machine(&self, name: &str) -> Client {
        self.bearing(&self.client_token(name))
    }

    /// Publishes a bundle and applies a definition under it, as `bob`.
    pub async fn apply(&self, definition: &str, bundle: &Bundle) {
        let bob = self.human("bob");
        let published = bob.publish_policy(bundle.to_archive().unwrap()).await.unwrap();
        let definition: Value = serde_json::from_str(definition).unwrap();
        let id = definition["id"].as_str().unwrap().to_owned();
        let body: ApplyWorkflow =
            to(json!({"definition": definition, "policy_version_id": published.policy_version_id}));
        bob.apply_workflow(&id.parse().unwrap(), &body).await.unwrap();
    }

    pub async fn apply_refunds(&self) {
        self.apply(workflows::REFUND, &example("refunds")).await;
    }

    pub async fn create(&self, workflow: &str) -> InstanceView {
        let body: CreateInstance = to(json!({"workflow": workflow, "input": {"order": 7}}));
        self.machine(AGENT).create_instance(&body).await.unwrap().instance
    }

    pub async fn show(&self, id: text::InstanceId) -> InstanceView {
        self.human("bob").instance(id, &ShowInstance::default()).await.unwrap()
    }

    /// Begins the next attempt of an instance that the agent runs itself.
    pub async fn begin(&self, id: text::InstanceId) -> (Client, Attached) {
        let attached = self.machine(AGENT).attach(id, Attach::SelfRun).await.unwrap();
        (self.bearing(&attached.token), attached)
    }

    /// Goes to where a small refund was allowed and consumed in one call.
    pub async fn allowed(&self) -> (text::InstanceId, Client, Allowed) {
        self.apply_refunds().await;
        let id = self.create("refund").await.instance_id;
        let (attempt, _) = self.begin(id).await;
        let ask = to(json!({"action": action(480), "consume": true}));
        let AuthorityAnswer::Allow(allowed) = attempt.ask(id, &ask).await.unwrap() else {
            panic!("not allowed")
        };
        (id, attempt, allowed)
    }

    /// Goes to where a refund of 48,000 waits for a FINANCE_LEAD.
    pub async fn waiting(&self) -> Waits {
        self.apply_refunds().await;
        let id = self.create("refund").await.instance_id;
        let (attempt, attached) = self.begin(id).await;
        let AuthorityAnswer::RequireHuman(waiting) = attempt.ask(id, &refund(48_000)).await.unwrap() else {
            panic!("no human is asked")
        };
        Waits { id, gate: waiting.gate_id, attempt, token: attached.token, waiting }
    }

    /// Sends a request as it is.
    pub fn request(&self, method: &str, path: &str, token: Option<&str>) -> reqwest::RequestBuilder {
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = http.request(method, format!("{}{path}", self.url));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a JSON body with a fresh key.
    pub fn write(&self, method: &str, path: &str, token: &str, body: &str) -> reqwest::RequestBuilder {
        self.request(method, path, Some(token))
            .header("idempotency-key", fresh_key())
            .header("content-type", "application/json")
            .body(body.to_owned())
    }
}

/// Where an instance waits for humans.
pub struct Waits {
    pub id: text::InstanceId,
    pub gate: text::GateId,
    pub attempt: Client,
    pub token: String,
    pub waiting: Waiting,
}

/// Reads a typed value of JSON.
pub fn to<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_str(&value.to_string()).unwrap()
}

pub fn action(amount: u64) -> Value {
    json!({"name": "refund", "target": "order/7", "parameters": {"amount_minor": amount, "currency": "EUR"}})
}

pub fn refund(amount: u64) -> Ask {
    to(json!({"action": action(amount)}))
}

pub fn decision(word: &str, version: u32) -> Decide {
    to(json!({"decision": word, "gate_version": version, "justification": "looked at the order"}))
}

pub fn fresh_key() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("key-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// Returns the code of a refusal.
pub fn code<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Code {
    result.unwrap_err().code().unwrap()
}

pub fn problem<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Problem {
    result.unwrap_err().problem().unwrap().clone()
}

/// Sends a request that is refused, and returns its problem.
pub async fn refused(request: reqwest::RequestBuilder) -> Problem {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "application/problem+json");
    let bytes = response.bytes().await.unwrap();
    let problem: Problem = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(problem.code().status(), status);
    problem
}

pub fn client(url: &str) -> Client {
    let config = ClientConfig {
        tries: 1,
        timeout: Duration::from_secs(60),
        ..ClientConfig::new(url, TokenSource::None)
    };
    Client::new(config).unwrap()
}

/// Returns the configuration that believes the issuer. `sub` says which tenant somebody belongs to.
pub fn identity(issuer: &DevIssuer) -> IdentityConfig {
    let mut config = issuer.config();
    let directory = issuer.directory();
    let everybody = directory.people.keys().chain(directory.clients.keys());
    let foreign = ["mallory", FOREIGNER, FOREIGN_RUNNER, FOREIGN_ORCHESTRATOR];
    let tenant = |name: &String| if foreign.contains(&name.as_str()) { "other" } else { "dev" };
    let tenants = everybody.map(|name| (name.clone(), tenant(name).to_owned())).collect();
    config.tenant = TenantRule::Claim { claim: "sub".into(), tenants };
    IdentityConfig { issuers: vec![config] }
}

fn app(
    folder: &TempDir,
    clock: &Clock,
    issuer: &Arc<DevIssuer>,
    capacity: Capacity,
    notifications: &NotificationSettings,
    four_eyes: &FourEyes,
    (limits, orchestrated, telemetry): (&LimitSettings, bool, &TelemetrySettings),
) -> (App, Weak<RegoPolicyPoint>) {
    let path = folder.path();
    let store = open(&path.join("ledger.db"));
    let key = path.join("issuer.pk8");
    if !key.exists() {
        std::fs::write(&key, LocalSigner::generate().unwrap()).unwrap();
    }
    let signer = LocalSigner::from_pkcs8(KeyRole::Issuer, &std::fs::read(&key).unwrap()).unwrap();
    let tenants = ["dev", "other"].map(|name| TenantId::parse(name).unwrap());
    let (limits, rates) = limits.open(&tenants).unwrap();
    let Notifications { recipients, couriers } = notifications.open(&tenants).unwrap();
    let bundles = Arc::new(StoredBundles::new(store.clone(), tenants.to_vec()));
    let pool = PoolConfig { workers: NonZeroUsize::MIN, ..PoolConfig::default() };
    let policy = Arc::new(RegoPolicyPoint::start(&worker_command(), pool, bundles).unwrap());
    let passkeys = Passkeys {
        relying_party: RelyingParty::new(
            RelyingPartyId::parse(HOST).unwrap(),
            vec![Origin::parse(PUBLIC_URL).unwrap()],
        )
        .unwrap(),
        directory: vec![directory_signer(folder).public_key().clone()],
    };
    let engine = Engine::new(
        Ports {
            store,
            signer: Arc::new(TracedSigner(Arc::new(signer))),
            policy: Evaluators::new(Arc::new(TracedPoint(policy.clone())), POLICY_LIMIT),
            checkpoints: Arc::new(NoCheckpoints),
        },
        EngineConfig {
            recipients,
            four_eyes: four_eyes.clone(),
            passkeys: Some(passkeys),
            limits,
            orchestrated,
            ..EngineConfig::default()
        },
    )
    .unwrap();
    let tokens = TokenKey::load_or_generate(&path.join("attempts.pem")).unwrap();
    let attempts = Arc::new(AttemptTokens::new(tokens, PUBLIC_URL).unwrap().for_development());
    let verifier = Verifier::new(&identity(issuer)).unwrap().with_attempts(Arc::clone(&attempts));
    let duties = Duties::new(engine.store().clone(), Holder::from_random([1; 16]));
    let parts = AppParts {
        providers: gantral_oidc::Providers::default(),
        dev: Some(Arc::clone(issuer)),
        logins: gantral_server::LoginProviders::new(&IdentityConfig::default(), PUBLIC_URL).unwrap(),
        engine,
        verifier,
        attempts,
        clock: Arc::new(Shown(clock.clone())),
        policy: Arc::clone(&policy),
        opas: patient(),
        worker: worker_command(),
        signing: PolicySigning::default(),
        public_url: PUBLIC_URL.to_owned(),
        standing: Standing::default(),
        damaged: Vec::new(),
        logs: None,
        keeping: None,
        archive: None,
        public_logs: false,
        couriers,
        duties,
        rates,
        telemetry: telemetry.open().unwrap(),
        tenants: tenants.to_vec(),
    };
    (App::with_capacity(parts, capacity), Arc::downgrade(&policy))
}

/// Returns the key of the directory, which is beside the server's in a test alone.
pub fn directory_signer(folder: &TempDir) -> LocalSigner {
    let file = folder.path().join("directory.pk8");
    if !file.exists() {
        std::fs::write(&file, LocalSigner::generate().unwrap()).unwrap();
    }
    LocalSigner::from_pkcs8(KeyRole::Directory, &std::fs::read(&file).unwrap()).unwrap()
}

/// Gives candidates more time than usual, on a machine that is busy with other tests.
fn patient() -> Opas {
    let embedded = EvaluatorSettings::Embedded(EmbeddedSettings { deadline: Some("2s".to_owned()) });
    let evaluators = BTreeMap::from([("embedded".to_owned(), embedded)]);
    PolicySettings { evaluators, ..PolicySettings::default() }.open().unwrap()
}

/// Opens the ledger as soon as the last connection of a stopped server has let go of it.
fn open(file: &Path) -> Store {
    let mut tries = 0;
    loop {
        match Store::open_sqlite(file) {
            Err(OpenError::InUse { .. }) if tries < 200 => std::thread::sleep(Duration::from_millis(50)),
            opened => return opened.unwrap(),
        }
        tries += 1;
    }
}

type Running = (watch::Sender<bool>, JoinHandle<std::io::Result<()>>);

async fn run(app: App, scheduled: bool) -> (String, Running) {
    let (stop, mut stopped) = watch::channel(false);
    let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
    if scheduled {
        let listening = listen(address, None, true).await.unwrap();
        let url = listening.url();
        return (url, (stop, tokio::spawn(serve(app, listening, stopped))));
    }
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    let task = tokio::spawn(async move {
        let server = axum_server::from_tcp(listener)?.serve(service);
        tokio::select! {
            served = server => served,
            _ = stopped.wait_for(|stop| *stop) => Ok(()),
        }
    });
    (url, (stop, task))
}

fn token_key(folder: &TempDir) -> TokenKey {
    TokenKey::load_or_generate(&folder.path().join("issuer.pem")).unwrap()
}

fn directory() -> DevDirectory {
    let mut directory = DevDirectory::standard();
    for (subject, roles, team) in [
        ("fiona", &["FINANCE_LEAD"][..], "payments"),
        ("frank", &["FINANCE_LEAD"], "payments"),
        ("bob", &["DEVELOPER", "FINANCE_LEAD"], "payments"),
        ("grace", &["DEVELOPER"], "payments"),
        ("heidi", &["PLATFORM_ADMIN"], "platform"),
        ("eve", &["CLERK"], "logistics"),
        ("mallory", &["PLATFORM_ADMIN", "FINANCE_LEAD", "DEVELOPER"], "payments"),
    ] {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let person = DevPerson { name: subject.to_owned(), roles, teams: vec![team.to_owned()] };
        directory.people.insert(subject.to_owned(), person);
    }
    for lead in LEADS {
        let person = DevPerson {
            name: lead.to_owned(),
            roles: vec!["FINANCE_LEAD".to_owned()],
            teams: vec!["payments".to_owned()],
        };
        directory.people.insert(lead.to_owned(), person);
    }
    let clients = BTreeMap::from([
        (OTHER_AGENT, DevDirectory::workload("Another agent", "carol", &["payments"])),
        (STRANGER, DevDirectory::workload("Stranger", "eve", &["logistics"])),
        (FOREIGNER, DevDirectory::workload("Foreigner", "mallory", &["payments"])),
        (RUNNER, DevDirectory::runner("Runner", &["default"], &["payments"])),
        (FOREIGN_RUNNER, DevDirectory::runner("Foreign runner", &["default"], &["payments"])),
    ]);
    let orchestrator = directory.clients.get(ORCHESTRATOR).cloned().unwrap();
    directory.clients.insert(FOREIGN_ORCHESTRATOR.to_owned(), orchestrator);
    directory.clients.extend(clients.into_iter().map(|(name, client)| (name.to_owned(), client)));
    directory
}

/// Freezes, or lifts the freeze of, a scope.
pub fn freeze(scope: &Value, frozen: bool) -> SetFreeze {
    to(json!({"scope": scope, "frozen": frozen, "justification": "looking into it"}))
}

pub fn minutes(count: u64) -> DurationMs {
    DurationMs::from_secs(count * 60)
}
