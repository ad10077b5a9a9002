/** One attempt of one instance: it asks, it consumes what it was granted, it acts once, and it says what came of it. */

import { ASKED, CONSUMED, INSTANCE, MOVED } from "./answers.js";
import type { Commitment } from "./artifact.js";
import { Chain } from "./chain.js";
import { newKey, type Connection } from "./connection.js";
import { Denied, Untrusted, Misused, SecretRefused, Waiting } from "./errors.js";
import { labelled } from "./hashes.js";
import { canonical, sameJson, type Json, type JsonObject } from "./json.js";
import { Permit, type PermitTerms } from "./permit.js";
import { readInstant, type Shape } from "./shape.js";
import type { Trust } from "./trust.js";
import type {
  Action,
  Ask,
  AuthorityAnswer,
  Consume,
  ConsumeAnswer,
  EvidenceItem,
  GrantView,
  InstanceView,
  Moved,
  OutcomeStatus,
  Receipt,
  ReportOutcome,
} from "./types.js";

/** Facts for policy beside the action: `step`, `trigger`, `cost_estimate`, `attributes`. */
export type Facts = Omit<Ask, "action" | "consume" | "executor">;

/** Keeps receipts, durable when it returns. What throws keeps the attempt from acting. */
export type Journal = (receipts: readonly Receipt[]) => void | Promise<void>;

/** A secret, and the record of its hand-out, which the outcome names. */
export interface HandedOut {
  value: string;
  record: { name: string; digest: string };
}

/** Asks the runner for a secret under a grant that was used up. */
export type Secrets = (name: string, grantId: string) => Promise<HandedOut>;

/** Whom a client believes, and for which tenant. */
export interface Pinned {
  trust: Trust;
  tenant: string;
}

/** What a process is to work on. */
export interface Context {
  instance_id: string;
  attempt: number;
  workflow: { id: string; version: string };
  session_id: string | null;
  trigger: string | null;
  /** What the instance was created with. */
  input: JsonObject | null;
  /** What humans granted; `null` before a gate. */
  grant: GrantView | null;
  /** What was consumed before: look here whether something is done already. */
  outcomes: { grant_id: string; status: OutcomeStatus }[];
}

/** What an attempt is made of. */
export interface AttemptOptions {
  connection: Connection;
  instanceId: string;
  attempt: number;
  /** `null` for a process that was given none. */
  context: Context | null;
  /** The grant of humans that this attempt may consume. */
  grant: GrantView | null;
  /** Without it the server is believed, whatever it says. */
  pinned: Pinned | null;
  journal: Journal | null;
  /** Absent where no runner hands secrets out: outside of Node.js, and in a process that no runner launched. */
  secrets?: Secrets | null | undefined;
}

/** The largest bundle of evidence that is read, in bytes. */
const EVIDENCE_BYTES_MAX = 64 << 20;
/** The most references to evidence in one outcome. */
const EVIDENCE_ITEMS_MAX = 32;

/** An attempt. Made by `Gantral.fromEnvironment`, `Gantral.attach` or `Gantral.start`. */
export class Attempt {
  readonly instanceId: string;
  /** The number of the attempt, from 1. */
  readonly number: number;
  /** What to work on; `null` for a process that was given none. */
  readonly context: Context | null;
  private readonly connection: Connection;
  private readonly journal: Journal | null;
  private readonly chain: Chain | null;
  private readonly secrets: Secrets | null;
  private pending: GrantView | null;
  /** The grant that was used up last. */
  private newest: string | null = null;
  /** What the runner handed out under each grant. */
  private readonly given = new Map<string, EvidenceItem[]>();

  constructor(options: AttemptOptions) {
    this.connection = options.connection;
    this.instanceId = options.instanceId;
    this.number = options.attempt;
    this.context = options.context;
    this.journal = options.journal;
    this.pending = options.grant;
    this.secrets = options.secrets ?? null;
    const { pinned } = options;
    this.chain = pinned && new Chain(pinned.trust, pinned.tenant, this.instanceId, () => this.evidence());
  }

  /** What humans granted and is not used yet, with the action as they approved it; `null` before a gate. Believed only when consumed. */
  get approved(): GrantView | null {
    return this.pending;
  }

  /** Whether what the server answers is verified by pinned keys. */
  get verifies(): boolean {
    return this.chain !== null;
  }

  /**
   * Asks, waits for nobody, and uses the grant up: the action of the permit may start.
   *
   * Where humans have granted this action (name and target) to this attempt, nothing is asked: the permit is for the action as they
   * approved it.
   *
   * @throws {@link Waiting} if humans decide: save your state, end with status 3. {@link Denied}: end. {@link Misused} `grant_unused` if humans
   * granted something else that is not used yet, which asking might void; `anew` asks all the same. Any other error is no answer: do not act.
   */
  async gate(action: Action, facts: Facts = {}, { anew = false }: { anew?: boolean } = {}): Promise<Permit> {
    const granted = this.pending;
    if (granted !== null && !anew) {
      if (granted.action.name === action.name && granted.action.target === action.target) return this.use(granted);
      throw new Misused(
        "grant_unused",
        `humans granted \`${granted.action.name}\` of \`${granted.action.target}\`, which is not used yet: \`resume\` does`,
      );
    }
    const { answer, fresh } = await this.asked(action, facts);
    if (answer.answer === "REQUIRE_HUMAN") throw waiting(answer);
    if (answer.answer === "DENY") throw new Denied(answer.reasons);
    if (!answer.enforced) return this.observed(action, fresh);
    const grant = answer.grant;
    if (grant === null || grant === undefined) throw new Untrusted("another_grant", "the answer allows and names no grant");
    checkKept(action, grant.action);
    return this.use(grant);
  }

  /**
   * Uses up what humans granted to this attempt; `null` before a gate.
   *
   * @throws As {@link gate}: policy is asked again at consumption.
   */
  async resume(): Promise<Permit | null> {
    return this.pending === null ? null : this.use(this.pending);
  }

  /**
   * Makes a function that asks before it acts, and reports afterwards.
   *
   * `describe` names the action for the arguments, complete: what it names is what the approver sees and what `act` may do. `act` is given the
   * action *as approved*, and the permit. The function throws as {@link gate} and `Permit.run` do.
   */
  governed<A extends unknown[], R>(
    describe: (...args: A) => Action,
    act: (action: Action, permit: Permit) => R | Promise<R>,
    facts: Facts = {},
  ): (...args: A) => Promise<R> {
    return async (...args) => (await this.gate(describe(...args), facts)).run(act);
  }

  /**
   * Asks whether an action may be done, before it is done. `answer` is ALLOW, REQUIRE_HUMAN (end with status 3) or DENY.
   *
   * Its receipts are kept and verified. A grant in it is believed only when it is consumed.
   */
  async ask(action: Action, facts: Facts = {}): Promise<AuthorityAnswer> {
    return (await this.asked(action, facts)).answer;
  }

  /**
   * Uses a grant up, just before the action starts. Act only if `answer` is ALLOW, and never after an error.
   *
   * @throws {@link Untrusted} if the chain does not give this grant for this action, or if nothing signed says that it was used up.
   */
  async consume(grant: GrantView): Promise<ConsumeAnswer> {
    return (await this.consumed(grant)).answer;
  }

  /**
   * Asks the runner for a secret that it has for this action, once the grant is used up: without `grantId` under the newest. The outcome names the
   * hand-out by itself. Never pass a value on in arguments, files or output.
   *
   * For processes in Node.js that a runner launched (`docs/runners.md`); everywhere else it is refused.
   *
   * @throws {@link SecretRefused} with the code of the runner.
   */
  async secret(name: string, { grantId = this.newest }: { grantId?: string | null } = {}): Promise<string> {
    if (this.secrets === null) {
      const message = "no runner has a secret for this attempt: it hands secrets out to processes in Node.js that it launched";
      throw new SecretRefused("secret_not_for_this", message);
    }
    if (grantId === null) {
      throw new SecretRefused("secret_without_grant", "there is no grant: a secret is given for an approved action only");
    }
    const { value, record } = await this.secrets(name, grantId);
    this.given.set(grantId, [...(this.given.get(grantId) ?? []), record]);
    return value;
  }

  /** Reports what came of a consumed grant, or, with `null`, of an action that was only observed. May be repeated until it succeeds. */
  async outcome(grantId: string | null, report: ReportOutcome): Promise<Moved> {
    const body = this.withRecords(grantId, report);
    const path = grantId === null ? ["outcome"] : ["grants", grantId, "outcome"];
    // One report of one grant is one write, whoever repeats it. Nothing tells two actions apart that were only observed.
    const key = grantId === null ? newKey() : await labelled("gantral/client/v1", canonical([grantId, body]));
    const since = this.chain?.length ?? 0;
    const moved = await this.post<Moved>(path, body, key, MOVED);
    await this.keep(moved.artifacts, since);
    return moved;
  }

  /** Says that all is done. For agents that run themselves: a launched process ends with status 0. */
  complete(): Promise<Moved> {
    return this.end("complete");
  }

  /** Says that it cannot go on. For agents that run themselves: a launched process ends with another status. */
  fail(): Promise<Moved> {
    return this.end("fail");
  }

  /** Returns the instance as it stands. */
  instance(): Promise<InstanceView> {
    return this.connection.json({ method: "GET", path: ["v1", "instances", this.instanceId] }, INSTANCE);
  }

  /** Names beside what was captured what the runner handed out for it. */
  private withRecords(grantId: string | null, report: ReportOutcome): ReportOutcome {
    const given = (grantId !== null && this.given.get(grantId)) || [];
    if (given.length === 0) return report;
    const named = report.evidence ?? [];
    const missing = given.filter(({ digest }) => !named.some((item) => item.digest === digest));
    return { ...report, evidence: [...named, ...missing].slice(0, Math.max(EVIDENCE_ITEMS_MAX, named.length)) };
  }

  private async asked(action: Action, facts: Facts): Promise<{ answer: AuthorityAnswer; fresh: Commitment[] }> {
    const since = this.chain?.length ?? 0;
    const answer = await this.post<AuthorityAnswer>(["authority"], { ...facts, action } satisfies Ask, newKey(), ASKED);
    const fresh = await this.keep(answer.artifacts, since);
    return { answer, fresh };
  }

  /**
   * Under SHADOW there is no grant, and what was sealed is that somebody asked. For what is checked too: of one workflow some actions may be
   * observed and others enforced.
   */
  private async observed(action: Action, fresh: readonly Commitment[]): Promise<Permit> {
    if (this.chain !== null) {
      const sealed = fresh.find(({ event, mode, attempt }) => event === "observed" && mode === "SHADOW" && attempt === this.number);
      if (sealed === undefined)
        throw new Untrusted("receipt_missing", "the answer says that policy is only observed, and nothing signed says so");
      checkKept(action, await this.chain.disclosedAction(sealed));
    }
    return new Permit({ action, grantId: null, startBy: null, ...this.ways(null) });
  }

  private async use(grant: GrantView): Promise<Permit> {
    const { answer, startBy } = await this.consumed(grant);
    if (answer.answer === "REQUIRE_HUMAN") throw waiting(answer);
    if (answer.answer === "DENY") throw new Denied(answer.reasons);
    return new Permit({ action: grant.action, grantId: grant.grant_id, startBy, ...this.ways(grant.grant_id) });
  }

  /** How a permit asks for secrets, and reports. */
  private ways(grantId: string | null): Pick<PermitTerms, "report" | "secret"> {
    return { report: (body) => this.outcome(grantId, body), secret: (name) => this.secret(name, { grantId }) };
  }

  private async consumed(grant: GrantView): Promise<{ answer: ConsumeAnswer; startBy: number }> {
    await this.chain?.checkGrant(grant);
    const since = this.chain?.length ?? 0;
    // From before the call, so that time on the way counts against us.
    const sent = performance.now();
    // Never under a key that follows from the call: whoever consumes a second time must be refused, because the first time may have acted.
    const body: Consume = { action: grant.action };
    const answer = await this.post<ConsumeAnswer>(["grants", grant.grant_id, "consume"], body, newKey(), CONSUMED);
    const fresh = await this.keep(answer.artifacts, since);
    if (this.pending?.grant_id === grant.grant_id) this.pending = null;
    if (answer.answer !== "ALLOW") return { answer, startBy: sent };
    this.newest = grant.grant_id;
    const sealed = fresh.find(({ event, detail }) => event === "consumed" && detail["grant_id"] === grant.grant_id);
    if (this.chain !== null) checkConsumed(sealed, grant, this.number);
    const within = sealed === undefined ? Infinity : readInstant(sealed.detail["act_by"] as string) - readInstant(sealed.issued_at);
    return { answer, startBy: sent + within };
  }

  private async end(how: "complete" | "fail"): Promise<Moved> {
    const since = this.chain?.length ?? 0;
    const moved = await this.post<Moved>([how], {}, newKey(), MOVED);
    await this.keep(moved.artifacts, since);
    return moved;
  }

  /** Keeps receipts before anybody acts on them, then verifies them; returns what is new in them. */
  private async keep(receipts: readonly Receipt[], since: number): Promise<Commitment[]> {
    await this.journal?.(receipts);
    return (await this.chain?.take(receipts, since)) ?? [];
  }

  private post<T>(path: readonly string[], body: object, key: string, shape: Shape): Promise<T> {
    return this.connection.json({ method: "POST", path: ["v1", "instances", this.instanceId, ...path], body, key }, shape);
  }

  private evidence(): Promise<Uint8Array> {
    const path = ["v1", "instances", this.instanceId, "evidence"];
    return this.connection.bytes({ method: "GET", path, bytesMax: EVIDENCE_BYTES_MAX });
  }
}

function waiting({ gate_id, roles, expires_at, url, reasons }: Extract<AuthorityAnswer, { answer: "REQUIRE_HUMAN" }>): Waiting {
  return new Waiting(gate_id, roles, expires_at, url, reasons);
}

/** What policy allows is what was asked for, with declared defaults filled in and nothing changed. */
function checkKept(asked: Action, granted: Action): void {
  const kept =
    asked.name === granted.name &&
    asked.target === granted.target &&
    Object.entries(asked.parameters).every(([name, value]: [string, Json | undefined]) => {
      return value === undefined || (Object.hasOwn(granted.parameters, name) && sameJson(granted.parameters[name], value));
    });
  if (!kept) throw new Untrusted("another_action", "what was answered is about another action than was asked for");
}

function checkConsumed(sealed: Commitment | undefined, grant: GrantView, attempt: number): void {
  if (sealed === undefined) throw new Untrusted("receipt_missing", "the answer allows, and nothing signed says that the grant was used up");
  if (sealed.attempt !== attempt) throw new Untrusted("another_attempt", "another attempt has used the grant up");
  if (sealed.detail["action_commitment"] !== grant.action_commitment) {
    throw new Untrusted("another_action", "the grant was used up for another action");
  }
}
