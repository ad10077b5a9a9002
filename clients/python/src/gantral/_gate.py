"""Around an action: asked for, used up, done, reported."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar

from ._actions import Action, Grant
from ._core import AttemptCore, reportable
from ._errors import GantralError, Unreported
from ._http import Steps

T = TypeVar("T")
log = logging.getLogger("gantral")


class Runs(Protocol):
    """Whoever can carry out steps."""

    def run(self, steps: Steps[T]) -> T: ...

    async def arun(self, steps: Steps[T]) -> T: ...


class Permit:
    """What may be done now, once: exactly `action`."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self._result: Any = None
        self._cost: int | None = None
        self._evidence: tuple[Mapping[str, str], ...] = ()
        self._status: Literal["SUCCEEDED", "FAILED"] | None = "SUCCEEDED"

    @property
    def action(self) -> Action:
        """The action *as approved*: a human may have changed it."""
        return self.grant.action

    @property
    def grant_id(self) -> str | None:
        """The idempotency key of whatever you call now; None where policy is only observed."""
        return self.grant.id

    @property
    def enforced(self) -> bool:
        """Whether policy is enforced here, or only observed."""
        return self.grant.enforced

    def succeeded(self, result: Any = None, *, cost: int | None = None, evidence: Any = ()) -> None:
        """Says what will be reported at the end: that it was done, with a result that is JSON.

        `cost` is in minor units; `evidence` is a list of `{"name", "digest"}` of what was captured, with `url` where it is
        kept: scheme, host and path alone, since it is sealed.
        """
        self._status, self._result, self._cost, self._evidence = "SUCCEEDED", result, cost, tuple(evidence)

    def failed(self, result: Any = None) -> None:
        """Says what will be reported at the end: that it was tried and not done."""
        self._status, self._result = "FAILED", result

    def unknown(self) -> None:
        """Says that nothing can be reported truthfully, such as after a timeout of what was called.

        The server seals UNKNOWN when the attempt ends, and nothing is run again before somebody has found out.
        """
        self._status = None


class Gate:
    """A block around one action, for `with` and for `async with`. Made by `gate` and `resume` of an attempt.

    Entering asks and uses the grant up; it raises `Waiting`, `Denied`, or why there is no answer. Leaving reports SUCCEEDED,
    or FAILED if an exception leaves the block. What is no `Exception`, such as a cancelled task or Ctrl-C, is not reported:
    nobody knows what was done by then.
    """

    def __init__(
        self,
        runs: Runs,
        core: AttemptCore,
        asked: Action | None,
        grant: Grant | None,
        facts: Mapping[str, Any],
        anew: bool,
        knows_its_place: bool = False,
    ) -> None:
        self._runs, self._core, self._asked, self._grant = runs, core, asked, grant
        self._facts, self._anew, self._knows_its_place = facts, anew, knows_its_place
        self._permit: Permit | None = None

    @property
    def grant(self) -> Grant | None:
        """The grant, if it is known before the block is entered: after a gate."""
        return self._grant

    def _enter(self) -> Steps[Permit]:
        grant = self._grant
        if grant is None and self._asked is not None:
            if not self._knows_its_place and not self._anew:
                self._core.check_place()
            grant = self._core.taken(self._asked, self._anew) or (yield from self._core.ask(self._asked, self._facts))
        assert grant is not None, "a gate is made with an action or with a grant"
        yield from self._core.consume(grant)
        self._permit = Permit(grant)
        return self._permit

    def _leave(self, error: BaseException | None) -> Steps[None]:
        permit = self._permit
        if permit is None or (error is not None and not isinstance(error, Exception)):
            return
        if error is not None and permit._status is not None:
            # Only what kind of error: its text may hold anything, and is sealed for others to read.
            permit.failed({"error": type(error).__name__})
        if permit._status is None:
            return
        result, status = reportable(permit._result), permit._status
        try:
            yield from self._core.outcome(permit.grant_id, status, result, permit._cost, permit._evidence)
        except GantralError as unreported:
            if error is None:
                raise Unreported(permit.grant_id, status, result) from unreported
            log.warning("the outcome %s of `%s` was not reported: %s", status, permit.grant_id, unreported)

    def __enter__(self) -> Permit:
        return self._runs.run(self._enter())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runs.run(self._leave(error))

    async def __aenter__(self) -> Permit:
        return await self._runs.arun(self._enter())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runs.arun(self._leave(error))
