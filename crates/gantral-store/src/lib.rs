//! The ledger: append-if-head-is, with everything that must commit together.
//!
//! One call, [`Store::append`], is the only way to write the authority of an instance: sealed artifacts, the index row of their instance,
//! gates, grants, runner tasks, outbox messages and the idempotency row are one durable transaction, all or none. The
//! store knows opaque bytes and index columns. It decides nothing, retries nothing, and shows no SQL: what a state
//! means, and whether a move is lawful, is decided before it is asked.

mod append;
mod archive;
mod backup;
mod candidates;
mod changes;
mod columns;
mod commits;
mod copying;
mod decoded;
mod duty;
mod effect;
mod enrolments;
mod error;
pub mod fault;
mod governance;
mod log;
mod outbox;
mod packed;
mod page;
mod postgres;
mod proposals;
mod retention;
mod rows;
mod serving;
mod sessions;
mod spending;
mod sqlite;
mod store;
mod unobserved;
mod usage;

pub use append::{
    ARTIFACTS_MAX, Append, AppendOutcome, EFFECTS_MAX, ENVELOPE_BYTES_MAX, Head, IdempotencyAnswer,
    IdempotencyLookup, IdempotencyRow, IdempotencyScope, InstanceIndex, ModeCode, NewArtifact,
    SCOPE_BYTES_MAX, SNAPSHOT_BYTES_MAX, SealedArtifact, StateCode,
};
pub use archive::{ARCHIVED_MAX, ArchiveStep, ArchivedObject, NumberedArtifact, SEALED_PAGE_MAX};
pub use backup::{BackedUp, BackupError, Examined, back_up, examine};
pub use candidates::{CANDIDATES_MAX, CandidateOutcome, CandidateScope, PolicyCandidate};
pub use changes::{Change, Changes, Newest, Wake};
pub use commits::{COMMITS_MAX, Commit, Kept};
pub use copying::{
    Copied, CopiedChain, CopiedObject, CopiedTable, Copy, CopyCheck, CopyError, CopyStep, copy,
};
pub use duty::{Duties, Duty, DutyTaken, Held, Holder, LEASE, OnDuty};
pub use effect::{Effect, GateRow, Guard};
pub use enrolments::{ENROLMENT_WAITS, ENROLMENTS_MAX, EnrolmentOutcome, NewEnrolment, StoredEnrolment};
pub use error::{ConnectError, OpenError, StoreError};
pub use governance::{GovernanceAppend, GovernanceEffect, GovernanceOutcome};
pub use log::{
    ChainId, CommittedArtifact, CommittedPage, CommittedSeal, DamagedArtifact, FollowedLog, HeldLog,
    LOG_PAGE_BYTES_MAX, LOG_PAGE_MAX, LogClaim, LogGrowth, LogHold, LogLink, LogResume, LogRow, LogSwap,
    SwapOutcome,
};
pub use outbox::{
    About, Addressee, Attempted, Counted, DEAD_MAX, DeadLetters, DueReminder, Gathered, OutboxCount,
    OutboxRow, OutboxTurn, Reminded, Tell, TellProposal, ToldGate, ToldProposal,
};
pub use page::{
    CHAIN_PAGE_MAX, Cursor, CursorError, FILTER_NAMES_MAX, GateFilter, InstanceFilter, PAGE_MAX, Page,
};
pub use postgres::inspect::{DatabaseReport, inspect as inspect_postgres};
pub use postgres::{CONNECTIONS, Password, PostgresOptions, PostgresStore};
pub use proposals::{
    NewProposal, ProposalEnd, ProposalEnding, ProposalOutcome, ProposalReason, StoredProposal,
};
pub use retention::{ContentErased, ENDED_PAGE_MAX, EndedPage};
pub use rows::{
    Closing, GrantRow, InstanceRow, LeaseRow, PolicyArchive, PolicyBundleRow, PolicySignature, PutOutcome,
    Snapshot, SnapshotContent, SnapshotPlace, StoreCounts, StoredGate, TaskFilter, TaskRow, WorkflowRow,
};
pub use serving::ServingKeys;
pub use sessions::{SESSIONS_MAX, SessionRow};
pub use spending::{AMOUNT_MAX, RULES_MAX, RULES_TOLD_FOR, Spending, Total, Totals};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::{LEDGER, Store};
pub use unobserved::{UNOBSERVED_MAX, Unobserved};
pub use usage::{Room, Usage};
