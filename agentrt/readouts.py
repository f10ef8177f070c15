"""Readouts and knobs: the params of a `Runtime`. They hold no value of their own; each reads it from the entry.

So a readout is always current and costs an activity nothing. Each says its type: `runtime.timeout` is a
`float | None` for a type checker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NoReturn, Self, TypeVar, overload

import param

from .engine import commands
from .engine.entry import RuntimeEntry
from .errors import ConfigurationError
from .schema.numbers import refuse

__all__ = ["ChoiceKnob", "IntegerKnob", "NumberKnob", "PausedKnob", "Readout", "watchable"]

T = TypeVar("T")
Entry = RuntimeEntry[Any, Any]


class _Live(Generic[T]):
    """What knobs and readouts share: the value is the entry's."""

    __slots__ = ()
    name: Any
    read: Callable[[Entry], T]

    @overload
    def __get__(self, obj: None, objtype: Any = None) -> Self: ...
    @overload
    def __get__(self, obj: object, objtype: Any = None) -> T: ...
    def __get__(self, obj: Any, objtype: Any = None) -> Any:
        entry = None if obj is None else obj.__dict__.get("entry")
        return super().__get__(obj, objtype) if entry is None else self.read(entry)  # type: ignore[misc]


class Readout(_Live[T], param.Parameter[T]):
    """A value of the entry that can be read and watched, not set."""

    __slots__ = ["read"]

    def __init__(self, read: Callable[[Entry], T], **settings: Any) -> None:
        super().__init__(**settings)
        self.read = read

    def __set__(self, obj: Any, value: NoReturn) -> None:
        if obj is not None and "entry" in obj.__dict__ and value is not self.read(obj.entry):
            raise ConfigurationError(f"{self.name} follows the runtime and can't be set", runtime=obj.entry.id)
        super().__set__(obj, value)


class _Knob(_Live[T]):
    """A limit of the entry that can be set while it runs."""

    __slots__ = ()
    write: Callable[[Entry, T], None]

    def __init__(self, limit: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.read, self.write = _limit(limit)

    def __set__(self, obj: Any, value: T) -> None:
        if obj is not None and "entry" in obj.__dict__:
            self.write(obj.entry, value)
        super().__set__(obj, value)  # type: ignore[misc]

    def _validate(self, val: Any) -> None:
        """Nothing here: `Limits` checks, with a message that says what would do."""


def _limit(name: str) -> tuple[Callable[[Entry], Any], Callable[[Entry, Any], None]]:
    return lambda entry: getattr(entry.limits, name), lambda entry, value: commands.set_limit(entry, name, value)


def _set_pause(entry: Entry, paused: Any) -> None:
    if not isinstance(paused, bool):
        raise refuse("paused", paused, "True or False", entry.id)
    (commands.pause if paused else commands.resume)(entry)


class NumberKnob(_Knob[T], param.Number[T]):
    """A knob that holds a number, or None."""

    __slots__ = ["read", "write"]


class IntegerKnob(_Knob[T], param.Integer[T]):
    """A knob that holds a whole number, or None."""

    __slots__ = ["read", "write"]


class ChoiceKnob(_Knob[T], param.Selector[T]):
    """A knob that holds one of a few words."""

    __slots__ = ["read", "write"]


class PausedKnob(_Knob[bool], param.Boolean[bool]):
    """Whether the runtime is paused."""

    __slots__ = ["read", "write"]

    def __init__(self, **settings: Any) -> None:
        param.Boolean.__init__(self, **settings)
        self.read, self.write = (lambda entry: entry.paused), _set_pause


def watchable(kind: type[param.Parameterized]) -> tuple[str, ...]:
    """The names of the readouts and knobs of a class that can change, and so can be watched."""
    found = kind.param.objects().items()
    return tuple(name for name, each in found if isinstance(each, Readout | _Knob) and name != "id")
