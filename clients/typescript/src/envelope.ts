/** The envelope of what is signed (`spec/envelope.md`): DSSE v1, narrowed. */

import { concat, fromBase64, utf8 } from "./bytes.js";
import { isObject, type Json } from "./json.js";

/** The payload type of an artifact. */
export const ARTIFACT_TYPE = "application/vnd.in-toto+json";
/** The payload type of a delegation of a key (K17). */
export const DELEGATION_TYPE = "application/vnd.gantral.delegation+json";
/** The largest envelope, as text. */
export const ENVELOPE_BYTES_MAX = 163_840;

const PAYLOAD_BYTES_MAX = 65_536;
const SIGNATURES_MAX = 8;
const KEY_ID_BYTES_MAX = 128;
const SIGNATURE_BYTES_MAX = 4_096;

/** A payload and who claims to have signed it. */
export interface Envelope {
  payload: Uint8Array;
  signatures: { keyId: string; signature: Uint8Array }[];
}

/** Returns what a signature covers (E4). */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const type = utf8(payloadType);
  return concat(utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `), payload);
}

/** Reads an envelope of a payload type (E1, E2); `null` if it is none. Says nothing about its signatures. */
export function readEnvelope(value: Json | undefined, payloadType: string): Envelope | null {
  if (!isObject(value) || !hasExactly(value, ["payload", "payloadType", "signatures"])) return null;
  const { payload, payloadType: found, signatures } = value;
  if (found !== payloadType || typeof payload !== "string" || !Array.isArray(signatures)) return null;
  const bytes = fromBase64(payload);
  if (bytes === null || bytes.length > PAYLOAD_BYTES_MAX) return null;
  if (signatures.length < 1 || signatures.length > SIGNATURES_MAX) return null;
  const read = signatures.map(readSignature);
  return read.every((signature) => signature !== null) ? { payload: bytes, signatures: read } : null;
}

function readSignature(value: Json): { keyId: string; signature: Uint8Array } | null {
  if (!isObject(value) || !hasExactly(value, ["keyid", "sig"])) return null;
  const { keyid, sig } = value;
  if (typeof keyid !== "string" || utf8(keyid).length > KEY_ID_BYTES_MAX || typeof sig !== "string") return null;
  const signature = fromBase64(sig);
  return signature === null || signature.length > SIGNATURE_BYTES_MAX ? null : { keyId: keyid, signature };
}

/** Says whether an object has these members and no others. */
export function hasExactly(value: object, names: readonly string[]): boolean {
  return Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name));
}
