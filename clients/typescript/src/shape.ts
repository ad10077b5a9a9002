/** Closed shapes of JSON: what a member must be, said as data. */

import { isObject, type Json } from "./json.js";

/** Says whether a value has a shape. */
export type Shape = (value: Json | undefined) => boolean;

/** A text of a form. */
export const text =
  (form: RegExp): Shape =>
  (value) =>
    typeof value === "string" && form.test(value);

/** One of some words. */
export const word =
  (...words: readonly string[]): Shape =>
  (value) =>
    typeof value === "string" && words.includes(value);

/** A whole number of a range that a `number` holds. */
export const integer =
  (min: number, max: number): Shape =>
  (value) =>
    Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max;

/** `true` or `false`. */
export const flag: Shape = (value) => typeof value === "boolean";

/** Something or `null`, and never absent. */
export const orNull =
  (shape: Shape): Shape =>
  (value) =>
    value === null || shape(value);

/** A list of so many elements. */
export const list =
  (shape: Shape, min: number, max: number): Shape =>
  (value) =>
    Array.isArray(value) && value.length >= min && value.length <= max && value.every(shape);

/** An object with all of these members and no others, except those that may be missing. */
export function object(members: Readonly<Record<string, Shape>>, missing: Readonly<Record<string, Shape>> = {}): Shape {
  return (value) => {
    if (!isObject(value)) return false;
    const known = (name: string): boolean => Object.hasOwn(members, name) || Object.hasOwn(missing, name);
    return Object.keys(value).every(known) && open(members, missing)(value);
  };
}

/** An object with these members, those that may be missing, and any others. */
export function open(members: Readonly<Record<string, Shape>>, missing: Readonly<Record<string, Shape>> = {}): Shape {
  return (value) => {
    if (!isObject(value)) return false;
    const has = (name: string): boolean => Object.hasOwn(value, name);
    return (
      Object.entries(members).every(([name, shape]) => has(name) && shape(value[name])) &&
      Object.entries(missing).every(([name, shape]) => !has(name) || shape(value[name]))
    );
  };
}

/** One of several shapes. */
export const anyOf =
  (...shapes: readonly Shape[]): Shape =>
  (value) =>
    shapes.some((shape) => shape(value));

/** Any text. */
export const string: Shape = (value) => typeof value === "string";

/** 64 lower-case hexadecimal digits. */
export const digest = text(/^[0-9a-f]{64}$/);
/** The name of a tenant or a log. */
export const scope = text(/^[a-z0-9._/-]{1,128}$/);
/** Any other name (W3). */
export const name = text(/^[A-Za-z0-9._/:@-]{1,128}$/);
/** A UUID of version 4. */
export const uuid4 = text(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
/** A UUID of version 4 or 7: a random one, or one of an instant. */
export const uuid4or7 = text(/^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
/** A UUID of version 7. */
export const uuid7 = text(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
/** A whole number that no reader rounds. */
export const count = integer(0, Number.MAX_SAFE_INTEGER);

/** An instant that exists, from 1970 on (A4, A12). */
export const instant: Shape = (value) =>
  typeof value === "string" && /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/.test(value) && readInstant(value) >= 0;

/** Returns an instant in milliseconds since 1970; `NaN` if there is no such instant. */
export function readInstant(value: string): number {
  const millis = Date.parse(value);
  // `Date.parse` forgives the 31st of a short month and 24:00, and writes another instant.
  return !Number.isNaN(millis) && new Date(millis).toISOString() === value ? millis : NaN;
}
