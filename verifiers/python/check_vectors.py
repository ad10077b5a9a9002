#!/usr/bin/env python3
"""Gives every vector of `spec/vectors/` to `gantral_verify.py`, and says where the answers differ from what is expected.

    check_vectors.py [spec/vectors]

Exit status: 0 when every answer is the expected one, 1 when one is not.
"""

from __future__ import annotations

import json
import pathlib
import sys

import gantral_verify as verifier


def answer(folder):
    """Returns verdict, scope and codes for one bundle."""
    pinned = folder / "trust.json"
    trust = verifier.Trust(pinned.read_bytes()) if pinned.exists() else None
    receipts, mirror = folder / "receipts.jsonl", folder / "mirror"
    judged = verifier.verify_path(
        str(folder / "bundle"),
        trust,
        str(mirror) if mirror.exists() else None,
        receipts.read_bytes() if receipts.exists() else b"",
    )
    return {"codes": judged.codes(), "scope": judged.scope, "verdict": judged.verdict()}


def answer_window(folder):
    """Returns the verdict on one window, and each code once at each instance."""
    pinned = folder / "trust.json"
    trust = verifier.Trust(pinned.read_bytes()) if pinned.exists() else None
    judged = verifier.Window(str(folder / "window"), trust).run()
    findings = sorted({(instance or "", code) for instance, code, *_ in judged.findings})
    findings = [{"code": code, "instance_id": instance or None} for instance, code in findings]
    return {"findings": findings, "verdict": judged.verdict()}


def check_all(root):
    """Yields None for each case whose answer is the expected one, and a line for each other."""
    for folder in sorted(path.parent for path in root.rglob("expect.json")):
        expected = json.loads((folder / "expect.json").read_text(encoding="utf-8"))
        for told in ("twin", "rules"):
            expected.pop(told, None)
        found = answer_window(folder) if (folder / "window").exists() else answer(folder)
        yield None if found == expected else f"{folder.relative_to(root)}: {found}, not {expected}"


def sweep(folder):
    """Yields a line for each flipped byte of a valid bundle after which it is as valid as before: there must be none."""
    trust = verifier.Trust((folder / "trust.json").read_bytes())
    files = verifier.read_bundle(str(folder / "bundle"))
    whole = verifier.Verifier(files, trust).run()
    for path, content in files.items():
        for at in range(0, len(content), STRIDE):
            damaged = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
            judged = verifier.Verifier({**files, path: damaged}, trust).run()
            same = (judged.verdict(), judged.assurance) == (verifier.VALID, whole.assurance)
            yield f"{folder.name}: byte {at} of {path} can change" if same else None


STRIDE = 61
SWEPT = "001-allowed"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "spec/vectors")
    results, flips = list(check_all(root)), list(sweep(root / "bundles" / SWEPT))
    wrong = [line for line in results + flips if line]
    print("\n".join([*wrong, f"{len(results)} vectors and {len(flips)} flipped bytes, {len(wrong)} wrong"]))
    return 1 if wrong or not results or not flips else 0


if __name__ == "__main__":
    sys.exit(main())
