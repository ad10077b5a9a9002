//! The nine states, the events that are sealed, and the kinds of actor. Source: `spec/states.md` §1 to §3.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of the specification.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the word that artifacts and answers carry.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Finds the value of a word; `None` for any other text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Where the authority of one instance stands.
    State {
        /// The instance exists; no authority has been exercised.
        Created = "CREATED",
        /// Execution is permitted under the current authority.
        Running = "RUNNING",
        /// The hard gate: authority is absent and nothing may run.
        WaitingForHuman = "WAITING_FOR_HUMAN",
        /// A human authorised the action as asked.
        Approved = "APPROVED",
        /// Authority was refused; the instance must end.
        Rejected = "REJECTED",
        /// A human authorised a changed action.
        Overridden = "OVERRIDDEN",
        /// Authority was granted and a fresh attempt is assigned.
        Resumed = "RESUMED",
        /// Ended well, under valid authority.
        Completed = "COMPLETED",
        /// Ended by rejection, error or denial.
        Terminated = "TERMINATED",
    }
}

impl State {
    /// Tells whether nothing can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Terminated)
    }

    /// Tells whether a human's grant leads here.
    pub const fn grants(self) -> bool {
        matches!(self, Self::Approved | Self::Overridden)
    }
}

words! {
    /// What happened. The first ten are moves; the others are sealed without a move.
    EventKind {
        /// The instance was created.
        Created = "created",
        /// The first attempt attached.
        Started = "started",
        /// Policy or a threshold demands a human.
        HumanRequired = "human_required",
        /// The deciding vote authorised the action as asked.
        Approved = "approved",
        /// The deciding vote authorised a changed action.
        Overridden = "overridden",
        /// A human refused, or the engine closed the gate.
        Rejected = "rejected",
        /// A fresh attempt was assigned after a grant.
        Resumed = "resumed",
        /// The fresh attempt attached.
        Running = "running",
        /// The instance ended well.
        Completed = "completed",
        /// The instance ended otherwise.
        Terminated = "terminated",
        /// An attempt was assigned to an executor.
        AttemptAssigned = "attempt_assigned",
        /// An attempt ended, or its lease was lost.
        AttemptEnded = "attempt_ended",
        /// Policy allowed the action; a grant exists.
        Allowed = "allowed",
        /// The action was observed in shadow mode; no grant exists.
        Observed = "observed",
        /// One of several votes that a gate needs.
        Vote = "vote",
        /// Nobody answered in time; others are asked.
        Escalated = "escalated",
        /// An eligible approver extended the deadline.
        Extended = "extended",
        /// A grant was used up: the action may start.
        Consumed = "consumed",
        /// What came of a consumed grant, as claimed.
        Outcome = "outcome",
        /// A human settled an unknown outcome.
        Reconciled = "reconciled",
        /// The policy evaluator failed; the failure was resolved.
        EvaluatorFailed = "evaluator_failed",
    }
}

words! {
    /// The kind of an actor, from issuer and client configuration, never from a claim.
    ActorKind {
        /// A person.
        Human = "human",
        /// An agent or another program that asks.
        Workload = "workload",
        /// A program that executes attempts.
        Runner = "runner",
        /// The engine itself, when time or a lost lease is the cause.
        System = "system",
    }
}

words! {
    /// Whether answers are enforced.
    Mode {
        /// Without a grant nothing may happen.
        Enforce = "ENFORCE",
        /// Observe only: the agent proceeds, and no grant ever exists.
        Shadow = "SHADOW",
    }
}

words! {
    /// Why an instance or a gate ended.
    Cause {
        /// Policy denied the action.
        Denied = "denied",
        /// The attempt failed, or there are no attempts left.
        Failed = "failed",
        /// An administrator cancelled.
        Cancelled = "cancelled",
        /// A grant or the instance outlived its time.
        Expired = "expired",
        /// Nobody decided before the deadline.
        Timeout = "timeout",
        /// The requester withdrew.
        Withdrawn = "withdrawn",
        /// A human rejected the request.
        Rejected = "rejected",
        /// An attempt exited by itself.
        Exited = "exited",
        /// An attempt's lease ended without a word from its executor.
        Lost = "lost",
    }
}

words! {
    /// What a human says at a gate.
    DecisionKind {
        /// Authorise the action as asked.
        Approve = "APPROVE",
        /// Refuse.
        Reject = "REJECT",
        /// Authorise a changed action.
        Override = "OVERRIDE",
    }
}

words! {
    /// What came of a consumed grant, as claimed by who acted.
    OutcomeStatus {
        /// The action took effect.
        Succeeded = "SUCCEEDED",
        /// The action took no effect.
        Failed = "FAILED",
        /// The actor vanished after consuming: nobody knows.
        Unknown = "UNKNOWN",
    }
}

words! {
    /// Who carries an attempt out.
    ExecutorKind {
        /// A runner that starts a fresh process.
        Runner = "runner",
        /// An interceptor in the path of the action.
        Interceptor = "interceptor",
        /// The agent itself: reported as not enforced.
        SelfExecuted = "self",
    }
}

words! {
    /// How strong the evidence of a human decision is, rising.
    HumanEvidence {
        /// A development issuer: never satisfies anything else.
        Development = "development",
        /// The server vouches for the token that it checked.
        Operator = "operator",
        /// An ID token bound to the decision.
        Oidc = "oidc",
        /// The approver's own authenticator signed the decision.
        Webauthn = "webauthn",
    }
}

words! {
    /// What follows a reconciliation.
    NextStep {
        /// The instance may go on with a new attempt.
        Continue = "continue",
        /// The instance ends.
        Terminate = "terminate",
    }
}
