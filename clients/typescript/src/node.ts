/** The client of Gantral in Node.js: what the other entry has, and files. */

import { readFile, stat } from "node:fs/promises";

import { CONTEXT, INSTANCE } from "./answers.js";
import { Attempt, type Context } from "./attempt.js";
import { Connection } from "./connection.js";
import { Misused } from "./errors.js";
import { Gantral as Portable, type GantralOptions as PortableOptions } from "./gantral.js";
import { fetchOver, type TlsFiles } from "./https.js";
import { fileJournal } from "./journal.js";
import { parse, type Json } from "./json.js";
import { isOff, OffAttempt } from "./off.js";
import { socketSecrets } from "./secrets.js";
import { activeSpan } from "./tracing.js";
import { Trust } from "./trust.js";
import type { GrantView, InstanceView } from "./types.js";

export * from "./index.js";
export { fetchOver, type TlsFiles } from "./https.js";
export { fileJournal } from "./journal.js";

/** The variables of a process that a runner launched. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The largest context, in bytes: a document, with room for the grant around it. */
const CONTEXT_BYTES_MAX = 4 << 20;
/** Its documents stand a few levels deep in it. */
const CONTEXT_DEPTH_MAX = 64 + 8;
/** The largest token file, in bytes. */
const TOKEN_BYTES_MAX = 64 << 10;

/** What a client is made of. */
export interface GantralOptions extends PortableOptions {
  /** Authorities and a certificate of files, for an `https` server. Not together with `fetch`. */
  tls?: TlsFiles | undefined;
}

/** A server, called as a workload; or, from the environment, the attempt that this process is. */
export class Gantral extends Portable {
  /** @throws {@link Misused} if an option cannot be used. */
  constructor({ tls, ...options }: GantralOptions) {
    if (tls !== undefined && options.fetch !== undefined) throw new Misused("option_unusable", "`tls` is for the `fetch` of this package");
    super(tls === undefined ? options : { ...options, fetch: fetchOver(tls) });
  }

  /**
   * Returns the attempt that this process is, from the variables that a runner sets.
   *
   * With `GANTRAL_TRUST` and `GANTRAL_TENANT`, which a runner always sets, everything that the server answers is verified.
   *
   * With `GANTRAL=off` Gantral is taken away: every action may be done, nobody is asked, and nothing is recorded.
   *
   * @throws {@link Misused} `not_launched` if a variable is missing or not what a runner sets.
   */
  static async fromEnvironment(env: Environment = process.env): Promise<Attempt> {
    if (isOff(env)) return new OffAttempt();
    const instanceId = needed(env, "GANTRAL_INSTANCE_ID");
    const token = tokenFile(needed(env, "GANTRAL_TOKEN_FILE"));
    const traceparent = (): string | undefined => activeSpan() ?? env["TRACEPARENT"];
    const connection = new Connection({ url: needed(env, "GANTRAL_URL"), token, traceparent, ...overTls(env) });
    const context = env["GANTRAL_CONTEXT"] === undefined ? null : await readContext(env["GANTRAL_CONTEXT"]);
    const attempt = Number(needed(env, "GANTRAL_ATTEMPT"));
    if (!Number.isSafeInteger(attempt) || attempt < 1)
      throw new Misused("not_launched", "`GANTRAL_ATTEMPT` is not the number of an attempt");
    if (context !== null && (context.instance_id !== instanceId || context.attempt !== attempt)) {
      throw new Misused("not_launched", "the context is about another attempt than `GANTRAL_INSTANCE_ID` and `GANTRAL_ATTEMPT`");
    }
    // A runner pins for its processes: one that finds nothing pinned is not one of them.
    const trust = env["GANTRAL_CONTEXT"] === undefined ? env["GANTRAL_TRUST"] : needed(env, "GANTRAL_TRUST");
    return new Attempt({
      connection,
      instanceId,
      attempt,
      context,
      grant: await readGrant(env["GANTRAL_GRANT"], context, connection, instanceId),
      pinned: trust === undefined ? null : { trust: await Trust.read(await readFile(trust)), tenant: needed(env, "GANTRAL_TENANT") },
      journal: env["GANTRAL_JOURNAL"] === undefined ? null : fileJournal(env["GANTRAL_JOURNAL"]),
      secrets: env["GANTRAL_SECRETS"] === undefined ? null : socketSecrets(env["GANTRAL_SECRETS"]),
    });
  }
}

/** Returns what sends requests where files for TLS are named; the platform's own does it where none are. */
function overTls(env: Environment): { fetch?: typeof globalThis.fetch } {
  const tls = {
    caFile: env["GANTRAL_CA_FILE"],
    certificateFile: env["GANTRAL_CERTIFICATE_FILE"],
    certificateKeyFile: env["GANTRAL_CERTIFICATE_KEY_FILE"],
  };
  const plain = !env["GANTRAL_URL"]?.startsWith("https:");
  return plain || Object.values(tls).every((file) => file === undefined) ? {} : { fetch: fetchOver(tls) };
}

/** Reads a token from a file, anew for each call: whoever launched the process renews it. */
export function tokenFile(path: string): () => Promise<string> {
  return async () => {
    try {
      if ((await stat(path)).size > TOKEN_BYTES_MAX) throw new Misused("token_unusable", `\`${path}\` is larger than a token`);
      return await readFile(path, "utf8");
    } catch (cause) {
      if (cause instanceof Misused) throw cause;
      throw new Misused("token_unusable", `\`${path}\` cannot be read`, { cause });
    }
  };
}

function needed(env: Environment, name: string): string {
  const value = env[name];
  if (value === undefined || value === "")
    throw new Misused("not_launched", `\`${name}\` is not set: this is for processes that a runner launched`);
  return value;
}

async function readContext(path: string): Promise<Context> {
  const unusable = (cause?: unknown): Misused => new Misused("not_launched", `the context \`${path}\` cannot be used`, { cause });
  let value: Json;
  try {
    value = parse(await readFile(path), { bytesMax: CONTEXT_BYTES_MAX, depthMax: CONTEXT_DEPTH_MAX, signed: false });
  } catch (cause) {
    throw unusable(cause);
  }
  if (!CONTEXT(value)) throw unusable();
  return value as unknown as Context;
}

/** A process that replaces a lost one is told of its grant by the variable alone, and asks what it is. */
async function readGrant(
  id: string | undefined,
  context: Context | null,
  connection: Connection,
  instanceId: string,
): Promise<GrantView | null> {
  if (id === undefined) return null;
  const told = context?.grant ?? null;
  const view = (): Promise<InstanceView> => connection.json({ method: "GET", path: ["v1", "instances", instanceId] }, INSTANCE);
  const grant = told ?? (await view()).pending_grant;
  if (grant?.grant_id !== id) throw new Misused("grant_missing", `the grant \`${id}\` of \`GANTRAL_GRANT\` is not there`);
  return grant;
}
