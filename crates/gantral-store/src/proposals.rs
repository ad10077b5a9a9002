//! Changes of the rules that wait for a second person.
//!
//! What was proposed is opaque bytes, never changes and is kept; a proposal ends once. One that is confirmed ends in the transaction
//! that seals what it proposed ([`crate::GovernanceEffect::ConfirmProposal`]).

use gantral_core::digest::{Digest, Salt};
use gantral_core::ids::{ActorId, ProposalId, TenantId};
use gantral_core::time::UnixMillis;

use crate::error::StoreError;
use crate::outbox::TellProposal;
use crate::store::Store;

/// Why somebody proposes something: what opens the commitment that the proposal carries. Gone when the proposal has ended.
#[derive(Clone, PartialEq, Eq)]
pub struct ProposalReason {
    /// The commitment.
    pub commitment: Digest,
    /// Its salt.
    pub salt: Salt,
    /// The words.
    pub text: Vec<u8>,
}

impl std::fmt::Debug for ProposalReason {
    /// Shows the size and never the words: they may not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProposalReason({} bytes)", self.text.len())
    }
}

/// A proposal as it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProposal {
    /// The tenant.
    pub tenant: TenantId,
    /// Its name.
    pub id: ProposalId,
    /// Equal for proposals of the same change upon the same ground, whoever makes them: only one of them is open at a time.
    pub same: Digest,
    /// Who makes it.
    pub proposer: ActorId,
    /// What is proposed, by whom and when.
    pub body: Vec<u8>,
    /// Why.
    pub reason: Option<ProposalReason>,
    /// When.
    pub at: UnixMillis,
    /// From when on it is not open any more.
    pub expires_at: UnixMillis,
    /// Who is told of it, in the same transaction.
    pub tell: Option<TellProposal>,
}

/// How a proposal ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalEnding {
    /// A second person put it in force.
    Confirmed,
    /// Its author took it back, or is anonymous since.
    Withdrawn,
    /// Nobody confirmed it in time.
    Expired,
}

impl ProposalEnding {
    /// Every ending.
    pub const ALL: [Self; 3] = [Self::Confirmed, Self::Withdrawn, Self::Expired];

    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// Returns the ending that a word stands for.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == word)
    }
}

/// The end of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalEnd {
    /// How.
    pub how: ProposalEnding,
    /// When.
    pub at: UnixMillis,
    /// Who ended it; `None` when nobody did.
    pub by: Option<ActorId>,
    /// The sequence of the governance artifact that was sealed with it.
    pub sealed: Option<u64>,
}

impl ProposalEnd {
    /// Returns the end of a proposal that was sealed with the governance artifact of this sequence.
    pub(crate) fn confirmed(at: UnixMillis, by: ActorId, sequence: u64) -> Self {
        Self { how: ProposalEnding::Confirmed, at, by: Some(by), sealed: Some(sequence) }
    }

    /// Returns the end of a proposal that its author took back.
    pub(crate) fn withdrawn(at: UnixMillis, by: ActorId) -> Self {
        Self { how: ProposalEnding::Withdrawn, at, by: Some(by), sealed: None }
    }
}

/// A proposal as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProposal {
    /// Its number, which rises in the order in which proposals were made.
    pub number: u64,
    /// What was proposed, by whom and when.
    pub body: Vec<u8>,
    /// Why; `None` when nothing was said, or the proposal has ended.
    pub reason: Option<ProposalReason>,
    /// Its end. One that nobody confirmed in time may not have one yet.
    pub end: Option<ProposalEnd>,
}

/// What came of making a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposalOutcome {
    /// It is open from now on.
    Made,
    /// The same is proposed already, and still open; nothing was written.
    Same(StoredProposal),
    /// As many of the tenant are open as may be; nothing was written.
    Full,
}

impl Store {
    /// Makes a proposal, unless the same is open already or `open_max` of the tenant are. Those of the tenant that nobody confirmed in
    /// time end first.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn put_proposal(
        &self,
        proposal: NewProposal,
        open_max: usize,
    ) -> Result<ProposalOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => store.put_proposal(proposal, open_max).await,
            Self::Postgres(store) => store.put_proposal(proposal, open_max).await,
        }
    }

    /// Returns one proposal.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn proposal(
        &self,
        tenant: &TenantId,
        id: ProposalId,
    ) -> Result<Option<StoredProposal>, StoreError> {
        match self {
            Self::Sqlite(store) => store.proposal(tenant.clone(), id).await,
            Self::Postgres(store) => store.proposal(tenant.clone(), id).await,
        }
    }

    /// Lists proposals from the newest, made before the one with number `before`, up to `limit` rows and at most [`crate::PAGE_MAX`];
    /// with `open_at`, only those that are open then.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn list_proposals(
        &self,
        tenant: &TenantId,
        open_at: Option<UnixMillis>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredProposal>, StoreError> {
        match self {
            Self::Sqlite(store) => store.list_proposals(tenant.clone(), open_at, before, limit).await,
            Self::Postgres(store) => store.list_proposals(tenant.clone(), open_at, before, limit).await,
        }
    }

    /// Withdraws a proposal; false, and nothing is changed, when it is not open at `at`.
    ///
    /// # Errors
    /// See [`StoreError`]; after any of them the caller looks at the proposal before it says anything.
    pub async fn withdraw_proposal(
        &self,
        tenant: &TenantId,
        id: ProposalId,
        at: UnixMillis,
        by: ActorId,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.withdraw_proposal(tenant.clone(), id, at, by).await,
            Self::Postgres(store) => store.withdraw_proposal(tenant.clone(), id, at, by).await,
        }
    }

    /// Ends the proposals of all tenants that nobody confirmed by `now`, and returns how many.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn expire_proposals(&self, now: UnixMillis) -> Result<usize, StoreError> {
        match self {
            Self::Sqlite(store) => store.expire_proposals(now).await,
            Self::Postgres(store) => store.expire_proposals(now).await,
        }
    }
}
