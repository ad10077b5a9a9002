"""The trace that calls are part of, as a server is told it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from between import Between
from conftest import World
from gantral._tracing import current
from opentelemetry import trace

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LAUNCHED = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


def span(sampled: bool) -> trace.Span:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if sampled else trace.TraceFlags.DEFAULT)
    return trace.NonRecordingSpan(trace.SpanContext(trace_id=0xAB, span_id=0xCD, is_remote=False, trace_flags=flags))


def test_call_is_part_of_the_trace_of_its_caller(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", LAUNCHED)
    with Between(world.url) as between:
        with world.client(between.url) as client:
            client.create("refund")
            with trace.use_span(span(True)):
                client.create("refund")
        with world.client(between.url, traceparent=GIVEN) as client, trace.use_span(span(True)):
            client.create("refund")
    assert between.traces == [LAUNCHED, "00-" + "ab".rjust(32, "0") + "-" + "cd".rjust(16, "0") + "-01", GIVEN]


def test_what_is_no_trace_costs_no_call_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACEPARENT", raising=False)

    def broken() -> str:
        raise RuntimeError("no exporter")

    assert current(None) is None
    for wrong in ("", "00-1-2-01", f"{GIVEN}\r\nx: y", GIVEN.upper()):
        assert current(wrong) is None
    assert current(broken) is None
    assert current(lambda: GIVEN) == GIVEN
    with trace.use_span(span(False)):
        assert current(None) == "00-" + "ab".rjust(32, "0") + "-" + "cd".rjust(16, "0") + "-00"


def test_opentelemetry_is_not_loaded_for_it() -> None:
    program = "import sys, gantral; sys.exit('opentelemetry.trace' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
