"""Gantral taken away: an agent goes on as it would without it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from ._actions import Action, Grant
from ._core import AttemptCore
from ._errors import Unusable
from ._http import Server, Steps
from ._receipts import Receipts

log = logging.getLogger("gantral")

#: Whoever runs an agent takes Gantral away by this variable, and by nothing else: an agent that merely lost its configuration stops.
SWITCH = "GANTRAL"


def is_off(environ: Mapping[str, str]) -> bool:
    """Tells whether Gantral was taken away. Raises `Unusable` for any other word, and in a process that a runner launched."""
    word = environ.get(SWITCH, "")
    if word not in ("", "off"):
        raise Unusable(f"`{SWITCH}` is `off`, or not set")
    if word and environ.get("GANTRAL_INSTANCE_ID"):
        raise Unusable(f"`{SWITCH}=off` in a process that a runner launched: take the workflow from the runner instead")
    return bool(word)


class OffCore(AttemptCore):
    """An attempt of nothing: every action may be done, nobody is asked, and nothing is recorded anywhere."""

    def __init__(self) -> None:
        instance_id = str(uuid.uuid4())
        # A server that nothing is ever sent to.
        super().__init__(Server("http://127.0.0.1"), instance_id, 1, {}, Receipts(instance_id, None, None, None), None, None)
        log.warning("gantral is off (%s=off): nobody is asked, and nothing is recorded", SWITCH)

    def ask(self, action: Action, facts: Mapping[str, Any]) -> Steps[Grant]:
        """Returns what stands for a grant where nothing is enforced. An action that could not be asked for is still refused."""
        action.canonical()
        return Grant(None, action, enforced=False)
        yield

    def _post(
        self, path: tuple[str, ...], body: Any, key: str | None = None, believe: bool = True
    ) -> Steps[Mapping[str, Any]]:
        """Tells nobody what came of it, nor how it ended."""
        return {}
        yield
