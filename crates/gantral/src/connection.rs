//! Which server, and as whom.
//!
//! Said by options or environment; otherwise the folder of a `gantral dev` that was started here; otherwise the last login.
//! What was not said comes always with a word about it, so that nobody acts as somebody, or somewhere, without knowing.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantral_api::client::{CertificateFiles, Client, ClientConfig, ClientError, ConfigError};
use gantral_core::json::text::inert;
use gantral_edge::call::CallError;

use crate::cli::Server;
use crate::credentials::Credentials;
use crate::failure::Failure;
use crate::logins::{LoginTokens, Logins, address};
use crate::out::Out;

/// The variable with the `traceparent` of whoever started this program.
const TRACEPARENT: &str = "TRACEPARENT";
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

/// A server, and what requests to it are sent with.
#[derive(Debug, Clone)]
pub struct Target {
    /// The base URL.
    pub url: String,
    /// Where the token comes from.
    pub credentials: Credentials,
    /// The authorities of the server, if they were named.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to the server, if one was named.
    pub certificate: Option<CertificateFiles>,
    /// The folder of `gantral dev`, when it is that.
    pub dev: Option<DevFolder>,
}

impl Server {
    /// Returns server and credentials. `usual` is who does such things in development when nobody is named.
    pub fn target(&self, out: Out, usual: &str) -> Result<Target, Failure> {
        let given = self.credentials()?;
        let folder = DevFolder::new(DEV_FOLDER);
        if let (Some(url), Some(credentials)) = (&self.url, &given) {
            return Ok(self.at(url.clone(), credentials.clone(), None));
        }
        let written = std::fs::read_to_string(folder.url()).map(|text| text.trim().to_owned());
        match (&self.url, written, given) {
            (None, Ok(url), Some(credentials)) => Ok(self.at(url, credentials, Some(folder))),
            (None, Ok(url), None) => self.in_development(url, folder, out, usual),
            (Some(given), Ok(url), None) if given.trim_end_matches('/') == url => {
                self.in_development(url, folder, out, usual)
            }
            (_, _, None) if self.acting.is_some() => {
                Err(Failure::new("`--as` is for a running `gantral dev` in this folder, and there is none"))
            }
            (url, _, None) => self.logged_in(url.as_deref(), out),
            (_, _, Some(_)) => Err(no_server()),
        }
    }

    /// Returns what was said by options or environment.
    fn credentials(&self) -> Result<Option<Credentials>, Failure> {
        match (&self.token_file, self.machine.tokens()?) {
            (Some(_), Some(_)) => {
                Err(Failure::new("both a token file and a machine's credentials are given"))
            }
            (Some(path), None) => Ok(Some(Credentials::File(path.clone()))),
            (None, Some(tokens)) => Ok(Some(Credentials::Machine(Arc::new(tokens)))),
            (None, None) => Ok(None),
        }
    }

    fn in_development(
        &self,
        url: String,
        folder: DevFolder,
        out: Out,
        usual: &str,
    ) -> Result<Target, Failure> {
        let name = self.acting.as_deref().unwrap_or(usual);
        let token_file = folder.token(name);
        if !token_file.is_file() {
            return Err(Failure::new(format!("`gantral dev` knows no `{name}`"))
                .hint(format!("its people and clients are in `{DEV_FOLDER}/tokens`")));
        }
        if self.acting.is_none() {
            out.hint(format_args!("acting as {name} of `./{DEV_FOLDER}`; `--as NAME` chooses another"));
        }
        Ok(self.at(url, Credentials::File(token_file), Some(folder)))
    }

    /// Takes the login at a server, or the last one.
    fn logged_in(&self, given: Option<&str>, out: Out) -> Result<Target, Failure> {
        let Some(logins) = Logins::of_user() else { return Err(given.map_or_else(no_server, no_token)) };
        let url = match given {
            Some(url) => address(url)?,
            None => logins.current().ok_or_else(no_server)?,
        };
        let kept = logins.read(&url)?.ok_or_else(|| no_token(&url))?;
        if given.is_none() {
            out.hint(format_args!("at {}, where you logged in; `--url URL` chooses another", inert(&url)));
        }
        let tokens = Credentials::Login(Arc::new(LoginTokens::new(logins, url.clone())));
        let target = self.at(url, tokens, None);
        let certificate = target.certificate.or_else(|| kept.certificate());
        Ok(Target { ca_file: target.ca_file.or(kept.ca_file), certificate, ..target })
    }

    fn at(&self, url: String, credentials: Credentials, dev: Option<DevFolder>) -> Target {
        Target { url, credentials, ca_file: self.ca_file.clone(), certificate: self.certificate.files(), dev }
    }

    /// Returns a client of the server.
    pub fn client(&self, out: Out, usual: &str) -> Result<Client, Failure> {
        self.target(out, usual)?.client()
    }
}

impl Target {
    /// Returns a client of it.
    pub fn client(&self) -> Result<Client, Failure> {
        let (ca_file, certificate) = (self.ca_file.clone(), self.certificate.clone());
        let config = ClientConfig::new(&self.url, self.credentials.source());
        Ok(traced(Client::new(ClientConfig { ca_file, certificate, ..config })?))
    }
}

/// Returns the client as part of the trace that whoever started this program is in, if it says so in its environment.
pub fn traced(client: Client) -> Client {
    match std::env::var(TRACEPARENT) {
        Ok(traceparent) => client.with_traceparent(&traceparent),
        Err(_) => client,
    }
}

fn no_server() -> Failure {
    Failure::new("no server is named").hint(
        "log in with `gantral login --url URL`, or set GANTRAL_URL, or start `gantral dev` in this folder and leave it running",
    )
}

fn no_token(url: &str) -> Failure {
    Failure::new(format!("no token for `{url}`"))
        .hint(format!("log in with `gantral login --url {url}`, or set GANTRAL_TOKEN_FILE"))
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Client(error) => error.into(),
            error => Self::new(error.to_string()),
        }
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

/// Runs a program on this thread: a short conversation with a server, or what waits more than it works.
pub fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?.block_on(work)
}

/// Runs a program that goes on for long on every processor.
pub fn run_long<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?.block_on(work)
}
