"""The trace that a call is part of, as the header `traceparent` of W3C Trace Context says it.

OpenTelemetry is not needed: where the program has loaded it, its current span is told; where a runner or a shell has said in
`TRACEPARENT` what trace the process is in, that is. Nothing of a trace stops a call, whatever it is.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Union

#: The header itself, a function that returns it for each request, or `None`: the current span, or the environment.
Traceparent = Union[str, Callable[[], Union[str, None]], None]

_HEADER = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
VARIABLE = "TRACEPARENT"


def current(given: Traceparent) -> str | None:
    """Returns the header for a request that is sent now."""
    try:
        header = given() if callable(given) else given
        if header is None:
            header = _span() or os.environ.get(VARIABLE)
    except Exception:
        # Whoever traces badly acts all the same.
        return None
    return header if isinstance(header, str) and _HEADER.fullmatch(header) else None


def _span() -> str | None:
    """Returns the current span of OpenTelemetry. It is not imported for that: who has not loaded it has no span."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 1:02x}"
