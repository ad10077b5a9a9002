//! The table.

use utoipa::ToSchema;

use super::{Answer, Body, Content, Method, Query, Route, Shape, Who};
use crate::problem::Code;
use crate::wire::{self, text};

const fn json<T: ToSchema>(status: u16, about: &'static str) -> Answer {
    Answer { status, about, content: Content::Json(Shape::of::<T>()) }
}

const fn bytes(media_type: &'static str, about: &'static str) -> Answer {
    Answer { status: 200, about, content: Content::Bytes(media_type) }
}

const fn takes<T: ToSchema>() -> Body {
    Body::Json(Shape::of::<T>())
}

const fn query<T: ToSchema>(name: &'static str, about: &'static str) -> Query {
    Query { name, about, shape: Shape::of::<T>() }
}

const CURSOR: Query = query::<String>("cursor", "`next` of the page before.");
const LIMIT: Query = query::<u32>("limit", "The most items of the page, 1 to 200; 50 when absent.");
const WAIT: Query = query::<text::Duration>(
    "wait",
    "Holds the answer until there is something to say, at most this long (60 s).",
);

const BUNDLE: Answer =
    bytes("application/vnd.openpolicyagent.bundles", "The bundle; `ETag` is its version in quotes.");
const SAME_BUNDLE: Answer = Answer {
    status: 304,
    about: "It is the one that `If-None-Match` names; `Prefer: wait=60` waits for another, at most so many seconds (60).",
    content: Content::None,
};

macro_rules! route {
    (
        $method:ident $path:literal, $id:literal, $tag:literal, [$($who:ident),+], $summary:literal
        $(, query [$($query:expr),+])?, body $body:expr, answers [$($answer:expr),+], refuses [$($code:ident),*]
    ) => {
        Route {
            method: Method::$method,
            path: $path,
            operation_id: $id,
            tag: $tag,
            who: &[$(Who::$who),+],
            summary: $summary,
            query: &[$($($query),+)?],
            body: $body,
            answers: &[$($answer),+],
            refusals: &[$(Code::$code),*],
        }
    };
}

/// Every route, chapter by chapter.
pub const ROUTES: &[Route] = &[
    route!(Get "/v1/me", "showMe", "service", [Tenant], "Shows the caller as the server sees it",
        body Body::None, answers [json::<wire::Me>(200, "The caller.")], refuses []),
    route!(Get "/v1/keys", "listKeys", "service", [Tenant], "Lists the public keys that sign artifacts",
        body Body::None, answers [json::<wire::Keys>(200, "The keys.")], refuses []),
    route!(Get "/v1/openapi.json", "showOpenApi", "service", [Anyone], "Shows this document",
        body Body::None, answers [bytes("application/json", "The document.")], refuses []),
    route!(Get "/healthz", "showHealth", "service", [Anyone], "Says that the process answers",
        body Body::None, answers [json::<wire::Health>(200, "It answers.")], refuses []),
    route!(Get "/readyz", "showReadiness", "service", [Anyone], "Says whether the server may act",
        body Body::None, answers [json::<wire::Health>(200, "It may act.")], refuses []),
    route!(Get "/metrics", "showMetrics", "service", [Anyone], "Shows metrics in the OpenMetrics text format, which Prometheus reads",
        body Body::None, answers [bytes("application/openmetrics-text", "The metrics.")], refuses []),
    route!(Put "/v1/policies", "publishPolicy", "policies", [Admin, Developer],
        "Publishes a policy bundle after checking and testing it",
        body Body::Archive, answers [json::<wire::PublishedPolicy>(201, "The bundle is published.")],
        refuses [PolicyRejected, PolicyUnsigned, PolicySignatureBad, PolicyNotAsSigned, EvaluatorFailed]),
    route!(Get "/v1/policies", "listPolicies", "policies", [Tenant], "Lists policy bundles, newest first",
        query [CURSOR, LIMIT],
        body Body::None, answers [json::<wire::PolicyPage>(200, "One page.")], refuses []),
    route!(Get "/v1/policies/{version}", "fetchPolicy", "policies", [Tenant], "Fetches a policy bundle",
        body Body::None, answers [bytes("application/gzip", "The bundle as published.")], refuses [PolicyUnknown]),
    route!(Get "/v1/policies/{version}/record", "showPolicy", "policies", [Tenant],
        "Shows when a policy bundle was published and who signed it",
        body Body::None, answers [json::<wire::PolicyView>(200, "What is known of it.")], refuses [PolicyUnknown]),
    route!(Post "/v1/policy-diffs", "comparePolicies", "policies", [Admin, Developer],
        "Says what two policies make of recorded asks, and decides nothing",
        body takes::<wire::AskDiff>(), answers [json::<wire::PolicyDiff>(200, "What they make of them.")],
        refuses [PolicyUnknown, PolicyRejected, EvaluatorFailed]),
    route!(Get "/v1/policy-candidates", "listPolicyCandidates", "policies", [Admin, Developer],
        "Says what policies make of the asks that come in beside the ones in force",
        body Body::None, answers [json::<wire::PolicyCandidates>(200, "Those of the caller's scopes.")], refuses []),
    route!(Post "/v1/policy-candidates", "namePolicyCandidate", "policies", [Admin, Developer],
        "Has a published policy evaluated beside the one in force for a scope, or no longer; decides nothing",
        body takes::<wire::NameCandidate>(),
        answers [json::<wire::PolicyCandidates>(200, "Those of the caller's scopes.")],
        refuses [WorkflowUnknown, PolicyUnknown, PolicyUnsigned, PolicyUnpinned, CandidatesFull]),
    route!(Put "/v1/workflows/{id}", "applyWorkflow", "workflows", [Admin, Developer],
        "Registers a workflow version, or activates another policy for it",
        body takes::<wire::ApplyWorkflow>(), answers [json::<wire::AppliedWorkflow>(200, "It is active.")],
        refuses [WorkflowInvalid, WorkflowVersionExists, PolicyUnknown, PolicyUnsigned, PolicyUnpinned,
            SecretInline, Conflict, SignerUnavailable]),
    route!(Get "/v1/workflows", "listWorkflows", "workflows", [Tenant], "Lists workflows by name",
        query [CURSOR, LIMIT],
        body Body::None, answers [json::<wire::WorkflowPage>(200, "One page.")], refuses []),
    route!(Get "/v1/workflows/{id}", "showWorkflow", "workflows", [Tenant], "Shows the active version of a workflow",
        body Body::None, answers [json::<wire::WorkflowView>(200, "The workflow.")], refuses [WorkflowUnknown]),
    route!(Get "/v1/governance", "listGovernance", "governance", [Tenant],
        "Lists the tenant's governance chain from its beginning: activations, freezes, erasures, keys",
        query [CURSOR, LIMIT],
        body Body::None, answers [json::<wire::GovernancePage>(200, "One page.")], refuses []),
    route!(Get "/v1/bundles/tenant", "fetchBundleOfTenant", "policies", [Tenant],
        "Fetches the bundle in force for the tenant, as OPA's bundle service",
        body Body::None, answers [BUNDLE, SAME_BUNDLE], refuses [NoActivePolicy, PolicyUnpinned]),
    route!(Get "/v1/bundles/teams/{team}", "fetchBundleOfTeam", "policies", [Tenant],
        "Fetches the bundle in force for a team, as OPA's bundle service",
        body Body::None, answers [BUNDLE, SAME_BUNDLE], refuses [NoActivePolicy, PolicyUnpinned]),
    route!(Get "/v1/bundles/workflows/{workflow}", "fetchBundleOfWorkflow", "policies", [Tenant],
        "Fetches the bundle in force for a workflow, as OPA's bundle service",
        body Body::None, answers [BUNDLE, SAME_BUNDLE], refuses [WorkflowUnknown, NoActivePolicy, PolicyUnpinned]),
    route!(Get "/v1/activations", "listActivations", "policies", [Tenant],
        "Lists the policies in force, by scope", body Body::None,
        answers [json::<wire::PoliciesInForce>(200, "What is in force.")], refuses []),
    route!(Post "/v1/activations", "activatePolicy", "policies", [Admin, Developer],
        "Puts a policy in force for a scope from the next ask on, or the one before it",
        body takes::<wire::Activate>(), answers [json::<wire::Governed>(200, "It is in force.")],
        refuses [PolicyUnknown, PolicyUnsigned, PolicyUnpinned, PolicyMoved, NoPolicyBefore, WorkflowUnknown, Conflict, SignerUnavailable]),
    route!(Get "/v1/modes", "listModes", "shadow", [Tenant],
        "Lists where what policy says is enforced, and where it is only observed, by scope", body Body::None,
        answers [json::<wire::ModesInForce>(200, "What is in force.")], refuses []),
    route!(Post "/v1/modes", "setMode", "shadow", [Admin, Developer],
        "Says whether what policy says of a scope is enforced or only observed, from the next ask on",
        body takes::<wire::SetMode>(), answers [json::<wire::Governed>(200, "It is in force.")],
        refuses [ApproversUnconfirmed, WorkflowUnknown, Conflict, SignerUnavailable]),
    route!(Get "/v1/workflows/{id}/mode-lease", "fetchModeLease", "shadow", [Tenant],
        "Fetches a signed lease of the modes of a workflow, for clients that no server answers", body Body::None,
        answers [json::<wire::ModeLeaseView>(200, "The lease.")],
        refuses [WorkflowUnknown, Frozen, SignerUnavailable]),
    route!(Post "/v1/unobserved", "countUnobserved", "shadow", [Human, Workload, Attempt],
        "Counts what a client did under a mode lease while no server answered it",
        body takes::<wire::CountUnobserved>(), answers [json::<wire::Counted>(200, "It is counted.")],
        refuses [WorkflowUnknown]),
    route!(Get "/v1/unobserved", "listUnobserved", "shadow", [Human],
        "Lists what clients did while no server answered them, by their own count",
        query [
            query::<text::Time>("from", "Only hours from that of this instant on."),
            query::<text::Time>("to", "Only hours that begin before this instant."),
            query::<text::TeamId>("team", "Only workflows of this team."),
            query::<text::WorkflowId>("workflow", "Only this workflow.")
        ],
        body Body::None, answers [json::<wire::UnobservedCounts>(200, "The counts.")], refuses []),
    route!(Get "/v1/shadow-report", "reportShadow", "shadow", [Human],
        "Counts what would have been answered to asks that were only observed",
        query [
            query::<text::Time>("from", "Only asks that were made from this instant on."),
            query::<text::Time>("to", "Only asks that were made before this instant."),
            query::<text::TeamId>("team", "Only instances of this team."),
            query::<text::WorkflowId>("workflow", "Only instances of this workflow."),
            CURSOR,
            query::<u32>("limit", "The most instances of which asks are on the page, 1 to 200; 50 when absent.")
        ],
        body Body::None, answers [json::<wire::ShadowReport>(200, "One page.")], refuses []),
    route!(Post "/v1/freeze", "setFreeze", "governance", [Admin],
        "Freezes the tenant, or lifts its freeze: while it holds, nothing is assigned, resumed or consumed",
        body takes::<wire::SetFreeze>(), answers [json::<wire::Governed>(200, "It is so.")],
        refuses [Conflict, SignerUnavailable]),
    route!(Get "/v1/issuers", "listIssuers", "identity", [Admin],
        "Lists the identity providers whose keys are fetched, and how it stands with them",
        body Body::None, answers [json::<wire::Issuers>(200, "The providers.")], refuses []),
    route!(Post "/v1/issuers/refresh", "refreshIssuers", "identity", [Admin],
        "Fetches the keys of all identity providers now: a key that one has taken out stops at once",
        body takes::<wire::Empty>(), answers [json::<wire::RefreshedIssuers>(200, "They were asked.")], refuses []),
    route!(Get "/v1/dead-letters", "listDeadLetters", "notifications", [Admin],
        "Lists messages that no webhook took in time, from the oldest",
        query [CURSOR, LIMIT],
        body Body::None, answers [json::<wire::DeadLetterPage>(200, "One page.")], refuses []),
    route!(Post "/v1/dead-letters/retry", "retryDeadLetters", "notifications", [Admin],
        "Lets messages that were given up wait for their webhook again, as if they were new",
        body takes::<wire::RetryDeadLetters>(),
        answers [json::<wire::RetriedDeadLetters>(200, "They wait again.")], refuses []),
    route!(Post "/v1/erasures", "erase", "governance", [Admin],
        "Erases content behind a commitment, or who a person is; every chain still verifies",
        body takes::<wire::Erase>(), answers [json::<wire::Governed>(200, "It is erased.")],
        refuses [Conflict, SignerUnavailable]),
    route!(Post "/v1/instances", "createInstance", "instances", [Workload, Human],
        "Creates an instance; one whose workflow has a command is queued for a runner",
        body takes::<wire::CreateInstance>(), answers [json::<wire::Created>(201, "It exists.")],
        refuses [WorkflowUnknown, NoActivePolicy, SecretInline, CallKeyTaken, Conflict, SignerUnavailable]),
    route!(Get "/v1/instances", "listInstances", "instances", [Tenant], "Lists instances, newest first",
        query [
            query::<text::State>("state", "Only instances in this state."),
            query::<text::TeamId>("team", "Only instances of this team."),
            query::<text::WorkflowId>("workflow", "Only instances of this workflow."),
            query::<text::SessionId>("session", "Only instances of this session."),
            CURSOR,
            LIMIT
        ],
        body Body::None, answers [json::<wire::InstancePage>(200, "One page.")], refuses []),
    route!(Get "/v1/instances/{id}", "showInstance", "instances", [Tenant],
        "Shows an instance; with `wait`, as soon as it has moved past `after`",
        query [WAIT, query::<u64>("after", "The sequence of the last artifact that the caller has seen.")],
        body Body::None, answers [json::<wire::InstanceView>(200, "The instance.")], refuses []),
    route!(Post "/v1/instances/{id}/withdraw", "withdraw", "instances", [Workload, Human],
        "Withdraws what waits for humans; the instance ends",
        body takes::<wire::Empty>(), answers [json::<wire::Moved>(200, "It is withdrawn.")],
        refuses [NotCreator, InstanceEnded, WrongState, OutcomeOpen, Conflict, SignerUnavailable]),
    route!(Post "/v1/instances/{id}/cancel", "cancel", "instances", [Admin], "Ends an instance",
        body takes::<wire::Empty>(), answers [json::<wire::Moved>(200, "It has ended.")],
        refuses [InstanceEnded, WrongState, OutcomeOpen, Conflict, SignerUnavailable]),
    route!(Post "/v1/instances/{id}/complete", "complete", "instances", [Attempt],
        "Says that all is done, for a workload that runs itself",
        body takes::<wire::Empty>(), answers [json::<wire::Moved>(200, "It is completed.")],
        refuses [InstanceEnded, WrongState, StaleAttempt, AttemptInactive, OutcomeOpen, OutcomeUnknown, Conflict,
            SignerUnavailable]),
    route!(Post "/v1/instances/{id}/fail", "fail", "instances", [Attempt],
        "Says that it cannot go on, for a workload that runs itself",
        body takes::<wire::Empty>(), answers [json::<wire::Moved>(200, "It is terminated.")],
        refuses [InstanceEnded, WrongState, StaleAttempt, AttemptInactive, OutcomeOpen, Conflict, SignerUnavailable]),
    route!(Get "/v1/instances/{id}/evidence", "exportEvidence", "instances", [Tenant],
        "Exports the evidence bundle of an instance",
        query [query::<String>("format", "`tar`, the one format of this version and the default.")],
        body Body::None, answers [bytes("application/x-tar", "The bundle, a deterministic archive.")], refuses []),
    route!(Post "/v1/windows", "sayWindow", "instances", [Admin],
        "Says under signature which executions there were in a span of time, at most 10,000",
        body takes::<wire::AskWindow>(), answers [json::<wire::WindowView>(200, "The statement and its list.")],
        refuses [SignerUnavailable]),
    route!(Post "/v1/runner/claims", "claim", "attempts", [Runner],
        "Claims the next attempt of a queue; holds up to `wait` while there is none",
        query [WAIT],
        body takes::<wire::Claim>(),
        answers [
            json::<wire::Task>(200, "An attempt, assigned to the caller."),
            Answer { status: 204, about: "There is none.", content: Content::None }
        ],
        refuses [Frozen, SignerUnavailable, Conflict]),
    route!(Post "/v1/journal", "presentJournal", "attempts", [Runner, Workload],
        "Shows the server receipts that it gave; one that it does not hold makes it read-only",
        body takes::<wire::PresentJournal>(), answers [json::<wire::JournalHeld>(200, "It holds all of them.")],
        refuses []),
    route!(Post "/v1/instances/{id}/attempts", "attach", "attempts", [Runner, Workload],
        "Attaches an attempt: its process is about to start",
        body takes::<wire::Attach>(), answers [json::<wire::Attached>(201, "It is attached.")],
        refuses [InstanceEnded, WrongState, StaleAttempt, AttemptInactive, AttemptAlive, LeaseLost, Frozen,
            GrantExpired, OutcomeUnknown, NotCreator, TooManyEvents, Conflict, SignerUnavailable]),
    route!(Post "/v1/instances/{id}/attempts/{n}/heartbeat", "heartbeat", "attempts", [Runner],
        "Keeps the lease of an attempt, and renews its token",
        body takes::<wire::Empty>(), answers [json::<wire::HeartbeatAnswer>(200, "The lease goes on.")],
        refuses [LeaseLost, StaleAttempt]),
    route!(Post "/v1/instances/{id}/attempts/{n}/end", "endAttempt", "attempts", [Runner],
        "Reports that the process of an attempt has ended",
        body takes::<wire::EndAttempt>(), answers [json::<wire::Moved>(200, "It is recorded.")],
        refuses [InstanceEnded, StaleAttempt, AttemptInactive, LeaseLost, Conflict, SignerUnavailable]),
    route!(Post "/v1/instances/{id}/authority", "ask", "authority", [Attempt],
        "Asks whether an action may be done, before it is done",
        body takes::<wire::Ask>(),
        answers [
            json::<wire::AuthorityAnswer>(200, "ALLOW or DENY."),
            json::<wire::AuthorityAnswer>(202, "REQUIRE_HUMAN: a gate is open.")
        ],
        refuses [InstanceEnded, WrongState, StaleAttempt, AttemptInactive, ActionInvalid, ActionUndeclared,
            SecretInline, EvaluatorFailed, NobodyEligible, NoActivePolicy, OutcomeUnknown, Frozen, LeaseLost,
            ReleaseNotImmediate, TooManyEvents, Conflict, SignerUnavailable]),
    route!(Post "/v1/instances/{id}/grants/{grant_id}/consume", "consume", "authority", [Attempt],
        "Uses a grant up, before the action starts",
        body takes::<wire::Consume>(),
        answers [
            json::<wire::ConsumeAnswer>(200, "ALLOW: it may start; or DENY."),
            json::<wire::ConsumeAnswer>(202, "REQUIRE_HUMAN: the votes do not suffice, a new gate is open.")
        ],
        refuses [InstanceEnded, WrongState, StaleAttempt, AttemptInactive, GrantUnusable, GrantExpired, GrantNotReleased,
            ActionChanged,
            ActionInvalid, ActionUndeclared, SecretInline, EvaluatorFailed, NobodyEligible, NoActivePolicy,
            OutcomeUnknown, Frozen, LeaseLost, TooManyEvents, Conflict, SignerUnavailable]),
    route!(Post "/v1/instances/{id}/grants/{grant_id}/outcome", "reportOutcome", "authority", [Attempt],
        "Reports what came of a consumed grant, also late",
        body takes::<wire::ReportOutcome>(), answers [json::<wire::Moved>(200, "It is recorded.")],
        refuses [InstanceEnded, OutcomeNotOwed, SecretInline, TooManyEvents, Conflict, SignerUnavailable]),
    route!(Post "/v1/instances/{id}/outcome", "reportObserved", "authority", [Attempt],
        "Reports what came of an action that was only observed",
        body takes::<wire::ReportOutcome>(), answers [json::<wire::Moved>(200, "It is recorded.")],
        refuses [InstanceEnded, WrongState, StaleAttempt, SecretInline, TooManyEvents, Conflict, SignerUnavailable]),
    route!(Post "/v1/instances/{id}/grants/{grant_id}/reconcile", "reconcile", "authority", [Admin],
        "Settles an outcome that nobody knows",
        body takes::<wire::Reconcile>(), answers [json::<wire::Moved>(200, "It is settled.")],
        refuses [InstanceEnded, OutcomeNotOwed, JustificationRequired, TooManyEvents, Conflict, SignerUnavailable]),
    route!(Get "/v1/gates", "listGates", "gates", [Human, Workload], "Lists open gates, earliest deadline first",
        query [
            query::<wire::GateFilter>("state", "Only gates that stand so."),
            query::<bool>("mine", "Only gates at which the caller may decide now."),
            CURSOR,
            LIMIT
        ],
        body Body::None, answers [json::<wire::GatePage>(200, "One page.")], refuses []),
    route!(Get "/v1/gates/{gate_id}", "showGate", "gates", [Human, Workload],
        "Shows a gate with everything that an approver must see",
        body Body::None, answers [json::<wire::GateView>(200, "The gate.")], refuses [GateUnknown]),
    route!(Post "/v1/gates/{gate_id}/decisions", "decide", "gates", [Human], "Decides at a gate, or votes",
        body takes::<wire::Decide>(), answers [json::<wire::Decided>(201, "The vote counts.")],
        refuses [GateUnknown, AlreadyDecided, GateMoved, DeadlinePassed, SelfApproval, NotEligible, AlreadyVoted,
            EvidenceTooWeak, ActionMismatch, ActionInvalid, ActionUndeclared, SecretInline, JustificationRequired,
            InstanceEnded, WrongState, TooManyEvents, Conflict, SignerUnavailable]),
    route!(Post "/v1/gates/{gate_id}/extend", "extend", "gates", [Human], "Gives humans more time",
        body takes::<wire::Extend>(), answers [json::<wire::Extended>(200, "The deadline is moved.")],
        refuses [GateUnknown, AlreadyDecided, GateMoved, DeadlinePassed, SelfApproval, NotEligible,
            ExtensionOutOfRange, InstanceEnded, WrongState, TooManyEvents, Conflict, SignerUnavailable]),
];
