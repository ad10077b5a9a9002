//! What reads answer.

use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_core::ids::{ActorId, AttemptNo, GrantId, InstanceId, Name, TeamId, TenantId, WorkflowId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;

use crate::append::{Head, InstanceIndex, StateCode};
use crate::effect::GateRow;
use crate::page::Cursor;

/// One instance as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRow {
    /// The instance.
    pub id: InstanceId,
    /// The newest artifact of its chain.
    pub head: Head,
    /// Its index columns.
    pub index: InstanceIndex,
}

impl InstanceRow {
    /// Returns where a list goes on behind it.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { at: self.index.created_at, id: *self.id.as_bytes() }
    }
}

/// How a gate was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// How it ended.
    pub resolution: Name,
    /// The human whose vote decided, if one did.
    pub decided_by: Option<ActorId>,
    /// When.
    pub at: UnixMillis,
}

/// One gate, open or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGate {
    /// The instance that waits, or waited, at it.
    pub instance: InstanceId,
    /// The gate as it stands.
    pub gate: GateRow,
    /// How it was closed; `None` while it is open.
    pub closing: Option<Closing>,
}

impl StoredGate {
    /// Returns where a list goes on behind it.
    pub(crate) fn cursor(&self) -> Cursor {
        let at = self.closing.as_ref().map_or(self.gate.deadline, |closing| closing.at);
        Cursor { at, id: *self.gate.id.as_bytes() }
    }
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    /// The grant.
    pub id: GrantId,
    /// The instance that it binds.
    pub instance: InstanceId,
    /// From when it is worthless.
    pub expires_at: UnixMillis,
    /// The attempt that consumed it, if one did.
    pub consumed_by: Option<AttemptNo>,
}

/// What stands behind a commitment.
#[derive(Clone, PartialEq, Eq)]
pub enum SnapshotContent {
    /// It can be disclosed.
    Kept {
        /// The salt of the commitment.
        salt: Salt,
        /// The bytes.
        plaintext: Vec<u8>,
    },
    /// Salt and bytes are gone; the commitment still proves that there was something.
    Erased {
        /// When.
        at: UnixMillis,
    },
}

impl std::fmt::Debug for SnapshotContent {
    /// Shows the size and never the bytes: snapshots hold what must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kept { plaintext, .. } => write!(f, "Kept({} bytes)", plaintext.len()),
            Self::Erased { at } => write!(f, "Erased({at})"),
        }
    }
}

/// Where a snapshot stands among those of its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotPlace {
    /// The sequence of the last artifact of the append that kept it.
    pub sequence: u64,
    /// The salted commitment that artifacts carry.
    pub commitment: Digest,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its commitment, and with which artifact it came.
    pub place: SnapshotPlace,
    /// What it commits to.
    pub label: CommitmentLabel,
    /// What is left of it.
    pub content: SnapshotContent,
}

/// Which tasks of a queue are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskFilter {
    /// Only those of these teams.
    pub teams: Vec<TeamId>,
    /// None of these workflows.
    pub without: Vec<WorkflowId>,
    /// Only those that an orchestrator has released.
    pub released: bool,
}

/// One task that a runner may claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// The instance to run.
    pub instance: InstanceId,
    /// The queue.
    pub queue: Name,
    /// The team that owns the workflow.
    pub team: TeamId,
    /// Since when it may be claimed.
    pub ready_at: UnixMillis,
    /// Whether an orchestrator has released it; asked for only where one dispatches.
    pub released: bool,
}

/// The newest lease of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The leased instance.
    pub instance: InstanceId,
    /// The attempt that holds it: the fencing number.
    pub attempt: AttemptNo,
    /// Who executes the attempt.
    pub executor: ActorId,
    /// Until when it holds unless it is renewed.
    pub until: UnixMillis,
    /// Whether the attempt ended.
    pub ended: bool,
}

/// One version of a workflow; it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRow {
    /// The workflow.
    pub id: WorkflowId,
    /// The version's label.
    pub version: Name,
    /// The digest of the definition.
    pub digest: Digest,
    /// The team that owns it.
    pub team: TeamId,
    /// The definition.
    pub definition: Vec<u8>,
    /// When it was put.
    pub created_at: UnixMillis,
}

/// One policy bundle, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyBundleRow {
    /// Its content digest.
    pub version: PolicyVersionId,
    /// When it was put.
    pub created_at: UnixMillis,
    /// Who signed it, by the signature that counts: the newest that is pinned, else the newest.
    pub signature: Option<PolicySignature>,
}

impl PolicyBundleRow {
    /// Returns the sort key of a bundle: its instant and the first half of its digest.
    pub(crate) fn cursor(&self) -> Cursor {
        let (half, _) = self.version.0.as_bytes().split_at(16);
        let mut id = [0; 16];
        id.copy_from_slice(half);
        Cursor { at: self.created_at, id }
    }

    /// Returns instant and digest before which a page goes on; no instant is the end of time. A cursor holds half of the digest, so a
    /// page starts behind every version that shares that half.
    pub(crate) fn behind(after: Option<Cursor>) -> (Option<UnixMillis>, Vec<u8>) {
        match after {
            Some(cursor) => (Some(cursor.at), cursor.id.to_vec()),
            None => (None, vec![0xff; 32]),
        }
    }
}

/// A signature of a policy bundle, which whoever put it has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySignature {
    /// The name of the key.
    pub key: String,
    /// The algorithm of the key.
    pub algorithm: String,
    /// The scope that key and signature name.
    pub scope: Option<String>,
    /// Whether the revision of the signed bundle is its version, so that an OPA that has it can be held to it.
    pub pinned: bool,
}

/// A policy bundle as it is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyArchive {
    /// The archive: as it was signed, else as it was put first.
    pub bytes: Vec<u8>,
    /// Who signed it.
    pub signature: Option<PolicySignature>,
}

/// What came of putting something that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// It is new and durable.
    Stored,
    /// The same bytes were there before.
    Same,
    /// Other bytes stand under this name; they stay.
    Differs,
}

/// Counts over all tenants, for metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// How many instances are in each state that occurs.
    pub instances: Vec<(StateCode, u64)>,
    /// How many gates are open.
    pub open_gates: u64,
    /// When the gate that has been open longest was opened.
    pub oldest_gate: Option<UnixMillis>,
    /// How many tasks are on queues.
    pub tasks: u64,
    /// From when the task that has waited longest could be claimed; ahead of the clock where it may not be yet.
    pub oldest_task: Option<UnixMillis>,
}
