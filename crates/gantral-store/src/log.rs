//! What the sequencer of the transparency logs reads and writes here.
//!
//! The ledger is the log's source: every committed artifact becomes a leaf, in the order of the commits. How far that has come,
//! and which checkpoint stands for it, is kept here, so that one transaction says both. The store signs nothing and knows
//! no tree; it does refuse what no log may hold, a second leaf of one place of one chain. Source: `spec/log.md`.

use gantral_core::digest::Digest;
use gantral_core::ids::{InstanceId, TenantId, governance_tag, instance_tag};

use crate::error::StoreError;
use crate::store::Store;

/// The most artifacts of one page in the order of the commits, and of one swap; a larger limit gets this many.
pub const LOG_PAGE_MAX: usize = 4_096;
/// A page ends early after this many bytes of envelopes.
pub const LOG_PAGE_BYTES_MAX: usize = 16 << 20;

/// One of a tenant's chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChainId {
    /// That of an instance.
    Instance(InstanceId),
    /// That of the tenant's governance.
    Governance,
}

impl ChainId {
    /// Returns the tag under which the chain stands in the log (`spec/commitments.md` §1).
    pub fn tag(&self, tenant: &TenantId) -> Digest {
        match self {
            Self::Instance(id) => instance_tag(tenant, id),
            Self::Governance => governance_tag(tenant),
        }
    }
}

/// One committed artifact, as a log takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedArtifact {
    /// Its number: 1, 2, 3, … over all tenants, in the order of the commits.
    pub number: u64,
    /// The number of the artifact of the same chain that has the sequence before it; `None` when there is none.
    pub previous: Option<u64>,
    /// The tenant.
    pub tenant: TenantId,
    /// The chain.
    pub chain: ChainId,
    /// Its place in the chain.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
    /// What else its leaf says.
    pub seal: CommittedSeal,
}

/// What a leaf says of an artifact beyond its place and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommittedSeal {
    /// As it was told with the append.
    Told {
        /// Whether the artifact ends its chain.
        ends_chain: bool,
        /// The first eight bytes of the id of the key that signed it.
        signer: [u8; 8],
    },
    /// The artifact is older than the log: its envelope tells.
    Envelope(Vec<u8>),
}

/// The right to let logs grow, until the next claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogClaim {
    /// Which claim this is: rises with every one.
    pub fence: u64,
    /// Every artifact up to this number is in a log.
    pub taken: u64,
}

/// How far the log of one tenant has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// The tenant.
    pub tenant: TenantId,
    /// How many leaves the log has.
    pub size: u64,
    /// The root of its tree.
    pub root: Digest,
    /// The signed note that says so.
    pub checkpoint: String,
}

/// One leaf of a growth: what decides whether it may stand in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLink {
    /// The number of its artifact.
    pub number: u64,
    /// The number of the artifact before it in its chain.
    pub previous: Option<u64>,
    /// The tag of its chain.
    pub tag: Digest,
    /// Its place in the chain.
    pub sequence: u64,
    /// Whether it ends the chain.
    pub ends_chain: bool,
}

/// What becomes of one log in a swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogGrowth {
    /// The log as it becomes.
    pub row: LogRow,
    /// Size and root that it must have before; `None` when it begins.
    pub before: Option<(u64, Digest)>,
    /// The new leaves, by rising number; the first stands at the size before.
    pub links: Vec<LogLink>,
}

/// One round of the sequencer: what was committed after `after`, up to `through`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSwap {
    /// The fence of the claim.
    pub fence: u64,
    /// The number up to which everything was in a log before.
    pub after: u64,
    /// The number up to which everything is in a log then.
    pub through: u64,
    /// The logs that grow, each once.
    pub growths: Vec<LogGrowth>,
}

/// What came of a swap. Only `Swapped` wrote anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwapOutcome {
    /// All of it is durable.
    Swapped,
    /// Somebody else has claimed the logs since.
    Stale,
    /// A log, or what was taken, is not as the swap expects.
    Moved,
    /// The log has this place of this chain already, has not the one before it, or has its end (`spec/log.md` L5).
    Refused {
        /// Whose log.
        tenant: TenantId,
        /// Which chain.
        tag: Digest,
        /// Which place.
        sequence: u64,
    },
}

impl LogSwap {
    /// Checks what can be checked without the database; the answer names what is wrong.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let mut numbers: Vec<u64> = Vec::new();
        for growth in &self.growths {
            let before = growth.before.map_or(0, |(size, _)| size);
            if growth.links.is_empty()
                || before.checked_add(growth.links.len() as u64) != Some(growth.row.size)
            {
                return Err("a log does not grow by its new leaves");
            }
            if !growth.links.is_sorted_by_key(|link| link.number) {
                return Err("leaves are not in the order of the commits");
            }
            numbers.extend(growth.links.iter().map(|link| link.number));
        }
        if numbers.len() > LOG_PAGE_MAX {
            return Err("a swap carries too many leaves");
        }
        numbers.sort_unstable();
        // Numbers have no gaps, because no artifact is ever deleted: each of them becomes a leaf, and once.
        if !numbers.into_iter().eq((self.after..self.through).map(|number| number.saturating_add(1))) {
            return Err("a swap does not carry every artifact once");
        }
        let mut tenants: Vec<_> = self.growths.iter().map(|growth| &growth.row.tenant).collect();
        tenants.sort_unstable();
        tenants.dedup();
        if tenants.len() == self.growths.len() { Ok(()) } else { Err("a log grows twice in one swap") }
    }
}

impl Store {
    /// Claims the right to let logs grow. Every earlier claim is worth nothing from then on.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since only the newest claim counts.
    pub async fn claim_logs(&self) -> Result<LogClaim, StoreError> {
        match self {
            Self::Sqlite(store) => store.claim_logs().await,
        }
    }

    /// Returns the claim that counts now, without making one.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn log_claim(&self) -> Result<LogClaim, StoreError> {
        match self {
            Self::Sqlite(store) => store.log_claim().await,
        }
    }

    /// Returns committed artifacts of all tenants with a number above `after`, in the order of their commits, at most
    /// [`LOG_PAGE_MAX`] and about [`LOG_PAGE_BYTES_MAX`]. Only an empty page says that there are no more.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn committed(&self, after: u64, limit: usize) -> Result<Vec<CommittedArtifact>, StoreError> {
        match self {
            Self::Sqlite(store) => store.committed(after, limit).await,
        }
    }

    /// Lets logs grow, all of them or none, and moves what is taken.
    ///
    /// Checked in this order: fence, what is taken, size and root of each log, each leaf.
    ///
    /// # Errors
    /// See [`StoreError`]; after any of them the caller reads again how far the logs are.
    pub async fn swap_logs(&self, swap: LogSwap) -> Result<SwapOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => store.swap_logs(swap).await,
        }
    }

    /// Adds lines of signatures to the checkpoint of a log that still has this size and root, those that it has not yet, and
    /// returns the log; `None` when it has grown since. A line that stands there is never taken away.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn add_log_signatures(
        &self,
        tenant: &TenantId,
        tree: (u64, Digest),
        lines: Vec<String>,
    ) -> Result<Option<LogRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.add_log_signatures(tenant.clone(), tree, lines).await,
        }
    }

    /// Keeps a checkpoint that `witnesses` have cosigned. One of the same tree that is kept gets the lines that it has not yet. The log
    /// may have grown since. Returns whether anything changed. The caller has checked the signatures.
    ///
    /// # Errors
    /// See [`StoreError`]; `Contradiction` when another tree of this size is kept. May be asked again, since doing it twice does
    /// nothing more.
    pub async fn keep_cosigned(&self, witnesses: u8, row: LogRow) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.keep_cosigned(witnesses, row).await,
        }
    }

    /// Returns the newest checkpoint of a log that at least so many witnesses have cosigned; `None` while there is none.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn cosigned(&self, tenant: &TenantId, witnesses: u8) -> Result<Option<LogRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.cosigned(tenant.clone(), witnesses).await,
        }
    }

    /// Returns the checkpoint of so many leaves that witnesses have cosigned, if they have.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn cosigned_at(&self, tenant: &TenantId, size: u64) -> Result<Option<LogRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.cosigned_at(tenant.clone(), size).await,
        }
    }

    /// Returns how far the log of a tenant is; `None` before its first leaf.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn log(&self, tenant: &TenantId) -> Result<Option<LogRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.log(tenant.clone()).await,
        }
    }

    /// Lists logs by rising tenant after `after`, at most [`crate::PAGE_MAX`].
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn list_logs(&self, after: Option<&TenantId>, limit: usize) -> Result<Vec<LogRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.list_logs(after.cloned(), limit).await,
        }
    }

    /// Returns the places in the tenant's log of the artifacts of a chain from sequence `from` on, as far as they are in it, at most
    /// [`crate::CHAIN_PAGE_MAX`]. The first is that of `from`.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn log_positions(
        &self,
        tenant: &TenantId,
        chain: ChainId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        match self {
            Self::Sqlite(store) => store.log_positions(tenant.clone(), chain, from, limit).await,
        }
    }

    /// Returns the number of the newest artifact as it rises, beginning with the first commit from now on.
    pub fn newest(&self) -> crate::changes::Newest {
        match self {
            Self::Sqlite(store) => store.newest(),
        }
    }
}
