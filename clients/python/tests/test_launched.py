"""Processes that the real runner launches: paused at a gate, gone, and gone on with in a new one."""

from __future__ import annotations

import base64
import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Agent, World

import gantral

Agents = Callable[..., Agent]
Ledger = Callable[[], list[dict[str, Any]]]


@pytest.mark.parametrize("kind", ["decorated", "asynchronous", "block"])
def test_process_is_gone_while_a_human_decides_and_a_new_one_does_what_was_approved(
    world: World, agent: Agents, ledger: Ledger, kind: str
) -> None:
    instance = agent("refunds.py", kind).create()
    gate = world.reach(instance, "WAITING_FOR_HUMAN")["gate"]
    assert gate["action"]["parameters"]["amount_minor"] == 480_000 and not ledger()
    world.override(gate["gate_id"], amount_minor=48_000)
    seen = world.reach(instance, "COMPLETED")
    assert (seen["attempt"], [outcome["status"] for outcome in seen["outcomes"]]) == (2, ["SUCCEEDED"])
    (done,) = ledger()
    assert (done["amount_minor"], done["currency"]) == (48_000, "EUR")
    if kind == "decorated":
        assert done["reason"] == "arrived broken"
    assert world.verdict(instance) == "VALID"


def test_agent_that_keeps_its_state_goes_on_behind_its_gate(
    world: World, agent: Agents, ledger: Ledger
) -> None:
    instance = agent("refunds.py", "state").create()
    world.approve(world.reach(instance, "WAITING_FOR_HUMAN")["gate"]["gate_id"])
    world.reach(instance, "COMPLETED")
    assert [entry["order"] for entry in ledger()] == ["order/1", "order/2"]


def test_agent_that_forgot_what_it_did_before_the_gate_is_stopped_before_it_does_it_again(
    world: World, agent: Agents, ledger: Ledger
) -> None:
    instance = agent("refunds.py", "forgetful").create()
    world.approve(world.reach(instance, "WAITING_FOR_HUMAN")["gate"]["gate_id"])
    with pytest.raises(AssertionError, match="TERMINATED"):
        world.reach(instance, "COMPLETED")
    assert [entry["order"] for entry in ledger()] == ["order/1"]
    assert "go on with `resume()`" in world.talk()


def test_exception_fails_the_execution_and_is_reported(
    world: World, agent: Agents
) -> None:
    instance = agent("refunds.py", "failing").create()
    seen = world.settle(instance)
    assert (seen["cause"], seen["outcomes"][0]["status"]) == ("failed", "FAILED")


def test_process_that_dies_in_the_middle_leaves_an_outcome_that_nobody_knows_and_nothing_runs_again(
    world: World, agent: Agents, ledger: Ledger
) -> None:
    instance = agent("refunds.py", "dying").create()
    seen = world.settle(instance)
    assert seen["outcomes"][0]["status"] == "UNKNOWN" and len(ledger()) == 1
    # Also when somebody has found out and has it go on: the process after it starts from the top, and is stopped there.
    world.found_out(instance, seen["outcomes"][0]["grant_id"], "SUCCEEDED")
    world.until(instance, lambda seen: bool(seen["state"] == "TERMINATED"))
    assert "an earlier process reported SUCCEEDED" in world.talk() and len(ledger()) == 1


def test_denied_action_ends_the_process_with_status_4(world: World, agent: Agents) -> None:
    instance = agent("refunds.py", "denied").create()
    assert world.settle(instance)["cause"] == "denied"


def test_one_grant_is_one_action(world: World, agent: Agents, ledger: Ledger) -> None:
    instance = agent("refunds.py", "selfish").create()
    world.settle(instance)
    assert len(ledger()) == 1


def environment(tmp_path: Path, **changes: str | None) -> dict[str, str]:
    """Returns variables as a runner sets them, but for changes."""
    instance = "903cb2e7-0000-4000-8000-000000000000"
    context = tmp_path / "context.json"
    document = {"instance_id": instance, "attempt": 1, "grant": None, "outcomes": [], "input": None}
    context.write_text(json.dumps(document))
    (tmp_path / "trust.json").write_text('{"format":"gantral/trust/v1","keys":[]}')
    variables: dict[str, str | None] = {
        "GANTRAL_INSTANCE_ID": instance,
        "GANTRAL_ATTEMPT": "1",
        "GANTRAL_URL": "http://127.0.0.1:9",
        "GANTRAL_CONTEXT": str(context),
        "GANTRAL_TOKEN_FILE": str(tmp_path / "token"),
        "GANTRAL_TRUST": str(tmp_path / "trust.json"),
        "GANTRAL_TENANT": "dev",
        "GANTRAL_WORKFLOW": "refund",
        "GANTRAL_JOURNAL": str(tmp_path / "journal.jsonl"),
        **changes,
    }
    return {name: value for name, value in variables.items() if value is not None}


@pytest.mark.parametrize(
    "changes",
    [
        {"GANTRAL_INSTANCE_ID": None},
        {"GANTRAL_ATTEMPT": "2"},
        {"GANTRAL_ATTEMPT": "one"},
        {"GANTRAL_URL": "http://gantral.example.org"},
        {"GANTRAL_CONTEXT": "/nowhere/context.json"},
        {"GANTRAL_GRANT": "5eef1300-0000-4000-8000-000000000000"},
        {"GANTRAL_TRUST": "/nowhere/trust.json"},
        {"GANTRAL_TRUST": None},
        {"GANTRAL_TENANT": None},
        {"GANTRAL_WORKFLOW": None},
        {"GANTRAL_JOURNAL": None},
        {"GANTRAL_TOKEN_FILE": None},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_environment_that_no_runner_made_is_refused(tmp_path: Path, changes: dict[str, str | None]) -> None:
    assert gantral.Gantral.from_environment(environment(tmp_path)).number == 1
    with pytest.raises(gantral.Unusable):
        gantral.Gantral.from_environment(environment(tmp_path, **changes))


def test_context_with_a_grant_of_another_action_than_was_approved_is_refused(tmp_path: Path) -> None:
    variables = environment(tmp_path, GANTRAL_GRANT="5eef1300-0000-4000-8000-000000000000")
    context = json.loads(Path(variables["GANTRAL_CONTEXT"]).read_text())
    context["grant"] = {
        "grant_id": variables["GANTRAL_GRANT"],
        "gate_id": "5eef1300-0000-4000-8000-000000000001",
        "action": {"name": "refund", "target": "order/1", "parameters": {"amount_minor": 1}},
        "action_commitment": "0" * 64,
        "action_salt": "0" * 64,
        "expires_at": "2030-01-01T00:00:00.000Z",
        "overridden": False,
    }
    Path(variables["GANTRAL_CONTEXT"]).write_text(json.dumps(context))
    with pytest.raises(gantral.Untrusted):
        gantral.Gantral.from_environment(variables)


def test_secret_is_given_once_the_grant_is_used_up_and_the_outcome_names_it(
    world: World, agent: Agents, ledger: Ledger
) -> None:
    instance = agent("refunds.py", "secretive", workflow="secretive").create()
    world.approve(world.reach(instance, "WAITING_FOR_HUMAN")["gate"]["gate_id"])
    world.reach(instance, "COMPLETED")
    said = {name: value for entry in ledger() for name, value in entry.items() if name != "pid"}
    assert said == {
        "before": "secret_without_grant",
        "within": "canary-5f1d8e0c-for-python",
        "other": "secret_not_for_this",
        "after": "secret_without_grant",
    }
    assert world.verdict(instance) == "VALID"
    (record,) = (world.folder / ".gantral-dev" / "runner" / "secrets.jsonl").read_text().splitlines()
    digest = hashlib.sha256(record.encode()).hexdigest()
    with tarfile.open(world.folder / f"{instance}.gantral") as bundle:
        files = [bundle.extractfile(name) for name in bundle.getnames() if name.startswith("artifacts/")]
        payloads = [base64.b64decode(json.load(file)["payload"]).decode() for file in files if file is not None]
    assert any(digest in payload and "secret-pay-key" in payload for payload in payloads)
    assert not any("canary" in payload for payload in payloads)


def test_secret_of_another_workflow_is_given_to_nobody(world: World, agent: Agents, ledger: Ledger) -> None:
    instance = agent("refunds.py", "secretive").create()
    world.approve(world.reach(instance, "WAITING_FOR_HUMAN")["gate"]["gate_id"])
    world.reach(instance, "COMPLETED")
    assert {value for entry in ledger() for name, value in entry.items() if name != "pid"} == {"secret_not_for_this"}
