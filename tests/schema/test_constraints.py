"""constraints.py: bounds by the names that msgspec, annotated_types and pydantic share."""

from typing import Any

import annotated_types
import msgspec
import pydantic
import pytest

from agentrt.schema.constraints import CONSTRAINTS, broken_constraints, constraints_of, describe_constraints

LENGTH = annotated_types.Len(2, 3)


@pytest.mark.parametrize(
    ("value", "meta", "broken"),
    [
        (3, msgspec.Meta(ge=3), []),
        (2, msgspec.Meta(ge=3, multiple_of=5), [">= 3", "a multiple of 5"]),
        (2, annotated_types.Gt(2), ["> 2"]),
        ("abcd", LENGTH, ["length <= 3"]),
        ("a", pydantic.Field(min_length=2), ["length >= 2"]),
        ("b", msgspec.Meta(pattern="^a"), ["text that matches ^a"]),
        (None, msgspec.Meta(ge=3), []),
        (1, "a note", []),
    ],
)
def test_what_a_value_breaks(value: Any, meta: Any, broken: list[str]) -> None:
    assert list(broken_constraints(value, meta)) == broken


def test_a_condition_that_is_a_function_is_named() -> None:
    def odd(value: int) -> bool:
        return value % 2 == 1

    (broken,) = broken_constraints(2, annotated_types.Predicate(odd))
    assert broken.endswith("odd")
    assert list(broken_constraints(3, annotated_types.Predicate(odd))) == []


def test_bounds_by_name_and_in_words() -> None:
    bounds = constraints_of([msgspec.Meta(ge=0), "a note", annotated_types.Lt(9), msgspec.Meta(pattern="^a")])
    assert bounds == {"ge": 0, "lt": 9, "pattern": "^a"}
    assert describe_constraints(bounds) == ">= 0, < 9, matching ^a"
    assert describe_constraints({}) == ""


def test_each_constraint_is_one_that_some_library_has() -> None:
    names = {*dir(msgspec.Meta), *dir(pydantic.Field()), "gt", "ge", "lt", "le", "min_length", "max_length"}
    assert set(CONSTRAINTS) <= names
