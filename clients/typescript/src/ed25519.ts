/**
 * Strict Ed25519 verification (`spec/keys.md` K4 to K7).
 *
 * The equation is computed here and not by WebCrypto: RFC 8032 lets an implementation multiply by the cofactor, platforms differ, and
 * what one client believes every verifier must. Nothing secret is handled, so that it need not take equal time.
 */

import { concat, fromHex } from "./bytes.js";
import { digest } from "./hashes.js";

const P = 2n ** 255n - 19n;
/** The order of the group. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * power(121666n, P - 2n));
const SQRT_M1 = power(2n, (P - 1n) / 4n);

/** A point in extended coordinates (RFC 8032 §5.1.4). */
type Point = readonly [x: bigint, y: bigint, z: bigint, t: bigint];

const ZERO: Point = [0n, 1n, 1n, 0n];
const BASE = decodePoint(Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 0x58 : 0x66))) ?? ZERO;

/** A public key under which a signature proves something (K5). */
export class PublicKey {
  private constructor(
    /** The 32 bytes. */
    readonly bytes: Uint8Array,
    private readonly minus: Point,
  ) {}

  /** Takes 32 bytes; `null` if they are not the canonical encoding of a point, or if the point has small order. */
  static fromBytes(bytes: Uint8Array): PublicKey | null {
    const point = decodePoint(bytes);
    return point === null || hasSmallOrder(point) ? null : new PublicKey(bytes, [mod(-point[0]), point[1], 1n, mod(-point[3])]);
  }

  /** Takes 64 hexadecimal digits (K3). */
  static fromHex(text: string): PublicKey | null {
    const bytes = fromHex(text);
    return bytes === null ? null : PublicKey.fromBytes(bytes);
  }

  /** Says whether a signature is good (K6), and nothing about why it is not. */
  async verifies(message: Uint8Array, signature: Uint8Array): Promise<boolean> {
    if (signature.length !== 64) return false;
    const commitment = signature.subarray(0, 32);
    const s = littleEndian(signature.subarray(32));
    const r = decodePoint(commitment);
    if (s >= L || r === null || hasSmallOrder(r)) return false;
    const k = littleEndian(await digest("SHA-512", concat(commitment, this.bytes, message))) % L;
    return isSame(r, sum(s, BASE, k, this.minus));
  }
}

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base; exponent > 0n; exponent >>= 1n, square = (square * square) % P) {
    if (exponent & 1n) result = (result * square) % P;
  }
  return result;
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function decodePoint(bytes: Uint8Array): Point | null {
  if (bytes.length !== 32) return null;
  const encoded = littleEndian(bytes);
  const [sign, y] = [encoded >> 255n, encoded & (2n ** 255n - 1n)];
  if (y >= P) return null;
  const [u, v] = [mod(y * y - 1n), mod(D * y * y + 1n)];
  let x = mod(u * power(v, 3n) * power(mod(u * power(v, 7n)), (P - 5n) / 8n));
  if (mod(v * x * x) === mod(-u)) x = mod(x * SQRT_M1);
  if (mod(v * x * x) !== u || (x === 0n && sign === 1n)) return null;
  if ((x & 1n) !== sign) x = mod(-x);
  return [x, y, 1n, mod(x * y)];
}

function add(a: Point, b: Point): Point {
  const [e1, e2] = [((a[1] - a[0]) * (b[1] - b[0])) % P, ((a[1] + a[0]) * (b[1] + b[0])) % P];
  const [c, d] = [(((2n * a[3] * b[3]) % P) * D) % P, (2n * a[2] * b[2]) % P];
  const [e, f, g, h] = [e2 - e1, d - c, d + c, e2 + e1];
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

function double([x, y, z]: Point): Point {
  const [a, b] = [(x * x) % P, (y * y) % P];
  const [h, c] = [a + b, (2n * z * z) % P];
  const [e, g] = [h - (((x + y) * (x + y)) % P), a - b];
  const f = c + g;
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

/** Returns `[m]a + [n]b`, in one run over the bits of both. */
function sum(m: bigint, a: Point, n: bigint, b: Point): Point {
  const both = add(a, b);
  let result = ZERO;
  for (let bit = 252n; bit >= 0n; bit--) {
    result = double(result);
    const [first, second] = [(m >> bit) & 1n, (n >> bit) & 1n];
    if (first && second) result = add(result, both);
    else if (first) result = add(result, a);
    else if (second) result = add(result, b);
  }
  return result;
}

function isSame(a: Point, b: Point): boolean {
  return mod(a[0] * b[2] - b[0] * a[2]) === 0n && mod(a[1] * b[2] - b[1] * a[2]) === 0n;
}

function hasSmallOrder(point: Point): boolean {
  return isSame(double(double(double(point))), ZERO);
}
