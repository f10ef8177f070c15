"""choices.py: the values of enums, Literals and optional bools, with labels that tell them apart."""

from typing import Annotated, Any, Literal, NewType

import pytest

from agentrt.schema.choices import Choice, choices_of, is_same_choice
from tests.schema.records import Mixed

Colour = NewType("Colour", Annotated[Literal["red"], "of a car"])  # type: ignore[valid-newtype]


@pytest.mark.parametrize(
    ("hint", "optional", "labels"),
    [
        (Literal["a", 1], False, ["a", "1"]),
        (Literal["1", 1], False, ["'1'", "1"]),
        (Mixed, True, ["none", "ONE", "TWO"]),
        (Colour, False, ["red"]),
        (bool, True, ["none", "true", "false"]),
        (bool, False, []),
        (int, True, []),
        (Any, False, []),
    ],
)
def test_labels_of_choices(hint: Any, optional: bool, labels: list[str]) -> None:
    assert [choice.label for choice in choices_of(hint, optional)] == labels


def test_none_is_a_choice_where_it_is_allowed() -> None:
    assert choices_of(Mixed, True)[0] == Choice("none", None)


def test_values_of_two_types_are_never_the_same() -> None:
    assert is_same_choice(1, 1)
    assert not is_same_choice(1, True)
    assert not is_same_choice("1", 1)
