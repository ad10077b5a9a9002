"""A LangGraph agent that asks before it refunds.

The graph is interrupted with the action that it wants to do, and the checkpointer keeps that. Only then is Gantral asked; if a human must
decide, this process ends with status 3. When the human has decided, a runner starts a new process, which resumes the graph with what was
approved. The model is left out: `propose` is where it would think.
"""

import json
import os
from pathlib import Path
from typing import Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph

import gantral
from gantral.langgraph import authority, permit, run

DATA = Path(os.environ.get("EXAMPLE_DATA", Path(__file__).parent / "data"))
USUAL_INPUT = {"order": "order/1001", "amount_minor": 480000, "reason": "arrived broken"}


class Refund(TypedDict, total=False):
    order: str
    amount_minor: int
    reason: str
    action: dict[str, Any]
    granted: dict[str, Any]
    result: dict[str, Any]


def propose(state: Refund) -> Refund:
    parameters = {"amount_minor": state["amount_minor"], "currency": "EUR", "reason": state["reason"]}
    return {"action": {"name": "refund", "target": state["order"], "parameters": parameters}}


def gate(state: Refund) -> Refund:
    # LangGraph runs an interrupted node again from its top: whatever has an effect comes after the gate.
    return {"granted": authority(state["action"], trigger="PAYMENT", step="refund")}


def refund(state: Refund) -> Refund:
    try:
        with permit(state["granted"], trigger="PAYMENT", step="refund") as permitted:
            # As approved, not as proposed: a human may have changed it.
            entry = {"grant_id": permitted.grant_id, "pid": os.getpid(), "action": permitted.action.to_json()}
            with open(DATA / "ledger.jsonl", "a", encoding="utf-8") as ledger:
                ledger.write(json.dumps(entry) + "\n")
            permitted.succeeded({"ledger": "ledger.jsonl"})
    except gantral.AlreadySettled as settled:
        # An earlier process died behind the refund, and a human found out what came of it.
        entry = {"done": settled.status}
    return {"result": entry}


def main() -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    graph = StateGraph(Refund)
    graph.add_node("propose", propose)
    graph.add_node("gate", gate)
    graph.add_node("refund", refund)
    graph.add_edge(START, "propose")
    graph.add_edge("propose", "gate")
    graph.add_edge("gate", "refund")
    graph.add_edge("refund", END)
    with SqliteSaver.from_conn_string(str(DATA / "checkpoints.sqlite")) as checkpointer:
        state = run(graph.compile(checkpointer=checkpointer), gantral.attempt().context["input"] or USUAL_INPUT)
    print(f"[pid {os.getpid()}] result: {json.dumps(state['result'])}", flush=True)


if __name__ == "__main__":
    gantral.run(main)
