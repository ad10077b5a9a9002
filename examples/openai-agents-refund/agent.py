"""An agent of the OpenAI Agents SDK whose tool is done only under a grant.

The tool needs approval: the run is interrupted with the call, and its `RunState` is on disk before anybody is asked. If a human must decide, this
process ends with status 3; a runner starts a new one, which goes on with the run and calls the tool with what was approved. The model is scripted:
no model is needed to try it.
"""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from agents import Agent, function_tool, set_tracing_disabled
from agents.items import ModelResponse
from agents.models.interface import Model
from agents.usage import Usage
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

import gantral
from gantral.openai_agents import ToolAction, governed, run_sync

DATA = Path(os.environ.get("EXAMPLE_DATA", Path(__file__).parent / "data"))
ARGUMENTS = {"order": "1001", "amount_minor": 480000, "reason": "arrived broken", "currency": "EUR"}
set_tracing_disabled(True)


class Scripted(Model):
    """Says what a model would say: one call, and a last word about what came of it."""

    async def get_response(self, system_instructions: Any, input: Any, *more: Any, **kwargs: Any) -> ModelResponse:
        items = input if isinstance(input, list) else []
        done = [item["output"] for item in items if isinstance(item, dict) and item.get("type") == "function_call_output"]
        output: Any = ResponseFunctionToolCall(
            type="function_call", call_id="refund-1001", id="f1", name="refund", arguments=json.dumps(ARGUMENTS)
        )
        if done:
            text = ResponseOutputText(type="output_text", text=f"It is done: {done[-1]}.", annotations=[])
            output = ResponseOutputMessage(id="m1", type="message", role="assistant", status="completed", content=[text])
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *more: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise RuntimeError("this agent does not stream")


@function_tool(failure_error_function=None)
def refund(order: str, amount_minor: int, reason: str, currency: str) -> str:
    """Refunds an order, in minor units of a currency."""
    parameters = {"amount_minor": amount_minor, "currency": currency, "reason": reason}
    entry = {"pid": os.getpid(), "action": {"name": "refund", "target": f"order/{order}", "parameters": parameters}}
    with open(DATA / "ledger.jsonl", "a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(entry) + "\n")
    return f"{amount_minor} {currency} for order {order}"


agent = Agent(name="refunds", model=Scripted(), tools=[governed(refund, ToolAction("order/{order}"))])


def main() -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    prompt = "Order 1001 arrived broken."
    result = run_sync(agent, prompt, folder=DATA / "runs", facts={"trigger": "PAYMENT", "step": "refund"})
    print(f"[pid {os.getpid()}] {result.final_output}", flush=True)


if __name__ == "__main__":
    gantral.run(main)
