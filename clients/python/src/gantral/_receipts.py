"""Believing what the server answers: each receipt by its own bytes, in the order of its chain, about this attempt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._errors import Untrusted
from ._evidence import Envelope, Malformed, Statement
from ._trust import Trust

#: More than one write seals: a walk to the end of an instance takes a handful.
RECEIPTS_MAX = 64
#: How many receipts are remembered, to compare later ones with.
REMEMBERED_MAX = 1_024
#: What never changes along a chain (`spec/artifact.md` §3).
CONSTANT = ("instance", "tenant", "workflow", "log_origin")


class UnknownKey(Exception):
    """A receipt is signed by a key that is neither pinned nor known to be delegated."""

    def __init__(self, key_id: str) -> None:
        super().__init__(key_id)
        self.key_id = key_id


class Receipts:
    """What one executor was shown of one chain.

    Without a trust file, signatures are not checked; everything else is.
    """

    def __init__(self, instance: str, trust: Trust | None, tenant: str | None, workflow: str | None = None) -> None:
        self._instance, self._trust, self._tenant, self._workflow = instance, trust, tenant, workflow
        self._seen: dict[int, Statement] = {}
        self._head = -1

    @property
    def trust(self) -> Trust | None:
        """Whom it believes."""
        return self._trust

    @property
    def head(self) -> int:
        """The newest place that was seen; -1 before the first. What is asked from now on must be answered from beyond it."""
        return self._head

    def read(self, receipts: object, after: int = -1) -> list[Statement]:
        """Reads the receipts of one answer, which must lie beyond the place `after`.

        Raises `Untrusted` for the first thing that is wrong, and `UnknownKey` if a delegation may help; then nothing of
        the answer was taken over.
        """
        if not isinstance(receipts, list) or len(receipts) > RECEIPTS_MAX:
            raise Untrusted("the answer has no receipts, or too many")
        seen, statements = dict(self._seen), []
        for receipt in receipts:
            try:
                statement = self._open(receipt)
            except Malformed as malformed:
                raise Untrusted(f"a receipt that is none: {malformed}") from None
            self._check(statement, after, seen)
            seen[statement.sequence] = statement
            statements.append(statement)
        self._head = max([self._head, *(statement.sequence for statement in statements)])
        self._seen = {place: seen[place] for place in sorted(seen)[-REMEMBERED_MAX:]}
        return statements

    def _open(self, receipt: object) -> Statement:
        if not isinstance(receipt, dict) or not {"envelope", "event", "hash", "sequence"} <= receipt.keys():
            raise Malformed("it has other members")
        envelope = Envelope.read(receipt["envelope"])
        statement = Statement.read(envelope.payload)
        if self._trust is not None and not self._trust.believes(envelope, statement):
            unknown = [claimed for claimed, _ in envelope.signatures if not self._trust.is_known(claimed)]
            if unknown:
                raise UnknownKey(unknown[0])
            raise Untrusted("a receipt that no pinned key of an issuer signed for this tenant and log")
        said = (receipt["sequence"], receipt["event"], receipt["hash"])
        if said != (statement.sequence, statement.event, statement.hash):
            raise Malformed("it says something else about itself than its artifact does")
        return statement

    def _check(self, statement: Statement, after: int, seen: Mapping[int, Statement]) -> None:
        if statement.instance != self._instance:
            raise Untrusted("a receipt of another instance")
        if self._tenant is not None and statement.tenant != self._tenant:
            raise Untrusted("a receipt of another tenant")
        if self._workflow is not None and statement.workflow["id"] != self._workflow:
            raise Untrusted("a receipt of another workflow")
        if statement.sequence <= after:
            raise Untrusted("a receipt from before the question that it answers")
        place = statement.sequence
        here, before, behind = seen.get(place), seen.get(place - 1), seen.get(place + 1)
        for other in (here, before, behind):
            for name in CONSTANT:
                if other and getattr(statement, name) != getattr(other, name):
                    raise Untrusted(f"a receipt that does not continue the chain: another {name}")
        forked = here and here.hash != statement.hash
        unlinked = (before and statement.previous != before.hash) or (behind and behind.previous != statement.hash)
        if forked or unlinked:
            raise Untrusted("a receipt that does not continue the chain: another predecessor")


def of_attempt(statements: Sequence[Statement], event: str, attempt: int) -> Statement:
    """Returns the one receipt of an event. Raises `Untrusted` if there is none, or it is of another attempt."""
    found = [statement for statement in statements if statement.event == event]
    if len(found) != 1:
        raise Untrusted(f"the answer rests on no receipt of `{event}`")
    if found[0].attempt != attempt:
        raise Untrusted(f"the receipt of `{event}` is of attempt {found[0].attempt}, and this is {attempt}")
    return found[0]


def member(statement: Statement, name: str, inner: str | None = None) -> Any:
    """Returns a member of the detail of an event; None if it is not there."""
    value = statement.detail.get(name)
    if inner is None:
        return value
    return value.get(inner) if isinstance(value, Mapping) else None
