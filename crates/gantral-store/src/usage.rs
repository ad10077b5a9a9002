//! How much of a tenant there is: what limits are compared with.
//!
//! It is counted in the transaction that adds something or takes it away, and only there. A [`crate::Guard::Room`] is compared with all that was
//! committed before, and nobody who is compared at the same time passes by: however many begin at once, on however many servers, there is
//! never more than the limit by what they begin.

use gantral_core::ids::TenantId;

use crate::append::Append;
use crate::error::StoreError;
use crate::governance::{GovernanceAppend, GovernanceEffect};
use crate::store::Store;

/// How much of a tenant there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Instances that can still move.
    pub open: u64,
    /// Bytes of envelopes, of what opens commitments, of human evidence and of policy bundles. Indexes, logs and what the database needs besides
    /// are not among them. Evidence that came twice is counted twice.
    pub bytes: u64,
}

/// What a tenant may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Instances that can still move; `None`: any number.
    pub open_max: Option<u64>,
    /// Bytes, as in [`Usage`]; `None`: any number.
    pub bytes_max: Option<u64>,
}

/// What one transaction adds, or takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Delta {
    pub(crate) open: i64,
    pub(crate) bytes: i64,
}

impl Delta {
    /// Returns what an append adds to a chain that was open before or not.
    pub(crate) fn of(append: &Append, was_open: bool) -> Self {
        let open = i64::from(append.index.open) - i64::from(was_open);
        let envelopes = append.artifacts.iter().map(|artifact| artifact.sealed.envelope.len());
        let kept = append.effects.iter().map(crate::effect::Effect::bytes);
        Self { open, bytes: envelopes.chain(kept).fold(0, more) }
    }

    /// Adds what another append adds.
    pub(crate) fn add(&mut self, other: Self) {
        self.open = self.open.saturating_add(other.open);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    /// Returns what a governance append adds; what it erases is not in it.
    pub(crate) fn of_governance(append: &GovernanceAppend) -> Self {
        let kept = append.effects.iter().map(|effect| match effect {
            GovernanceEffect::PutSnapshot { plaintext, .. } => plaintext.len(),
            GovernanceEffect::EraseSnapshot { .. }
            | GovernanceEffect::ErasePerson { .. }
            | GovernanceEffect::ConfirmProposal { .. }
            | GovernanceEffect::SignEnrolment { .. }
            | GovernanceEffect::EndProposalsOf { .. } => 0,
        });
        Self { open: 0, bytes: kept.fold(more(0, append.artifact.envelope.len()), more) }
    }

    /// Returns what keeping something of so many bytes adds.
    pub(crate) fn kept(bytes: usize) -> Self {
        Self { open: 0, bytes: more(0, bytes) }
    }

    /// Returns what is left when this was erased.
    pub(crate) fn erased(bytes: i64) -> Self {
        Self { open: 0, bytes: bytes.saturating_neg() }
    }

    pub(crate) fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

fn more(sum: i64, bytes: usize) -> i64 {
    sum.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX))
}

impl Usage {
    /// Reads sums of rows.
    pub(crate) fn of_sums(open: i64, bytes: i64) -> Self {
        let count = |sum: i64| u64::try_from(sum).unwrap_or(0);
        Self { open: count(open), bytes: count(bytes) }
    }

    /// Tells whether this much more still fits beside what is there.
    pub(crate) fn fits(self, room: Room, delta: Delta) -> bool {
        let within = |there: u64, more: i64, most: Option<u64>| {
            most.is_none_or(|most| there.saturating_add_signed(more) <= most)
        };
        within(self.open, delta.open, room.open_max) && within(self.bytes, delta.bytes, room.bytes_max)
    }
}

impl Store {
    /// Returns how much of a tenant there is.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn usage(&self, tenant: &TenantId) -> Result<Usage, StoreError> {
        match self {
            Self::Sqlite(store) => store.usage(tenant.clone()).await,
            Self::Postgres(store) => store.usage(tenant).await,
        }
    }
}
