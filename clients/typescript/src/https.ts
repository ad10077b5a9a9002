/** Requests over TLS with authorities and a certificate of files, which the `fetch` of Node.js cannot be given. */

import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { Readable } from "node:stream";
import { createSecureContext } from "node:tls";

import { Misused } from "./errors.js";

/** PEM files. */
export interface TlsFiles {
  /** The authorities to trust instead of the system's. */
  caFile?: string | undefined;
  /** The certificate to show to a server that asks for one, and those between it and its authority. */
  certificateFile?: string | undefined;
  /** Its private key; in the same file when absent. */
  certificateKeyFile?: string | undefined;
}

/** Statuses whose answers have no body. */
const EMPTY = [204, 205, 304];

/**
 * Returns a `fetch` for connections to an `https` server, which believes and shows what is in these files. They are read once.
 *
 * @throws {@link Misused} `option_unusable` if a file cannot be read, or is not what it should be.
 */
export function fetchOver(files: TlsFiles): typeof globalThis.fetch {
  const agent = agentOf(files);
  return (address, init) =>
    new Promise((resolve, reject) => {
      const headers = Object.fromEntries(new Headers(init?.headers));
      const { method = "GET", signal, body } = init ?? {};
      const sent = request(String(address), { agent, method, headers, ...(signal ? { signal } : {}) }, (answer) => {
        const status = answer.statusCode ?? 0;
        if (status >= 300 && status < 400 && init?.redirect === "error") {
          answer.destroy();
          reject(new TypeError("the server sends elsewhere"));
          return;
        }
        const kept = new Headers();
        for (const [name, value] of Object.entries(answer.headers)) kept.set(name, String(value));
        const stream = EMPTY.includes(status) ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array<ArrayBuffer>>);
        if (stream === null) answer.resume();
        resolve(new Response(stream, { status, headers: kept }));
      });
      sent.on("error", reject);
      sent.end(body ?? undefined);
    });
}

function agentOf({ caFile, certificateFile, certificateKeyFile }: TlsFiles): Agent {
  if (certificateFile === undefined && certificateKeyFile !== undefined)
    throw new Misused("option_unusable", "the key of a certificate is named, and no certificate");
  const chain = read(certificateFile);
  const key = certificateKeyFile === undefined ? chain : read(certificateKeyFile);
  try {
    const secureContext = createSecureContext({ ...given("ca", read(caFile)), ...given("cert", chain), ...given("key", key) });
    return new Agent({ keepAlive: true, secureContext });
  } catch (cause) {
    if (cause instanceof Misused) throw cause;
    throw new Misused("option_unusable", "certificate, key or authorities cannot be used", { cause });
  }
}

function given(name: string, value: Buffer | undefined): Record<string, Buffer> {
  return value === undefined ? {} : { [name]: value };
}

function read(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Misused("option_unusable", `\`${path}\` cannot be read`, { cause });
  }
}
