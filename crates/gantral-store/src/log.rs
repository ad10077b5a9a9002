//! What the sequencer of the transparency logs reads and writes here.
//!
//! The ledger is the log's source: every committed artifact becomes a leaf, in the order of the commits. How far that has come,
//! and which checkpoint stands for it, is kept here, so that one transaction says both. The store signs nothing and knows
//! no tree; it does refuse what no log may hold, a second leaf of one place of one chain. Source: `spec/log.md`.

pub(crate) mod leaves;
pub(crate) mod rounds;
pub(crate) mod runs;

use gantral_core::digest::Digest;
use gantral_core::ids::{InstanceId, TenantId, governance_tag, instance_tag};

use crate::duty::Held;
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
    /// Its number, which rises over all tenants: 1, 2, 3, … in a SQLite file, in the order of the commits; with gaps in PostgreSQL, in the
    /// order in which the transactions wrote that committed.
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

/// A committed artifact whose row cannot be read. Whose it is can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedArtifact {
    /// Its number.
    pub number: u64,
    /// The tenant.
    pub tenant: TenantId,
    /// What cannot be read.
    pub what: String,
}

/// Committed artifacts in the order of their commits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommittedPage {
    /// Those that can be read.
    pub artifacts: Vec<CommittedArtifact>,
    /// Those that cannot: their tenant's log has to stop before the first of them.
    pub damaged: Vec<DamagedArtifact>,
    /// Everything that was asked for is here up to this number.
    pub through: u64,
}

impl CommittedPage {
    /// Begins a page after a number.
    pub(crate) fn after(number: u64) -> Self {
        Self { through: number, ..Self::default() }
    }

    /// Adds the next row, of which number and tenant can be read.
    pub(crate) fn push<E: ToString>(
        &mut self,
        number: u64,
        tenant: TenantId,
        row: Result<CommittedArtifact, E>,
    ) {
        self.through = number;
        match row {
            Ok(artifact) => self.artifacts.push(artifact),
            // The row is there: what fails is what it holds.
            Err(error) => self.damaged.push(DamagedArtifact { number, tenant, what: error.to_string() }),
        }
    }

    /// Returns how many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.artifacts.len().saturating_add(self.damaged.len())
    }
}

impl CommittedArtifact {
    /// Returns the size of its envelope, where that is here.
    pub(crate) fn bytes(&self) -> usize {
        match &self.seal {
            CommittedSeal::Told { .. } => 0,
            CommittedSeal::Envelope(envelope) => envelope.len(),
        }
    }
}

/// The right to let logs grow, until the next claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogClaim {
    /// Which claim this is: rises with every one.
    pub fence: u64,
    /// Every artifact up to this number is in a log, but for what [`Store::held_logs`] names.
    pub taken: u64,
}

/// What a server follows of a log that another one lets grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedLog {
    /// The tenant.
    pub tenant: TenantId,
    /// How far it is; `None` before its first leaf, and when that cannot be read.
    pub newest: Option<LogRow>,
    /// The number of the first artifact that it has not taken, if it stands still.
    pub held: Option<u64>,
    /// Size and root of the newest tree that exactly so many witnesses have cosigned, for each number of which there is one.
    pub cosigned: Vec<(u8, (u64, Digest))>,
}

/// A log that stands still: it has not taken its tenant's artifact of this number, nor any after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLog {
    /// The tenant.
    pub tenant: TenantId,
    /// The number of the first artifact that the log has not taken.
    pub number: u64,
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

/// What a log does not take in a swap, because it stands still from the first of these on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHold {
    /// The tenant.
    pub tenant: TenantId,
    /// The numbers of its artifacts, rising.
    pub numbers: Vec<u64>,
}

/// What a log takes that stood still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogResume {
    /// The fence of the claim.
    pub fence: u64,
    /// The log that grows. Its first new leaf is of the artifact at which it stands still.
    pub growth: LogGrowth,
    /// The number of the artifact at which it stands still then; `None` when it has everything up to what is taken.
    pub held: Option<u64>,
}

/// One round of the sequencer: what was committed after `after`, up to `through`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSwap {
    /// The fence of the claim.
    pub fence: u64,
    /// The number up to which everything was taken before.
    pub after: u64,
    /// The number up to which everything is taken then.
    pub through: u64,
    /// The logs that grow, each once.
    pub growths: Vec<LogGrowth>,
    /// The logs that stand still, each once; one of them may grow up to where it does.
    pub holds: Vec<LogHold>,
}

/// What came of a swap. Only `Swapped` wrote anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwapOutcome {
    /// All of it is durable.
    Swapped,
    /// Somebody else has claimed the logs since.
    Stale,
    /// A log, or what was taken, is not as the swap expects; or a log stands still and should not, or not there.
    Moved,
    /// The log has this place of this chain already, has not the one before it, or has its end (`spec/log.md` L5).
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
}

impl LogGrowth {
    /// Checks what can be checked without the database; the answer names what is wrong.
    fn check(&self) -> Result<(), &'static str> {
        let before = self.before.map_or(0, |(size, _)| size);
        if self.links.is_empty() || before.checked_add(self.links.len() as u64) != Some(self.row.size) {
            return Err("a log does not grow by its new leaves");
        }
        if !self.links.is_sorted_by(|one, next| one.number < next.number) {
            return Err("leaves are not in the order of the commits");
        }
        if self.links.len() > LOG_PAGE_MAX {
            return Err("a swap carries too many leaves");
        }
        Ok(())
    }

    /// Returns what is kept of the round: the number of its first artifact, the place of that in the log, and all numbers.
    pub(crate) fn round(&self) -> (u64, u64, Vec<u8>) {
        let numbers: Vec<u64> = self.links.iter().map(|link| link.number).collect();
        let position = self.before.map_or(0, |(size, _)| size);
        (numbers.first().copied().unwrap_or_default(), position, runs::encode(&numbers))
    }

    /// Tells whether the log has another size or root than it must have before.
    pub(crate) fn has_moved(&self, log: Option<&LogRow>) -> bool {
        log.map(|row| (row.size, row.root)) != self.before
    }

    /// Returns the number of the last artifact that the log takes.
    pub(crate) fn last(&self) -> u64 {
        self.links.last().map_or(0, |link| link.number)
    }
}

impl LogResume {
    /// Checks what can be checked without the database; the answer names what is wrong.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        self.growth.check()?;
        if self.held.is_some_and(|held| held <= self.growth.last()) {
            return Err("a log stands still behind what it takes");
        }
        Ok(())
    }

    /// Tells whether the log stands still elsewhere than it must, or would go further than everything is taken.
    pub(crate) fn is_elsewhere(&self, held: Option<u64>, taken: u64) -> bool {
        let reaches = self.held.unwrap_or_default().max(self.growth.last());
        held != Some(self.from()) || reaches > taken
    }

    /// Returns the number of the artifact at which the log stands still before.
    fn from(&self) -> u64 {
        self.growth.links.first().map_or(0, |link| link.number)
    }
}

/// What is wrong with a swap that does not carry exactly the artifacts that were committed.
pub(crate) const NOT_EVERY_ARTIFACT: &str = "a swap does not carry every artifact once";

impl LogHold {
    /// Returns the number of the first artifact that the log does not take.
    pub(crate) fn first(&self) -> u64 {
        self.numbers.first().copied().unwrap_or_default()
    }
}

impl LogSwap {
    /// Checks what can be checked without the database, and returns the numbers of all artifacts that the swap carries, rising; an error
    /// names what is wrong. That no artifact is left out is for whoever knows the numbers that there are.
    pub(crate) fn check(&self) -> Result<Vec<u64>, &'static str> {
        let mut numbers: Vec<u64> = Vec::new();
        for growth in &self.growths {
            growth.check()?;
            numbers.extend(growth.links.iter().map(|link| link.number));
        }
        for hold in &self.holds {
            let Some(first) = hold.numbers.first() else { return Err("a log stands still at nothing") };
            let growth = self.growths.iter().find(|growth| growth.row.tenant == hold.tenant);
            if !hold.numbers.is_sorted() || growth.is_some_and(|growth| growth.last() >= *first) {
                return Err("a log stands still behind what it takes");
            }
            numbers.extend(&hold.numbers);
        }
        if numbers.len() > LOG_PAGE_MAX {
            return Err("a swap carries too many leaves");
        }
        numbers.sort_unstable();
        let is_twice = |mut tenants: Vec<&TenantId>| {
            tenants.sort_unstable();
            tenants.windows(2).any(|pair| matches!(pair, [one, next] if one == next))
        };
        if is_twice(self.growths.iter().map(|growth| &growth.row.tenant).collect()) {
            return Err("a log grows twice in one swap");
        }
        if is_twice(self.holds.iter().map(|hold| &hold.tenant).collect()) {
            return Err("a log stands still twice in one swap");
        }
        Ok(numbers)
    }
}

impl Store {
    /// Claims the right to let logs grow, under [`crate::Duty::Logs`]. Every earlier claim is worth nothing from then on. `None`, with which
    /// nothing has changed, when another holder has taken the duty over.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since only the newest claim counts.
    pub async fn claim_logs(&self, held: &Held) -> Result<Option<LogClaim>, StoreError> {
        held.check_logs()?;
        match self {
            Self::Sqlite(store) => store.claim_logs(held.clone()).await,
            Self::Postgres(store) => store.claim_logs(held.clone()).await,
        }
    }

    /// Returns the claim that counts now, without making one.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn log_claim(&self) -> Result<LogClaim, StoreError> {
        match self {
            Self::Sqlite(store) => store.log_claim().await,
            Self::Postgres(store) => store.log_claim().await,
        }
    }

    /// Returns committed artifacts of all tenants with a number above `after`, in the order of their commits, at most
    /// [`LOG_PAGE_MAX`] and about [`LOG_PAGE_BYTES_MAX`]. Only a page that reaches no further than `after` says that there are no more.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again. `Damaged` when a row does not even say whose it is: then nobody knows whose
    /// log would lack it.
    pub async fn committed(&self, after: u64, limit: usize) -> Result<CommittedPage, StoreError> {
        match self {
            Self::Sqlite(store) => store.committed(after, limit).await,
            Self::Postgres(store) => store.committed(after, limit).await,
        }
    }

    /// Returns committed artifacts of one tenant with numbers from `from` to `through`, as [`Store::committed`] does. The page reaches
    /// to `through` when it has all of them, and otherwise to its last. Reads every row in between: for a log that stood still.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn committed_of(
        &self,
        tenant: &TenantId,
        from: u64,
        through: u64,
        limit: usize,
    ) -> Result<CommittedPage, StoreError> {
        match self {
            Self::Sqlite(store) => store.committed_of(tenant.clone(), from, through, limit).await,
            Self::Postgres(store) => store.committed_of(tenant.clone(), from, through, limit).await,
        }
    }

    /// Lists the logs that stand still by rising tenant after `after`, at most [`crate::PAGE_MAX`].
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn held_logs(
        &self,
        after: Option<&TenantId>,
        limit: usize,
    ) -> Result<Vec<HeldLog>, StoreError> {
        match self {
            Self::Sqlite(store) => store.held_logs(after.cloned(), limit).await,
            Self::Postgres(store) => store.held_logs(after.cloned(), limit).await,
        }
    }

    /// Lets logs grow, all of them or none, moves what is taken, and notes which logs stand still.
    ///
    /// Checked in this order: fence, what is taken, where logs stand still, size and root of each log, each leaf. A log that stands
    /// still does not grow here, and goes on standing still where it did.
    ///
    /// # Errors
    /// See [`StoreError`]; after any of them the caller reads again how far the logs are.
    pub async fn swap_logs(&self, swap: LogSwap) -> Result<SwapOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => store.swap_logs(swap).await,
            Self::Postgres(store) => store.swap_logs(swap).await,
        }
    }

    /// Lets a log grow that stands still, from the artifact at which it does, and notes where it does then. Nothing else moves.
    ///
    /// Checked in this order: fence, where the log stands still, its size and root, each leaf. That no artifact of the tenant is left
    /// out on the way is the caller's to see to: it has read them with [`Store::committed_of`].
    ///
    /// # Errors
    /// See [`StoreError`]; after any of them the caller reads again how far the logs are.
    pub async fn resume_log(&self, resume: LogResume) -> Result<SwapOutcome, StoreError> {
        match self {
            Self::Sqlite(store) => store.resume_log(resume).await,
            Self::Postgres(store) => store.resume_log(resume).await,
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
            Self::Postgres(store) => store.add_log_signatures(tenant.clone(), tree, lines).await,
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
            Self::Postgres(store) => store.keep_cosigned(witnesses, row).await,
        }
    }

    /// Returns the newest checkpoint of a log that at least so many witnesses have cosigned; `None` while there is none.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn cosigned(&self, tenant: &TenantId, witnesses: u8) -> Result<Option<LogRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.cosigned(tenant.clone(), witnesses).await,
            Self::Postgres(store) => store.cosigned(tenant.clone(), witnesses).await,
        }
    }

    /// Returns the checkpoint of so many leaves that witnesses have cosigned, if they have.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn cosigned_at(&self, tenant: &TenantId, size: u64) -> Result<Option<LogRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.cosigned_at(tenant.clone(), size).await,
            Self::Postgres(store) => store.cosigned_at(tenant.clone(), size).await,
        }
    }

    /// Returns how far the log of a tenant is; `None` before its first leaf.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn log(&self, tenant: &TenantId) -> Result<Option<LogRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.log(tenant.clone()).await,
            Self::Postgres(store) => store.log(tenant.clone()).await,
        }
    }

    /// Lists the tenants that have a log, rising, after `after`, at most [`crate::PAGE_MAX`]. Whether their rows can be read is found by
    /// [`Store::log`].
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn logged_tenants(
        &self,
        after: Option<&TenantId>,
        limit: usize,
    ) -> Result<Vec<TenantId>, StoreError> {
        match self {
            Self::Sqlite(store) => store.logged_tenants(after.cloned(), limit).await,
            Self::Postgres(store) => store.logged_tenants(after.cloned(), limit).await,
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
            Self::Postgres(store) => store.log_positions(tenant.clone(), chain, from, limit).await,
        }
    }

    /// Returns the number of the newest artifact as it rises, beginning with the first commit from now on.
    pub fn newest(&self) -> crate::changes::Newest {
        match self {
            Self::Sqlite(store) => store.newest(),
            Self::Postgres(store) => store.newest(),
        }
    }
}
