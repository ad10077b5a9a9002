"""Gantral taken away: every agent goes on as before. Stopped but configured: nothing governed runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PARTS, SOURCES
from test_frameworks import FRAMEWORKS

import gantral

Ledger = Callable[[], list[dict[str, Any]]]
AGENTS = Path(__file__).parent / "agents"


def run(script: str, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs an agent as its owner would by hand, with nothing of Gantral in its environment."""
    python = PARTS / "crewai" / "bin" / "python" if script == "with_crewai.py" else Path(sys.executable)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GANTRAL")}
    words = [str(word) for word in (python, "-B", AGENTS / script, *arguments)]
    return subprocess.run(words, env={**clean, "PYTHONPATH": str(SOURCES), **more}, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("script", FRAMEWORKS)
def test_agent_of_a_framework_goes_on_where_gantral_was_taken_away(script: str, tmp_path: Path, ledger: Ledger) -> None:
    done = run(script, "100,480000", "-", tmp_path, GANTRAL="off")
    assert done.returncode == 0, done.stderr
    assert sorted(entry["amount_minor"] for entry in ledger()) == [100, 480_000]
    assert done.stderr.count("gantral is off") == 1, "it says so, once"


@pytest.mark.parametrize("script", FRAMEWORKS)
def test_agent_that_lost_its_configuration_stops(script: str, tmp_path: Path, ledger: Ledger) -> None:
    done = run(script, "100", "-", tmp_path)
    assert done.returncode == 1 and "GANTRAL_INSTANCE_ID" in done.stderr, done.stderr
    assert not ledger()


@pytest.mark.parametrize("kind", ["decorated", "asynchronous", "block"])
def test_governed_functions_and_blocks_are_what_they_are_without_it(kind: str, tmp_path: Path, ledger: Ledger) -> None:
    done = run("refunds.py", kind, tmp_path, GANTRAL="off")
    assert done.returncode == 0, done.stderr
    assert [entry["amount_minor"] for entry in ledger()] == [480_000]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"GANTRAL": "Off"}, "`off`, or not set"),
        ({"GANTRAL": "false"}, "`off`, or not set"),
        ({"GANTRAL": "off", "GANTRAL_INSTANCE_ID": "x"}, "that a runner launched"),
    ],
)
def test_it_is_taken_away_by_one_word_and_never_under_a_runner(environ: dict[str, str], said: str) -> None:
    with pytest.raises(gantral.Unusable, match=said):
        gantral.Gantral.from_environment(environ)


def test_error_of_the_agent_is_its_own() -> None:
    attempt = gantral.Gantral.from_environment({"GANTRAL": "off"})
    with pytest.raises(RuntimeError, match="the shop is closed"), attempt.gate("refund", "order/1", {"amount_minor": 1}):
        raise RuntimeError("the shop is closed")
    attempt.complete()
