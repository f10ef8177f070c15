"""The values that an enum, a Literal or an optional bool allows."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal, NamedTuple, get_args, get_origin

from .annotations import base_of

__all__ = ["Choice", "choices_of", "is_same_choice"]


class Choice(NamedTuple):
    """One of the values that a field may take, and the label that stands for it."""

    label: str
    value: Any


def choices_of(hint: Any, optional: bool = False) -> tuple[Choice, ...]:
    """The choices of an annotation without None; empty where the values can't be listed.

    Args:
        hint: The annotation, without None; see `split_optional`.
        optional: Whether None is a choice too: it comes first.

    >>> choices_of(Literal["red", "blue"])
    (Choice(label='red', value='red'), Choice(label='blue', value='blue'))
    """
    base = base_of(hint)
    if get_origin(base) is Literal:
        values = list(get_args(base))
        distinct = len({str(value) for value in values}) == len(values)
        found = [Choice(str(value) if distinct else repr(value), value) for value in values]
    elif isinstance(base, type) and issubclass(base, Enum):
        found = [Choice(name, member) for name, member in base.__members__.items()]
    elif base is bool and optional:
        found = [Choice("true", True), Choice("false", False)]
    else:
        return ()
    return (Choice("none", None), *found) if optional else tuple(found)


def is_same_choice(left: Any, right: Any) -> bool:
    """Whether two values are equal and of one type: 1, True and "1" are three choices."""
    return type(left) is type(right) and bool(left == right)
