"""Asking before acting: the client of Gantral for Python agents.

A process that a runner launched needs nothing but this:

    import gantral

    @gantral.governed(action="refund", target="order/{order}")
    def refund(order: str, amount_minor: int) -> dict:
        ...                                   # runs once, with what was approved

    gantral.run(lambda: refund("1001", amount_minor=480000))    # ends with status 3 while humans decide

An agent that runs itself uses `Gantral`, or `AsyncGantral`. Adapters for agent frameworks are modules of their own:
`gantral.langgraph`, `gantral.pydantic_ai`, `gantral.openai_agents`, `gantral.crewai`, `gantral.autogen`.
"""

from . import types
from ._actions import Action, Grant
from ._client import AsyncAttempt, AsyncGantral, Attempt, Gantral
from ._errors import (
    AlreadySettled,
    Denied,
    GantralError,
    GrantUnused,
    JournalFailed,
    Refused,
    SecretRefused,
    TooLate,
    Unreachable,
    Unreported,
    Untrusted,
    Unusable,
    Waiting,
)
from ._gate import Gate, Permit
from ._governed import attempt, gate, governed, resume, run, secret
from ._trust import Trust
from ._version import VERSION as __version__

__all__ = [
    "Action",
    "AlreadySettled",
    "AsyncAttempt",
    "AsyncGantral",
    "Attempt",
    "Denied",
    "Gantral",
    "GantralError",
    "Gate",
    "Grant",
    "GrantUnused",
    "JournalFailed",
    "Permit",
    "Refused",
    "SecretRefused",
    "TooLate",
    "Trust",
    "Unreachable",
    "Unreported",
    "Untrusted",
    "Unusable",
    "Waiting",
    "__version__",
    "attempt",
    "gate",
    "governed",
    "resume",
    "run",
    "secret",
    "types",
]
