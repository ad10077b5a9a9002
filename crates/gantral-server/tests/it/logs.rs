//! The transparency logs of a server: served, anchored at, waited for, cosigned, and ahead of an old ledger.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gantral_api::client::{Client, ClientConfig, TokenSource};
use gantral_api::problem::Code;
use gantral_api::wire::{
    ApplyWorkflow, Attach, AuthorityAnswer, Consume, ConsumeAnswer, CreateInstance, Document, PageQuery, text,
};
use gantral_core::event::Event;
use gantral_core::ids::{LogOrigin, TenantId};
use gantral_evidence::container::read_tar;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::note::{Note, NoteKey, NoteKeyKind};
use gantral_evidence::statement::Statement;
use gantral_evidence::trust::{KeyRole, Require, Trust};
use gantral_evidence::verify::{Beside, MirrorReader, Questions, Verdict, verify_beside, verify_tar};
use gantral_identity::{DevDirectory, DevIssuer, IdentityConfig, TokenKey};
use gantral_keys::KeyFolder;
use gantral_log::folder::Folders;
use gantral_log::objects::{READ_ONLY, Shelf as _};
use gantral_log::tree::Edge;
use gantral_server::archive::ArchiveSettings;
use gantral_server::evaluators::PolicySettings;
use gantral_server::logs::WitnessSettings;
use gantral_server::settings::{Setup, SetupError};
use gantral_server::store::StoreSettingsError;
use gantral_server::{App, Clock as _, SystemClock, listen, serve};
use gantral_store::OpenError;
use gantral_testkit::policy::{example, worker_command};
use gantral_testkit::{copy_ledger, workflows};
use gantral_witness::{WitnessFolder, WitnessServer};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::browser::Browser;
use crate::place::{action, code, problem, to};

/// A server as the binary sets it up, with logs.
struct Site {
    folder: TempDir,
    issuer: Arc<DevIssuer>,
    witnesses: Vec<WitnessSettings>,
    public: bool,
    archive: Option<ArchiveSettings>,
    tenants: Vec<TenantId>,
    url: String,
    /// Kept over restarts, because tokens of attempts name the URL.
    address: SocketAddr,
    running: Option<(watch::Sender<bool>, JoinHandle<std::io::Result<()>>)>,
}

impl Site {
    async fn start(witnesses: Vec<WitnessSettings>, public: bool) -> Self {
        let mut site = Self::new(witnesses, public);
        site.run().await;
        site
    }

    /// A site that does not run yet.
    fn new(witnesses: Vec<WitnessSettings>, public: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let issuer = Arc::new(DevIssuer::new(TokenKey::generate().unwrap(), DevDirectory::standard()));
        let (url, address) = (String::new(), "127.0.0.1:0".parse().unwrap());
        let tenants = vec![TenantId::parse("dev").unwrap()];
        Self { folder, issuer, witnesses, public, archive: None, tenants, url, address, running: None }
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    async fn run(&mut self) {
        let listening = listen(self.address, None, true).await.unwrap();
        (self.address, self.url) = (listening.address(), listening.url());
        let app = self.app().await;
        let (stop, stopped) = watch::channel(false);
        self.running = Some((stop, tokio::spawn(serve(app, listening, stopped))));
    }

    async fn app(&self) -> App {
        // What the server before still does in the background holds the ledger a moment longer.
        for _ in 0..200 {
            let setup = Setup {
                data: &self.data(),
                store: None,
                tenants: &self.tenants,
                identity: &IdentityConfig { issuers: vec![self.issuer.config()] },
                policy: &PolicySettings::default(),
                archive: self.archive.as_ref(),
                notifications: &gantral_server::notifications::NotificationSettings::default(),
                four_eyes: &gantral_server::four_eyes::FourEyesSettings::default(),
                delegations: &gantral_server::delegations::DelegationSettings::default(),
                passkeys: None,
                limits: &gantral_server::tenant_limits::LimitSettings::default(),
                retention: &gantral_server::retention::RetentionSettings::default(),
                orchestrator: Default::default(),
                telemetry: &gantral_server::telemetry::TelemetrySettings::default(),
                development: Some(Arc::clone(&self.issuer)),
                public_url: self.url.clone(),
                worker: worker_command(),
                public_logs: self.public,
                witnesses: &self.witnesses,
            };
            match setup.app().await {
                Err(SetupError::Store(StoreSettingsError::File(OpenError::InUse { .. }))) => {}
                app => return app.unwrap(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the ledger is never let go");
    }

    async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.send(true).unwrap();
        task.await.unwrap().unwrap();
    }

    fn client(&self, token: String) -> Client {
        let config = ClientConfig { tries: 1, ..ClientConfig::new(&*self.url, TokenSource::Fixed(token)) };
        Client::new(config).unwrap()
    }

    fn token(&self, name: &str) -> String {
        self.issuer.human_token(name, SystemClock.now()).unwrap().expose().to_owned()
    }

    fn human(&self, name: &str) -> Client {
        self.client(self.token(name))
    }

    fn agent(&self) -> Client {
        let token = self.issuer.client_token("refund-agent", SystemClock.now()).unwrap();
        self.client(token.expose().to_owned())
    }

    /// Applies the workflow of refunds with this release.
    async fn apply(&self, release: &str) {
        let bob = self.human("bob");
        let published = bob.publish_policy(example("refunds").to_archive().unwrap()).await.unwrap();
        let mut definition: Value = serde_json::from_str(workflows::REFUND).unwrap();
        definition["release"] = json!(release);
        definition["floors"]["required_evidence"] = json!("development");
        let body: ApplyWorkflow =
            to(json!({"definition": definition, "policy_version_id": published.policy_version_id}));
        bob.apply_workflow(&"refund".parse().unwrap(), &body).await.unwrap();
    }

    /// Begins an instance; returns its attempt.
    async fn begin(&self) -> (text::InstanceId, Client) {
        let body: CreateInstance = to(json!({"workflow": "refund"}));
        let id = self.agent().create_instance(&body).await.unwrap().instance.instance_id;
        let attached = self.agent().attach(id, Attach::SelfRun).await.unwrap();
        (id, self.client(attached.token))
    }

    async fn get(&self, path: &str, token: Option<&str>) -> reqwest::Response {
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let request = http.get(format!("{}{path}", self.url));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// The newest checkpoint, once it has at least so many leaves.
    async fn checkpoint(&self, size: u64) -> Checkpoint {
        for _ in 0..200 {
            let answer = self.get("/log/dev/checkpoint", Some(&self.token("bob"))).await;
            if answer.status() == 200 {
                let bytes = answer.bytes().await.unwrap();
                let note = Note::parse(&bytes).unwrap();
                let checkpoint = Checkpoint::parse(note.text).unwrap();
                if checkpoint.tree.size >= size {
                    return checkpoint;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the log does not grow to {size} leaves");
    }
}

fn statement(envelope: &Document) -> Statement {
    let envelope = Envelope::parse(envelope.as_str().as_bytes()).unwrap();
    Statement::decode(&envelope.payload).unwrap()
}

fn small() -> gantral_api::wire::Ask {
    to(json!({"action": action(480)}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_read_by_its_tenant_and_by_everybody_only_when_that_is_configured() {
    let site = Site::start(Vec::new(), false).await;
    site.apply("committed").await;
    let checkpoint = site.checkpoint(3).await;
    assert_eq!(checkpoint.origin.as_str(), "dev/log");
    let bob = site.token("bob");
    for tile in ["/log/dev/tile/0/000.p/3", "/log/dev/tile/entries/000.p/3"] {
        assert_eq!(site.get(tile, Some(&bob)).await.status(), 200, "{tile}");
        assert_eq!(site.get(tile, None).await.status(), 401, "{tile}");
    }
    for nothing in [
        "/log/other/checkpoint",
        "/log/dev/tile/0/001",
        "/log/dev/../ledger.db",
        "/log/dev/tile/..%2F..%2Fledger.db",
        "/log/dev/keys.json",
    ] {
        assert_eq!(site.get(nothing, Some(&bob)).await.status(), 404, "{nothing}");
    }
    let open = Site::start(Vec::new(), true).await;
    open.apply("committed").await;
    open.checkpoint(3).await;
    assert_eq!(open.get("/log/dev/checkpoint", None).await.status(), 200);
    assert_eq!(open.get("/log/dev/checkpoint", Some("rubbish")).await.status(), 401);
}

/// Asks for what may not be used at once, and uses it up as soon as that is possible.
async fn consumed_after_it_was_not_at_once(site: &Site) -> ConsumeAnswer {
    let (id, attempt) = site.begin().await;
    let at_once = to(json!({"action": action(480), "consume": true}));
    assert_eq!(code(attempt.ask(id, &at_once).await), Code::ReleaseNotImmediate);
    let AuthorityAnswer::Allow(allowed) = attempt.ask(id, &small()).await.unwrap() else { panic!() };
    let consume = to(json!({"action": action(480)}));
    attempt.consume(id, allowed.grant_id.unwrap(), &consume).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_used_when_the_log_covers_it_and_the_consumption_names_that_tree() {
    let site = Site::start(Vec::new(), false).await;
    site.apply("sequenced").await;
    let answer = consumed_after_it_was_not_at_once(&site).await;
    let ConsumeAnswer::Allow(consumed) = answer else { panic!() };
    let statement = statement(&consumed.artifacts.last().unwrap().envelope);
    assert!(matches!(statement.entry.event, Event::Consumed(_)));
    let anchor = statement.anchor.expect("a consumption that waited for the log is anchored");
    // Two key events, the activation, created, attempt_assigned, started and allowed are covered.
    assert!(anchor.size >= 7, "{anchor:?}");
    assert!(site.checkpoint(anchor.size).await.tree.size >= anchor.size);
}

/// An archive in the folder of a site, which grants wait for.
fn required(site: &Site) -> ArchiveSettings {
    let url = format!("file://{}", site.folder.path().join("archive").display());
    toml::from_str(&format!("url = '{url}'\nrequired = true")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_used_when_the_archive_has_it_where_that_is_required() {
    let mut site = Site::new(Vec::new(), false);
    site.archive = Some(required(&site));
    site.run().await;
    site.apply("committed").await;
    let answer = consumed_after_it_was_not_at_once(&site).await;
    assert!(matches!(answer, ConsumeAnswer::Allow(_)));
    let archived = std::fs::read(site.folder.path().join("archive/dev/segments/000000000000"));
    assert!(archived.is_ok());
    let text = site.get("/metrics", None).await.text().await.unwrap();
    assert!(text.contains("gantral_archive_stopped 0"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_released_while_a_required_archive_has_stopped() {
    let mut site = Site::new(Vec::new(), false);
    site.archive = Some(required(&site));
    let segments = site.folder.path().join("archive/dev/segments");
    std::fs::create_dir_all(&segments).unwrap();
    std::fs::write(segments.join("000000000000"), "of somebody else").unwrap();
    site.run().await;
    site.apply("committed").await;
    let (id, attempt) = site.begin().await;
    let AuthorityAnswer::Allow(allowed) = attempt.ask(id, &small()).await.unwrap() else { panic!() };
    let consume = to(json!({"action": action(480)}));
    let refused = attempt.consume(id, allowed.grant_id.unwrap(), &consume).await;
    assert_eq!(code(refused), Code::GrantNotReleased);
    let ready = site.get("/readyz", None).await;
    assert_eq!(ready.status(), 503);
    let detail = ready.text().await.unwrap();
    assert!(detail.contains("segments/000000000000"), "{detail}");
    let text = site.get("/metrics", None).await.text().await.unwrap();
    assert!(text.contains("gantral_archive_stopped 1"), "{text}");
}

/// A witness in this process, as an auditor runs it.
struct Auditor {
    folder: TempDir,
    address: SocketAddr,
    settings: WitnessSettings,
    log: NoteKey,
    running: Option<(watch::Sender<bool>, JoinHandle<std::io::Result<()>>)>,
}

impl Auditor {
    /// Makes a witness of the log of a data folder; it does not run yet.
    async fn of(data: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let witness = WitnessFolder::init(&folder.path().join("w"), "witness.example/w").unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let key = KeyFolder::serve(data).await.unwrap().log().await.unwrap().public_key().clone();
        let log = NoteKey::new("dev/log", NoteKeyKind::Text, key).unwrap();
        let url = format!("http://{address}");
        let settings = WitnessSettings { url, key: witness.key().clone(), ca_file: None };
        Self { folder, address, settings, log, running: None }
    }

    async fn run(&mut self) {
        let witness = WitnessFolder::open(&self.folder.path().join("w")).unwrap();
        let server = WitnessServer::new(witness, vec![self.log.clone()]).unwrap();
        let listening = gantral_witness::Listening::bind(self.address, None).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        self.running = Some((stop, tokio::spawn(gantral_witness::serve(server, listening, stopped))));
    }
}

/// Starts a server whose log a witness knows.
async fn watched() -> (Site, Auditor) {
    let folder = tempfile::tempdir().unwrap();
    let issuer = Arc::new(DevIssuer::new(TokenKey::generate().unwrap(), DevDirectory::standard()));
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::PermissionsExt::set_mode(&mut data.metadata().unwrap().permissions(), 0o700);
    let auditor = Auditor::of(&data).await;
    let witnesses = vec![auditor.settings.clone()];
    let (public, url, address) = (false, String::new(), "127.0.0.1:0".parse().unwrap());
    let tenants = vec![TenantId::parse("dev").unwrap()];
    let mut site =
        Site { folder, issuer, witnesses, public, archive: None, tenants, url, address, running: None };
    site.run().await;
    (site, auditor)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_waits_for_its_witness_and_is_released_when_it_has_cosigned() {
    let (site, mut auditor) = watched().await;
    site.apply("witnessed(1)").await;
    let (id, attempt) = site.begin().await;
    let AuthorityAnswer::Allow(allowed) = attempt.ask(id, &small()).await.unwrap() else { panic!() };
    let (grant, consume) = (allowed.grant_id.unwrap(), to(json!({"action": action(480)})));
    let waiting = problem(attempt.consume(id, grant, &consume).await);
    assert_eq!(waiting.code(), Code::GrantNotReleased);
    auditor.run().await;
    let mut answer = attempt.consume(id, grant, &consume).await;
    while answer.as_ref().is_err_and(|error| error.code() == Some(Code::GrantNotReleased)) {
        answer = attempt.consume(id, grant, &consume).await;
    }
    let ConsumeAnswer::Allow(consumed) = answer.unwrap() else { panic!() };
    let anchor = statement(&consumed.artifacts.last().unwrap().envelope).anchor.unwrap();
    assert!(anchor.size >= 7, "{anchor:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_the_checkpoint_its_witnesses_and_what_is_behind() {
    let (site, mut auditor) = watched().await;
    site.apply("committed").await;
    let published = site.checkpoint(3).await;
    let mut bob = Browser::at(&site.url, "gantral=");
    bob.log_in("bob").await;
    let shown = bob.get("/console/log").await;
    for text in
        ["dev/log", &format!("<dd>{}</dd>", published.tree.size), "not cosigned yet", "witness.example/w"]
    {
        shown.shows(text);
    }
    shown.shows(&format!("<th scope=\"row\">1</th><td>0</td><td>{}</td>", published.tree.size));
    shown.shows("\u{2014} dev/log ");
    auditor.run().await;
    let mut tries = 0;
    while bob.get("/console/log").await.text.contains("not cosigned yet") {
        tokio::time::sleep(Duration::from_millis(50)).await;
        tries += 1;
        assert!(tries < 200, "the witness is not seen");
    }
    let shown = bob.get("/console/log").await;
    shown.shows("cosigned <time");
    shown.shows("<td>0</td></tr>");
    shown.shows("\u{2014} witness.example/w ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_behind_its_own_log_only_reads() {
    let mut site = Site::start(Vec::new(), false).await;
    site.stop().await;
    copy_ledger(&site.data(), &site.folder.path().join("copy"));
    site.run().await;
    site.apply("committed").await;
    let published = site.checkpoint(3).await;
    site.stop().await;
    copy_ledger(&site.folder.path().join("copy"), &site.data());
    site.run().await;
    let create: CreateInstance = to(json!({"workflow": "refund"}));
    assert_eq!(code(site.agent().create_instance(&create).await), Code::ReadOnly);
    site.human("bob").workflows(&PageQuery::default()).await.expect("it still reads");
    assert_eq!(site.checkpoint(3).await, published, "what was published is not taken back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_behind_its_witness_only_reads() {
    let (mut site, mut auditor) = watched().await;
    auditor.run().await;
    site.stop().await;
    let copy = site.folder.path().join("copy");
    copy_ledger(&site.data(), &copy);
    copy_folder(&site.data().join("log"), &copy.join("log"));
    site.run().await;
    site.apply("witnessed(1)").await;
    let (id, attempt) = site.begin().await;
    let AuthorityAnswer::Allow(allowed) = attempt.ask(id, &small()).await.unwrap() else { panic!() };
    let consume = to(json!({"action": action(480)}));
    attempt.consume(id, allowed.grant_id.unwrap(), &consume).await.unwrap();
    site.stop().await;
    // Whoever takes the whole folder back takes the published log back with it; the witness remembers.
    copy_ledger(&copy, &site.data());
    std::fs::remove_dir_all(site.data().join("log")).unwrap();
    copy_folder(&copy.join("log"), &site.data().join("log"));
    site.run().await;
    let create: CreateInstance = to(json!({"workflow": "refund"}));
    let refused = problem(site.agent().create_instance(&create).await);
    assert_eq!(refused.code(), Code::ReadOnly);
    assert!(refused.detail().contains("witness"), "{refused}");
}

/// Lets a site that does not run commit for a new tenant what its log has not taken yet, and damages that behind its back: the first
/// bytes of the key that signed, which nothing but the log reads.
async fn damaged(site: &Site, tenant: &str) -> Connection {
    drop(site.app().await);
    let raw = Connection::open(site.data().join("ledger.db")).unwrap();
    raw.execute_batch("DROP TRIGGER artifact_update; DROP TRIGGER artifact_delete").unwrap();
    raw.execute("CREATE TEMP TABLE kept AS SELECT * FROM artifact WHERE tenant = ?1", [tenant]).unwrap();
    assert!(raw.execute("UPDATE artifact SET signer = x'00' WHERE tenant = ?1", [tenant]).unwrap() > 0);
    raw
}

fn mend(raw: &Connection) {
    raw.execute_batch(
        "BEGIN; DELETE FROM artifact WHERE number IN (SELECT number FROM kept);
         INSERT INTO artifact SELECT * FROM kept; COMMIT",
    )
    .unwrap();
}

/// Asks until the answer is this one, and returns its body.
async fn answers(site: &Site, path: &str, expected: impl Fn(u16, &str) -> bool) -> String {
    let mut last = (0, String::new());
    for _ in 0..200 {
        let answer = site.get(path, None).await;
        last = (answer.status().as_u16(), answer.text().await.unwrap());
        if expected(last.0, &last.1) {
            return last.1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path}: {last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_of_one_tenant_stops_its_log_alone_and_the_server_names_it() {
    let mut site = Site::start(Vec::new(), true).await;
    site.apply("sequenced").await;
    let before = site.checkpoint(3).await.tree.size;
    site.stop().await;
    site.tenants.push(TenantId::parse("other").unwrap());
    let raw = damaged(&site, "other").await;
    site.run().await;
    let ready = answers(&site, "/readyz", |status, text| status == 200 && text.contains("other")).await;
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!(ready["status"], "ready");
    assert_eq!(ready["stopped_logs"], json!([{"tenant": "other", "code": "log_artifact_damaged"}]));
    answers(&site, "/metrics", |_, text| text.contains("gantral_logs_stopped 1\n")).await;
    // Whoever waits for the log of the other tenant still gets what waits for it.
    let (id, attempt) = site.begin().await;
    let AuthorityAnswer::Allow(allowed) = attempt.ask(id, &small()).await.unwrap() else { panic!() };
    let consume = to(json!({"action": action(480)}));
    let answer = attempt.consume(id, allowed.grant_id.unwrap(), &consume).await.unwrap();
    assert!(matches!(answer, ConsumeAnswer::Allow(_)));
    assert!(site.checkpoint(before + 4).await.tree.size >= before + 4);
    assert_eq!(site.get("/log/other/checkpoint", None).await.status(), 404);

    mend(&raw);
    let ready = answers(&site, "/readyz", |_, text| !text.contains("stopped_logs")).await;
    assert_eq!(serde_json::from_str::<Value>(&ready).unwrap()["status"], "ready");
    answers(&site, "/metrics", |_, text| text.contains("gantral_logs_stopped 0\n")).await;
    answers(&site, "/log/other/checkpoint", |status, _| status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_governance_chain_stops_its_tenant_alone() {
    let mut site = Site::start(Vec::new(), true).await;
    site.apply("committed").await;
    site.stop().await;
    site.tenants.push(TenantId::parse("other").unwrap());
    let raw = damaged(&site, "other").await;
    mend(&raw);
    raw.execute("UPDATE artifact SET envelope = x'7b7d' WHERE tenant = 'other'", []).unwrap();
    site.run().await;
    let ready = answers(&site, "/readyz", |status, _| status == 200).await;
    assert_eq!(serde_json::from_str::<Value>(&ready).unwrap()["damaged_tenants"], json!(["other"]));
    let (id, attempt) = site.begin().await;
    assert!(matches!(attempt.ask(id, &small()).await.unwrap(), AuthorityAnswer::Allow(_)));
    // Nothing was sealed behind what cannot be relied on.
    let behind = "SELECT count(*) FROM artifact WHERE tenant = 'other' AND envelope != x'7b7d'";
    assert_eq!(raw.query_row(behind, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    site.stop().await;
    mend(&raw);
    site.run().await;
    let ready = answers(&site, "/readyz", |status, _| status == 200).await;
    assert_eq!(serde_json::from_str::<Value>(&ready).unwrap().get("damaged_tenants"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_every_log_stands_still_is_not_ready() {
    let mut site = Site::new(Vec::new(), true);
    let raw = damaged(&site, "dev").await;
    site.run().await;
    let text = answers(&site, "/readyz", |status, text| status == 503 && text.contains("artifact")).await;
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["code"], "not_ready");
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!(problem["checks"]["log"], detail);
    assert!(detail.contains("`dev`") && detail.contains("damaged"), "{detail}");
    mend(&raw);
    answers(&site, "/readyz", |status, _| status == 200).await;
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_governance_chain_begins_with_the_keys_and_stands_in_the_log() {
    let site = Site::start(Vec::new(), false).await;
    let page = site.human("bob").governance(&PageQuery::default()).await.unwrap();
    let events: Vec<&str> = page.items.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(events, ["key_added", "key_added"]);
    let checkpoint = site.checkpoint(2).await;
    let objects = Folders::new(&site.data().join("log"));
    let objects = objects.log(&LogOrigin::parse("dev/log").unwrap(), READ_ONLY);
    assert_eq!(Edge::load(&objects, &checkpoint.tree).unwrap().size(), 2);
    let issuer = KeyFolder::look(&site.data()).unwrap();
    assert!(issuer.iter().any(|entry| entry.role == KeyRole::Log));
}

/// Plays one refund to its end.
async fn play(site: &Site) -> text::InstanceId {
    let (id, attempt) = site.begin().await;
    let AuthorityAnswer::Allow(allowed) = attempt.ask(id, &small()).await.unwrap() else { panic!() };
    let grant = allowed.grant_id.unwrap();
    attempt.consume(id, grant, &to(json!({"action": action(480)}))).await.unwrap();
    attempt.report_outcome(id, grant, &to(json!({"status": "SUCCEEDED"}))).await.unwrap();
    attempt.complete(id).await.unwrap();
    id
}

/// What a relying party pins: as the server says it, for a test.
async fn trust(site: &Site) -> Trust {
    let hint = site.human("bob").keys().await.unwrap().trust_hint;
    Trust::parse(hint.as_str().as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_proves_its_places_in_the_log_and_what_its_consumption_rests_on() {
    let site = Site::start(Vec::new(), false).await;
    site.apply("sequenced").await;
    let id = play(&site).await;
    let bundle = site.human("bob").evidence(id).await.unwrap();
    let trust = trust(&site).await;
    assert!(trust.require.unwrap().logged);
    let report = verify_tar(&bundle, Some(&trust));
    assert_eq!(report.verdict, Verdict::Valid, "{}", gantral_evidence::report::to_text(&report));
    let files = read_tar(&bundle).unwrap();
    let count = |prefix: &str| files.within(prefix).count();
    assert_eq!(count("artifacts/"), count("proofs/"), "each artifact has its proof");
    assert_eq!(count("governance/"), 2 * 3, "both keys and the activation, each with its proof");
    assert!(count("log/") > 0, "anchors are shown to be beginnings of the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witnessed_bundle_names_its_witness() {
    let (site, mut auditor) = watched().await;
    auditor.run().await;
    site.apply("witnessed(1)").await;
    let id = play(&site).await;
    let bundle = site.human("bob").evidence(id).await.unwrap();
    let mut trust = trust(&site).await;
    trust.require = trust.require.map(|require| Require { witnessed: 1, ..require });
    let report = verify_tar(&bundle, Some(&trust));
    assert_eq!(report.verdict, Verdict::Valid, "{}", gantral_evidence::report::to_text(&report));
    assert!(gantral_evidence::report::to_text(&report).contains("witness.example/w"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_a_plain_downloader_made_proves_that_nothing_was_left_out() {
    let site = Site::start(Vec::new(), false).await;
    site.apply("committed").await;
    let id = play(&site).await;
    let bundle = site.human("bob").evidence(id).await.unwrap();
    let mut trust = trust(&site).await;
    trust.require = trust.require.map(|require| Require { complete: true, ..require });
    let without = verify_tar(&bundle, Some(&trust));
    assert_eq!(
        without.verdict,
        Verdict::Inconclusive,
        "a bundle alone cannot show that nothing was left out"
    );
    let files = read_tar(&bundle).unwrap();
    let checkpoint = site.checkpoint(10).await;
    let note = site.get("/log/dev/checkpoint", Some(&site.token("bob"))).await.bytes().await.unwrap();
    let size = Checkpoint::parse(Note::parse(&note).unwrap().text).unwrap().tree.size;
    assert!(size >= checkpoint.tree.size && size < 256);
    let tile = format!("/log/dev/tile/entries/000.p/{size}");
    let entries = site.get(&tile, Some(&site.token("bob"))).await.bytes().await.unwrap();
    let log = trust.log().unwrap();
    let mut mirror = MirrorReader::new(&note, log, Questions::of(&files)).unwrap();
    mirror.entries(&entries).unwrap();
    let mirror = mirror.finish().unwrap();
    let beside = Beside { mirror: Some(&mirror), ..Beside::default() };
    let report = verify_beside(&files, Some(&trust), beside);
    assert_eq!(report.verdict, Verdict::Valid, "{}", gantral_evidence::report::to_text(&report));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_while_a_grant_waits_leaves_it_unused_and_it_is_used_once_afterwards() {
    let (mut site, mut auditor) = watched().await;
    site.apply("witnessed(1)").await;
    let (id, attempt) = site.begin().await;
    let AuthorityAnswer::Allow(allowed) = attempt.ask(id, &small()).await.unwrap() else { panic!() };
    let grant = allowed.grant_id.unwrap();
    let consume: Consume = to(json!({"action": action(480)}));
    let waiting = {
        let (attempt, consume) = (attempt.clone(), consume.clone());
        tokio::spawn(async move { attempt.consume(id, grant, &consume).await })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The listener and all of its tasks go, whatever is under way.
    let (stop, task) = site.running.take().unwrap();
    drop(stop);
    waiting.abort();
    task.await.unwrap().unwrap();
    auditor.run().await;
    site.run().await;
    let events = |view: &gantral_api::wire::InstanceView| view.head.sequence;
    let before = site.human("bob").instance(id, &Default::default()).await.unwrap();
    let mut answer = attempt.consume(id, grant, &consume).await;
    while answer.as_ref().is_err_and(|error| error.code() == Some(Code::GrantNotReleased)) {
        answer = attempt.consume(id, grant, &consume).await;
    }
    assert!(matches!(answer.unwrap(), ConsumeAnswer::Allow(_)));
    let after = site.human("bob").instance(id, &Default::default()).await.unwrap();
    assert_eq!(events(&after), events(&before) + 1, "one artifact: the consumption");
    assert_eq!(code(attempt.consume(id, grant, &consume).await), Code::GrantUnusable);
}
