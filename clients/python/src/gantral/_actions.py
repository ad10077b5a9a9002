"""Actions, and permissions to do one of them once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import _json
from ._errors import Unusable, Untrusted
from ._evidence import HEX64, UUID4, action_commitment


@dataclass(frozen=True)
class Action:
    """One action, complete: what an approver sees, what policy evaluates, and what may be done.

    Numbers are exact: whole ones are `int`, others `Decimal`. A `float` stands for the decimal that Python prints.
    """

    name: str
    target: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns the action as the API has it."""
        return {"name": self.name, "parameters": dict(self.parameters), "target": self.target}

    @classmethod
    def of(cls, value: Action | Mapping[str, Any]) -> Action:
        """Returns an action from what the API or an agent has. Raises `Unusable`."""
        if isinstance(value, Action):
            return value
        if not isinstance(value, Mapping) or not {"name", "target"} <= value.keys() <= {"name", "target", "parameters"}:
            raise Unusable("an action has `name`, `target` and `parameters`, and nothing else")
        parameters = value.get("parameters", {})
        if not isinstance(value["name"], str) or not isinstance(value["target"], str):
            raise Unusable("`name` and `target` of an action are text")
        if not isinstance(parameters, Mapping):
            raise Unusable("`parameters` of an action is an object")
        return cls(value["name"], value["target"], dict(parameters))

    def canonical(self) -> bytes:
        """Returns its one spelling (`spec/commitments.md` C7). Raises `Unusable` for what is not JSON."""
        try:
            return _json.canonical(self.to_json())
        except _json.JsonRefused as refused:
            raise Unusable(f"an action that cannot be written: {refused}") from None

    def is_completed_by(self, other: Action) -> bool:
        """Tells whether the other is this one with defaults of its declaration filled in."""
        if (self.name, self.target) != (other.name, other.target) or not self.parameters.keys() <= other.parameters.keys():
            return False
        same = Action(other.name, other.target, {name: other.parameters[name] for name in self.parameters})
        return self.canonical() == same.canonical()


@dataclass(frozen=True)
class Grant:
    """A permission to do one action once. Only what a server answered, and a pinned key signed, makes one.

    Where policy is only observed there is no permission to use up: `enforced` is false, and `id` is None.
    """

    #: Use it as idempotency key of whatever you call: it stands for one action, once.
    id: str | None
    #: The action *as approved*: a human may have changed it.
    action: Action
    enforced: bool = True
    #: What would have been answered, where policy is only observed: `verdict` and `roles`.
    observed: Mapping[str, Any] | None = None
    #: The gate at which humans decided; None where policy allowed by itself.
    gate_id: str | None = None
    overridden: bool = False
    expires_at: str | None = None
    commitment: str | None = field(default=None, repr=False)
    salt: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, view: Any) -> Grant:
        """Reads what the API answers, and checks that the action is what was committed to. Raises `Untrusted`."""
        if not isinstance(view, Mapping):
            raise Untrusted("the answer names no grant")
        grant_id, salt, sealed = view.get("grant_id"), view.get("action_salt"), view.get("action_commitment")
        gate_id, expires_at = view.get("gate_id"), view.get("expires_at")
        for text, form in ((grant_id, UUID4), (salt, HEX64), (sealed, HEX64)):
            if not isinstance(text, str) or not form.fullmatch(text):
                raise Untrusted("a grant that is none")
        try:
            action = Action.of(view.get("action", {}))
        except Unusable as unusable:
            raise Untrusted(f"a grant of an action that is none: {unusable}") from None
        grant = cls(
            id=grant_id,
            action=action,
            gate_id=gate_id if isinstance(gate_id, str) else None,
            overridden=view.get("overridden") is not False,
            expires_at=expires_at if isinstance(expires_at, str) else None,
            commitment=sealed,
            salt=salt,
        )
        grant.check()
        return grant

    def check(self) -> None:
        """Recomputes the commitment. Raises `Untrusted` if the action is not the one that was granted."""
        if self.id is None:
            return
        if self.salt is None or action_commitment(self.action.to_json(), self.salt) != self.commitment:
            raise Untrusted("the action of the grant does not open the commitment that was granted")
