"""AutoGen: an agent hands over the action that it wants to do, the team stops, and goes on with what came of it.

    team = RoundRobinGroupChat([payer], termination_condition=HandoffTermination(AUTHORITY) | ...)

    async def act(action: Action) -> str: ...               # exactly this action

    result = await run(team, "pay bob", act, folder="state")    # raises `Waiting`: end with status 3

An agent hands over with `handoff(action)`, and is answered by a `HandoffMessage` with what `act` returned. The state of the team is kept in the folder, in one
file for each execution, with what was done already.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import HandoffMessage
from autogen_agentchat.teams import BaseGroupChat

from . import _json
from ._actions import Action
from ._calls import Calls
from ._client import AsyncAttempt, Attempt
from ._errors import Unusable
from ._governed import attempt as of_process

__all__ = ["AUTHORITY", "handoff", "run"]

#: To whom agents hand over, for `HandoffTermination`.
AUTHORITY = "gantral"


def handoff(action: Action | Mapping[str, Any], source: str) -> HandoffMessage:
    """Returns the message with which the agent `source` hands an action over."""
    return HandoffMessage(content=Action.of(action).canonical().decode(), source=source, target=AUTHORITY)


async def run(
    team: BaseGroupChat,
    task: Any,
    act: Callable[[Action], Awaitable[Any]],
    *,
    folder: str | Path,
    attempt: AsyncAttempt | Attempt | None = None,
    facts: Mapping[str, Any] | None = None,
) -> TaskResult:
    """Runs a team, or goes on with it where an earlier process stopped, and returns its result.

    `act` does an action, as approved, and returns what JSON has. `facts` are `trigger`, `step`, `attributes` and `cost_estimate`. Raises `Waiting` where
    humans decide: everything is on disk by then, and the process ends with status 3.
    """
    calls = Calls(attempt or of_process(), folder, facts or {})
    if calls.conversation is None:
        result = await team.run(task=task)
        if not await _paused(calls, team, result):
            return result
    else:
        await team.load_state(json.loads(calls.conversation)["team"])
    while True:
        waiting = json.loads(calls.conversation or "")["waiting"]
        await calls.ask(waiting["id"], _action(waiting["content"]))
        returned = await calls.perform(waiting["id"], act)
        answer = HandoffMessage(content=str(returned), source=AUTHORITY, target=waiting["source"])
        result = await team.run(task=answer)
        if not await _paused(calls, team, result):
            calls.finish()
            return result


async def _paused(calls: Calls, team: BaseGroupChat, result: TaskResult) -> bool:
    """Keeps the team if it stopped to hand an action over; tells whether it did."""
    last = result.messages[-1] if result.messages else None
    if not isinstance(last, HandoffMessage) or last.target != AUTHORITY:
        return False
    waiting = {"id": last.id, "source": last.source, "content": last.content}
    calls.pause(json.dumps({"team": await team.save_state(), "waiting": waiting}))
    return True


def _action(content: str) -> Action:
    try:
        return Action.of(_json.parse_document(content.encode()))
    except _json.JsonRefused as refused:
        raise Unusable(f"what was handed over is no action: {refused}") from None
