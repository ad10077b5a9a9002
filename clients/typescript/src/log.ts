/** The transparency log as a reader checks it (`spec/log.md`): leaves, proofs, and the notes that checkpoints are. */

import { concat, fromBase64, fromHex, fromUtf8, sameBytes, toHex, utf8 } from "./bytes.js";
import { PublicKey } from "./ed25519.js";
import { digest } from "./hashes.js";

/** The types of signatures: L11. */
export type Signs = "log" | "witness";

const KINDS: Readonly<Record<Signs, number>> = { log: 1, witness: 4 };
const NOTE_BYTES_MAX = 32 << 10;
const SIGNATURES_MAX = 64;
const NAME_BYTES_MAX = 255;
const TIME_BYTES = 8;
const FLAG_GENESIS = 1;
const FLAG_TERMINAL = 2;

/** What a leaf of an instance says. */
export interface Leaf {
  sequence: number;
  /** Whether the event ends the chain. */
  terminal: boolean;
  /** The tag of the instance, the hash of the artifact, and the id of the key that signed it: digests. */
  tag: string;
  hash: string;
  keyId: string;
}

/** Returns the bytes of a leaf (L1). */
export function leafBytes({ sequence, terminal, tag, hash, keyId }: Leaf): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(5 + 6);
  head.set(utf8("GL1"));
  head[3] = 1;
  head[4] = (sequence === 0 ? FLAG_GENESIS : 0) | (terminal ? FLAG_TERMINAL : 0);
  const view = new DataView(head.buffer);
  view.setUint16(5, Math.floor(sequence / 2 ** 32));
  view.setUint32(7, sequence % 2 ** 32);
  const [tagBytes, hashBytes, keyBytes] = [tag, hash, keyId].map((text) => fromHex(text) ?? new Uint8Array());
  return concat(head, tagBytes ?? head, hashBytes ?? head, (keyBytes ?? head).subarray(0, 8));
}

/** Returns the hash of a leaf (L6). */
export function hashLeaf(leaf: Uint8Array): Promise<Uint8Array> {
  return digest("SHA-256", concat(Uint8Array.of(0), leaf));
}

function hashNode(left: Uint8Array, right: Uint8Array): Promise<Uint8Array> {
  return digest("SHA-256", concat(Uint8Array.of(1), left, right));
}

/** Walks a path upwards from a place (RFC 9162 §2.1.3.2, §2.1.4.2); says whether it ends where the tree does. */
async function climb(
  index: number,
  size: number,
  path: readonly Uint8Array[],
  step: (sibling: Uint8Array, left: boolean) => Promise<void>,
): Promise<boolean> {
  // By `bigint`: bits of a `number` end at 32.
  let [node, last] = [BigInt(index), BigInt(size) - 1n];
  for (const sibling of path) {
    if (last === 0n) return false;
    const left = (node & 1n) === 1n || node === last;
    await step(sibling, left);
    while (left && node !== 0n && (node & 1n) === 0n) [node, last] = [node >> 1n, last >> 1n];
    [node, last] = [node >> 1n, last >> 1n];
  }
  return last === 0n;
}

/** Says whether a leaf stands at a place of the tree with this size and root (L7). */
export async function isIncluded(
  leaf: Uint8Array,
  index: number,
  size: number,
  root: Uint8Array,
  path: readonly Uint8Array[],
): Promise<boolean> {
  if (index >= size) return false;
  let hash = await hashLeaf(leaf);
  const ends = await climb(index, size, path, async (sibling, left) => {
    hash = left ? await hashNode(sibling, hash) : await hashNode(hash, sibling);
  });
  return ends && sameBytes(hash, root);
}

/** A tree: how many leaves, and its root. */
export interface Tree {
  size: number;
  root: Uint8Array;
}

/** Says whether one tree is the beginning of another (L8). */
export async function isBeginning(older: Tree, newer: Tree, path: readonly Uint8Array[]): Promise<boolean> {
  if (older.size > newer.size) return false;
  if (older.size === 0) return path.length === 0 && sameBytes(older.root, await digest("SHA-256", new Uint8Array()));
  if (older.size === newer.size) return path.length === 0 && sameBytes(older.root, newer.root);
  // A whole subtree is its own proof.
  const isWhole = (BigInt(older.size) & (BigInt(older.size) - 1n)) === 0n;
  const [start, ...rest] = isWhole ? [older.root, ...path] : path;
  if (start === undefined) return false;
  let [node, last] = [BigInt(older.size) - 1n, BigInt(newer.size) - 1n];
  while ((node & 1n) === 1n) [node, last] = [node >> 1n, last >> 1n];
  let [first, second] = [start, start];
  const ends = await climb(Number(node), Number(last) + 1, rest, async (sibling, left) => {
    if (left) first = await hashNode(sibling, first);
    second = left ? await hashNode(sibling, second) : await hashNode(second, sibling);
  });
  return ends && sameBytes(first, older.root) && sameBytes(second, newer.root);
}

/** A key of a log or a witness, as a policy writes it: name, `+`, hash, `+`, type and key. */
export class NoteKey {
  private constructor(
    readonly name: string,
    readonly signs: Signs,
    readonly key: PublicKey,
    private readonly hint: Uint8Array,
  ) {}

  /** Reads a key; `null` if it is none of this type, or its hash is not its own (L12). */
  static async read(text: string, signs: Signs): Promise<NoteKey | null> {
    const [name = "", hash, ...rest] = text.split("+");
    const bytes = fromBase64(rest.join("+"));
    const length = utf8(name).length;
    if (length === 0 || length > NAME_BYTES_MAX || /[\s\u0000-\u001f]/.test(name)) return null;
    if (bytes?.length !== 33 || bytes[0] !== KINDS[signs]) return null;
    const key = PublicKey.fromBytes(bytes.subarray(1));
    const hint = (await digest("SHA-256", concat(utf8(`${name}\n`), bytes))).subarray(0, 4);
    return key !== null && toHex(hint) === hash ? new NoteKey(name, signs, key, hint) : null;
  }

  /** Says whether a line of a note claims to be of this key. */
  claims(line: NoteLine): boolean {
    return line.name === this.name && sameBytes(line.hint, this.hint);
  }
}

/** One signature of a note. */
interface NoteLine {
  name: string;
  hint: Uint8Array;
  signature: Uint8Array;
}

/** Whether a key has signed a note: `no` line of it, only `bad` ones, or a `good` one, with the time that a witness gave, in seconds. */
export type Signed = { signed: "no" | "bad" } | { signed: "good"; time: number | null };

/** A checkpoint: a signed note of origin, size and root (L9). */
export class Checkpoint {
  private constructor(
    readonly origin: string,
    readonly tree: Tree,
    private readonly text: string,
    private readonly lines: readonly NoteLine[],
  ) {}

  /** Reads a note; `null` if it is none, or no checkpoint. Says nothing about its signatures. */
  static read(bytes: Uint8Array): Checkpoint | null {
    const note = bytes.length > NOTE_BYTES_MAX ? null : fromUtf8(bytes);
    const gap = note?.lastIndexOf("\n\n") ?? -1;
    if (note === null || gap < 0 || !note.endsWith("\n") || /[\u0000-\u0009\u000b-\u001f]/.test(note)) return null;
    const text = note.slice(0, gap + 1);
    const lines = note
      .slice(gap + 2, -1)
      .split("\n")
      .map(readLine);
    if (lines.length > SIGNATURES_MAX || !lines.every((line) => line !== null)) return null;
    const [origin = "", size = "", root = ""] = text.split("\n");
    const rootBytes = fromBase64(root);
    const isOurs = /^[a-z0-9._/-]{1,128}$/.test(origin) && /^(0|[1-9]\d{0,15})$/.test(size) && Number.isSafeInteger(Number(size));
    if (!isOurs || rootBytes?.length !== 32 || text.slice(0, -1).split("\n").includes("")) return null;
    return new Checkpoint(origin, { size: Number(size), root: rootBytes }, text, lines);
  }

  /** Says whether a key has signed it. One good signature is enough, whatever stands beside it (L12). */
  async signedBy(key: NoteKey): Promise<Signed> {
    const lines = this.lines.filter((line) => key.claims(line));
    for (const { signature } of lines) {
      const time = key.signs === "log" || signature.length < TIME_BYTES ? null : readTime(signature);
      const message = time === null ? this.text : `cosignature/v1\ntime ${time}\n${this.text}`;
      const signed = key.signs === "log" ? signature : signature.subarray(TIME_BYTES);
      if (await key.key.verifies(utf8(message), signed)) return { signed: "good", time: time === null ? null : Number(time) };
    }
    return { signed: lines.length > 0 ? "bad" : "no" };
  }
}

function readTime(signature: Uint8Array): bigint {
  return new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);
}

function readLine(line: string): NoteLine | null {
  const [, name, encoded] = /^\u2014 ([^ +]+) ([^ ]+)$/.exec(line) ?? [];
  const bytes = encoded === undefined ? null : fromBase64(encoded);
  if (name === undefined || bytes === null || bytes.length < 5 || utf8(name).length > NAME_BYTES_MAX) return null;
  return { name, hint: bytes.subarray(0, 4), signature: bytes.subarray(4) };
}
