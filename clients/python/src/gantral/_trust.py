"""Whom an executor believes: a pinned trust file, and what its keys delegated (`spec/keys.md` §4 and §6)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _json
from ._errors import Unusable
from ._evidence import Envelope, Malformed, PublicKey, Statement, from_base64, has_members, instant, key_id

TRUST_BYTES_MAX = 1 << 20
KEYS_MAX = NAMES_MAX = 1_024  # K13, K17
DELEGATION_TYPE = "application/vnd.gantral.delegation+json"
DELEGATION_LENGTH_MAX = datetime.timedelta(days=7)  # K17
DELEGATION_LENGTH_MIN = datetime.timedelta(milliseconds=1)
DELEGATES_MAX = 64
ROLES = ("issuer", "directory", "approver")
KEY_MEMBERS = (
    "algorithm",
    "compromised_from",
    "key_id",
    "origins",
    "public_key",
    "role",
    "tenants",
    "valid_from",
    "valid_until",
)
DELEGATION_MEMBERS = ("delegator", "format", "key_id", "not_after", "not_before", "origins", "public_key", "tenants")
NAME = re.compile("[a-z0-9._/-]{1,128}")


@dataclass(frozen=True)
class _Limits:
    """For which tenants and logs a key speaks; None is no limit."""

    tenants: frozenset[str] | None
    origins: frozenset[str] | None

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> _Limits:
        return cls(cls._names(entry["tenants"]), cls._names(entry["origins"]))

    @staticmethod
    def _names(value: object) -> frozenset[str] | None:
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > NAMES_MAX:
            raise Malformed("a key with a list of names that is none")
        if not all(isinstance(name, str) and NAME.fullmatch(name) for name in value):
            raise Malformed("a key with a name that is none")
        return frozenset(value)

    def cover(self, statement: Statement) -> bool:
        tenant = self.tenants is None or statement.tenant in self.tenants
        return tenant and (self.origins is None or statement.log_origin in self.origins)


@dataclass(frozen=True)
class _Pinned:
    """A key of the trust file."""

    key: PublicKey
    limits: _Limits
    is_usable: bool

    @classmethod
    def read(cls, entry: object) -> _Pinned:
        if not has_members(entry, *KEY_MEMBERS):
            raise Malformed("a key with other members")
        key = PublicKey.from_hex(entry["public_key"])
        if entry["key_id"] != key.id or entry["algorithm"] != "ed25519" or entry["role"] not in ROLES:
            raise Malformed("a key with an id, an algorithm or a role that is not its own")
        for member in ("valid_from", "valid_until", "compromised_from"):
            index = entry[member]
            if index is not None and (not isinstance(index, int) or isinstance(index, bool) or index < 0):
                raise Malformed("a key with a place in the log that is none")
        # An executor knows no place in the log: a compromised key proves nothing to it, and a key that has ended vouches for
        # nothing new (`spec/runner.md` §3).
        usable = entry["role"] == "issuer" and entry["compromised_from"] is None and entry["valid_until"] is None
        return cls(key, _Limits.read(entry), usable)


@dataclass(frozen=True)
class _Delegate:
    """A key that a pinned one delegated to for a time."""

    key: PublicKey
    limits: _Limits
    not_before: datetime.datetime
    not_after: datetime.datetime
    delegator: _Pinned

    def permits(self, statement: Statement) -> bool:
        covered = self.limits.cover(statement) and self.delegator.limits.cover(statement)  # K20
        return covered and self.not_before <= statement.issued_at < self.not_after


class Trust:
    """What was pinned: the keys whose signatures are believed.

    It comes from a file that was handed over by another channel, never from the server that it is to check.
    """

    def __init__(self, keys: Mapping[str, _Pinned]) -> None:
        self._keys = dict(keys)
        self._delegates: dict[str, _Delegate] = {}

    @classmethod
    def read(cls, path: str | Path) -> Trust:
        """Reads a trust file. Raises `Unusable`."""
        try:
            with open(path, "rb") as file:
                data = file.read(TRUST_BYTES_MAX + 1)
        except OSError as error:
            raise Unusable(f"the trust file `{path}` cannot be read: {error.strerror}") from None
        try:
            return cls.parse(data)
        except Malformed as malformed:
            raise Unusable(f"`{path}` is no trust file: {malformed}") from None

    @classmethod
    def parse(cls, data: bytes) -> Trust:
        """Reads the text of a trust file. Raises `Malformed`."""
        try:
            value = _json.parse_document(data, TRUST_BYTES_MAX)
        except _json.JsonRefused as refused:
            raise Malformed(str(refused)) from None
        if not isinstance(value, dict) or value.get("format") != "gantral/trust/v1":
            raise Malformed("its `format` is another")
        # What it says of logs, of humans and of what a verifier must demand is not for an executor.
        if not {"format", "keys"} <= value.keys() <= {"format", "keys", "log", "require", "relying_party"}:
            raise Malformed("it has other members")
        entries = value["keys"]
        if not isinstance(entries, list) or len(entries) > KEYS_MAX:
            raise Malformed("it has no list of keys, or too many")
        keys = [_Pinned.read(entry) for entry in entries]
        by_id = {pinned.key.id: pinned for pinned in keys}
        if len(by_id) != len(keys) or by_id.keys() & _keys_of_logs(value.get("log")):  # K23
            raise Malformed("it has a key twice")
        return cls(by_id)

    def is_known(self, key_id: str) -> bool:
        """Tells whether a key is pinned, or delegated by one that is."""
        return key_id in self._keys or key_id in self._delegates

    def delegate(self, envelope: object) -> bool:
        """Takes a delegation into account, and returns whether it counts (K17, K19)."""
        try:
            delegate = self._read_delegation(envelope)
        except (Malformed, _json.JsonRefused):
            return False
        if delegate is None or delegate.key.id in self._keys or len(self._delegates) >= DELEGATES_MAX:
            return False
        self._delegates[delegate.key.id] = delegate
        return True

    def _read_delegation(self, value: object) -> _Delegate | None:
        envelope = Envelope.read(value, DELEGATION_TYPE)
        found = _json.parse_document(envelope.payload, _json.ARTIFACT_BYTES)
        if _json.canonical(found) != envelope.payload or not has_members(found, *DELEGATION_MEMBERS):
            return None
        key, delegator = PublicKey.from_hex(found["public_key"]), found["delegator"]
        pinned = self._keys.get(delegator) if isinstance(delegator, str) else None
        if pinned is None or not pinned.is_usable or not envelope.is_signed_by(pinned.key):
            return None
        if found["format"] != "gantral/delegation/v1" or found["key_id"] != key.id or key.id == pinned.key.id:
            return None
        start, end = instant(str(found["not_before"])), instant(str(found["not_after"]))
        if not DELEGATION_LENGTH_MIN <= end - start <= DELEGATION_LENGTH_MAX:
            return None
        return _Delegate(key, _Limits.read(found), start, end, pinned)

    def believes(self, envelope: Envelope, statement: Statement) -> bool:
        """Tells whether a key that speaks for tenant and log of a statement signed it."""
        for claimed, _ in envelope.signatures:
            pinned, delegate = self._keys.get(claimed), self._delegates.get(claimed)
            if pinned and pinned.is_usable and pinned.limits.cover(statement) and envelope.is_signed_by(pinned.key):
                return True
            if delegate and delegate.permits(statement) and envelope.is_signed_by(delegate.key):
                return True
        return False


def _keys_of_logs(log: object) -> set[str]:
    """Returns the keys that a log policy names (`spec/log.md`): whoever is a log or a witness is no issuer."""
    policy = log.get("policy") if isinstance(log, dict) else None
    found = set()
    for word in policy.split() if isinstance(policy, str) else ():
        parts = word.split("+", 2)
        key = from_base64(parts[2]) if len(parts) == 3 else None
        # One byte says which kind of key follows.
        if key is not None and len(key) == 33:
            found.add(key_id(key[1:]))
    return found
