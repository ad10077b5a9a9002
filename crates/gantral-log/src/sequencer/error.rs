//! Why a round failed, and whether the next one may do better.

use std::io;

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use gantral_keys::SignError;
use gantral_store::StoreError;

use crate::published::LogFault;
use crate::tree::LogError;

/// Why the sequencer could not let the logs grow.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The storage of the objects.
    #[error("the storage of the logs: {0}")]
    Storage(#[from] io::Error),
    /// The objects of a log are not those of its checkpoint.
    #[error("the log of `{tenant}`: {error}")]
    Log {
        /// Whose log.
        tenant: TenantId,
        /// What is wrong with it.
        error: LogError,
    },
    /// What the ledger says of how far a log is cannot be read.
    #[error("the checkpoint of the log of `{tenant}` in the ledger is damaged: {what}")]
    Checkpoint {
        /// Whose log.
        tenant: TenantId,
        /// What cannot be read.
        what: String,
    },
    /// The checkpoint was not signed.
    #[error("the checkpoint: {0}")]
    Sign(#[from] SignError),
    /// The log has another origin than the configuration gives it, or none can be made for the tenant.
    #[error("the log of `{tenant}` is not that of the origin `{origin}`")]
    Origin {
        /// Whose log.
        tenant: TenantId,
        /// The origin that the configuration gives it.
        origin: String,
    },
    /// The row of an artifact cannot be read, or one that is older than the log does not say what its row says.
    #[error("artifact {number} of the ledger, of `{tenant}`, is damaged: {what}")]
    Damaged {
        /// Whose it is.
        tenant: TenantId,
        /// Its number.
        number: u64,
        /// What is wrong.
        what: String,
    },
    /// The ledger has an artifact that the log may not take (`spec/log.md` L5).
    #[error(
        "artifact {number} of the ledger, sequence {sequence} of chain `{tag}` of `{tenant}`, has no place in the log"
    )]
    Refused {
        /// Whose log.
        tenant: TenantId,
        /// The number of the artifact.
        number: u64,
        /// Which chain.
        tag: Digest,
        /// Which place.
        sequence: u64,
    },
    /// The ledger has lost or changed what was published, as an old copy of it has: letting the log grow would take it back.
    #[error("the log of `{tenant}` does not begin with the {size} leaves of its published checkpoint")]
    TakenBack {
        /// Whose log.
        tenant: TenantId,
        /// How many leaves the published checkpoint has.
        size: u64,
    },
    /// The store has moved on in between.
    #[error("the logs have moved")]
    Moved,
    /// Somebody else lets the logs grow now.
    #[error("another sequencer has taken over")]
    Stale,
}

impl SequencerError {
    /// Tells whether trying again is pointless until somebody has looked.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Store(StoreError::Failed { .. } | StoreError::Unknown { .. })
            | Self::Storage(_)
            | Self::Log { error: LogError::Storage(_), .. }
            | Self::Sign(SignError::Unavailable)
            | Self::Moved => false,
            Self::Store(
                StoreError::Stopped { .. } | StoreError::Contradiction { .. } | StoreError::Damaged { .. },
            )
            | Self::Log { error: LogError::Object(_) | LogError::Root | LogError::Range, .. }
            | Self::Sign(SignError::WrongContext)
            | Self::Origin { .. }
            | Self::Checkpoint { .. }
            | Self::Damaged { .. }
            | Self::Refused { .. }
            | Self::TakenBack { .. }
            | Self::Stale => true,
        }
    }

    /// Tells which log this is about, if it is a matter of that one alone: the others go on.
    ///
    /// One that was taken back is not: the ledger is an old copy then, whosever log shows it.
    pub(super) fn of_one_log(&self) -> Option<LogStop<'_>> {
        let (tenant, fault, artifact) = match self {
            Self::Damaged { tenant, number, .. } => (tenant, LogFault::ArtifactDamaged, Some(*number)),
            Self::Refused { tenant, number, .. } => (tenant, LogFault::ArtifactRefused, Some(*number)),
            Self::Log { tenant, error: LogError::Object(_) | LogError::Root | LogError::Range } => {
                (tenant, LogFault::FilesDamaged, None)
            }
            Self::Checkpoint { tenant, .. } | Self::Origin { tenant, .. } => {
                (tenant, LogFault::CheckpointDamaged, None)
            }
            Self::Log { error: LogError::Storage(_), .. }
            | Self::Store(_)
            | Self::Storage(_)
            | Self::Sign(_)
            | Self::TakenBack { .. }
            | Self::Moved
            | Self::Stale => return None,
        };
        Some(LogStop { tenant, fault, artifact })
    }
}

/// Which log an error stops, and before which artifact if it is about one.
pub(super) struct LogStop<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) fault: LogFault,
    pub(super) artifact: Option<u64>,
}
