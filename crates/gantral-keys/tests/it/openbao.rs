//! Keys in OpenBao: what it signs is believed only under the pinned key, and its failures are told apart.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_core::time::UnixMillis;
use gantral_evidence::delegation::KeyDelegation;
use gantral_evidence::dsse::{PAYLOAD_TYPE, pae};
use gantral_evidence::trust::KeyRole;
use gantral_keys::{
    DelegatedSigner, DelegationTerms, Delegations, LocalSigner, OpenBaoConfig, OpenBaoError, OpenBaoSigner,
    SignError, Signer, SigningContext,
};
use gantral_testkit::Bao;
use serde_json::json;

/// The key that signs.
const KEY: &str = "gantral-issuer";

/// Starts an OpenBao with the key, and a token that may sign with it in `token`.
pub async fn started(tls: bool) -> Bao {
    let bao = Bao::start(tls).await;
    bao.signing_key(KEY).await;
    bao
}

/// Returns the configuration of a signer.
pub fn config(bao: &Bao) -> OpenBaoConfig {
    OpenBaoConfig {
        url: bao.url.clone(),
        mount: "transit".to_owned(),
        key: KEY.to_owned(),
        token_file: bao.folder.path().join("token"),
        ca_file: None,
        timeout: Duration::from_secs(5),
    }
}

/// The bytes of an artifact of tenant `acme`, on the second of January 2026.
pub fn artifact() -> Vec<u8> {
    let predicate = r#"{"issued_at":"2026-01-02T03:04:05.000Z","log_origin":"acme/log","tenant_id":"acme"}"#;
    pae(PAYLOAD_TYPE, format!(r#"{{"predicate":{predicate}}}"#).as_bytes())
}

async fn connect(config: &OpenBaoConfig) -> Result<OpenBaoSigner, OpenBaoError> {
    OpenBaoSigner::connect(KeyRole::Issuer, config, None).await
}

async fn sign(signer: &dyn Signer) -> Result<(), SignError> {
    let message = artifact();
    let signature = signer.sign(SigningContext::Artifact, &message).await?;
    signer.public_key().verify_strict(&message, &signature.bytes).unwrap();
    assert_eq!(signature.key_id, signer.public_key().id());
    Ok(())
}

#[tokio::test]
async fn key_in_openbao_signs_what_a_stranger_verifies() {
    let bao = started(false).await;
    let signer = connect(&config(&bao)).await.unwrap();
    sign(&signer).await.unwrap();
    for context in [SigningContext::Checkpoint, SigningContext::Cosignature, SigningContext::Delegation] {
        assert_eq!(signer.sign(context, &artifact()).await, Err(SignError::WrongContext), "{context:?}");
    }
    assert_eq!(signer.sign(SigningContext::Artifact, b"text").await, Err(SignError::WrongContext));
}

#[tokio::test]
async fn token_that_is_renewed_in_its_file_is_used_and_one_that_permits_nothing_is_refused() {
    let bao = started(false).await;
    let signer = connect(&config(&bao)).await.unwrap();
    bao.write("token", "s.wrong-token");
    assert_eq!(sign(&signer).await, Err(SignError::Unavailable));
    let error = connect(&config(&bao)).await.err().unwrap();
    assert!(matches!(&error, OpenBaoError::Forbidden { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong-token"));
    bao.write("token", "root");
    sign(&signer).await.unwrap();

    // Not a policy of this key.
    let made = bao.post("auth/token/create", json!({"policies": ["default"]})).await;
    bao.write("token", made["auth"]["client_token"].as_str().unwrap());
    assert_eq!(sign(&signer).await, Err(SignError::Unavailable));
}

#[tokio::test]
async fn token_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let bao = started(false).await;
    let file = config(&bao).token_file;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = connect(&config(&bao)).await.err().unwrap();
    assert!(error.to_string().contains("set its mode to 0600"), "{error}");
}

#[tokio::test]
async fn key_that_is_not_there_or_no_ed25519_key_is_named() {
    let bao = started(false).await;
    bao.write("token", "root");
    let missing = OpenBaoConfig { key: "nothing".to_owned(), ..config(&bao) };
    assert!(matches!(connect(&missing).await.err().unwrap(), OpenBaoError::Missing { .. }));
    bao.post("transit/keys/other", json!({"type": "ecdsa-p256"})).await;
    let other = OpenBaoConfig { key: "other".to_owned(), ..config(&bao) };
    let error = connect(&other).await.err().unwrap();
    assert!(matches!(&error, OpenBaoError::Type { found, .. } if found == "ecdsa-p256"), "{error}");
}

#[tokio::test]
async fn rotation_in_openbao_changes_nothing_until_the_new_version_is_pinned() {
    let bao = started(false).await;
    let first = connect(&config(&bao)).await.unwrap();
    bao.post("transit/keys/gantral-issuer/rotate", json!({})).await;
    sign(&first).await.unwrap();
    let second = connect(&config(&bao)).await.unwrap();
    sign(&second).await.unwrap();
    assert_ne!(first.public_key(), second.public_key());
    let config = config(&bao);
    let pinned = OpenBaoSigner::connect(KeyRole::Issuer, &config, Some(first.public_key())).await.unwrap();
    assert_eq!(pinned.public_key(), first.public_key());
    sign(&pinned).await.unwrap();

    // The old version may sign no more: a refusal, and never a signature of the new one.
    let raised = json!({"min_encryption_version": 2});
    bao.post("transit/keys/gantral-issuer/config", raised).await;
    assert_eq!(sign(&first).await, Err(SignError::Unavailable));
    sign(&second).await.unwrap();
}

#[tokio::test]
async fn key_that_was_replaced_under_its_name_is_refused() {
    let bao = started(false).await;
    let signer = connect(&config(&bao)).await.unwrap();
    bao.write("token", "root");
    let own = LocalSigner::from_pkcs8(KeyRole::Issuer, &LocalSigner::generate().unwrap()).unwrap();
    let error = OpenBaoSigner::connect(KeyRole::Issuer, &config(&bao), Some(own.public_key())).await;
    assert!(matches!(error.err().unwrap(), OpenBaoError::Changed { .. }));

    bao.post("transit/keys/gantral-issuer/config", json!({"deletion_allowed": true})).await;
    let delete = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let delete = delete.delete(format!("{}/v1/transit/keys/gantral-issuer", bao.url));
    assert!(delete.header("x-vault-token", "root").send().await.unwrap().status().is_success());
    bao.post("transit/keys/gantral-issuer", json!({"type": "ed25519"})).await;
    assert_eq!(sign(&signer).await, Err(SignError::Unavailable));
    let pinned = OpenBaoSigner::connect(KeyRole::Issuer, &config(&bao), Some(signer.public_key())).await;
    assert!(matches!(pinned.err().unwrap(), OpenBaoError::Changed { .. }));
}

#[tokio::test]
async fn server_that_is_frozen_or_gone_holds_nobody_up() {
    let mut bao = started(false).await;
    let config = OpenBaoConfig { timeout: Duration::from_millis(300), ..config(&bao) };
    let signer = connect(&config).await.unwrap();
    bao.freeze(true);
    let begun = Instant::now();
    assert_eq!(sign(&signer).await, Err(SignError::Unavailable));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let error = connect(&config).await.err().unwrap();
    assert_eq!(error.to_string(), "openbao cannot be reached: no answer in time");
    bao.freeze(false);
    sign(&signer).await.unwrap();
    bao.stop();
    assert_eq!(sign(&signer).await, Err(SignError::Unavailable));
    let error = connect(&config).await.err().unwrap();
    assert_eq!(error.to_string(), "openbao cannot be reached: no connection");
}

#[tokio::test]
async fn only_the_pinned_authority_vouches_for_a_server() {
    let bao = started(true).await;
    let pinned = OpenBaoConfig { ca_file: Some(bao.ca_file()), ..config(&bao) };
    sign(&connect(&pinned).await.unwrap()).await.unwrap();

    let other = started(true).await;
    let wrong = OpenBaoConfig { ca_file: Some(other.ca_file()), ..config(&bao) };
    let error = connect(&wrong).await.err().unwrap();
    assert!(matches!(&error, OpenBaoError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn address_where_a_token_would_be_seen_is_refused() {
    let bao = started(false).await;
    for url in [
        "http://bao.example.org:8200",
        "https://user:secret@bao.example.org",
        "ftp://127.0.0.1",
        "bao.example.org",
        "https://:secret@[",
    ] {
        let error = connect(&OpenBaoConfig { url: url.to_owned(), ..config(&bao) }).await.err().unwrap();
        assert!(matches!(&error, OpenBaoError::Config(_)), "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

/// Answers like OpenBao, with what `signature` makes of the request.
fn liar(key: &LocalSigner, signature: impl Fn(&[u8]) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let public = STANDARD.encode(key.public_key().as_bytes());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.ends_with(b"}") && !request.ends_with(b"\r\n\r\n") {
                let read = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..read]);
            }
            let text = String::from_utf8(request).unwrap();
            let data = match text.split_once("\r\n\r\n").filter(|_| text.starts_with("POST")) {
                Some((_, body)) => {
                    let body: serde_json::Value = serde_json::from_str(body).unwrap();
                    let input = STANDARD.decode(body["input"].as_str().unwrap()).unwrap();
                    json!({"signature": signature(&input)})
                }
                None => {
                    json!({"type": "ed25519", "latest_version": 1, "keys": {"1": {"public_key": public}}})
                }
            };
            let body = json!({"data": data}).to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        }
    });
    url
}

#[tokio::test]
async fn answer_that_is_no_signature_of_the_pinned_version_is_never_used() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    gantral_keys::write_private(&token_file, b"token").unwrap();
    let secret = LocalSigner::generate().unwrap();
    let key = || LocalSigner::from_pkcs8(KeyRole::Issuer, &secret).unwrap();
    let honest = |message: &[u8]| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let signer = LocalSigner::from_pkcs8(KeyRole::Issuer, &secret).unwrap();
        runtime.block_on(signer.sign(SigningContext::Artifact, message)).unwrap().bytes
    };
    let good =
        STANDARD.encode(std::thread::scope(|scope| scope.spawn(|| honest(&artifact())).join().unwrap()));
    for (answer, is_good) in [
        (format!("vault:v1:{good}"), true),
        (format!("vault:v2:{good}"), false),
        (format!("vault:v01:{good}"), false),
        (format!("bao:v1:{good}"), false),
        (good.clone(), false),
        ("vault:v1:".to_owned(), false),
        (format!("vault:v1:{}", STANDARD.encode([0; 64])), false),
        (format!("vault:v1:{}", STANDARD.encode([1; 63])), false),
    ] {
        let shown = answer.clone();
        let config = OpenBaoConfig {
            url: liar(&key(), move |_| answer.clone()),
            mount: "transit".to_owned(),
            key: "k".to_owned(),
            token_file: token_file.clone(),
            ca_file: None,
            timeout: Duration::from_secs(5),
        };
        let signer = connect(&config).await.unwrap();
        assert_eq!(signer.public_key(), key().public_key());
        assert_eq!(sign(&signer).await.is_ok(), is_good, "{shown}");
    }
}

#[tokio::test]
async fn delegate_of_a_key_in_openbao_signs_while_it_is_gone() {
    let mut bao = started(false).await;
    let issuer = Arc::new(connect(&config(&bao)).await.unwrap());
    let folder = bao.folder.path().join("delegations");
    let kept = Arc::new(Delegations::open(&folder, &[]).unwrap());
    let signer = DelegatedSigner::new(issuer.clone(), DelegationTerms::default(), kept.clone());
    signer.renew(UnixMillis::parse("2026-01-02T00:00:00.000Z").unwrap()).await.unwrap();
    bao.stop();
    let message = artifact();
    let signature = signer.sign(SigningContext::Artifact, &message).await.unwrap();
    let envelope = kept.find(&signature.key_id).unwrap().envelope.clone();
    let delegation = KeyDelegation::open(&envelope, |_| Some(issuer.public_key())).unwrap();
    delegation.delegate.verify_strict(&message, &signature.bytes).unwrap();
}
