//! The authenticators of approvers: asked for, signed by the directory, and what they said at gates.

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, InstanceId, TenantId};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::error::StoreError;
use crate::store::Store;

/// For how long what somebody asked for waits for the directory: a week.
pub const ENROLMENT_WAITS: DurationMs = DurationMs::from_secs(7 * 86_400);
/// How many enrolments of one person are kept at a time, whatever became of them.
pub const ENROLMENTS_MAX: usize = 32;

/// An enrolment that somebody asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct NewEnrolment {
    /// The tenant.
    pub tenant: TenantId,
    /// The digest of the payload, which names it.
    pub entry: Digest,
    /// Whose it is to be.
    pub person: ActorId,
    /// The issuer of their tokens.
    pub issuer: String,
    /// The subject in them.
    pub subject: String,
    /// What the directory is to sign.
    pub payload: Vec<u8>,
    /// What the authenticator said of it.
    pub assertion: Vec<u8>,
    /// When.
    pub at: UnixMillis,
}

/// What came of asking for an enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentOutcome {
    /// It waits for the directory; or it did already.
    Waits,
    /// The person has [`ENROLMENTS_MAX`] already. Nothing was written.
    Full,
}

/// One enrolment, as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredEnrolment {
    /// Its place in the order of asking.
    pub number: u64,
    /// The digest that names it.
    pub entry: Digest,
    /// Whose it is.
    pub person: ActorId,
    /// Issuer and subject of whoever asked; `None` once they are anonymous.
    pub asked_by: Option<(String, String)>,
    /// What the directory signs.
    pub payload: Vec<u8>,
    /// What the authenticator said of it.
    pub assertion: Vec<u8>,
    /// When it was asked for.
    pub asked_at: UnixMillis,
    /// As the directory signed it; `None` until it has.
    pub envelope: Option<Vec<u8>>,
}

/// Shows no person.
impl std::fmt::Debug for NewEnrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewEnrolment")
            .field("entry", &self.entry)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Shows no person.
impl std::fmt::Debug for StoredEnrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredEnrolment")
            .field("number", &self.number)
            .field("entry", &self.entry)
            .field("is_signed", &self.envelope.is_some())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Keeps what somebody asks the directory for, and forgets what waited for longer than [`ENROLMENT_WAITS`].
    ///
    /// # Errors
    /// See [`StoreError`]; asking again for the same does nothing more.
    pub async fn ask_for_enrolment(&self, new: NewEnrolment) -> Result<EnrolmentOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => store.ask_for_enrolment(new).await,
            Self::Postgres(store) => store.ask_for_enrolment(new).await,
        }
    }

    /// Returns an enrolment.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn enrolment(
        &self,
        tenant: &TenantId,
        entry: Digest,
    ) -> Result<Option<StoredEnrolment>, StoreError> {
        match self {
            Self::Sqlite(store) => store.enrolment(tenant.clone(), entry).await,
            Self::Postgres(store) => store.enrolment(tenant.clone(), entry).await,
        }
    }

    /// Returns up to `limit` enrolments, the newest first and behind `before`; with `of` those of one person.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn list_enrolments(
        &self,
        tenant: &TenantId,
        of: Option<&ActorId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEnrolment>, StoreError> {
        match self {
            Self::Sqlite(store) => store.list_enrolments(tenant.clone(), of.cloned(), before, limit).await,
            Self::Postgres(store) => store.list_enrolments(tenant.clone(), of.cloned(), before, limit).await,
        }
    }

    /// Takes back what waits for the directory; returns whether there was something.
    ///
    /// # Errors
    /// See [`StoreError`]; may be tried again.
    pub async fn forget_enrolment(&self, tenant: &TenantId, entry: Digest) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.forget_enrolment(tenant.clone(), entry).await,
            Self::Postgres(store) => store.forget_enrolment(tenant.clone(), entry).await,
        }
    }

    /// Returns the evidence of decisions over an instance: files, each with its digest.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn human_evidence(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
    ) -> Result<Vec<(Digest, Vec<u8>)>, StoreError> {
        match self {
            Self::Sqlite(store) => store.human_evidence(tenant.clone(), instance).await,
            Self::Postgres(store) => store.human_evidence(tenant.clone(), instance).await,
        }
    }
}
