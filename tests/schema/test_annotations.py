"""annotations.py: what an annotation stands for, and which ones can't be checked."""

import re
from typing import Annotated, Any, ForwardRef, NewType, Optional, TypedDict

import pytest
import typing_extensions

from agentrt import Activity, ConfigurationError
from agentrt.schema.annotations import annotation_problem, base_of, describe, is_plain_class, split_optional
from tests.support import virtual

Metres = NewType("Metres", Annotated[int, "of a wall"])  # type: ignore[valid-newtype]
Alias = typing_extensions.TypeAliasType("Alias", Metres)


class Unshowable:
    def __str__(self):
        return "unshowable"

    def __repr__(self):
        raise RuntimeError("no repr")


def name(value: object) -> str:
    """A parameter in the name of a test: the same in every process, so without addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


@pytest.mark.parametrize(
    ("hint", "text"),
    [(int, "int"), (int | None, "int | None"), (list[int], "list[int]"), (Any, "Any"), ((int, str), "int | str")],
)
def test_annotations_are_described_as_one_writes_them(hint, text):
    assert describe(hint) == text


@pytest.mark.parametrize("hint", [Metres, Alias, Annotated[Alias, 1], int])
def test_the_base_of_an_alias_is_what_it_stands_for(hint):
    assert base_of(hint) is int


@pytest.mark.parametrize(
    ("hint", "inner", "optional"),
    [
        (Optional[int], int, True),  # noqa: UP045
        (int | str | None, int | str, True),
        (Annotated[int | None, 1], int, True),
        (type(None), type(None), False),
        (int, int, False),
    ],
)
def test_an_optional_annotation_is_split(hint, inner, optional):
    assert split_optional(hint) == (inner, optional)


def test_a_typed_dict_is_no_plain_class():
    assert is_plain_class(int)
    assert not is_plain_class(TypedDict("Empty", {}))


@pytest.mark.parametrize(
    ("hint", "why"),
    [
        ("int", "'int' is a text, not a type"),
        (list["int"], "'int' is a text, not a type"),
        (dict[str, ForwardRef("Gone")], "'Gone' is a text, not a type"),
        ((int, "str"), "'str' is a text, not a type"),
        (5, "5 is not a type"),
        (Unshowable(), "<Unshowable, whose repr raises RuntimeError> is not a type"),
        ((), "an empty tuple names no type"),
    ],
    ids=name,
)
@virtual
async def test_what_is_no_annotation_is_refused_when_the_runtime_is_created(manager, hint, why):
    assert annotation_problem(hint) == why
    with pytest.raises(ConfigurationError, match=re.escape(f"accepts can't be checked: {why}")):
        manager.create("a", 0, lambda activity, state: state, accepts=hint)
    assert "a" not in manager


@virtual
async def test_a_record_whose_annotations_name_something_unknown_is_refused_where_it_is_asked_for(manager):
    class Broken(TypedDict):
        to: "Gone"  # noqa: F821

    def workflow(activity: Activity[Broken], state: int) -> int:
        return state + 1

    with pytest.raises(ConfigurationError, match="the annotations of Broken can't be read"):
        manager.create("a", 0, lambda activity, state: state, accepts=list[Broken])
    with pytest.warns(UserWarning, match="is not checked: the annotations of Broken can't be read"):
        runtime = manager.create("a", 0, workflow)
    assert await runtime.ask({"anything": 1}) == 1
