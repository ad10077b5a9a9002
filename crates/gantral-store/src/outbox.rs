//! What is told about gates and proposals: messages that wait for their recipients, those that were given up, and reminders.
//!
//! The store keeps and orders them. Who a recipient is, how a message looks, and when it is tried again is the caller's.

use gantral_core::ids::{GateId, InstanceId, Name, ProposalId, Role, TeamId, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;

use crate::duty::Held;
use crate::error::StoreError;
use crate::store::Store;

/// The most dead letters that are kept for one recipient; the oldest go first.
pub const DEAD_MAX: usize = 10_000;

/// A message about a gate, for some recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tell {
    /// The gate.
    pub gate: GateId,
    /// What happened to it.
    pub kind: Name,
    /// Of a reminder: how much of the gate's stage has passed.
    pub percent: Option<u8>,
    /// When it happened.
    pub at: UnixMillis,
    /// Who is told; each gets a row of their own.
    pub to: Vec<Addressee>,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// The recipient.
    pub name: Name,
    /// Only of gates that ask one of these roles; of all when empty.
    pub roles: Vec<Role>,
}

impl From<Name> for Addressee {
    /// Somebody who is told whoever is asked.
    fn from(name: Name) -> Self {
        Self { name, roles: Vec::new() }
    }
}

/// One message that waits for its recipient, or was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its number, which rises with the order of commits.
    pub number: u64,
    /// Who is told.
    pub recipient: Name,
    /// The tenant.
    pub tenant: TenantId,
    /// What happened.
    pub kind: Name,
    /// Of a reminder: how much of the gate's stage had passed.
    pub percent: Option<u8>,
    /// When it happened.
    pub at: UnixMillis,
    /// What it is about.
    pub about: About,
    /// How that had ended; `None` while it was open.
    pub resolution: Option<Name>,
    /// From when on its age is counted.
    pub queued_at: UnixMillis,
    /// How often it was tried in vain.
    pub attempts: u64,
    /// Why the last attempt failed.
    pub failure: Option<String>,
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A gate, as it stood then.
    Gate(ToldGate),
    /// A change of the rules that waits for a second person.
    Proposal(ToldProposal),
}

impl About {
    /// Returns the gate, if it is one.
    pub const fn gate(&self) -> Option<&ToldGate> {
        match self {
            Self::Gate(gate) => Some(gate),
            Self::Proposal(_) => None,
        }
    }

    /// Returns its identifier: messages about the same thing keep their order.
    pub const fn subject(&self) -> &[u8; 16] {
        match self {
            Self::Gate(gate) => gate.id.as_bytes(),
            Self::Proposal(proposal) => proposal.id.as_bytes(),
        }
    }
}

/// What is told of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldProposal {
    /// The proposal.
    pub id: ProposalId,
    /// What would be sealed, such as `policy_activated`.
    pub proposes: Name,
    /// For what: `tenant`, `team` or `workflow`.
    pub scope: Name,
    /// Of which name; `None` for a tenant.
    pub scope_name: Option<Name>,
    /// When it was made.
    pub opened_at: UnixMillis,
    /// Until when it can be confirmed.
    pub deadline: UnixMillis,
}

/// A message about a proposal that is made, for some recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TellProposal {
    /// What happened to it.
    pub kind: Name,
    /// As in [`ToldProposal`].
    pub proposes: Name,
    /// As in [`ToldProposal`].
    pub scope: Name,
    /// As in [`ToldProposal`].
    pub scope_name: Option<Name>,
    /// Who is told; each gets a row of their own.
    pub to: Vec<Name>,
}

/// A message that waits, and how its gate or proposal stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// The message.
    pub row: OutboxRow,
    /// How it has ended since, or had then; `None` while it is open.
    pub ended: Option<Name>,
}

/// What is told of a gate: [`crate::GateRow`] without the commitment to what approvers are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldGate {
    /// The gate.
    pub id: GateId,
    /// Its instance.
    pub instance: InstanceId,
    /// Its version.
    pub version: u32,
    /// The workflow of the instance.
    pub workflow: WorkflowId,
    /// The team that owns the workflow.
    pub team: TeamId,
    /// Who may decide.
    pub roles: Vec<Role>,
    /// The name of the action that is asked for.
    pub action_name: Name,
    /// When it opened.
    pub opened_at: UnixMillis,
    /// Until when a decision counts.
    pub deadline: UnixMillis,
}

/// Which messages of a recipient may be tried now: of each gate or proposal the first that is neither delivered nor given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxTurn {
    /// The recipient.
    pub recipient: Name,
    /// Messages that are due at this instant.
    pub now: UnixMillis,
    /// Messages that are due after this instant too: nobody waits that long, so a clock has gone back.
    pub latest: UnixMillis,
}

/// What came of trying to deliver one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempted {
    /// It arrived, or need not any more, and is forgotten.
    Delivered {
        /// The message.
        number: u64,
    },
    /// It did not, and is tried again.
    Failed {
        /// The message.
        number: u64,
        /// When.
        due_at: UnixMillis,
        /// Why.
        failure: String,
    },
    /// It did not, and is given up. Messages about the same gate that come after it no longer wait for it.
    Dead {
        /// The message.
        number: u64,
        /// Whether it was tried once more before that.
        tried: bool,
        /// Why.
        failure: String,
    },
}

/// Which dead letters are meant; all members that are given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// Those of one recipient.
    pub recipient: Option<Name>,
    /// One message.
    pub number: Option<u64>,
}

/// A message that counts against how often a recipient is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// When it was told.
    pub at: UnixMillis,
    /// From when on it still counts: what is older is forgotten.
    pub since: UnixMillis,
}

/// How many messages one recipient has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxCount {
    /// The recipient.
    pub recipient: Name,
    /// How many wait.
    pub waiting: u64,
    /// Since when the oldest of them waits.
    pub oldest: Option<UnixMillis>,
    /// How many were given up.
    pub dead: u64,
}

/// An open gate of which somebody is to be reminded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueReminder {
    /// The tenant.
    pub tenant: TenantId,
    /// The gate.
    pub gate: GateId,
    /// Its version.
    pub version: u32,
    /// The workflow of the instance.
    pub workflow: WorkflowId,
    /// The team that owns the workflow.
    pub team: TeamId,
    /// When its present stage began.
    pub since: UnixMillis,
    /// Until when a decision counts.
    pub deadline: UnixMillis,
    /// When the reminder was due.
    pub due: UnixMillis,
}

/// A reminder that is written, unless the gate has moved or closed, or another one was faster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminded {
    /// The gate and its reminder, as they were found.
    pub found: DueReminder,
    /// When the next one is due, if there is one.
    pub next: Option<UnixMillis>,
    /// The messages.
    pub tell: Vec<Tell>,
}

impl Store {
    /// Returns the messages of a recipient that may be tried now, in the order of their commits: of each gate or proposal the first one only.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn outbox(&self, turn: OutboxTurn, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.outbox(turn, limit).await,
            Self::Postgres(store) => store.outbox(turn, limit).await,
        }
    }

    /// Returns the messages of a recipient that wait, in the order of their commits, whether they are due or not, and how what they are
    /// about stands at `now`.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn gathered(
        &self,
        recipient: &Name,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<Gathered>, StoreError> {
        match self {
            Self::Sqlite(store) => store.gathered(recipient.clone(), now, limit).await,
            Self::Postgres(store) => store.gathered(recipient.clone(), now, limit).await,
        }
    }

    /// Returns how many messages were counted for a recipient after `since` and up to `now`.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn told(
        &self,
        recipient: &Name,
        since: UnixMillis,
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(store) => store.told(recipient.clone(), since, now).await,
            Self::Postgres(store) => store.told(recipient.clone(), since, now).await,
        }
    }

    /// Keeps what came of trying to deliver messages of a recipient, under its [`crate::Duty::Courier`], and counts one against how often
    /// it is told. Of those given up the newest [`DEAD_MAX`] stay. Returns false, and keeps nothing, when another holder has taken the duty
    /// over: that one delivers the messages once more.
    ///
    /// # Errors
    /// See [`StoreError`]; asked again it counts attempts and the message twice, and does nothing else more.
    pub async fn settle_outbox(
        &self,
        held: &Held,
        attempted: Vec<Attempted>,
        counted: Option<Counted>,
    ) -> Result<bool, StoreError> {
        let recipient = held.recipient()?.clone();
        match self {
            Self::Sqlite(store) => store.settle_outbox(held.clone(), recipient, attempted, counted).await,
            Self::Postgres(store) => store.settle_outbox(held.clone(), recipient, attempted, counted).await,
        }
    }

    /// Gives up the messages of a recipient that wait since this instant or longer, and returns how many. `failure` is why, where none has
    /// been tried.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn give_up(
        &self,
        recipient: &Name,
        queued_before: UnixMillis,
        failure: &str,
    ) -> Result<usize, StoreError> {
        match self {
            Self::Sqlite(store) => store.give_up(recipient.clone(), queued_before, failure.to_owned()).await,
            Self::Postgres(store) => {
                store.give_up(recipient.clone(), queued_before, failure.to_owned()).await
            }
        }
    }

    /// Returns messages of a tenant that were given up and have a number above `after`, from the oldest.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn dead_letters(
        &self,
        tenant: &TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        match self {
            Self::Sqlite(store) => store.dead_letters(tenant.clone(), after, limit).await,
            Self::Postgres(store) => store.dead_letters(tenant.clone(), after, limit).await,
        }
    }

    /// Lets messages that were given up wait again, as if they were new, and returns how many.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn retry_dead(
        &self,
        tenant: &TenantId,
        which: DeadLetters,
        now: UnixMillis,
    ) -> Result<usize, StoreError> {
        match self {
            Self::Sqlite(store) => store.retry_dead(tenant.clone(), which, now).await,
            Self::Postgres(store) => store.retry_dead(tenant.clone(), which, now).await,
        }
    }

    /// Forgets the messages of all recipients but these, and returns how many there were.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn forget_recipients(&self, keep: Vec<(TenantId, Name)>) -> Result<usize, StoreError> {
        match self {
            Self::Sqlite(store) => store.forget_recipients(keep).await,
            Self::Postgres(store) => store.forget_recipients(keep).await,
        }
    }

    /// Returns how many messages each recipient has that has any. Walks the table: for metrics, not for requests.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn outbox_counts(&self) -> Result<Vec<OutboxCount>, StoreError> {
        match self {
            Self::Sqlite(store) => store.outbox_counts().await,
            Self::Postgres(store) => store.outbox_counts().await,
        }
    }

    /// Returns open gates whose reminder is due and whose deadline is not, of all tenants, the longest overdue first.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn due_reminders(&self, now: UnixMillis, limit: usize) -> Result<Vec<DueReminder>, StoreError> {
        match self {
            Self::Sqlite(store) => store.due_reminders(now, limit).await,
            Self::Postgres(store) => store.due_reminders(now, limit).await,
        }
    }

    /// Writes reminders, each with its messages and the next one, and returns how many were written: a gate that has moved, closed or
    /// been reminded of meanwhile is left alone.
    ///
    /// # Errors
    /// See [`StoreError`]; may be asked again, since doing it twice does nothing more.
    pub async fn remind(&self, reminded: Vec<Reminded>) -> Result<usize, StoreError> {
        match self {
            Self::Sqlite(store) => store.remind(reminded).await,
            Self::Postgres(store) => store.remind(reminded).await,
        }
    }
}
