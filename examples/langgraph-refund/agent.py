"""A LangGraph agent that asks before it refunds.

The graph is interrupted with the action that it wants to do, and the checkpointer keeps that. Only then is Gantral
asked; if a human must decide, this process ends with status 3. When the human has decided, a runner starts a new
process, which resumes the graph with what was approved. The model is left out: `propose` is where it would think.
"""

import json
import os
import sys
from pathlib import Path
from typing import TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from gantral_client import Gantral

EXIT_WAITING = 3
EXIT_DENIED = 4

DATA = Path(os.environ.get("EXAMPLE_DATA", Path(__file__).parent / "data"))
USUAL_INPUT = {"order": "order/1001", "amount_minor": 480000, "reason": "arrived broken"}


class Refund(TypedDict, total=False):
    order: str
    amount_minor: int
    reason: str
    action: dict
    granted: dict
    result: dict


def propose(state):
    parameters = {
        "amount_minor": state["amount_minor"],
        "currency": "EUR",
        "reason": state["reason"],
    }
    return {"action": {"name": "refund", "target": state["order"], "parameters": parameters}}


def gate(state):
    # LangGraph runs an interrupted node again from its top: whatever has an effect comes after the gate.
    return {"granted": interrupt(state["action"])}


def act(gantral):
    def refund(state):
        # As approved, not as proposed: a human may have changed it.
        grant_id, action = state["granted"]["grant_id"], state["granted"]["action"]
        answer = gantral.consume(grant_id, action)
        if answer["answer"] != "ALLOW":
            # Denied by now, or the change needs another human. Nothing was done.
            return {"result": {"done": False, "answer": answer["answer"]}}
        entry = {"grant_id": grant_id, "pid": os.getpid(), "action": action}
        with open(DATA / "ledger.jsonl", "a", encoding="utf-8") as ledger:
            ledger.write(json.dumps(entry) + "\n")
        gantral.outcome(grant_id, "SUCCEEDED", {"ledger": "ledger.jsonl"})
        return {"result": {"done": True, **entry}}

    return refund


def after_refund(state):
    return "gate" if state["result"].get("answer") == "REQUIRE_HUMAN" else END


def build(gantral, checkpointer):
    graph = StateGraph(Refund)
    graph.add_node("propose", propose)
    graph.add_node("gate", gate)
    graph.add_node("refund", act(gantral))
    graph.add_edge(START, "propose")
    graph.add_edge("propose", "gate")
    graph.add_edge("gate", "refund")
    graph.add_conditional_edges("refund", after_refund, ["gate", END])
    return graph.compile(checkpointer=checkpointer)


def run(gantral, graph, thread):
    """Returns the grant under which the graph may go on, or the exit status with which to end."""
    if gantral.approved:
        return gantral.approved
    if settled(gantral, graph.get_state(thread).values):
        say("done by an earlier process, as a human found out")
        return 0
    if not graph.get_state(thread).interrupts:
        graph.invoke(gantral.context["input"] or USUAL_INPUT, thread)
    (pending,) = graph.get_state(thread).interrupts
    # The interrupt is on disk: whatever happens to this process now, the next one finds it.
    answer = gantral.ask(pending.value, trigger="PAYMENT", step="refund")
    if answer["answer"] == "REQUIRE_HUMAN":
        say(f"waiting for {', '.join(answer['roles'])}: {answer['url']}")
        return EXIT_WAITING
    if answer["answer"] == "DENY":
        say(f"denied: {'; '.join(answer['reasons'])}")
        return EXIT_DENIED
    if not answer["enforced"]:
        say(f"only observed: enforced it would be {answer['observed']['verdict']}")
    return {"grant_id": answer.get("grant_id"), "action": pending.value}


def settled(gantral, state):
    """Tells whether a process that died in the middle had done it, after all."""
    done = [o["grant_id"] for o in gantral.context["outcomes"] if o["status"] == "SUCCEEDED"]
    return state.get("granted", {}).get("grant_id") in done


def say(text):
    print(f"[pid {os.getpid()}] {text}", flush=True)


def main():
    gantral = Gantral.from_environment()
    DATA.mkdir(parents=True, exist_ok=True)
    # One instance is one thread of the graph, so a new process finds what the old one left.
    thread = {"configurable": {"thread_id": gantral.instance_id}}
    with SqliteSaver.from_conn_string(str(DATA / "checkpoints.sqlite")) as checkpointer:
        graph = build(gantral, checkpointer)
        granted = run(gantral, graph, thread)
        if isinstance(granted, int):
            return granted
        resume = {"grant_id": granted["grant_id"], "action": granted["action"]}
        result = graph.invoke(Command(resume=resume), thread)["result"]
    say(f"result: {json.dumps(result)}")
    if result["done"]:
        return 0
    return EXIT_WAITING if result["answer"] == "REQUIRE_HUMAN" else EXIT_DENIED


if __name__ == "__main__":
    sys.exit(main())
