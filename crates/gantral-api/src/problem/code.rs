//! The table of codes.

/// Who is at fault. Decides how loudly it is logged and the exit code of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The caller must change something: the request, or when it is sent.
    Caller,
    /// What was presented as proof does not suffice.
    Evidence,
    /// Something around the server is missing, slow or wrongly set up.
    Environment,
    /// A defect of this program.
    Us,
}

impl Fault {
    /// Returns the word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Evidence => "evidence",
            Self::Environment => "environment",
            Self::Us => "us",
        }
    }
}

/// Whether sending the same request again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retry {
    /// The answer will be the same.
    Pointless,
    /// Something else must happen first: look at the present state, then decide anew.
    AfterChange,
    /// Send the same request with the same idempotency key, after a pause.
    SameKey,
}

impl Retry {
    /// Returns the word for pages and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pointless => "pointless",
            Self::AfterChange => "after a change",
            Self::SameKey => "same key",
        }
    }
}

macro_rules! codes {
    ($(
        $variant:ident = $code:literal, $status:literal, $fault:ident, $retry:ident, $title:literal, $remedy:literal;
    )+) => {
        /// A stable error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(
            #[doc = $title]
            $variant,
        )+ }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Returns the code's text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// Finds a code by its text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// Returns the HTTP status that it always has.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// Says who is at fault.
            pub const fn fault(self) -> Fault {
                match self { $(Self::$variant => Fault::$fault,)+ }
            }

            /// Says whether sending the same again can help.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)+ }
            }

            /// Returns what the code means, in one sentence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// Returns what can be done about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
}

codes! {
    Unauthenticated = "unauthenticated", 401, Caller, AfterChange,
        "The request carries no token.",
        "Send `Authorization: Bearer` with a token of a configured issuer.";
    TokenRejected = "token_rejected", 401, Caller, AfterChange,
        "The token was not accepted.",
        "Get a new token from the issuer; check its audience, its expiry and the clock of this machine.";
    Forbidden = "forbidden", 403, Caller, Pointless,
        "The caller may not do this.",
        "Use an identity of the kind, role and team that the route asks for; `GET /v1/me` shows what the server sees.";
    CertificateRequired = "certificate_required", 403, Caller, Pointless,
        "Machines have to show a certificate on this server, and the connection has shown none.",
        "Give the client a certificate of the authority that the server believes: `GANTRAL_CERTIFICATE_FILE`.";
    NotFound = "not_found", 404, Caller, Pointless,
        "There is nothing at this address for this caller.",
        "Check the identifier, and that it belongs to the tenant and team of the token.";
    MethodNotAllowed = "method_not_allowed", 405, Caller, Pointless,
        "The route does not take this method.",
        "Use a method that the OpenAPI document lists for the path.";
    InvalidBody = "invalid_body", 400, Caller, Pointless,
        "The body is not what the route takes.",
        "Correct the member that `path` names; unknown members are refused.";
    UnsupportedMediaType = "unsupported_media_type", 415, Caller, Pointless,
        "The body has a media type that the route does not take.",
        "Send `Content-Type: application/json`, or `application/gzip` for a policy bundle.";
    InvalidParameter = "invalid_parameter", 400, Caller, Pointless,
        "A part of the path or query, or a header, is not what the route takes.",
        "Correct the parameter that `parameter` names.";
    IdempotencyKeyMissing = "idempotency_key_missing", 400, Caller, Pointless,
        "A write needs an idempotency key.",
        "Send `Idempotency-Key` with 1 to 128 visible ASCII characters, a new one for each logical write.";
    IdempotencyKeyReused = "idempotency_key_reused", 422, Caller, Pointless,
        "The idempotency key was used before with another body.",
        "Use a new key for a new write; repeat the very same body to repeat a write.";
    BodyTooLarge = "body_too_large", 413, Caller, Pointless,
        "The body is larger than the route takes.",
        "Send at most 1 MiB of JSON, or 16 MiB for a policy bundle; refer to large data by digest.";
    TooManyRequests = "too_many_requests", 429, Caller, SameKey,
        "The server takes no more requests now.",
        "Wait as long as `Retry-After` says, then send the same request with the same key.";
    RateExceeded = "rate_exceeded", 429, Caller, SameKey,
        "The tenant sends more commands than it may.",
        "Wait as long as `Retry-After` says, then send the same request with the same key.";
    InstancesFull = "instances_full", 409, Caller, AfterChange,
        "As many instances of the tenant are open as may be.",
        "Let some of them end, or cancel what nobody needs: `gantral instances ls` lists them.";
    StorageFull = "storage_full", 409, Caller, AfterChange,
        "As much of the tenant is kept as may be.",
        "Have the operator raise `limits.stored_bytes`; what has begun goes on meanwhile.";
    InstanceEnded = "instance_ended", 409, Caller, Pointless,
        "The instance has ended.",
        "Create a new instance; an ended one never moves again.";
    WrongState = "wrong_state", 409, Caller, AfterChange,
        "The instance is not in a state in which this is possible.",
        "Show the instance, and do what its state allows.";
    StaleAttempt = "stale_attempt", 409, Caller, Pointless,
        "Another attempt is the newest one.",
        "Stop this process: a newer attempt has taken over.";
    AttemptInactive = "attempt_inactive", 409, Caller, Pointless,
        "The attempt has not attached, has ended, or was retired by a gate.",
        "Stop this process; after a gate, exit with status 3 and let a fresh attempt continue.";
    AttemptAlive = "attempt_alive", 409, Caller, AfterChange,
        "The previous attempt still lives.",
        "Wait for its end, or for the end of its lease.";
    GateUnknown = "gate_unknown", 404, Caller, Pointless,
        "The gate is not open on this instance.",
        "List the open gates and use the identifier of one of them.";
    AlreadyDecided = "already_decided", 409, Caller, Pointless,
        "Somebody decided before.",
        "Nothing is left to do: `decided_by` says who decided, what and when.";
    GateMoved = "gate_moved", 409, Caller, AfterChange,
        "The gate has moved since it was seen.",
        "Show the gate again, look at what changed, and decide over its present version.";
    DeadlinePassed = "deadline_passed", 409, Caller, Pointless,
        "The deadline of the gate has passed.",
        "The agent must ask again; a decision after the deadline never counts.";
    SelfApproval = "self_approval", 403, Caller, Pointless,
        "Whoever asks, or owns what asks, cannot decide.",
        "Let another eligible person decide.";
    NotEligible = "not_eligible", 403, Caller, AfterChange,
        "The caller holds no role that may decide at this gate now.",
        "Let somebody with one of the gate's roles decide, or wait for the escalation that adds yours.";
    AlreadyVoted = "already_voted", 409, Caller, Pointless,
        "This person's vote counts already.",
        "Wait for other people's votes; one person counts once.";
    EvidenceTooWeak = "evidence_too_weak", 403, Evidence, AfterChange,
        "The gate requires stronger evidence of the decision.",
        "Decide with the authenticator or login that the gate asks for.";
    ActionMismatch = "action_mismatch", 422, Caller, Pointless,
        "The decision is about another action than the gate's.",
        "APPROVE and REJECT name no action; OVERRIDE names the whole changed action.";
    ActionInvalid = "action_invalid", 422, Caller, Pointless,
        "The action, or a fact about it, does not follow its declaration.",
        "Correct what `detail` names: required parameters present, each of its declared type.";
    ActionUndeclared = "action_undeclared", 422, Caller, Pointless,
        "The workflow does not declare this action or parameter.",
        "Use a declared one, or apply a new version of the workflow that declares it.";
    SecretInline = "secret_inline", 422, Caller, Pointless,
        "Something in the request looks like a secret.",
        "Pass a reference such as `env:NAME` and let the executor resolve it; consider the value as leaked.";
    EvidenceRefused = "evidence_refused", 422, Caller, Pointless,
        "A reference to captured evidence must not be sealed.",
        "Name an address without user, password, query and fragment, or the digest alone; consider what stood there as leaked.";
    GrantUnusable = "grant_unusable", 409, Caller, Pointless,
        "The grant does not exist, was used before, or lapsed.",
        "Do not act; ask anew for what is still to be done.";
    GrantExpired = "grant_expired", 409, Caller, Pointless,
        "The grant has expired.",
        "Do not act; ask anew for what is still to be done.";
    GrantNotReleased = "grant_not_released", 409, Environment, SameKey,
        "The log does not cover the grant yet, or too few witnesses have cosigned.",
        "Do not act; wait as long as `Retry-After` says, then send the same request with the same key.";
    ReleaseNotImmediate = "release_not_immediate", 409, Caller, Pointless,
        "The workflow releases a grant only when the log covers it, so it cannot be consumed with the ask.",
        "Ask without `consume`, and consume the grant afterwards.";
    ActionChanged = "action_changed", 409, Caller, Pointless,
        "The action is not the one that was authorised.",
        "Do not act; consume with exactly the action of the grant, or ask for the changed one.";
    EvaluatorFailed = "evaluator_failed", 503, Environment, AfterChange,
        "Policy could not be evaluated, so nothing was authorised.",
        "Have the operator look at the policy evaluator; the failure is sealed in the chain. Then ask anew.";
    NobodyEligible = "nobody_eligible", 503, Environment, AfterChange,
        "Policy requires a human and names nobody.",
        "Have the policy's author name approver roles, or the workflow's owner name default ones.";
    NotOrchestrated = "not_orchestrated", 409, Environment, AfterChange,
        "This server hands out work by itself.",
        "Start every server with `--orchestrator temporal`, or stop the orchestrator.";
    Frozen = "frozen", 409, Environment, AfterChange,
        "Authority is frozen for this scope.",
        "Do not act; ask an administrator why, and repeat when the freeze is lifted.";
    OutcomeUnknown = "outcome_unknown", 409, Caller, AfterChange,
        "The outcome of an earlier action is unknown.",
        "Have an administrator find out what happened and reconcile it first.";
    OutcomeNotOwed = "outcome_not_owed", 409, Caller, Pointless,
        "There is no outcome for this caller to report or reconcile.",
        "Report once, by the attempt that consumed the grant; reconcile only what is unknown.";
    OutcomeOpen = "outcome_open", 409, Caller, AfterChange,
        "A consumed grant has no outcome yet.",
        "Report what came of it, then repeat.";
    NotCreator = "not_creator", 403, Caller, Pointless,
        "Only the creator of the instance may do this.",
        "Use the identity that created the instance, or have an administrator cancel it.";
    ExtensionOutOfRange = "extension_out_of_range", 422, Caller, Pointless,
        "A deadline can only be moved later, and not past the latest one.",
        "Choose an instant after the present deadline and not after `latest_deadline`.";
    TooManyEvents = "too_many_events", 409, Caller, Pointless,
        "The instance has as many events as it may have.",
        "Continue in a new instance.";
    LeaseLost = "lease_lost", 409, Caller, Pointless,
        "The lease of this attempt is over.",
        "Kill the process of this attempt at once and claim anew.";
    CallKeyTaken = "call_key_taken", 409, Caller, AfterChange,
        "The same call is already open.",
        "Join the instance that `instance_id` names instead of asking twice.";
    Conflict = "conflict", 409, Environment, SameKey,
        "Others moved the instance while this was being decided.",
        "Nothing was written; send the same request with the same key.";
    WorkflowUnknown = "workflow_unknown", 404, Caller, Pointless,
        "There is no such workflow or version.",
        "List the workflows, or apply the definition first.";
    WorkflowInvalid = "workflow_invalid", 422, Caller, Pointless,
        "The definition is not a workflow.",
        "Correct the member that `path` names.";
    WorkflowVersionExists = "workflow_version_exists", 409, Caller, Pointless,
        "This version of the workflow exists with another definition.",
        "Give the changed definition a new version; versions never change.";
    PolicyUnknown = "policy_unknown", 404, Caller, Pointless,
        "There is no such policy version.",
        "Publish the bundle first and use the version that the answer names.";
    PolicyRejected = "policy_rejected", 422, Caller, Pointless,
        "The policy bundle was not accepted.",
        "Correct what `detail` names; `gantral policy test` runs the same checks.";
    RuleRefused = "rule_refused", 422, Caller, Pointless,
        "There is no such standing rule.",
        "Change what `detail` names, or write the rule into the policy by hand.";
    PolicyUnsigned = "policy_unsigned", 422, Caller, Pointless,
        "The policy bundle is not signed, and this server takes signed ones only.",
        "Sign it with a key that the server knows, for example by `opa build --signing-key`, and publish it.";
    PolicySignatureBad = "policy_signature_bad", 422, Evidence, Pointless,
        "The signature of the policy bundle was not accepted.",
        "Sign it with a key, an algorithm and a scope that the server is configured with.";
    PolicyNotAsSigned = "policy_not_as_signed", 422, Evidence, Pointless,
        "A file of the policy bundle is not the one that was signed.",
        "Find out what changed the bundle after it was signed, and publish it as it was signed.";
    PolicyUnpinned = "policy_unpinned", 409, Caller, Pointless,
        "The policy bundle is signed with another revision than its version, so no OPA can be held to it.",
        "Sign it again with what `gantral policy version` prints as its revision.";
    CandidatesFull = "candidates_full", 409, Caller, AfterChange,
        "The tenant has as many policy candidates as it may.",
        "Clear one with `gantral policy candidate clear` first; `gantral policy candidate status` lists them.";
    PolicyMoved = "policy_moved", 409, Caller, AfterChange,
        "Another policy is in force in this scope than you believe.",
        "Look at what `present` names before you change it.";
    NoPolicyBefore = "no_policy_before", 409, Caller, Pointless,
        "No policy was in force in this scope before the present one.",
        "Name the version to put in force instead of rolling back.";
    SamePerson = "same_person", 403, Caller, Pointless,
        "It takes another person than the one who began it.",
        "Let another person confirm it, or lift the freeze; another role or token does not make another person.";
    DelegationNotInForce = "delegation_not_in_force", 403, Caller, AfterChange,
        "The delegation does not carry this decision.",
        "Look at `gantral delegations ls --mine`; decide under a role of your own, or have roles delegated anew.";
    PasskeyRefused = "passkey_refused", 403, Caller, AfterChange,
        "The passkey, or what was said with it, does not count.",
        "Look at `gantral passkeys ls --mine`; sign the statement of this very decision with one that is enrolled.";
    ProposalDiffers = "proposal_differs", 409, Caller, AfterChange,
        "The confirmation names another digest than the proposal has.",
        "Show the proposal, read it, and confirm it with its own digest.";
    ProposalMoved = "proposal_moved", 409, Caller, Pointless,
        "What the proposal is about was changed since it was proposed.",
        "Look at what `changed` says, and propose it anew if it is still wanted.";
    ProposalEnded = "proposal_ended", 409, Caller, Pointless,
        "The proposal is not open any more.",
        "`state` says how it ended, and `ended_by` by whom; propose it anew if it is still wanted.";
    ProposalsFull = "proposals_full", 409, Caller, AfterChange,
        "As many proposals of the tenant are open as may be.",
        "Have one of them confirmed or withdrawn first; `gantral proposals ls` lists them.";
    ApproversUnconfirmed = "approvers_unconfirmed", 409, Caller, AfterChange,
        "The server does not know anybody who could approve.",
        "See to it that somebody holds a role of each entry of `approvers`, then send it with `confirmed`.";
    NoActivePolicy = "no_active_policy", 409, Caller, AfterChange,
        "The workflow has no active policy.",
        "Apply the workflow with a published policy version.";
    JustificationRequired = "justification_required", 422, Caller, Pointless,
        "The decision needs a justification.",
        "Say why, in at least as many characters as `least` names.";
    LedgerUnavailable = "ledger_unavailable", 503, Environment, SameKey,
        "The ledger did not confirm the write.",
        "Nothing is known to be written; send the same request with the same key.";
    SignerUnavailable = "signer_unavailable", 503, Environment, SameKey,
        "The signer did not sign, so nothing was written.",
        "Send the same request with the same key; the operator finds the cause in the log.";
    IssuerUnavailable = "issuer_unavailable", 503, Environment, SameKey,
        "The keys of the identity provider that issued the token cannot be had.",
        "Send the same request again; the operator finds the cause in the log.";
    NotReady = "not_ready", 503, Environment, SameKey,
        "The server is not ready to act.",
        "Wait and send the same request with the same key; `GET /readyz` says what is missing.";
    ReadOnly = "read_only", 503, Environment, AfterChange,
        "The ledger is older than what was published or used of it, so the server only reads.",
        "Have the operator restore the newest ledger; `GET /readyz` says what is ahead of it.";
    Internal = "internal", 500, Us, AfterChange,
        "The server met a defect of its own and did nothing further.",
        "Look at the present state before repeating anything, and report the defect with the request id of the log.";
}

impl Code {
    /// Returns the `type` of a problem with this code: the address of its page.
    pub fn type_uri(self) -> String {
        format!("{}{}", super::TYPE_BASE, self.as_str())
    }
}

impl core::fmt::Display for Code {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}
