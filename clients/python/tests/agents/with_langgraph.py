"""LangGraph without a model: refunds that wait side by side, or one after the other."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from models import DATA, act, orders

import gantral
from gantral.langgraph import authority, permit, run


class State(TypedDict, total=False):
    order: str
    amount_minor: int
    granted: dict[str, Any]
    results: Annotated[list[str], operator.add]


def gate(state: State) -> State:
    action = gantral.Action("refund", f"order/{state['order']}", {"amount_minor": state["amount_minor"]})
    return {"granted": authority(action, trigger="PAYMENT")}


def refund(state: State) -> State:
    try:
        with permit(state["granted"]) as permitted:
            parameters = permitted.action.parameters
            order = permitted.action.target.removeprefix("order/")
            result = act(order, parameters["amount_minor"], parameters.get("currency", "EUR"))
            permitted.succeeded(result)
    except gantral.AlreadySettled as settled:
        result = f"an earlier process reported {settled.status}"
    return {"results": [result]}


def one() -> Any:
    """The graph of one refund: what has an effect comes after the gate."""
    graph = StateGraph(State)
    graph.add_node("gate", gate)
    graph.add_node("refund", refund)
    graph.add_edge(START, "gate")
    graph.add_edge("gate", "refund")
    graph.add_edge("refund", END)
    return graph.compile()


def all_of_them() -> StateGraph[Any, Any, Any, Any]:
    """All refunds side by side, each a graph of its own."""
    branch = one()
    graph = StateGraph(State)
    graph.add_node("one", lambda state: {"results": branch.invoke(state)["results"]})
    sends = [Send("one", {"order": order, "amount_minor": amount}) for order, amount in orders()]
    graph.add_conditional_edges(START, lambda state: sends, ["one"])
    graph.add_edge("one", END)
    return graph


def main() -> None:
    with SqliteSaver.from_conn_string(str(DATA / "checkpoints.sqlite")) as checkpointer:
        state = run(all_of_them().compile(checkpointer=checkpointer), {"results": []})
    (DATA / "result").write_text("; ".join(state["results"]))


gantral.run(main)
