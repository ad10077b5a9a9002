//! Secrets in a real OpenBao: both versions of the key/value engine, both ways to log in, and what goes wrong.

use std::path::PathBuf;
use std::time::Duration;

use gantral_edge::runner::{Login, OpenBao, OpenBaoConfig, OpenBaoError, Place};
use gantral_testkit::Bao;
use serde_json::{Value, json};

const CANARY: &str = "canary-5f1d8e0c-in-openbao";
/// What the tokens of a runner may do, and no more.
const POLICY: &str = r#"path "+/data/runners/*" { capabilities = ["read"] }
path "old/runners/*" { capabilities = ["read"] }"#;

/// Lets a runner log in by AppRole, and returns the identifier of its role and the file with its secret.
async fn approle(bao: &Bao, namespace: &str) -> (String, PathBuf) {
    bao.ask("POST", namespace, "sys/policies/acl/runner", json!({"policy": POLICY})).await;
    bao.ask("POST", namespace, "sys/auth/approle", json!({"type": "approle"})).await;
    let role = json!({"token_policies": "runner", "token_ttl": "5m"});
    bao.ask("POST", namespace, "auth/approle/role/runner", role).await;
    let id = bao.ask("GET", namespace, "auth/approle/role/runner/role-id", Value::Null).await;
    let secret = bao.ask("POST", namespace, "auth/approle/role/runner/secret-id", json!({})).await;
    let file = bao.write("secret-id", secret["data"]["secret_id"].as_str().unwrap());
    (id["data"]["role_id"].as_str().unwrap().to_owned(), file)
}

/// Returns how many tokens there are.
async fn tokens(bao: &Bao) -> usize {
    let listed = bao.ask("LIST", "", "auth/token/accessors", Value::Null).await;
    listed["data"]["keys"].as_array().unwrap().len()
}

fn config(bao: &Bao, login: Login) -> OpenBaoConfig {
    let (address, timeout) = (bao.url.clone(), Duration::from_secs(5));
    OpenBaoConfig { address, namespace: None, ca_file: None, timeout, login }
}

async fn by_approle(bao: &Bao) -> OpenBaoConfig {
    let (role_id, secret_id_file) = approle(bao, "").await;
    config(bao, Login::AppRole { mount: "approle".to_owned(), role_id, secret_id_file })
}

async fn read(config: &OpenBaoConfig, place: &str) -> Result<String, OpenBaoError> {
    let value = OpenBao::new(config)?.read(&Place::parse(place).unwrap()).await?;
    Ok(String::from_utf8(value.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_the_engine_give_a_value_and_no_token_is_left() {
    let bao = Bao::start(false).await;
    bao.post("secret/data/runners/pay", json!({"data": {"key": CANARY, "other": 7}})).await;
    bao.post("sys/mounts/old", json!({"type": "kv", "options": {"version": "1"}})).await;
    bao.post("old/runners/pay", json!({"key": "from version one"})).await;
    let config = by_approle(&bao).await;
    let before = tokens(&bao).await;
    assert_eq!(read(&config, "secret/runners/pay#key").await.unwrap(), CANARY);
    assert_eq!(read(&config, "old/runners/pay#key").await.unwrap(), "from version one");
    assert_eq!(tokens(&bao).await, before, "each token was revoked when it had been used");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_allowed_gives_nothing_and_leaves_no_token() {
    let bao = Bao::start(false).await;
    bao.post("secret/data/runners/pay", json!({"data": {"key": CANARY, "number": 7}})).await;
    bao.post("secret/data/others/pay", json!({"data": {"key": CANARY}})).await;
    bao.post("secret/data/runners/gone", json!({"data": {"key": CANARY}})).await;
    bao.ask("DELETE", "", "secret/data/runners/gone", Value::Null).await;
    bao.post("sys/mounts/transit", json!({"type": "transit"})).await;
    let config = by_approle(&bao).await;
    let before = tokens(&bao).await;
    let error = async |place: &str| {
        let error = read(&config, place).await.unwrap_err();
        assert!(!error.to_string().contains(CANARY), "{error}");
        error
    };
    assert!(matches!(error("secret/runners/pay#other").await, OpenBaoError::Field { .. }));
    assert!(matches!(error("secret/runners/pay#number").await, OpenBaoError::Field { .. }));
    assert!(matches!(error("secret/runners/nothing#key").await, OpenBaoError::Missing(_)));
    assert!(matches!(error("secret/runners/gone#key").await, OpenBaoError::Missing(_)));
    assert!(matches!(error("secret/others/pay#key").await, OpenBaoError::Forbidden(_)));
    assert!(matches!(error("nowhere/runners/pay#key").await, OpenBaoError::Forbidden(_)));
    assert!(matches!(error("transit/keys/a#key").await, OpenBaoError::Engine(_)));
    assert_eq!(tokens(&bao).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_an_identity_provider_lets_a_runner_in() {
    let bao = Bao::start(false).await;
    bao.post("secret/data/runners/pay", json!({"data": {"key": CANARY}})).await;
    let policy = "path \"secret/data/runners/*\" { capabilities = [\"read\"] }\npath \"identity/oidc/token/work\" { capabilities = [\"read\"] }";
    bao.post("sys/policies/acl/runner", json!({"policy": policy})).await;
    // The provider is OpenBao itself, in its other role: its keys are fetched over the network like those of any other.
    bao.post("identity/oidc/config", json!({"issuer": bao.url})).await;
    bao.post("identity/oidc/key/signs", json!({"allowed_client_ids": "*", "algorithm": "ES256"})).await;
    bao.post("identity/oidc/role/work", json!({"key": "signs", "client_id": "openbao", "ttl": "5m"})).await;
    bao.post("sys/auth/userpass", json!({"type": "userpass"})).await;
    bao.post("auth/userpass/users/runner", json!({"password": "pw", "token_policies": "runner"})).await;
    let entered = bao.post("auth/userpass/login/runner", json!({"password": "pw"})).await;
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let work = http.get(format!("{}/v1/identity/oidc/token/work", bao.url));
    let work = work.header("x-vault-token", entered["auth"]["client_token"].as_str().unwrap());
    let work: Value = serde_json::from_str(&work.send().await.unwrap().text().await.unwrap()).unwrap();
    let jwt_file = bao.write("jwt", work["data"]["token"].as_str().unwrap());
    bao.post("sys/auth/jwt", json!({"type": "jwt"})).await;
    let jwks = format!("{}/v1/identity/oidc/.well-known/keys", bao.url);
    bao.post("auth/jwt/config", json!({"jwks_url": jwks})).await;
    let role = json!({"role_type": "jwt", "bound_audiences": ["openbao"], "user_claim": "sub",
        "token_policies": ["runner"], "token_ttl": "5m"});
    bao.post("auth/jwt/role/runner", role).await;
    let login = |role: &str, jwt_file: PathBuf| Login::Jwt {
        mount: "jwt".to_owned(),
        role: role.to_owned(),
        jwt_file,
    };
    let good = config(&bao, login("runner", jwt_file.clone()));
    assert_eq!(read(&good, "secret/runners/pay#key").await.unwrap(), CANARY);
    let other = config(&bao, login("nobody", jwt_file));
    assert!(matches!(read(&other, "secret/runners/pay#key").await, Err(OpenBaoError::Login(400))));
    let forged = config(&bao, login("runner", bao.write("forged", "e30.e30.e30")));
    assert!(matches!(read(&forged, "secret/runners/pay#key").await, Err(OpenBaoError::Login(400 | 403))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_asked_and_no_other() {
    let bao = Bao::start(false).await;
    bao.post("sys/namespaces/team", json!({})).await;
    bao.ask("POST", "team", "sys/mounts/kept", json!({"type": "kv", "options": {"version": "2"}})).await;
    bao.ask("POST", "team", "kept/data/runners/pay", json!({"data": {"key": CANARY}})).await;
    let (role_id, secret_id_file) = approle(&bao, "team").await;
    let login = Login::AppRole { mount: "approle".to_owned(), role_id, secret_id_file };
    let mut config = config(&bao, login);
    assert!(matches!(read(&config, "kept/runners/pay#key").await, Err(OpenBaoError::Login(_))));
    config.namespace = Some("team".to_owned());
    assert_eq!(read(&config, "kept/runners/pay#key").await.unwrap(), CANARY);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_not_believed_and_a_silent_one_not_waited_for() {
    let mut bao = Bao::start(true).await;
    bao.post("secret/data/runners/pay", json!({"data": {"key": CANARY}})).await;
    let mut config = by_approle(&bao).await;
    config.ca_file = Some(bao.ca_file());
    assert_eq!(read(&config, "secret/runners/pay#key").await.unwrap(), CANARY);
    config.ca_file = None;
    let error = read(&config, "secret/runners/pay#key").await.unwrap_err();
    assert!(matches!(error, OpenBaoError::Unreachable(_)), "{error}");
    bao.stop();
    let error = read(&config, "secret/runners/pay#key").await.unwrap_err();
    assert!(matches!(error, OpenBaoError::Unreachable(_)), "{error}");
    // One that takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    config.address = format!("http://{}", silent.local_addr().unwrap());
    config.timeout = Duration::from_millis(300);
    let error = read(&config, "secret/runners/pay#key").await.unwrap_err();
    assert!(error.to_string().contains("no answer in time"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_runner_logs_in_with_is_its_own_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let bao = Bao::start(false).await;
    bao.post("secret/data/runners/pay", json!({"data": {"key": CANARY}})).await;
    let good = by_approle(&bao).await;
    let Login::AppRole { secret_id_file, .. } = &good.login else { unreachable!() };
    std::fs::set_permissions(secret_id_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = read(&good, "secret/runners/pay#key").await.unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    let token = Login::Token { token_file: bao.write("token", "root") };
    assert_eq!(read(&config(&bao, token), "secret/runners/pay#key").await.unwrap(), CANARY);
    let plain = OpenBaoConfig { address: "http://bao.example.org:8200".to_owned(), ..good };
    assert!(OpenBao::new(&plain).is_err());
}

#[test]
fn a_place_leads_down_a_path_and_nowhere_else() {
    for good in ["secret/pay#key", "a/b/c-d_e.f#k"] {
        assert!(Place::parse(good).is_some(), "{good}");
    }
    for bad in [
        "",
        "secret#key",
        "secret/pay",
        "secret/pay#",
        "/pay#k",
        "a//b#k",
        "a/../sys#k",
        "a/b?x#k",
        "a/%2e#k",
        "a/b c#k",
        "a/b#k#l",
    ] {
        assert!(Place::parse(bad).is_none(), "{bad}");
    }
}
