"""AutoGen without a model: an agent that hands its refunds over, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.conditions import HandoffTermination, TextMentionTermination
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from models import DATA, act, orders

import gantral
from gantral.autogen import AUTHORITY, handoff, run


class Refunds(BaseChatAgent):
    """Says what a model would say."""

    def __init__(self) -> None:
        super().__init__("refunds", "refunds orders")
        self.results: list[str] = []

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage, HandoffMessage)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: Any) -> Response:
        self.results += [str(message.content) for message in messages if isinstance(message, HandoffMessage)]
        if len(self.results) == len(orders()):
            return Response(chat_message=TextMessage(content="; ".join(self.results) + " DONE", source=self.name))
        order, amount = orders()[len(self.results)]
        action = {"name": "refund", "target": f"order/{order}", "parameters": {"amount_minor": amount}}
        return Response(chat_message=handoff(action, self.name))

    async def on_reset(self, cancellation_token: Any) -> None:
        self.results = []

    async def save_state(self) -> dict[str, Any]:
        return {"results": self.results}

    async def load_state(self, state: Any) -> None:
        self.results = list(state["results"])


async def refund(action: gantral.Action) -> str:
    parameters = action.parameters
    return act(action.target.removeprefix("order/"), parameters["amount_minor"], parameters.get("currency", "EUR"))


async def go() -> str:
    ends = HandoffTermination(AUTHORITY) | TextMentionTermination("DONE")
    team = RoundRobinGroupChat([Refunds()], termination_condition=ends)
    result = await run(team, "refund them", refund, folder=DATA / "state", facts={"trigger": "PAYMENT"})
    return str(result.messages[-1].to_text()).removesuffix(" DONE")


def main() -> None:
    (DATA / "result").write_text(asyncio.run(go()))


gantral.run(main)
