"""What the adapters share: grants that outlive a process, and the calls of tools that wait for one.

A framework keeps its own state, and says which calls wait. Beside it stands, in one file for each execution, which of them was asked for
last, which grants were given, and what was done already: so that a process that starts over does nothing twice.
"""

from __future__ import annotations

import json
import os
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from . import _json
from ._actions import Action, Grant
from ._client import _Attempt
from ._errors import AlreadySettled, Unusable
from ._gate import Gate

#: A conversation with its tool calls; what is larger does not belong into the state of one execution.
STATE_BYTES_MAX = 64 << 20
#: What a model is told about calls beside one for which a human decided.
ONE_AT_A_TIME = "Not done: another action of the same turn needed a human first. Call again if it is still wanted."
SETTLED = "An earlier process reported {status} for this call, and its result was lost. Do not call it again."


def saved_grant(attempt: _Attempt, grant: Grant) -> dict[str, Any]:
    """Returns a grant as the state of a framework can keep it."""
    return {
        "action": grant.action.to_json(),
        "attempt": attempt.number,
        "enforced": grant.enforced,
        "gate_id": grant.gate_id,
        "grant_id": grant.id,
        "action_commitment": grant.commitment,
        "action_salt": grant.salt,
        "expires_at": grant.expires_at,
        "overridden": grant.overridden,
    }


def gate_of(attempt: _Attempt, saved: Mapping[str, Any], facts: Mapping[str, Any]) -> Gate:
    """Returns the block around what a grant permits that was kept in the state of a framework.

    Humans' grants wait for the process that uses them. What policy allowed by itself lapsed with the attempt that asked, so it is asked
    for again; and a decision that was made since then is what counts. Raises `AlreadySettled` for what was used up before.
    """
    action, grant_id = Action.of(saved["action"]), saved.get("grant_id")
    for outcome in attempt.context.get("outcomes") or []:
        if grant_id is not None and outcome.get("grant_id") == grant_id:
            raise AlreadySettled(grant_id, str(outcome.get("status") or "UNKNOWN"))
    pending = attempt.granted
    if pending is not None and pending.id == grant_id:
        return attempt.under(pending)
    if saved.get("attempt") != attempt.number or (pending is not None and pending.gate_id != saved.get("gate_id")):
        return Gate(attempt, attempt._core, action, None, facts, anew=False, knows_its_place=True)
    if grant_id is None:
        return attempt.under(Grant(None, action, enforced=False))
    return attempt.under(Grant.read(saved))


def take(attempt: _Attempt, asked: Action) -> Grant | None:
    """Returns the grant of humans, if it is the answer to what is asked; raises `GrantUnused` if it is for something else."""
    return attempt._core.taken(asked, anew=False)


Target = Union[str, Callable[[Mapping[str, Any]], str]]


@dataclass(frozen=True)
class ToolAction:
    """How the call of a tool becomes an action.

    `target` is what the tool acts on: text with names of arguments in braces, such as `account/{to}`, or a function of the arguments.
    The parameters are the other arguments, or those that are named. `name` is the tool's own if it is not given.
    """

    target: Target
    name: str | None = None
    parameters: Sequence[str] | None = None

    def of(self, tool: str, arguments: Mapping[str, Any]) -> Action:
        """Returns the action of a call."""
        try:
            target = self.target.format(**arguments) if isinstance(self.target, str) else self.target(arguments)
        except (KeyError, IndexError, AttributeError) as missing:
            raise Unusable(f"the target of `{tool}` needs an argument that the call has not: {missing}") from None
        wanted = self._wanted(arguments)
        given = {name: value for name, value in arguments.items() if name in wanted and value is not None}
        return Action(self.name or tool, target, given)

    def arguments(self, asked: Mapping[str, Any], approved: Action, known: Sequence[str]) -> dict[str, Any]:
        """Returns the arguments with which the tool does exactly what was approved. Raises `Unusable` if there are none."""
        wanted = self._wanted(asked)
        changed = {name: value for name, value in asked.items() if name not in wanted or value is None}
        for name, value in approved.parameters.items():
            if name not in known:
                raise Unusable(f"the action has a parameter `{name}`, and the tool takes none of that name")
            changed[name] = value
        if approved.target != self.of("", changed).target:
            raise Unusable("humans changed what the action acts on, and the tool cannot be told")
        # A tool is called with what JSON has; its own schema turns that into what it takes.
        plain: dict[str, Any] = json.loads(_json.canonical(changed))
        return plain

    def _wanted(self, arguments: Mapping[str, Any]) -> set[str]:
        if self.parameters is not None:
            return set(self.parameters)
        fields = string.Formatter().parse(self.target) if isinstance(self.target, str) else ()
        return arguments.keys() - {field for _, field, _, _ in fields if field}


class Calls:
    """The calls of one execution that wait for authority, and what is known of them, in one file."""

    def __init__(self, attempt: _Attempt, folder: str | Path, facts: Mapping[str, Any]) -> None:
        self.attempt, self._facts = attempt, facts
        self._path = Path(folder) / f"{attempt.instance_id}.json"
        self._state: dict[str, Any] = self._read()

    @property
    def conversation(self) -> str | None:
        """What the framework had when it paused, in its own words; None if it never did."""
        found = self._state.get("conversation")
        return found if isinstance(found, str) else None

    def pause(self, conversation: str) -> None:
        """Keeps what the framework has, before anybody is asked. What was done until now is part of it."""
        self._write({"conversation": conversation})

    def finish(self) -> None:
        """Forgets everything: the conversation is over."""
        self._path.unlink(missing_ok=True)

    def awaited(self) -> str | None:
        """Returns the call for which humans decided."""
        asking = self._state.get("asking")
        return asking if isinstance(asking, str) and self.attempt.granted is not None else None

    def is_known(self, call_id: str) -> bool:
        """Tells whether a call was done already, or began under a grant that is used up."""
        grant = self._state.get("grants", {}).get(call_id, {}).get("grant_id")
        used = [outcome.get("grant_id") for outcome in self.attempt.context.get("outcomes") or []]
        return call_id in self._state.get("done", {}) or (grant is not None and grant in used)

    async def ask(self, call_id: str, action: Action) -> None:
        """Asks for a call, unless it is known already what came of it. Raises `Waiting` and `Denied`."""
        if self.is_known(call_id):
            return
        awaited = self.awaited()
        self._write({**self._state, "asking": call_id})
        grant = take(self.attempt, action) if awaited == call_id else None
        if grant is None:
            grant = await self.attempt.arun(self.attempt._core.ask(action, self._facts))
        grants = {**self._state.get("grants", {}), call_id: saved_grant(self.attempt, grant)}
        self._write({**self._state, "grants": grants})

    async def perform(self, call_id: str, call: Callable[[Action], Any]) -> Any:
        """Does a call under its grant, once, and keeps what it returned; returns what is known if it was done before."""
        done = self._state.get("done", {})
        if call_id in done:
            return json.loads(done[call_id])
        saved = self._state.get("grants", {}).get(call_id)
        if saved is None:
            raise Unusable(f"nobody was asked for the call `{call_id}`")
        try:
            block = gate_of(self.attempt, saved, self._facts)
        except AlreadySettled as settled:
            return SETTLED.format(status=settled.status)
        async with block as permit:
            result = await call(permit.action)
            permit.succeeded(result)
        # As text: what a tool returned is for the framework, which has numbers of its own. What is no JSON is kept in words.
        kept = json.dumps(result, default=str)
        self._write({**self._state, "done": {**self._state.get("done", {}), call_id: kept}})
        return result

    def _read(self) -> dict[str, Any]:
        try:
            with open(self._path, "rb") as file:
                state = _json.parse_document(file.read(STATE_BYTES_MAX + 1), STATE_BYTES_MAX)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise Unusable(f"the state `{self._path}` cannot be read: {error.strerror}") from None
        except _json.JsonRefused as refused:
            raise Unusable(f"the state `{self._path}` is none: {refused}") from None
        if not isinstance(state, dict):
            raise Unusable(f"the state `{self._path}` is none")
        return state

    def _write(self, state: dict[str, Any]) -> None:
        """Replaces the state, durable when this returns: a process that dies leaves the old one or the new one."""
        beside = self._path.with_suffix(".new")
        try:
            text = _json.canonical(state)
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(file, "wb") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            os.replace(beside, self._path)
        except (OSError, _json.JsonRefused) as error:
            raise Unusable(f"the state `{self._path}` cannot be kept: {error}") from None
        self._state = state
