"""Recursive types, such as `type Json = dict[str, Json] | list[Json] | str | int | None`.

`typing` leaves the inner mention of a recursive name as it is written where that is a text, and msgspec does not read
recursive names at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, get_args, get_origin

from .annotations import UNIONS, alias_target, resolve, texts_in, union_of

__all__ = ["Inner", "RecursiveName", "resolve_recursion", "unroll"]


class RecursiveName:
    """Stands for a name inside of what it names, as a `TypeAliasType` does."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self.__value__: Any = Any

    def __call__(self) -> None:
        """What can be called is a type for `typing`."""

    def __repr__(self) -> str:
        return self.__name__


def resolve_recursion(hints: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Annotations with the recursive names resolved that `typing.get_type_hints` leaves.

    Args:
        hints: Annotations by the name of what they are about.
        names: What names stand for where the annotations are written.
    """
    left = {name for hint in hints.values() for name in texts_in(hint) if name in names}
    if not left:
        return dict(hints)
    found = {name: RecursiveName(name) for name in left}
    for name, alias in found.items():
        alias.__value__ = resolve(names[name], {**names, **found})
    return {name: resolve(hint, {**names, **found}) for name, hint in hints.items()}


class AnyInstance(type):
    """Every object is an instance: what was read for such a class need not be made by it."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return True


class Inner(metaclass=AnyInstance):
    """Stands for a recursive type inside of itself: a class of its own for each, with the type as `hint`."""

    hint: ClassVar[Any]


def unroll(hint: Any) -> Any:
    """An annotation without aliases: what is recursive in it is an `Inner`, which has to be read again."""
    return _unroll(hint, ())


def _unroll(hint: Any, inside: tuple[Any, ...]) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return Annotated[(_unroll(args[0], inside), *hint.__metadata__)]
    target = None if hasattr(hint, "__supertype__") else alias_target(hint)
    if target is not None:
        return _unroll(target, (*inside, hint))
    if origin in UNIONS:
        return union_of(tuple(_unroll(arg, inside) for arg in args))
    if not isinstance(origin, type) or not args:
        return hint
    parts = tuple(_stand_in(arg) if _mentions(arg, inside) else _unroll(arg, inside) for arg in args)
    generic: Any = origin
    return hint if parts == args else generic[parts]


def _mentions(hint: Any, names: tuple[Any, ...]) -> bool:
    """Whether one of the names is an alternative of this annotation."""
    if get_origin(hint) in UNIONS:
        return any(_mentions(arg, names) for arg in get_args(hint))
    return hint in names or (get_origin(hint) is Annotated and _mentions(get_args(hint)[0], names))


def _stand_in(hint: Any) -> AnyInstance:
    return AnyInstance("Inner", (Inner,), {"hint": hint})
