"""What the agents of the tests share: what they do, when they die, and what a model would have said."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

#: What to do: the amounts of the refunds that a model asks for in one turn, such as `480000` or `100,480000,100`.
AMOUNTS = [int(word) for word in sys.argv[1].split(",")]
#: Where to die, once: `before` or `after` the action, or nowhere.
DIES, DATA = sys.argv[2], Path(sys.argv[3])


def act(order: str, amount_minor: int, currency: str) -> str:
    """Refunds: a line of a ledger."""
    if DIES == "before":
        once()
    entry: dict[str, Any] = {"pid": os.getpid(), "order": order, "amount_minor": amount_minor, "currency": currency}
    with open(DATA / "ledger.jsonl", "a") as file:
        file.write(json.dumps(entry) + "\n")
    if DIES == "after":
        once()
    return f"refunded {amount_minor} for {order}"


def once() -> None:
    """Ends the process as a crash would, the first time."""
    mark = DATA / "died"
    if not mark.exists():
        mark.touch()
        os._exit(9)


def orders() -> list[tuple[str, int]]:
    return [(str(1001 + index), amount) for index, amount in enumerate(AMOUNTS)]
