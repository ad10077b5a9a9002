//! What may be asked of an instance, and the refusals that answer what may not be.
//!
//! Source: `spec/states.md` §5.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::digest::Digest;
use crate::event::{Asked, Executor, Granted, Outcome, PolicyRecord, Reconciled};
use crate::ids::{ActorId, AttemptNo, GateId, GrantId, Role};
use crate::policy::{EvalFailure, PolicyVersionId};
use crate::rule::GatePlan;
use crate::state::{ActorKind, DecisionKind, Mode, State};
use crate::time::{DurationMs, UnixMillis};

/// What policy and floors make of one action, ready to be enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What is recorded: version, engine, commitments, the verdict after floors and failure matrix.
    pub policy: PolicyRecord,
    /// The gate that a REQUIRE_HUMAN means; absent for other verdicts.
    pub plan: Option<GatePlan>,
}

/// An ask: the action is named before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The asking attempt.
    pub attempt: AttemptNo,
    /// A fresh gate, with the commitments of action and context; used when humans must decide.
    pub gate: Asked,
    /// A fresh grant; used when policy allows.
    pub grant: GrantId,
    /// How long a grant lasts.
    pub grant_lifetime: DurationMs,
    /// What policy says.
    pub advice: Advice,
    /// The mode that is active for this scope.
    pub mode: Mode,
    /// When the answer is ALLOW, consume in the same commit.
    pub consume: Option<Consumer>,
}

/// Who would consume, and against which guards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Who executes the action.
    pub executor: Executor,
    /// How long the action may take to start.
    pub act_within: DurationMs,
    /// The head of the governance chain that was checked.
    pub governance_head: Option<Digest>,
    /// The freeze epoch that was checked.
    pub freeze_epoch: u64,
}

/// The use of a grant. It is enforced whatever mode is active by now: the grant came from an enforced answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consume {
    /// The consuming attempt.
    pub attempt: AttemptNo,
    /// The grant.
    pub grant: GrantId,
    /// Commitment of the action that is about to start.
    pub action: Digest,
    /// Commitment of the input that was evaluated under the version in force, for a gate that it may open.
    pub context: Digest,
    /// The evaluation under the gate's own version, when that is another than the current one.
    pub under_gate: Option<UnderGate>,
    /// The evaluation under the version in force.
    pub under_current: Advice,
    /// Who executes.
    pub consumer: Consumer,
    /// A fresh gate, used when the votes do not suffice.
    pub gate: GateId,
}

/// An evaluation under the version that a gate was asked under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderGate {
    /// What it came to.
    pub advice: Advice,
    /// Commitment of the input that was evaluated, for a gate that it may open.
    pub context: Digest,
}

/// How an attempt is assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Who executes.
    pub executor: Executor,
    /// Commitment of the bytes handed over.
    pub context: Digest,
    /// How long the first lease lasts.
    pub lease: DurationMs,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptEnd {
    /// Its process exited with this status; negative for a signal.
    Exited(i32),
    /// Its lease ended without a word.
    Lost,
}

/// A command to an instance. Every value of it was authenticated and validated before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Assign the next attempt.
    Assign(Assignment),
    /// The assigned attempt's process is about to start.
    Attach {
        /// The attempt.
        attempt: AttemptNo,
    },
    /// Ask for authority.
    Ask(Box<Ask>),
    /// Decide at a gate; the grant is used when the vote is the deciding one.
    Decide(Box<Granted>),
    /// The creator withdraws what waits.
    Withdraw,
    /// An administrator cancels.
    Cancel,
    /// An eligible approver extends the deadline.
    Extend {
        /// The gate.
        gate: GateId,
        /// The version that was seen.
        gate_version: u32,
        /// The new deadline.
        deadline: UnixMillis,
    },
    /// Use a grant.
    Consume(Box<Consume>),
    /// Report an outcome: the attempt that consumed, or under SHADOW the newest one.
    Report {
        /// The attempt that reports.
        attempt: AttemptNo,
        /// What it says.
        outcome: Outcome,
    },
    /// Settle an unknown outcome.
    Reconcile(Reconciled),
    /// An attempt ended.
    EndAttempt {
        /// The attempt.
        attempt: AttemptNo,
        /// How.
        end: AttemptEnd,
        /// Whether another attempt may follow a lost one.
        may_retry: bool,
    },
    /// The attempt itself says that all is done.
    Complete {
        /// The attempt.
        attempt: AttemptNo,
    },
    /// The attempt itself says that it cannot go on.
    Fail {
        /// The attempt.
        attempt: AttemptNo,
    },
}

/// Why a command was refused. Nothing has moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The instance has ended.
    #[error("the instance has ended: {state}")]
    Ended {
        /// Its final state.
        state: State,
    },
    /// This kind of actor may never do this.
    #[error("a {kind} may not do this")]
    WrongActor {
        /// The kind.
        kind: ActorKind,
    },
    /// The instance has outlived its time; it ends as soon as nothing is owed.
    #[error("the instance expired at {at}")]
    InstanceExpired {
        /// When.
        at: UnixMillis,
    },
    /// The command does not fit the state.
    #[error("not possible in state {state}")]
    WrongState {
        /// The state.
        state: State,
    },
    /// Another attempt is the newest one.
    #[error("attempt {attempt} is not the newest: {newest} is")]
    StaleAttempt {
        /// The attempt that called.
        attempt: AttemptNo,
        /// The newest.
        newest: AttemptNo,
    },
    /// The attempt ended, was retired by a gate, or never attached.
    #[error("attempt {attempt} may not act: it has ended, was retired by a gate or has not attached")]
    AttemptInactive {
        /// The attempt.
        attempt: AttemptNo,
    },
    /// The previous attempt still lives.
    #[error("attempt {attempt} has not ended and its lease still runs")]
    AttemptAlive {
        /// The attempt that lives.
        attempt: AttemptNo,
    },
    /// Another gate than the one that is open, or none ever existed.
    #[error("gate `{gate}` is not open on this instance")]
    GateUnknown {
        /// The gate that was named.
        gate: GateId,
    },
    /// Somebody decided before.
    #[error("gate `{gate}` was already decided: {decision} by {by} at {at}")]
    AlreadyDecided {
        /// The gate.
        gate: GateId,
        /// Who decided.
        by: ActorId,
        /// What.
        decision: DecisionKind,
        /// When.
        at: UnixMillis,
    },
    /// The gate moved since it was seen.
    #[error("the gate is at version {current}, the decision names {seen}")]
    GateMoved {
        /// The version that the decision names.
        seen: u32,
        /// The version that it has.
        current: u32,
    },
    /// The deadline has passed.
    #[error("the deadline {deadline} has passed")]
    DeadlinePassed {
        /// The deadline.
        deadline: UnixMillis,
    },
    /// The decider is in the requester chain, or owns part of it.
    #[error("whoever asks, or owns what asks, cannot decide")]
    SelfApproval,
    /// The role is not among those that may decide now.
    #[error("role `{role}` may not decide at this gate now")]
    NotEligible {
        /// The role.
        role: Role,
    },
    /// This person's vote counts already.
    #[error("this person has already voted for this action")]
    AlreadyVoted,
    /// The gate needs stronger evidence of the decision.
    #[error("the gate requires stronger evidence of the decision than was given")]
    EvidenceTooWeak,
    /// The decision is about another action than the gate's.
    #[error("the decision names another action than the gate asks for")]
    ActionMismatch,
    /// The grant does not exist, was used, or lapsed with its attempt.
    #[error("grant `{grant}` cannot be used: it does not exist, was used before, or lapsed")]
    GrantUnusable {
        /// The grant.
        grant: GrantId,
    },
    /// The grant has expired.
    #[error("grant `{grant}` expired at {at}")]
    GrantExpired {
        /// The grant.
        grant: GrantId,
        /// When.
        at: UnixMillis,
    },
    /// The action differs from the one that was authorised.
    #[error("the action is not the one that was authorised")]
    ActionChanged,
    /// Policy could not be evaluated for this consumption.
    #[error("policy could not be evaluated: {failure}")]
    EvaluatorFailed {
        /// The failure.
        failure: EvalFailure,
    },
    /// Nobody would be eligible to decide.
    #[error("policy version {version:?} requires a human and names nobody")]
    NobodyEligible {
        /// The policy version.
        version: PolicyVersionId,
    },
    /// An outcome is unknown: a human must reconcile it first.
    #[error("the outcome of grant `{grant}` is unknown and must be reconciled first")]
    OutcomeUnknown {
        /// The grant.
        grant: GrantId,
    },
    /// There is no such outcome to report or reconcile.
    #[error("grant `{grant}` has no outcome to report by this caller")]
    OutcomeNotOwed {
        /// The grant.
        grant: GrantId,
    },
    /// A consumption has no outcome yet.
    #[error("grant `{grant}` was consumed and its outcome was not reported")]
    OutcomeOpen {
        /// The grant.
        grant: GrantId,
    },
    /// The caller is not who may do this.
    #[error("only the creator may withdraw")]
    NotCreator,
    /// The extension is not possible.
    #[error("a deadline can be moved later only, and not past {latest}")]
    ExtensionOutOfRange {
        /// The latest possible deadline.
        latest: UnixMillis,
    },
    /// The instance has as many events as it may have.
    #[error("the instance has reached its limit of events")]
    TooManyEvents,
    /// The engine's own events break a rule: a defect of this program. Nothing was written.
    #[error("internal: the events of this command break a rule ({fault})")]
    Defect {
        /// The first rule.
        fault: crate::check::Fault,
    },
}

/// What a command leads to: events in order, each with the attempt and mode that it is sealed under.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decided {
    /// The events, all of one append.
    pub events: Vec<crate::event::Entry>,
    /// A refusal that stands although events were sealed: an evaluator failure is recorded, and refuses.
    pub refusal: Option<Refusal>,
}
