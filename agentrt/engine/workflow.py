"""What a workflow is: read once from its signature, then only called."""

from __future__ import annotations

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
from ..schema.recursion import resolve_recursion
from .signatures import read_signature, unwrap_partial

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
    signature = read_signature(function)
    names = signature.names
    hints = _hints(signature.source)
    # What a wrapper returns need not be what it was given to return.
    state = hints.get(names[1], None if signature.wrapped else hints.get("return"))
    return (
        getattr(function, "__qualname__", type(function).__qualname__).replace("<locals>.", ""),
        _is_async(function),
        len(names) == 3,
        _checkable(_payload_type(hints.get(names[0]), names[0]), function),
        _checkable(None if state is Any else state, function),
    )


def _is_generator(function: Any) -> bool:
    call = unwrap_partial(function)[0]
    kinds = (call, getattr(call, "__call__", None))  # noqa: B004
    return any(inspect.isasyncgenfunction(kind) or _yields(kind) for kind in kinds)


def _yields(function: Any) -> bool:
    # One made into a coroutine by `types.coroutine` yields to the event loop.
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return inspect.isgeneratorfunction(function) and not flags & inspect.CO_ITERABLE_COROUTINE


def _is_async(function: Any) -> bool:
    function = unwrap_partial(function)[0]
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _hints(source: Any) -> dict[str, Any]:
    if source is None:
        return {}
    source = unwrap_partial(source)[0]
    target = source if inspect.isroutine(source) else getattr(type(source), "__call__", source)  # noqa: B004
    try:
        hints = typing.get_type_hints(target, include_extras=True)
        return resolve_recursion(hints, getattr(target, "__globals__", {}))
    except Exception as error:  # annotations are user code, and may name what is not imported
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
