"""pydantic-ai without a model: one turn of refunds, and a last word."""

from __future__ import annotations

from models import DATA, act, orders
from pydantic_ai import Agent, DeferredToolRequests, FunctionToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

import gantral
from gantral.pydantic_ai import Governed, ToolAction, run_sync

CALLS = {f"call-{order}": {"order": order, "amount_minor": amount} for order, amount in orders()}


def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Asks for all refunds at once, and again for those that were put off."""
    returns = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    said = {part.tool_call_id.removesuffix("-again"): str(part.content) for part in returns}
    missing = [call_id for call_id in CALLS if call_id not in said or said[call_id].startswith("Not done")]
    if not missing:
        return ModelResponse(parts=[TextPart("; ".join(said.values()))])
    again = "-again" if said else ""
    return ModelResponse(parts=[ToolCallPart("refund", CALLS[each], tool_call_id=each + again) for each in missing])


def refund(order: str, amount_minor: int, currency: str = "EUR") -> str:
    """Refunds an order."""
    return act(order, amount_minor, currency)


tools = Governed(FunctionToolset([refund]), {"refund": ToolAction("order/{order}")})
agent = Agent(FunctionModel(model), toolsets=[tools], output_type=[str, DeferredToolRequests])


def main() -> None:
    result = run_sync(agent, "refund them", folder=DATA / "state", facts={"trigger": "PAYMENT"})
    (DATA / "result").write_text(str(result.output))


gantral.run(main)
