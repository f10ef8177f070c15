"""What is shown of a value: its named parts, how many they are, and the name of its type."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Set
from itertools import islice
from typing import Any

import msgspec

__all__ = ["BRACKETS", "Outline", "brackets_of", "field_names", "len_of", "parts_of", "type_name"]

BRACKETS = ((Mapping, "{}"), (list, "[]"), (tuple, "()"), (Set, "{}"))


class Outline(msgspec.Struct, frozen=True):
    """What is shown of a value of another process: its parts, the first of them if they are many; else its text.

    Args:
        kind: The name of its type.
        text: The beginning of its repr, where it has no parts.
        parts: Names and values; None where it has none.
        size: How many parts it has; those that are not here were left out.
        brackets: What stands around the parts; of a record its class and parentheses.
    """

    kind: str
    text: str = ""
    parts: tuple[tuple[Any, Any], ...] | None = None
    size: int = 0
    brackets: tuple[str, str] = ("", "")

    @property
    def named(self) -> bool:
        """Whether its parts have names: it is a record."""
        return self.brackets[0].endswith("(") and len(self.brackets[0]) > 1

    @property
    def keyed(self) -> bool:
        """Whether its parts have keys: it is a mapping."""
        return self.brackets == ("{:", "}")

    def __repr__(self) -> str:
        if self.parts is None:
            return self.text
        names = "{}: {!r}" if self.keyed else "{}={!r}" if self.named else "{1!r}"
        keys = [repr(key) if self.keyed else key for key, _ in self.parts]
        items = [names.format(key, value) for key, (_, value) in zip(keys, self.parts, strict=True)]
        more = [f"… {self.size - len(items)} more"] if self.size > len(items) else []
        opening, closing = brackets_of(self)
        return f"{opening}{', '.join([*items, *more])}{closing}"


def parts_of(value: Any, most: int) -> list[tuple[Any, Any]] | None:
    """The named parts of a value: fields, keys or positions; `most` of them. None if it has none.

    >>> parts_of({"a": 1}, 5)
    [('a', 1)]
    """
    return None if (pairs := _named_parts(value)) is None else list(islice(pairs, most))


def _named_parts(value: Any) -> Iterable[tuple[Any, Any]] | None:
    if isinstance(value, Outline):
        return value.parts
    if isinstance(value, Mapping):
        return value.items()
    if names := field_names(value):
        return ((name, getattr(value, name, "…")) for name in names)
    if isinstance(value, list | tuple | Set):
        return enumerate(value)
    return None


def field_names(value: Any) -> tuple[str, ...]:
    """The names of the fields of a record; none for any other value."""
    if isinstance(value, type):
        return ()
    if isinstance(value, msgspec.Struct):
        return tuple(name for name in value.__struct_fields__ if name != "receipt")
    if dataclasses.is_dataclass(value):
        return tuple(field.name for field in dataclasses.fields(value))
    named = getattr(type(value), "model_fields", None) or getattr(value, "_fields", None)
    return tuple(named) if isinstance(named, tuple | dict) else ()


def len_of(value: Any) -> int:
    """How many parts a value has."""
    if isinstance(value, Outline):
        return value.size
    return len(field_names(value)) or (len(value) if hasattr(value, "__len__") else 0)


def type_name(value: Any) -> str:
    """The name of a value's type, as a person reads it.

    >>> type_name([])
    'list'
    """
    return value.kind if isinstance(value, Outline) else type(value).__name__


def brackets_of(value: Any) -> tuple[str, str]:
    """What stands around the parts of a value."""
    if isinstance(value, Outline):
        return value.brackets[0].removesuffix(":"), value.brackets[1]
    for kind, pair in BRACKETS:
        if isinstance(value, kind) and not hasattr(value, "_fields"):
            return pair[0], pair[1]
    return f"{type(value).__name__}(", ")"
