/** Hashes and commitments (`spec/commitments.md`): SHA-256 over a label, a zero byte, and what is hashed. */

import { concat, fromHex, toHex, utf8 } from "./bytes.js";
import { GantralError } from "./errors.js";
import { canonical } from "./json.js";

/** What a commitment is to: C3. */
export type CommitmentLabel = "action" | "context" | "input" | "decision" | "justification" | "outcome" | "person";

/** There is no WebCrypto here: a browser has it in secure contexts only, which are `https` and this machine. */
export class NoCrypto extends GantralError {
  readonly code = "crypto_missing";
}

/** Returns what the platform computes with. */
export function subtle(): typeof globalThis.crypto.subtle {
  // Absent in a browser outside of a secure context, whatever the types say.
  const found = (globalThis.crypto as typeof globalThis.crypto | undefined)?.subtle as typeof globalThis.crypto.subtle | undefined;
  if (found === undefined) throw new NoCrypto("there is no WebCrypto here\nhint: a browser has it over https and on localhost only");
  return found;
}

/** Returns SHA-256 or SHA-512 of bytes. */
export async function digest(algorithm: "SHA-256" | "SHA-512", bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await subtle().digest(algorithm, bytes));
}

/** Returns SHA-256 over a label, a zero byte and the parts, as hexadecimal digits (C1). */
export async function labelled(label: string, ...parts: Uint8Array[]): Promise<string> {
  return toHex(await digest("SHA-256", concat(utf8(`${label}\0`), ...parts)));
}

/** Returns the identity of an artifact: the hash of its payload. */
export function artifactHash(payload: Uint8Array): Promise<string> {
  return labelled("gantral/artifact/v1", payload);
}

/** Returns the commitment to a plaintext under a salt of 32 bytes. */
export function commitment(label: CommitmentLabel, salt: Uint8Array, plaintext: Uint8Array): Promise<string> {
  return labelled("gantral/commit/v1", utf8(`${label}\0`), salt, plaintext);
}

/** Returns the commitment to an action under a salt written in hexadecimal digits; `null` if the salt is none. */
export async function actionCommitment(action: unknown, salt: string): Promise<string | null> {
  const bytes = fromHex(salt);
  return bytes?.length === 32 ? commitment("action", bytes, canonical(action)) : null;
}

/** Returns what stands for an instance in a log. The instance is a UUID in its usual spelling. */
export function instanceTag(tenant: string, instance: string): Promise<string> {
  return labelled("gantral/instance/v1", utf8(`${tenant}\0`), fromHex(instance.replaceAll("-", "")) ?? new Uint8Array());
}

/** Returns what stands for the governance chain of a tenant in a log. */
export function governanceTag(tenant: string): Promise<string> {
  return labelled("gantral/governance/v1", utf8(`${tenant}\0`));
}

/** Returns the id of a public key of 32 bytes (`spec/keys.md` K1). */
export function keyId(key: Uint8Array): Promise<string> {
  return labelled("gantral/key/v1", utf8("ed25519\0"), key);
}
