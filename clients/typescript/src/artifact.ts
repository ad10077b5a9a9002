/** The commitment artifact (`spec/artifact.md`): what is signed about one authority event. */

import { GantralError } from "./errors.js";
import { instanceTag } from "./hashes.js";
import { isObject, parse, parseCanonical, sameJson, type Json, type JsonObject } from "./json.js";
import { count, digest, flag, instant, integer, list, name, object, orNull, scope, text, uuid4, uuid4or7, uuid7, word, type Shape } from "./shape.js";

/**
 * Why bytes are no artifact that this version reads. The bytes are at fault; equal bytes give an equal code: `artifact_unsupported`
 * where a later version may understand them, `artifact_malformed` otherwise.
 */
export class ArtifactError extends GantralError {
  constructor(
    readonly code: "artifact_unsupported" | "artifact_malformed",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The predicate of an artifact, in the members that a client reads. The others were checked. */
export interface Commitment {
  attempt: number;
  authority_state: string;
  detail: JsonObject;
  event: string;
  instance_id: string;
  issued_at: string;
  log_origin: string;
  mode: "ENFORCE" | "SHADOW";
  prev_artifact_hash: string | null;
  semantics_digest: string;
  sequence: number;
  tenant_id: string;
  workflow: JsonObject;
}

const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE = "https://gantral.dev/commitment/v1";
const ARTIFACT_VERSION = "1.0";
const U32_MAX = 2 ** 32 - 1;
const LIST_MAX = 16;
const ROLES_MAX = 4_096;
const LINKS_MAX = 64;
const EXTENSIONS_MAX = 64;

const STATE = word("CREATED", "RUNNING", "WAITING_FOR_HUMAN", "APPROVED", "OVERRIDDEN", "RESUMED", "REJECTED", "COMPLETED", "TERMINATED");
const VERDICT = word("ALLOW", "REQUIRE_HUMAN", "DENY");
const FAILURE = word(
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "VERSION_MISMATCH",
  "VERSION_UNKNOWN",
  "CONFLICT",
  "UNDEFINED",
  "MALFORMED",
  "EVALUATION",
  "RESOURCE_LIMIT",
);
const CAUSE = word("exited", "lost", "rejected", "timeout", "withdrawn", "cancelled", "expired", "denied", "failed");
const EVIDENCE = word("development", "operator", "oidc", "webauthn");
const ISSUER = text(/^[!-~]{1,256}$/);
const KIND = word("human", "workload", "runner", "system");
const U32 = integer(0, U32_MAX);

const WORKFLOW = object({ digest, id: name, materiality: word("LOW", "MEDIUM", "HIGH"), version: name });
const ACTOR = object({ id: name, issuer: orNull(ISSUER), kind: KIND, role: orNull(name) });
const EXECUTOR = object({ id: name, kind: word("runner", "interceptor", "self") });
const GRANT = object({ expires_at: instant, id: uuid4 });
const POLICY = object({
  decision_commitment: orNull(digest),
  engine: name,
  engine_version: name,
  failure: orNull(FAILURE),
  input_commitment: digest,
  policy_version_id: digest,
  verdict: VERDICT,
});
const ROLES = list(name, 0, LIST_MAX);
const RULE = object(
  {
    break_glass_roles: ROLES,
    distinct: flag,
    required_evidence: EVIDENCE,
    separation: flag,
    stages: list(object({ groups: list(object({ required: integer(0, LIST_MAX), roles: ROLES }), 0, LIST_MAX) }), 0, LIST_MAX),
  },
  // A15: its absence is the only way to say 1.
  { rejections: integer(2, LIST_MAX) },
);
const DECISION = object({
  acts_for: orNull(digest),
  approved_action_commitment: digest,
  asked_action_commitment: digest,
  break_glass: flag,
  decision: word("APPROVE", "OVERRIDE", "REJECT"),
  delegation_hash: orNull(digest),
  directory_entry: orNull(digest),
  display_digest: digest,
  evidence_digest: orNull(digest),
  evidence_type: EVIDENCE,
  gate_id: uuid4or7,
  gate_version: U32,
  justification_commitment: orNull(digest),
  request_artifact_hash: digest,
  role: name,
});

/** A16: scheme, host, port and path, and nothing by which credentials travel. Its absence is the only way to say that no address is known. */
const ADDRESS = text(
  /^(?=.{1,1024}$)[a-z][a-z0-9+.-]{0,31}:\/\/(?=.)(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::[0-9]{1,5})?(?:\/(?:[A-Za-z0-9._~!$&'()*+,;=:@\/-]|%[0-9A-Fa-f]{2})*)?$/,
);
const EVIDENCE_REF = object({ digest, name }, { url: ADDRESS });

/** The shape of each member of a detail. Whether it may be `null` is in {@link MATRIX}. */
const MEMBERS: Readonly<Record<string, Shape>> = {
  act_by: instant,
  action_commitment: digest,
  cause: CAUSE,
  context_commitment: digest,
  cost: count,
  deadline: instant,
  decision: DECISION,
  escalation: list(object({ duration_ms: count, roles: ROLES }), 0, LIST_MAX),
  evidence: list(EVIDENCE_REF, 0, LINKS_MAX),
  executor: EXECUTOR,
  exit_status: integer(-(2 ** 31), 2 ** 31 - 1),
  expires_at: instant,
  gate: object({ action_commitment: digest, context_commitment: digest, id: uuid4or7, step: orNull(name), version: U32 }),
  gate_id: uuid4or7,
  gate_version: U32,
  grant: GRANT,
  grant_id: uuid4,
  guard: object({ freeze_epoch: count, governance_head: orNull(digest), policy_version_id: digest, verdict: VERDICT }),
  justification_commitment: digest,
  latest_deadline: instant,
  lease_ms: count,
  next: word("continue", "terminate"),
  outcome_commitment: digest,
  parent: object({ artifact_hash: digest, instance_id: uuid4or7 }),
  policy: POLICY,
  requester: list(object({ id: name, issuer: ISSUER, kind: KIND, owner: orNull(digest) }), 0, LINKS_MAX),
  roles: list(name, 0, ROLES_MAX),
  rule: RULE,
  session_id: name,
  status: word("SUCCEEDED", "FAILED", "UNKNOWN"),
  step: U32,
  trigger: name,
};

/** A10: for each event the members that must have a value, may have one, and are `null`. */
const MATRIX: Readonly<Record<string, readonly [required: string, optional: string, none: string]>> = {
  created: ["expires_at requester", "context_commitment parent session_id trigger", ""],
  started: ["", "cause context_commitment executor", "lease_ms"],
  human_required: ["deadline escalation gate latest_deadline policy rule", "", ""],
  approved: ["decision grant", "", "cause"],
  overridden: ["decision grant", "", "cause"],
  rejected: ["cause gate_id", "decision", "grant"],
  resumed: ["", "cause context_commitment executor lease_ms", ""],
  running: ["", "cause context_commitment executor", "lease_ms"],
  completed: ["", "", "cause policy"],
  terminated: ["cause", "policy", ""],
  attempt_assigned: ["context_commitment executor lease_ms", "", "cause"],
  attempt_ended: ["cause executor", "exit_status", ""],
  allowed: ["action_commitment context_commitment grant policy", "", ""],
  observed: ["action_commitment context_commitment policy", "", "grant"],
  vote: ["decision", "", "cause grant"],
  escalated: ["deadline gate_id gate_version roles step", "", ""],
  extended: ["deadline gate_id gate_version roles", "", "step"],
  consumed: ["act_by action_commitment executor grant_id guard policy", "", ""],
  outcome: ["evidence status", "cost grant_id outcome_commitment", ""],
  reconciled: ["grant_id next status", "justification_commitment", ""],
  evaluator_failed: ["policy", "", ""],
};

const EXTENSIONS: Shape = (value) => isObject(value) && Object.keys(value).length <= EXTENSIONS_MAX;
const PREDICATE: Readonly<Record<string, Shape>> = {
  actor: ACTOR,
  anchor: orNull(object({ root: digest, size: count })),
  artifact_id: uuid7,
  artifact_version: word(ARTIFACT_VERSION),
  attempt: U32,
  authority_state: STATE,
  blind: digest,
  crit: list((value) => typeof value === "string", 0, EXTENSIONS_MAX),
  detail: isObject,
  event: word(...Object.keys(MATRIX)),
  ext: EXTENSIONS,
  from_state: orNull(STATE),
  instance_id: uuid4or7,
  instance_tag: digest,
  issued_at: instant,
  log_origin: scope,
  mode: word("ENFORCE", "SHADOW"),
  prev_artifact_hash: orNull(digest),
  semantics_digest: digest,
  sequence: count,
  tenant_id: scope,
  workflow: WORKFLOW,
};
const STATEMENT = object({
  _type: word(STATEMENT_TYPE),
  predicate: object(PREDICATE),
  predicateType: word(PREDICATE_TYPE),
  subject: list(object({ digest: object({ sha256: digest }), name: text(/^urn:gantral:instance:/) }), 1, 1),
});

/**
 * Reads a payload: versions first, then the closed members, then what repeats what (A2 to A15). What holds between events is not
 * judged here.
 *
 * @throws {@link ArtifactError} with the first thing that is wrong.
 */
export async function readArtifact(payload: Uint8Array): Promise<Commitment> {
  const value = readPayload(payload);
  checkVersions(value);
  const predicate = isObject(value) && isObject(value["predicate"]) ? value["predicate"] : {};
  const critical = Array.isArray(predicate["crit"]) ? predicate["crit"][0] : undefined;
  if (typeof critical === "string") throw unsupported("an extension that must be understood is unknown");
  if (!STATEMENT(value)) throw malformed(unfit(predicate));
  const commitment = predicate as unknown as Commitment;
  checkDetail(commitment);
  const subject = [{ digest: { sha256: commitment.workflow["digest"] }, name: `urn:gantral:instance:${commitment.instance_id}` }];
  const tag = await instanceTag(commitment.tenant_id, commitment.instance_id);
  if (!sameJson((value as JsonObject)["subject"], subject) || predicate["instance_tag"] !== tag) {
    throw malformed("subject or tag disagree with the members that they repeat");
  }
  return commitment;
}

function unsupported(message: string): ArtifactError {
  return new ArtifactError("artifact_unsupported", message);
}

function malformed(message: string, options?: ErrorOptions): ArtifactError {
  return new ArtifactError("artifact_malformed", message, options);
}

function readPayload(payload: Uint8Array): Json {
  try {
    return parseCanonical(payload);
  } catch (error) {
    // A later version may allow what this profile refuses.
    checkVersions(readLater(payload));
    throw malformed("no JSON that may be signed", { cause: error });
  }
}

function readLater(payload: Uint8Array): Json {
  try {
    return parse(payload);
  } catch {
    return null;
  }
}

/** A7: nothing is known about the content of another version, so this comes first. */
function checkVersions(value: Json): void {
  if (!isObject(value)) return;
  const predicate = isObject(value["predicate"]) ? value["predicate"] : {};
  const expected: [string, Json | undefined, string][] = [
    ["_type", value["_type"], STATEMENT_TYPE],
    ["predicateType", value["predicateType"], PREDICATE_TYPE],
    ["artifact_version", predicate["artifact_version"], ARTIFACT_VERSION],
  ];
  for (const [member, found, known] of expected) {
    if (typeof found === "string" && found !== known) throw unsupported(`\`${member}\` has an unknown value`);
  }
}

function unfit(predicate: JsonObject): string {
  const wrong = Object.entries(PREDICATE).find(([member, shape]) => !shape(predicate[member]));
  return wrong === undefined ? "not a statement of this version" : `\`${wrong[0]}\` is missing or not what it must be`;
}

/** First the matrix, then the members: a member that must be `null` is not read (A14). */
function checkDetail({ event, detail }: Commitment): void {
  const [required = [], optional = [], none = []] = (MATRIX[event] ?? []).map((names) => names.split(" ").filter(Boolean));
  const known = [...required, ...optional, ...none];
  const wrong = (member: string): ArtifactError => malformed(`\`${member}\` of \`${event}\` is missing or not what it must be`);
  for (const member of Object.keys(detail)) if (!known.includes(member)) throw wrong(member);
  for (const member of known) if (!Object.hasOwn(detail, member)) throw wrong(member);
  for (const member of required) if (detail[member] === null) throw malformed(`\`${event}\` must have \`${member}\``);
  for (const member of none) if (detail[member] !== null) throw malformed(`\`${event}\` must not have \`${member}\``);
  for (const member of [...required, ...optional]) {
    if (detail[member] !== null && MEMBERS[member]?.(detail[member]) !== true) throw wrong(member);
  }
}
