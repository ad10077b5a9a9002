"""pydantic-ai: tools that need approval pause the run as deferred tools, and are done when there is a grant.

    tools = Governed(FunctionToolset([transfer]), {"transfer": ToolAction("account/{to}")})
    agent = Agent(model, toolsets=[tools], output_type=[str, DeferredToolRequests])
    result = run_sync(agent, "pay bob", folder="state")     # raises `Waiting`: end with status 3

The messages of the run are kept in the folder, in one file for each execution, with what was done already. The tool is called with the
arguments *as approved*.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, ModelMessagesTypeAdapter, ToolApproved, ToolDenied
from pydantic_ai.exceptions import ApprovalRequired
from pydantic_ai.messages import ModelMessage
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import AgentDepsT, RunContext
from pydantic_ai.toolsets import ToolsetTool, WrapperToolset
from pydantic_core import to_jsonable_python

from ._actions import Action
from ._calls import ONE_AT_A_TIME, Calls, ToolAction
from ._client import AsyncAttempt, Attempt
from ._errors import Unusable
from ._governed import attempt as of_process

__all__ = ["Governed", "ToolAction", "run", "run_sync"]

#: By this member of a deferred call's metadata it is known as ours.
MARK = "gantral_action"
_calls: contextvars.ContextVar[Calls] = contextvars.ContextVar("gantral_calls")


@dataclass
class Governed(WrapperToolset[AgentDepsT]):
    """A toolset whose tools that `actions` names are done only under a grant; the others are as they were."""

    actions: Mapping[str, ToolAction]

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        how, call_id, calls = self.actions.get(name), ctx.tool_call_id, _calls.get(None)
        if how is None:
            return await self.wrapped.call_tool(name, tool_args, ctx, tool)
        if calls is None or call_id is None:
            raise Unusable("an agent with governed tools is run by `gantral.pydantic_ai.run`")
        asked = to_jsonable_python(tool_args)
        if not ctx.tool_call_approved:
            raise ApprovalRequired(metadata={MARK: how.of(name, asked).to_json()})
        known = list(tool.tool_def.parameters_json_schema.get("properties", {}))

        async def act(approved: Action) -> Any:
            arguments = how.arguments(asked, approved, known)
            checked = tool.args_validator.validate_python(arguments, context=ctx.validation_context)
            return to_jsonable_python(await self.wrapped.call_tool(name, checked, ctx, tool))

        return await calls.perform(call_id, act)


async def run(
    agent: Agent[AgentDepsT, Any],
    prompt: str,
    *,
    folder: str | Path,
    attempt: AsyncAttempt | Attempt | None = None,
    facts: Mapping[str, Any] | None = None,
    **more: Any,
) -> AgentRunResult[Any]:
    """Runs an agent, or goes on with the run where an earlier process stopped, and returns its result.

    `facts` are `trigger`, `step`, `attributes` and `cost_estimate`; `more` is for `agent.run`, such as `deps`. The agent's output type has
    `DeferredToolRequests` among others. Raises `Waiting` where humans decide: everything is on disk by then, and the process ends with
    status 3.
    """
    calls = Calls(attempt or of_process(), folder, facts or {})
    token = _calls.set(calls)
    try:
        if calls.conversation is None:
            result = await agent.run(prompt, **more)
            if not isinstance(result.output, DeferredToolRequests):
                return result
            calls.pause(_written(result, result.output))
        while True:
            messages, waiting = _read(calls.conversation or "")
            answers = await _decided(calls, waiting)
            result = await agent.run(message_history=messages, deferred_tool_results=answers, **more)
            if not isinstance(result.output, DeferredToolRequests):
                calls.finish()
                return result
            calls.pause(_written(result, result.output))
    finally:
        _calls.reset(token)


def run_sync(
    agent: Agent[AgentDepsT, Any],
    prompt: str,
    *,
    folder: str | Path,
    attempt: AsyncAttempt | Attempt | None = None,
    facts: Mapping[str, Any] | None = None,
    **more: Any,
) -> AgentRunResult[Any]:
    """`run`, blocking."""
    return asyncio.run(run(agent, prompt, folder=folder, attempt=attempt, facts=facts, **more))


async def _decided(calls: Calls, waiting: Mapping[str, Mapping[str, Any]]) -> DeferredToolResults:
    """Asks for what waits. After a gate only what humans decided about is done, and the model is told of the rest."""
    answers, awaited = DeferredToolResults(), calls.awaited()
    for call_id, action in waiting.items():
        if awaited in waiting and call_id != awaited and not calls.is_known(call_id):
            answers.approvals[call_id] = ToolDenied(ONE_AT_A_TIME)
        else:
            await calls.ask(call_id, Action.of(action))
            answers.approvals[call_id] = ToolApproved()
    return answers


def _written(result: AgentRunResult[Any], requests: DeferredToolRequests) -> str:
    """Returns the messages of a run, and the calls that wait, each with its action."""
    waiting = {}
    for call in (*requests.approvals, *requests.calls):
        action = requests.metadata.get(call.tool_call_id, {}).get(MARK)
        if action is None:
            raise Unusable(f"the tool `{call.tool_name}` waits for somebody, and is not governed")
        waiting[call.tool_call_id] = action
    return json.dumps({"messages": result.all_messages_json().decode(), "waiting": waiting})


def _read(conversation: str) -> tuple[list[ModelMessage], dict[str, Any]]:
    kept = json.loads(conversation)
    return ModelMessagesTypeAdapter.validate_json(kept["messages"]), kept["waiting"]
