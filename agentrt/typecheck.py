"""Checking values against annotations, as deep as containers go. Classes are trusted to check their own fields."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, is_typeddict

import msgspec

__all__ = ["by_class", "describe", "problem"]


def describe(hint: Any) -> str:
    """An annotation as a person would write it.

    >>> describe(int | None)
    'int | None'
    """
    if hint is None or hint is type(None):
        return "None"
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    if isinstance(hint, tuple) or get_origin(hint) in (Union, types.UnionType):
        return " | ".join(describe(part) for part in (hint if isinstance(hint, tuple) else get_args(hint)))
    return str(hint).replace("typing.", "")


def by_class(hint: Any) -> bool:
    """Whether the class of a value alone decides if it fits, so that a class once checked is good.

    >>> by_class(int), by_class(list[int])
    (True, False)
    """
    if not isinstance(hint, type) or get_args(hint):
        return False
    return not is_typeddict(hint) and not getattr(hint, "_is_protocol", False)


def problem(value: Any, hint: Any, path: str = "") -> tuple[str, str] | None:
    """What is wrong with `value`: the path in it and a sentence; None if it fits `hint`.

    >>> problem([1, "2"], list[int])
    ('[1]', "expected int, got str '2'")
    """
    if type(value) is hint or hint is Any or hint is object or isinstance(hint, TypeVar):
        return None
    if isinstance(hint, tuple):
        hint = Union[hint]  # noqa: UP007 - made from a tuple at run time
    origin = get_origin(hint)
    if origin is Annotated:
        return _annotated(value, hint, path)
    if origin in (Union, types.UnionType):
        fits = any(problem(value, part, path) is None for part in get_args(hint))
        return None if fits else _wrong(value, hint, path)
    if origin is Literal:
        return None if value in get_args(hint) else _wrong(value, hint, path)
    if is_typeddict(hint):
        return _typed_dict(value, hint, path)
    return _container(value, hint, origin, path) if origin is not None else _plain(value, hint, path)


def _wrong(value: Any, hint: Any, path: str) -> tuple[str, str]:
    return path, f"expected {describe(hint)}, got {type(value).__name__} {value!r:.60}"


def _plain(value: Any, hint: Any, path: str) -> tuple[str, str] | None:
    if hint is None:
        hint = type(None)
    supertype = getattr(hint, "__supertype__", None)  # a NewType
    if supertype is not None:
        return problem(value, supertype, path)
    if hint is float and isinstance(value, int):
        return None
    if not isinstance(hint, type):
        return None
    try:
        return None if isinstance(value, hint) else _wrong(value, hint, path)
    except TypeError:  # a protocol that can't be checked at run time
        return None


def _annotated(value: Any, hint: Any, path: str) -> tuple[str, str] | None:
    base = get_args(hint)[0]
    found = problem(value, base, path)
    if (
        found is None
        and any(isinstance(meta, msgspec.Meta) for meta in hint.__metadata__)
        and not isinstance(value, Enum)
    ):
        try:
            msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            return path, str(error)
    return found


def _typed_dict(value: Any, hint: Any, path: str) -> tuple[str, str] | None:
    if not isinstance(value, dict):
        return _wrong(value, hint, path)
    hints = typing.get_type_hints(hint)
    for key in hint.__required_keys__:
        if key not in value:
            return f"{path}.{key}".lstrip("."), "is missing"
    for key, item in value.items():
        if key not in hints:
            return f"{path}.{key}".lstrip("."), f"is not a key of {describe(hint)}"
        found = problem(item, hints[key], f"{path}.{key}".lstrip("."))
        if found:
            return found
    return None


def _container(value: Any, hint: Any, origin: Any, path: str) -> tuple[str, str] | None:
    if not isinstance(origin, type):
        return None
    if not isinstance(value, origin):
        return _wrong(value, hint, path)
    args = get_args(hint)
    if isinstance(value, Mapping) and len(args) == 2:
        pairs = [(f"{path}[{key!r}]", item, args[1]) for key, item in value.items()]
        pairs += [(f"{path} key {key!r}", key, args[0]) for key in value]
    elif isinstance(value, tuple) and args and args[-1] is not Ellipsis:
        if len(args) != len(value):
            return path, f"expected {len(args)} items, got {len(value)}"
        pairs = [(f"{path}[{i}]", item, arg) for i, (item, arg) in enumerate(zip(value, args, strict=True))]
    elif isinstance(value, Collection) and args:
        pairs = [(f"{path}[{i}]", item, args[0]) for i, item in enumerate(value)]
    else:
        return None
    return next((found for where, item, arg in pairs if (found := problem(item, arg, where))), None)
