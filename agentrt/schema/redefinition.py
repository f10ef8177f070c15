"""Classes of `__main__` that were defined again, as by a cell that is run twice: what is of the class before goes on.

A class is known by its name. An object of an older class of the same shape (the same members of the same types) is made
again as one of the newest; another shape is an error that says what differs.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable
from enum import Enum
from typing import Any, get_args, get_origin

import msgspec

from .annotations import UNIONS, describe, union_of
from .convert import is_pydantic
from .immutability import ATOMS

__all__ = ["Redefined", "newest", "newest_hint", "newest_value"]

MAIN = "__main__"


class Redefined(TypeError):
    """A class was defined again with another shape, so that what is of the class before can't go on."""


def newest(kind: Any) -> Any:
    """What `__main__` has now under the name of a class of it; the class itself where that is no class any more."""
    if not isinstance(kind, type) or get_args(kind) or kind.__module__ != MAIN:
        return kind
    found: Any = sys.modules.get(MAIN)
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found if isinstance(found, type) else kind


def newest_hint(hint: Any) -> Any:
    """An annotation with the newest class in the place of each older one; the same object where there is none."""
    if isinstance(hint, tuple):
        parts = tuple(map(newest_hint, hint))
        return hint if _are_identical(parts, hint) else parts
    origin, args = get_origin(hint), get_args(hint)
    if not args or origin is typing.Literal:
        return newest(hint)
    parts = tuple(newest_hint(arg) for arg in args)
    if _are_identical(parts, args) or any(isinstance(arg, list) for arg in args):
        return hint
    if origin is typing.Annotated:
        return typing.Annotated[(parts[0], *hint.__metadata__)]
    return union_of(parts) if origin in UNIONS else origin[parts]


def newest_value(value: Any) -> Any:
    """A value with all objects of older classes made again; the same object where there is none.

    Raises:
        Redefined: A class has another shape now.
    """
    try:
        return _newest_value(value, {})
    except RecursionError:
        return value


def _newest_value(value: Any, done: dict[int, Any]) -> Any:
    if type(value) in ATOMS:
        return value
    if id(value) in done:
        return done[id(value)]
    done[id(value)] = value  # one that contains itself stays as it is there
    kind = newest(type(value))
    parts = _take_apart(value)
    if parts is not None:
        new = [_newest_value(part, done) for part in parts.values]
        if kind is not type(value):
            _check_shape(type(value), kind)
        if kind is not type(value) or not _are_identical(new, parts.values):
            done[id(value)] = parts.make(kind, new)
    return done[id(value)]


def _are_identical(left: Any, right: Any) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))


# ---- taking apart


class Parts(typing.NamedTuple):
    """What a value is made of, and how one of a class is made of such parts."""

    values: list[Any]
    make: Callable[[Any, list[Any]], Any]


def _take_apart(value: Any) -> Parts | None:
    kind: Any = type(value)
    if kind in (list, set, frozenset, tuple):
        return Parts(list(value), lambda made, parts: made(parts))
    if kind is dict:
        keys = list(value)
        return Parts([*keys, *value.values()], lambda made, parts: dict(zip(parts[: len(keys)], parts[len(keys) :])))  # noqa: B905
    if isinstance(value, Enum):
        return Parts([], lambda made, parts: made[value.name])
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return Parts(list(value), lambda made, parts: tuple.__new__(made, parts))
    names = _names(kind)
    if names is None:
        return None
    there = [name for name in names if hasattr(value, name)]
    return Parts([getattr(value, name) for name in there], lambda made, parts: _make(made, there, parts))


def _names(kind: Any) -> list[str] | None:
    """The members of a class whose objects are no more than those."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    if issubclass(kind, msgspec.Struct):
        return list(kind.__struct_fields__)
    return list(kind.model_fields) if is_pydantic(kind) and hasattr(kind, "model_fields") else None


def _make(kind: Any, names: list[str], parts: list[Any]) -> Any:
    """An object of a class with these members, without calling its `__init__`, which has run for them already."""
    members = dict(zip(names, parts, strict=True))
    if issubclass(kind, msgspec.Struct):
        return kind(**members)
    if is_pydantic(kind):
        return kind.model_construct(**members)
    made = object.__new__(kind)
    for name, part in members.items():
        object.__setattr__(made, name, part)
    return made


# ---- shapes


def _check_shape(old: Any, new: Any) -> None:
    before, after = _shape(old), _shape(new)
    gone = [f"{name!r} is gone" for name in before if name not in after]
    added = [f"{name!r} is new" for name in after if name not in before]
    changed = [
        f"{name!r} was {before[name]} and is {after[name]}"
        for name in before
        if name in after and before[name] != after[name]
    ]
    if gone or added or changed:
        raise Redefined(
            f"{new.__qualname__} was defined again with another shape: {', '.join([*gone, *added, *changed])}; "
            "what is of the class before can't go on"
        )


def _shape(kind: Any) -> dict[str, str]:
    if issubclass(kind, Enum):
        return {name: repr(member.value) for name, member in kind.__members__.items()}
    names = list(kind._fields) if hasattr(kind, "_fields") else _names(kind) or []
    hints: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        hints |= vars(base).get("__annotations__", {})
    return {name: hints[name] if isinstance(hints.get(name), str) else describe(hints.get(name)) for name in names}
