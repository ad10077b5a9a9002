/**
 * The trace that a call is part of, as the header `traceparent` of W3C Trace Context says it.
 *
 * OpenTelemetry is not needed: where the program has loaded its API, its active span is told. Nothing of a trace stops a call,
 * whatever it is.
 */

/** The header itself, or a function that returns it for each request. */
export type Traceparent = string | (() => string | undefined);

const HEADER = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** Where the API of OpenTelemetry, in its first version, keeps what is loaded; each package that uses it finds it there. */
const API = Symbol.for("opentelemetry.js.api.1");
/** Under what its contexts hold their span. */
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");

interface Api {
  context?: { active(): { getValue(key: symbol): { spanContext(): SpanContext } | undefined } };
}

interface SpanContext {
  traceId: string;
  spanId: string;
  traceFlags: number;
}

/** Returns the header for a request that is sent now: what is given, else the active span of OpenTelemetry. */
export function currentTrace(given: Traceparent | undefined): string | undefined {
  try {
    const header = (typeof given === "function" ? given() : given) ?? activeSpan();
    return header !== undefined && HEADER.test(header) ? header : undefined;
  } catch {
    // Whoever traces badly acts all the same.
    return undefined;
  }
}

/** Returns the header of the active span of OpenTelemetry, if that is loaded and has one. */
export function activeSpan(): string | undefined {
  const api = (globalThis as Record<symbol, unknown>)[API] as Api | undefined;
  const span = api?.context?.active().getValue(SPAN)?.spanContext();
  if (span === undefined) return undefined;
  return `00-${span.traceId}-${span.spanId}-0${span.traceFlags & 1}`;
}
