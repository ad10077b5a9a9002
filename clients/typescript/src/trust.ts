/** Whom a client believes: the issuer keys of a pinned trust file, and what they delegated (`spec/keys.md`). */

import { fromBase64, fromHex } from "./bytes.js";
import { DELEGATION_TYPE, ENVELOPE_BYTES_MAX, preAuthEncoding, readEnvelope, type Envelope } from "./envelope.js";
import { PublicKey } from "./ed25519.js";
import { JsonError, TrustError } from "./errors.js";
import { keyId } from "./hashes.js";
import { isObject, parse, parseCanonical, type JsonObject } from "./json.js";
import { count, digest, instant, list, object, orNull, readInstant, scope, word, type Shape } from "./shape.js";

/** K13: keys of a file, and tenants and logs of a key. */
const LIST_MAX = 1_024;
/** K17: the longest time that a delegate may sign. */
const DELEGATION_MS_MAX = 7 * 24 * 3_600_000;

const NAMES = orNull(list(scope, 0, LIST_MAX));
const PLACE = orNull(count);
const KEY = object({
  algorithm: word("ed25519"),
  compromised_from: PLACE,
  key_id: digest,
  origins: NAMES,
  public_key: digest,
  role: word("issuer", "directory", "approver"),
  tenants: NAMES,
  valid_from: PLACE,
  valid_until: PLACE,
});
/** Logs, authenticators and requirements are for verifiers of bundles; here it is enough that they are there. */
const isSomething: Shape = (value) => isObject(value);
const TRUST = object(
  { format: word("gantral/trust/v1"), keys: list(KEY, 0, LIST_MAX), log: orNull(isSomething), require: orNull(isSomething) },
  { relying_party: isSomething },
);
const DELEGATION = object({
  delegator: digest,
  format: word("gantral/delegation/v1"),
  key_id: digest,
  not_after: instant,
  not_before: instant,
  origins: NAMES,
  public_key: digest,
  tenants: NAMES,
});

interface PinnedKey {
  key: PublicKey;
  /** Signs artifacts, and is not marked as compromised. */
  usable: boolean;
  /** Has an end in the log: vouches for nothing new. */
  ended: boolean;
  tenants: string[] | null;
  origins: string[] | null;
}

interface Delegate {
  key: PublicKey;
  delegator: PinnedKey;
  tenants: string[] | null;
  origins: string[] | null;
  notBefore: number;
  notAfter: number;
}

/** A signature of an envelope that is good, and whose it is. */
export interface Signer {
  /** Says whether the key may sign an artifact of this tenant, log and instant. */
  permits(tenant: string, origin: string, at: string): boolean;
  /** Whether the key, or the one that delegated to it, has an end in the log. */
  readonly ended: boolean;
}

/** The keys of a trust file. It comes from your platform team, and never from the server that it is to check. */
export class Trust {
  private readonly delegates = new Map<string, Delegate>();

  private constructor(private readonly keys: ReadonlyMap<string, PinnedKey>) {}

  /**
   * Reads a trust file (`spec/verification.md` §2).
   *
   * @throws {@link TrustError} if it breaks a rule: a file that is partly believed is worse than none.
   */
  static async read(file: string | Uint8Array): Promise<Trust> {
    const value = readFile(typeof file === "string" ? new TextEncoder().encode(file) : file);
    if (!TRUST(value)) throw new TrustError("the trust file is not one of the format `gantral/trust/v1`");
    const keys = new Map<string, PinnedKey>();
    for (const entry of (value as JsonObject)["keys"] as JsonObject[]) {
      const id = entry["key_id"] as string;
      const key = await readKey(id, entry["public_key"] as string);
      if (key === null || keys.has(id)) throw new TrustError(`the trust file: key \`${id}\` is unusable, misnamed, or there twice`);
      keys.set(id, {
        key,
        usable: entry["role"] === "issuer" && entry["compromised_from"] === null,
        ended: entry["valid_until"] !== null,
        tenants: entry["tenants"] as string[] | null,
        origins: entry["origins"] as string[] | null,
      });
    }
    for (const id of await logKeys(value as JsonObject)) {
      if (keys.has(id)) throw new TrustError(`the trust file: key \`${id}\` is of the log as well: one key has one role`);
    }
    return new Trust(keys);
  }

  /** Adds a delegation, an envelope as text. What does not count (K19) is ignored; says whether it counts. */
  async addDelegation(bytes: Uint8Array): Promise<boolean> {
    const opened = await this.openDelegation(bytes);
    if (opened === null) return false;
    this.delegates.set(opened.id, opened.delegate);
    return true;
  }

  /** Finds a good signature by an issuer key that is believed, or by a delegate of one; `null` if there is none. */
  async signerOf(envelope: Envelope, payloadType: string): Promise<Signer | null> {
    const message = preAuthEncoding(payloadType, envelope.payload);
    for (const { keyId: id, signature } of envelope.signatures) {
      const pinned = this.keys.get(id);
      const delegate = pinned === undefined ? this.delegates.get(id) : undefined;
      const key = pinned?.key ?? delegate?.key;
      const root = pinned ?? delegate?.delegator;
      if (key === undefined || root?.usable !== true || !(await key.verifies(message, signature))) continue;
      return {
        ended: root.ended,
        permits: (tenant, origin, at) => covers(root, tenant, origin) && delegated(delegate, tenant, origin, at),
      };
    }
    return null;
  }

  private async openDelegation(bytes: Uint8Array): Promise<{ id: string; delegate: Delegate } | null> {
    const envelope = readDelegation(bytes);
    if (envelope === null) return null;
    const { payload, value } = envelope;
    const [id, delegatorId] = [value["key_id"] as string, value["delegator"] as string];
    const delegator = this.keys.get(delegatorId);
    const key = await readKey(id, value["public_key"] as string);
    const [notBefore, notAfter] = [readInstant(value["not_before"] as string), readInstant(value["not_after"] as string)];
    const lasts = notAfter - notBefore;
    // A key that the file has is judged by the file alone; what was delegated is not delegated further.
    if (delegator?.usable !== true || key === null || this.keys.has(id) || id === delegatorId || lasts < 1 || lasts > DELEGATION_MS_MAX)
      return null;
    const message = preAuthEncoding(DELEGATION_TYPE, payload);
    for (const signature of envelope.signatures) {
      if (signature.keyId === delegatorId && (await delegator.key.verifies(message, signature.signature))) {
        const [tenants, origins] = [value["tenants"] as string[] | null, value["origins"] as string[] | null];
        return { id, delegate: { key, delegator, tenants, origins, notBefore, notAfter } };
      }
    }
    return null;
  }
}

function readFile(bytes: Uint8Array): JsonObject {
  try {
    return parse(bytes) as JsonObject;
  } catch (error) {
    throw new TrustError("the trust file is not acceptable JSON", { cause: error });
  }
}

/** K23: the ids of the keys of logs and witnesses in the policy, each written as name, `+`, hash, `+`, and type and key in base64. */
async function logKeys(file: JsonObject): Promise<string[]> {
  const log = file["log"];
  const policy = isObject(log) ? log["policy"] : "";
  const words = typeof policy === "string" ? policy.split(/\s+/) : [];
  const keys = words.map((word) => fromBase64(word.split("+").slice(2).join("+"))).filter((bytes) => bytes?.length === 33);
  return Promise.all(keys.map((bytes) => keyId((bytes ?? new Uint8Array()).subarray(1))));
}

function readDelegation(bytes: Uint8Array): (Envelope & { value: JsonObject }) | null {
  try {
    const envelope = readEnvelope(parse(bytes, { bytesMax: ENVELOPE_BYTES_MAX, depthMax: 64, signed: false }), DELEGATION_TYPE);
    if (envelope === null) return null;
    const value = parseCanonical(envelope.payload);
    return DELEGATION(value) ? { ...envelope, value: value as JsonObject } : null;
  } catch (error) {
    if (error instanceof JsonError) return null;
    throw error;
  }
}

async function readKey(id: string, text: string): Promise<PublicKey | null> {
  const bytes = fromHex(text);
  return bytes !== null && (await keyId(bytes)) === id ? PublicKey.fromBytes(bytes) : null;
}

function covers(limits: { tenants: string[] | null; origins: string[] | null }, tenant: string, origin: string): boolean {
  return (limits.tenants?.includes(tenant) ?? true) && (limits.origins?.includes(origin) ?? true);
}

/** K20. */
function delegated(delegate: Delegate | undefined, tenant: string, origin: string, at: string): boolean {
  if (delegate === undefined) return true;
  const instant = readInstant(at);
  return covers(delegate, tenant, origin) && delegate.notBefore <= instant && instant < delegate.notAfter;
}
