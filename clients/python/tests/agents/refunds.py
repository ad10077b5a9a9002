"""An agent of the tests that does several things in one execution, as an agent's own code would."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import gantral

KIND, DATA = sys.argv[1], Path(sys.argv[2])


def write(entry: dict[str, Any]) -> None:
    with open(DATA / "ledger.jsonl", "a") as file:
        file.write(json.dumps({"pid": os.getpid(), **entry}) + "\n")


@gantral.governed(action="refund", target="order/{order}", trigger="PAYMENT", step="refund")
def refund(order: str, amount_minor: int, currency: str = "EUR", reason: str | None = None) -> dict[str, Any]:
    write({"order": order, "amount_minor": amount_minor, "currency": currency, "reason": reason})
    return {"refund": f"r-{order}"}


@gantral.governed(action="refund", target=lambda order, **_: f"order/{order}", parameters=["amount_minor", "currency"])
async def refund_async(order: str, amount_minor: int, currency: str) -> None:
    write({"order": order, "amount_minor": amount_minor, "currency": currency})


def decorated() -> None:
    print(refund("1001", amount_minor=480_000, reason="arrived broken"))


def asynchronous() -> None:
    import asyncio

    asyncio.run(refund_async("1001", 480_000, "EUR"))


def told(name: str) -> str:
    """Returns a secret, or why there is none."""
    try:
        return gantral.secret(name)
    except gantral.SecretRefused as refused:
        return refused.code


@gantral.governed(action="refund", target="order/{order}", step="refund")
def refund_with_key(order: str, amount_minor: int, currency: str = "EUR", reason: str | None = None) -> None:
    write({"within": told("pay-key"), "other": told("other-key")})


def secretive() -> None:
    write({"before": told("pay-key")})
    refund_with_key("1001", amount_minor=480_000)
    write({"after": told("pay-key")})


def block() -> None:
    with gantral.gate("refund", "order/1001", {"amount_minor": 480_000}) as permit:
        write({"grant_id": permit.grant_id, **permit.action.parameters})


def state() -> None:
    """Keeps its own state, by the execution; goes on with `resume` rather than from the top."""
    attempt = gantral.attempt()
    saved = DATA / f"{attempt.instance_id}.json"
    waiting = gantral.resume()
    if waiting is None:
        with gantral.gate("refund", "order/1", {"amount_minor": 100}):
            write({"order": "order/1"})
        try:
            with gantral.gate("refund", "order/2", {"amount_minor": 480_000}):
                write({"order": "order/2"})
        except gantral.Waiting:
            saved.write_text(json.dumps({"done": ["order/1"]}))
            sys.exit(3)
    else:
        assert json.loads(saved.read_text()) == {"done": ["order/1"]}
        with waiting as permit:
            write({"order": permit.action.target})


def forgetful() -> None:
    """Starts from its top after the gate, where what was done before comes first."""
    for order in ("order/1", "order/2"):
        with gantral.gate("refund", order, {"amount_minor": 100 if order == "order/1" else 480_000}):
            write({"order": order})


def failing() -> None:
    with gantral.gate("refund", "order/1001", {"amount_minor": 100}):
        raise RuntimeError("the shop is closed")


def dying() -> None:
    with gantral.gate("refund", "order/1001", {"amount_minor": 100}):
        write({"order": "order/1001"})
        os._exit(1)


def denied() -> None:
    refund("1001", amount_minor=99_000_000)


def selfish() -> None:
    """Looks for the way around: a second time under one grant."""
    grant = gantral.attempt().ask({"name": "refund", "target": "order/1", "parameters": {"amount_minor": 100}})
    gantral.attempt().consume(grant)
    write({"order": "order/1"})
    gantral.attempt().outcome(grant, "SUCCEEDED")
    with gantral.attempt().under(grant):
        write({"order": "order/1"})


if __name__ == "__main__":
    gantral.run(globals()[KIND])
