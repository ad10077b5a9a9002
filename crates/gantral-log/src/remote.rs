//! A log that somebody publishes over HTTP, as the objects of `tlog-tiles` under one address.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use tokio::runtime::Handle;

use crate::http::{self, NoAnswer};
use crate::objects::ReadObjects;

pub use crate::http::AddressError;

/// The largest object, in bytes: a checkpoint with all its signatures; the largest tile is smaller.
const OBJECT_BYTES_MAX: usize = 64 << 10;
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How often one object is asked for.
const TRIES: u32 = 4;
/// How long after the first attempt that failed the next one is made; then twice as long each time.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// Where a log is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteConfig {
    /// The address above `checkpoint` and `tile/`. Plain `http` is for loopback.
    pub url: String,
    /// A file with a bearer token, read anew for every request; mode 0600.
    pub token_file: Option<PathBuf>,
    /// A PEM file with the authorities to trust, and no others; those of the system when absent.
    pub ca_file: Option<PathBuf>,
}

/// A published log. Reading blocks its thread, which must not be one that drives the runtime.
#[derive(Debug)]
pub struct RemoteLog {
    http: Client,
    base: Url,
    token_file: Option<PathBuf>,
    runtime: Handle,
}

impl RemoteLog {
    /// Makes a reader. Connects to nothing yet.
    ///
    /// # Errors
    /// `AddressError`; trying again is pointless.
    pub fn new(config: &RemoteConfig, runtime: Handle) -> Result<Self, AddressError> {
        let base = http::address(&config.url)?;
        let http = http::client(&base, config.ca_file.as_deref())?;
        Ok(Self { http, base, token_file: config.token_file.clone(), runtime })
    }

    async fn fetch(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let mut pause = RETRY_AFTER;
        let mut tries = 1;
        loop {
            let why = match self.attempt(name).await? {
                Ok(found) => return Ok(found),
                Err(why) => why,
            };
            if tries == TRIES {
                return Err(io::Error::other(format!("`{name}` cannot be fetched: {why}")));
            }
            tokio::time::sleep(pause).await;
            (tries, pause) = (tries + 1, pause * 2);
        }
    }

    /// Asks once. The inner error is worth another try.
    async fn attempt(&self, name: &str) -> io::Result<Result<Option<Vec<u8>>, String>> {
        let mut request = self.http.get(http::below(&self.base, name)).timeout(ANSWER_WITHIN);
        if let Some(path) = &self.token_file {
            request = request.header(AUTHORIZATION, bearer(path)?);
        }
        let answered = async {
            let response = request.send().await?;
            let status = response.status();
            let body = http::body(response, OBJECT_BYTES_MAX).await?;
            Ok::<_, NoAnswer>((status, body))
        };
        Ok(match answered.await {
            Ok((StatusCode::OK, body)) => Ok(Some(body)),
            Ok((StatusCode::NOT_FOUND, _)) => Ok(None),
            Ok((status, _)) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(format!("status {}", status.as_u16()))
            }
            Ok((status, _)) => {
                let status = status.as_u16();
                return Err(io::Error::other(format!("`{name}` cannot be fetched: status {status}")));
            }
            Err(why) => Err(why.to_string()),
        })
    }
}

impl ReadObjects for RemoteLog {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.runtime.block_on(self.fetch(name))
    }
}

fn bearer(path: &Path) -> io::Result<HeaderValue> {
    let bytes = gantral_keys::read_private(path).map_err(io::Error::other)?;
    let value = [b"Bearer ", bytes.trim_ascii()].concat();
    let mut value = HeaderValue::from_bytes(&value)
        .map_err(|_| io::Error::other(format!("`{}` holds no token", path.display())))?;
    value.set_sensitive(true);
    Ok(value)
}
