"""Hashes, keys, envelopes and statements: what is needed to read a receipt and to believe it.

Sources: `spec/commitments.md` (C), `spec/keys.md` (K), `spec/envelope.md` (E), `spec/artifact.md` (A). Pure: no clock and
no network.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import _json

SIGNATURES_MAX, KEYID_BYTES_MAX, SIG_BYTES_MAX = 8, 128, 4_096  # E1
ARTIFACT_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://gantral.dev/commitment/v1"
ARTIFACT_VERSION = "1.0"
#: The published table of states and rules that this package knows (`spec/states.md`): what an event means follows from it.
RULES = "fe2328ca1a8bde55c7794691cd2f6361627056072f9cbee1be4f1934b3adc23e"

HEX64 = re.compile("[0-9a-f]{64}")
UUID4 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
UUID4_OR_7 = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)


class Malformed(ValueError):
    """Bytes that are not what they claim to be."""


# -- Hashes: C1


def artifact_hash(payload: bytes) -> str:
    """Returns the identity of an artifact."""
    return hashlib.sha256(b"gantral/artifact/v1\0" + payload).hexdigest()


def commitment(label: str, salt: bytes, plaintext: bytes) -> str:
    """Returns a salted commitment."""
    return hashlib.sha256(b"gantral/commit/v1\0" + label.encode() + b"\0" + salt + plaintext).hexdigest()


def instance_tag(tenant: str, instance: str) -> str:
    """Returns what stands for an instance in a log."""
    number = bytes.fromhex(instance.replace("-", ""))
    return hashlib.sha256(b"gantral/instance/v1\0" + tenant.encode() + b"\0" + number).hexdigest()


def key_id(key: bytes) -> str:
    """Returns the name of a public key (K1)."""
    return hashlib.sha256(b"gantral/key/v1\0ed25519\0" + key).hexdigest()


def action_commitment(action: Mapping[str, Any], salt: str) -> str:
    """Returns the commitment to an action `{"name", "parameters", "target"}` (C7), with a salt of 64 hexadecimal digits."""
    return commitment("action", bytes.fromhex(salt), _json.canonical(action))


def from_base64(text: str) -> bytes | None:
    """Returns what canonical base64 stands for, None if it is not canonical (E2)."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def pae(payload_type: str, payload: bytes) -> bytes:
    """Returns what a signature of an envelope covers (E4)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


# -- Ed25519, strictly: K5, K6

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_SQRT_M1 = pow(2, (_P - 1) // 4, _P)

_Point = tuple[int, int, int, int]


def _decode_point(data: bytes) -> _Point | None:
    """Returns the point that 32 bytes encode canonically, in extended coordinates; None if there is none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if len(data) != 32 or y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P == _P - u and u:
        x = x * _SQRT_M1 % _P
    if v * x * x % _P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _doubled(a: _Point) -> _Point:
    """RFC 8032 §5.1.4, of a point with itself."""
    e1, e2 = (a[1] - a[0]) ** 2 % _P, (a[1] + a[0]) ** 2 % _P
    c, d = 2 * a[3] * a[3] * _D % _P, 2 * a[2] * a[2] % _P
    e, f, g, h = e2 - e1, d - c, d + c, e2 + e1
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _has_small_order(point: _Point) -> bool:
    x, y, z, _ = _doubled(_doubled(_doubled(point)))
    return x % _P == 0 and (y - z) % _P == 0


class PublicKey:
    """A key that K5 accepts. Raises `Malformed` for any other bytes."""

    def __init__(self, data: bytes) -> None:
        point = _decode_point(data)
        if point is None or _has_small_order(point):
            raise Malformed("not a public key that can sign")
        self.id = key_id(data)
        self._key = Ed25519PublicKey.from_public_bytes(data)

    @classmethod
    def from_hex(cls, text: object) -> PublicKey:
        """Reads 64 lower-case hexadecimal digits (K3). Raises `Malformed`."""
        if not isinstance(text, str) or not HEX64.fullmatch(text):
            raise Malformed("a public key is 64 lower-case hexadecimal digits")
        return cls(bytes.fromhex(text))

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Tells whether a signature is good (K6). The library does the arithmetic, the strict checks are made here."""
        if len(signature) != 64 or int.from_bytes(signature[32:], "little") >= _L:
            return False
        point = _decode_point(signature[:32])
        if point is None or _has_small_order(point):
            return False
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


# -- Envelopes


@dataclass(frozen=True)
class Envelope:
    """A payload and its signatures, nothing of it checked (E1)."""

    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]
    payload_type: str

    @classmethod
    def read(cls, value: object, payload_type: str = ARTIFACT_TYPE) -> Envelope:
        """Reads an envelope from JSON. Raises `Malformed`."""
        if not has_members(value, "payload", "payloadType", "signatures"):
            raise Malformed("not an envelope")
        if value["payloadType"] != payload_type:
            raise Malformed("an envelope of another payload type")
        payload = from_base64(value["payload"]) if isinstance(value["payload"], str) else None
        signatures = value["signatures"]
        if payload is None or not isinstance(signatures, list) or not 1 <= len(signatures) <= SIGNATURES_MAX:
            raise Malformed("an envelope without payload or signatures, or with too many")
        if len(payload) > _json.ARTIFACT_BYTES:
            raise Malformed("an envelope whose payload is larger than its limit")
        return cls(payload, tuple(cls._signature(entry) for entry in signatures), payload_type)

    @staticmethod
    def _signature(entry: object) -> tuple[str, bytes]:
        if not has_members(entry, "keyid", "sig") or not all(isinstance(text, str) for text in entry.values()):
            raise Malformed("an envelope with a signature that is none")
        signature = from_base64(entry["sig"])
        if signature is None or len(entry["keyid"].encode("utf-8", "replace")) > KEYID_BYTES_MAX:
            raise Malformed("an envelope with a signature that is none")
        if len(signature) > SIG_BYTES_MAX:
            raise Malformed("an envelope with a signature that is larger than its limit")
        return entry["keyid"], signature

    def is_signed_by(self, key: PublicKey) -> bool:
        """Tells whether the key signed the payload. A signature is tried under the key that it names (E5)."""
        message = pae(self.payload_type, self.payload)
        return any(claimed == key.id and key.verifies(message, signature) for claimed, signature in self.signatures)


# -- Statements


@dataclass(frozen=True)
class Statement:
    """What one artifact says, as far as an executor needs it. Nothing in here was believed yet."""

    hash: str
    sequence: int
    previous: str | None
    event: str
    tenant: str
    log_origin: str
    instance: str
    attempt: int
    mode: str
    workflow: Mapping[str, str]
    issued_at: datetime.datetime
    detail: Mapping[str, Any]

    @classmethod
    def read(cls, payload: bytes) -> Statement:
        """Reads the payload of an envelope (A1 to A8). Raises `Malformed`."""
        try:
            value = _json.parse_artifact(payload)
        except _json.JsonRefused as refused:
            raise Malformed(f"an artifact that is not JSON of ours: {refused}") from None
        if not has_members(value, "_type", "predicate", "predicateType", "subject"):
            raise Malformed("not a statement")
        found = value["predicate"]
        if not isinstance(found, dict):
            raise Malformed("not a statement")
        versions = (value["_type"], value["predicateType"], found.get("artifact_version"))
        if versions != (STATEMENT_TYPE, PREDICATE_TYPE, ARTIFACT_VERSION):  # A7
            raise Malformed("an artifact of a version that is not known here")
        if found.get("semantics_digest") != RULES:
            raise Malformed("an artifact that was made under rules that are not known here: another version of the server")
        if found.get("crit") != []:
            raise Malformed("an artifact with an extension that must be understood and is not")
        if not _is_ascii({name: part for name, part in found.items() if name != "ext"}):  # A12
            raise Malformed("an artifact with text where only identifiers stand")
        statement = cls._of(found, artifact_hash(payload))
        name = f"urn:gantral:instance:{statement.instance}"
        if value["subject"] != [{"digest": {"sha256": statement.workflow["digest"]}, "name": name}]:  # A8
            raise Malformed("an artifact whose subject disagrees with it")
        if found.get("instance_tag") != instance_tag(statement.tenant, statement.instance):  # A8
            raise Malformed("an artifact whose tag disagrees with it")
        return statement

    @classmethod
    def _of(cls, found: Mapping[str, Any], own_hash: str) -> Statement:
        previous, sequence = found.get("prev_artifact_hash"), integer(found, "sequence")
        if previous is not None and not (isinstance(previous, str) and HEX64.fullmatch(previous)):
            raise Malformed("an artifact without `prev_artifact_hash`")
        if (previous is None) != (sequence == 0):
            raise Malformed("an artifact that is at no place of a chain")
        instance, workflow, detail = text(found, "instance_id"), found.get("workflow"), found.get("detail")
        if not UUID4_OR_7.fullmatch(instance):
            raise Malformed("an artifact without `instance_id`")
        if not has_members(workflow, "digest", "id", "materiality", "version"):
            raise Malformed("an artifact without `workflow`")
        if not all(isinstance(member, str) for member in workflow.values()) or not isinstance(detail, dict):
            raise Malformed("an artifact without `workflow` or `detail`")
        return cls(
            hash=own_hash,
            sequence=sequence,
            previous=previous,
            event=text(found, "event"),
            tenant=text(found, "tenant_id"),
            log_origin=text(found, "log_origin"),
            instance=instance,
            attempt=integer(found, "attempt"),
            mode=text(found, "mode"),
            workflow=workflow,
            issued_at=instant(text(found, "issued_at")),
            detail=detail,
        )


def _is_ascii(value: Any) -> bool:
    """Tells whether all texts of a value that was read are ASCII; names of members are, by the profile."""
    if isinstance(value, dict):
        return all(map(_is_ascii, value.values()))
    if isinstance(value, list):
        return all(map(_is_ascii, value))
    return value.isascii() if isinstance(value, str) else True


def has_members(value: object, *names: str) -> TypeGuard[dict[str, Any]]:
    """Tells whether a value is an object with exactly these members."""
    return isinstance(value, dict) and value.keys() == set(names)


def text(found: Mapping[str, Any], name: str) -> str:
    """Returns a member that must be text. Raises `Malformed`."""
    value = found.get(name)
    if not isinstance(value, str):
        raise Malformed(f"an artifact without `{name}`")
    return value


def integer(found: Mapping[str, Any], name: str) -> int:
    """Returns a member that must be a number from 0. Raises `Malformed`."""
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Malformed(f"an artifact without `{name}`")
    return value


def instant(written: str) -> datetime.datetime:
    """Reads an instant (A4). Raises `Malformed`."""
    try:
        if INSTANT.fullmatch(written):
            return datetime.datetime.strptime(written, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        pass
    raise Malformed(f"`{written}` is not an instant")
