//! The three things that are done with the storage: create, read, list.

use std::sync::Arc;

use object_store::client::{HttpClient, HttpService};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore, PutMode, PutOptions, PutPayload};
use reqwest::Url;

use crate::layout::OBJECT_BYTES_MAX;
use crate::place::{self, ArchiveConfig, OpenError, Use};

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
        Self::with(config, Use::Write, place::client(config)?)
    }

    /// Opens an archive to read from: it must be there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_to_read(config: &ArchiveConfig) -> Result<Self, OpenError> {
        Self::with(config, Use::Read, place::client(config)?)
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
        Self::with(config, Use::Look, HttpClient::new(seen(place::client(config)?))).map(Some)
    }

    fn with(config: &ArchiveConfig, purpose: Use, client: HttpClient) -> Result<Self, OpenError> {
        let (store, prefix) = place::open(config, purpose, client)?;
        Ok(Self { store, prefix })
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
