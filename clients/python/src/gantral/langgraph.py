"""LangGraph: a node interrupts the graph with the action that it wants to do, and is resumed with the grant.

    def gate(state):
        return {"granted": authority(Action("refund", state["order"], {"amount_minor": state["amount_minor"]}))}

    def act(state):
        with permit(state["granted"]) as permitted:
            ...                                            # exactly `permitted.action`

    result = run(graph, {"order": "order/1001"})            # raises `Waiting`: end with status 3

The checkpointer of the graph keeps everything, by the execution. LangGraph runs an interrupted node again from its top, so whatever has
an effect comes in a node after the one that calls `authority`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.types import Command, Interrupt, interrupt

from ._actions import Action
from ._calls import gate_of, saved_grant, take
from ._client import AsyncAttempt, Attempt, _Attempt
from ._gate import Gate
from ._governed import attempt as of_process

__all__ = ["authority", "arun", "permit", "run"]

#: By this member an interrupt is known as ours.
MARK = "gantral_action"

Graph = Pregel[Any, Any, Any, Any]


def authority(action: Action | Mapping[str, Any], **facts: Any) -> dict[str, Any]:
    """Interrupts the graph until there is a grant, and returns it as the state of the graph can keep it.

    `facts` are `trigger`, `step`, `attributes` and `cost_estimate`.
    """
    asked = Action.of(action)
    asked.canonical()
    return cast("dict[str, Any]", interrupt({MARK: asked.to_json(), "facts": facts}))


def permit(granted: Mapping[str, Any], attempt: _Attempt | None = None, **facts: Any) -> Gate:
    """Returns the block around what was granted, for `with` and `async with`.

    Raises `AlreadySettled` in a process that starts over after the action was done.
    """
    return gate_of(attempt or of_process(), granted, facts)


def run(graph: Graph, input: Any, attempt: Attempt | None = None, config: RunnableConfig | None = None) -> Any:
    """Runs a graph, or goes on with it where an earlier process stopped, and returns its state.

    Raises `Waiting` where humans decide: the checkpoint is on disk by then, and the process ends with status 3.
    """
    within = attempt or of_process()
    thread = _thread(within, config)
    state = graph.get_state(thread)
    if not state.created_at:
        graph.invoke(input, thread)
    elif state.next and not _pending(state.interrupts):
        # An earlier process died between two nodes.
        graph.invoke(None, thread)
    while pending := _pending(graph.get_state(thread).interrupts):
        asked, facts = _asked(pending[0])
        grant = take(within, asked)
        if grant is None:
            grant = within.ask(asked, **facts)
        graph.invoke(Command(resume={pending[0].id: saved_grant(within, grant)}), thread)
    return graph.get_state(thread).values


async def arun(
    graph: Graph, input: Any, attempt: AsyncAttempt | Attempt | None = None, config: RunnableConfig | None = None
) -> Any:
    """`run` on an event loop."""
    within = attempt or of_process()
    thread = _thread(within, config)
    state = await graph.aget_state(thread)
    if not state.created_at:
        await graph.ainvoke(input, thread)
    elif state.next and not _pending(state.interrupts):
        await graph.ainvoke(None, thread)
    while pending := _pending((await graph.aget_state(thread)).interrupts):
        asked, facts = _asked(pending[0])
        grant = take(within, asked)
        if grant is None:
            grant = await within.arun(within._core.ask(asked, facts))
        await graph.ainvoke(Command(resume={pending[0].id: saved_grant(within, grant)}), thread)
    return (await graph.aget_state(thread)).values


def _thread(attempt: _Attempt, config: RunnableConfig | None) -> RunnableConfig:
    """One execution is one thread of the graph, so that a new process finds what the old one left."""
    given = cast("dict[str, Any]", config or {})
    configurable = {"thread_id": attempt.instance_id, **given.get("configurable", {})}
    return cast(RunnableConfig, {**given, "configurable": configurable})


def _pending(interrupts: tuple[Interrupt, ...]) -> list[Interrupt]:
    """Returns what waits for us, always in one order: several nodes may wait at once, and are asked for one by one.

    So what humans granted is always for the first.
    """
    ours = [one for one in interrupts if isinstance(one.value, Mapping) and MARK in one.value]
    return sorted(ours, key=lambda one: one.id)


def _asked(pending: Interrupt) -> tuple[Action, dict[str, Any]]:
    return Action.of(pending.value[MARK]), dict(pending.value.get("facts") or {})
