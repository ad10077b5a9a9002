//! The storage: where it is, and the three things that are done with it: create, read, list.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantral_outbound::{AddressError, Expected, address, client_for, read_secret};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpService};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore, PutMode, PutOptions, PutPayload, RetryConfig};
use reqwest::Url;

use crate::layout::OBJECT_BYTES_MAX;
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
    /// Of S3: the address of a server that is not the one of AWS; plain `http` is for loopback.
    pub endpoint: Option<String>,
    /// Of S3: the region.
    pub region: Option<String>,
    /// Of S3: the key; that of the environment where it is absent.
    pub access_key_id: Option<String>,
    /// Of S3: a file with the secret key, which only its owner may read.
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

/// Why something was not created, or could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The storage failed; worth another try.
    #[error("the storage of the archive: {0}")]
    Storage(#[from] Error),
    /// An object of this name is there, with other bytes.
    #[error("`{name}` is in the archive with other bytes")]
    Different {
        /// The object.
        name: String,
    },
    /// An object that no archiver writes.
    #[error("`{name}` has {bytes} bytes, more than any object of an archive")]
    TooLarge {
        /// The object.
        name: String,
        /// Its size.
        bytes: u64,
    },
}

/// An object, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its version, where the storage keeps versions.
    pub version: Option<String>,
}

/// What became of an object that was to be created.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// It is there now.
    New {
        /// Its version, where the storage keeps versions.
        version: Option<String>,
    },
    /// One of this name was there already, and is as it was.
    There,
}

/// What an archive is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Write,
    Read,
    /// As to write; but nothing is made.
    Look,
}

/// The storage of an archive. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Archive {
    /// Opens an archive to write to. Connects to nothing yet.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(config: &ArchiveConfig) -> Result<Self, OpenError> {
        Self::with(config, Use::Write, client(config)?)
    }

    /// Opens an archive to read from: it must be there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_to_read(config: &ArchiveConfig) -> Result<Self, OpenError> {
        Self::with(config, Use::Read, client(config)?)
    }

    /// Opens an archive to look at it, as one to write to, by requests that somebody else sees. `None` where it is a folder that the first
    /// archiver makes.
    pub(crate) fn open_to_look<S: HttpService>(
        config: &ArchiveConfig,
        seen: impl FnOnce(HttpClient) -> S,
    ) -> Result<Option<Self>, OpenError> {
        let folder = Url::parse(&config.url).ok().filter(|url| url.scheme() == "file");
        if folder.and_then(|url| url.to_file_path().ok()).is_some_and(|folder| !folder.exists()) {
            return Ok(None);
        }
        Self::with(config, Use::Look, HttpClient::new(seen(client(config)?))).map(Some)
    }

    fn with(config: &ArchiveConfig, purpose: Use, client: HttpClient) -> Result<Self, OpenError> {
        let wrong = || OpenError::Url { url: config.url.clone() };
        let url = Url::parse(&config.url).map_err(|_| wrong())?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(wrong());
        }
        let prefix = || Path::from_url_path(url.path()).map_err(|_| wrong());
        if !matches!(url.scheme(), "file") && url.host_str().unwrap_or_default().is_empty() {
            return Err(wrong());
        }
        match url.scheme() {
            "file" => {
                let folder = url.to_file_path().map_err(|()| wrong())?;
                if purpose == Use::Write {
                    std::fs::create_dir_all(&folder)
                        .map_err(|source| OpenError::Folder { path: folder.clone(), source })?;
                }
                let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
                Ok(Self { store: Arc::new(store), prefix: Path::default() })
            }
            "s3" => {
                Ok(Self { store: Arc::new(s3(config, purpose != Use::Read, client)?), prefix: prefix()? })
            }
            "gs" => {
                let builder = GoogleCloudStorageBuilder::from_env()
                    .with_url(bucket(&url))
                    .with_retry(retries())
                    .with_http_connector(Connector(client));
                Ok(Self { store: Arc::new(builder.build()?), prefix: prefix()? })
            }
            "az" => {
                let builder = MicrosoftAzureBuilder::from_env()
                    .with_url(bucket(&url))
                    .with_retry(retries())
                    .with_http_connector(Connector(client));
                Ok(Self { store: Arc::new(builder.build()?), prefix: prefix()? })
            }
            _ => Err(wrong()),
        }
    }

    /// Creates an object, durable when this returns, and returns its version. One with the same bytes that is there already is fine.
    ///
    /// # Errors
    /// [`StorageError`]: `Different` when other bytes are there, which nothing here replaces. The others are worth another try.
    pub async fn create(&self, name: &str, bytes: &[u8]) -> Result<Option<String>, StorageError> {
        match self.put(name, bytes).await? {
            Created::New { version } => Ok(version),
            Created::There => {
                let found = self.read(name, None).await?;
                match found.filter(|found| found.bytes == bytes) {
                    Some(found) => Ok(found.version),
                    None => Err(StorageError::Different { name: name.to_owned() }),
                }
            }
        }
    }

    /// Asks the storage to create an object, and says what it says.
    pub(crate) async fn put(&self, name: &str, bytes: &[u8]) -> Result<Created, StorageError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let payload = PutPayload::from(bytes.to_vec());
        match self.store.put_opts(&self.path(name), payload, options).await {
            Ok(put) => Ok(Created::New { version: put.version }),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Created::There),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns an object; that of a version where one is named.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn read(&self, name: &str, version: Option<&str>) -> Result<Option<Found>, StorageError> {
        let options = GetOptions { version: version.map(str::to_owned), ..GetOptions::default() };
        let got = match self.store.get_opts(&self.path(name), options).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            got => got?,
        };
        if got.meta.size > OBJECT_BYTES_MAX {
            return Err(StorageError::TooLarge { name: name.to_owned(), bytes: got.meta.size });
        }
        let version = got.meta.version.clone().or_else(|| version.map(str::to_owned));
        Ok(Some(Found { bytes: got.bytes().await?.to_vec(), version }))
    }

    /// Returns the names of the folders at the top.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn folders(&self) -> Result<Vec<String>, StorageError> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await?;
        let mut names: Vec<String> =
            listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Returns the names of the objects in a folder that lies in no other, without it, in order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        use futures_util::TryStreamExt as _;
        let below = self.path(folder);
        let mut listed = self.store.list(Some(&below));
        let mut names = Vec::new();
        while let Some(meta) = listed.try_next().await? {
            if let Some(parts) = meta.location.prefix_match(&below) {
                names.push(parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn path(&self, name: &str) -> Path {
        name.split('/')
            .filter(|part| !part.is_empty())
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

fn bucket(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

fn retries() -> RetryConfig {
    RetryConfig { max_retries: TRIES, retry_timeout: ANSWER_WITHIN, ..RetryConfig::default() }
}

/// Returns what sends the requests: no proxy of the environment, no redirect.
fn client(config: &ArchiveConfig) -> Result<HttpClient, OpenError> {
    let base = match &config.endpoint {
        Some(endpoint) => address(endpoint, &ENDPOINT)?,
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
    if let Some(endpoint) = &config.endpoint {
        let url = address(endpoint, &ENDPOINT)?;
        builder =
            builder.with_endpoint(url.as_str().trim_end_matches('/')).with_allow_http(url.scheme() == "http");
    }
    let region = config
        .region
        .clone()
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Region))
        .unwrap_or_else(|| REGION_DEFAULT.to_owned());
    builder = builder.with_region(&region);
    match (&config.access_key_id, &config.secret_access_key_file) {
        (Some(id), Some(path)) => {
            let wrong = |why: String| OpenError::Secret { path: path.clone(), why };
            let secret = read_secret(path, SECRET_BYTES_MAX).map_err(|error| wrong(error.to_string()))?;
            let secret = String::from_utf8(secret).map_err(|_| wrong("it is not text".to_owned()))?;
            builder = builder.with_access_key_id(id).with_secret_access_key(secret.trim());
        }
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => return Err(OpenError::Key),
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
