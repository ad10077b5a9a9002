"""A development server of the real binary, a runner beside it, and a man in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gantral import Gantral, Trust

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCES = REPOSITORY / "clients" / "python" / "src"
PARTS = Path(os.environ.get("GANTRAL_PARTS", REPOSITORY / ".parts"))
PATIENCE_S = 60.0
WORKFLOW = """
policy = "{policy}"
id = "{id}"
version = "1"
team = "payments"
materiality = "MEDIUM"
domain = "finance"
justification_min = 3
{run}
[actions.refund.parameters]
amount_minor = {{ type = "integer" }}
currency = {{ type = "string", default = "EUR" }}
reason = {{ type = "string", required = false, policy = false }}
[floors]
default_approvers = ["RISK_OFFICER"]
least_roles = ["RISK_OFFICER"]
required_evidence = "development"
timeout = "1h"
"""


def binary() -> str:
    """Returns the program, which whoever runs the tests names."""
    found = os.environ.get("GANTRAL_BIN")
    assert found, "set GANTRAL_BIN to the `gantral` binary that is to be tested"
    return str(Path(found).resolve())


class World:
    """A development server in a folder of its own, and a runner if a test wants one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen[str]] = []
        self._http = httpx.Client(trust_env=False, timeout=PATIENCE_S)
        with open(folder / "server.log", "w") as log:
            server = subprocess.Popen(
                [binary(), "dev", "--json", "--listen", "127.0.0.1:0"],
                cwd=folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._processes.append(server)
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line, (folder / "server.log").read_text()
        self.url: str = json.loads(line)["url"]
        self.trust = folder / ".gantral-dev" / "trust.json"
        self.agent_token = folder / ".gantral-dev" / "tokens" / "refund-agent.token"

    @staticmethod
    def environment(**more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **more}

    def run(self, *arguments: str, status: int = 0) -> str:
        ran = subprocess.run(
            [binary(), *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert ran.returncode == status, f"{arguments}: {ran.stdout}{ran.stderr}"
        return ran.stdout.strip()

    def apply(self, name: str, command: list[str] | None = None) -> None:
        """Applies a workflow under the policy of the examples: up to 5,000 is allowed, above 10,000,000 denied."""
        run = ""
        if command is not None:
            run = f'[run]\nqueue = "default"\nlease = "20s"\ncommand = {json.dumps(command)}'
        text = WORKFLOW.format(policy=REPOSITORY / "policies" / "refunds", id=name, run=run)
        (self.folder / f"{name}.toml").write_text(text)
        self.run("workflows", "apply", f"{name}.toml")

    def start_runner(self) -> None:
        """Starts a runner. Its processes are told everything by their command lines, and one workflow is given a secret."""
        (self.folder / "pay.key").write_text("canary-5f1d8e0c-for-python\n")
        secret = f"from = 'file:{self.folder / 'pay.key'}'\nworkflows = ['secretive']\nactions = ['refund']\n"
        (self.folder / "runner.toml").write_text(f"[queues.default]\n[secrets.pay-key]\n{secret}")
        with open(self.folder / "runner.log", "a") as log:
            runner = subprocess.Popen(
                [binary(), "runner", "--config", "runner.toml", "--json"],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                text=True,
            )
        self._processes.append(runner)

    def create(self, workflow: str) -> str:
        return self.run("instances", "create", workflow)

    def instance(self, instance_id: str) -> dict[str, Any]:
        """Shows an execution, by the API: looking is done often, and a process for each look would be most of the work."""
        token = self.agent_token.read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        answer = self._http.get(f"{self.url}/v1/instances/{instance_id}", headers=headers)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def until(self, instance_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Waits until something holds of an execution, and returns it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            seen = self.instance(instance_id)
            if holds(seen):
                return seen
            over = time.monotonic() > deadline or seen["state"] in ("COMPLETED", "TERMINATED")
            assert not over, f"{seen['state']} ({seen.get('cause')})\n{self.talk()}"
            time.sleep(0.05)

    def reach(self, instance_id: str, state: str) -> dict[str, Any]:
        return self.until(instance_id, lambda seen: bool(seen["state"] == state))

    def settle(self, instance_id: str) -> dict[str, Any]:
        """Waits until an execution has ended without success, or nobody knows what came of its action."""

        def settled(seen: dict[str, Any]) -> bool:
            unknown = any(outcome.get("status") == "UNKNOWN" for outcome in seen["outcomes"])
            return seen["state"] == "TERMINATED" or unknown

        return self.until(instance_id, settled)

    def found_out(self, instance_id: str, grant_id: str, status: str) -> None:
        """Settles, as an administrator, what nobody knew, and has the execution go on."""
        words = ["--status", status, "--next", "continue", "--reason", "the shop was asked"]
        self.run("instances", "reconcile", instance_id, grant_id, *words)

    def talk(self) -> str:
        """Returns what runner and launched processes said."""
        logs = sorted(self.folder.rglob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text()[-4000:]}" for log in logs if log.name != "server.log")

    def approve(self, gate_id: str) -> None:
        self.run("approvals", "approve", gate_id, "--reason", "as it should be")

    def override(self, gate_id: str, **changes: object) -> None:
        words = [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
        self.run("approvals", "override", gate_id, *words, "--reason", "less of it")

    def verdict(self, instance_id: str) -> str:
        """Exports the evidence, and returns what the verifier says of it."""
        trust, bundle = f"{instance_id}.trust.json", f"{instance_id}.gantral"
        self.run("evidence", "export", instance_id, "--output", bundle, "--trust-out", trust)
        said = json.loads(self.run("verify", bundle, "--trust", trust, "--json"))
        return str(said["verdict"])

    def client(self, url: str | None = None, trust: Path | Trust | None = None, **more: Any) -> Gantral:
        """Returns a client with the token of the development agent, which believes the server's key and no other."""
        return Gantral(url or self.url, token=self.agent_token, trust=trust or self.trust, tenant="dev", **more)

    def stop(self) -> None:
        self._http.close()
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("world"))
    world.apply("refund")
    world.start_runner()
    yield world
    world.stop()


@pytest.fixture
def ledger(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    """Returns what was done: the lines of a file to which the agents of the tests append."""

    def read() -> list[dict[str, Any]]:
        file = tmp_path / "ledger.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    return read


class Agent:
    """A workflow whose processes are a script of the tests, given what to do and where to write."""

    def __init__(self, world: World, script: str, *arguments: object, workflow: str | None = None) -> None:
        self.world, self.workflow = world, workflow or f"agent-{uuid.uuid4().hex[:12]}"
        path = Path(__file__).parent / "agents" / script
        # CrewAI agrees with no other framework on versions, and has an environment of its own.
        python = PARTS / "crewai" / "bin" / "python" if script == "with_crewai.py" else sys.executable
        words = ["env", f"PYTHONPATH={SOURCES}", python, "-B", path, *arguments]
        world.apply(self.workflow, [str(word) for word in words])

    def create(self) -> str:
        return self.world.create(self.workflow)


@pytest.fixture
def agent(world: World, tmp_path: Path) -> Callable[..., Agent]:
    return lambda script, *arguments, **more: Agent(world, script, *arguments, tmp_path, **more)
