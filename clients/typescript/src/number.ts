/** Exact decimals and their one normal form (`spec/json.md` §2). */

import { JsonError } from "./errors.js";

/** The most characters of a number, and the furthest power of ten of its first digit: J6. */
const CHARACTERS_MAX = 256;
const POWER_MAX = 512;
const NUMBER = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

/** A number that neither `number` nor `bigint` holds exactly, such as `0.10000000000000000000001`. */
export class Decimal {
  /** The normal form. */
  readonly text: string;

  /**
   * Reads a number as JSON writes it.
   *
   * @throws {@link JsonError} if it is none, or is over a limit.
   */
  constructor(text: string) {
    const match = NUMBER.exec(text);
    if (match === null) throw new JsonError("syntax", "not a number");
    const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
    this.text = normalNumber(text, sign, whole, fraction, exponent);
  }

  toString(): string {
    return this.text;
  }
}

/** Returns the normal form (J8) of a number whose parts the grammar has found. */
export function normalNumber(text: string, sign: string, whole: string, fraction: string, exponent: string): string {
  if (text.length > CHARACTERS_MAX) throw new JsonError("limit", "a number has too many characters");
  const digits = whole + fraction;
  const stripped = digits.replace(/^0+/, "");
  const significant = stripped.replace(/0+$/, "");
  if (significant === "") return "0";
  const point = whole.length - (digits.length - stripped.length) + Number(exponent);
  // An exponent of hundreds of digits is infinite here, and refused as well.
  if (!(Math.abs(point - 1) <= POWER_MAX)) throw new JsonError("limit", "a number is too large or too small");
  const normal = sign + spelled(significant, point);
  if (normal.length > CHARACTERS_MAX) throw new JsonError("limit", "a number has too many characters");
  return normal;
}

/** The table of J8: the digits, and how many of them stand before the decimal point. */
function spelled(digits: string, point: number): string {
  const count = digits.length;
  if (count <= point && point <= 21) return digits + "0".repeat(point - count);
  if (point > 0 && point <= 21) return `${digits.slice(0, point)}.${digits.slice(point)}`;
  if (point > -6 && point <= 0) return `0.${"0".repeat(-point)}${digits}`;
  const mantissa = count === 1 ? digits : `${digits.slice(0, 1)}.${digits.slice(1)}`;
  return `${mantissa}e${point > 0 ? "+" : "-"}${Math.abs(point - 1)}`;
}

/** Returns the plainest value that is exactly the number in this normal form. */
export function readNumber(normal: string): number | bigint | Decimal {
  const value = Number(normal);
  if (String(value) === normal) return value;
  return /^-?[0-9]+$/.test(normal) ? BigInt(normal) : new Decimal(normal);
}

/** Returns the normal form of a value. Throws where a `number` is not finite. */
export function numberText(value: number | bigint | Decimal): string {
  if (value instanceof Decimal) return value.text;
  if (typeof value === "bigint") return new Decimal(value.toString()).text;
  if (!Number.isFinite(value)) throw new JsonError("syntax", `${value} is no JSON value`);
  return String(value === 0 ? 0 : value);
}
