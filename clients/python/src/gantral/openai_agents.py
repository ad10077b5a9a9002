"""OpenAI Agents SDK: tools that need approval interrupt the run, whose state is kept, and are done when there is a grant.

    @function_tool(failure_error_function=None)
    def transfer(to: str, amount: int) -> str: ...

    agent = Agent(name="pay", tools=[governed(transfer, ToolAction("account/{to}"))])
    result = run_sync(agent, "pay bob", folder="state")     # raises `Waiting`: end with status 3

The `RunState` is kept in the folder, in one file for each execution, with what was done already. The tool is called with the arguments
*as approved*.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agents import Agent, FunctionTool, Runner, RunResult, RunState, ToolApprovalItem
from agents.tool_context import ToolContext

from ._actions import Action
from ._calls import Calls, ToolAction
from ._client import AsyncAttempt, Attempt
from ._errors import GantralError, Unusable
from ._governed import attempt as of_process

__all__ = ["ToolAction", "governed", "run", "run_sync"]

_calls: contextvars.ContextVar[Calls] = contextvars.ContextVar("gantral_calls")


class _Invoke:
    """Invokes a tool under its grant."""

    def __init__(self, tool: FunctionTool, how: ToolAction) -> None:
        self.how = how
        self._tool = tool
        self._known = list(tool.params_json_schema.get("properties", {}))

    async def __call__(self, context: ToolContext[Any], arguments: str) -> Any:
        calls = _calls.get(None)
        if calls is None:
            raise Unusable("an agent with governed tools is run by `gantral.openai_agents.run`")
        asked = json.loads(arguments)

        async def act(approved: Action) -> Any:
            changed = self.how.arguments(asked, approved, self._known)
            return await self._tool.on_invoke_tool(context, json.dumps(changed))

        return await calls.perform(context.tool_call_id, act)


def governed(tool: FunctionTool, how: ToolAction) -> FunctionTool:
    """Returns a tool that is done only under a grant.

    Make the tool with `failure_error_function=None`: a tool that turns its errors into text is reported as if it had succeeded.
    """
    return dataclasses.replace(tool, needs_approval=True, on_invoke_tool=_Invoke(tool, how))


async def run(
    agent: Agent[Any],
    prompt: Any,
    *,
    folder: str | Path,
    attempt: AsyncAttempt | Attempt | None = None,
    facts: Mapping[str, Any] | None = None,
    **more: Any,
) -> RunResult:
    """Runs an agent, or goes on with the run where an earlier process stopped, and returns its result.

    `facts` are `trigger`, `step`, `attributes` and `cost_estimate`; `more` is for `Runner.run`, such as `max_turns`. Raises `Waiting` where
    humans decide: everything is on disk by then, and the process ends with status 3.
    """
    calls = Calls(attempt or of_process(), folder, facts or {})
    token = _calls.set(calls)
    try:
        kept = calls.conversation
        if kept is None:
            result = await Runner.run(agent, prompt, **more)
            if not result.interruptions:
                return result
            state = result.to_state()
            calls.pause(state.to_string())
        else:
            state = await RunState.from_string(agent, kept)
        while True:
            await _decide(calls, state)
            result = await Runner.run(agent, state, **more)
            if not result.interruptions:
                calls.finish()
                return result
            state = result.to_state()
            calls.pause(state.to_string())
    except Exception as error:
        # The SDK wraps what a tool raises; ours says whether anything may be done.
        for cause in _causes(error):
            if isinstance(cause, GantralError):
                raise cause from None
        raise
    finally:
        _calls.reset(token)


def run_sync(
    agent: Agent[Any],
    prompt: Any,
    *,
    folder: str | Path,
    attempt: AsyncAttempt | Attempt | None = None,
    facts: Mapping[str, Any] | None = None,
    **more: Any,
) -> RunResult:
    """`run`, blocking."""
    return asyncio.run(run(agent, prompt, folder=folder, attempt=attempt, facts=facts, **more))


async def _decide(calls: Calls, state: RunState[Any, Any]) -> None:
    """Asks for what waits. After a gate only what humans decided about is done; the rest waits for the next round."""
    waiting = state.get_interruptions()
    awaited = calls.awaited()
    ours = {item.call_id: item for item in waiting}
    for call_id, item in ours.items():
        if call_id is None:
            raise Unusable(f"a call of `{item.tool_name}` has no id")
        if awaited in ours and call_id != awaited and not calls.is_known(call_id):
            continue
        await calls.ask(call_id, _action(item))
        state.approve(item)


def _action(item: ToolApprovalItem) -> Action:
    """Returns what a call that waits wants to do."""
    tools = [tool for tool in item.agent.tools if isinstance(tool, FunctionTool) and tool.name == item.tool_name]
    how = tools[0].on_invoke_tool if tools else None
    if not isinstance(how, _Invoke):
        raise Unusable(f"the tool `{item.tool_name}` waits for approval, and is not governed")
    return how.how.of(str(item.tool_name), json.loads(item.arguments or "{}"))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
