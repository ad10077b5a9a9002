/** Calls of the API: retries, limits, and what an answer means. */

import { toHex } from "./bytes.js";
import { Misused, Refused, Unanswered } from "./errors.js";
import { canonical, parse, type Json } from "./json.js";
import { integer, open, string, type Shape } from "./shape.js";
import { currentTrace, type Traceparent } from "./tracing.js";
import type { Problem } from "./types.js";

/** Where the token of a caller comes from. It is asked for each call, since tokens are renewed. */
export type TokenSource = string | (() => string | Promise<string>);

/** How the server is reached. */
export interface ConnectionOptions {
  /** The server, such as `https://gantral.example.org`; a path before `/v1` is kept. Plain `http` is for this machine. */
  url: string;
  /** The token, or whoever has it. */
  token: TokenSource;
  /** How long one try may take, in milliseconds, long polls apart; 30 s when absent. */
  timeoutMs?: number | undefined;
  /** How often a call is tried, at least once; 4 times when absent. */
  tries?: number | undefined;
  /** What sends requests; that of the platform when absent. */
  fetch?: typeof globalThis.fetch | undefined;
  /** The trace that the calls are part of, as the header `traceparent`; that of the active span of OpenTelemetry when absent, if it is loaded. */
  traceparent?: Traceparent | undefined;
}

/** One call. */
export interface Call {
  method: "GET" | "POST";
  /** Its path after the address of the server, in steps that are escaped here. */
  path: readonly string[];
  query?: Readonly<Record<string, string>>;
  body?: unknown;
  /** The idempotency key of a write: one for each logical write, the same when it is repeated. */
  key?: string;
  timeoutMs?: number;
  bytesMax?: number;
}

const TIMEOUT_MS = 30_000;
const TRIES = 4;
/** The pause before the first retry; each further one is four times as long. */
const PAUSE_FIRST_MS = 100;
/** The longest pause, also if the server asks for a longer one: then the caller decides. */
const PAUSE_MAX_MS = 10_000;
/** The largest answer: an instance with the documents of its gate, each of which has its own limit of 1 MiB. */
const ANSWER_BYTES_MAX = 16 << 20;
/** Documents stand a few levels deep in an answer. */
const ANSWER_DEPTH_MAX = 64 + 8;
/** The refusals that the same call may overcome after a pause. Those of any other status, or code, stay until something else happens. */
const REPEATABLE = ["ledger_unavailable", "signer_unavailable", "issuer_unavailable", "not_ready"];

const PROBLEM = open({ code: string, detail: string, remedy: string, status: integer(400, 599), title: string, type: string });

/** What one try came to, if it may be repeated. */
interface Again {
  error: Refused | Unanswered;
  /** The least pause that the server asks for, in milliseconds. */
  afterMs: number;
}

/** A new idempotency key. */
export function newKey(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}

/** A server, and as whom it is called. */
export class Connection {
  readonly url: string;
  // Private to the language as well: whoever prints a connection must not print a token.
  readonly #token: TokenSource;
  readonly #options: ConnectionOptions;
  private readonly timeoutMs: number;
  private readonly tries: number;
  private readonly fetch: typeof globalThis.fetch;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.url = checkUrl(options.url);
    this.#token = options.token;
    this.timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.tries = Math.max(1, options.tries ?? TRIES);
    this.fetch = options.fetch ?? ((...call) => globalThis.fetch(...call));
  }

  /** Returns the same server, called with another token. */
  as(token: TokenSource): Connection {
    return new Connection({ ...this.#options, token });
  }

  /**
   * Makes a call and reads the JSON of its answer, which has at least the given shape.
   *
   * @throws {@link Refused} if the server said no; {@link Unanswered} without an answer that can be read, after all tries.
   */
  async json<T>(call: Call, shape: Shape): Promise<T> {
    const value = readAnswer(await this.bytes(call));
    if (!shape(value)) throw new Unanswered("unexpected_answer", "the answer is not one of this version of the API");
    return value as T;
  }

  /** Makes a call and returns the bytes of its answer. Throws as {@link json}. */
  async bytes(call: Call): Promise<Uint8Array> {
    const body = call.body === undefined ? undefined : canonical(call.body);
    let pause = PAUSE_FIRST_MS;
    let refusedToken: string | null = null;
    for (let tried = 1; ; tried++) {
      const token = await this.readToken();
      const done = await this.attempt(call, body, token);
      if (done instanceof Uint8Array) return done;
      if (done instanceof Error) {
        // The token may have been renewed while the call was on its way.
        const renewed =
          done instanceof Refused && done.code === "token_rejected" && refusedToken === null && (await this.readToken()) !== token;
        if (!renewed) throw done;
        refusedToken = token;
        continue;
      }
      if (tried >= this.tries || done.afterMs > PAUSE_MAX_MS) throw done.error;
      // Spread, so that many callers do not come back at once.
      await sleep(Math.max(pause * (0.5 + Math.random()), done.afterMs));
      pause = Math.min(4 * pause, PAUSE_MAX_MS);
    }
  }

  private async readToken(): Promise<string> {
    const token = (typeof this.#token === "string" ? this.#token : await this.#token()).trim();
    // What was made of a token is never shown.
    if (!/^[!-~]+$/.test(token)) throw new Misused("token_unusable", "the token is empty, or not visible ASCII");
    return token;
  }

  private async attempt(call: Call, body: Uint8Array | undefined, token: string): Promise<Uint8Array | Refused | Unanswered | Again> {
    const headers: Record<string, string> = { authorization: `Bearer ${token}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (call.key !== undefined) headers["idempotency-key"] = call.key;
    const traceparent = currentTrace(this.#options.traceparent);
    if (traceparent !== undefined) headers["traceparent"] = traceparent;
    const timeoutMs = call.timeoutMs ?? this.timeoutMs;
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const response = await this.fetch(this.address(call), {
        method: call.method,
        headers,
        ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
        // A token goes to the server that was named and to no other, and nothing else of a browser goes with it.
        redirect: "error",
        credentials: "omit",
        cache: "no-store",
        referrerPolicy: "no-referrer",
        signal,
      });
      const bytes = await read(response, call.bytesMax ?? ANSWER_BYTES_MAX);
      if (bytes === null) return new Unanswered("answer_too_large", "the answer is larger than anything that the server should send");
      return response.ok ? bytes : refused(response, bytes);
    } catch (cause) {
      const error = signal.aborted
        ? new Unanswered("timeout", `no answer within ${timeoutMs} ms`, { cause })
        : new Unanswered("unreachable", "the server cannot be reached", { cause });
      return { error, afterMs: 0 };
    }
  }

  private address({ path, query }: Call): string {
    const search = query === undefined ? "" : `?${new URLSearchParams(query).toString()}`;
    return `${this.url}/${path.map(encodeURIComponent).join("/")}${search}`;
  }
}

function readAnswer(bytes: Uint8Array): Json {
  try {
    return parse(bytes, { bytesMax: ANSWER_BYTES_MAX, depthMax: ANSWER_DEPTH_MAX, signed: false });
  } catch (cause) {
    throw new Unanswered("unexpected_answer", "the answer is not one of this API", { cause });
  }
}

function checkUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // Not shown: it may hold a password.
    throw new Misused("option_unusable", "the url is not an address such as `https://gantral.example.org`");
  }
  if (url.username !== "" || url.password !== "") throw new Misused("option_unusable", "user and password do not belong into the url");
  const loopback = url.hostname === "localhost" || url.hostname === "[::1]" || /^127(\.\d+){3}$/.test(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && loopback)) {
    throw new Misused("option_unusable", `\`${url.protocol}//${url.hostname}\`: plain http is for this machine, use https`);
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** Reads the body of an answer; `null` if it is larger than `bytesMax`. */
async function read(response: Response, bytesMax: number): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done || value === undefined) break;
    length += value.length;
    if (length > bytesMax) {
      await reader?.cancel();
      return null;
    }
    chunks.push(value);
  }
  const body = new Uint8Array(length);
  chunks.reduce((at, chunk) => (body.set(chunk, at), at + chunk.length), 0);
  return body;
}

function refused(response: Response, bytes: Uint8Array): Refused | Unanswered | Again {
  const problem = readProblem(response, bytes);
  const error =
    problem === null ? new Unanswered("unexpected_answer", `status ${response.status} without a problem document`) : new Refused(problem);
  // A 503 without a problem comes from something on the way, which has passed nothing on.
  if (response.status !== 503 || (problem !== null && !REPEATABLE.includes(problem.code))) return error;
  const seconds = Number(response.headers.get("retry-after") ?? 0);
  return { error, afterMs: Number.isFinite(seconds) ? seconds * 1_000 : 0 };
}

function readProblem(response: Response, bytes: Uint8Array): Problem | null {
  if (response.headers.get("content-type")?.startsWith("application/problem+json") !== true) return null;
  let value: Json;
  try {
    value = parse(bytes);
  } catch {
    return null;
  }
  return PROBLEM(value) ? (value as unknown as Problem) : null;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
