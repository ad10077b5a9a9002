"""A CrewAI flow that asks before it refunds.

The step that proposes pauses the flow, as it would for human feedback, and the flow is on disk before anybody is asked. If a human must decide, this
process ends with status 3; a runner starts a new one, which goes on with the flow and acts on what was approved. The model is left out: `propose` is
where it would think.
"""

import json
import os
from pathlib import Path

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OTEL_SDK_DISABLED="true", CREWAI_TRACING_ENABLED="false")

from crewai.flow.flow import Flow, listen, start
from crewai.flow.persistence.sqlite import SQLiteFlowPersistence
from pydantic import BaseModel

import gantral
from gantral.crewai import authority, permit, run

DATA = Path(os.environ.get("EXAMPLE_DATA", Path(__file__).parent / "data"))


class Refund(BaseModel):
    id: str = ""
    order: str = "order/1001"
    amount_minor: int = 480000
    reason: str = "arrived broken"


class Refunds(Flow[Refund]):
    # A flow without memory: the store of that alone weighs more than everything else here.
    _skip_auto_memory = True

    @start()
    @authority(trigger="PAYMENT", step="refund")
    def propose(self) -> gantral.Action:
        parameters = {"amount_minor": self.state.amount_minor, "currency": "EUR", "reason": self.state.reason}
        return gantral.Action("refund", self.state.order, parameters)

    @listen(propose)
    def refund(self) -> str:
        with permit(self.last_human_feedback) as permitted:
            # As approved, not as proposed: a human may have changed it.
            entry = {"grant_id": permitted.grant_id, "pid": os.getpid(), "action": permitted.action.to_json()}
            with open(DATA / "ledger.jsonl", "a", encoding="utf-8") as ledger:
                ledger.write(json.dumps(entry) + "\n")
            permitted.succeeded({"ledger": "ledger.jsonl"})
        return json.dumps(entry)


def main() -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    result = run(Refunds, SQLiteFlowPersistence(str(DATA / "flows.sqlite")), suppress_flow_events=True)
    print(f"[pid {os.getpid()}] result: {result}", flush=True)


if __name__ == "__main__":
    gantral.run(main)
