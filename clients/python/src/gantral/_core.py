"""What an attempt does, step by step, without saying how calls are carried: `_http.Sender` does that."""

from __future__ import annotations

import hashlib
import io
import logging
import tarfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from . import _json
from ._actions import Action, Grant
from ._errors import AlreadySettled, Denied, GrantUnused, Refused, SecretRefused, TooLate, Untrusted, Unusable, Waiting
from ._evidence import HEX64, Malformed, Statement, commitment, from_base64, has_members, instant
from ._http import Call, Server, Steps
from ._journal import Journal
from ._receipts import Receipts, UnknownKey, member, of_attempt
from ._secrets import hand_out

log = logging.getLogger("gantral")

#: A disclosure of 1 MiB as base64, and what stands around it.
FILE_BYTES_MAX = 2 << 20
#: Refusals that are about the result of an action, and not about the report that it was done.
UNWELCOME_RESULT = frozenset({"secret_inline", "invalid_body", "body_too_large"})
#: The refusal of a reference to captured evidence that must not be sealed.
UNWELCOME_EVIDENCE = "evidence_refused"
RESULT_BYTES_MAX = 1 << 20
#: The most references to evidence in one outcome.
EVIDENCE_MAX = 32
NOT_STARTED = {"error": "not started in time"}


class AttemptCore:
    """One attempt of one instance: what it was given, and what it was shown since."""

    def __init__(
        self,
        server: Server,
        instance_id: str,
        attempt: int,
        context: Mapping[str, Any],
        receipts: Receipts,
        journal: Journal | None,
        grant: Grant | None,
        secrets: str | None = None,
    ) -> None:
        self.server, self.instance_id, self.attempt, self.context = server, instance_id, attempt, context
        self.pending = grant
        self._receipts, self._journal = receipts, journal
        self._used: set[str] = set()
        self._secrets, self._newest = secrets, None if grant is None else grant.id
        self._given: dict[str, list[dict[str, str]]] = {}
        self._asked = False

    # -- Asking

    def ask(self, action: Action, facts: Mapping[str, Any]) -> Steps[Grant]:
        """Asks before acting. Raises `Waiting` or `Denied`; never act on an error."""
        action.canonical()
        self._asked = True
        body = {"action": action.to_json(), **{name: fact for name, fact in facts.items() if fact is not None}}
        answer, statements = yield from self._authority(("authority",), body)
        if answer.get("enforced") is False:
            return (yield from self._observed(action, answer, statements))
        grant = Grant.read(answer.get("grant"))
        allowed = of_attempt(statements, "allowed", self.attempt)
        sealed = (member(allowed, "grant", "id"), member(allowed, "action_commitment"), allowed.mode)
        if sealed != (grant.id, grant.commitment, "ENFORCE") or answer.get("grant_id") != grant.id:
            raise Untrusted("the grant is not the one that was signed")
        if grant.overridden or not action.is_completed_by(grant.action):
            raise Untrusted("the grant is for another action than the one that was asked for")
        return grant

    def _observed(self, action: Action, answer: Mapping[str, Any], statements: Sequence[Statement]) -> Steps[Grant]:
        observed = of_attempt(statements, "observed", self.attempt)
        if observed.mode != "SHADOW":
            raise Untrusted("the answer says that policy is only observed, and what was signed says otherwise")
        if self._receipts.trust is not None:
            # There is no grant that would open the commitment: the evidence does, so that no answer about one action lets
            # another start.
            bundle = yield from self._evidence()
            found = disclosed_action(bundle, str(member(observed, "action_commitment")))
            if found is None or not action.is_completed_by(found):
                raise Untrusted("what is only observed is another action than the one that was asked for")
        would = answer.get("observed")
        return Grant(None, action, enforced=False, observed=would if isinstance(would, dict) else None)

    def taken(self, asked: Action, anew: bool) -> Grant | None:
        """Returns the grant of humans, if it is the answer to what is asked.

        A process that starts over after a gate asks for what it asked before. Whatever else it asks for, it has lost its
        thread, and might do again what was done before the gate: that raises `GrantUnused`.
        """
        grant = self.pending
        if grant is None or anew:
            return None
        same_thing = (asked.name, asked.target) == (grant.action.name, grant.action.target)
        if (grant.overridden and same_thing) or (not grant.overridden and asked.is_completed_by(grant.action)):
            return grant
        raise GrantUnused(
            f"humans approved `{grant.action.name}` on `{grant.action.target}` for this process, which asks for "
            f"`{asked.name}` on `{asked.target}`: go on with `resume()`, or say `anew=True`"
        )

    def check_place(self) -> None:
        """Raises `AlreadySettled` if an earlier process acted, and this one was not told by a grant where it is.

        That is the process after one that died behind an action: starting from its top, it would do it again.
        """
        outcomes = self.context.get("outcomes") or []
        if outcomes and self.context.get("grant") is None and not self._asked:
            raise AlreadySettled(str(outcomes[-1].get("grant_id")), str(outcomes[-1].get("status") or "UNKNOWN"))

    # -- Acting

    def consume(self, grant: Grant) -> Steps[None]:
        """Uses a grant up, just before acting. Act only if this returns; `Waiting` and `Denied` are possible here too."""
        if grant.id is None:
            return
        for settled in self.context.get("outcomes") or []:
            if settled.get("grant_id") == grant.id:
                raise AlreadySettled(grant.id, str(settled.get("status") or "UNKNOWN"))
        if grant.id in self._used:
            raise Unusable("this process has used the grant up already")
        grant.check()
        self._used.add(grant.id)
        if self.pending is not None and self.pending.id == grant.id:
            self.pending = None
        before = time.monotonic()
        body = {"action": grant.action.to_json()}
        _, statements = yield from self._authority(("grants", grant.id, "consume"), body)
        consumed = of_attempt(statements, "consumed", self.attempt)
        if (member(consumed, "grant_id"), member(consumed, "action_commitment")) != (grant.id, grant.commitment):
            raise Untrusted("what was consumed is not this grant, or not this action")
        # By the clock of whoever signed, and the time that passed here: an answer that came late starts nothing.
        try:
            window = (instant(str(member(consumed, "act_by"))) - consumed.issued_at).total_seconds()
        except Malformed as malformed:
            raise Untrusted(str(malformed)) from None
        self._newest = grant.id
        if time.monotonic() - before >= window:
            yield from self.outcome(grant.id, "FAILED", NOT_STARTED)
            raise TooLate("the time in which the action had to start is over; it was not started")

    def secret(self, name: str, grant_id: str | None) -> str:
        """Asks the runner for a secret, under a grant that is used up; the newest when none is named. Blocks."""
        if self._secrets is None:
            raise SecretRefused("secret_not_for_this", "the runner has no secret for this attempt")
        under = grant_id or self._newest
        if under is None:
            raise SecretRefused("secret_without_grant", "there is no grant: a secret is given for an approved action only")
        value, record = hand_out(self._secrets, name, under)
        self._given.setdefault(under, []).append(record)
        return value

    def outcome(
        self,
        grant_id: str | None,
        status: str,
        result: Any = None,
        cost: int | None = None,
        evidence: Sequence[Mapping[str, str]] = (),
    ) -> Steps[Mapping[str, Any]]:
        """Says what came of it: SUCCEEDED or FAILED. Under a grant it may be repeated: it is sealed once."""
        body: dict[str, Any] = {"status": status}
        body.update({"cost": cost} if cost is not None else {})
        # What the runner handed out for it is named beside what was captured.
        given = self._given.get(grant_id or "", [])
        named = [dict(item) for item in evidence]
        named += [record for record in given if record not in named]
        body.update({"evidence": named[:EVIDENCE_MAX]} if named else {})
        body.update({"result": result} if result is not None else {})
        while True:
            try:
                return (yield from self._report(grant_id, body))
            except Refused as refused:
                # That it was done matters more than what it returned, and than what was captured of it.
                if "result" in body and refused.code in UNWELCOME_RESULT:
                    log.warning("the result of an action is left out of its report: %s", refused)
                    del body["result"]
                elif named != given and refused.code == UNWELCOME_EVIDENCE:
                    log.warning("what was captured of an action is left out of its report: %s", refused)
                    named = given
                    body.update({"evidence": given})
                else:
                    raise

    def _report(self, grant_id: str | None, body: Mapping[str, Any]) -> Steps[Mapping[str, Any]]:
        if grant_id is None:
            return (yield from self._post(("outcome",), body))
        written = _json.canonical(body)
        # The key follows from the report, so that one that is repeated after a crash is the same write.
        key = hashlib.sha256(b"gantral/python/v1\0" + grant_id.encode() + b"\0" + written).hexdigest()
        return (yield from self._post(("grants", grant_id, "outcome"), body, key))

    def end(self, how: str) -> Steps[Mapping[str, Any]]:
        """Says that all is done (`complete`), or that it cannot go on (`fail`)."""
        return (yield from self._post((how,), {}))

    # -- Carrying

    def _authority(self, path: tuple[str, ...], body: Any) -> Steps[tuple[Mapping[str, Any], list[Statement]]]:
        """Returns an answer that is ALLOW, with its receipts; any other is raised."""
        after = self._receipts.head
        answer = yield from self._post(path, body, believe=False)
        statements = yield from self.believe(answer.get("artifacts"), after)
        said = answer.get("answer")
        if said == "ALLOW":
            return answer, statements
        reasons = [str(reason) for reason in answer.get("reasons") or []]
        if said == "REQUIRE_HUMAN":
            gate, url, until = (str(answer.get(name, "")) for name in ("gate_id", "url", "expires_at"))
            raise Waiting(gate, [str(role) for role in answer.get("roles") or []], url, until, reasons)
        if said == "DENY":
            raise Denied(reasons)
        raise Untrusted("an answer that is neither ALLOW nor REQUIRE_HUMAN nor DENY")

    def _post(
        self, path: tuple[str, ...], body: Any, key: str | None = None, believe: bool = True
    ) -> Steps[Mapping[str, Any]]:
        whole = ("v1", "instances", self.instance_id, *path)
        call = Call("POST", whole, body) if key is None else Call("POST", whole, body, key=key)
        answer = yield from self.server.exchange(call)
        if not isinstance(answer, dict):
            raise Untrusted("an answer that is no object")
        if believe:
            yield from self.believe(answer.get("artifacts"))
        return answer

    def believe(self, receipts: Any, after: int = -1) -> Steps[list[Statement]]:
        """Verifies receipts, and writes them into the journal. Nothing may be done on their ground before that."""
        try:
            statements = self._receipts.read(receipts, after)
        except UnknownKey as unknown:
            yield from self._learn(unknown.key_id)
            try:
                statements = self._receipts.read(receipts, after)
            except UnknownKey:
                raise Untrusted("a receipt that is signed by nobody whom the trust file names") from None
        if self._journal is not None:
            self._journal.append(receipts)
        return statements

    def _learn(self, key_id: str) -> Steps[None]:
        """Looks for the delegation of a key in the evidence of the instance. It is believed by the pinned keys alone."""
        trust = self._receipts.trust
        found = delegation_of(key_id, (yield from self._evidence()))
        if trust is not None and found is not None:
            trust.delegate(found)

    def _evidence(self) -> Steps[bytes]:
        path = ("v1", "instances", self.instance_id, "evidence")
        bundle: bytes = yield from self.server.exchange(Call("GET", path, raw=True))
        return bundle


def delegation_of(key_id: str, bundle: bytes) -> Any:
    """Returns the delegation of a key in a bundle (`spec/keys.md` K18), not yet believed; None if there is none."""
    return _document(bundle, f"keys/{key_id}.delegation.json")


def disclosed_action(bundle: bytes, sealed: str) -> Action | None:
    """Returns the action that opens a commitment in a bundle (`spec/commitments.md` §4); None if none does."""
    found = _document(bundle, f"disclosures/{sealed}.json")
    if not has_members(found, "label", "plaintext", "salt") or found["label"] != "action":
        return None
    plaintext = from_base64(found["plaintext"]) if isinstance(found["plaintext"], str) else None
    salt = found["salt"]
    if plaintext is None or not isinstance(salt, str) or not HEX64.fullmatch(salt):
        return None
    if commitment("action", bytes.fromhex(salt), plaintext) != sealed:
        return None
    try:
        return Action.of(_json.parse_document(plaintext))
    except (_json.JsonRefused, Unusable):
        return None


def _document(bundle: bytes, path: str) -> Any:
    """Returns the JSON of a file of a bundle, None if there is no such file."""
    try:
        with tarfile.open(fileobj=io.BytesIO(bundle), mode="r:") as archive:
            for entry in archive:
                file = archive.extractfile(entry) if entry.name == path and entry.size <= FILE_BYTES_MAX else None
                if file is not None:
                    return _json.parse_document(file.read(), FILE_BYTES_MAX)
    except (tarfile.TarError, _json.JsonRefused, OSError, EOFError):
        raise Untrusted("the evidence of the instance cannot be read") from None
    return None


def reportable(result: Any) -> Any:
    """Returns a result as it can be reported: as it is if it is JSON and not too large, else None."""
    try:
        return result if len(_json.canonical(result)) <= RESULT_BYTES_MAX else None
    except _json.JsonRefused:
        return None
