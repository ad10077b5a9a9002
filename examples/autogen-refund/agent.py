"""An AutoGen team that hands its refund over before it is done.

The agent hands the action over, the team stops, and its state is on disk before anybody is asked. If a human must decide, this process ends with
status 3; a runner starts a new one, which does what was approved and has the team go on with what came of it. The model is left out: `Refunds` says
what it would say.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.conditions import HandoffTermination, TextMentionTermination
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat

import gantral
from gantral.autogen import AUTHORITY, handoff, run

DATA = Path(os.environ.get("EXAMPLE_DATA", Path(__file__).parent / "data"))
PARAMETERS = {"amount_minor": 480000, "currency": "EUR", "reason": "arrived broken"}


class Refunds(BaseChatAgent):
    """Says what a model would say: one refund, and a last word about what came of it."""

    def __init__(self) -> None:
        super().__init__("refunds", "refunds orders")

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage, HandoffMessage)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: Any) -> Response:
        last = messages[-1]
        if isinstance(last, HandoffMessage):
            return Response(chat_message=TextMessage(content=f"DONE: {last.content}", source=self.name))
        action = {"name": "refund", "target": "order/1001", "parameters": PARAMETERS}
        return Response(chat_message=handoff(action, self.name))

    async def on_reset(self, cancellation_token: Any) -> None:
        pass


async def refund(action: gantral.Action) -> str:
    """Does exactly this action, which a human may have changed."""
    entry = {"pid": os.getpid(), "action": action.to_json()}
    with open(DATA / "ledger.jsonl", "a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(entry) + "\n")
    return f"{action.parameters['amount_minor']} {action.parameters['currency']} for {action.target}"


def main() -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    ends = HandoffTermination(AUTHORITY) | TextMentionTermination("DONE")
    team = RoundRobinGroupChat([Refunds()], termination_condition=ends)
    facts = {"trigger": "PAYMENT", "step": "refund"}
    result = asyncio.run(run(team, "Order 1001 arrived broken.", refund, folder=DATA / "teams", facts=facts))
    print(f"[pid {os.getpid()}] {result.messages[-1].to_text()}", flush=True)


if __name__ == "__main__":
    gantral.run(main)
