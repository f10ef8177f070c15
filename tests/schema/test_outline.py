"""Values that travel as the tree that a view draws: the same picture, bounded, whatever comes."""

import contextlib
import datetime as dt
import random
from collections import Counter, OrderedDict, namedtuple
from dataclasses import dataclass
from enum import Enum, StrEnum

import msgspec
import pytest

from agentrt.schema.difference import changes
from agentrt.schema.outline import OF_STATE, Bounds, outline, restore
from agentrt.schema.parts import Outline
from agentrt.views.runtime.state import tree
from agentrt.views.text import brief


@dataclass
class Flight:
    number: int
    carrier: str = "UA"


class Point(msgspec.Struct, frozen=True):
    x: int


class Color(Enum):
    RED = 1


class Word(StrEnum):
    GO = "go"


class Hostile:
    def __repr__(self):
        raise RuntimeError


class Broken(dict):
    def items(self):
        raise RuntimeError


Pair = namedtuple("Pair", "a b")
VALUES = [
    None,
    True,
    3,
    -1.5,
    float("inf"),
    "text",
    "ü" * 10,
    b"bytes",
    10**30,
    1 + 2j,
    (),
    [],
    {},
    set(),
    frozenset(),
    (1,),
    [1, (2, [3])],
    {"a": 1, 2: [3]},
    {1, 2},
    frozenset({"x"}),
    Flight(1),
    Point(2),
    Pair(1, 2),
    Color.RED,
    Word.GO,
    {"flights": [Flight(1), Flight(2, "AA")], "at": dt.datetime(2013, 7, 22)},
    list(range(500)),
    {i: i for i in range(99)},
    OrderedDict(a=1),
    Counter("aab"),
    Hostile(),
    "x" * 5_000,
    [[[[[[[[[[1]]]]]]]]]],
    {(1, 2): {3}},
    Flight,
    len,
    range(4),
]


def travel(value, bounds=OF_STATE):
    return restore(msgspec.msgpack.decode(msgspec.msgpack.encode(outline(value, bounds))))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_the_picture_is_the_same(value):
    there = travel(value)
    assert brief(there, 200) == brief(value, 200)
    assert tree(there)[0] == tree(value)[0]


@pytest.mark.parametrize("value", [3, "a", (1, 2), [1, {"a": (2,)}], {"a": {1, 2}}, frozenset({1})])
def test_plain_values_come_as_what_they_are(value):
    assert travel(value) == value
    assert type(travel(value)) is type(value)


def test_a_difference_is_the_same():
    old, new = {"a": Flight(1), "b": 1}, {"a": Flight(2), "b": 1}
    assert changes(travel(old), travel(new)) == changes(old, new)
    assert [change.path for change in changes(travel(Flight(1)), travel(Point(1)))] == [""]


def test_the_repr_of_what_is_complete_is_that_of_the_value():
    for value in (Flight(1), (Flight(1), Flight(2, "AA")), Point(3)):
        assert repr(travel(value)) == repr(value)
    assert repr(travel(list(range(60)), Bounds(widest=2))) == "[0, 1, … 58 more]"


def test_it_is_bounded():
    deep = []
    for _ in range(5_000):
        deep = [deep]
    around = []
    around.append(around)
    wide = [list(range(1_000)) for _ in range(1_000)]
    for value in (deep, around, wide, "x" * 10_000_000, {"k" * 100_000: "v" * 100_000}, Broken(a=1)):
        assert len(msgspec.msgpack.encode(outline(value))) < 30_000
    assert len(msgspec.msgpack.encode(outline(wide, Bounds(20, 5, 2, 50)))) < 2_000


def test_what_is_no_utf8_can_travel():
    assert travel("a\ud800") == r"a\ud800"
    assert travel({"\ud800": "\udfff"}) == {r"\ud800": r"\udfff"}


def test_an_outline_travels_on():
    there = travel(Flight(1))
    assert isinstance(there, Outline)
    assert travel(there) == there
    assert travel(travel(Color.RED)) == travel(Color.RED)


@pytest.mark.parametrize(
    "form",
    [
        {},
        ["x"],
        ["x", 1, 2],
        ["q", "", 0, []],
        ["l", "", "0", []],
        ["d", "", 1, [1]],
        [["l"], "", 0, []],
        ["l", 1, 0, []],
        ["l", "", 0, {}],
        object,
    ],
    ids=str,
)
def test_what_is_no_value_is_refused(form):
    with pytest.raises(ValueError, match="no value"):
        restore(form)


def test_nesting_from_anybody_is_bounded():
    form = []
    for _ in range(500):
        form = ["l", "", 1, [form]]
    with pytest.raises(ValueError, match="no value"):
        restore(form)


def test_random_forms_are_a_value_or_refused():
    chance = random.Random(3)

    def form(depth=0):
        if depth > 4 or chance.random() < 0.4:
            return chance.choice([None, 1, "x", 2.5, b"b", "d", "", {}])
        head = [chance.choice("ltsfdrxq"), chance.choice(["", "Name", 3]), chance.choice([0, 1, 2, 10**6])]
        return [*head, [form(depth + 1) for _ in range(chance.randrange(4))]]

    for _ in range(3_000):
        with contextlib.suppress(ValueError):
            brief(restore(form()), 50)
