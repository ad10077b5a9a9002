/** The least that an answer of the server must be, so that whatever reads it on can. More members may come with a later version. */

import { isObject } from "./json.js";
import { anyOf, count, digest, flag, instant, list, open, orNull, string, uuid4, uuid4or7, word } from "./shape.js";

/** More receipts than any one write seals. */
const RECEIPTS_MAX = 1_024;
/** More outcomes, roles and reasons than an instance can have. */
const LIST_MAX = 10_000;

/** An action. */
export const ACTION = open({ name: string, target: string, parameters: isObject });
const GRANT = open(
  {
    grant_id: uuid4,
    action: ACTION,
    action_commitment: digest,
    action_salt: digest,
    expires_at: instant,
    overridden: flag,
  },
  { gate_id: orNull(uuid4or7) },
);
const RECEIPTS = list(open({ sequence: count, event: string, hash: digest, envelope: isObject }), 0, RECEIPTS_MAX);
const TEXTS = list(string, 0, LIST_MAX);
const WAITING = open({
  answer: word("REQUIRE_HUMAN"),
  gate_id: uuid4or7,
  roles: TEXTS,
  expires_at: instant,
  url: string,
  reasons: TEXTS,
  artifacts: RECEIPTS,
});
const DENIED = open({ answer: word("DENY"), reasons: TEXTS, artifacts: RECEIPTS });

/** Of an ask. */
export const ASKED = anyOf(open({ answer: word("ALLOW"), enforced: flag, artifacts: RECEIPTS }, { grant: orNull(GRANT) }), WAITING, DENIED);
/** Of a consumption. */
export const CONSUMED = anyOf(open({ answer: word("ALLOW"), act_by: instant, artifacts: RECEIPTS }), WAITING, DENIED);
/** Of a write that moved an instance. */
export const MOVED = open({ state: string, artifacts: RECEIPTS });
/** An instance as it stands. */
export const INSTANCE = open(
  { instance_id: uuid4or7, state: string, attempt: count, head: open({ sequence: count }) },
  { pending_grant: orNull(GRANT) },
);
/** Of the creation of an instance. */
export const CREATED = open({ instance: INSTANCE, artifacts: RECEIPTS });
/** What a process is given to work on. */
export const CONTEXT = open(
  { instance_id: uuid4or7, attempt: count, outcomes: list(open({ grant_id: uuid4 }), 0, LIST_MAX) },
  { grant: orNull(GRANT) },
);
/** Of attaching. */
export const ATTACHED = open({ attempt: count, token: string, context: CONTEXT, artifacts: RECEIPTS }, { grant: orNull(GRANT) });
