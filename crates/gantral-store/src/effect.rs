//! What an append demands of other rows, and what it does to them.

use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_core::ids::{ActorId, AttemptNo, GateId, GrantId, Name, Role, TeamId, WorkflowId};
use gantral_core::time::UnixMillis;

use crate::outbox::Tell;
use crate::usage::Room;

/// Something that must still stand when the append commits. All rows are those of the append's tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The grant exists, belongs to the instance and is not consumed.
    GrantUnconsumed(GrantId),
    /// The instance's lease is that of this attempt, is not ended and has not expired at `now`.
    Lease {
        /// The attempt that must hold it.
        attempt: AttemptNo,
        /// The instant of the command.
        now: UnixMillis,
    },
    /// The totals of the workflow and of the team have changed so often.
    Totals {
        /// The workflow.
        workflow: WorkflowId,
        /// How often its totals changed.
        workflow_changes: u64,
        /// The team.
        team: TeamId,
        /// How often its totals changed.
        team_changes: u64,
    },
    /// The instance has a task, and an orchestrator has released it.
    TaskReleased,
    /// The newest artifact of the tenant's governance chain has this hash; `None` is a tenant without such a chain.
    GovernanceHead(Option<Digest>),
    /// The tenant has room for what the append adds. Looked at after everything else, so that whoever joins what is there is not refused.
    Room(Room),
}

/// One gate as it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateRow {
    /// The gate.
    pub id: GateId,
    /// Its version, which decisions name.
    pub version: u32,
    /// The workflow of the instance.
    pub workflow: WorkflowId,
    /// The team that owns the workflow.
    pub team: TeamId,
    /// Who may decide.
    pub roles: Vec<Role>,
    /// The name of the action that is asked for.
    pub action_name: Name,
    /// Until when a decision counts.
    pub deadline: UnixMillis,
    /// When it opened.
    pub opened_at: UnixMillis,
    /// The commitment to the context that the approver is shown.
    pub context: Digest,
}

/// A row that is written together with the artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Opens a gate; an instance has at most one open gate.
    OpenGate(GateRow),
    /// Moves the instance's open gate on: an escalation, an extension, a changed action.
    MoveGate {
        /// The gate.
        id: GateId,
        /// Its new version.
        version: u32,
        /// Who may decide from now on.
        roles: Vec<Role>,
        /// Until when.
        deadline: UnixMillis,
    },
    /// Closes the instance's open gate.
    CloseGate {
        /// The gate.
        id: GateId,
        /// How it ended.
        resolution: Name,
        /// The human whose vote decided, if one did.
        decided_by: Option<ActorId>,
        /// When.
        at: UnixMillis,
    },
    /// Records a new grant. One that is consumed by the append that makes it is never recorded: an unknown grant cannot be
    /// consumed.
    PutGrant {
        /// The grant.
        id: GrantId,
        /// From when it is worthless.
        expires_at: UnixMillis,
    },
    /// Consumes a grant of the instance. One that is consumed already, or unknown, fails the append as
    /// [`Guard::GrantUnconsumed`] does.
    ConsumeGrant {
        /// The grant.
        id: GrantId,
        /// The attempt that consumes it.
        attempt: AttemptNo,
    },
    /// Reserves what a grant that is consumed is expected to cost, in the totals of the instance, its workflow and its team.
    Reserve {
        /// The grant.
        grant: GrantId,
        /// Whole minor units.
        amount: u64,
        /// When: tells the month and the day in which it counts.
        at: UnixMillis,
    },
    /// Counts what a grant has cost in place of what was reserved for it. One for which nothing is reserved counts nothing.
    Settle {
        /// The grant.
        grant: GrantId,
        /// Whole minor units; `None`: as much as was reserved.
        cost: Option<u64>,
    },
    /// Counts that a standing rule of the policy has granted something in the workflow of the instance, which changes its totals.
    CountRule {
        /// The rule, as the policy names it.
        rule: Name,
        /// When.
        at: UnixMillis,
    },
    /// Keeps the plaintext behind a commitment, until it is erased. A commitment is salted anew whenever one is made, so
    /// that none is kept twice.
    PutSnapshot {
        /// The salted commitment that artifacts carry.
        commitment: Digest,
        /// What it commits to.
        label: CommitmentLabel,
        /// Its salt.
        salt: Salt,
        /// The bytes.
        plaintext: Vec<u8>,
    },
    /// Keeps what a human's own authenticator said of a decision, for ever.
    PutEvidence {
        /// The SHA-256 of the file, by which the artifact names it.
        digest: Digest,
        /// The file.
        content: Vec<u8>,
    },
    /// Puts the instance on a runner queue, replacing its task if it has one.
    PutTask {
        /// The queue.
        queue: Name,
        /// The team that owns the workflow.
        team: TeamId,
        /// From when it may be claimed.
        ready_at: UnixMillis,
    },
    /// Takes the instance's task off its queue, if it is on one, and leases the instance to a new attempt, whose number
    /// must be above that of any lease before.
    AssignTask {
        /// The attempt.
        attempt: AttemptNo,
        /// Who executes it.
        executor: ActorId,
        /// Until when the lease holds unless it is renewed.
        lease_until: UnixMillis,
    },
    /// Ends the lease of this attempt, if it is the instance's newest; an older or ended one stays as it is.
    EndLease {
        /// The attempt.
        attempt: AttemptNo,
    },
    /// Takes the instance's task off its queue, if it is on one.
    DropTask,
    /// Reminds of the instance's open gate at this instant, in place of any before. A gate that moves or closes forgets it.
    Remind {
        /// The gate.
        gate: GateId,
        /// When its present stage began.
        since: UnixMillis,
        /// When.
        at: UnixMillis,
    },
    /// Queues a message about a gate of the tenant, as it stands then, once for each recipient.
    Tell(Tell),
}

impl Effect {
    /// Returns the size of the bytes that the effect keeps.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::PutSnapshot { plaintext, .. } => plaintext.len(),
            Self::PutEvidence { content, .. } => content.len(),
            Self::OpenGate(_)
            | Self::MoveGate { .. }
            | Self::CloseGate { .. }
            | Self::PutGrant { .. }
            | Self::ConsumeGrant { .. }
            | Self::Reserve { .. }
            | Self::Settle { .. }
            | Self::CountRule { .. }
            | Self::PutTask { .. }
            | Self::AssignTask { .. }
            | Self::EndLease { .. }
            | Self::DropTask
            | Self::Remind { .. }
            | Self::Tell(_) => 0,
        }
    }
}
