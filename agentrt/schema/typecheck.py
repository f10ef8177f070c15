"""Checking values against annotations, as deep as containers go. Classes are trusted to check their own fields."""

from __future__ import annotations

import collections.abc
import operator
import re
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, Union, Unpack, get_args, get_origin, is_typeddict

from ..errors import preview

__all__ = ["annotation_problem", "describe", "find_problem", "hints_of", "is_plain_class"]


UNIONS = (Union, types.UnionType)
TYPING = ("typing", "typing_extensions")
CONTAINERS = ("builtins", "collections", "collections.abc")
QUALIFIERS = ("Required", "NotRequired", "ReadOnly", "Final")
# By the names that msgspec, annotated_types and pydantic have agreed on.
CONSTRAINTS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "gt": (operator.gt, ">"),
    "ge": (operator.ge, ">="),
    "lt": (operator.lt, "<"),
    "le": (operator.le, "<="),
    "multiple_of": (lambda value, bound: value % bound == 0, "a multiple of"),
    "min_length": (lambda value, bound: len(value) >= bound, "length >="),
    "max_length": (lambda value, bound: len(value) <= bound, "length <="),
    "pattern": (lambda value, bound: re.search(bound, value), "text that matches"),
    "tz": (lambda value, bound: not hasattr(value, "tzinfo") or (value.tzinfo is not None) is bound, "tz"),
}


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


def is_plain_class(hint: Any) -> bool:
    """Whether the class of a value alone decides if it fits, so that a class once checked is good.

    >>> is_plain_class(int), is_plain_class(list[int])
    (True, False)
    """
    if not isinstance(hint, type) or get_args(hint):
        return False
    return not is_typeddict(hint) and not getattr(hint, "_is_protocol", False)


def hints_of(record: Any) -> dict[str, Any]:
    """The annotations of a class by name, without Required, NotRequired, ReadOnly and Final around them."""
    return {name: _bare(hint) for name, hint in _hints(record).items()}


def annotation_problem(hint: Any) -> str | None:
    """Why nothing can be checked against this annotation; None if it can, be it that anything fits.

    >>> annotation_problem("int")
    "'int' is a text, not a type"
    """
    return _annotation_problem(hint, set())


def find_problem(value: Any, hint: Any, path: str = "") -> tuple[str, str] | None:
    """What is wrong with `value`: the path in it and a sentence; None if it fits `hint`. Never raises.

    >>> find_problem([1, "2"], list[int])
    ('[1]', "expected int, got str '2'")
    """
    try:
        return _problem(value, hint, path)
    except Exception as error:  # comparing and walking a value is anybody's code
        return path, f"can't be checked against {describe(hint)}: {preview(error)}"


def _problem(value: Any, hint: Any, path: str) -> tuple[str, str] | None:
    if type(value) is hint or hint is Any or hint is object or isinstance(hint, TypeVar):
        return None
    if isinstance(hint, tuple):
        hint = Union[hint]  # noqa: UP007 - made from a tuple at run time
    origin = get_origin(hint)
    if origin is Annotated:
        return _annotated(value, hint, path)
    if origin in UNIONS:
        fits = any(find_problem(value, part, path) is None for part in get_args(hint))
        return None if fits else _wrong(value, hint, path)
    if origin is Literal:
        # 1, True and 1.0 are equal, and three literals.
        fits = any(type(value) is type(option) and value == option for option in get_args(hint))
        return None if fits else _wrong(value, hint, path)
    if is_typeddict(origin or hint):
        return _typed_dict(value, hint, path)
    return _container(value, hint, origin, path) if origin is not None else _plain(value, hint, path)


def _wrong(value: Any, hint: Any, path: str) -> tuple[str, str]:
    return path, f"expected {describe(hint)}, got {type(value).__name__} {preview(value)}"


def _plain(value: Any, hint: Any, path: str) -> tuple[str, str] | None:
    if hint is None:
        hint = type(None)
    below = _below(hint)
    if below is not None:
        return _problem(value, below, path)
    if hint is float and isinstance(value, int):
        return None
    return None if not isinstance(hint, type) or _is_a(value, hint) else _wrong(value, hint, path)


def _below(hint: Any) -> Any:
    """What a NewType, or a type alias with a name, stands for."""
    return getattr(hint, "__supertype__", None) or (
        None if isinstance(hint, type) else getattr(hint, "__value__", None)
    )


def _is_a(value: Any, kind: type) -> bool:
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol that can't be checked at run time
        return True


def _annotated(value: Any, hint: Any, path: str) -> tuple[str, str] | None:
    found = _problem(value, get_args(hint)[0], path)
    if found is not None:
        return found
    broken = next((words for meta in hint.__metadata__ for words in _broken(value, meta)), None)
    return None if broken is None else (path, f"expected {broken}, got {type(value).__name__} {preview(value)}")


def _broken(value: Any, meta: Any) -> Iterator[str]:
    """What a value breaks of one piece of metadata: of msgspec's, of annotated_types', or a pydantic Field."""
    nested = getattr(meta, "metadata", ())
    for inner in nested if isinstance(nested, list) else ():
        yield from _broken(value, inner)
    for name, (holds, words) in CONSTRAINTS.items():
        bound = getattr(meta, name, None)
        if bound is not None and not _holds(holds, value, bound):
            yield f"{words} {bound}"
    known = sys.modules.get("annotated_types")  # never imported: who has such a condition has it loaded
    if known is not None and isinstance(meta, known.Predicate) and not meta.func(value):
        yield str(getattr(meta.func, "__qualname__", meta))


def _holds(holds: Callable[[Any, Any], Any], value: Any, bound: Any) -> bool:
    try:
        return bool(holds(value, bound))
    except TypeError:  # it says nothing about a value of this kind: the bound of `int | None` about None
        return True


def _typed_dict(value: Any, hint: Any, path: str) -> tuple[str, str] | None:
    if not isinstance(value, dict):
        return _wrong(value, hint, path)
    kind = get_origin(hint) or hint
    given = dict(zip(getattr(kind, "__parameters__", ()), get_args(hint), strict=False))
    hints = _hints(kind)
    for key in sorted(name for name, each in hints.items() if _required(kind, name, each)):
        if key not in value:
            return f"{path}.{key}".lstrip("."), "is missing"
    for key, item in value.items():
        where = f"{path}.{key}".lstrip(".")
        if key not in hints:
            return where, f"is not a key of {describe(hint)}"
        found = _problem(item, _filled(_bare(hints[key]), given), where)
        if found:
            return found
    return None


def _hints(record: Any) -> dict[str, Any]:
    return typing.get_type_hints(record, include_extras=True)


def _bare(hint: Any) -> Any:
    """Without Required, NotRequired, ReadOnly and Final: they say nothing about the value."""
    while getattr(get_origin(hint), "_name", None) in QUALIFIERS:
        hint = get_args(hint)[0]
    return hint


def _required(kind: Any, name: str, hint: Any) -> bool:
    # Where annotations are texts, only the hint knows.
    said = getattr(get_origin(hint), "_name", None)
    return said == "Required" or (said != "NotRequired" and name in kind.__required_keys__)


def _filled(hint: Any, given: dict[Any, Any]) -> Any:
    """A hint with the types given for its type variables."""
    if isinstance(hint, TypeVar):
        return given.get(hint, hint)
    variables = getattr(hint, "__parameters__", ()) if given and get_origin(hint) is not None else ()
    return hint[tuple(given.get(each, each) for each in variables)] if variables else hint


def _container(value: Any, hint: Any, origin: Any, path: str) -> tuple[str, str] | None:
    if not isinstance(origin, type):
        return None
    if not _is_a(value, origin):
        return _wrong(value, hint, path)
    args = get_args(hint)
    if origin is type:
        return _class(value, hint, path)
    if origin is tuple:
        return _tuple(value, hint, args, path)
    if origin.__module__ not in CONTAINERS:  # what its arguments mean is the business of a class
        return None
    if isinstance(value, Mapping) and len(args) == 2:
        pairs = [(f"{path}[{preview(key)}]", item, args[1]) for key, item in value.items()]
        return _first_wrong(pairs + [(f"{path} key {preview(key)}", key, args[0]) for key in value])
    return _each(value, args[0], path) if isinstance(value, Collection) and len(args) == 1 else None


def _tuple(value: Any, hint: Any, args: tuple[Any, ...], path: str) -> tuple[str, str] | None:
    if len(args) == 2 and args[1] is Ellipsis:
        return _each(value, args[0], path)
    bare = not args and hint is typing.Tuple  # noqa: UP006
    if bare or any(get_origin(arg) is Unpack or getattr(arg, "__unpacked__", False) for arg in args):
        return None
    if len(args) != len(value):
        return path, f"expected {len(args)} items, got {len(value)}"
    return _first_wrong((f"{path}[{i}]", item, arg) for i, (item, arg) in enumerate(zip(value, args, strict=True)))


def _each(value: Collection[Any], hint: Any, path: str) -> tuple[str, str] | None:
    return _first_wrong((f"{path}[{i}]", item, hint) for i, item in enumerate(value))


def _first_wrong(parts: Iterable[tuple[str, Any, Any]]) -> tuple[str, str] | None:
    return next((found for where, item, hint in parts if (found := _problem(item, hint, where))), None)


def _class(value: Any, hint: Any, path: str) -> tuple[str, str] | None:
    (wanted,) = get_args(hint) or (Any,)
    kinds = get_args(wanted) if get_origin(wanted) in UNIONS else (wanted,)
    fits = any(kind is Any or not isinstance(kind, type) or issubclass(value, kind) for kind in kinds)
    return None if fits else _wrong(value, hint, path)


def _annotation_problem(hint: Any, seen: set[Any]) -> str | None:
    if isinstance(hint, str | ForwardRef):
        text = hint if isinstance(hint, str) else hint.__forward_arg__
        return f"{preview(text)} is a text, not a type"
    if isinstance(hint, tuple) and not hint:
        return "an empty tuple names no type"
    origin = get_origin(hint)
    if is_typeddict(origin or hint):
        return _unreadable(origin or hint, seen) or _first(get_args(hint), seen)
    if isinstance(hint, tuple):
        return _first(hint, seen)
    if origin is collections.abc.Callable:  # what it takes and returns is not looked at
        return None
    if origin in UNIONS or getattr(origin, "__module__", None) in CONTAINERS:
        return _first(get_args(hint), seen)
    if origin is Annotated:
        return _annotation_problem(get_args(hint)[0], seen)
    below = _below(hint)
    if below is not None:
        return _annotation_problem(below, seen)
    known = hint is None or origin is not None or isinstance(hint, type)
    return None if known or type(hint).__module__ in TYPING else f"{preview(hint)} is not a type"


def _first(hints: Iterable[Any], seen: set[Any]) -> str | None:
    return next((why for each in hints if each is not Ellipsis and (why := _annotation_problem(each, seen))), None)


def _unreadable(record: Any, seen: set[Any]) -> str | None:
    if record in seen:
        return None
    seen.add(record)
    try:
        hints = hints_of(record)
    except Exception as error:  # annotations are anybody's code, and may name what is not imported
        return f"the annotations of {describe(record)} can't be read ({error})"
    return _first(hints.values(), seen)
