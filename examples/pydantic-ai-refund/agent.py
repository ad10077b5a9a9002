"""A pydantic-ai agent whose tool is done only under a grant.

The tool is a deferred one: the run pauses with the call, and its messages are on disk before anybody is asked. If a human must decide, this process
ends with status 3; a runner starts a new one, which goes on with the run and calls the tool with what was approved. The model is scripted: no
model is needed to try it.
"""

import json
import os
from pathlib import Path

from pydantic_ai import Agent, DeferredToolRequests, FunctionToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

import gantral
from gantral.pydantic_ai import Governed, ToolAction, run_sync

DATA = Path(os.environ.get("EXAMPLE_DATA", Path(__file__).parent / "data"))


def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Says what a model would say: one call, and a last word about what came of it."""
    last = messages[-1].parts[-1]
    if isinstance(last, ToolReturnPart):
        return ModelResponse(parts=[TextPart(f"It is done: {last.content}.")])
    arguments = {"order": "1001", "amount_minor": 480000, "reason": "arrived broken"}
    return ModelResponse(parts=[ToolCallPart("refund", arguments, tool_call_id="refund-1001")])


def refund(order: str, amount_minor: int, reason: str, currency: str = "EUR") -> str:
    """Refunds an order, in minor units of a currency."""
    parameters = {"amount_minor": amount_minor, "currency": currency, "reason": reason}
    entry = {"pid": os.getpid(), "action": {"name": "refund", "target": f"order/{order}", "parameters": parameters}}
    with open(DATA / "ledger.jsonl", "a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(entry) + "\n")
    return f"{amount_minor} {currency} for order {order}"


tools = Governed(FunctionToolset([refund]), {"refund": ToolAction("order/{order}")})
agent = Agent(FunctionModel(scripted), toolsets=[tools], output_type=[str, DeferredToolRequests])


def main() -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    prompt = "Order 1001 arrived broken."
    result = run_sync(agent, prompt, folder=DATA / "conversations", facts={"trigger": "PAYMENT", "step": "refund"})
    print(f"[pid {os.getpid()}] {result.output}", flush=True)


if __name__ == "__main__":
    gantral.run(main)
