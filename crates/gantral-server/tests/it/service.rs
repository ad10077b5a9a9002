//! What operators see: health, metrics, the document, listening and TLS.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_api::client::{Client, ClientConfig, TokenSource};
use gantral_api::problem::Code;
use gantral_core::ids::TenantId;
use gantral_evidence::trust::KeyRole;
use gantral_identity::{DevDirectory, DevIssuer, IdentityConfig, TenantRule, TokenKey};
use gantral_keys::{LocalSigner, Signer as _};
use gantral_policy::WorkerCommand;
use gantral_server::evaluators::PolicySettings;
use gantral_server::settings::{Settings, Setup, SetupError};
use gantral_server::{App, ListenError, SocketError, TlsFiles, listen, serve};
use gantral_testkit::certificates::Authority;
use gantral_testkit::policy::worker_command;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tokio::sync::watch;

use crate::place::{Place, refused};

#[tokio::test]
async fn the_service_says_how_it_is() {
    let place = Place::start().await;
    let anonymous = place.anonymous();
    assert_eq!(anonymous.health().await.unwrap().status, "ok");
    place.ready().await;
    assert_eq!(anonymous.ready().await.unwrap().status, "ready");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../api/openapi.json");
    assert!(
        anonymous.openapi().await.unwrap() == std::fs::read(kept).unwrap(),
        "another document is served than kept"
    );
}

#[tokio::test]
async fn metrics_count_by_route_and_code_and_hold_nothing_of_a_caller() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let token = place.human_token("fiona");
    for (method, path) in
        [("GET", "/canary-path"), ("CANARYMETHOD", "/v1/me"), ("GET", "/v1/me?canary-name=1")]
    {
        refused(place.request(method, path, Some(&token))).await;
    }
    let text = String::from_utf8(place.anonymous().metrics().await.unwrap()).unwrap();
    for line in [
        "gantral_http_requests_total{method=\"POST\",route=\"/v1/instances/{id}/authority\",status=\"202\"} 1",
        "gantral_http_requests_total{method=\"GET\",route=\"(none)\",status=\"404\"} 1",
        "gantral_http_requests_total{method=\"(other)\",route=\"/v1/me\",status=\"405\"} 1",
        "gantral_problems_total{code=\"not_found\"} 1",
        "gantral_instances{state=\"WAITING_FOR_HUMAN\"} 1",
        "gantral_gates_open 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.to_lowercase().contains("canary") && !text.contains(&waits.id.to_string()), "{text}");
}

#[tokio::test]
async fn a_server_without_a_worker_is_not_ready_and_says_when_to_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, identity) = developers();
    let nobody = WorkerCommand { program: folder.path().join("missing"), args: Vec::new() };
    let app = setup(folder.path(), &identity, Some(&issuer), nobody).await.unwrap();
    let listening = listen("127.0.0.1:0".parse().unwrap(), None, true).await.unwrap();
    let url = listening.url();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(serve(app, listening, stopped));
    let request = http(&url).get(format!("{url}/readyz"));
    let response = request.try_clone().unwrap().send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    let problem = refused(request).await;
    assert_eq!(problem.code(), Code::NotReady);
    assert_eq!(
        problem.member("checks").unwrap(),
        &json!({"ledger": "ok", "policy": "no policy worker runs", "history": "ok", "clock": "ok", "log": "ok", "archive": "ok"})
    );
    stop.send(true).unwrap();
    task.await.unwrap().unwrap();
}

/// Returns an HTTP client that any program could be.
fn http(url: &str) -> reqwest::Client {
    // Gives the process its provider of cryptography.
    crate::place::client(url);
    reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap()
}

#[tokio::test]
async fn plain_http_and_development_identities_stay_on_loopback() {
    let open: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let refused = listen(open, None, false).await.err().unwrap();
    assert!(matches!(refused, ListenError::Socket(SocketError::PlainBeyondLoopback { .. })), "{refused}");
    let files = TlsFiles::new(PathBuf::from("none"), PathBuf::from("none"));
    let refused = listen(open, Some(&files), true).await.err().unwrap();
    assert!(matches!(refused, ListenError::Development(_)), "{refused}");
    let refused = listen(open, Some(&files), false).await.err().unwrap();
    assert!(matches!(refused, ListenError::Socket(SocketError::Tls { .. })), "{refused}");
}

/// Sets a server up as the binary does.
async fn setup(
    folder: &Path,
    identity: &IdentityConfig,
    development: Option<&Arc<DevIssuer>>,
    worker: WorkerCommand,
) -> Result<App, SetupError> {
    let setup = Setup {
        data: &folder.join("data"),
        store: None,
        tenants: &[TenantId::parse("dev").unwrap()],
        identity,
        policy: &PolicySettings::default(),
        archive: None,
        notifications: &gantral_server::notifications::NotificationSettings::default(),
        four_eyes: &gantral_server::four_eyes::FourEyesSettings::default(),
        delegations: &gantral_server::delegations::DelegationSettings::default(),
        passkeys: None,
        limits: &gantral_server::tenant_limits::LimitSettings::default(),
        retention: &gantral_server::retention::RetentionSettings::default(),
        orchestrator: Default::default(),
        telemetry: &gantral_server::telemetry::TelemetrySettings::default(),
        development: development.cloned(),
        public_url: "https://gantral.invalid".to_owned(),
        worker,
        public_logs: false,
        witnesses: &[],
    };
    setup.app().await
}

fn developers() -> (Arc<DevIssuer>, IdentityConfig) {
    let issuer = Arc::new(DevIssuer::new(TokenKey::generate().unwrap(), DevDirectory::standard()));
    let config = IdentityConfig { issuers: vec![issuer.config()] };
    (issuer, config)
}

fn now() -> gantral_core::time::UnixMillis {
    gantral_server::Clock::now(&gantral_server::SystemClock)
}

#[tokio::test]
async fn tls_is_spoken_with_a_certificate_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue("server");

    let (issuer, identity) = developers();
    let app = setup(folder.path(), &identity, Some(&issuer), worker_command()).await.unwrap();
    let files = TlsFiles::new(authority.path("server.pem"), authority.path("server.key"));
    let listening = listen("127.0.0.1:0".parse().unwrap(), Some(&files), true).await.unwrap();
    let url = listening.url();
    assert!(url.starts_with("https://"));
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(serve(app, listening, stopped));
    let token = issuer.human_token("alice", now()).unwrap().expose().to_owned();
    let config = ClientConfig {
        ca_file: Some(authority.path("ca.pem")),
        ..ClientConfig::new(url, TokenSource::Fixed(token))
    };
    let me = Client::new(config).unwrap().me().await.unwrap();
    assert_eq!(me.roles[0].as_str(), "RISK_OFFICER");
    stop.send(true).unwrap();
    task.await.unwrap().unwrap();
}

/// The configuration of a provider, and a token of it for a human.
fn provider() -> (IdentityConfig, String) {
    let pair = LocalSigner::generate().unwrap();
    let public = LocalSigner::from_pkcs8(KeyRole::Issuer, &pair).unwrap();
    let x = URL_SAFE_NO_PAD.encode(public.public_key().as_bytes());
    let text = format!(
        "[[issuers]]\nissuer = \"https://id.example\"\naudiences = [\"gantral\"]\nalgorithms = [\"EdDSA\"]\n\
         tenant = \"dev\"\n[issuers.keys.static]\n\
         keys = [{{ kty = \"OKP\", crv = \"Ed25519\", kid = \"one\", x = \"{x}\" }}]\n\
         [issuers.clients.console]\nkind = \"human\"\n"
    );
    let seconds = now().get() / 1_000;
    let claims = json!({
        "iss": "https://id.example", "aud": "gantral", "sub": "7f", "client_id": "console",
        "iat": seconds, "exp": seconds + 600,
    });
    let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::EdDSA) };
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&pair)).unwrap();
    (toml::from_str(&text).unwrap(), token)
}

#[tokio::test]
async fn a_providers_token_passes_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let (identity, token) = provider();
    let listening = listen("127.0.0.1:0".parse().unwrap(), None, false).await.unwrap();
    let url = listening.url();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(serve(
        setup(folder.path(), &identity, None, worker_command()).await.unwrap(),
        listening,
        stopped,
    ));
    let request =
        http(&url).get(format!("{url}/v1/me")).bearer_auth(&token).header("x-forwarded-for", "192.0.2.1");
    assert_eq!(request.send().await.unwrap().status(), 200);
    stop.send(true).unwrap();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn keys_that_others_can_read_stop_the_server() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (issuer, identity) = developers();
    drop(setup(folder.path(), &identity, Some(&issuer), worker_command()).await.unwrap());
    let data = folder.path().join("data");
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    let key = data.join("issuer.pk8");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    // The ledger of the first one may take a moment to be let go of.
    let mut refused = setup(folder.path(), &identity, Some(&issuer), worker_command()).await.err().unwrap();
    while matches!(refused, SetupError::Store(_)) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        refused = setup(folder.path(), &identity, Some(&issuer), worker_command()).await.err().unwrap();
    }
    assert!(matches!(refused, SetupError::SigningKeys(_)), "{refused}");
}

#[tokio::test]
async fn callers_of_a_tenant_that_is_not_served_are_not_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let (mut identity, _) = provider();
    identity.issuers[0].tenant = TenantRule::Fixed("elsewhere".to_owned());
    let refused = setup(folder.path(), &identity, None, worker_command()).await.err().unwrap();
    assert!(matches!(&refused, SetupError::Tenant { tenant } if tenant == "elsewhere"), "{refused}");
}

#[test]
fn a_configuration_with_a_misspelt_member_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gantral.toml");
    let text = "listen = \"127.0.0.1:7420\"\ndata = \"data\"\ntenants = [\"dev\"]\n[identity]\n";
    std::fs::write(&file, text).unwrap();
    assert_eq!(Settings::read(&file, []).unwrap().tenants, ["dev"]);
    std::fs::write(&file, format!("tenant = \"dev\"\n{text}")).unwrap();
    let refused = Settings::read(&file, []).unwrap_err().to_string();
    assert!(refused.contains("tenant") && refused.contains("gantral.toml"), "{refused}");
}

#[test]
fn a_variable_stands_for_a_member_of_the_configuration_and_is_named_where_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gantral.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:7420\"\ndata = \"data\"\ntenants = [\"dev\"]\n[identity]\n")
        .unwrap();
    let read = |variable: &str, value: &str| Settings::read(&file, [(variable.into(), value.into())]);
    assert_eq!(read("GANTRAL__TENANTS", "[\"acme\"]").unwrap().tenants, ["acme"]);
    assert!(read("GANTRAL__LOG__PUBLIC", "true").unwrap().log.public);
    for (variable, value, said) in [
        ("GANTRAL__LISTEN", "nowhere", "`GANTRAL__LISTEN` cannot stand for `listen`: invalid socket address"),
        (
            "GANTRAL__LOG__PUBLIK",
            "true",
            "`GANTRAL__LOG__PUBLIK` cannot stand for `log.publik`: unknown field",
        ),
        ("GANTRAL__LOG__PUBLIC", "yes", "invalid type: string \"yes\", expected a boolean"),
    ] {
        let refused = read(variable, value).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
    // What is wrong in the file is the file's fault, whatever a variable says.
    std::fs::write(&file, "listen = 7\ndata = \"data\"\ntenants = [\"dev\"]\n[identity]\n").unwrap();
    let refused = read("GANTRAL__LOG__PUBLIC", "true").unwrap_err().to_string();
    assert!(refused.contains("gantral.toml") && refused.contains("`listen`"), "{refused}");
}

#[tokio::test]
async fn a_bundle_that_fails_its_tests_is_rejected_with_its_findings() {
    let place = Place::start().await;
    let module = "package gantral.policy\ndefault decision := \"DENY\"\n";
    let test =
        "package gantral.policy_test\nimport data.gantral.policy\ntest_it if policy.decision == \"ALLOW\"\n";
    let files = [("policy.rego", module.as_bytes().to_vec()), ("policy_test.rego", test.as_bytes().to_vec())];
    let bundle = gantral_policy::bundle::Bundle::from_files(files).unwrap();
    let bob = place.human("bob");
    let refusal = crate::place::problem(bob.publish_policy(bundle.to_archive().unwrap()).await);
    assert_eq!(refusal.code(), Code::PolicyRejected);
    assert_eq!(refusal.member("tests").unwrap(), &json!({"passed": 0, "failed": 1}));
    assert!(refusal.member("findings").unwrap()[0].as_str().unwrap().contains("test_it"), "{refusal:?}");
    let refusal = crate::place::problem(bob.publish_policy(vec![31, 139, 0]).await);
    assert_eq!(refusal.code(), Code::PolicyRejected);
}
