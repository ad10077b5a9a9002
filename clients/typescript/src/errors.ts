/**
 * What can go wrong, each with a stable `code`.
 *
 * Only {@link Waiting} and {@link Denied} are answers. After any other error there is no answer: do not act.
 */

import type { Problem } from "./types.js";

/** The status with which a process ends at a gate. */
export const EXIT_WAITING = 3;
/** The status with which a process ends that was denied. */
export const EXIT_DENIED = 4;
/** The status with which a process ends that has no answer. */
export const EXIT_FAILED = 1;

/** Every error of this package. */
export abstract class GantralError extends Error {
  /** A stable code; the classes say which. Those of a {@link Refused} are the server's. */
  abstract readonly code: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Humans decide. Save your state and end with status 3: a fresh process continues. This attempt can do nothing more. */
export class Waiting extends GantralError {
  readonly code = "waiting";
  readonly exitStatus = EXIT_WAITING;

  constructor(
    /** The gate that is open. */
    readonly gateId: string,
    /** Who may decide. */
    readonly roles: readonly string[],
    /** When it escalates or closes, in UTC. */
    readonly expiresAt: string,
    /** Where a human decides. */
    readonly url: string,
    /** Why, in the words of the policy. Untrusted text. */
    readonly reasons: readonly string[],
  ) {
    super(`waiting for ${roles.join(", ")}: ${url}`);
  }
}

/** Policy forbids it, and the execution has ended. Do not try again. */
export class Denied extends GantralError {
  readonly code = "denied";
  readonly exitStatus = EXIT_DENIED;

  constructor(
    /** Why, in the words of the policy. Untrusted text. */
    readonly reasons: readonly string[],
  ) {
    super(reasons.length === 0 ? "denied" : `denied: ${reasons.join("; ")}`);
  }
}

/** The server refused the call. `code` is one of its codes, each with a page in the documentation of errors. */
export class Refused extends GantralError {
  readonly code: string;
  /** The HTTP status. */
  readonly status: number;
  /** What can be done about it. */
  readonly remedy: string;

  constructor(
    /** The whole answer, with the members that depend on the code. */
    readonly problem: Problem,
  ) {
    super(`${problem.detail} (${problem.code})`);
    this.code = problem.code;
    this.status = problem.status;
    this.remedy = problem.remedy;
  }
}

/** There is no answer that could be read. Whether the server did something is unknown; nothing may be done on this ground. */
export class Unanswered extends GantralError {
  constructor(
    readonly code: "unreachable" | "timeout" | "unexpected_answer" | "answer_too_large",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What is wrong with an answer that is not believed. */
export type Mistrust =
  | "receipt_missing"
  | "receipt_malformed"
  | "signature_untrusted"
  | "chain_broken"
  | "another_instance"
  | "another_attempt"
  | "another_grant"
  | "another_action";

/** The server, or whoever is between, is not believed by the pinned keys. Nothing may be done; tell your platform team. */
export class Untrusted extends GantralError {
  constructor(
    readonly code: Mistrust,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What is wrong with a trust file. */
export class TrustError extends GantralError {
  readonly code = "trust_unusable";
}

/** A receipt could not be kept, or the place to keep them could not be read. Nothing may be done on its ground. */
export class JournalFailed extends GantralError {
  readonly code = "journal_failed";
}

/** The caller's mistake. The same call fails again. */
export class Misused extends GantralError {
  constructor(
    readonly code: "not_launched" | "option_unusable" | "token_unusable" | "grant_missing" | "grant_unused" | "permit_used" | "too_late",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * The runner gives no secret. `code` is that of the runner (`secret_without_grant`, `secret_not_for_this`, `secret_not_yours`, `secret_too_many`,
 * `secret_unavailable` …); with `secret_unavailable` it may be asked again. `secret_not_text`: it gave one that is no text.
 */
export class SecretRefused extends GantralError {
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * The action was done, or failed, and the server could not be told. `cause` says why. Report it again with
 * `Permit.succeeded` or `Permit.failed`: a report may come late, and until then the outcome is unknown and nothing is granted.
 */
export class Unreported extends GantralError {
  readonly code = "unreported";

  constructor(
    /** What should have been reported. */
    readonly status: "SUCCEEDED" | "FAILED",
    /** What the action returned, or the error that it ended with. */
    readonly result: unknown,
    options: ErrorOptions,
  ) {
    super(`the action ended (${status}), and the server could not be told`, options);
  }
}

/** A text that is not the JSON of its profile, or a value that JSON has no words for. Equal bytes get an equal refusal. */
export class JsonError extends GantralError {
  readonly code: "json_limit" | "json_spelling" | "json_text" | "json_syntax";

  constructor(
    /** The kind of refusal: a row of J14. */
    readonly refusal: "limit" | "spelling" | "text" | "syntax",
    what: string,
  ) {
    super(what);
    this.code = `json_${refusal}`;
  }
}

/** Returns the status with which a process should end after an error: 3 at a gate, 4 after a denial, 1 otherwise. */
export function exitStatus(error: unknown): number {
  return error instanceof Waiting || error instanceof Denied ? error.exitStatus : EXIT_FAILED;
}
