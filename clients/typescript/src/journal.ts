/** The journal of an executor in a file: every receipt that it was given, one a line (`spec/verification.md` §14). */

import { open, stat, type FileHandle } from "node:fs/promises";

import type { Journal } from "./attempt.js";
import { JournalFailed } from "./errors.js";
import { canonical } from "./json.js";
import type { Receipt } from "./types.js";

const FILE_MODE = 0o600;
const NEWLINE = 0x0a;
/** How often a file that was moved away meanwhile is written anew. */
const TRIES = 3;

/**
 * Appends receipts to a file, durable when it returns; the file is made, for its owner alone, with the first receipt. Several processes may
 * append to it.
 */
export function fileJournal(path: string): Journal {
  return async (receipts) => {
    if (receipts.length === 0) return;
    try {
      for (let tried = 0; tried < TRIES; tried++) if (await append(path, receipts)) return;
    } catch (cause) {
      throw new JournalFailed(`the journal \`${path}\` cannot be used`, { cause });
    }
    throw new JournalFailed(`the journal \`${path}\` is moved away again and again`);
  };
}

/** Says whether what was written stands in the file of that name: whoever moves the file away reads it only until then. */
async function append(path: string, receipts: readonly Receipt[]): Promise<boolean> {
  const file = await open(path, "a+", FILE_MODE);
  try {
    const lines = receipts.map((receipt) => Buffer.concat([canonical(receipt), Buffer.of(NEWLINE)]));
    // A line that a crash cut off is ended first, so that these are whole.
    const written = Buffer.concat((await endsWithNewline(file)) ? lines : [Buffer.of(NEWLINE), ...lines]);
    // In one write: the system appends it as a whole, whoever else writes.
    const { bytesWritten } = await file.write(written);
    if (bytesWritten !== written.length) throw new Error("only a part was written");
    await file.sync();
    return (await file.stat()).ino === (await stat(path)).ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  } finally {
    await file.close();
  }
}

async function endsWithNewline(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  if (size === 0) return true;
  const last = Buffer.alloc(1);
  await file.read(last, 0, 1, size - 1);
  return last[0] === NEWLINE;
}
