"""How a call becomes an action, and what was approved the arguments of a call."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import gantral
from gantral import Action
from gantral._calls import ToolAction
from gantral._governed import Governed


def refund(order: str, amount_minor: int, currency: str = "EUR", reason: str | None = None) -> None:
    """Refunds an order."""


def anything(order: str, **more: Any) -> None:
    """Takes what it is given."""


def how(function: Callable[..., Any] = refund, target: Any = "order/{order}", parameters: Any = None) -> Governed:
    return Governed(function, "refund", target, parameters, {}, None, None)


def test_arguments_are_parameters_but_for_those_of_the_target_and_those_that_are_none() -> None:
    action, _ = how().action("1001", amount_minor=5)
    assert action == Action("refund", "order/1001", {"amount_minor": 5, "currency": "EUR"})
    action, _ = how(target=lambda order, **_: f"orders/{order}", parameters=["amount_minor"]).action("7", 5, reason="x")
    assert action == Action("refund", "orders/7", {"amount_minor": 5})
    action, _ = how(anything).action("7", colour="red")
    assert action == Action("refund", "order/7", {"colour": "red"})


def test_function_is_called_with_what_was_approved() -> None:
    governed = how()
    _, arguments = governed.action("1001", 480_000, reason="broken")
    changed = governed.approved(Action("refund", "order/1001", {"amount_minor": 1, "currency": "USD"}), arguments)
    # The reason was taken out, so the function does what it does without one.
    assert changed == {"order": "1001", "amount_minor": 1, "currency": "USD", "reason": None}


def test_arguments_that_were_approved_unchanged_are_left_as_they_are() -> None:
    governed = how()
    _, arguments = governed.action("1001", 0.1)
    kept = governed.approved(Action("refund", "order/1001", {"amount_minor": Decimal("0.1"), "currency": "EUR"}), arguments)
    assert isinstance(kept["amount_minor"], float)


def test_function_that_cannot_do_what_was_approved_is_not_called() -> None:
    governed = how()
    _, arguments = governed.action("1001", 5)
    for parameters in ({"amount_minor": 5, "currency": "EUR", "hold": True}, {"currency": "EUR"}):
        with pytest.raises(gantral.Unusable):
            governed.approved(Action("refund", "order/1001", parameters), arguments)
    more = how(anything)
    _, arguments = more.action("7", colour="red")
    assert more.approved(Action("refund", "order/7", {"hold": True}), arguments)["hold"] is True


def test_functions_whose_arguments_have_no_names_are_refused_when_they_are_made() -> None:
    with pytest.raises(TypeError):
        how(lambda *orders: None)
    with pytest.raises(TypeError):
        how(parameters=["colour"])


def test_calls_of_tools_become_actions_and_back() -> None:
    tool = ToolAction("account/{to}")
    asked = {"to": "bob", "amount": 5, "note": None}
    assert tool.of("transfer", asked) == Action("transfer", "account/bob", {"amount": 5})
    approved = Action("transfer", "account/bob", {"amount": 3, "currency": "EUR"})
    known = ["to", "amount", "note", "currency"]
    assert tool.arguments(asked, approved, known) == {"to": "bob", "note": None, "amount": 3, "currency": "EUR"}


def test_tool_that_cannot_do_what_was_approved_is_not_called() -> None:
    tool = ToolAction("account/{to}")
    asked = {"to": "bob", "amount": 5}
    with pytest.raises(gantral.Unusable, match="takes none of that name"):
        tool.arguments(asked, Action("transfer", "account/bob", {"amount": 5, "hold": True}), ["to", "amount"])
    with pytest.raises(gantral.Unusable, match="changed what the action acts on"):
        tool.arguments(asked, Action("transfer", "account/eve", {"amount": 5}), ["to", "amount"])
    with pytest.raises(gantral.Unusable, match="has not"):
        tool.of("transfer", {"amount": 5})


def test_action_is_completed_by_defaults_and_by_nothing_else() -> None:
    asked = Action("refund", "order/1", {"amount": 5})
    assert asked.is_completed_by(Action("refund", "order/1", {"amount": Decimal("5.0"), "currency": "EUR"}))
    others: list[Any] = [("refund", "order/2", {"amount": 5}), ("pay", "order/1", {"amount": 5}), ("refund", "order/1", {})]
    for name, target, parameters in [*others, ("refund", "order/1", {"amount": 6}), ("refund", "order/1", {"amount": True})]:
        assert not asked.is_completed_by(Action(name, target, parameters))
