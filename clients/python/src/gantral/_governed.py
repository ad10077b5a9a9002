"""Functions that may run only with a grant, and the attempt that this process is."""

from __future__ import annotations

import functools
import inspect
import string
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NoReturn, ParamSpec, TypeVar, Union, cast

from . import _json
from ._actions import Action
from ._client import Attempt, Gantral, _Attempt
from ._errors import GantralError, Unusable
from ._gate import Gate, Permit

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_lock = threading.Lock()
_current: Attempt | None = None


def attempt() -> Attempt:
    """Returns the attempt that a runner launched this process for, made once. Raises `Unusable` if none did."""
    global _current
    with _lock:
        if _current is None:
            _current = Gantral.from_environment()
        return _current


def gate(
    name: str | Action | Mapping[str, Any],
    target: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    trigger: str | None = None,
    step: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    cost_estimate: Any = None,
    anew: bool = False,
) -> Gate:
    """`Attempt.gate` of the attempt that this process is."""
    return attempt().gate(
        name,
        target,
        parameters,
        trigger=trigger,
        step=step,
        attributes=attributes,
        cost_estimate=cost_estimate,
        anew=anew,
    )


def resume() -> Gate | None:
    """`Attempt.resume` of the attempt that this process is: the block around what humans approved, None before a gate."""
    return attempt().resume()


def secret(name: str, *, grant: Any = None) -> str:
    """`Attempt.secret` of the attempt that this process is: within a governed function, a secret for its action. Blocks."""
    return attempt().secret(name, grant=grant)


def run(main: Callable[[], object]) -> NoReturn:
    """Runs the whole of a launched process, and ends it as a runner expects.

    Status 0, or the number that `main` returns; 3 where humans decide, 4 where policy denied, 1 for any other error of this
    package, which is told on standard error. Other exceptions leave it as they are.
    """
    try:
        status = main()
    except GantralError as error:
        print(f"gantral: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    sys.exit(status if isinstance(status, int) else 0)


Target = Union[str, Callable[..., str]]
Facts = Union[Mapping[str, Any], Callable[..., Mapping[str, Any]], None]


class Governed:
    """How the call of a function becomes an action, and an approved action the call of the function."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        target: Target,
        parameters: Sequence[str] | None,
        facts: Mapping[str, Any],
        attributes: Facts,
        of: _Attempt | None,
    ) -> None:
        self._function, self._signature = function, inspect.signature(function)
        self._name, self._target, self._facts, self._attributes, self._of = name, target, facts, attributes, of
        kinds = {each.kind for each in self._signature.parameters.values()}
        if inspect.Parameter.VAR_POSITIONAL in kinds or inspect.Parameter.POSITIONAL_ONLY in kinds:
            raise TypeError("a governed function takes arguments that have names")
        self._parameters = self._named(parameters)

    def _named(self, parameters: Sequence[str] | None) -> tuple[str, ...]:
        """Returns which arguments are parameters of the action: those that do not stand in the target already."""
        plain = [name for name, each in self._signature.parameters.items() if each.kind != each.VAR_KEYWORD]
        if parameters is not None:
            unknown = set(parameters) - set(plain)
            if unknown:
                raise TypeError(f"the function takes no `{unknown.pop()}`")
            return tuple(parameters)
        inside = [field for _, field, _, _ in string.Formatter().parse(self._target) if field] if isinstance(
            self._target, str
        ) else []
        return tuple(name for name in plain if name not in inside)

    def action(self, *args: Any, **kwargs: Any) -> tuple[Action, dict[str, Any]]:
        """Returns the action of a call, and its arguments by name."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        for name, each in self._signature.parameters.items():
            if each.kind == each.VAR_KEYWORD:
                arguments.update(arguments.pop(name, {}))
        target = self._target.format(**arguments) if isinstance(self._target, str) else self._target(**arguments)
        more = arguments.keys() - self._signature.parameters.keys()
        parameters = {name: arguments[name] for name in (*self._parameters, *sorted(more))}
        return Action(self._name, target, {name: value for name, value in parameters.items() if value is not None}), arguments

    def gate(self, *args: Any, **kwargs: Any) -> tuple[Gate, dict[str, Any]]:
        """Returns the block around a call, and its arguments by name."""
        action, arguments = self.action(*args, **kwargs)
        given = self._attributes
        attributes = given(**arguments) if callable(given) else given
        within = self._of or attempt()
        return within.gate(action, **self._facts, attributes=attributes), arguments

    def approved(self, action: Action, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments with which the function does exactly an action. Raises `Unusable` if there are none."""
        takes_more = any(each.kind == each.VAR_KEYWORD for each in self._signature.parameters.values())
        changed = dict(arguments)
        for name in self._parameters:
            each = self._signature.parameters[name]
            if name in action.parameters:
                changed[name] = _same_or(arguments.get(name), action.parameters[name])
            elif arguments.get(name) is not None:
                # A human took it away: without it the function does what it does by itself.
                if each.default is each.empty:
                    raise Unusable(f"`{name}` was taken out of the action, and the function needs it")
                changed[name] = each.default
        for name in action.parameters.keys() - set(self._parameters):
            if not takes_more and name not in self._signature.parameters:
                raise Unusable(f"the action has a parameter `{name}`, and the function takes none of that name")
            changed[name] = action.parameters[name]
        return changed

    def checked(self, gate: Gate, arguments: Mapping[str, Any]) -> None:
        """Raises `Unusable` before a grant is used up under which the function could not act."""
        if gate.grant is not None:
            self.approved(gate.grant.action, arguments)

    def call(self, permit: Permit, arguments: Mapping[str, Any]) -> Any:
        """Calls the function with what was approved."""
        return self._function(**self.approved(permit.action, arguments))


def _same_or(asked: Any, approved: Any) -> Any:
    """Returns what was asked if that is what was approved, so that a call without changes is left as it is."""
    try:
        return asked if _json.canonical(asked) == _json.canonical(approved) else approved
    except _json.JsonRefused:
        return approved


def governed(
    *,
    action: str,
    target: Target,
    parameters: Sequence[str] | None = None,
    trigger: str | None = None,
    step: str | None = None,
    attributes: Facts = None,
    attempt: _Attempt | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a function, or an async one, run only with a grant, once for each call.

        @gantral.governed(action="refund", target="order/{order}")
        def refund(order: str, amount_minor: int, currency: str = "EUR"):
            ...

    Its arguments are the parameters of the action, but for those that stand in `target` and those that are None; `parameters`
    names others. It is called with the values *as approved*, which a human may have changed. What it returns is reported, if that
    is JSON; an exception is reported as FAILED.
    """
    facts = {"trigger": trigger, "step": step}

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        how = Governed(function, action, target, parameters, facts, attributes, attempt)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def asynchronous(*args: Any, **kwargs: Any) -> Any:
                block, arguments = how.gate(*args, **kwargs)
                how.checked(block, arguments)
                async with block as permit:
                    result = await cast(Awaitable[Any], how.call(permit, arguments))
                    permit.succeeded(result)
                return result

            return cast(Callable[P, R], asynchronous)

        @functools.wraps(function)
        def synchronous(*args: Any, **kwargs: Any) -> Any:
            block, arguments = how.gate(*args, **kwargs)
            how.checked(block, arguments)
            with block as permit:
                result = how.call(permit, arguments)
                permit.succeeded(result)
            return result

        return cast(Callable[P, R], synchronous)

    return decorate
