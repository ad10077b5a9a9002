/** ES256 as authenticators of humans sign (`spec/human.md` H14, H15): one encoding of a signature, and one of a key. */

import { fromHex, toHex } from "./bytes.js";
import { subtle } from "./hashes.js";

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const SEQUENCE = 0x30;
const INTEGER = 0x02;
const UNCOMPRESSED = 0x04;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };

/** Says whether a signature in DER is good under a key, 65 bytes in hexadecimal digits. Whatever is in another encoding is not. */
export async function verifiesEs256(key: string, message: Uint8Array<ArrayBuffer>, signature: Uint8Array): Promise<boolean> {
  const point = fromHex(key);
  const numbers = readSignature(signature);
  if (point === null || numbers === null || !isPoint(point)) return false;
  const raw = fromHex(numbers.map((number) => number.toString(16).padStart(64, "0")).join(""));
  const imported = await subtle().importKey("raw", point as Uint8Array<ArrayBuffer>, ALGORITHM, false, ["verify"]);
  return subtle().verify({ name: "ECDSA", hash: "SHA-256" }, imported, raw as Uint8Array<ArrayBuffer>, message);
}

function isPoint(bytes: Uint8Array): boolean {
  if (bytes.length !== 65 || bytes[0] !== UNCOMPRESSED) return false;
  const [x, y] = [bigEndian(bytes.subarray(1, 33)), bigEndian(bytes.subarray(33))];
  return x < P && y < P && (y * y - (x * x * x - 3n * x + B)) % P === 0n;
}

function bigEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x0${toHex(bytes)}`);
}

/** H14: the two numbers of a signature; `null` if it is not in its one encoding. */
function readSignature(der: Uint8Array): [bigint, bigint] | null {
  if (der[0] !== SEQUENCE || (der[1] ?? 0xff) > 0x7f || der.length !== 2 + (der[1] ?? 0)) return null;
  const first = readInteger(der.subarray(2));
  const second = first && readInteger(first.rest);
  if (first === null || second === null || second.rest.length > 0) return null;
  return isScalar(first.value) && isScalar(second.value) ? [first.value, second.value] : null;
}

function isScalar(value: bigint): boolean {
  return value >= 1n && value < N;
}

/** A positive integer in DER, and what follows it. */
function readInteger(der: Uint8Array): { value: bigint; rest: Uint8Array } | null {
  const length = der[1] ?? 0xff;
  if (der[0] !== INTEGER || length > 0x7f || length === 0 || der.length < 2 + length) return null;
  const content = der.subarray(2, 2 + length);
  const [head = 0, next = 0] = content;
  // Negative, or a zero in front that the sign does not need.
  if (head > 0x7f || (head === 0 && (length === 1 || next < 0x80))) return null;
  return { value: bigEndian(content), rest: der.subarray(2 + length) };
}
