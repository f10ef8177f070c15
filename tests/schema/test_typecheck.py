"""typecheck.py: values against annotations, and the path of what does not fit."""

import dataclasses
import enum
import re
import typing
from collections.abc import Callable, Sequence
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
)

import annotated_types
import msgspec
import numpy
import pydantic
import pytest
import typing_extensions

from agentrt import Activity, ActivityValidationError, ProcessingError
from agentrt.schema.annotations import annotation_problem
from agentrt.schema.typecheck import find_problem
from tests.support import virtual


class Trip(TypedDict):
    to: str
    nights: NotRequired[int]


@dataclasses.dataclass
class Point:
    x: int


class Struct(msgspec.Struct):
    x: int


class Model(pydantic.BaseModel):
    x: int


class Colour(enum.Enum):
    RED = 1


class Speaks(Protocol):
    def speak(self): ...


T = TypeVar("T")


class Box(TypedDict, Generic[T]):
    inside: T
    more: NotRequired[list[T]]


class Later(TypedDict):
    to: "str"
    nights: "NotRequired[int]"


class Bounded(TypedDict):
    x: Annotated[int, msgspec.Meta(gt=0)]


class Gives(Protocol[T]):
    def give(self) -> T: ...


class Env(dict, Generic[T]):
    """A container whose argument is about its values."""


class Unshowable:
    def __str__(self):
        return "unshowable"

    def __repr__(self):
        raise RuntimeError("no repr")


class Incomparable:
    __hash__ = None

    def __eq__(self, other):
        raise RuntimeError("no eq")


class Endless(Sequence):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise RuntimeError("no items")


Id = NewType("Id", int)
Ids = typing_extensions.TypeAliasType("Ids", list[int])
Small = Annotated[int, msgspec.Meta(le=10)]


def name(value: object) -> str:
    """A parameter in the name of a test: the same in every process, so without addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


FITS = [
    (1, int),
    (1, float),
    (True, int),
    (None, None),
    (None, int | None),
    ("x", Optional[str]),  # noqa: UP045
    (1, Union[str, int]),  # noqa: UP007
    (1, (str, int)),
    ("a", Literal["a", "b"]),
    ([1], list[int]),
    ([], list[int]),
    ((1, "a"), tuple[int, str]),
    ((1, 2, 3), tuple[int, ...]),
    ((), tuple[()]),
    ({"a": [1]}, dict[str, list[int]]),
    ({1, 2}, set[int]),
    ([1], Sequence[int]),
    ({"to": "x"}, Trip),
    ({"to": "x", "nights": 2}, Trip),
    (Point(1), Point),
    (Struct(1), Struct),
    (Model(x=1), Model),
    (Colour.RED, Colour),
    (3, Id),
    (3, Small),
    (object(), Speaks),
    (object(), Any),
    ([object()], list[Any]),
    (print, Callable[[int], None]),
    (int, type[int]),
    (bool, type[int | str]),
    (str, type[Any]),
    ((1, 2), Sequence[int]),
    ((1, "x"), tuple[int, *tuple[str, ...]]),
    ((1, 2), typing.Tuple),  # noqa: UP006
    ({"inside": 1}, Box[int]),
    ({"inside": 1, "more": [2]}, Box[int]),
    ({"inside": "x"}, Box),
    (None, Box[int] | None),
    ({"to": "x"}, Later),
    (5, Gives[int]),
    (Env(a=1), Env[int]),
    (Colour.RED, Literal[Colour.RED]),
    ([1], Ids),
    (None, Annotated[int | None, annotated_types.Gt(0)]),
    ("a", Annotated[int | str, msgspec.Meta(gt=0)]),
    ([Point(1)], Annotated[list[Point], msgspec.Meta(min_length=1)]),
    ("ab", Annotated[str, annotated_types.Predicate(str.islower), "words for people"]),
    (5, Annotated[int, pydantic.Field(gt=0)]),
]
WRONG = [
    ("1", int, "", "expected int, got str '1'"),
    (1.5, int, "", "expected int, got float 1.5"),
    (None, int, "", "expected int, got NoneType None"),
    (0, None, "", "expected None, got int 0"),
    (1.5, int | None, "", "expected int | None, got float 1.5"),
    (1.5, (str, int), "", "expected str | int, got float 1.5"),
    ("c", Literal["a", "b"], "", "expected Literal['a', 'b'], got str 'c'"),
    ([1, "2"], list[int], "[1]", "expected int, got str '2'"),
    ((1,), list[int], "", "expected list[int], got tuple (1,)"),
    ((1, 2), tuple[int, str], "[1]", "expected str, got int 2"),
    ((1,), tuple[int, str], "", "expected 2 items, got 1"),
    ({"a": [1, "x"]}, dict[str, list[int]], "['a'][1]", "expected int, got str 'x'"),
    ({1: 1}, dict[str, int], " key 1", "expected str, got int 1"),
    ({}, Trip, "to", "is missing"),
    ({"to": 1}, Trip, "to", "expected str, got int 1"),
    ({"to": "x", "via": 1}, Trip, "via", "is not a key of Trip"),
    ([{"to": 1}], list[Trip], "[0].to", "expected str, got int 1"),
    ({"x": 1}, Point, "", "expected Point, got dict {'x': 1}"),
    ("x", Id, "", "expected int, got str 'x'"),
    (30, Small, "", "expected <= 10, got int 30"),
    ({"inside": "x"}, Box[int], "inside", "expected int, got str 'x'"),
    ({"inside": 1, "more": ["x"]}, Box[int], "more[0]", "expected int, got str 'x'"),
    ({"x": -5}, Bounded, "x", "expected > 0, got int -5"),
    (True, Literal[1, 2], "", "expected Literal[1, 2], got bool True"),
    (1.0, Literal[1, 2], "", "expected Literal[1, 2], got float 1.0"),
    (numpy.int64(1), Literal[1], "", f"expected Literal[1], got int64 {numpy.int64(1)!r}"),
    (numpy.array([1, 2]), Literal["a"], "", "expected Literal['a'], got ndarray array([1, 2])"),
    ((1, 2), tuple[()], "", "expected 0 items, got 2"),
    (str, type[int], "", "expected type[int], got type <class 'str'>"),
    ((1, "x"), Sequence[int], "[1]", "expected int, got str 'x'"),
    (["x"], Ids, "[0]", "expected int, got str 'x'"),
    (-5, Annotated[int, annotated_types.Gt(0)], "", "expected > 0, got int -5"),
    (-5, Annotated[int, pydantic.Field(gt=0)], "", "expected > 0, got int -5"),
    (5, Annotated[int, msgspec.Meta(multiple_of=2)], "", "expected a multiple of 2, got int 5"),
    ("", Annotated[str, annotated_types.Len(1, 3)], "", "expected length >= 1, got str ''"),
    ("x", Annotated[str, msgspec.Meta(pattern="^a")], "", "expected text that matches ^a, got str 'x'"),
    ("Ab", Annotated[str, annotated_types.Predicate(str.islower)], "", "expected str.islower, got str 'Ab'"),
    (Unshowable(), int, "", "expected int, got Unshowable <Unshowable, whose repr raises RuntimeError>"),
    (
        Endless(),
        Sequence[int],
        "",
        "can't be checked against collections.abc.Sequence[int]: RuntimeError('no items')",
    ),
]


@pytest.mark.parametrize(("value", "hint"), FITS, ids=name)
def test_it_fits(value, hint):
    assert find_problem(value, hint) is None


@pytest.mark.parametrize(("value", "hint", "path", "text"), WRONG, ids=name)
def test_it_does_not_fit_and_says_where_and_why(value, hint, path, text):
    assert find_problem(value, hint) == (path, text)


def test_what_can_not_be_compared_is_no_literal():
    assert find_problem(Incomparable(), Literal[1, 2])[1].startswith("expected Literal[1, 2], got Incomparable")


@pytest.mark.parametrize("hint", [hint for _, hint in FITS] + [hint for _, hint, _, _ in WRONG], ids=name)
def test_every_annotation_that_is_checked_is_taken(hint):
    assert annotation_problem(hint) is None


def test_a_long_value_is_cut_in_the_message():
    assert len(find_problem("x" * 10_000, int)[1]) < 120


# --- when a payload is sent, and before a state is committed


@pytest.mark.parametrize(
    ("accepts", "good", "bad"),
    [
        (int, 1, "1"),
        (float, 1, "1"),
        (list[int], [1], ["x"]),
        (Trip, {"to": "x"}, {"from": "y"}),
        (Point, Point(1), {"x": 1}),
        (Struct, Struct(1), Point(1)),
        (Model, Model(x=1), {"x": 1}),
        (int | None, None, "x"),
        ((int, str), "x", 1.5),
        (Small, 3, 30),
    ],
    ids=name,
)
@virtual
async def test_payloads_are_checked_when_sent_however_many_came_before(manager, accepts, good, bad):
    runtime = manager.create("a", 0, lambda activity, state: state + 1, accepts=accepts)
    for _ in range(3):
        await runtime.ask(good)
        with pytest.raises(ActivityValidationError, match="'a' does not take this payload"):
            runtime.send_nowait(bad)
        with pytest.raises(ActivityValidationError):
            runtime.validate(bad)
        with pytest.raises(ActivityValidationError):
            runtime.send_nowait(Activity(payload=bad))
    assert (runtime.state, runtime.fates().accepted) == (3, 3)


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, 1, "1"),
        (float, 1, "1"),
        (Trip, {"to": "x"}, {"from": "y"}),
        (tuple[int, ...], (1,), ("x",)),
        (Point, Point(1), {"x": 1}),
        (int | None, None, "x"),
    ],
    ids=name,
)
@pytest.mark.filterwarnings("ignore:the state of")
@virtual
async def test_states_are_checked_before_they_are_committed(manager, hint, good, bad):
    def workflow(activity, state):
        return activity.payload

    workflow.__annotations__ = {"state": hint}
    runtime = manager.create("a", good, workflow)
    for _ in range(3):
        await runtime.ask(good)
        with pytest.raises(ProcessingError, match="returned a wrong state"):
            await runtime.ask(bad)
        assert runtime.state == good


@virtual
async def test_the_problem_names_its_path(manager):
    runtime = manager.create("a", 0, lambda activity, state: state, accepts=list[Trip])
    with pytest.raises(ActivityValidationError, match=r"at \[0\]\.to expected str") as caught:
        runtime.send_nowait([{"to": 1}])
    assert caught.value.problems == {"[0].to": "expected str, got int 1"}
    assert caught.value.runtime == "a"


@virtual
async def test_a_workflow_that_forgets_to_return_gets_an_error(manager):
    def forgets(activity, state):
        state + 1

    runtime = manager.create("a", 0, forgets)
    with pytest.raises(ProcessingError, match="returned None; a workflow must return the new state"):
        await runtime.ask(1)
    assert await manager.create("none", None, forgets_nothing).ask(1) is None


def forgets_nothing(activity, state):
    return None


@virtual
async def test_a_swap_changes_what_is_taken(manager):
    def texts(activity: Activity[str], state: str) -> str:
        return state + activity.payload

    runtime = manager.create("a", "", lambda activity, state: state, accepts=None)
    await runtime.ask(1)
    runtime.swap(texts)
    with pytest.raises(ActivityValidationError):
        runtime.send_nowait(1)
    assert await runtime.ask("x") == "x"
    assert runtime.accepts is str
