"""CrewAI: a step of a flow pauses it with the action that it wants to do, as it would for human feedback, and is answered by the grant.

    class Refunds(Flow[State]):
        @start()
        @authority(trigger="PAYMENT")
        def propose(self):
            return Action("refund", self.state.order, {"amount_minor": self.state.amount_minor})

        @listen(propose)
        def act(self):
            with permit(self.last_human_feedback) as permitted:
                ...                                        # exactly `permitted.action`

    result = run(Refunds, SQLiteFlowPersistence("flows.db"), {"order": "order/1001"})    # raises `Waiting`: end with status 3

The persistence of the flow keeps everything, by the execution. A flow that starts over does so from its top, so whatever has an effect comes in a step after one that
asks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from crewai.flow.async_feedback import HumanFeedbackPending, PendingFeedbackContext
from crewai.flow.flow import Flow
from crewai.flow.human_feedback import HumanFeedbackResult, human_feedback
from crewai.flow.persistence import FlowPersistence

from . import _json
from ._actions import Action
from ._calls import gate_of, saved_grant, take
from ._client import Attempt, _Attempt
from ._errors import AlreadySettled, Unusable
from ._gate import Gate
from ._governed import attempt as of_process

__all__ = ["authority", "permit", "run"]

F = TypeVar("F", bound=Callable[..., Any])
#: By this member of its metadata a pause is known as ours.
MARK = "gantral_facts"


class _Pause:
    """Pauses a flow; whoever runs it asks."""

    def request_feedback(self, context: PendingFeedbackContext, flow: Flow[Any]) -> str:
        raise HumanFeedbackPending(context=context)


def authority(**facts: Any) -> Callable[[F], F]:
    """Makes a step pause the flow with the action that it returns.

    Stands below `@start` or `@listen`. `facts` are `trigger`, `step`, `attributes` and `cost_estimate`.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def step(*args: Any, **kwargs: Any) -> str:
            # As text: the persistence of a flow would turn exact numbers into something else.
            return Action.of(function(*args, **kwargs)).canonical().decode()

        paused: F = human_feedback(message="Asks for authority.", metadata={MARK: facts}, provider=_Pause())(step)
        return paused

    return decorate


def permit(granted: HumanFeedbackResult | None, attempt: _Attempt | None = None, **facts: Any) -> Gate:
    """Returns the block around what was granted, for `with` and `async with`: `permit(self.last_human_feedback)`."""
    if granted is None:
        raise Unusable("the flow did not pause for authority")
    return gate_of(attempt or of_process(), _json.parse_document(granted.feedback.encode()), facts)


def run(
    flow: type[Flow[Any]],
    persistence: FlowPersistence,
    inputs: Mapping[str, Any] | None = None,
    *,
    attempt: Attempt | None = None,
    **more: Any,
) -> Any:
    """Runs a flow, or goes on with it where an earlier process stopped, and returns its result.

    `more` is for the flow itself. Raises `Waiting` where humans decide: the flow is on disk by then, and the process ends with status 3; and
    `AlreadySettled` after a process that died behind an action, because a flow does not know where it was.
    """
    within = attempt or of_process()
    flow_id = within.instance_id
    found = persistence.load_pending_feedback(flow_id)
    if found is None:
        for outcome in within.context.get("outcomes") or []:
            raise AlreadySettled(str(outcome.get("grant_id")), str(outcome.get("status") or "UNKNOWN"))
        result = flow(persistence=persistence, **more).kickoff(inputs={**(inputs or {}), "id": flow_id})
        found = persistence.load_pending_feedback(flow_id)
    while found is not None:
        asked, facts = _asked(found[1])
        grant = take(within, asked)
        if grant is None:
            grant = within.ask(asked, **facts)
        answer = _json.canonical(saved_grant(within, grant)).decode()
        result = flow.from_pending(flow_id, persistence, **more).resume(answer)
        found = persistence.load_pending_feedback(flow_id)
    return result


def _asked(pending: PendingFeedbackContext) -> tuple[Action, dict[str, Any]]:
    facts = pending.metadata.get(MARK)
    if not isinstance(facts, dict):
        raise Unusable(f"the flow waits for feedback on `{pending.method_name}`, which is not for Gantral")
    return Action.of(_json.parse_document(str(pending.method_output).encode())), facts
