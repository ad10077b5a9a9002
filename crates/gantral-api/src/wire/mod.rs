//! What travels over the REST API: every body and every answer of `/v1`, and the limits that bound them.
//!
//! Requests refuse unknown members. Answers may gain members within `v1`, so clients ignore those that they do not
//! know. Ids, digests, times and words are typed by [`Text`] and parsed once, here. Documents whose exact bytes matter
//! (parameters, inputs, results, definitions, envelopes) are [`Document`]s and are never rebuilt from a generic value.
//!
//! Not here: rules. Whether an action is declared or a justification long enough is the engine's matter.

mod attach;
mod attempt;
mod authority;
mod body;
mod call;
mod candidate;
mod definition;
mod delegation;
mod diff;
mod document;
mod gate;
mod governance;
mod grant;
mod instance;
mod issuer;
mod key;
mod login;
mod notification;
mod orchestration;
mod outage;
mod passkey;
mod policy;
mod proposal;
mod runner;
mod service;
mod shadow;
mod standing;
pub mod text;
mod window;
mod workflow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use attach::Attach;
pub use attempt::{Attached, EndAttempt, HeartbeatAnswer};
pub use authority::{
    Allowed, Ask, AuthorityAnswer, Consume, ConsumeAnswer, Consumed, Denied, EvidenceItem, ObservedVerdict,
    ReportOutcome, Waiting,
};
pub use body::{BodyError, read_body};
pub use call::{AskCall, CallAllowed, CallAnswer, CallDenied, CallKept, CallWaiting, SettleCall};
pub use candidate::{NameCandidate, PolicyCandidate, PolicyCandidates};
pub use definition::{
    ActionDefinition, FailureDefinition, FloorsDefinition, OnClosed, OnOutage, OnTimeout,
    ParameterDefinition, RunDefinition, WorkflowDefinition,
};
pub use delegation::{Delegate, DelegationPage, DelegationView, Human, RevokeDelegation};
pub use diff::{AskDiff, DiffFailure, DiffPages, DiffSample, DiffSide, PolicyDiff, Transition};
pub use document::{Document, NotJson};
pub use gate::{
    Assertion, Decide, Decided, Extend, Extended, GateFilter, GateGroup, GateList, GatePage, GateStage,
    GateState, GateSummary, GateView, VoteView,
};
pub use governance::{
    Activate, Erase, Freeze, Freezes, GovernanceEvent, GovernancePage, Governed, PoliciesInForce,
    PolicyInForce, Scope, SetFreeze,
};
pub use grant::{Action, GrantView, OutcomeView};
pub use instance::{
    CreateInstance, Created, Head, InstanceList, InstancePage, InstanceSummary, InstanceView, ParentRef,
    Reconcile, RequesterView, ShowInstance,
};
pub use issuer::{IssuerView, Issuers, RefreshedIssuer, RefreshedIssuers};
pub use key::{IDEMPOTENCY_KEY_BYTES_MAX, IdempotencyKey, KeyError};
pub use login::{LoginToken, LoginView, Logins};
pub use notification::{DeadLetter, DeadLetterGate, DeadLetterPage, RetriedDeadLetters, RetryDeadLetters};
pub use orchestration::{Course, CoursePage, CourseQuery, Dispatch, Release};
pub use outage::{
    CountUnobserved, Counted, ModeLeaseView, UNOBSERVED_ITEMS_MAX, UnobservedCount, UnobservedCounts,
    UnobservedLine, UnobservedQuery,
};
pub use passkey::{
    EnrolPasskey, NewPasskey, Passkey, PasskeyDraft, PasskeyOwner, PasskeyPage, PasskeyRequest, PasskeyState,
    RequestPasskey, RevokePasskey, ToSign,
};
pub use policy::{PolicyPage, PolicyView, PublishedPolicy, SignedBy, TestCounts};
pub use proposal::{ConfirmProposal, Proposal, ProposalPage, ProposalState, ProposalsQuery, ProposedBy};
pub use runner::{Claim, JOURNAL_ITEMS_MAX, JournalHeld, PresentJournal, Task, WaitQuery};
pub use service::{CallerKind, Health, IssuerKey, Keys, Me, StoppedLog};
pub use shadow::{Approvers, ModeInForce, ModesInForce, SetMode, ShadowReport, ShadowReportQuery, ShadowRow};
pub use standing::{ChangedFile, FileChange, ProposeRule, ProposedRule};
pub use text::Text;
pub use window::{AskWindow, WindowView};
pub use workflow::{
    AppliedWorkflow, ApplyWorkflow, MineQuery, PageQuery, WorkflowPage, WorkflowRef, WorkflowSummary,
    WorkflowView,
};

/// The largest JSON request body, in bytes: one document.
pub const BODY_BYTES_MAX: usize = gantral_core::json::DOCUMENT_BYTES_MAX;
/// The largest policy bundle, compressed, in bytes: what a bundle may hold unpacked.
pub const BUNDLE_BYTES_MAX: usize = 16 << 20;
/// The most items of one page.
pub const PAGE_ITEMS_MAX: u32 = 200;
/// The items of one page when the caller does not say.
pub const PAGE_ITEMS_DEFAULT: u32 = 50;
/// The longest cursor, in bytes.
pub const CURSOR_BYTES_MAX: usize = 512;
/// The longest long poll, in seconds: proxies on the way tend to cut connections after a minute.
pub const WAIT_SECONDS_MAX: u64 = 60;
/// The longest free text of a human (justification, reason), in bytes.
pub const PROSE_BYTES_MAX: usize = 16 << 10;
/// The most references to evidence in one outcome.
pub const EVIDENCE_ITEMS_MAX: usize = 32;
/// The most references to evidence that one view of an instance shows, those of the newest outcomes first: the evidence itself has all.
pub const EVIDENCE_SHOWN_MAX: usize = 256;

/// The header that makes a write repeatable.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The media type of error answers (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// One artifact that a write made: the caller's receipt. Keep it; it proves what the server promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// Its place in the chain of its instance, from 0.
    pub sequence: u64,
    /// What happened.
    pub event: text::EventKind,
    /// Its hash.
    pub hash: text::Digest,
    /// The signed artifact: a DSSE v1 envelope whose payload is an in-toto statement.
    #[schema(value_type = Object)]
    pub envelope: Document,
}

/// The body of a write that needs to say nothing: `{}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// The answer of a write that moved, or settled something of, an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moved {
    /// The state after the write.
    pub state: text::State,
    /// What the write sealed, in order. Empty when the command was already in effect.
    pub artifacts: Vec<Receipt>,
}

#[cfg(test)]
mod tests;
