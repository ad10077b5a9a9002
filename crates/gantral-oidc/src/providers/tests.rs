//! A publisher that answers as it is told, over real connections, and tokens written by somebody else's library.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_core::time::UnixMillis;
use gantral_identity::TokenError;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

/// 2026-01-01T00:00:00Z.
const NOW_SECONDS: u64 = 1_767_225_600;

struct Key {
    kid: &'static str,
    private: EncodingKey,
    public: Value,
}

fn key(kid: &'static str) -> Key {
    let pair = Ed25519KeyPair::generate().unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let public = json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": x});
    Key { kid, private: EncodingKey::from_ed_der(der.as_ref()), public }
}

#[derive(Default)]
struct Said {
    /// The answers that hold the set, in order; the last one stays.
    sets: VecDeque<(StatusCode, &'static str, Value)>,
    /// What the discovery document says in place of the truth.
    issuer: Option<&'static str>,
    keys_at: Option<&'static str>,
    /// Every request: its path, and the token that came with it.
    asked: Vec<(String, Option<String>)>,
}

/// A provider of which only what it publishes is there.
#[derive(Clone)]
struct Publisher {
    url: String,
    said: Arc<Mutex<Said>>,
}

impl Publisher {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let publisher = Self { url, said: Arc::default() };
        let router = Router::new().fallback(answer).with_state(publisher.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        publisher
    }

    /// Publishes these keys from now on.
    fn publish(&self, keys: &[&Key]) {
        self.answer(
            StatusCode::OK,
            "",
            json!({"keys": keys.iter().map(|key| &key.public).collect::<Vec<_>>()}),
        );
    }

    fn answer(&self, status: StatusCode, cache: &'static str, document: Value) {
        self.said.lock().unwrap().sets = VecDeque::from([(status, cache, document)]);
    }

    fn asked(&self, path: &str) -> usize {
        self.said.lock().unwrap().asked.iter().filter(|(asked, _)| asked == path).count()
    }

    fn config(&self, published: Value) -> IdentityConfig {
        let issuer = json!({
            "issuer": self.url, "audiences": ["gantral"], "algorithms": ["EdDSA"], "tenant": "acme",
            "keys": {"published": published}, "clients": {"console": {"kind": "human"}},
        });
        serde_json::from_value(json!({"issuers": [issuer]})).unwrap()
    }

    /// Sets up what a server has: who verifies, and who follows.
    fn followed(&self, published: Value) -> (Verifier, Providers) {
        let config = self.config(published);
        (Verifier::new(&config).unwrap(), Providers::new(&config).unwrap())
    }

    fn token(&self, key: &Key) -> String {
        let mut header = Header::new(jsonwebtoken::Algorithm::EdDSA);
        header.kid = Some(key.kid.to_owned());
        let (iat, exp) = (NOW_SECONDS, NOW_SECONDS + 300);
        let claims = json!({"iss": self.url, "aud": "gantral", "sub": "alice", "azp": "console", "iat": iat, "exp": exp});
        jsonwebtoken::encode(&header, &claims, &key.private).unwrap()
    }
}

async fn answer(State(publisher): State<Publisher>, uri: Uri, headers: HeaderMap) -> Response {
    let mut said = publisher.said.lock().unwrap();
    let bearer = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    said.asked.push((uri.path().to_owned(), bearer));
    if uri.path() == "/.well-known/openid-configuration" {
        let keys = said.keys_at.map_or_else(|| format!("{}/keys", publisher.url), ToOwned::to_owned);
        let issuer = said.issuer.unwrap_or(&publisher.url);
        return axum::Json(json!({"issuer": issuer, "jwks_uri": keys})).into_response();
    }
    let next = if said.sets.len() > 1 { said.sets.pop_front() } else { said.sets.front().cloned() };
    let (status, cache, document) = next.unwrap();
    ([(header::CACHE_CONTROL, cache)], (status, axum::Json(document))).into_response()
}

fn verify(verifier: &Verifier, token: &str) -> Result<(), TokenError> {
    verifier.verify(token, UnixMillis::new(NOW_SECONDS * 1_000).unwrap()).map(|_| ())
}

#[tokio::test]
async fn keys_are_found_by_discovery_and_tokens_wait_for_them() {
    let (provider, first) = (Publisher::start().await, key("first"));
    provider.publish(&[&first]);
    let (verifier, providers) = provider.followed(json!({}));
    let token = provider.token(&first);
    assert_eq!(verify(&verifier, &token), Err(TokenError::KeysUnavailable));
    assert_eq!(providers.statuses().first().unwrap().age, None);
    providers.begin(&verifier).await;
    assert_eq!(verify(&verifier, &token), Ok(()));
    assert!(providers.statuses().first().unwrap().age.is_some());
}

#[tokio::test]
async fn a_key_that_is_not_known_is_asked_for_once() {
    let (provider, first, second) = (Publisher::start().await, key("first"), key("second"));
    provider.publish(&[&first]);
    let (verifier, providers) = provider.followed(json!({}));
    // Nothing was fetched yet, so that the first question goes out at once.
    provider.publish(&[&first, &second]);
    let tokens = [provider.token(&second), provider.token(&first), provider.token(&key("made-up"))];
    let asked = tokens.iter().cycle().take(60).map(async |token| providers.ask_for(&verifier, token).await);
    join_all(asked).await;
    assert_eq!(provider.asked("/keys"), 1);
    assert_eq!(tokens.map(|token| verify(&verifier, &token)), [Ok(()), Ok(()), Err(TokenError::UnknownKey)]);
}

#[tokio::test]
async fn a_key_that_was_taken_out_stops_when_somebody_says_so() {
    let (provider, first, second) = (Publisher::start().await, key("first"), key("second"));
    provider.publish(&[&first]);
    let (verifier, providers) = provider.followed(json!({}));
    providers.begin(&verifier).await;
    let token = provider.token(&first);
    assert_eq!(verify(&verifier, &token), Ok(()));
    provider.publish(&[&second]);
    assert_eq!(verify(&verifier, &token), Ok(()), "nobody has said so yet");
    let refreshed = providers.refresh(&verifier).await;
    assert!(matches!(refreshed.as_slice(), [Refreshed { outcome: Ok(true), .. }]), "{refreshed:?}");
    assert_eq!(verify(&verifier, &token), Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn keys_are_kept_while_the_provider_fails_and_no_longer_than_they_may() {
    let (provider, first) = (Publisher::start().await, key("first"));
    provider.publish(&[&first]);
    let (verifier, mut providers) = provider.followed(json!({}));
    for following in providers.0.values_mut() {
        (following.refresh, following.keep) = (Duration::from_millis(200), Duration::from_secs(3));
    }
    providers.begin(&verifier).await;
    let token = provider.token(&first);
    provider.answer(StatusCode::INTERNAL_SERVER_ERROR, "", json!({}));
    let following = providers.run(&verifier, std::future::pending());
    let watching = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(providers.statuses().first().unwrap().failures > 1);
        assert_eq!(verify(&verifier, &token), Ok(()), "they are believed for three seconds");
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert_eq!(verify(&verifier, &token), Err(TokenError::KeysUnavailable));
        provider.publish(&[&first]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(verify(&verifier, &token), Ok(()), "and again once they are published again");
    };
    select(std::pin::pin!(following), std::pin::pin!(watching)).await;
}

#[tokio::test]
async fn what_is_no_key_set_changes_nothing() {
    let (provider, first) = (Publisher::start().await, key("first"));
    provider.publish(&[&first]);
    let (verifier, providers) = provider.followed(json!({}));
    providers.begin(&verifier).await;
    let token = provider.token(&first);
    let large = json!({"keys": [first.public], "more": "x".repeat(300_000)});
    let secret = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "s", "x": "AA", "d": "AA"}]});
    for (status, document) in [
        (StatusCode::NOT_FOUND, json!({"keys": [first.public]})),
        (StatusCode::FOUND, json!({"keys": [first.public]})),
        (StatusCode::OK, json!({"keys": []})),
        (StatusCode::OK, json!([])),
        (StatusCode::OK, json!({"keys": [{"kid": 7}]})),
        (StatusCode::OK, large),
        (StatusCode::OK, secret),
    ] {
        provider.answer(status, "", document.clone());
        let refreshed = providers.refresh(&verifier).await;
        assert!(matches!(refreshed.as_slice(), [Refreshed { outcome: Err(_), .. }]), "{status} {document}");
        assert_eq!(verify(&verifier, &token), Ok(()));
    }
}

#[tokio::test]
async fn a_discovery_document_speaks_for_its_own_issuer_only() {
    for (issuer, keys_at) in [
        (Some("https://id.example"), None),
        (None, Some("http://keys.example/keys")),
        (None, Some("file:///etc/passwd")),
    ] {
        let provider = Publisher::start().await;
        provider.publish(&[&key("first")]);
        let (verifier, providers) = provider.followed(json!({}));
        provider.said.lock().unwrap().issuer = issuer;
        provider.said.lock().unwrap().keys_at = keys_at;
        let refreshed = providers.refresh(&verifier).await;
        assert!(matches!(refreshed.as_slice(), [Refreshed { outcome: Err(_), .. }]), "{refreshed:?}");
        assert_eq!(provider.asked("/keys"), 0);
    }
}

#[tokio::test]
async fn a_set_is_fetched_without_discovery_and_with_a_token() {
    let (provider, first) = (Publisher::start().await, key("first"));
    provider.publish(&[&first]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "the-token\n").unwrap();
    let keys = format!("{}/openid/v1/jwks", provider.url);
    let (verifier, providers) = provider.followed(json!({"jwks_url": keys, "token_file": file.path()}));
    providers.begin(&verifier).await;
    assert_eq!(verify(&verifier, &provider.token(&first)), Ok(()));
    let asked = provider.said.lock().unwrap().asked.clone();
    assert_eq!(asked, [("/openid/v1/jwks".to_owned(), Some("Bearer the-token".to_owned()))]);
}

#[test]
fn what_could_never_be_followed_is_refused_at_the_start() {
    let refused = |issuer: &str, published: Value| {
        let issuer = json!({
            "issuer": issuer, "audiences": ["gantral"], "algorithms": ["EdDSA"], "tenant": "acme",
            "keys": {"published": published}, "clients": {},
        });
        Providers::new(&serde_json::from_value(json!({"issuers": [issuer]})).unwrap())
            .unwrap_err()
            .to_string()
    };
    let id = "https://id.example";
    assert!(refused("http://id.example", json!({})).contains("plain http is for loopback"));
    assert!(refused("urn:issuer", json!({})).contains("issuer"));
    assert!(refused(id, json!({"jwks_url": "ftp://id.example/keys"})).contains("`jwks_url`"));
    assert!(refused(id, json!({"discovery_url": id, "jwks_url": id})).contains("both"));
    assert!(refused(id, json!({"refresh_seconds": 1})).contains("within 30 and 3600 seconds"));
    assert!(refused(id, json!({"keep_seconds": 10_000_000})).contains("keep_seconds"));
}
