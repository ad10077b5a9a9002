/** Secrets that the runner hands out once a grant is used up (`spec/runner.md` §6), by its socket: for Node.js alone. */

import { connect } from "node:net";

import type { HandedOut, Secrets } from "./attempt.js";
import { SecretRefused } from "./errors.js";

/** The largest secret as base64, and what stands around it, in bytes. */
const ANSWER_BYTES_MAX = 128 << 10;
/** The runner asks the server, and perhaps OpenBao, in milliseconds. */
const ANSWER_WITHIN_MS = 40_000;
const NEWLINE = 0x0a;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Returns how a process asks at the socket of its attempt. */
export function socketSecrets(path: string): Secrets {
  return async (name, grantId) => read(await exchange(path, JSON.stringify({ ask: "secret", name, grant: grantId })));
}

/** Writes one line and reads one. */
function exchange(path: string, request: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const chunks: Buffer[] = [];
    let size = 0;
    const fail = (why: string, cause?: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new SecretRefused("secret_unavailable", `the runner gives no answer at \`${path}\`: ${why}`, { cause }));
    };
    const timer = setTimeout(() => fail("it takes too long"), ANSWER_WITHIN_MS);
    socket.on("connect", () => socket.write(`${request}\n`));
    socket.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > ANSWER_BYTES_MAX) return fail("it is larger than a secret");
      chunks.push(chunk);
      if (!chunk.includes(NEWLINE)) return;
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(chunks));
    });
    socket.on("error", (error) => fail((error as NodeJS.ErrnoException).code ?? "it cannot be asked", error));
    socket.on("end", () => fail("it has hung up"));
  });
}

/** Reads an answer. What is thrown repeats nothing of it, for it may hold a value. */
function read(line: Buffer): HandedOut {
  const answer = object(line);
  const { code, detail, value, record } = answer;
  if (typeof code === "string") throw new SecretRefused(code, typeof detail === "string" ? detail : "refused");
  const { name, digest } = (typeof record === "object" && record !== null ? record : {}) as Record<string, unknown>;
  if (typeof value !== "string" || !BASE64.test(value) || typeof name !== "string" || typeof digest !== "string") throw unreadable();
  try {
    return { value: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(value, "base64")), record: { name, digest } };
  } catch {
    throw new SecretRefused("secret_not_text", "the secret is no text");
  }
}

function object(line: Buffer): Record<string, unknown> {
  let answer: unknown;
  try {
    answer = JSON.parse(line.toString("utf8"));
  } catch {
    throw unreadable();
  }
  if (typeof answer !== "object" || answer === null) throw unreadable();
  return answer as Record<string, unknown>;
}

function unreadable(): SecretRefused {
  return new SecretRefused("secret_unavailable", "the answer of the runner is no secret");
}
