//! An OPA beside the embedded engine: chosen by a workflow, named in artifacts, missed when it is away.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantral_api::client::Client;
use gantral_api::problem::Code;
use gantral_api::wire::{
    Activate, ApplyWorkflow, Attach, AuthorityAnswer, CreateInstance, Document, PublishedPolicy, text,
};
use gantral_core::ids::TenantId;
use gantral_evidence::dsse::Envelope;
use gantral_identity::{DevDirectory, DevIssuer, IdentityConfig, TokenKey};
use gantral_server::evaluators::PolicySettings;
use gantral_server::settings::Setup;
use gantral_server::{Clock as _, SystemClock, listen, serve};
use gantral_testkit::Opa;
use gantral_testkit::policy::{example, rules, worker_command};
use gantral_testkit::workflows;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::place::{action, client, code, to};

/// A server that may choose the OPA at `port`, as `sidecar`.
pub struct Site {
    pub folder: TempDir,
    issuer: Arc<DevIssuer>,
    url: String,
    port: u16,
    _stop: watch::Sender<bool>,
}

impl Site {
    async fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), "").await
    }

    /// Starts one in this folder, with more in its section `[policy]`.
    pub async fn start_with(folder: TempDir, more: &str) -> Self {
        let issuer = Arc::new(DevIssuer::new(TokenKey::generate().unwrap(), DevDirectory::standard()));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Longer than a busy machine needs.
        let policy: PolicySettings = toml::from_str(&format!(
            "[evaluators.sidecar]\nkind = \"opa\"\nurl = \"http://127.0.0.1:{port}\"\ndeadline = \"10s\"\n{more}"
        ))
        .unwrap();
        let listening = listen("127.0.0.1:0".parse().unwrap(), None, true).await.unwrap();
        let url = listening.url();
        let setup = Setup {
            data: &folder.path().join("data"),
            store: None,
            tenants: &[TenantId::parse("dev").unwrap()],
            identity: &IdentityConfig { issuers: vec![issuer.config()] },
            policy: &policy,
            archive: None,
            notifications: &gantral_server::notifications::NotificationSettings::default(),
            four_eyes: &gantral_server::four_eyes::FourEyesSettings::default(),
            delegations: &gantral_server::delegations::DelegationSettings::default(),
            passkeys: None,
            limits: &gantral_server::tenant_limits::LimitSettings::default(),
            retention: &gantral_server::retention::RetentionSettings::default(),
            orchestrator: Default::default(),
            telemetry: &gantral_server::telemetry::TelemetrySettings::default(),
            development: Some(Arc::clone(&issuer)),
            public_url: url.clone(),
            worker: worker_command(),
            public_logs: false,
            witnesses: &[],
        };
        let app = setup.app().await.unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(app, listening, stopped));
        Self { folder, issuer, url, port, _stop: stop }
    }

    fn bearing(&self, token: &str) -> Client {
        client(&self.url).with_token(gantral_api::client::TokenSource::Fixed(token.to_owned()))
    }

    pub fn bob(&self) -> Client {
        self.bearing(self.issuer.human_token("bob", SystemClock.now()).unwrap().expose())
    }

    /// Publishes the refunds, and gives their archive to OPA as the server serves it.
    async fn publish(&self) -> PublishedPolicy {
        let published = self.bob().publish_policy(example("refunds").to_archive().unwrap()).await.unwrap();
        let archive = self.bob().policy(published.policy_version_id).await.unwrap();
        std::fs::write(self.folder.path().join("bundle.tar.gz"), archive).unwrap();
        published
    }

    pub async fn apply(&self, published: &PublishedPolicy, id: &str, evaluator: &str) -> Result<(), Code> {
        let mut definition: Value = serde_json::from_str(workflows::REFUND).unwrap();
        (definition["id"], definition["evaluator"]) = (json!(id), json!(evaluator));
        let body: ApplyWorkflow =
            to(json!({"definition": definition, "policy_version_id": published.policy_version_id}));
        let applied = self.bob().apply_workflow(&id.parse().unwrap(), &body).await;
        if applied.is_ok() { Ok(()) } else { Err(code(applied)) }
    }

    /// Asks for a small refund of a new instance; returns the answer and the payload of its first artifact.
    pub async fn ask(&self, workflow: &str) -> (AuthorityAnswer, Option<String>) {
        let token = self.issuer.client_token("refund-agent", SystemClock.now()).unwrap();
        let agent = self.bearing(token.expose());
        let create: CreateInstance = to(json!({"workflow": workflow, "input": {"order": 7}}));
        let id: text::InstanceId = agent.create_instance(&create).await.unwrap().instance.instance_id;
        let attached = agent.attach(id, Attach::SelfRun).await.unwrap();
        let asked = self.bearing(&attached.token).ask(id, &to(json!({"action": action(480)}))).await.unwrap();
        let payload = match &asked {
            AuthorityAnswer::Allow(allowed) => Some(payload(&allowed.artifacts.first().unwrap().envelope)),
            _ => None,
        };
        (asked, payload)
    }

    fn opa(&self) -> Opa {
        Opa::start(self.folder.path(), self.port, &["--bundle", "bundle.tar.gz"])
    }

    /// An OPA that keeps itself at the bundle in force for a workflow, with nothing but the address of the server and a token.
    fn opa_that_follows(&self, workflow: &str) -> Opa {
        self.opa_that_checks(workflow, &json!({}), &json!(null))
    }

    /// The same, which knows these keys and checks what it gets by `signing`.
    pub fn opa_that_checks(&self, workflow: &str, keys: &Value, signing: &Value) -> Opa {
        let token = self.issuer.client_token("refund-agent", SystemClock.now()).unwrap();
        let config = json!({
            "keys": keys,
            "services": {"gantral": {"url": self.url, "credentials": {"bearer": {"token": token.expose()}}}},
            "bundles": {"gantral": {
                "service": "gantral",
                "resource": format!("v1/bundles/workflows/{workflow}"),
                "polling": {"long_polling_timeout_seconds": 10},
                "signing": signing,
            }},
        });
        std::fs::write(self.folder.path().join("opa.json"), config.to_string()).unwrap();
        Opa::start(self.folder.path(), self.port, &["--config-file", "opa.json"])
    }

    async fn get(&self, path: &str) -> String {
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        http.get(format!("{}{path}", self.url)).send().await.unwrap().text().await.unwrap()
    }
}

fn payload(envelope: &Document) -> String {
    String::from_utf8(Envelope::parse(envelope.as_str().as_bytes()).unwrap().payload).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_choose_between_the_embedded_engine_and_an_opa_and_artifacts_say_which_it_was() {
    let site = Site::start().await;
    let published = site.publish().await;
    let _opa = site.opa();
    for (workflow, evaluator) in [("near", "sidecar"), ("within", "embedded")] {
        site.apply(&published, workflow, evaluator).await.unwrap();
    }
    assert_eq!(site.apply(&published, "nowhere", "nobody").await, Err(Code::WorkflowInvalid));
    for (workflow, engine) in
        [("near", r#""engine":"opa","engine_version":"1.9.0""#), ("within", r#""engine":"regorus""#)]
    {
        let (_, payload) = site.ask(workflow).await;
        let payload = payload.unwrap_or_else(|| panic!("{workflow} does not allow it"));
        assert!(payload.contains(engine), "{payload}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opa_that_is_away_is_closed_and_named_until_it_is_back() {
    let site = Site::start().await;
    let published = site.publish().await;
    site.apply(&published, "near", "sidecar").await.unwrap();
    site.apply(&published, "within", "embedded").await.unwrap();
    for _ in 0..5 {
        let (asked, _) = site.ask("near").await;
        assert!(!matches!(asked, AuthorityAnswer::Allow(_)), "nobody evaluated it");
    }
    let health: Value = serde_json::from_str(&site.get("/readyz").await).unwrap();
    assert_eq!((&health["status"], &health["evaluators_away"]), (&json!("ready"), &json!(["sidecar"])));
    let metrics = site.get("/metrics").await;
    assert!(metrics.contains("gantral_policy_evaluator_away{evaluator=\"sidecar\"} 1\n"), "{metrics}");
    assert!(metrics.contains("gantral_policy_evaluator_breaks{evaluator=\"sidecar\"} 1"), "{metrics}");
    let (asked, _) = site.ask("within").await;
    assert!(matches!(asked, AuthorityAnswer::Allow(_)), "the others go on");

    let _opa = site.opa();
    let begun = Instant::now();
    while site.get("/readyz").await.contains("sidecar") {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not found again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (asked, _) = site.ask("near").await;
    assert!(matches!(asked, AuthorityAnswer::Allow(_)));
    let metrics = site.get("/metrics").await;
    assert!(metrics.contains("gantral_policy_evaluator_away{evaluator=\"sidecar\"} 0\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opa_follows_what_is_put_in_force_without_being_restarted() {
    let site = Site::start().await;
    let allowing = site.publish().await;
    site.apply(&allowing, "near", "sidecar").await.unwrap();
    let _opa = site.opa_that_follows("near");
    let answers = async |wanted: fn(&AuthorityAnswer) -> bool| {
        let begun = Instant::now();
        while !wanted(&site.ask("near").await.0) {
            assert!(begun.elapsed() < Duration::from_secs(20), "OPA does not follow");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    answers(|answer| matches!(answer, AuthorityAnswer::Allow(_))).await;
    let denying = rules("decision := \"DENY\"").to_archive().unwrap();
    let denying = site.bob().publish_policy(denying).await.unwrap().policy_version_id;
    let activate: Activate = to(json!({
        "scope": {"kind": "workflow", "name": "near"},
        "policy_version_id": denying,
    }));
    site.bob().activate(&activate).await.unwrap();
    // Until OPA has it, its answer names another version and closes: nothing is allowed under the old one.
    assert!(!matches!(site.ask("near").await.0, AuthorityAnswer::Allow(_)));
    answers(|answer| matches!(answer, AuthorityAnswer::Deny(_))).await;
    site.bob()
        .activate(&to::<Activate>(json!({"scope": {"kind": "workflow", "name": "near"}})))
        .await
        .unwrap();
    answers(|answer| matches!(answer, AuthorityAnswer::Allow(_))).await;
}
