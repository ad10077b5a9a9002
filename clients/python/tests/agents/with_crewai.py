"""A CrewAI flow without a model: refunds one after the other."""

from __future__ import annotations

import os

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OTEL_SDK_DISABLED="true", CREWAI_TRACING_ENABLED="false")

from crewai.flow.flow import Flow, listen, router, start
from crewai.flow.persistence.sqlite import SQLiteFlowPersistence
from models import DATA, act, orders
from pydantic import BaseModel

import gantral
from gantral.crewai import authority, permit, run


class State(BaseModel):
    id: str = ""
    results: list[str] = []


class Refunds(Flow[State]):
    # A flow without memory: the store of that alone weighs more than everything else.
    _skip_auto_memory = True

    @start("again")
    @authority(trigger="PAYMENT")
    def propose(self) -> gantral.Action:
        order, amount = orders()[len(self.state.results)]
        return gantral.Action("refund", f"order/{order}", {"amount_minor": amount})

    @router(propose)
    def refund(self) -> str:
        with permit(self.last_human_feedback) as permitted:
            parameters = permitted.action.parameters
            order = permitted.action.target.removeprefix("order/")
            result = act(order, parameters["amount_minor"], parameters.get("currency", "EUR"))
            permitted.succeeded(result)
        self.state.results.append(result)
        return "again" if len(self.state.results) < len(orders()) else "finished"

    @listen("finished")
    def finish(self) -> str:
        return "; ".join(self.state.results)


def main() -> None:
    result = run(Refunds, SQLiteFlowPersistence(str(DATA / "flows.db")), suppress_flow_events=True)
    (DATA / "result").write_text(str(result))


gantral.run(main)
