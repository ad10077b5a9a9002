/** The files of a bundle (`spec/bundle.md` B2), as far as a client reads them: what they say is believed by signature and not by place. */

import { fromUtf8 } from "./bytes.js";

const BLOCK = 512;
/** B6: the most files of a bundle. */
const FILES_MAX = 100_000;

/** Returns the files of an archive by path; `null` if it is none. */
export function readTar(archive: Uint8Array): Map<string, Uint8Array> | null {
  const files = new Map<string, Uint8Array>();
  for (let at = 0; at + BLOCK <= archive.length;) {
    const header = archive.subarray(at, at + BLOCK);
    // The archive ends with blocks of zeros.
    if (header[0] === 0) return files;
    const path = fromUtf8(header.subarray(0, 100))?.replace(/\0+$/, "");
    const octal = fromUtf8(header.subarray(124, 136))?.match(/^([0-7]{11})\0$/)?.[1];
    if (path === undefined || octal === undefined || files.has(path) || files.size >= FILES_MAX) return null;
    const [start, length] = [at + BLOCK, parseInt(octal, 8)];
    if (start + length > archive.length) return null;
    files.set(path, archive.subarray(start, start + length));
    at = start + Math.ceil(length / BLOCK) * BLOCK;
  }
  return null;
}
