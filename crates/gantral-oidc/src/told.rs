//! A provider that answers as it is told, over real connections: what a hostile or a broken one would do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::endpoint::PublicClient;

/// What came to an endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Came {
    pub path: String,
    pub authorization: Option<String>,
    pub form: BTreeMap<String, String>,
}

#[derive(Default)]
struct Said {
    answers: VecDeque<(StatusCode, String)>,
    document: BTreeMap<String, Value>,
    came: Vec<Came>,
}

/// The provider.
#[derive(Clone)]
pub(crate) struct Told {
    pub issuer: String,
    said: Arc<Mutex<Said>>,
}

impl Told {
    pub(crate) async fn start() -> (Self, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let told = Self { issuer, said: Arc::default() };
        let router = Router::new().fallback(answer).with_state(told.clone());
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        (told, serving)
    }

    /// Says something else in its discovery document.
    pub(crate) fn says(&self, member: &str, value: impl Into<Value>) {
        self.said.lock().unwrap().document.insert(member.to_owned(), value.into());
    }

    /// Answers the next request to an endpoint like this.
    pub(crate) fn answers(&self, status: u16, body: impl ToString) {
        let status = StatusCode::from_u16(status).unwrap();
        self.said.lock().unwrap().answers.push_back((status, body.to_string()));
    }

    /// Answers the next request with a token.
    pub(crate) fn grants(&self, token: &str, seconds: u64) {
        self.answers(200, json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds}));
    }

    /// Returns what came to its endpoints.
    pub(crate) fn came(&self) -> Vec<Came> {
        self.said.lock().unwrap().came.clone()
    }

    fn document(&self) -> Value {
        let at = |path: &str| format!("{}/{path}", self.issuer);
        let mut document = json!({
            "issuer": self.issuer, "jwks_uri": at("jwks"), "token_endpoint": at("token"),
            "authorization_endpoint": at("auth?realm=main"), "device_authorization_endpoint": at("device"),
        });
        for (member, value) in &self.said.lock().unwrap().document {
            document[member] = value.clone();
        }
        document
    }
}

/// Reads what is written as the query of an address is.
pub(crate) fn form(text: &str) -> BTreeMap<String, String> {
    let url = Url::parse(&format!("http://127.0.0.1/?{text}")).unwrap();
    url.query_pairs().into_owned().collect()
}

/// Returns the client of the tests.
pub(crate) fn client() -> PublicClient {
    let resource = Some("urn:gantral".to_owned());
    PublicClient {
        id: "cli".to_owned(),
        scopes: vec!["openid".to_owned()],
        audience: None,
        resource,
        prompt: None,
    }
}

async fn answer(State(told): State<Told>, headers: HeaderMap, uri: Uri, body: Bytes) -> Response {
    if uri.path().starts_with("/.well-known/") {
        return told.document().to_string().into_response();
    }
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let form = form(std::str::from_utf8(&body).unwrap());
    let mut said = told.said.lock().unwrap();
    said.came.push(Came { path: uri.path().to_owned(), authorization, form });
    let (status, body) = said.answers.pop_front().unwrap_or((StatusCode::NOT_FOUND, String::new()));
    let elsewhere = (header::LOCATION, format!("{}/elsewhere", told.issuer));
    (status, [elsewhere], body).into_response()
}
