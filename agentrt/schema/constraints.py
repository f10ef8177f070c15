"""Constraints beside a type in `Annotated[...]`: bounds, lengths, patterns.

They are read by the attribute names that msgspec, annotated_types and pydantic have in common.
"""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["broken_constraints", "constraints_of", "describe_constraints"]


class Constraint(NamedTuple):
    """How a bound is checked, and the words before it in a message."""

    holds: Callable[[Any, Any], object]
    words: str


CONSTRAINTS = {
    "gt": Constraint(operator.gt, ">"),
    "ge": Constraint(operator.ge, ">="),
    "lt": Constraint(operator.lt, "<"),
    "le": Constraint(operator.le, "<="),
    "multiple_of": Constraint(lambda value, bound: value % bound == 0, "a multiple of"),
    "min_length": Constraint(lambda value, bound: len(value) >= bound, "length >="),
    "max_length": Constraint(lambda value, bound: len(value) <= bound, "length <="),
    "pattern": Constraint(lambda value, bound: re.search(bound, value), "text that matches"),
    "tz": Constraint(lambda value, bound: not hasattr(value, "tzinfo") or (value.tzinfo is not None) is bound, "tz"),
}
PHRASES = {name: each.words for name, each in CONSTRAINTS.items() if name != "tz"} | {"pattern": "matching"}


def constraints_of(metadata: Iterable[Any]) -> dict[str, Any]:
    """The bounds by name, such as `{"ge": 0}`, of all the metadata of an annotation."""
    return {name: bound for meta in metadata for name in PHRASES if (bound := getattr(meta, name, None)) is not None}


def describe_constraints(constraints: Mapping[str, Any]) -> str:
    """Bounds by name as they follow the name of a type.

    >>> describe_constraints({"ge": 0, "lt": 10})
    '>= 0, < 10'
    """
    return ", ".join(f"{words} {constraints[name]}" for name, words in PHRASES.items() if name in constraints)


def broken_constraints(value: Any, meta: Any) -> Iterator[str]:
    """What a value breaks, in words, of one piece of metadata: of msgspec, annotated_types, or a pydantic Field."""
    nested = getattr(meta, "metadata", ())
    for inner in nested if isinstance(nested, list) else ():
        yield from broken_constraints(value, inner)
    for name, constraint in CONSTRAINTS.items():
        bound = getattr(meta, name, None)
        if bound is not None and not _holds(constraint, value, bound):
            yield f"{constraint.words} {bound}"
    library = sys.modules.get("annotated_types")  # never imported: whoever has such a condition has imported it
    if library is not None and isinstance(meta, library.Predicate) and not meta.func(value):
        yield str(getattr(meta.func, "__qualname__", meta))


def _holds(constraint: Constraint, value: Any, bound: Any) -> bool:
    try:
        return bool(constraint.holds(value, bound))
    except TypeError:  # the bound is not about a value of this type: in `int | None` it says nothing about None
        return True
