/**
 * Strict JSON with exact numbers (`spec/json.md`).
 *
 * A number is a decimal and never silently rounded: it is read as a `number` where a `number` is exactly that decimal in its shortest
 * digits, as a `bigint` where it is a whole number beyond that, and as a {@link Decimal} otherwise. Writing what was read gives the
 * same decimal again.
 */

import { fromUtf8, sameBytes, utf8 } from "./bytes.js";
import { JsonError } from "./errors.js";
import { Decimal, normalNumber, numberText, readNumber } from "./number.js";

export { Decimal } from "./number.js";

/** Any JSON value. */
export type Json = null | boolean | number | bigint | Decimal | string | Json[] | JsonObject;
/** A JSON object. */
export type JsonObject = { [name: string]: Json };

/** What is accepted: J2. */
export interface Profile {
  /** The largest text, in bytes. */
  bytesMax: number;
  /** The deepest nesting. */
  depthMax: number;
  /** Whether only what may be signed is accepted: safe integers, clean text, names in ASCII. */
  signed: boolean;
}

/** What is signed. */
export const ARTIFACT: Readonly<Profile> = { bytesMax: 65_536, depthMax: 16, signed: true };
/** What people and programs send. */
export const DOCUMENT: Readonly<Profile> = { bytesMax: 1_048_576, depthMax: 64, signed: false };

const NUMBER = /(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?/y;
const SPACE = /[ \t\n\r]*/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const UNIT = /\\u([0-9a-fA-F]{4})/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};
const WORDS: readonly (readonly [string, null | boolean])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];
/** J9. The last two code points of each plane are added below. */
const UNCLEAN = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\u180e\\u200b-\\u200d" +
    "\\u2060-\\u2064\\ufeff\\u{e0000}-\\u{e007f}\\ufdd0-\\ufdef" +
    Array.from(
      { length: 17 },
      (_, plane) => `\\u{${((plane << 16) | 0xfffe).toString(16)}}-\\u{${((plane << 16) | 0xffff).toString(16)}}`,
    ).join("") +
    "]",
  "u",
);
const ASCII = /^[\u0000-\u007f]*$/;

/** Says whether a text can neither hide a part of itself nor reorder what stands beside it (J9). */
export function isClean(text: string): boolean {
  return !UNCLEAN.test(text) && text.normalize("NFC") === text;
}

/**
 * Reads one JSON value.
 *
 * @throws {@link JsonError} for whatever the profile does not accept.
 */
export function parse(bytes: Uint8Array, profile: Readonly<Profile> = DOCUMENT): Json {
  if (bytes.length > profile.bytesMax) throw new JsonError("limit", `larger than ${profile.bytesMax} bytes`);
  const text = fromUtf8(bytes);
  if (text === null) throw new JsonError("syntax", "not UTF-8");
  if (text.startsWith("\ufeff")) throw new JsonError("spelling", "begins with a byte order mark");
  return new Reader(text, profile).whole();
}

/**
 * Reads one JSON value that must be in its canonical form (J12).
 *
 * @throws {@link JsonError} also where another spelling says the same.
 */
export function parseCanonical(bytes: Uint8Array, profile: Readonly<Profile> = ARTIFACT): Json {
  const value = parse(bytes, profile);
  if (!sameBytes(canonical(value), bytes)) throw new JsonError("spelling", "not the canonical form");
  return value;
}

/**
 * Writes a value in its one spelling (J11), as text.
 *
 * @throws {@link JsonError} for what is no JSON value: `undefined` in a list, a number that is not finite, half of a surrogate pair.
 */
export function stringify(value: unknown): string {
  return write(value, 0);
}

/** Writes a value in its one spelling, as bytes. Throws as {@link stringify}. */
export function canonical(value: unknown): Uint8Array {
  return utf8(stringify(value));
}

/** Says whether two values are the same JSON value; numbers are compared as decimals. */
export function sameJson(a: unknown, b: unknown): boolean {
  return stringify(a) === stringify(b);
}

/** Says whether a value is a JSON object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Decimal);
}

class Reader {
  private at = 0;

  constructor(
    private readonly text: string,
    private readonly profile: Readonly<Profile>,
  ) {}

  whole(): Json {
    this.space();
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) throw new JsonError("spelling", "something follows the value");
    return value;
  }

  private value(depth: number): Json {
    const head = this.text[this.at];
    if (head === "{") return this.object(depth + 1);
    if (head === "[") return this.array(depth + 1);
    if (head === '"') return this.string();
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.number();
  }

  private number(): number | bigint | Decimal {
    const match = this.match(NUMBER);
    if (match === null) throw unexpected();
    const [text, sign = "", whole = "", fraction, exponent] = match;
    if ((text === "0" || text === "-0") && /[0-9]/.test(this.text[this.at] ?? "")) {
      throw new JsonError("syntax", "a number with a leading zero");
    }
    if (!this.profile.signed) return readNumber(normalNumber(text, sign, whole, fraction ?? "", exponent ?? "0"));
    const value = Number(text);
    const plain = fraction === undefined && exponent === undefined && text !== "-0";
    if (!plain || text.length > 17 || !Number.isSafeInteger(value)) {
      throw new JsonError("spelling", "a number that is no integer within 2^53 - 1");
    }
    return value;
  }

  private object(depth: number): JsonObject {
    this.enter(depth);
    const members: JsonObject = {};
    const names = new Set<string>();
    if (this.text[this.at] === "}") {
      this.at++;
      return members;
    }
    do {
      if (this.text[this.at] !== '"') throw unexpected();
      const name = this.string();
      if (names.has(name)) throw new JsonError("spelling", "a member stands twice");
      if (this.profile.signed && !ASCII.test(name)) throw new JsonError("text", "a member name outside ASCII");
      names.add(name);
      this.space();
      if (this.text[this.at++] !== ":") throw unexpected();
      this.space();
      // Not by assignment: `__proto__` is a name like any other.
      Object.defineProperty(members, name, { value: this.value(depth), enumerable: true, writable: true, configurable: true });
    } while (this.more("}"));
    return members;
  }

  private array(depth: number): Json[] {
    this.enter(depth);
    const elements: Json[] = [];
    if (this.text[this.at] === "]") {
      this.at++;
      return elements;
    }
    do elements.push(this.value(depth));
    while (this.more("]"));
    return elements;
  }

  private enter(depth: number): void {
    if (depth > this.profile.depthMax) throw new JsonError("limit", "nested too deep");
    this.at++;
    this.space();
  }

  /** Passes a comma and says yes, or passes the closing mark and says no. */
  private more(close: string): boolean {
    this.space();
    const mark = this.text[this.at++];
    if (mark !== "," && mark !== close) throw unexpected();
    if (mark === ",") this.space();
    return mark === ",";
  }

  private string(): string {
    this.at++;
    let text = "";
    for (;;) {
      text += this.match(PLAIN)?.[0] ?? "";
      const mark = this.text[this.at];
      if (mark === '"') break;
      if (mark !== "\\") throw unexpected();
      text += this.escape();
    }
    this.at++;
    if (this.profile.signed && !isClean(text)) throw new JsonError("text", "text that may not be signed");
    return text;
  }

  private escape(): string {
    const known = ESCAPES[this.text[this.at + 1] ?? ""];
    if (known !== undefined) {
      this.at += 2;
      return known;
    }
    const unit = this.unit();
    if (unit >= 0xdc00 && unit <= 0xdfff) throw new JsonError("spelling", "half of a surrogate pair");
    if (unit < 0xd800 || unit > 0xdbff) return String.fromCharCode(unit);
    const low = this.text.startsWith("\\u", this.at) ? this.unit() : 0;
    if (low < 0xdc00 || low > 0xdfff) throw new JsonError("spelling", "half of a surrogate pair");
    return String.fromCharCode(unit, low);
  }

  private unit(): number {
    const digits = this.match(UNIT)?.[1];
    if (digits === undefined) throw unexpected();
    return parseInt(digits, 16);
  }

  private space(): void {
    this.match(SPACE);
  }

  /** Passes what the expression finds here. */
  private match(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.at;
    const match = expression.exec(this.text);
    if (match !== null) this.at += match[0].length;
    return match;
  }
}

function unexpected(): JsonError {
  return new JsonError("syntax", "an unexpected byte or end");
}

/** Deeper than any document: a list that holds itself ends here and not with the stack. */
const WRITE_DEPTH_MAX = 128;

function write(value: unknown, depth: number): string {
  if (depth > WRITE_DEPTH_MAX) throw new JsonError("limit", "nested too deep");
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number" || typeof value === "bigint" || value instanceof Decimal) return numberText(value);
  if (Array.isArray(value)) return `[${value.map((element) => write(element, depth + 1)).join(",")}]`;
  if (typeof value !== "object") throw new JsonError("syntax", `a ${typeof value} is no JSON value`);
  const prototype: unknown = Object.getPrototypeOf(value);
  // A date, a map or a class means something that a list of its members does not say.
  if (prototype !== Object.prototype && prototype !== null) throw new JsonError("syntax", "only plain objects are JSON values");
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  // By UTF-16 code units, as JavaScript compares.
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${quoted(name)}:${write(member, depth + 1)}`).join(",")}}`;
}

function quoted(text: string): string {
  // `JSON.stringify` escapes what J11 does, and halves of surrogate pairs, which are refused here.
  if (/[\ud800-\udfff]/u.test(text)) throw new JsonError("spelling", "half of a surrogate pair");
  return JSON.stringify(text);
}
