"""Where policy is only observed: agents go on, and yet believe nothing that was not signed for what they asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from between import Between
from conftest import World

import gantral
from gantral import Attempt

LARGE = {"name": "refund", "target": "order/1001", "parameters": {"amount_minor": 480_000}}
OTHER = {"name": "refund", "target": "order/1002", "parameters": {"amount_minor": 480_000}}


@pytest.fixture(scope="module")
def workflow(world: World) -> Iterator[str]:
    world.apply("observed")
    world.run("enforce", "disable", "--workflow", "observed", "--reason", "looking first")
    yield "observed"


def begin(world: World, workflow: str, url: str | None = None) -> Attempt:
    client = world.client(url, tries=1)
    return client.attach(client.create(workflow)["instance"]["instance_id"])


def test_what_would_have_waited_goes_on_and_says_so(world: World, workflow: str) -> None:
    attempt = begin(world, workflow)
    with attempt.gate(LARGE) as permit:
        assert (permit.enforced, permit.grant_id) == (False, None)
        assert permit.grant.observed is not None and permit.grant.observed["verdict"] == "REQUIRE_HUMAN"
        permit.succeeded({"refund": "r-1"})
    attempt.complete()
    assert world.instance(attempt.instance_id)["state"] == "COMPLETED"


def test_answer_about_one_observed_action_does_not_let_another_start(world: World, workflow: str) -> None:
    done = []
    with Between(world.url) as between:
        attempt = begin(world, workflow, between.url)
        between.swap = lambda path, body: body.replace(b"order/1001", b"order/1002") if path.endswith("authority") else body
        with pytest.raises(gantral.Untrusted, match="another action"), attempt.gate(LARGE):
            done.append(1)
        with attempt.gate(OTHER):
            done.append(2)
    assert done == [2]


def test_old_answer_does_not_let_an_action_start_again(world: World, workflow: str) -> None:
    kept: dict[str, Any] = {}
    done = []
    with Between(world.url) as between:
        attempt = begin(world, workflow, between.url)
        between.change = lambda path, status, answer: (
            status,
            kept.setdefault("answer", answer) if path.endswith("authority") else answer,
        )
        with attempt.gate(LARGE):
            done.append(1)
        with pytest.raises(gantral.Untrusted, match="before the question"), attempt.gate(LARGE):
            done.append(2)
    assert done == [1]
