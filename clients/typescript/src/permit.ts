/** The permission to do one action once, used up on the server before it is handed out. */

import { JsonError, Misused, Unreported, Refused } from "./errors.js";
import { stringify, type Json } from "./json.js";
import type { Action, EvidenceItem, Moved, ReportOutcome } from "./types.js";

/** What is reported beside the status of an outcome. */
export interface OutcomeDetails {
  /** What it cost, in minor units. */
  cost?: number | undefined;
  /** References to captured evidence, at most 32. One whose address must not be sealed is left out of the report, with the others. */
  evidence?: EvidenceItem[] | undefined;
}

/** What a permit is made of. */
export interface PermitTerms {
  action: Action;
  grantId: string | null;
  /** Until when the action must have started, by the clock of `performance.now()`; `null` where nothing says so. */
  startBy: number | null;
  report: (body: ReportOutcome) => Promise<Moved>;
  secret: (name: string) => Promise<string>;
}

/** The refusals of a report, and the member without which it does not meet them. */
const ABOUT: Readonly<Record<string, "result" | "evidence">> = {
  secret_inline: "result",
  body_too_large: "result",
  evidence_refused: "evidence",
};

/** One action may start now. Act once, then say what came of it; {@link run} does both. */
export class Permit {
  /** The action as it was authorised: after an override, as the human changed it. Do this, and not what you asked for. */
  readonly action: Action;
  /** The grant, `null` where policy is only observed. Its best use is as idempotency key of whatever you call. */
  readonly grantId: string | null;
  private readonly terms: PermitTerms;
  private used = false;
  private reported = false;

  /** Made by an attempt, after the grant was consumed. */
  constructor(terms: PermitTerms) {
    this.terms = terms;
    this.action = terms.action;
    this.grantId = terms.grantId;
  }

  /** Whether policy is enforced. Where it is only observed, everything may be done. */
  get enforced(): boolean {
    return this.grantId !== null;
  }

  /**
   * Does the action, and reports: SUCCEEDED with what `act` returns, or FAILED with the name of what it throws, which is then thrown. FAILED says
   * that nothing took effect: where `act` cannot know, it calls {@link unknown} before it throws.
   *
   * A result that is no JSON value, or that the server takes for a secret or too large, is left out of the report.
   *
   * @throws {@link Misused} `permit_used` the second time, `too_late` where so much time has passed since the grant was used up that the
   * action may not start any more (it is reported as FAILED); {@link Unreported} if it was done and the server could not be told.
   */
  async run<R>(act: (action: Action, permit: Permit) => R | Promise<R>): Promise<R> {
    if (this.used) throw new Misused("permit_used", "this permit was used before: a grant stands for one action, once");
    this.used = true;
    if (this.terms.startBy !== null && performance.now() >= this.terms.startBy) {
      const late = new Misused("too_late", "too much time has passed since the grant was used up: the action was not started");
      await this.settle("FAILED", { error: late.name }, late);
      throw late;
    }
    let result: R;
    try {
      result = await act(this.action, this);
    } catch (error) {
      // Its message may hold what the action worked with, and the name does not.
      await this.settle("FAILED", { error: error instanceof Error ? error.name : "Error" }, error);
      throw error;
    }
    await this.settle("SUCCEEDED", result, result);
    return result;
  }

  /**
   * Says that nothing can be reported truthfully, such as after a time-out of what was called: {@link run} then reports nothing. The server seals
   * UNKNOWN when the attempt ends, and nothing is granted or run again before somebody has found out.
   */
  unknown(): void {
    this.reported = true;
  }

  /**
   * Asks the runner for a secret that it has for this action. In Node.js, in a process that a runner launched; see `Attempt.secret`.
   *
   * @throws {@link SecretRefused}
   */
  secret(name: string): Promise<string> {
    return this.terms.secret(name);
  }

  /** Reports that the action took effect. May be repeated until it succeeds: a report is sealed once. */
  succeeded(result?: unknown, details: OutcomeDetails = {}): Promise<Moved> {
    return this.send("SUCCEEDED", result, details);
  }

  /** Reports that the action took no effect. May be repeated until it succeeds. */
  failed(result?: unknown, details: OutcomeDetails = {}): Promise<Moved> {
    return this.send("FAILED", result, details);
  }

  /** Reports unless the action has done so itself. `result` goes to the server, `returned` to the caller if that fails. */
  private async settle(status: "SUCCEEDED" | "FAILED", result: unknown, returned: unknown): Promise<void> {
    if (this.reported) return;
    try {
      await this.send(status, isJson(result) ? result : undefined, {});
    } catch (cause) {
      throw new Unreported(status, returned, { cause });
    }
  }

  private async send(status: "SUCCEEDED" | "FAILED", result: unknown, details: OutcomeDetails): Promise<Moved> {
    const body: ReportOutcome = { status, ...details };
    if (result !== undefined) body.result = result as Json;
    for (;;) {
      try {
        return await this.tell(body);
      } catch (error) {
        // An outcome without its result, or without what was captured, says more than one that nobody knows.
        const left = error instanceof Refused ? ABOUT[error.code] : undefined;
        if (left === undefined || body[left] === undefined) throw error;
        delete body[left];
      }
    }
  }

  private async tell(body: ReportOutcome): Promise<Moved> {
    const moved = await this.terms.report(body);
    this.reported = true;
    return moved;
  }
}

function isJson(value: unknown): boolean {
  try {
    stringify(value);
    return true;
  } catch (error) {
    if (error instanceof JsonError) return false;
    throw error;
  }
}
