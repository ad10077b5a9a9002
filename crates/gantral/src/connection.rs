//! Which server, and as whom.
//!
//! Said by options or environment; otherwise the folder of a `gantral dev` that was started here, and then always with a
//! word about it, so that nobody acts as somebody without knowing.

use std::future::Future;
use std::path::{Path, PathBuf};

use gantral_api::client::{Client, ClientConfig, ClientError, ConfigError, TokenSource};

use crate::cli::Server;
use crate::failure::Failure;
use crate::out::Out;

/// The folder that `gantral dev` keeps beside the project.
pub const DEV_FOLDER: &str = ".gantral-dev";

/// Where to find what in the folder of `gantral dev`.
#[derive(Debug, Clone)]
pub struct DevFolder(PathBuf);

impl DevFolder {
    /// Names a folder; nothing is read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the file with the URL of the server.
    pub fn url(&self) -> PathBuf {
        self.0.join("url")
    }

    /// Returns the file with somebody's token.
    pub fn token(&self, name: &str) -> PathBuf {
        self.0.join("tokens").join(format!("{name}.token"))
    }

    /// Returns the trust file.
    pub fn trust(&self) -> PathBuf {
        self.0.join("trust.json")
    }

    /// Returns the folder of the ledger and the keys.
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Returns the key of the development issuer.
    pub fn issuer_key(&self) -> PathBuf {
        self.0.join("dev-issuer.pem")
    }
}

/// A server, and the file with the token that is good there.
#[derive(Debug, Clone)]
pub struct Target {
    /// The base URL.
    pub url: String,
    /// The token file.
    pub token_file: PathBuf,
    /// The folder of `gantral dev`, when it is that.
    pub dev: Option<DevFolder>,
}

impl Server {
    /// Returns server and token. `usual` is who does such things in development when nobody is named.
    pub fn target(&self, out: Out, usual: &str) -> Result<Target, Failure> {
        let folder = DevFolder::new(DEV_FOLDER);
        if let (Some(url), Some(token_file)) = (&self.url, &self.token_file) {
            return Ok(Target { url: url.clone(), token_file: token_file.clone(), dev: None });
        }
        let written = std::fs::read_to_string(folder.url()).map(|text| text.trim().to_owned());
        match (&self.url, written) {
            (Some(url), Ok(known)) if url.trim_end_matches('/') != known && self.token_file.is_none() => {
                Err(no_token(url))
            }
            (Some(url), Err(_)) => Err(no_token(url)),
            (_, Ok(url)) => {
                let name = self.acting.as_deref().unwrap_or(usual);
                let token_file = self.token_file.clone().unwrap_or_else(|| folder.token(name));
                if self.token_file.is_none() && !token_file.is_file() {
                    return Err(Failure::new(format!("`gantral dev` knows no `{name}`"))
                        .hint(format!("its people and clients are in `{DEV_FOLDER}/tokens`")));
                }
                if self.acting.is_none() && self.token_file.is_none() {
                    out.hint(format_args!("acting as {name} of `./{DEV_FOLDER}`; `--as NAME` chooses another"));
                }
                Ok(Target { url, token_file, dev: Some(folder) })
            }
            (None, Err(_)) => Err(Failure::new("no server is named").hint(
                "set GANTRAL_URL and GANTRAL_TOKEN_FILE, or start `gantral dev` in this folder and leave it running",
            )),
        }
    }

    /// Returns a client of the server.
    pub fn client(&self, out: Out, usual: &str) -> Result<Client, Failure> {
        self.client_of(&self.target(out, usual)?)
    }

    /// Returns a client of a target.
    pub fn client_of(&self, target: &Target) -> Result<Client, Failure> {
        let mut config = ClientConfig::new(&target.url, TokenSource::File(target.token_file.clone()));
        config.ca_file.clone_from(&self.ca_file);
        Ok(Client::new(config)?)
    }
}

fn no_token(url: &str) -> Failure {
    Failure::new(format!("no token for `{url}`")).hint("set GANTRAL_TOKEN_FILE, or give `--token-file FILE`")
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let what = error.to_string();
        match error {
            ClientError::Problem(problem) => Self::refused(*problem),
            ClientError::Unreachable { .. } => Self::new(what)
                .code("unreachable")
                .hint("is the server running? `gantral doctor` looks further"),
            ClientError::Timeout { .. } => Self::new(what)
                .code("timeout")
                .hint("whether it was done is unknown: look before you repeat it"),
            ClientError::UnexpectedAnswer { .. } | ClientError::AnswerTooLarge { .. } => {
                Self::new(what).code("unexpected_answer").hint("is this the address of a Gantral server?")
            }
            ClientError::Token { .. } => Self::new(what).code("no_token"),
            ClientError::Unsendable { .. } => Self::new(what),
        }
    }
}

/// Runs a short conversation with a server on this thread.
pub fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?.block_on(work)
}

/// Runs a program that goes on for long on every processor.
pub fn run_long<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?.block_on(work)
}
