//! The governance chain of a tenant: who changed what binds everybody, as sealed artifacts.
//!
//! What such an artifact says becomes true with it: the rows that it is about are written in the same transaction, or
//! neither is.

use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_core::ids::{ActorId, InstanceId, ProposalId, TenantId};
use gantral_core::time::UnixMillis;

use crate::append::{EFFECTS_MAX, ENVELOPE_BYTES_MAX, Head, SealedArtifact};
use crate::error::StoreError;
use crate::rows::Snapshot;
use crate::store::Store;

/// What stands for an instance in the rows of governance artifacts. No instance has this id: each has a version in it.
pub(crate) const NO_INSTANCE: [u8; 16] = [0; 16];

/// A row that is written together with a governance artifact. All rows are those of the append's tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GovernanceEffect {
    /// Keeps what opens a commitment of the artifact.
    PutSnapshot {
        /// The commitment.
        commitment: Digest,
        /// What it is of.
        label: CommitmentLabel,
        /// The salt.
        salt: Salt,
        /// The bytes.
        plaintext: Vec<u8>,
    },
    /// Erases salt and plaintext of a snapshot. Refused when there is nothing to erase.
    EraseSnapshot {
        /// The instance; `None` for a snapshot of the governance chain.
        instance: Option<InstanceId>,
        /// The commitment, which stays.
        commitment: Digest,
        /// When.
        at: UnixMillis,
    },
    /// Erases the salt of one human, who is anonymous from then on. Refused when there is none.
    ErasePerson {
        /// The issuer of the human's tokens.
        issuer: String,
        /// The subject in them.
        subject: String,
    },
    /// Ends a proposal, which what is sealed confirms. Refused when it is not open at `at`.
    ConfirmProposal {
        /// The proposal.
        id: ProposalId,
        /// When.
        at: UnixMillis,
        /// Who confirms it.
        by: ActorId,
    },
    /// Keeps what the directory signed of an enrolment. Refused unless somebody asked for it, and it waits.
    SignEnrolment {
        /// The digest of the payload, which names it.
        entry: Digest,
        /// The envelope.
        envelope: Vec<u8>,
    },
    /// Ends every open proposal of a person who is anonymous from now on.
    EndProposalsOf {
        /// The person.
        proposer: ActorId,
        /// When.
        at: UnixMillis,
    },
}

/// One durable transaction over the governance chain of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GovernanceAppend {
    /// The tenant.
    pub tenant: TenantId,
    /// The head that the caller decided upon; `None` begins the chain.
    pub expected: Option<Head>,
    /// The new artifact, which follows `expected`.
    pub artifact: SealedArtifact,
    /// The first eight bytes of the id of the key that signed it.
    pub signer: [u8; 8],
    /// What becomes true with it, applied in order.
    pub effects: Vec<GovernanceEffect>,
}

/// What came of an append to a governance chain. Only `Committed` wrote anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GovernanceOutcome {
    /// Everything is durable.
    Committed,
    /// The chain has another head: reload and decide again.
    Moved(Option<Head>),
    /// This effect cannot be applied to the rows that are there.
    Refused(GovernanceEffect),
}

impl GovernanceEffect {
    /// Tells whether one of the effects before the one in this place does the same to the same row. One row is erased once, and one proposal
    /// ends once; whoever asks for it twice in one append contradicts itself.
    pub(crate) fn comes_again(&self, effects: &[Self], place: usize) -> bool {
        effects.iter().take(place).any(|earlier| is_same_row(earlier, self))
    }
}

/// Tells whether two effects are about one row, which both cannot end.
fn is_same_row(one: &GovernanceEffect, other: &GovernanceEffect) -> bool {
    use GovernanceEffect::{
        ConfirmProposal, EndProposalsOf, ErasePerson, EraseSnapshot, PutSnapshot, SignEnrolment,
    };
    match (one, other) {
        (
            EraseSnapshot { instance, commitment, .. },
            EraseSnapshot { instance: same, commitment: too, .. },
        ) => instance == same && commitment == too,
        (ErasePerson { .. }, ErasePerson { .. }) => one == other,
        (ConfirmProposal { id, .. }, ConfirmProposal { id: same, .. }) => id == same,
        (SignEnrolment { entry, .. }, SignEnrolment { entry: same, .. }) => entry == same,
        (
            PutSnapshot { .. }
            | EraseSnapshot { .. }
            | ErasePerson { .. }
            | ConfirmProposal { .. }
            | SignEnrolment { .. }
            | EndProposalsOf { .. },
            PutSnapshot { .. }
            | EraseSnapshot { .. }
            | ErasePerson { .. }
            | ConfirmProposal { .. }
            | SignEnrolment { .. }
            | EndProposalsOf { .. },
        ) => false,
    }
}

impl GovernanceAppend {
    /// Checks what can be checked without the database; the answer names what is wrong.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let next = self.expected.map_or(Some(0), |head| head.sequence.checked_add(1));
        if Some(self.artifact.sequence) != next {
            return Err("the artifact does not follow the head without a gap");
        }
        if self.artifact.envelope.len() > ENVELOPE_BYTES_MAX {
            return Err("an envelope is too large");
        }
        if self.effects.len() > EFFECTS_MAX {
            return Err("an append carries too many effects");
        }
        Ok(())
    }
}

impl Store {
    /// Returns the newest artifact of a tenant's governance chain; `None` while it has none.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn governance_head(&self, tenant: &TenantId) -> Result<Option<Head>, StoreError> {
        match self {
            Self::Sqlite(store) => store.governance_head(tenant.clone()).await,
            Self::Postgres(store) => store.governance_head(tenant.clone()).await,
        }
    }

    /// Appends to a governance chain, with what becomes true by it, or answers why not. What it erases is overwritten in the
    /// file, and the write-ahead log is emptied.
    ///
    /// # Errors
    /// See [`StoreError`]; after any of them the caller reloads before it says anything.
    pub async fn append_governance(&self, append: GovernanceAppend) -> Result<GovernanceOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => store.append_governance(append).await,
            Self::Postgres(store) => store.append_governance(append).await,
        }
    }

    /// Returns what opens a commitment of a tenant's governance chain, or that it was erased; `None` when it was never kept.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn governance_snapshot(
        &self,
        tenant: &TenantId,
        commitment: Digest,
    ) -> Result<Option<Snapshot>, StoreError> {
        match self {
            Self::Sqlite(store) => store.governance_snapshot(tenant.clone(), commitment).await,
            Self::Postgres(store) => store.governance_snapshot(tenant.clone(), commitment).await,
        }
    }

    /// Returns up to `limit` artifacts of a governance chain, from sequence `from`, at most [`crate::CHAIN_PAGE_MAX`].
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn governance_chain(
        &self,
        tenant: &TenantId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<SealedArtifact>, StoreError> {
        match self {
            Self::Sqlite(store) => store.governance_chain(tenant.clone(), from, limit).await,
            Self::Postgres(store) => store.governance_chain(tenant.clone(), from, limit).await,
        }
    }
}
