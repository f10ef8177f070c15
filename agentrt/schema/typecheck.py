"""Check values against annotations, as deep as containers go. Classes are trusted to check their own fields."""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Unpack, get_args, get_origin, is_typeddict

from .annotations import CONTAINERS, UNIONS, alias_target, describe, union_of, without_qualifiers
from .constraints import broken_constraints
from .preview import preview

__all__ = ["TypeProblem", "find_problem"]


class TypeProblem(NamedTuple):
    """What is wrong with a value: `path` leads to it from the whole value ("" is the whole), `text` is a sentence."""

    path: str
    text: str


def find_problem(value: Any, hint: Any, path: str = "") -> TypeProblem | None:
    """The first thing that is wrong with a value; None if it fits the annotation. Never raises.

    Args:
        value: Anything.
        hint: An annotation, or a tuple of them of which one must fit.
        path: Where the value stands in a larger one.

    >>> find_problem([1, "2"], list[int])
    TypeProblem(path='[1]', text="expected int, got str '2'")
    """
    try:
        return _find_problem(value, hint, path)
    except RecursionError:
        return TypeProblem(path, f"is nested too deep to be checked against {describe(hint)}, or contains itself")
    except Exception as error:  # comparing and walking a value is user code
        return TypeProblem(path, f"can't be checked against {describe(hint)}: {preview(error)}")


def _find_problem(value: Any, hint: Any, path: str) -> TypeProblem | None:
    if type(value) is hint or hint is Any or hint is object or isinstance(hint, TypeVar):
        return None
    if isinstance(hint, tuple):
        hint = union_of(hint)
    origin = get_origin(hint)
    if origin is Annotated:
        return _in_annotation(value, hint, path)
    if origin in UNIONS:
        fits = any(_fits(value, part, path) for part in get_args(hint))
        return None if fits else _mismatch(value, hint, path)
    if origin is Literal:
        # 1, True and 1.0 are equal, and three different literals.
        fits = any(type(value) is type(option) and value == option for option in get_args(hint))
        return None if fits else _mismatch(value, hint, path)
    if is_typeddict(origin or hint):
        return _in_typed_dict(value, hint, path)
    if origin is not None and isinstance(origin, type):
        return _in_generic(value, hint, origin, path)
    return _in_class(value, hint, path)


def _fits(value: Any, hint: Any, path: str) -> bool:
    try:
        return _find_problem(value, hint, path) is None
    except RecursionError:  # of the whole, not of this alternative
        raise
    except Exception:  # comparing and walking a value is user code
        return False


def _mismatch(value: Any, expected: Any, path: str) -> TypeProblem:
    """The problem of a value that is not what was expected: an annotation, or words."""
    words = expected if isinstance(expected, str) else describe(expected)
    return TypeProblem(path, f"expected {words}, got {type(value).__name__} {preview(value)}")


def _in_class(value: Any, hint: Any, path: str) -> TypeProblem | None:
    if hint is None:
        hint = type(None)
    target = alias_target(hint)
    if target is not None:
        return _find_problem(value, target, path)
    if hint is float and isinstance(value, int):
        return None
    return None if not isinstance(hint, type) or _is_instance(value, hint) else _mismatch(value, hint, path)


def _is_instance(value: Any, kind: type) -> bool:
    try:
        return isinstance(value, kind)
    except TypeError:  # a protocol that can't be checked at run time
        return True


def _in_annotation(value: Any, hint: Any, path: str) -> TypeProblem | None:
    found = _find_problem(value, get_args(hint)[0], path)
    if found is not None:
        return found
    broken = next((words for meta in hint.__metadata__ for words in broken_constraints(value, meta)), None)
    return None if broken is None else _mismatch(value, broken, path)


# ---- TypedDict


def _in_typed_dict(value: Any, hint: Any, path: str) -> TypeProblem | None:
    if not isinstance(value, dict):
        return _mismatch(value, hint, path)
    kind = get_origin(hint) or hint
    arguments = dict(zip(getattr(kind, "__parameters__", ()), get_args(hint), strict=False))
    hints = typing.get_type_hints(kind, include_extras=True)
    for key in sorted(name for name, each in hints.items() if _is_required(kind, name, each)):
        if key not in value:
            return TypeProblem(f"{path}.{key}".lstrip("."), "is missing")
    for key, item in value.items():
        where = f"{path}.{key}".lstrip(".")
        if key not in hints:
            return TypeProblem(where, f"is not a key of {describe(hint)}")
        found = _find_problem(item, _substitute(without_qualifiers(hints[key]), arguments), where)
        if found:
            return found
    return None


def _is_required(kind: Any, name: str, hint: Any) -> bool:
    # Where annotations are texts, __required_keys__ is wrong, and the qualifier in the hint is right.
    qualifier = getattr(get_origin(hint), "_name", None)
    return qualifier == "Required" or (qualifier != "NotRequired" and name in kind.__required_keys__)


def _substitute(hint: Any, arguments: dict[Any, Any]) -> Any:
    """An annotation with types in place of its type variables."""
    if isinstance(hint, TypeVar):
        return arguments.get(hint, hint)
    variables = getattr(hint, "__parameters__", ()) if arguments and get_origin(hint) is not None else ()
    return hint[tuple(arguments.get(each, each) for each in variables)] if variables else hint


# ---- containers


def _in_generic(value: Any, hint: Any, origin: Any, path: str) -> TypeProblem | None:
    if not _is_instance(value, origin):
        return _mismatch(value, hint, path)
    args = get_args(hint)
    if origin is type:
        return _in_type(value, hint, path)
    if origin is tuple:
        return _in_tuple(value, hint, args, path)
    if origin.__module__ not in CONTAINERS:  # only the class itself knows what its type arguments mean
        return None
    if isinstance(value, Mapping) and len(args) == 2:
        items = [(f"{path}[{preview(key)}]", item, args[1]) for key, item in value.items()]
        return _first_problem(items + [(f"{path} key {preview(key)}", key, args[0]) for key in value])
    return _in_each(value, args[0], path) if isinstance(value, Collection) and len(args) == 1 else None


def _in_tuple(value: Any, hint: Any, args: tuple[Any, ...], path: str) -> TypeProblem | None:
    if len(args) == 2 and args[1] is Ellipsis:
        return _in_each(value, args[0], path)
    is_bare = not args and hint is typing.Tuple  # noqa: UP006
    if is_bare or any(get_origin(arg) is Unpack or getattr(arg, "__unpacked__", False) for arg in args):
        return None
    if len(args) != len(value):
        return TypeProblem(path, f"expected {len(args)} items, got {len(value)}")
    return _first_problem((f"{path}[{i}]", item, arg) for i, (item, arg) in enumerate(zip(value, args, strict=True)))


def _in_each(value: Collection[Any], hint: Any, path: str) -> TypeProblem | None:
    return _first_problem((f"{path}[{i}]", item, hint) for i, item in enumerate(value))


def _first_problem(parts: Iterable[tuple[str, Any, Any]]) -> TypeProblem | None:
    return next((found for where, item, hint in parts if (found := _find_problem(item, hint, where))), None)


def _in_type(value: Any, hint: Any, path: str) -> TypeProblem | None:
    (wanted,) = get_args(hint) or (Any,)
    kinds = get_args(wanted) if get_origin(wanted) in UNIONS else (wanted,)
    fits = any(kind is Any or not isinstance(kind, type) or issubclass(value, kind) for kind in kinds)
    return None if fits else _mismatch(value, hint, path)
