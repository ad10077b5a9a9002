//! What an archive is like, seen without adding anything to it: for whoever is to say what is wrong with a deployment.
//!
//! Whether the storage refuses to create what is there already is tried with an object that is there, and with its own bytes: a storage that does
//! not refuse has then written the same bytes once more, and nothing else can have happened.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use object_store::client::{HttpClient, HttpError, HttpRequest, HttpResponse, HttpService};
use reqwest::Method;

use crate::layout::head_name;
use crate::lock;
use crate::objects::{Archive, Created, StorageError};
use crate::place::{ArchiveConfig, OpenError};

/// What an archive is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveInspection {
    /// How many tenants have something in it.
    pub tenants: usize,
    /// What an object of it is like; `None` while there is none.
    pub object: Option<ObjectInspection>,
}

/// What an object of an archive is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInspection {
    /// Its name.
    pub name: String,
    /// Whether the storage refuses to create it once more.
    pub is_created_once: bool,
    /// Whether the storage says until when nobody may delete it. Only S3 says so; of others it is not known.
    pub is_locked: Option<bool>,
}

/// Why an archive could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It is not said well where it is: its author's fault.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The storage does not let us read, or write; worth another try where it failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Looks at an archive, and adds nothing to it. An archiver may run meanwhile. Whoever calls limits the time.
///
/// # Errors
/// [`InspectError`].
pub async fn inspect(config: &ArchiveConfig) -> Result<ArchiveInspection, InspectError> {
    let locked = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&locked);
    let Some(archive) = Archive::open_to_look(config, move |client| Seeing { client, locked: told })? else {
        return Ok(ArchiveInspection { tenants: 0, object: None });
    };
    let folders = archive.folders().await?;
    let mut object = None;
    for folder in &folders {
        let name = format!("{folder}/{}", head_name(0));
        if let Some(found) = archive.read(&name, None).await? {
            let is_locked = config.url.starts_with("s3:").then(|| locked.load(Ordering::Relaxed));
            let is_created_once = archive.put(&name, &found.bytes).await? == Created::There;
            object = Some(ObjectInspection { name, is_created_once, is_locked });
            break;
        }
    }
    Ok(ArchiveInspection { tenants: folders.len(), object })
}

/// Sends requests, and remembers whether an object that was read is locked: the library shows no such header.
#[derive(Debug)]
struct Seeing {
    client: HttpClient,
    locked: Arc<AtomicBool>,
}

impl HttpService for Seeing {
    fn call<'s, 'f>(
        &'s self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let reads = request.method() == Method::GET;
            let response = self.client.execute(request).await?;
            if reads && response.headers().contains_key(lock::UNTIL) {
                self.locked.store(true, Ordering::Relaxed);
            }
            Ok(response)
        })
    }
}
