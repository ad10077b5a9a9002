"""The OpenAI Agents SDK without a model: one turn of refunds, and a last word."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, function_tool, set_tracing_disabled
from agents.items import ModelResponse
from agents.models.interface import Model
from agents.usage import Usage
from models import DATA, act, orders
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

import gantral
from gantral.openai_agents import ToolAction, governed, run_sync

set_tracing_disabled(True)


class Scripted(Model):
    """Says what a model would say."""

    async def get_response(self, system_instructions: Any, input: Any, *more: Any, **kwargs: Any) -> ModelResponse:
        items = input if isinstance(input, list) else []
        done = [item for item in items if isinstance(item, dict) and item.get("type") == "function_call_output"]
        output: list[Any] = []
        if done:
            text = ResponseOutputText(type="output_text", text="; ".join(str(each["output"]) for each in done), annotations=[])
            output.append(
                ResponseOutputMessage(id="m1", type="message", role="assistant", status="completed", content=[text])
            )
        else:
            for order, amount in orders():
                arguments = json.dumps({"order": order, "amount_minor": amount, "currency": "EUR"})
                output.append(
                    ResponseFunctionToolCall(
                        type="function_call", call_id=f"call-{order}", id=f"f-{order}", name="refund", arguments=arguments
                    )
                )
        return ModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *more: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise AssertionError("nothing is streamed here")


@function_tool(failure_error_function=None)
def refund(order: str, amount_minor: int, currency: str) -> str:
    """Refunds an order."""
    return act(order, amount_minor, currency)


agent = Agent(name="refunds", model=Scripted(), tools=[governed(refund, ToolAction("order/{order}"))])


def main() -> None:
    result = run_sync(agent, "refund them", folder=DATA / "state", facts={"trigger": "PAYMENT"})
    (DATA / "result").write_text(str(result.final_output))


gantral.run(main)
