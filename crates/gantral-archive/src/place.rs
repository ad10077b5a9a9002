//! Where the storage of an archive is, and how it is reached.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantral_outbound::{AddressError, Expected, address, client_for, read_secret};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::HttpClient;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, ObjectStore, RetryConfig};
use reqwest::Url;

use crate::lock::{Connector, Locking};

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long one request may take, with its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How often the library tries a request again by itself; the archiver tries again later anyway.
const TRIES: usize = 2;
/// The most days of a lock: a hundred years.
const RETAIN_DAYS_MAX: u32 = 36_525;
/// The region where none is told.
const REGION_DEFAULT: &str = "us-east-1";
/// The most bytes of a file with a secret key.
const SECRET_BYTES_MAX: u64 = 4_096;
const ENDPOINT: Expected = Expected {
    such_as: "not one such as `https://s3.example.org/`",
    query: false,
    ends: "it ends with a path",
};

/// Where the archive is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or `file:///folder`.
    pub url: String,
    /// The address of a server that is not the usual one of S3, Google or Azure; plain `http` is for loopback.
    pub endpoint: Option<String>,
    /// Of S3: the region.
    pub region: Option<String>,
    /// Of S3: the key; of Azure: the storage account. That of the environment where it is absent.
    pub access_key_id: Option<String>,
    /// Of S3: a file with the secret key; of Azure: with the key of the account. Only its owner may read it.
    pub secret_access_key_file: Option<PathBuf>,
    /// The authorities to trust, PEM; those of the system when absent.
    pub ca_file: Option<PathBuf>,
    /// Of S3: for how many days nobody may delete an object. 0: none is locked by us, and the bucket has a default retention.
    pub retain_days: Option<u32>,
}

/// Why an archive cannot be used. Whoever configured it is at fault; trying again is pointless.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an address of an archive.
    #[error(
        "`{url}` is not the address of an archive: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `file:///folder`"
    )]
    Url {
        /// As it was written.
        url: String,
    },
    /// For how long objects are kept is not said.
    #[error(
        "`retain_days` says for how many days nobody may delete what is archived: 1 to {RETAIN_DAYS_MAX}, or 0 where the bucket itself retains"
    )]
    Retention,
    /// A member that this kind of storage does not know: whoever wrote it expects something of it.
    #[error("`{member}` has no meaning for an archive at `{scheme}:`{instead}")]
    Foreign {
        /// The member.
        member: &'static str,
        /// The kind of storage.
        scheme: &'static str,
        /// What to do in its place.
        instead: &'static str,
    },
    /// A key without its other half.
    #[error("`access_key_id` and `secret_access_key_file` belong together")]
    Key,
    /// The file of the secret key.
    #[error("`{path}` cannot be used: {why}", path = path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The endpoint, or the authorities.
    #[error("the storage of the archive: {0}")]
    Address(#[from] AddressError),
    /// The library refuses the configuration.
    #[error("the storage of the archive: {0}")]
    Storage(#[from] Error),
    /// The folder cannot be made.
    #[error("`{path}` cannot be made: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What an archive is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// To add to it.
    Write,
    /// To read what is there.
    Read,
    /// As to write; but nothing is made.
    Look,
}

/// Returns the storage, and what all names in it begin with.
pub(crate) fn open(
    config: &ArchiveConfig,
    purpose: Use,
    client: HttpClient,
) -> Result<(Arc<dyn ObjectStore>, Path), OpenError> {
    let wrong = || OpenError::Url { url: config.url.clone() };
    let url = Url::parse(&config.url).map_err(|_| wrong())?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(wrong());
    }
    if url.scheme() != "file" && url.host_str().unwrap_or_default().is_empty() {
        return Err(wrong());
    }
    let (store, prefix): (Arc<dyn ObjectStore>, _) = match url.scheme() {
        "file" => {
            config.knows("file", &[])?;
            let folder = url.to_file_path().map_err(|()| wrong())?;
            if purpose == Use::Write {
                std::fs::create_dir_all(&folder)
                    .map_err(|source| OpenError::Folder { path: folder.clone(), source })?;
            }
            (Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)), "")
        }
        "s3" => (Arc::new(s3(config, purpose != Use::Read, client)?), url.path()),
        "gs" => {
            config.knows("gs", &["endpoint"])?;
            let builder = GoogleCloudStorageBuilder::from_env().with_url(bucket(&url)).with_retry(retries());
            let builder = match config.server()? {
                Some(server) => builder.with_base_url(bare(&server)),
                None => builder,
            };
            (Arc::new(builder.with_http_connector(Connector(client)).build()?), url.path())
        }
        "az" => {
            config.knows("az", &["endpoint", "access_key_id", "secret_access_key_file"])?;
            let builder = MicrosoftAzureBuilder::from_env().with_url(bucket(&url)).with_retry(retries());
            let builder = match config.server()? {
                Some(server) => builder.with_endpoint(bare(&server).to_owned()),
                None => builder,
            };
            let builder = match config.key()? {
                Some((account, key)) => builder.with_account(account).with_access_key(key),
                None => builder,
            };
            (Arc::new(builder.with_http_connector(Connector(client)).build()?), url.path())
        }
        _ => return Err(wrong()),
    };
    Ok((store, Path::from_url_path(prefix).map_err(|_| wrong())?))
}

impl ArchiveConfig {
    /// Returns the address of the server, where it is said.
    fn server(&self) -> Result<Option<Url>, OpenError> {
        Ok(self.endpoint.as_deref().map(|endpoint| address(endpoint, &ENDPOINT)).transpose()?)
    }

    /// Returns the key and its secret, where they are said.
    fn key(&self) -> Result<Option<(&str, String)>, OpenError> {
        let (id, path) = match (&self.access_key_id, &self.secret_access_key_file) {
            (Some(id), Some(path)) => (id, path),
            (None, None) => return Ok(None),
            (Some(_), None) | (None, Some(_)) => return Err(OpenError::Key),
        };
        let wrong = |why: String| OpenError::Secret { path: path.clone(), why };
        let secret = read_secret(path, SECRET_BYTES_MAX).map_err(|error| wrong(error.to_string()))?;
        let secret = String::from_utf8(secret).map_err(|_| wrong("it is not text".to_owned()))?;
        Ok(Some((id, secret.trim().to_owned())))
    }

    /// Refuses members that this kind of storage does not know.
    fn knows(&self, scheme: &'static str, members: &[&str]) -> Result<(), OpenError> {
        let retained = match scheme {
            "file" => ": nothing keeps the owner of a folder from deleting",
            _ => ": set a retention policy of the bucket itself, and lock it",
        };
        let identity = ": the environment says who this is";
        for (member, is_said, instead) in [
            ("retain_days", self.retain_days.is_some(), retained),
            ("region", self.region.is_some(), ""),
            ("endpoint", self.endpoint.is_some(), ""),
            ("access_key_id", self.access_key_id.is_some(), identity),
            ("secret_access_key_file", self.secret_access_key_file.is_some(), identity),
        ] {
            if is_said && !members.contains(&member) {
                return Err(OpenError::Foreign { member, scheme, instead });
            }
        }
        Ok(())
    }
}

fn bucket(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Returns an address without the slash at its end, as the library takes it.
fn bare(server: &Url) -> &str {
    server.as_str().trim_end_matches('/')
}

fn retries() -> RetryConfig {
    RetryConfig { max_retries: TRIES, retry_timeout: ANSWER_WITHIN, ..RetryConfig::default() }
}

/// Returns what sends the requests: no proxy of the environment, no redirect.
pub(crate) fn client(config: &ArchiveConfig) -> Result<HttpClient, OpenError> {
    let base = match config.server()? {
        Some(server) => server,
        None => address("https://localhost/", &ENDPOINT)?,
    };
    let client = client_for(&base, config.ca_file.as_deref(), |client| {
        client.connect_timeout(CONNECT_WITHIN).timeout(ANSWER_WITHIN)
    })?;
    Ok(HttpClient::new(client))
}

fn s3(config: &ArchiveConfig, writes: bool, client: HttpClient) -> Result<AmazonS3, OpenError> {
    let retain_days = match config.retain_days {
        Some(days) if days <= RETAIN_DAYS_MAX => days,
        None if !writes => 0,
        Some(_) | None => return Err(OpenError::Retention),
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_url(&config.url)
        .with_retry(retries())
        // A lock is only taken with a checksum beside it.
        .with_checksum_algorithm(Checksum::SHA256)
        .with_http_connector(Connector(client.clone()));
    if let Some(server) = config.server()? {
        builder = builder.with_endpoint(bare(&server)).with_allow_http(server.scheme() == "http");
    }
    let region = config
        .region
        .clone()
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Region))
        .unwrap_or_else(|| REGION_DEFAULT.to_owned());
    builder = builder.with_region(&region);
    if let Some((id, secret)) = config.key()? {
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
    }
    let plain = builder.clone().build()?;
    if retain_days == 0 {
        return Ok(plain);
    }
    let credentials = Arc::clone(plain.credentials());
    let retain = Duration::from_secs(u64::from(retain_days) * 86_400);
    let locking = Locking { client, credentials: Arc::clone(&credentials), region, retain };
    let connector = Connector(HttpClient::new(locking));
    Ok(builder.with_credentials(credentials).with_http_connector(connector).build()?)
}
