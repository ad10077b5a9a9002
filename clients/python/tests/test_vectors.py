"""The published vectors, through what the package itself uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gantral import _json
from gantral._evidence import (
    RULES,
    Envelope,
    Malformed,
    PublicKey,
    Statement,
    artifact_hash,
    commitment,
    instance_tag,
    key_id,
    pae,
)
from gantral._trust import Trust

VECTORS = Path(__file__).resolve().parents[3] / "spec" / "vectors"
USED = {"json", "pae", "ed25519", "hashes"}
#: Logs and passkeys are judged by verifiers; an executor reads neither.
OF_VERIFIERS = {"merkle", "notes", "es256"}
#: Hashes that stand for what only a verifier or an engine reads.
HASHES_OF_VERIFIERS = {"governance_tag", "leaf", "decision", "display", "enrolment", "label"}


def cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VECTORS / "primitives" / f"{name}.json").read_text(encoding="utf-8"))
    assert found
    return found


def test_every_list_of_primitives_is_run_or_belongs_to_verifiers() -> None:
    assert {path.stem for path in (VECTORS / "primitives").glob("*.json")} == USED | OF_VERIFIERS


@pytest.mark.parametrize("case", cases("json"), ids=lambda case: case["hex"][:24])
def test_json_is_read_and_written_as_the_vectors_say(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    read = {"document": _json.parse_document, "artifact": _json.parse_artifact}[case["profile"]]
    expected = case["result"]
    if "refused" in expected:
        with pytest.raises(_json.JsonRefused) as refused:
            read(data)
        assert refused.value.kind == expected["refused"]
    else:
        assert _json.canonical(read(data)).decode() == expected["canonical"]


@pytest.mark.parametrize("case", cases("pae"), ids=lambda case: case["payloadType"])
def test_what_is_signed_is_encoded_as_the_vectors_say(case: dict[str, Any]) -> None:
    assert pae(case["payloadType"], bytes.fromhex(case["payload"])).hex() == case["result"]


@pytest.mark.parametrize("case", cases("ed25519"), ids=lambda case: "-".join(case["flags"]))
def test_signatures_are_judged_as_strictly_as_the_vectors_say(case: dict[str, Any]) -> None:
    try:
        key = PublicKey.from_hex(case["key"])
    except Malformed:
        result = "invalid"
    else:
        good = key.verifies(bytes.fromhex(case["message"]), bytes.fromhex(case["signature"]))
        result = "valid" if good else "invalid"
    assert result == case["result"]


@pytest.mark.parametrize("case", cases("hashes"), ids=lambda case: "-".join(case["flags"]))
def test_hashes_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    (kind,) = case["flags"]
    if kind == "artifact":
        found = artifact_hash(bytes.fromhex(case["payload"]))
    elif kind == "commitment":
        found = commitment(case["label"], bytes.fromhex(case["salt"]), bytes.fromhex(case["plaintext"]))
    elif kind == "instance_tag":
        found = instance_tag(case["tenant"], case["instance"])
    elif kind == "key_id":
        found = key_id(bytes.fromhex(case["key"]))
    elif kind == "rules":
        found = RULES
    else:
        assert kind in HASHES_OF_VERIFIERS
        return
    assert found == case["result"]


def bundles(verdict: str) -> list[Path]:
    folders = sorted(path.parent for path in (VECTORS / "bundles").glob("*/expect.json"))
    return [folder for folder in folders if json.loads((folder / "expect.json").read_text())["verdict"] == verdict]


def judged(folder: Path) -> list[bool]:
    """Returns for each artifact of a bundle whether an executor with its trust file would believe it."""
    trust = Trust.parse((folder / "trust.json").read_bytes())
    for path in sorted((folder / "bundle" / "keys").glob("*.delegation.json")):
        trust.delegate(_json.parse_document(path.read_bytes()))
    found = []
    for path in sorted((folder / "bundle" / "artifacts").glob("[0-9]*.json")):
        try:
            envelope = Envelope.read(_json.parse_document(path.read_bytes(), 163_840))
            found.append(trust.believes(envelope, Statement.read(envelope.payload)))
        except (Malformed, _json.JsonRefused):
            found.append(False)
    return found


def has_ended_keys(folder: Path) -> bool:
    keys = json.loads((folder / "trust.json").read_text())["keys"]
    return any(key["valid_until"] is not None or key["compromised_from"] is not None for key in keys)


def test_every_artifact_of_every_valid_bundle_is_believed() -> None:
    judgements = 0
    for folder in bundles("VALID"):
        if not (folder / "trust.json").exists() or has_ended_keys(folder):
            continue
        assert all(judged(folder)), folder.name
        judgements += len(judged(folder))
    assert judgements > 500


#: What is wrong with bytes or with who signed them; everything else is about a chain, which runner and verifier fold.
FORM_AND_KEYS = {
    "E_SIG",
    "E_KEY_ROLE",
    "E_KEY_UNKNOWN",
    "E_KEY_WINDOW",
    "E_KEY_COMPROMISED",
    "E_NONCANONICAL",
    "E_UNICODE",
    "E_UNSUPPORTED",
    "E_CRIT",
}


def test_bundles_with_a_fault_of_form_or_keys_have_an_artifact_that_is_not_believed() -> None:
    checked = 0
    for folder in bundles("INVALID") + bundles("INCONCLUSIVE"):
        about = int(folder.name.split("-")[0])
        codes = set(json.loads((folder / "expect.json").read_text())["codes"])
        if codes & FORM_AND_KEYS and (100 <= about < 200 or 300 <= about < 400 or 840 <= about < 850):
            assert not all(judged(folder)), folder.name
            checked += 1
    assert checked > 20
