//! Who is logged in to the console.

use gantral_core::digest::Digest;
use gantral_core::time::UnixMillis;

use crate::error::StoreError;
use crate::store::Store;

/// The most sessions of one person; the oldest ends when another begins.
pub const SESSIONS_MAX: usize = 32;

/// One session. Holds nothing by which anybody could use it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// A digest of what the browser holds.
    pub id: Digest,
    /// The identity provider that vouched.
    pub issuer: String,
    /// Whom it vouched for.
    pub subject: String,
    /// The client through which they logged in.
    pub client: String,
    /// The claims, as they were verified: a JSON object.
    pub claims: String,
    /// When it began.
    pub started: UnixMillis,
    /// When it ends, whatever is done in it.
    pub ends: UnixMillis,
}

/// Shows no person.
impl std::fmt::Debug for SessionRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionRow")
            .field("started", &self.started)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Begins a session, and forgets those that have ended by its start.
    ///
    /// # Errors
    /// See [`StoreError`]; log in again.
    pub async fn begin_session(&self, session: SessionRow) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.begin_session(session).await,
            Self::Postgres(store) => store.begin_session(session).await,
        }
    }

    /// Returns a session, also one whose end has passed.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn session(&self, id: Digest) -> Result<Option<SessionRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.session(id).await,
            Self::Postgres(store) => store.session(id).await,
        }
    }

    /// Ends a session; one that is not there has ended.
    ///
    /// # Errors
    /// See [`StoreError`]; may be tried again.
    pub async fn end_session(&self, id: Digest) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.end_session(id).await,
            Self::Postgres(store) => store.end_session(id).await,
        }
    }
}
