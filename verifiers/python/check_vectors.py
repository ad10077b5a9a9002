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


def check_bundles(root):
    """Yields how many cases there are, and a line for each answer that differs."""
    for folder in sorted(root.iterdir()):
        expected = json.loads((folder / "expect.json").read_text(encoding="utf-8"))
        expected.pop("twin")
        found = answer(folder)
        yield None if found == expected else f"{folder.name}: {found}, not {expected}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "spec/vectors")
    results = list(check_bundles(root / "bundles"))
    wrong = [line for line in results if line]
    print("\n".join([*wrong, f"{len(results)} vectors, {len(wrong)} answers differ"]))
    return 1 if wrong or not results else 0


if __name__ == "__main__":
    sys.exit(main())
