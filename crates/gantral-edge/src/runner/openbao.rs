//! Secrets in the key/value engine of OpenBao, both versions.
//!
//! For each value the runner logs in, reads, and has its token revoked: there is no token that could outlive an attempt, and none to renew.
//! What it logs in with is read from its file each time, because somebody else renews it. Source: OpenBao's API of the key/value engine,
//! of AppRole and of JWT.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use gantral_outbound::{AddressError, Expected, NoAnswer, address, below, body, client_for, read_secret};
use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// How long one request may take when the configuration does not say.
pub const OPENBAO_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The largest answer, in bytes: the largest secret beside others.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The largest file with what the runner logs in with, in bytes.
const CREDENTIAL_BYTES_MAX: u64 = 64 << 10;
/// The longest place, in bytes.
const PLACE_BYTES_MAX: usize = 1_024;

/// A place in OpenBao: the path of a secret, with its mount, and a field of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    path: String,
    field: String,
}

impl Place {
    /// Reads `mount/path#field`.
    ///
    /// `None` for what leads elsewhere than down a path.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, field) = text.split_once('#')?;
        let plain = |part: &str| {
            let odd = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'?' | b'#' | b'%' | b'\\');
            !part.is_empty() && part != "." && part != ".." && !part.bytes().any(odd)
        };
        let parts = path.split('/').count();
        let good = parts >= 2 && path.split('/').all(plain) && plain(field) && text.len() <= PLACE_BYTES_MAX;
        good.then(|| Self { path: path.to_owned(), field: field.to_owned() })
    }
}

/// How a runner logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// By a role and a secret of its own.
    AppRole {
        /// Where the method is mounted; usually `approle`.
        mount: String,
        /// The identifier of the role.
        role_id: String,
        /// A file with the secret, mode 0600.
        secret_id_file: PathBuf,
    },
    /// By a token of an identity provider, such as that of a service account.
    Jwt {
        /// Where the method is mounted; usually `jwt`.
        mount: String,
        /// The role.
        role: String,
        /// A file with the token.
        jwt_file: PathBuf,
    },
    /// Not at all: somebody else renews a token of OpenBao in a file, mode 0600. It is not revoked.
    Token {
        /// The file.
        token_file: PathBuf,
    },
}

/// Which OpenBao.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBaoConfig {
    /// Its address, such as `https://bao.example.org:8200`. Plain `http` is for loopback.
    pub address: String,
    /// The namespace of everything that is asked.
    pub namespace: Option<String>,
    /// A PEM file with the authorities to trust, and no others; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take.
    pub timeout: Duration,
    /// How to log in.
    pub login: Login,
}

/// Why OpenBao gives no value.
#[derive(Debug, thiserror::Error)]
pub enum OpenBaoError {
    /// The address or what is trusted cannot be used; trying again is pointless.
    #[error("openbao: {0}")]
    Address(#[from] AddressError),
    /// The namespace is none.
    #[error("openbao: the namespace cannot be sent")]
    Namespace,
    /// The file with what the runner logs in with.
    #[error("`{path}` cannot be used: {error}")]
    Credential {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// It cannot be reached, or gave no answer in time. Worth another try.
    #[error("openbao cannot be reached: {0}")]
    Unreachable(#[from] NoAnswer),
    /// It does not let the runner in.
    #[error("openbao refuses the login of this runner (status {0})")]
    Login(u16),
    /// The runner may not read there.
    #[error("openbao refuses `{0}`: no policy of this runner allows reading it, or there is no such mount")]
    Forbidden(String),
    /// There is nothing.
    #[error("openbao has nothing at `{0}`, or it was deleted")]
    Missing(String),
    /// The secret has no such field, or it is not a text.
    #[error("the secret at `{path}` has no text in the field `{field}`")]
    Field {
        /// The path.
        path: String,
        /// The field.
        field: String,
    },
    /// The mount is of another kind.
    #[error("`{0}` is not in a key/value engine")]
    Engine(String),
    /// It answered with another status. Worth another try from 500 on.
    #[error("openbao answered with status {0}")]
    Status(u16),
    /// Its answer is something else than its interface says.
    #[error("openbao gave an answer that cannot be read")]
    Answer,
}

/// One OpenBao, and how to log in.
pub struct OpenBao {
    http: reqwest::Client,
    base: Url,
    namespace: Option<HeaderValue>,
    timeout: Duration,
    login: Login,
}

#[derive(Deserialize)]
struct Enveloped<T> {
    data: T,
}

#[derive(Deserialize)]
struct LoggedIn {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: Zeroizing<String>,
}

/// What OpenBao says of the mount that a path is in.
#[derive(Deserialize)]
struct Mount {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    options: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct VersionTwo {
    data: Option<BTreeMap<String, Value>>,
}

impl OpenBao {
    /// Makes a client. Connects to nothing yet.
    ///
    /// # Errors
    /// `Address`, `Namespace`.
    pub fn new(config: &OpenBaoConfig) -> Result<Self, OpenBaoError> {
        let expected = Expected {
            such_as: "not one such as `https://bao.example.org:8200`",
            query: false,
            ends: "it ends with the host and the port, or with a path",
        };
        let base = address(&config.address, &expected)?;
        let http =
            client_for(&base, config.ca_file.as_deref(), |builder| builder.connect_timeout(CONNECT_TIMEOUT))?;
        let namespace = config.namespace.as_deref().map(HeaderValue::from_str).transpose();
        let namespace = namespace.map_err(|_| OpenBaoError::Namespace)?;
        Ok(Self { http, base, namespace, timeout: config.timeout, login: config.login.clone() })
    }

    /// Reads one value.
    ///
    /// # Errors
    /// `Unreachable`, and `Status` from 500 on, may be tried again.
    pub async fn read(&self, place: &Place) -> Result<Zeroizing<Vec<u8>>, OpenBaoError> {
        let (token, is_ours) = self.token().await?;
        let read = self.read_with(place, &token).await;
        if is_ours {
            let request = self.request(Method::POST, "auth/token/revoke-self").header(TOKEN, token);
            // It ends by itself soon; the operator says how soon.
            if let Err(error) = self.send(request).await {
                tracing::warn!(%error, "the token of this runner is not revoked");
            }
        }
        read
    }

    async fn read_with(
        &self,
        place: &Place,
        token: &HeaderValue,
    ) -> Result<Zeroizing<Vec<u8>>, OpenBaoError> {
        let path = place.path.as_str();
        let about = self.request(Method::GET, &format!("sys/internal/ui/mounts/{path}"));
        let mount: Enveloped<Mount> = self.ask(about.header(TOKEN, token), path).await?;
        let Mount { path: mount, kind, options } = mount.data;
        let rest = path.strip_prefix(mount.as_str()).ok_or_else(|| OpenBaoError::Engine(path.to_owned()))?;
        if kind != "kv" && kind != "generic" {
            return Err(OpenBaoError::Engine(path.to_owned()));
        }
        let version = options.as_ref().and_then(|options| options.get("version")).and_then(Value::as_str);
        let fields = if version == Some("2") {
            let request = self.request(Method::GET, &format!("{mount}data/{rest}")).header(TOKEN, token);
            let answer: Enveloped<VersionTwo> = self.ask(request, path).await?;
            answer.data.data.ok_or_else(|| OpenBaoError::Missing(path.to_owned()))?
        } else {
            let request = self.request(Method::GET, path).header(TOKEN, token);
            let answer: Enveloped<BTreeMap<String, Value>> = self.ask(request, path).await?;
            answer.data
        };
        let wanted = fields.into_iter().find(|(name, _)| *name == place.field);
        match wanted {
            Some((_, Value::String(value))) => Ok(Zeroizing::new(value.into_bytes())),
            Some(_) | None => Err(OpenBaoError::Field { path: path.to_owned(), field: place.field.clone() }),
        }
    }

    /// Returns a token, and whether it is this runner's own.
    async fn token(&self) -> Result<(HeaderValue, bool), OpenBaoError> {
        let (mount, body) = match &self.login {
            Login::Token { token_file } => {
                return Ok((header(&credential(token_file, true).await?)?, false));
            }
            Login::AppRole { mount, role_id, secret_id_file } => {
                let secret_id = credential(secret_id_file, true).await?;
                (mount, json!({ "role_id": role_id, "secret_id": *secret_id }))
            }
            Login::Jwt { mount, role, jwt_file } => {
                // A projected token is readable by the group of its pod.
                let jwt = credential(jwt_file, false).await?;
                (mount, json!({ "role": role, "jwt": *jwt }))
            }
        };
        let request = self.request(Method::POST, &format!("auth/{mount}/login")).json(&body);
        let (status, answer) = self.send(request).await?;
        if !status.is_success() {
            return Err(OpenBaoError::Login(status.as_u16()));
        }
        let answer: LoggedIn = serde_json::from_slice(&answer).map_err(|_| OpenBaoError::Answer)?;
        Ok((header(&answer.auth.client_token)?, true))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, below(&self.base, &format!("v1/{path}")));
        match &self.namespace {
            Some(namespace) => request.header("x-vault-namespace", namespace),
            None => request,
        }
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder, path: &str) -> Result<T, OpenBaoError> {
        let (status, answer) = self.send(request).await?;
        match status {
            StatusCode::OK => serde_json::from_slice(&answer).map_err(|_| OpenBaoError::Answer),
            StatusCode::FORBIDDEN => Err(OpenBaoError::Forbidden(path.to_owned())),
            StatusCode::NOT_FOUND => Err(OpenBaoError::Missing(path.to_owned())),
            other => Err(OpenBaoError::Status(other.as_u16())),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Zeroizing<Vec<u8>>), OpenBaoError> {
        let response = request.timeout(self.timeout).send().await.map_err(NoAnswer::from)?;
        let status = response.status();
        Ok((status, Zeroizing::new(body(response, ANSWER_BYTES_MAX).await?)))
    }
}

/// The header that carries the token.
const TOKEN: &str = "x-vault-token";

fn header(token: &str) -> Result<HeaderValue, OpenBaoError> {
    let mut value = HeaderValue::from_str(token).map_err(|_| OpenBaoError::Answer)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads what the runner logs in with; `private` if nobody else may read it.
async fn credential(path: &std::path::Path, private: bool) -> Result<Zeroizing<String>, OpenBaoError> {
    let owned = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let bytes = if private {
            read_secret(&owned, CREDENTIAL_BYTES_MAX)?
        } else {
            use std::io::Read as _;
            let mut bytes = Vec::new();
            std::fs::File::open(&owned)?.take(CREDENTIAL_BYTES_MAX).read_to_end(&mut bytes)?;
            bytes
        };
        let text = String::from_utf8(bytes).map_err(io::Error::other)?;
        Ok(Zeroizing::new(text.trim().to_owned()))
    });
    let wrong = |error| OpenBaoError::Credential { path: path.display().to_string(), error };
    read.await.map_err(|error| wrong(io::Error::other(error)))?.map_err(wrong)
}
