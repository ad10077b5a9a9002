"""Agent frameworks, through the real runner and without a model: paused, gone, resumed in a new process, done once as approved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Agent, World

GOES_ON = ["with_pydantic_ai.py", "with_openai_agents.py", "with_langgraph.py", "with_autogen.py"]
#: A flow of CrewAI does not know where it was when its process died, so it ends there rather than going on.
FRAMEWORKS = [*GOES_ON, "with_crewai.py"]
Agents = Callable[..., Agent]
Ledger = Callable[[], list[dict[str, Any]]]
each = pytest.mark.parametrize("script", FRAMEWORKS)


@pytest.mark.parametrize("script", GOES_ON)
def test_new_process_does_what_a_human_made_of_it(
    world: World, agent: Agents, ledger: Ledger, tmp_path: Path, script: str
) -> None:
    instance = agent(script, "480000", "-").create()
    gate = world.reach(instance, "WAITING_FOR_HUMAN")["gate"]
    assert gate["action"]["target"] == "order/1001" and not ledger()
    world.override(gate["gate_id"], amount_minor=48_000)
    seen = world.reach(instance, "COMPLETED")
    assert (seen["attempt"], seen["outcomes"][0]["status"]) == (2, "SUCCEEDED")
    (done,) = ledger()
    assert (done["order"], done["amount_minor"], done["currency"]) == ("1001", 48_000, "EUR")
    assert (tmp_path / "result").read_text() == "refunded 48000 for 1001"
    assert world.verdict(instance) == "VALID"


@pytest.mark.parametrize(
    ("script", "amounts"), [*((script, "100,480000,490000,200") for script in GOES_ON), ("with_crewai.py", "100,480000,200")]
)
def test_several_refunds_of_one_turn_are_each_done_once(
    world: World, agent: Agents, ledger: Ledger, script: str, amounts: str
) -> None:
    instance = agent(script, amounts, "-").create()
    for _ in range(amounts.count("0000")):
        gate = world.reach(instance, "WAITING_FOR_HUMAN")["gate"]
        world.approve(gate["gate_id"])
        moved_on(world, instance, gate["gate_id"])
    world.reach(instance, "COMPLETED")
    # What policy allows beside them is done without anybody, and no less once.
    assert sorted(entry["amount_minor"] for entry in ledger()) == sorted(int(amount) for amount in amounts.split(","))
    assert world.verdict(instance) == "VALID"


@each
def test_process_that_dies_in_the_middle_does_not_do_it_again(
    world: World, agent: Agents, ledger: Ledger, tmp_path: Path, script: str
) -> None:
    instance = agent(script, "100", "after").create()
    seen = world.settle(instance)
    assert seen["outcomes"][0]["status"] == "UNKNOWN" and len(ledger()) == 1
    # Somebody finds out that it was done, and has the agent go on.
    world.found_out(instance, seen["outcomes"][0]["grant_id"], "SUCCEEDED")
    if script in GOES_ON:
        world.reach(instance, "COMPLETED")
        assert "SUCCEEDED" in (tmp_path / "result").read_text()
    else:
        world.until(instance, lambda seen: bool(seen["state"] == "TERMINATED"))
        assert "an earlier process reported SUCCEEDED" in world.talk()
    assert len(ledger()) == 1


@pytest.mark.parametrize("script", ["with_pydantic_ai.py", "with_autogen.py"])
def test_process_that_dies_before_it_acts_is_told_what_a_human_found_out(
    world: World, agent: Agents, ledger: Ledger, tmp_path: Path, script: str
) -> None:
    instance = agent(script, "100", "before").create()
    seen = world.settle(instance)
    world.found_out(instance, seen["outcomes"][0]["grant_id"], "FAILED")
    world.reach(instance, "COMPLETED")
    assert not ledger() and "FAILED" in (tmp_path / "result").read_text()


@pytest.mark.parametrize("script", ["with_pydantic_ai.py", "with_autogen.py"])
def test_denied_action_ends_the_process(world: World, agent: Agents, ledger: Ledger, script: str) -> None:
    instance = agent(script, "99000000", "-").create()
    assert world.settle(instance)["cause"] == "denied"
    assert not ledger()


def moved_on(world: World, instance: str, gate: str) -> dict[str, Any]:
    """Waits until an execution is at another gate, or has ended."""
    return world.until(instance, lambda seen: seen["state"] == "COMPLETED" or at_another(seen, gate))


def at_another(seen: dict[str, Any], gate: str) -> bool:
    return bool(seen["state"] == "WAITING_FOR_HUMAN" and seen["gate"]["gate_id"] != gate)
