"""What a workflow is: read once from its signature, then only called."""

from __future__ import annotations

import functools
import inspect
import typing
import warnings
from collections.abc import Callable
from types import FunctionType
from typing import Any, get_args, get_origin
from weakref import WeakKeyDictionary

import msgspec

from ..activity import Activity
from ..errors import ConfigurationError
from ..schema.annotations import annotation_problem, describe

__all__ = ["Workflow"]


class Workflow(msgspec.Struct, frozen=True):
    """A workflow function and what its signature says.

    `takes_context` is whether it has a third parameter (one with a default only if it is called ctx), `accepts` the
    payload type from `activity: Activity[T]`, `state` the type of its second parameter (or of what it returns); None
    where it says nothing.

    >>> def counter(activity: Activity[int], state: int) -> int:
    ...     return state + activity.payload
    >>> Workflow.of(counter).accepts
    <class 'int'>
    """

    call: Callable[..., Any]
    name: str
    is_async: bool
    takes_context: bool
    accepts: Any = None
    state: Any = None

    @classmethod
    def of(cls, function: Any) -> Workflow:
        """Read a function; `ConfigurationError` if it is not callable or takes the wrong number of parameters."""
        if not callable(function):
            raise ConfigurationError(
                f"workflow is {function!r:.60}, which can't be called; give a function (activity, state) -> new state"
            )
        if not isinstance(function, FunctionType):
            return cls(function, *_facts(function))
        facts = _READ.get(function)
        if facts is None:
            facts = _READ[function] = _facts(function)
        return cls(function, *facts)


# What is known of functions already: reading a signature costs more than all else of a runtime that is made.
_READ: WeakKeyDictionary[FunctionType, tuple[Any, ...]] = WeakKeyDictionary()


def _facts(function: Any) -> tuple[Any, ...]:
    """The fields of a `Workflow` after the first."""
    if _is_generator(function):
        raise ConfigurationError(
            f"workflow {getattr(function, '__name__', function)!r} has a `yield`: calling it only makes a generator; "
            "return the new state instead"
        )
    names = _positional(function)
    hints = _hints(function)
    state = hints.get(names[1], hints.get("return"))
    return (
        getattr(function, "__qualname__", type(function).__qualname__).replace("<locals>.", ""),
        _is_async(function),
        len(names) == 3,
        _checkable(_payload_type(hints.get(names[0]), names[0]), function),
        _checkable(None if state is Any else state, function),
    )


def _positional(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ["activity", "state"]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [p for p in parameters if p.kind in kinds]
    required = [p.name for p in positional if p.default is p.empty]
    must = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    any_number = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if any_number and len(required) <= 2:
        return ["activity", "state"]
    if not must and len(positional) >= 2 and len(required) <= 3:
        if len(required) <= 2 and [p.name for p in positional[2:3]] == ["ctx"]:
            return [p.name for p in positional[:3]]
        # Any other third parameter with a default is the function's own business.
        return required if len(required) in (2, 3) else [p.name for p in positional[:2]]
    raise ConfigurationError(
        f"workflow {getattr(function, '__name__', function)!r} has the parameters {inspect.signature(function)}; "
        "it must take two, (activity, state), or three, (activity, state, ctx)"
    )


def _is_generator(function: Any) -> bool:
    call = _unwrapped(function)
    kinds = (call, getattr(call, "__call__", None))  # noqa: B004
    return any(inspect.isasyncgenfunction(kind) or _yields(kind) for kind in kinds)


def _yields(function: Any) -> bool:
    # One made into a coroutine by `types.coroutine` yields to the event loop.
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return inspect.isgeneratorfunction(function) and not flags & inspect.CO_ITERABLE_COROUTINE


def _unwrapped(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _is_async(function: Any) -> bool:
    function = _unwrapped(function)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _hints(function: Any) -> dict[str, Any]:
    function = _unwrapped(function)
    target = function if inspect.isroutine(function) else getattr(type(function), "__call__", function)  # noqa: B004
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception as error:  # annotations are anybody's code, and may name what is not imported
        warnings.warn(
            f"the annotations of {target!r} can't be read ({error}); its payloads and states are not checked",
            stacklevel=5,
        )
        return {}


def _checkable(hint: Any, function: Any) -> Any:
    """The annotation, or None with a warning if nothing can be checked against it."""
    why = None if hint is None else annotation_problem(hint)
    if why is None:
        return hint
    warnings.warn(f"an annotation of {function!r} is not checked: {why}", stacklevel=5)
    return None


def _payload_type(hint: Any, name: str) -> Any:
    if hint is None or hint is Any or hint is inspect.Parameter.empty:
        return None
    origin = get_origin(hint) or hint
    if not (isinstance(origin, type) and issubclass(origin, Activity)):
        raise ConfigurationError(
            f"the parameter {name!r} is annotated {describe(hint)}, but a workflow receives an Activity; "
            f"write `{name}: Activity[{describe(hint)}]` and read `{name}.payload`"
        )
    for base in (hint, *getattr(origin, "__orig_bases__", ())):
        args = get_args(base)
        if args and not isinstance(args[0], typing.TypeVar):
            return None if args[0] is Any else args[0]
    return None
