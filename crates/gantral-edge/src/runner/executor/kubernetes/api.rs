//! The requests.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use gantral_outbound::{AddressError, Expected, NoAnswer, address, below, body, client_for};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{ATTEMPT, KubernetesConfig};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer, in bytes: a Job with all that a cluster adds to it, or a list of a hundred.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// The largest token, in bytes.
const TOKEN_BYTES_MAX: u64 = 64 << 10;
/// The most Jobs that are asked for at once.
const LIST_MAX: &str = "100";
/// How long a pod has that is ended at once, in seconds: none at all would only forget it.
const AT_ONCE_SECONDS: &str = "1";
/// The name of the container in each pod.
pub(super) const CONTAINER: &str = "command";

/// Why a cluster does not do what it is asked. The configuration or the environment is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The address or what is trusted cannot be used; trying again is pointless.
    #[error("kubernetes: {0}")]
    Address(#[from] AddressError),
    /// The file with the runner's token.
    #[error("kubernetes: `{path}` cannot be used: {error}", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It cannot be reached, or gave no answer in time. Worth another try.
    #[error("kubernetes cannot be reached: {0}")]
    Unreachable(#[from] NoAnswer),
    /// It refuses. Worth another try from 500 on, and for 429.
    #[error("kubernetes refuses to {asked} (status {status}): {why}")]
    Refused {
        /// What was asked.
        asked: &'static str,
        /// The status of its answer.
        status: u16,
        /// Its reason, and what it says for people.
        why: String,
    },
    /// Its answer is something else than its interface says.
    #[error("kubernetes gave an answer that cannot be read")]
    Answer,
}

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Job,
    Secret,
    Pod,
}

impl Kind {
    const fn folder(self) -> (&'static str, &'static str) {
        match self {
            Self::Job => ("apis/batch/v1", "jobs"),
            Self::Secret => ("api/v1", "secrets"),
            Self::Pod => ("api/v1", "pods"),
        }
    }
}

/// The API of one cluster, for one namespace.
#[derive(Debug)]
pub(super) struct Api {
    http: reqwest::Client,
    base: Url,
    token_file: PathBuf,
    timeout: Duration,
    namespace: String,
}

impl Api {
    pub(super) fn new(config: &KubernetesConfig) -> Result<Self, ClusterError> {
        let expected = Expected {
            such_as: "not one such as `https://10.0.0.1:443`",
            query: false,
            ends: "it ends with the host and the port, or with a path",
        };
        let base = address(&config.server, &expected)?;
        let http =
            client_for(&base, config.ca_file.as_deref(), |builder| builder.connect_timeout(CONNECT_TIMEOUT))?;
        let (token_file, namespace) = (config.token_file.clone(), config.namespace.clone());
        Ok(Self { http, base, token_file, timeout: config.timeout, namespace })
    }

    pub(super) async fn create(&self, kind: Kind, object: &Value) -> Result<Value, ClusterError> {
        let request = self.request(Method::POST, kind, "", &[])?.timeout(self.timeout);
        self.answer("create it", request.header("content-type", "application/json").body(object.to_string()))
            .await
    }

    pub(super) async fn patch(&self, kind: Kind, name: &str, change: &Value) -> Result<Value, ClusterError> {
        let request = self.request(Method::PATCH, kind, name, &[])?.timeout(self.timeout);
        let request = request.header("content-type", "application/merge-patch+json").body(change.to_string());
        self.answer("change it", request).await
    }

    /// Returns a Job, if it is there.
    pub(super) async fn job(&self, name: &str) -> Result<Option<Value>, ClusterError> {
        let request = self.request(Method::GET, Kind::Job, name, &[])?.timeout(self.timeout);
        there(self.answer("show it", request).await)
    }

    /// Returns what has a label.
    pub(super) async fn list(&self, kind: Kind, label: &str) -> Result<Vec<Value>, ClusterError> {
        let request =
            self.request(Method::GET, kind, "", &[("labelSelector", label), ("limit", LIST_MAX)])?;
        let request = request.timeout(self.timeout);
        match self.answer("list them", request).await?.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            Some(_) | None => Err(ClusterError::Answer),
        }
    }

    /// Has a Job deleted, and its pods and its Secret before it; their time to end is the one that they were made with.
    pub(super) async fn delete_job(&self, name: &str) -> Result<(), ClusterError> {
        let request = self.request(Method::DELETE, Kind::Job, name, &[])?.timeout(self.timeout);
        let how = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"});
        let request = request.header("content-type", "application/json").body(how.to_string());
        there(self.answer("delete it", request).await).map(drop)
    }

    /// Has the pods of an attempt ended at once.
    pub(super) async fn end_pods(&self, attempt: &str) -> Result<(), ClusterError> {
        let label = format!("{ATTEMPT}={attempt}");
        let query = [("labelSelector", label.as_str()), ("gracePeriodSeconds", AT_ONCE_SECONDS)];
        let request = self.request(Method::DELETE, Kind::Pod, "", &query)?.timeout(self.timeout);
        self.answer("end its pods", request).await.map(drop)
    }

    /// Asks for the output of a pod, from its beginning until it ends.
    pub(super) async fn log(&self, pod: &str) -> Result<Response, ClusterError> {
        // Lasts as long as the pod: only the first word of the answer is waited for, by who calls this.
        let query = [("container", CONTAINER), ("follow", "true")];
        let request = self.request(Method::GET, Kind::Pod, &format!("{pod}/log"), &query)?;
        let response = request.send().await;
        let response = response.map_err(NoAnswer::from)?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(refused("show its log", response).await)
        }
    }

    fn request(
        &self,
        method: Method,
        kind: Kind,
        rest: &str,
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, ClusterError> {
        let (group, folder) = kind.folder();
        let slash = if rest.is_empty() { "" } else { "/" };
        let path = format!("{group}/namespaces/{}/{folder}{slash}{rest}", self.namespace);
        // Somebody else renews it.
        let mut token = Zeroizing::new(String::new());
        let read = File::open(&self.token_file)
            .and_then(|file| file.take(TOKEN_BYTES_MAX).read_to_string(&mut token));
        read.map_err(|error| ClusterError::Token { path: self.token_file.clone(), error })?;
        let mut url = below(&self.base, &path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.http.request(method, url).bearer_auth(token.trim()))
    }

    async fn answer(&self, asked: &'static str, request: RequestBuilder) -> Result<Value, ClusterError> {
        let response = request.send().await.map_err(NoAnswer::from)?;
        if !response.status().is_success() {
            return Err(refused(asked, response).await);
        }
        let bytes = body(response, ANSWER_BYTES_MAX).await?;
        serde_json::from_slice(&bytes).map_err(|_| ClusterError::Answer)
    }
}

/// Reads why: a `Status`, which names no value of what was sent.
async fn refused(asked: &'static str, response: Response) -> ClusterError {
    let status = response.status().as_u16();
    let said = body(response, ANSWER_BYTES_MAX).await.ok();
    let said: Option<Value> = said.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let word = |member: &str| said.as_ref()?.get(member)?.as_str().map(str::to_owned);
    let why = word("message").or_else(|| word("reason")).unwrap_or_else(|| "it does not say why".to_owned());
    ClusterError::Refused { asked, status, why: why.replace('\n', " ") }
}

/// Takes what is not there for an answer.
fn there(found: Result<Value, ClusterError>) -> Result<Option<Value>, ClusterError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(ClusterError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
