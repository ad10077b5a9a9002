/** Ask before you act: the client of Gantral. This entry needs nothing but `fetch` and WebCrypto; that of Node.js adds files. */

export { Attempt, type AttemptOptions, type Context, type Facts, type HandedOut, type Journal, type Pinned, type Secrets } from "./attempt.js";
export type { ConnectionOptions, TokenSource } from "./connection.js";
export {
  Denied,
  Untrusted,
  EXIT_DENIED,
  EXIT_FAILED,
  EXIT_WAITING,
  exitStatus,
  GantralError,
  JournalFailed,
  JsonError,
  Misused,
  Unreported,
  Refused,
  SecretRefused,
  TrustError,
  Unanswered,
  Waiting,
  type Mistrust,
} from "./errors.js";
export { Gantral, type GantralOptions, type WaitOptions } from "./gantral.js";
export { NoCrypto } from "./hashes.js";
export { Decimal, parse as parseJson, stringify as stringifyJson, type Json, type JsonObject } from "./json.js";
export { Permit, type OutcomeDetails } from "./permit.js";
export type { Traceparent } from "./tracing.js";
export { Trust } from "./trust.js";
export type { Action, Ask, AuthorityAnswer, ConsumeAnswer, CreateInstance, GrantView, InstanceView, Receipt } from "./types.js";
export type * as api from "./types.js";
