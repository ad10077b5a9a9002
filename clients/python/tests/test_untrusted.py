"""Whoever answers in the place of the server cannot make an agent act: what no pinned key signed is refused."""

from __future__ import annotations

import base64
import copy
import io
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from between import Between, payload_of
from conftest import REPOSITORY, World
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import gantral
from gantral import Attempt, Trust, _json
from gantral._core import delegation_of
from gantral._evidence import ARTIFACT_TYPE, action_commitment, artifact_hash, key_id, pae

REFUND = {"name": "refund", "target": "order/1001", "parameters": {"amount_minor": 100}}
LARGE = {"name": "refund", "target": "order/1001", "parameters": {"amount_minor": 480_000}}
Forge = Callable[[Any], Any]


def begin(world: World, between: Between, **more: Any) -> Attempt:
    client = world.client(between.url, tries=1, **more)
    return client.attach(client.create("refund")["instance"]["instance_id"])


def forged(receipt: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Returns a receipt whose artifact says something else, signed by a stranger under his own name."""
    statement = payload_of(receipt)
    change(statement["predicate"])
    payload = _json.canonical(statement)
    key = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    signature = base64.b64encode(key.sign(pae(ARTIFACT_TYPE, payload))).decode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": ARTIFACT_TYPE,
        "signatures": [{"keyid": key_id(public), "sig": signature}],
    }
    return {**receipt, "hash": artifact_hash(payload), "event": statement["predicate"]["event"], "envelope": envelope}


def other_amount(answer: Any) -> Any:
    answer["grant"]["action"]["parameters"]["amount_minor"] = 9_999_999
    return answer


def other_amount_and_commitment(answer: Any) -> Any:
    answer = other_amount(answer)
    grant = answer["grant"]
    grant["action_commitment"] = action_commitment(grant["action"], grant["action_salt"])
    return answer


def other_grant(answer: Any) -> Any:
    answer["grant"]["grant_id"] = answer["grant_id"] = "5eef1300-0000-4000-8000-000000000000"
    return answer


def signed_by_a_stranger(answer: Any) -> Any:
    answer["artifacts"] = [forged(receipt, lambda predicate: None) for receipt in answer["artifacts"]]
    return answer


def changed_payload(answer: Any) -> Any:
    for receipt in answer["artifacts"]:
        statement = payload_of(receipt)
        statement["predicate"]["attempt"] += 0
        statement["predicate"]["blind"] = "0" * 64
        payload = _json.canonical(statement)
        receipt["envelope"]["payload"] = base64.b64encode(payload).decode()
        receipt["hash"] = artifact_hash(payload)
    return answer


def signature_by_the_pinned_name_of_a_stranger(answer: Any) -> Any:
    for receipt in answer["artifacts"]:
        name = receipt["envelope"]["signatures"][0]["keyid"]
        receipt.update(forged(receipt, lambda predicate: None))
        receipt["envelope"]["signatures"][0]["keyid"] = name
    return answer


def no_receipts(answer: Any) -> Any:
    return {**answer, "artifacts": []}


def only_observed(answer: Any) -> Any:
    return {"answer": "ALLOW", "enforced": False, "reasons": [], "artifacts": answer["artifacts"]}


def only_observed_without_receipts(answer: Any) -> Any:
    return {"answer": "ALLOW", "enforced": False, "reasons": [], "artifacts": []}


def unknown_answer(answer: Any) -> Any:
    return {**answer, "answer": "SURE"}


def no_object(answer: Any) -> Any:
    return [answer]


def allowed_though_a_human_must_decide(answer: Any) -> Any:
    return {**answer, "answer": "ALLOW", "enforced": True, "grant_id": None}


@pytest.mark.parametrize(
    "forge",
    [
        other_amount,
        other_amount_and_commitment,
        other_grant,
        signed_by_a_stranger,
        changed_payload,
        signature_by_the_pinned_name_of_a_stranger,
        no_receipts,
        only_observed,
        only_observed_without_receipts,
        unknown_answer,
        no_object,
    ],
)
def test_forged_grant_is_refused_before_anything_is_done(world: World, forge: Forge) -> None:
    done = []
    with Between(world.url) as between:
        attempt = begin(world, between)
        between.change = lambda path, status, answer: (status, forge(answer) if path.endswith("authority") else answer)
        with pytest.raises(gantral.Untrusted), attempt.gate(REFUND):
            done.append(1)
    assert not done


@pytest.mark.parametrize("forge", [signed_by_a_stranger, changed_payload, no_receipts, unknown_answer])
def test_forged_consumption_is_refused_before_anything_is_done(world: World, forge: Forge) -> None:
    done = []
    with Between(world.url) as between:
        attempt = begin(world, between)
        between.change = lambda path, status, answer: (status, forge(answer) if path.endswith("consume") else answer)
        with pytest.raises(gantral.Untrusted), attempt.gate(REFUND):
            done.append(1)
    assert not done


@pytest.mark.parametrize("forge", [only_observed, only_observed_without_receipts, allowed_though_a_human_must_decide])
def test_answer_that_a_human_must_decide_is_not_turned_into_a_permission(world: World, forge: Forge) -> None:
    done = []
    with Between(world.url) as between:
        attempt = begin(world, between)
        between.change = lambda path, status, answer: (200, forge(answer)) if path.endswith("authority") else (status, answer)
        with pytest.raises(gantral.Untrusted), attempt.gate(LARGE):
            done.append(1)
    assert not done


def test_consumption_of_another_grant_does_not_count(world: World) -> None:
    kept: dict[str, Any] = {}
    done = []
    with Between(world.url) as between:
        attempt = begin(world, between)

        def keep(path: str, status: int, answer: Any) -> tuple[int, Any]:
            if path.endswith("consume"):
                answer = kept.setdefault("answer", copy.deepcopy(answer))
            return status, answer

        between.change = keep
        with attempt.gate(REFUND):
            done.append(1)
        # Good signatures, good chain, this attempt: and yet an answer to another question.
        with pytest.raises(gantral.Untrusted), attempt.gate({**REFUND, "target": "order/2"}):
            done.append(2)
    assert done == [1]


def test_answer_of_another_execution_does_not_count(world: World) -> None:
    done = []
    with Between(world.url) as between, world.client() as client:
        other = client.attach(client.create("refund")["instance"]["instance_id"])
        attempt = begin(world, between)
        kept: dict[str, Any] = {}
        between.change = lambda path, status, answer: (
            status,
            kept.setdefault("answer", answer) if path.endswith("authority") else answer,
        )
        foreign = world.client(between.url).attach(other.instance_id)
        foreign.ask(REFUND)
        with pytest.raises(gantral.Untrusted, match="another instance"), attempt.gate(REFUND):
            done.append(1)
    assert not done


def test_receipts_of_another_tenant_do_not_count(world: World) -> None:
    with gantral.Gantral(world.url, token=world.agent_token, trust=world.trust, tenant="acme") as client:
        with pytest.raises(gantral.Untrusted, match="another tenant"):
            client.create("refund")


def trust_with(world: World, tmp_path: Path, **changes: Any) -> Path:
    trust = json.loads(world.trust.read_text())
    trust["keys"][0].update(changes)
    file = tmp_path / "trust.json"
    file.write_text(json.dumps(trust))
    return file


@pytest.mark.parametrize(
    "changes",
    [{"tenants": ["acme"]}, {"origins": ["acme/log"]}, {"role": "directory"}, {"compromised_from": 0}, {"valid_until": 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_pinned_key_that_does_not_vouch_for_this_is_not_believed(
    world: World, tmp_path: Path, changes: dict[str, Any]
) -> None:
    trust = trust_with(world, tmp_path, **changes)
    with world.client(trust=trust) as client, pytest.raises(gantral.Untrusted):
        client.create("refund")


def test_key_that_was_not_pinned_is_not_believed(world: World) -> None:
    # Another key of the vectors: nobody delegated anything to the server's.
    folder = REPOSITORY / "spec" / "vectors" / "bundles" / "025-never-asked"
    trust = Trust.parse((folder / "trust.json").read_bytes())
    with world.client(trust=trust) as client, pytest.raises(gantral.Untrusted, match="nobody whom the trust file names"):
        client.create("refund")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"format":"gantral/trust/v1","keys":[{}]}',
        '{"format":"gantral/trust/v2","keys":[]}',
        '{"format":"gantral/trust/v1","keys":[],"keys":[]}',
        '{"format":"gantral/trust/v1","keys":[],"sig":1}',
    ],
)
def test_file_that_is_no_trust_file_is_refused(world: World, tmp_path: Path, text: str) -> None:
    file = tmp_path / "trust.json"
    file.write_text(text)
    with pytest.raises(gantral.Unusable):
        world.client(trust=file)


def test_delegated_key_is_learnt_from_the_evidence_and_believed_by_the_pinned_one(tmp_path: Path) -> None:
    """The delegation of the vectors, in a tar as the server exports it."""
    folder = REPOSITORY / "spec" / "vectors" / "bundles" / "840-delegated"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted((folder / "bundle").rglob("*.json")):
            archive.add(path, path.relative_to(folder / "bundle").as_posix())
    (named,) = (path.name.split(".")[0] for path in (folder / "bundle" / "keys").iterdir() if "delegation" in path.name)
    content = delegation_of(named, buffer.getvalue())
    trust = Trust.parse((folder / "trust.json").read_bytes())
    assert not trust.is_known(named)
    assert trust.delegate(content) and trust.is_known(named)
    assert not Trust.parse(b'{"format":"gantral/trust/v1","keys":[]}').delegate(content)
    assert delegation_of("0" * 64, buffer.getvalue()) is None
    with pytest.raises(gantral.Untrusted):
        delegation_of(named, b"no tar at all" * 100)


def test_answer_that_came_too_late_starts_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    with Between(world.url) as between:
        attempt = begin(world, between)
        real, ahead = time.monotonic, [0.0]
        monkeypatch.setattr("gantral._core.time.monotonic", lambda: real() + ahead[0])

        def late(path: str, status: int, answer: Any) -> tuple[int, Any]:
            if path.endswith("consume"):
                ahead[0] = 3_600.0
            return status, answer

        between.change = late
        with pytest.raises(gantral.TooLate), attempt.gate(REFUND):
            done.append(1)
    assert not done
    assert world.instance(attempt.instance_id)["outcomes"][0]["status"] == "FAILED"


def test_key_that_is_a_log_too_is_no_issuer(world: World, tmp_path: Path) -> None:
    trust = json.loads(world.trust.read_text())
    words = trust["log"]["policy"].split()
    (vkey,) = [word for word in words if word.count("+") >= 2]
    name, number, _ = vkey.split("+", 2)
    same = base64.b64encode(b"\x01" + bytes.fromhex(trust["keys"][0]["public_key"])).decode()
    trust["log"]["policy"] = trust["log"]["policy"].replace(vkey, f"{name}+{number}+{same}")
    file = tmp_path / "trust.json"
    file.write_text(json.dumps(trust))
    with pytest.raises(gantral.Unusable, match="twice"):
        world.client(trust=file)
