"""Read type annotations: what an alias stands for, what is optional, what can be checked."""

from __future__ import annotations

import collections.abc
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ForwardRef, Literal, Union, get_args, get_origin, is_typeddict

from .preview import preview

__all__ = [
    "CONTAINERS",
    "UNIONS",
    "alias_target",
    "annotation_of",
    "annotation_problem",
    "base_of",
    "describe",
    "hints_of",
    "is_plain_class",
    "metadata_of",
    "resolve",
    "split_optional",
    "texts_in",
    "union_of",
    "without_qualifiers",
]

UNIONS = (Union, types.UnionType)
CONTAINERS = ("builtins", "collections", "collections.abc")  # the modules of the classes that count as containers
TYPING = ("typing", "typing_extensions")
MOST_NAMES = 100  # of one type, one for the other; more are a circle
QUALIFIERS = ("Required", "NotRequired", "ReadOnly", "Final")


def describe(hint: Any) -> str:
    """An annotation as a person would write it.

    >>> describe(int | None)
    'int | None'
    """
    if hint is None or hint is type(None):
        return "None"
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    if isinstance(hint, tuple) or get_origin(hint) in UNIONS:
        return " | ".join(describe(part) for part in (hint if isinstance(hint, tuple) else get_args(hint)))
    return str(hint).replace("typing.", "")


def annotation_of(accepts: Any) -> Any:
    """What a runtime accepts, as one annotation: None means any payload, a tuple means one of its types."""
    if isinstance(accepts, tuple):
        return union_of(accepts)
    return Any if accepts is None else accepts


def union_of(parts: tuple[Any, ...]) -> Any:
    """The union of these types; a single one is returned as it is."""
    return Union[parts]  # noqa: UP007 - made from a tuple at run time


def is_plain_class(hint: Any) -> bool:
    """Whether `isinstance` decides alone: then a class that fitted once fits always.

    >>> is_plain_class(int), is_plain_class(list[int])
    (True, False)
    """
    if not isinstance(hint, type) or get_args(hint):
        return False
    return not is_typeddict(hint) and not getattr(hint, "_is_protocol", False)


def hints_of(record: Any) -> dict[str, Any]:
    """The annotations of a class by name, without Required, NotRequired, ReadOnly and Final around them."""
    hints = typing.get_type_hints(record, include_extras=True)
    return {name: without_qualifiers(hint) for name, hint in hints.items()}


def without_qualifiers(hint: Any) -> Any:
    """The annotation inside Required, NotRequired, ReadOnly and Final, which say nothing about the value."""
    while getattr(get_origin(hint), "_name", None) in QUALIFIERS:
        hint = get_args(hint)[0]
    return hint


def alias_target(hint: Any) -> Any:
    """What a NewType or a named type alias stands for; None for anything else."""
    if isinstance(hint, type):
        return None
    target = getattr(hint, "__supertype__", None) or getattr(hint, "__value__", None)
    if target is None:
        return None
    if next(texts_in(target), None) is not None:
        alias = get_origin(hint) or hint
        target = resolve(target, {**vars(sys.modules.get(alias.__module__, typing)), alias.__name__: alias})
    # Of `type Tree[T] = ...`, with types for its variables.
    return target[get_args(hint)] if get_args(hint) and getattr(target, "__parameters__", ()) else target


def texts_in(hint: Any) -> Iterator[str]:
    """What is written as a text in an annotation: names that are not looked up yet."""
    if isinstance(hint, ForwardRef):
        yield hint.__forward_arg__
    elif isinstance(hint, str):
        yield hint
    elif get_origin(hint) is Annotated:
        yield from texts_in(get_args(hint)[0])
    elif get_origin(hint) is not Literal:
        for arg in get_args(hint):
            yield from texts_in(arg)


def resolve(hint: Any, names: dict[str, Any]) -> Any:
    """An annotation with what is written as a text in it looked up; as it is where a name is unknown."""
    holder = types.SimpleNamespace(__annotations__={"hint": hint})
    try:
        # Not the same dict twice: then a text that was looked up once would keep what it stood for.
        return typing.get_type_hints(holder, names, dict(names), include_extras=True)["hint"]
    except NameError:
        return hint


def base_of(hint: Any) -> Any:
    """The type inside Annotated, NewType and named aliases."""
    for _ in range(MOST_NAMES):
        inner = get_args(hint)[0] if get_origin(hint) is Annotated else alias_target(hint)
        if inner is None:
            return hint
        hint = inner
    return Any


def metadata_of(hint: Any) -> tuple[Any, ...]:
    """What stands beside the type in `Annotated[...]`."""
    return tuple(hint.__metadata__) if get_origin(hint) is Annotated else ()


def split_optional(hint: Any) -> tuple[Any, bool]:
    """An annotation without None, and whether None was in it.

    >>> split_optional(int | None), split_optional(int)
    ((<class 'int'>, True), (<class 'int'>, False))
    """
    base = base_of(hint)
    if get_origin(base) not in UNIONS or type(None) not in get_args(base):
        return hint, False
    rest = tuple(arg for arg in get_args(base) if arg is not type(None))
    return (union_of(rest) if rest else hint), True


# ---- what can be checked


def annotation_problem(hint: Any) -> str | None:
    """Why no value can be checked against this annotation; None if that is possible, or if any value fits.

    >>> annotation_problem("int")
    "'int' is a text, not a type"
    """
    try:
        return _annotation_problem(hint, set(), ())
    except RecursionError:
        return f"{describe(hint)} is nested without end"
    except Exception as error:  # what a name stands for is looked up here, and is user code
        return f"what {describe(hint)} stands for can't be read ({error})"


def _annotation_problem(hint: Any, seen: set[Any], named: tuple[Any, ...]) -> str | None:
    """`seen` are the records and names that are looked at already, `named` those that stand for this annotation."""
    if isinstance(hint, str | ForwardRef):
        text = hint if isinstance(hint, str) else hint.__forward_arg__
        return f"{preview(text)} is a text, not a type"
    if isinstance(hint, tuple) and not hint:
        return "an empty tuple names no type"
    origin = get_origin(hint)
    if is_typeddict(origin or hint):
        return _record_problem(origin or hint, seen) or _first_hint_problem(get_args(hint), seen)
    if isinstance(hint, tuple):
        return _first_hint_problem(hint, seen, named)
    if origin is collections.abc.Callable:  # its parameters and its result are not checked
        return None
    if origin in UNIONS:
        return _first_hint_problem(get_args(hint), seen, named)
    if getattr(origin, "__module__", None) in CONTAINERS:
        return _first_hint_problem(get_args(hint), seen)
    if origin is Annotated:
        return _annotation_problem(get_args(hint)[0], seen, named)
    target = alias_target(hint)
    if target is not None:
        return _alias_problem(origin or hint, target, seen, named) or _first_hint_problem(get_args(hint), seen)
    is_type = hint is None or origin is not None or isinstance(hint, type)
    return None if is_type or type(hint).__module__ in TYPING else f"{preview(hint)} is not a type"


def _alias_problem(name: Any, target: Any, seen: set[Any], named: tuple[Any, ...]) -> str | None:
    if name in named:
        return f"{describe(name)} stands for itself"
    if name in seen:
        return None
    seen.add(name)
    return _annotation_problem(target, seen, (*named, name))


def _first_hint_problem(hints: Iterable[Any], seen: set[Any], named: tuple[Any, ...] = ()) -> str | None:
    given = (each for each in hints if each is not Ellipsis)
    return next((why for each in given if (why := _annotation_problem(each, seen, named))), None)


def _record_problem(record: Any, seen: set[Any]) -> str | None:
    if record in seen:
        return None
    seen.add(record)
    try:
        hints = hints_of(record)
    except Exception as error:  # annotations are user code, and may name what is not imported
        return f"the annotations of {describe(record)} can't be read ({error})"
    return _first_hint_problem(hints.values(), seen)
