/**
 * The types of the API, written by `scripts/types.mjs` from `api/openapi.json`. Not edited by hand.
 *
 * Numbers that are exact decimals, and documents, are {@link Json}: what does not fit into a `number` is a `bigint` or a `Decimal`.
 */

import type { Decimal, Json, JsonObject } from "./json.js";

/** What is to be done. */
export type Action = {
  /** The declared name of the action. */
  name: Name;
  /** Its parameters. Numbers are exact: they are compared and committed to as decimals, never as doubles. */
  parameters: JsonObject;
  /** What it acts on, 1 to 512 bytes. */
  target: string;
};

/** Who acted: the person id of a human, the client identifier of a workload or runner, `gantral` for the engine. */
export type ActorId = string;

/** The kind of an actor, from issuer and client configuration, never from a claim. */
export type ActorKind = "human" | "workload" | "runner" | "system";

/** Policy allowed the action. */
export type Allowed = {
  /** Until when the action must start, when the ask consumed its grant. */
  act_by?: Time | null | undefined;
  /** What the write sealed. */
  artifacts: Receipt[];
  /** Whether the answer is enforced; false under SHADOW, where every ask is answered so. */
  enforced: boolean;
  /** The grant, while it waits to be consumed. */
  grant?: GrantView | null | undefined;
  /** The grant's identifier, under which an outcome is reported; absent under SHADOW, where no grant ever exists. */
  grant_id?: GrantId | null | undefined;
  /** What would have been answered; only under SHADOW. */
  observed?: ObservedVerdict | null | undefined;
  /** Why, in the policy author's words. Untrusted text. */
  reasons: string[];
};

/** Body of `POST /v1/instances/{id}/authority`: the action, named before it is done. */
export type Ask = {
  /** What is to be done. */
  action: Action;
  /** Further facts for the policy, as claimed by the agent. */
  attributes?: JsonObject | null | undefined;
  /** Consume the grant in the same commit if the answer is ALLOW. */
  consume?: boolean | undefined;
  /** What the action is expected to cost: an exact number in the unit that the policy counts in. */
  cost_estimate?: number | bigint | Decimal | null | undefined;
  /** Who will carry the action out, when `consume` is set. */
  executor?: ExecutorKind | null | undefined;
  /** The step of the workflow, in the agent's words. */
  step?: Name | null | undefined;
  /** What made the agent ask, in a word of the policy contract (`PR`, `INCIDENT`, `PAYMENT`, `OTHER`). */
  trigger?: Name | null | undefined;
};

export type Attach = {
  /** The attempt that the claim named. */
  attempt: number;
} | {
  /** The creating workload runs the next attempt itself. */
  self: true;
};

/** Answer of `POST /v1/instances/{id}/attempts`. */
export type Attached = {
  /** What the write sealed. */
  artifacts: Receipt[];
  /** The attempt. */
  attempt: number;
  /** What the process is given to work on. */
  context: Document;
  /** The grant that this attempt may consume. */
  grant?: GrantView | null | undefined;
  /** A token that is good for this attempt and nothing else. */
  token: string;
  /** When the token ends; a heartbeat renews it. */
  token_expires_at: Time;
};

/** Answer of `POST /v1/instances/{id}/authority`. */
export type AuthorityAnswer = Allowed & {
  answer: "ALLOW";
} | Waiting & {
  answer: "REQUIRE_HUMAN";
} | Denied & {
  answer: "DENY";
};

/** Why an instance or a gate ended. */
export type Cause = "denied" | "failed" | "cancelled" | "expired" | "timeout" | "withdrawn" | "rejected" | "exited" | "lost";

/** Body of `POST /v1/instances/{id}/grants/{grant_id}/consume`. */
export type Consume = {
  /** The action that is about to start; it must be the authorised one. */
  action: Action;
  /** Who carries it out; `self` when absent. */
  executor?: ExecutorKind | null | undefined;
};

/** Answer of `POST /v1/instances/{id}/grants/{grant_id}/consume`. */
export type ConsumeAnswer = Consumed & {
  answer: "ALLOW";
} | Waiting & {
  answer: "REQUIRE_HUMAN";
} | Denied & {
  answer: "DENY";
};

/** A grant was used up. */
export type Consumed = {
  /** Until when the action must have started. */
  act_by: Time;
  /** What the write sealed. */
  artifacts: Receipt[];
  /** Always true. */
  consumed: boolean;
  /** Always true: under SHADOW there is no grant. */
  enforced: boolean;
};

/** Body of `POST /v1/instances`. */
export type CreateInstance = {
  /**
   * The governed call that this instance is for: while it is open, a retry of the same call by the same caller in the
   * same session is answered `call_key_taken` with the instance to join.
   */
  call?: Action | null | undefined;
  /** What the process is to work on; handed to the first attempt in its context. */
  input?: JsonObject | null | undefined;
  /** The instance on whose behalf a sub-agent works. */
  parent?: ParentRef | null | undefined;
  /** The session that this instance belongs to. */
  session_id?: SessionId | null | undefined;
  /** What set it off, in a word of the policy contract (`PR`, `INCIDENT`, `PAYMENT`, `OTHER`). */
  trigger?: Name | null | undefined;
  /** Its version; the active one when absent. */
  version?: Name | null | undefined;
  /** The workflow. */
  workflow: WorkflowId;
};

/** Answer of `POST /v1/instances`. */
export type Created = {
  /** What the write sealed. */
  artifacts: Receipt[];
  /** The new instance. */
  instance: InstanceView;
};

/** Policy denied the action. */
export type Denied = {
  /** What the write sealed. */
  artifacts: Receipt[];
  /** Always true: under SHADOW nothing is denied. */
  enforced: boolean;
  /** Why, in the policy author's words. Untrusted text. */
  reasons: string[];
  /** The state of the instance: TERMINATED. */
  state: State;
};

/** A SHA-256 digest: 64 lower-case hexadecimal digits. */
export type Digest = string;

/** Any JSON value within 1 MiB and 64 levels; numbers are exact, duplicate members refused. */
export type Document = Json;

/** The body of a write that needs to say nothing: `{}`. */
export type Empty = Record<string, never>;

/** What an artifact records. */
export type EventKind = "created" | "started" | "human_required" | "approved" | "overridden" | "rejected" | "resumed" | "running" | "completed" | "terminated" | "attempt_assigned" | "attempt_ended" | "allowed" | "observed" | "vote" | "escalated" | "extended" | "consumed" | "outcome" | "reconciled" | "evaluator_failed";

/** A reference to captured evidence. */
export type EvidenceItem = {
  /** SHA-256 of its bytes. */
  digest: Digest;
  /** What it is. */
  name: Name;
  /**
   * Where the bytes are kept: `https://`, `s3://`, `file://` or the like, at most 1024 characters. It is sealed and never erased, so it has no
   * user, no query and no fragment, and nothing in it looks like a secret.
   */
  url?: string | null | undefined;
};

/** Who carries an action out; `self` is the agent itself and is reported as not enforced. */
export type ExecutorKind = "runner" | "interceptor" | "self";

/** So many distinct humans who hold one of these roles. */
export type GateGroup = {
  /** Any of these roles counts. */
  any_of: Role[];
  /** How many humans. */
  count: number;
};

/** One request for authority that waits, or waited, for humans. */
export type GateId = string;

/** One stage of a gate: all of its groups must be filled, and every stage before it. */
export type GateStage = {
  /** The groups, all of them needed; one human fills one seat of the whole gate. */
  all_of: GateGroup[];
};

/** Where a gate stands. */
export type GateState = "OPEN" | "APPROVED" | "OVERRIDDEN" | "REJECTED";

/** One gate with everything that an approver must see. */
export type GateView = {
  /** The action that is asked for: exactly what would run. */
  action: Action;
  /** The commitment to that action which the artifacts carry. */
  asked_action_commitment: Digest;
  /** How many characters the justification of such a decision has at least. */
  break_glass_justification_min: number;
  /** Who may decide alone in an emergency. */
  break_glass_roles?: Role[] | undefined;
  /** Why it was refused; present when REJECTED. */
  cause?: Cause | null | undefined;
  /** The snapshot: the exact document that policy evaluated. */
  context: Document;
  /** The commitment to the snapshot which the artifacts carry. */
  context_commitment: Digest;
  /** When the gate escalates or closes. */
  deadline: Time;
  /** Digest of what an approver is shown; sealed with each vote. */
  display_digest: Digest;
  /** The gate. */
  gate_id: GateId;
  /** The instance that asks. */
  instance_id: InstanceId;
  /** How many characters a justification has at least. */
  justification_min: number;
  /** The instant that no extension passes. */
  latest_deadline: Time;
  /** The stage that is open, counted from 0; absent when the gate is closed. */
  open_stage?: number | null | undefined;
  /** When. */
  opened_at: Time;
  /** The policy version that asked. */
  policy_version_id: PolicyVersionId;
  /** Why a human is asked, in the policy author's words. Untrusted text. */
  reasons: string[];
  /** The rejections that were counted so far. They stand for as long as the gate is open. */
  rejections: VoteView[];
  /** Who asked. */
  requested_by: ActorId;
  /** On whose behalf, from the outermost on. */
  requester: RequesterView[];
  /** How many distinct humans must agree, over all stages. */
  required: number;
  /** The least evidence of a decision: with `webauthn` an approver's own authenticator signs it. */
  required_evidence: HumanEvidence;
  /** How many distinct humans must reject before that refuses; with 1 any rejection is final. */
  required_rejections: number;
  /** Who may decide now. */
  roles: Role[];
  /** Who must agree, stage after stage. */
  stages: GateStage[];
  /** Where it stands. */
  state: GateState;
  /** The owning team. */
  team: TeamId;
  /** Its version; a decision names the version that was seen. */
  version: number;
  /** The votes that count so far. */
  votes: VoteView[];
  /** Its workflow version. */
  workflow: WorkflowRef;
};

/** One permission to act once. */
export type GrantId = string;

/** A permission to do one action once. */
export type GrantView = {
  /** The action as authorised: after an OVERRIDE, as the human changed it. */
  action: Action;
  /** The commitment to that action which the artifacts carry. */
  action_commitment: Digest;
  /** The salt of the commitment; an executor recomputes the commitment before it acts. */
  action_salt: Salt;
  /** When the grant lapses unused. */
  expires_at: Time;
  /** The gate that it came from; absent when policy allowed. */
  gate_id?: GateId | null | undefined;
  /** The grant. */
  grant_id: GrantId;
  /** Whether a human changed the action. */
  overridden: boolean;
};

/** The last artifact of a chain. */
export type Head = {
  /** Its hash. */
  hash: Digest;
  /** Its place, from 0. */
  sequence: number;
};

/** How strong the evidence of a human decision is, rising. */
export type HumanEvidence = "development" | "operator" | "oidc" | "webauthn";

/** One governed execution. */
export type InstanceId = string;

/** One instance as it stands. */
export type InstanceView = {
  /** The newest attempt; 0 before the first. */
  attempt: number;
  /** Why it ended. */
  cause?: Cause | null | undefined;
  /** When it was created. */
  created_at: Time;
  /** When it ends by itself. */
  expires_at: Time;
  /** The gate that is open, or was decided last. */
  gate?: GateView | null | undefined;
  /** The last artifact. */
  head: Head;
  /** The instance. */
  instance_id: InstanceId;
  /** The weakest mode so far. */
  mode: Mode;
  /** What became of consumed grants, in the order of consumption. */
  outcomes: OutcomeView[];
  /** The grant that waits to be used. */
  pending_grant?: GrantView | null | undefined;
  /** On whose behalf, outermost first. */
  requester: RequesterView[];
  /** The session that it belongs to. */
  session_id?: SessionId | null | undefined;
  /** Where its authority stands. */
  state: State;
  /** The owning team. */
  team: TeamId;
  /** When its last artifact was sealed. */
  updated_at: Time;
  /** The workflow version that it executes. */
  workflow: WorkflowRef;
};

/** How much is at stake in a workflow. */
export type Materiality = "LOW" | "MEDIUM" | "HIGH";

/** Whether answers are enforced. */
export type Mode = "ENFORCE" | "SHADOW";

/** The answer of a write that moved, or settled something of, an instance. */
export type Moved = {
  /** What the write sealed, in order. Empty when the command was already in effect. */
  artifacts: Receipt[];
  /** The state after the write. */
  state: State;
};

/** A short name: action, step, queue, version label. */
export type Name = string;

/** What would have been enforced. */
export type ObservedVerdict = {
  /** Who would have been asked; nobody unless the verdict is REQUIRE_HUMAN. */
  roles: Role[];
  /** ALLOW, REQUIRE_HUMAN or DENY. */
  verdict: Verdict;
};

/** What came of an action, as claimed by who acted. */
export type OutcomeStatus = "SUCCEEDED" | "FAILED" | "UNKNOWN";

/** What became of a consumed grant. */
export type OutcomeView = {
  /** What was captured of the action, as the report named it. */
  evidence?: EvidenceItem[] | undefined;
  /** The grant. */
  grant_id: GrantId;
  /** What was reported; absent while the report is owed. */
  status?: OutcomeStatus | null | undefined;
};

/** The artifact of a parent instance that a sub-agent's instance rests on. */
export type ParentRef = {
  /** The hash of the artifact. */
  artifact_hash: Digest;
  /** The parent instance, of the same tenant. */
  instance_id: InstanceId;
};

/** The content digest of a policy bundle. */
export type PolicyVersionId = string;

/** Problem details (RFC 9457). Further members depend on the code and are named on its page. */
export type Problem = {
  /** The stable code. */
  code: "unauthenticated" | "token_rejected" | "forbidden" | "certificate_required" | "not_found" | "method_not_allowed" | "invalid_body" | "unsupported_media_type" | "invalid_parameter" | "idempotency_key_missing" | "idempotency_key_reused" | "body_too_large" | "too_many_requests" | "rate_exceeded" | "instances_full" | "storage_full" | "instance_ended" | "wrong_state" | "stale_attempt" | "attempt_inactive" | "attempt_alive" | "gate_unknown" | "already_decided" | "gate_moved" | "deadline_passed" | "self_approval" | "not_eligible" | "already_voted" | "evidence_too_weak" | "action_mismatch" | "action_invalid" | "action_undeclared" | "secret_inline" | "evidence_refused" | "grant_unusable" | "grant_expired" | "grant_not_released" | "release_not_immediate" | "action_changed" | "evaluator_failed" | "nobody_eligible" | "not_orchestrated" | "frozen" | "outcome_unknown" | "outcome_not_owed" | "outcome_open" | "not_creator" | "extension_out_of_range" | "too_many_events" | "lease_lost" | "call_key_taken" | "conflict" | "workflow_unknown" | "workflow_invalid" | "workflow_version_exists" | "policy_unknown" | "policy_rejected" | "rule_refused" | "policy_unsigned" | "policy_signature_bad" | "policy_not_as_signed" | "policy_unpinned" | "candidates_full" | "policy_moved" | "no_policy_before" | "same_person" | "delegation_not_in_force" | "passkey_refused" | "proposal_differs" | "proposal_moved" | "proposal_ended" | "proposals_full" | "approvers_unconfirmed" | "no_active_policy" | "justification_required" | "ledger_unavailable" | "signer_unavailable" | "issuer_unavailable" | "not_ready" | "read_only" | "internal";
  /** What is wrong this time. */
  detail: string;
  /** The API path that was called. */
  instance?: string | undefined;
  /** What can be done about it. */
  remedy: string;
  /** The HTTP status. */
  status: number;
  /** What the code means. */
  title: string;
  /** The page of the code. */
  type: string;
};

/** One artifact that a write made: the caller's receipt. Keep it; it proves what the server promised. */
export type Receipt = {
  /** The signed artifact: a DSSE v1 envelope whose payload is an in-toto statement. */
  envelope: JsonObject;
  /** What happened. */
  event: EventKind;
  /** Its hash. */
  hash: Digest;
  /** Its place in the chain of its instance, from 0. */
  sequence: number;
};

/** Body of `POST /v1/instances/{id}/grants/{grant_id}/outcome` and of `POST /v1/instances/{id}/outcome`. */
export type ReportOutcome = {
  /** What it cost, in minor units. */
  cost?: number | null | undefined;
  /** References to captured evidence, at most 32. */
  evidence?: EvidenceItem[] | undefined;
  /** What the action returned. Committed to, and kept erasable. */
  result?: Document | null | undefined;
  /** SUCCEEDED or FAILED; only the engine says UNKNOWN. */
  status: OutcomeStatus;
};

/** One link of the requester chain: on whose behalf. */
export type RequesterView = {
  /** A name for people, from the identity provider. Not evidence. */
  display?: string | null | undefined;
  /** The person or client. */
  id: ActorId;
  /** Its kind. */
  kind: ActorKind;
  /** The human who owns a workload. */
  owner?: ActorId | null | undefined;
};

/** A role that a human holds or a gate asks for. */
export type Role = string;

/** The salt of a commitment: 32 random bytes as hexadecimal digits. */
export type Salt = string;

/** A session that ties the instances of one agent run together. */
export type SessionId = string;

/** Where the authority of an instance stands. */
export type State = "CREATED" | "RUNNING" | "WAITING_FOR_HUMAN" | "APPROVED" | "REJECTED" | "OVERRIDDEN" | "RESUMED" | "COMPLETED" | "TERMINATED";

/** A team that owns workflows. */
export type TeamId = string;

/** An instant in UTC, always with milliseconds: `YYYY-MM-DDThh:mm:ss.sssZ`. */
export type Time = string;

/** What policy advises. */
export type Verdict = "ALLOW" | "REQUIRE_HUMAN" | "DENY";

/** One vote, or rejection, that counts. */
export type VoteView = {
  /** When. */
  at?: Time | null | undefined;
  /** The human. */
  person: ActorId;
  /** The role under which the vote was given. */
  role: Role;
};

/** A gate is open. */
export type Waiting = {
  /** What the write sealed. */
  artifacts: Receipt[];
  /** Always true: under SHADOW nobody is asked. */
  enforced: boolean;
  /** When the gate escalates or closes. */
  expires_at: Time;
  /** The gate. */
  gate_id: GateId;
  /** Why, in the policy author's words. Untrusted text. */
  reasons: string[];
  /** Who may decide now. */
  roles: Role[];
  /** WAITING_FOR_HUMAN. */
  status: State;
  /** Where a human decides. */
  url: string;
};

/** The name of a workflow. */
export type WorkflowId = string;

/** A workflow version, as artifacts name it. */
export type WorkflowRef = {
  /** `workflow_version_id`: the digest of the definition. */
  digest: Digest;
  /** The workflow. */
  id: WorkflowId;
  /** How much is at stake. */
  materiality: Materiality;
  /** The version label of its owner. */
  version: Name;
};
