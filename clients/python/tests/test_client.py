"""An agent that runs itself, against the real server: what it may do, and what it does when answers are lost."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from between import Between
from conftest import World

import gantral
from gantral import AsyncGantral, Attempt, Gantral

PARAMETERS = {"amount_minor": 100}
REFUND = {"name": "refund", "target": "order/1001", "parameters": PARAMETERS}
LARGE = {"name": "refund", "target": "order/1001", "parameters": {"amount_minor": 480_000}}
ABSURD = {"name": "refund", "target": "order/1001", "parameters": {"amount_minor": 99_000_000}}


def begin(client: Gantral) -> Attempt:
    created = client.create("refund", trigger="PAYMENT", input={"order": "1001"})
    return client.attach(created["instance"]["instance_id"])


def test_allowed_action_is_used_up_done_and_reported(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        assert attempt.context["input"] == {"order": "1001"}
        grant = attempt.ask(REFUND, trigger="PAYMENT", step="refund")
        # The declaration's default is filled in: what is granted is the whole action.
        assert grant.action.parameters == {"amount_minor": 100, "currency": "EUR"}
        attempt.consume(grant)
        attempt.outcome(grant, "SUCCEEDED", {"refund": "r-1"})
        attempt.complete()
        assert client.instance(attempt.instance_id)["state"] == "COMPLETED"
    assert world.verdict(attempt.instance_id) == "VALID"


@pytest.mark.parametrize("bad", [None, "https://me:hunter2@host/x", "https://host/x?sig=hunter2"])
def test_what_was_captured_is_sealed_with_its_address_and_a_bad_one_costs_no_outcome(world: World, bad: str | None) -> None:
    captured = {"name": "answer", "digest": "ab" * 32, "url": "s3://audit/calls/17"}
    with world.client() as client:
        attempt = begin(client)
        with attempt.gate("refund", "order/1001", PARAMETERS) as permit:
            more = [{**captured, "url": bad}] if bad else []
            permit.succeeded({"refund": "r-1"}, evidence=[captured, *more])
        attempt.complete()
        outcome = client.instance(attempt.instance_id)["outcomes"][0]
    assert outcome["status"] == "SUCCEEDED"
    assert outcome.get("evidence") == (None if bad else [captured])
    assert world.verdict(attempt.instance_id) == "VALID"


def test_human_changes_the_action_and_a_new_attempt_does_what_was_approved(world: World) -> None:
    with world.client() as client:
        first = begin(client)
        with pytest.raises(gantral.Waiting) as waiting:
            first.ask(LARGE)
        assert waiting.value.roles == ("FINANCE_LEAD", "RISK_OFFICER") or waiting.value.roles
        assert waiting.value.exit_status == 3 and waiting.value.gate_id in waiting.value.url
        assert client.wait(first.instance_id, timeout=0.1)["state"] == "WAITING_FOR_HUMAN"
        world.override(waiting.value.gate_id, amount_minor=48_000)
        assert client.wait(first.instance_id)["state"] == "OVERRIDDEN"
        second = client.attach(first.instance_id)
        block = second.resume()
        assert block is not None
        with block as permit:
            assert permit.action.parameters["amount_minor"] == 48_000
            assert permit.grant.overridden
            permit.succeeded({"refund": "r-2"}, cost=48_000)
        assert second.resume() is None
        second.complete()
        seen = client.instance(first.instance_id)
        assert (seen["state"], seen["outcomes"][0]["status"]) == ("COMPLETED", "SUCCEEDED")
    assert world.verdict(first.instance_id) == "VALID"


def test_denied_action_ends_the_execution(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        with pytest.raises(gantral.Denied) as denied:
            attempt.ask(ABSURD)
        assert denied.value.code == "denied" and "beyond" in str(denied.value)
        with pytest.raises(gantral.Refused) as refused:
            attempt.ask(REFUND)
        assert refused.value.code == "instance_ended"


def test_refusals_carry_the_code_of_the_api(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        with pytest.raises(gantral.Refused) as refused:
            attempt.ask({**REFUND, "parameters": {"amount_minor": 1, "colour": "red"}})
        assert (refused.value.status, refused.value.code) == (422, "action_undeclared")
        assert refused.value.remedy


def test_exception_in_the_block_is_reported_as_failed_and_says_only_its_kind(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        with pytest.raises(RuntimeError), attempt.gate(REFUND):
            raise RuntimeError("the password is hunter2")
        seen = client.instance(attempt.instance_id)
        assert seen["outcomes"][0]["status"] == "FAILED"
        evidence = world.folder / "failed.gantral"
        world.run("evidence", "export", attempt.instance_id, "--output", str(evidence))
        assert b"hunter2" not in evidence.read_bytes()


def test_interrupted_block_reports_nothing_since_nobody_knows(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        with pytest.raises(KeyboardInterrupt), attempt.gate(REFUND):
            raise KeyboardInterrupt
        assert client.instance(attempt.instance_id)["outcomes"][0].get("status") is None


def test_block_that_does_not_know_what_came_of_it_reports_nothing(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        with attempt.gate(REFUND) as permit:
            permit.unknown()
        assert client.instance(attempt.instance_id)["outcomes"][0].get("status") is None


def test_grant_is_used_up_once(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        grant = attempt.ask(REFUND)
        attempt.consume(grant)
        with pytest.raises(gantral.Unusable):
            attempt.consume(grant)


def test_numbers_are_exact_on_their_way(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        action = {**REFUND, "parameters": {"amount_minor": 100, "reason": "0.1 + 0.2"}}
        grant = attempt.ask(action, attributes={"score": Decimal("0.30000000000000000004"), "big": 2**60 + 1})
        assert grant.action.parameters["reason"] == "0.1 + 0.2"
        with pytest.raises(gantral.Unusable):
            attempt.ask(REFUND, attributes={"score": float("nan")})


def test_lost_answer_is_asked_for_with_the_same_key_and_nothing_happens_twice(world: World) -> None:
    with Between(world.url) as between, world.client(between.url) as client:
        between.lose = 1
        attempt = begin(client)
        between.lose = 1
        grant = attempt.ask(REFUND)
        between.lose = 1
        attempt.consume(grant)
        between.lose = 1
        attempt.outcome(grant, "SUCCEEDED")
        keys = [(path.rsplit("/", 1)[1], key) for path, key, _ in between.seen]
        for route in ("instances", "authority", "consume", "outcome"):
            sent = [key for last, key in keys if last == route]
            assert len(sent) == 2 and len(set(sent)) == 1, (route, sent)
        seen = client.instance(attempt.instance_id)
        assert len(seen["outcomes"]) == 1


def test_server_that_is_unavailable_is_tried_again_and_then_given_up(world: World) -> None:
    with Between(world.url) as between, world.client(between.url) as client:
        attempt = begin(client)
        between.unavailable = 2
        attempt.ask(REFUND)
        between.unavailable = 100
        with pytest.raises(gantral.Unreachable):
            attempt.ask(REFUND)


def test_nothing_is_done_where_nobody_listens(world: World) -> None:
    done = []
    client = Gantral("http://127.0.0.1:1", token="t", tries=1)
    with pytest.raises(gantral.Unreachable):
        client.create("refund")
    with world.client(tries=1) as reaching:
        with Between(world.url) as between, world.client(between.url, tries=1) as away:
            attempt = away.attach(begin(reaching).instance_id)
            between.unavailable = 1
            with pytest.raises(gantral.Unreachable), attempt.gate(REFUND):
                done.append(1)
    with pytest.raises(gantral.Unusable), attempt.gate(REFUND):
        done.append(2)
    assert not done


def test_done_and_not_reported_says_so_and_can_be_reported_late(world: World) -> None:
    with Between(world.url) as between, world.client(between.url, tries=1) as client:
        attempt = begin(client)
        with pytest.raises(gantral.Unreported) as unreported, attempt.gate(REFUND) as permit:
            permit.succeeded({"refund": "r-3"})
            between.unavailable = 1
        error = unreported.value
        assert client.instance(attempt.instance_id)["outcomes"][0].get("status") is None
        attempt.outcome(error.grant_id, error.status, error.result)
        assert client.instance(attempt.instance_id)["outcomes"][0]["status"] == "SUCCEEDED"
        # A report that is repeated, because its answer was lost, is the same write.
        attempt.outcome(error.grant_id, error.status, error.result)


def test_result_that_may_not_be_sealed_is_left_out_of_the_report(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        with attempt.gate(REFUND) as permit:
            permit.succeeded({"token": "ghp_" + "a1B2c3D4e5" * 4})
        assert client.instance(attempt.instance_id)["outcomes"][0]["status"] == "SUCCEEDED"


def test_token_file_is_read_for_each_call(world: World, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(world.agent_token.read_text())
    with Gantral(world.url, token=file) as client:
        client.create("refund")
        file.write_text("another\n")
        with pytest.raises(gantral.Refused) as refused:
            client.create("refund")
        assert refused.value.code == "token_rejected"
        file.write_text("")
        with pytest.raises(gantral.Unusable):
            client.create("refund")


def test_tokens_travel_to_this_machine_or_over_tls_only() -> None:
    for url in ("http://gantral.example.org", "ftp://127.0.0.1", "127.0.0.1:7420", "https://user:word@host", "http://[::1", "http://127.0.0.1:x"):
        with pytest.raises(gantral.Unusable):
            Gantral(url, token="t")


def test_receipts_are_in_the_journal_before_anything_is_done(world: World, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with world.client(journal=journal) as client:
        attempt = begin(client)
        with attempt.gate(REFUND):
            events = [json.loads(line)["event"] for line in journal.read_text().splitlines()]
            assert events[-2:] == ["allowed", "consumed"]
        assert journal.stat().st_mode & 0o777 == 0o600
        # A line that a crash cut off is ended, so that the next one is whole.
        with open(journal, "a") as file:
            file.write('{"cut')
        attempt.complete()
        assert json.loads(journal.read_text().splitlines()[-1])["event"] == "completed"
    bundle, trust = world.folder / "journal.gantral", world.folder / "journal.trust.json"
    world.run("evidence", "export", attempt.instance_id, "--output", str(bundle), "--trust-out", str(trust))
    # A verifier wants to know what was cut off; whoever keeps the journal takes it out.
    whole = tmp_path / "whole.jsonl"
    whole.write_text("".join(line for line in journal.read_text().splitlines(keepends=True) if line != '{"cut\n'))
    said = json.loads(world.run("verify", str(bundle), "--trust", str(trust), "--receipts", str(whole), "--json"))
    assert said["verdict"] == "VALID", said


def test_without_a_journal_that_can_be_written_nothing_is_done(world: World, tmp_path: Path) -> None:
    done = []
    journal = tmp_path / "journal.jsonl"
    with world.client(journal=journal) as client:
        attempt = begin(client)
        journal.unlink()
        journal.mkdir()
        with pytest.raises(gantral.JournalFailed), attempt.gate(REFUND):
            done.append(1)
    assert not done


def test_everything_works_on_an_event_loop(world: World) -> None:
    async def token() -> str:
        return world.agent_token.read_text().strip()

    async def go() -> None:
        async with AsyncGantral(world.url, token=token, trust=world.trust, tenant="dev") as client:
            created = await client.create("refund")
            first = await client.attach(created["instance"]["instance_id"])
            async with first.gate(REFUND) as permit:
                permit.succeeded("done")

            async def one(amount: int) -> str | None:
                async with first.gate("refund", f"order/{amount}", {"amount_minor": amount}) as permit:
                    return permit.grant_id

            # Answers that overtake each other are told apart by their places.
            grants = await asyncio.gather(*(one(amount) for amount in range(1, 6)))
            assert len(set(grants)) == 5
            with pytest.raises(gantral.Waiting) as waiting:
                await first.ask(LARGE)
            await asyncio.to_thread(world.approve, waiting.value.gate_id)
            assert (await client.wait(first.instance_id))["state"] == "APPROVED"
            second = await client.attach(first.instance_id)
            async with second.gate(LARGE) as permit:
                assert not permit.grant.overridden
            await second.complete()
            seen = await client.instance(first.instance_id)
            assert [outcome["status"] for outcome in seen["outcomes"]] == ["SUCCEEDED"] * 7

    asyncio.run(go())


def test_cancelled_task_reports_nothing_since_nobody_knows(world: World) -> None:
    async def go() -> str:
        async with AsyncGantral(world.url, token=world.agent_token, trust=world.trust, tenant="dev") as client:
            created = await client.create("refund")
            attempt = await client.attach(created["instance"]["instance_id"])
            inside = asyncio.Event()

            async def act() -> None:
                async with attempt.gate(REFUND):
                    inside.set()
                    await asyncio.sleep(60)

            task = asyncio.create_task(act())
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return attempt.instance_id

    assert world.instance(asyncio.run(go()))["outcomes"][0].get("status") is None


def test_withdrawn_gate_ends_the_execution(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        with pytest.raises(gantral.Waiting):
            attempt.ask(LARGE)
        client.withdraw(attempt.instance_id)
        assert client.wait(attempt.instance_id)["state"] == "TERMINATED"


def test_what_is_no_json_is_refused_before_anybody_is_asked(world: World) -> None:
    with world.client() as client:
        attempt = begin(client)
        wrong: list[Any] = [object(), {1: 2}, {"x": b"bytes"}, "\ud800"]
        for value in wrong:
            with pytest.raises(gantral.Unusable):
                attempt.ask({**REFUND, "parameters": {"reason": value}})
