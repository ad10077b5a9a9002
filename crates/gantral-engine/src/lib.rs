//! Load, decide, seal, append: the only writer of authority.
//!
//! The engine knows no HTTP, no SQL and no wall clock; instants and randomness come in as values. Nothing waits in
//! memory: whatever is answered is durable, and whatever failed has not moved.

mod actors;
mod advice;
mod answer;
mod asks;
mod attempts;
mod authority;
mod beside;
mod calls;
pub mod checkpoints;
mod commit;
mod create;
mod decisions;
mod effects;
mod engine;
mod error;
mod export;
mod fresh;
mod governance;
mod handover;
mod journal;
mod loaded;
mod mode_lease;
mod notice;
mod notified;
mod orchestration;
mod passkeys;
pub mod policy_input;
pub mod policy_point;
mod precedents;
pub mod rebuild;
mod recorded;
mod refold;
mod registry;
mod repeat;
mod retention;
mod search;
mod shadow;
mod snapshot;
mod tenant_limits;
mod tick;
mod totals;
mod view;
mod weighing;
mod window;

pub use advice::AskFacts;
pub use answer::{Answer, Done, Receipt};
pub use asks::{AskCursor, AskCursorError};
pub use attempts::Task;
pub use authority::{AskRequest, OutcomeReport};
pub use beside::SignedBeside;
pub use calls::{BegunAction, CALL_LEASE, Called, NewCall, Provenance, REFUSAL_REMEMBERED};
pub use create::NewInstance;
pub use decisions::{DecisionRequest, JUSTIFICATION_BYTES_MAX, Reconciliation};
pub use engine::{Call, Engine, EngineConfig, PolicyDemand, Ports, RequestKey, state_code, state_of};
pub use error::EngineError;
pub use export::Export;
pub use fresh::Fresh;
pub use governance::{
    Activation, DELEGATION_LONGEST_DEFAULT, DelegationView, EXPIRES_DEFAULT, EnrolmentRequest,
    EnrolmentStanding, EnrolmentView, FourEyes, FourEyesRules, Freeze, GovernanceReceipt, Governor,
    ModeInForce, NewDelegation, OPEN_DEFAULT, PolicyInForce, ProposalStanding, ProposalView, ProposerReceipt,
    Ruled, Unfreeze,
};
pub use handover::Handed;
pub use journal::Remembered;
pub use mode_lease::SignedModeLease;
pub use notice::{NoticeKind, Recipient, Recipients};
pub use notified::NotifiedMember;
pub use orchestration::Course;
pub use passkeys::{NewPasskey, Passkeys, ToSign};
pub use precedents::Precedent;
pub use recorded::{Recorded, RecordedAsk, RecordedGate, RecordedPage};
pub use refold::Refold;
pub use registry::Applied;
pub use retention::{Retained, Retention};
pub use shadow::{ObservedAsk, ObservedPage};
pub use snapshot::Opened;
pub use tenant_limits::TenantLimits;
pub use tick::Ticked;
pub use view::{GateFacts, GateOutline, InstanceFacts, Moved};
pub use window::{SignedWindow, WINDOW_INSTANCES_MAX};
