"""The client: executions of workflows, attempts at them, and what the environment of a launched process says."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

import anyio

from . import _json, types
from ._actions import Action, Grant
from ._core import AttemptCore
from ._errors import Unusable, Untrusted
from ._evidence import UUID4_OR_7
from ._gate import Gate
from ._http import TIMEOUT_S, TRIES, AsyncSender, AsyncTokenSource, Call, Sender, Server, Steps, Tls, TokenSource
from ._journal import Journal
from ._off import OffCore, is_off
from ._receipts import Receipts
from ._tracing import Traceparent
from ._trust import Trust

T = TypeVar("T")

#: How long one long poll is held, and how much longer than that its answer may take.
POLL_S, POLL_SLACK_S = 30, 15.0
#: A document of 1 MiB, with room for the grant around it.
CONTEXT_BYTES_MAX = 4 << 20
WAITING = "WAITING_FOR_HUMAN"


class _Common:
    """What both clients keep."""

    def __init__(
        self,
        url: str,
        *,
        trust: Trust | str | Path | None,
        tenant: str | None,
        journal: str | Path | None,
        tls: Tls,
        timeout: float,
        tries: int,
        traceparent: Traceparent,
    ) -> None:
        if trust is not None and tenant is None:
            raise Unusable("whoever pins a trust file names the tenant too")
        self._server = Server(url, timeout, tries, traceparent)
        self._trust = trust if isinstance(trust, Trust) or trust is None else Trust.read(trust)
        self._tenant = tenant
        self._journal = None if journal is None else Journal(journal)
        self._tls = tls

    def _create(self, workflow: str, members: Mapping[str, Any]) -> Steps[types.Created]:
        body = {"workflow": workflow, **{name: value for name, value in members.items() if value is not None}}
        answer = yield from self._server.exchange(Call("POST", ("v1", "instances"), body))
        instance = answer.get("instance") if isinstance(answer, dict) else None
        core = self._core(_text(instance, "instance_id"), 0, {}, None)
        yield from core.believe(answer.get("artifacts"))
        return cast(types.Created, answer)

    def _attach(self, instance_id: str) -> Steps[tuple[AttemptCore, str]]:
        path = ("v1", "instances", instance_id, "attempts")
        answer = yield from self._server.exchange(Call("POST", path, {"self": True}))
        context = answer.get("context") if isinstance(answer, dict) else None
        number = answer.get("attempt") if isinstance(answer, dict) else None
        if not isinstance(context, dict) or not isinstance(number, int):
            raise Untrusted("an answer that names no attempt")
        found = answer.get("grant")
        core = self._core(instance_id, number, context, None if found is None else Grant.read(found))
        yield from core.believe(answer.get("artifacts"))
        return core, _text(answer, "token")

    def _core(self, instance_id: str, attempt: int, context: Mapping[str, Any], grant: Grant | None) -> AttemptCore:
        receipts = Receipts(instance_id, self._trust, self._tenant)
        return AttemptCore(self._server, instance_id, attempt, context, receipts, self._journal, grant)

    def _instance(self, instance_id: str, after: int | None, wait: int) -> Steps[types.InstanceView]:
        query = {} if after is None else {"after": str(after), "wait": f"{wait}s"}
        timeout = None if after is None else wait + POLL_SLACK_S
        call = Call("GET", ("v1", "instances", instance_id), query=query, timeout=timeout)
        answer = yield from self._server.exchange(call)
        _text(answer, "state")
        return cast(types.InstanceView, answer)

    def _withdraw(self, instance_id: str) -> Steps[types.Moved]:
        call = Call("POST", ("v1", "instances", instance_id, "withdraw"), {})
        return cast(types.Moved, (yield from self._server.exchange(call)))


def _text(value: Any, name: str) -> str:
    text = value.get(name) if isinstance(value, dict) else None
    if not isinstance(text, str):
        raise Untrusted(f"an answer without `{name}`")
    return text


class Gantral(_Common):
    """A client of one server, for an agent that runs itself. A process that a runner launched uses `from_environment`.

    `token` is text, a `Path` that is read anew for each call, or a function. `trust` is a trust file that was pinned out of
    band: with it, and with `tenant`, nothing is done on the ground of an answer that no pinned key signed. Without it,
    whoever can answer in the place of the server can make the agent act. `ca_file` has the authorities to trust instead of the
    system's; `certificate_file` and `certificate_key_file` what is shown to a server that asks clients for a certificate. Calls are part of the
    trace that `traceparent` says, text or a function; without it of the current span of OpenTelemetry, where that is loaded, or of
    `TRACEPARENT` of the environment.
    """

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource | None = None,
        trust: Trust | str | Path | None = None,
        tenant: str | None = None,
        journal: str | Path | None = None,
        ca_file: str | Path | None = None,
        certificate_file: str | Path | None = None,
        certificate_key_file: str | Path | None = None,
        timeout: float = TIMEOUT_S,
        tries: int = TRIES,
        traceparent: Traceparent = None,
    ) -> None:
        tls = Tls(ca_file, certificate_file, certificate_key_file)
        super().__init__(
            url,
            trust=trust,
            tenant=tenant,
            journal=journal,
            tls=tls,
            timeout=timeout,
            tries=tries,
            traceparent=traceparent,
        )
        self._token = token
        self._sender = Sender(self._server, tls)

    @staticmethod
    def from_environment(environ: Mapping[str, str] | None = None) -> Attempt:
        """Returns the attempt that a runner launched this process for. Raises `Unusable` if none did.

        With `GANTRAL=off` in the environment Gantral is taken away: every action may be done, and nothing is recorded.
        """
        core, token, tls = _launched(os.environ if environ is None else environ)
        return Attempt(core, token, tls)

    def create(
        self,
        workflow: str,
        *,
        version: str | None = None,
        trigger: str | None = None,
        input: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        parent: Mapping[str, str] | None = None,
        call: Action | None = None,
    ) -> types.Created:
        """Creates an execution of a workflow. `instance.instance_id` of the answer names it."""
        members = _members(version, trigger, input, session_id, parent, call)
        return self._run(self._create(workflow, members))

    def attach(self, instance_id: str) -> Attempt:
        """Begins a new attempt, which this process is. An earlier one can do nothing more."""
        core, token = self._run(self._attach(instance_id))
        return Attempt(core, token, self._tls, self._sender)

    def instance(self, instance_id: str, *, after: int | None = None, wait: int = POLL_S) -> types.InstanceView:
        """Shows an execution; with `after`, as soon as it has moved past that place, `wait` seconds at most."""
        return self._run(self._instance(instance_id, after, wait))

    def wait(self, instance_id: str, timeout: float | None = None) -> types.InstanceView:
        """Waits until no human is asked any more, or time is over; returns the execution as it stands then."""
        deadline = None if timeout is None else time.monotonic() + timeout
        view = self.instance(instance_id)
        while view["state"] == WAITING and (left := _left(deadline)):
            view = self.instance(instance_id, after=view["head"]["sequence"], wait=left)
        return view

    def withdraw(self, instance_id: str) -> types.Moved:
        """Takes back what waits for humans; the execution ends."""
        return self._run(self._withdraw(instance_id))

    def close(self) -> None:
        """Closes connections."""
        self._sender.close()

    def _run(self, steps: Steps[T]) -> T:
        return self._sender.run(steps, self._token)

    def __enter__(self) -> Gantral:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncGantral(_Common):
    """`Gantral` on an event loop. `token` may be an async function too."""

    def __init__(
        self,
        url: str,
        *,
        token: AsyncTokenSource | None = None,
        trust: Trust | str | Path | None = None,
        tenant: str | None = None,
        journal: str | Path | None = None,
        ca_file: str | Path | None = None,
        certificate_file: str | Path | None = None,
        certificate_key_file: str | Path | None = None,
        timeout: float = TIMEOUT_S,
        tries: int = TRIES,
        traceparent: Traceparent = None,
    ) -> None:
        tls = Tls(ca_file, certificate_file, certificate_key_file)
        super().__init__(
            url,
            trust=trust,
            tenant=tenant,
            journal=journal,
            tls=tls,
            timeout=timeout,
            tries=tries,
            traceparent=traceparent,
        )
        self._token = token
        self._sender = AsyncSender(self._server, tls)

    @staticmethod
    def from_environment(environ: Mapping[str, str] | None = None) -> AsyncAttempt:
        """Returns the attempt that a runner launched this process for. Raises `Unusable` if none did.

        With `GANTRAL=off` in the environment Gantral is taken away: every action may be done, and nothing is recorded.
        """
        core, token, tls = _launched(os.environ if environ is None else environ)
        return AsyncAttempt(core, token, tls)

    async def create(
        self,
        workflow: str,
        *,
        version: str | None = None,
        trigger: str | None = None,
        input: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        parent: Mapping[str, str] | None = None,
        call: Action | None = None,
    ) -> types.Created:
        """Creates an execution of a workflow. `instance.instance_id` of the answer names it."""
        members = _members(version, trigger, input, session_id, parent, call)
        return await self._run(self._create(workflow, members))

    async def attach(self, instance_id: str) -> AsyncAttempt:
        """Begins a new attempt, which this process is. An earlier one can do nothing more."""
        core, token = await self._run(self._attach(instance_id))
        return AsyncAttempt(core, token, self._tls, self._sender)

    async def instance(self, instance_id: str, *, after: int | None = None, wait: int = POLL_S) -> types.InstanceView:
        """Shows an execution; with `after`, as soon as it has moved past that place, `wait` seconds at most."""
        return await self._run(self._instance(instance_id, after, wait))

    async def wait(self, instance_id: str, timeout: float | None = None) -> types.InstanceView:
        """Waits until no human is asked any more, or time is over; returns the execution as it stands then."""
        deadline = None if timeout is None else time.monotonic() + timeout
        view = await self.instance(instance_id)
        while view["state"] == WAITING and (left := _left(deadline)):
            view = await self.instance(instance_id, after=view["head"]["sequence"], wait=left)
        return view

    async def withdraw(self, instance_id: str) -> types.Moved:
        """Takes back what waits for humans; the execution ends."""
        return await self._run(self._withdraw(instance_id))

    async def close(self) -> None:
        """Closes connections."""
        await self._sender.close()

    async def _run(self, steps: Steps[T]) -> T:
        return await self._sender.run(steps, self._token)

    async def __aenter__(self) -> AsyncGantral:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _left(deadline: float | None) -> int:
    """Returns for how many seconds to poll; 0 when time is over."""
    return POLL_S if deadline is None else max(0, min(POLL_S, round(deadline - time.monotonic())))


def _members(
    version: str | None,
    trigger: str | None,
    input: Mapping[str, Any] | None,
    session_id: str | None,
    parent: Mapping[str, str] | None,
    call: Action | None,
) -> dict[str, Any]:
    return {
        "version": version,
        "trigger": trigger,
        "input": input,
        "session_id": session_id,
        "parent": parent,
        "call": None if call is None else call.to_json(),
    }


class _Attempt:
    """What both kinds of attempts have."""

    def __init__(self, core: AttemptCore, token: TokenSource, tls: Tls) -> None:
        self._core, self._token, self._tls = core, token, tls

    @property
    def instance_id(self) -> str:
        """The execution. Keep checkpoints, conversations and files by it."""
        return self._core.instance_id

    @property
    def number(self) -> int:
        """Which attempt of the execution this is, from 1."""
        return self._core.attempt

    @property
    def context(self) -> Mapping[str, Any]:
        """What the process was given to work on: `input`, `trigger`, `session_id`, `outcomes` and more."""
        return self._core.context

    @property
    def granted(self) -> Grant | None:
        """What humans approved for this process, until it is used up; None before a gate."""
        return self._core.pending

    def gate(
        self,
        name: str | Action | Mapping[str, Any],
        target: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        *,
        trigger: str | None = None,
        step: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        cost_estimate: Any = None,
        anew: bool = False,
    ) -> Gate:
        """Returns a block around one action: `with attempt.gate("refund", "order/1001", {"amount_minor": 480000}) as permit`.

        In a process that was launched after a gate, the same action is not asked for again: the block is entered with what
        was approved. Asking for anything else then raises `GrantUnused`, and in a process after one that died behind an action
        every first ask raises `AlreadySettled`, unless `anew` is true: it might be done again what was done.
        """
        action = action_of(name, target, parameters)
        facts = {"trigger": trigger, "step": step, "attributes": attributes, "cost_estimate": cost_estimate}
        return Gate(self, self._core, action, None, facts, anew)

    def resume(self) -> Gate | None:
        """Returns the block around what humans approved for this process; None before a gate, or when it is used up."""
        return None if self._core.pending is None else self.under(self._core.pending)

    def under(self, grant: Grant) -> Gate:
        """Returns the block around what a grant permits."""
        return Gate(self, self._core, None, grant, {}, False)

    def run(self, steps: Steps[T]) -> T:
        """Carries out steps, blocking."""
        sender = Sender(self._core.server, self._tls)
        try:
            return sender.run(steps, self._token)
        finally:
            sender.close()

    async def arun(self, steps: Steps[T]) -> T:
        """Carries out steps on the running event loop."""
        sender = AsyncSender(self._core.server, self._tls)
        try:
            return await sender.run(steps, self._token)
        finally:
            with anyio.CancelScope(shield=True):
                await sender.close()


def action_of(
    name: str | Action | Mapping[str, Any], target: str | None, parameters: Mapping[str, Any] | None
) -> Action:
    """Returns an action from its parts, or from one that is whole."""
    if not isinstance(name, str):
        if target is not None or parameters is not None:
            raise Unusable("an action is given whole, or as name, target and parameters")
        return Action.of(name)
    if target is None:
        raise Unusable("an action has a target")
    return Action(name, target, dict(parameters or {}))


class Attempt(_Attempt):
    """One attempt of one execution: this process."""

    def __init__(self, core: AttemptCore, token: TokenSource, tls: Tls, sender: Sender | None = None) -> None:
        super().__init__(core, token, tls)
        self._sender = sender or Sender(core.server, tls)

    def ask(
        self,
        action: Action | Mapping[str, Any],
        *,
        trigger: str | None = None,
        step: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        cost_estimate: Any = None,
    ) -> Grant:
        """Asks before acting. Raises `Waiting` and `Denied`; never act on an error."""
        facts = {"trigger": trigger, "step": step, "attributes": attributes, "cost_estimate": cost_estimate}
        return self.run(self._core.ask(Action.of(action), facts))

    def consume(self, grant: Grant) -> None:
        """Uses a grant up, just before acting. Act only if this returns, at once, and exactly on `grant.action`."""
        self.run(self._core.consume(grant))

    def outcome(
        self,
        grant: Grant | str | None,
        status: str,
        result: Any = None,
        *,
        cost: int | None = None,
        evidence: Sequence[Mapping[str, str]] = (),
    ) -> types.Moved:
        """Says what came of it: SUCCEEDED or FAILED. `grant` is None where policy is only observed."""
        grant_id = grant.id if isinstance(grant, Grant) else grant
        return cast(types.Moved, self.run(self._core.outcome(grant_id, status, result, cost, evidence)))

    def secret(self, name: str, *, grant: Grant | str | None = None) -> str:
        """Returns a secret that the runner has for this action, once the grant is used up; without `grant` under the newest.

        Ask just after the grant is used up, and pass the value on in no argument, file or output. Raises `SecretRefused`.
        """
        return self._core.secret(name, grant.id if isinstance(grant, Grant) else grant)

    def complete(self) -> types.Moved:
        """Says that all is done, for an agent that runs itself. Under a runner, end with status 0 instead."""
        return cast(types.Moved, self.run(self._core.end("complete")))

    def fail(self) -> types.Moved:
        """Says that it cannot go on, for an agent that runs itself. Under a runner, end with another status instead."""
        return cast(types.Moved, self.run(self._core.end("fail")))

    def run(self, steps: Steps[T]) -> T:
        """Carries out steps, blocking."""
        return self._sender.run(steps, self._token)


class AsyncAttempt(_Attempt):
    """`Attempt` on an event loop."""

    def __init__(
        self,
        core: AttemptCore,
        token: TokenSource,
        tls: Tls,
        sender: AsyncSender | None = None,
    ) -> None:
        super().__init__(core, token, tls)
        self._sender = sender or AsyncSender(core.server, tls)

    async def ask(
        self,
        action: Action | Mapping[str, Any],
        *,
        trigger: str | None = None,
        step: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        cost_estimate: Any = None,
    ) -> Grant:
        """Asks before acting. Raises `Waiting` and `Denied`; never act on an error."""
        facts = {"trigger": trigger, "step": step, "attributes": attributes, "cost_estimate": cost_estimate}
        return await self.arun(self._core.ask(Action.of(action), facts))

    async def consume(self, grant: Grant) -> None:
        """Uses a grant up, just before acting. Act only if this returns, at once, and exactly on `grant.action`."""
        await self.arun(self._core.consume(grant))

    async def outcome(
        self,
        grant: Grant | str | None,
        status: str,
        result: Any = None,
        *,
        cost: int | None = None,
        evidence: Sequence[Mapping[str, str]] = (),
    ) -> types.Moved:
        """Says what came of it: SUCCEEDED or FAILED. `grant` is None where policy is only observed."""
        grant_id = grant.id if isinstance(grant, Grant) else grant
        return cast(types.Moved, await self.arun(self._core.outcome(grant_id, status, result, cost, evidence)))

    async def secret(self, name: str, *, grant: Grant | str | None = None) -> str:
        """As `Attempt.secret`; the runner is asked in a thread."""
        return await anyio.to_thread.run_sync(self._core.secret, name, grant.id if isinstance(grant, Grant) else grant)

    async def complete(self) -> types.Moved:
        """Says that all is done, for an agent that runs itself. Under a runner, end with status 0 instead."""
        return cast(types.Moved, await self.arun(self._core.end("complete")))

    async def fail(self) -> types.Moved:
        """Says that it cannot go on, for an agent that runs itself. Under a runner, end with another status instead."""
        return cast(types.Moved, await self.arun(self._core.end("fail")))

    async def arun(self, steps: Steps[T]) -> T:
        """Carries out steps on the running event loop."""
        return await self._sender.run(steps, self._token)


def _launched(environ: Mapping[str, str]) -> tuple[AttemptCore, TokenSource, Tls]:
    """Reads what a runner put into the environment (`spec/runner.md` §5)."""
    if is_off(environ):
        return OffCore(), "", Tls()

    def needed(name: str) -> str:
        value = environ.get(name)
        if not value:
            raise Unusable(f"`{name}` is not set: this is for processes that a runner launched")
        return value

    instance_id, attempt = needed("GANTRAL_INSTANCE_ID"), needed("GANTRAL_ATTEMPT")
    if not UUID4_OR_7.fullmatch(instance_id) or not attempt.isascii() or not attempt.isdigit():
        raise Unusable("`GANTRAL_INSTANCE_ID` and `GANTRAL_ATTEMPT` are not what a runner sets")
    context = _read_context(needed("GANTRAL_CONTEXT"))
    if (context.get("instance_id"), context.get("attempt")) != (instance_id, int(attempt)):
        raise Unusable("the context in `GANTRAL_CONTEXT` is that of another attempt")
    # Without them nothing could be verified, so they are as needed as the address is.
    trust, tenant, workflow = (needed(f"GANTRAL_{name}") for name in ("TRUST", "TENANT", "WORKFLOW"))
    receipts = Receipts(instance_id, Trust.read(trust), tenant, workflow)
    grant = None if context.get("grant") is None else Grant.read(context["grant"])
    if (grant.id if grant else None) != (environ.get("GANTRAL_GRANT") or None):
        raise Unusable("`GANTRAL_GRANT` is not the grant of the context")
    core = AttemptCore(
        Server(needed("GANTRAL_URL")),
        instance_id,
        int(attempt),
        context,
        receipts,
        Journal(needed("GANTRAL_JOURNAL")),
        grant,
        environ.get("GANTRAL_SECRETS") or None,
    )
    return core, Path(needed("GANTRAL_TOKEN_FILE")), Tls.of(environ)


def _read_context(path: str) -> Mapping[str, Any]:
    try:
        with open(path, "rb") as file:
            value = _json.parse_document(file.read(CONTEXT_BYTES_MAX + 1), CONTEXT_BYTES_MAX)
    except OSError as error:
        raise Unusable(f"the context `{path}` cannot be read: {error.strerror}") from None
    except _json.JsonRefused as refused:
        raise Unusable(f"the context `{path}` is not JSON: {refused}") from None
    if not isinstance(value, dict):
        raise Unusable(f"the context `{path}` is no object")
    return value
