"""preview.py: what `repr` says, and no more of it computed than is shown."""

import collections
import dataclasses
import tracemalloc
import types
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt import Activity, Outcome, ProcessingError, RuntimeManager
from agentrt.schema.preview import preview
from tests.support import add


@dataclasses.dataclass
class Data:
    text: Any
    items: Any = ()
    hidden: int = dataclasses.field(default=0, repr=False)


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    text: Any


class Record(msgspec.Struct):
    text: Any
    number: int = 1


class Named(NamedTuple):
    text: Any
    number: int = 1


class Model(pydantic.BaseModel):
    text: Any


class Texts(list[str]):
    """A list with the repr of a list."""


class Own:
    def __repr__(self) -> str:
        return "<my own>"


VALUES = [
    1, -1.5, True, None, ..., 3j, "it's", b"a\x00", bytearray(b"ab"), [], [1], (), (1,), (1, 2), {}, {"a": 1},
    set(), {1}, frozenset(), frozenset({1}), range(3), Texts("ab"), int, Own(), ValueError("no", 1), KeyError(),
    collections.deque([1]), collections.deque([1], maxlen=3), collections.Counter("aab"), collections.Counter(),
    collections.OrderedDict(a=1), collections.OrderedDict(), collections.defaultdict(int, a=1),
    types.SimpleNamespace(a=1), Data("x", [1]), Slotted("x"), Record("x"), Named("x"), Model(text="x"),
    [{"a": (1, {2})}, Data({"b": Record(Named(1))})], np.arange(3), np.float64(1.5),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
@pytest.mark.parametrize("most", [5, 60, 1000])
def test_it_is_the_beginning_of_the_repr(value: Any, most: int) -> None:
    assert preview(value, most) == repr(value)[:most]


LEAVES = st.integers() | st.text() | st.binary() | st.none() | st.booleans() | st.floats()
NESTED = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(NESTED, st.integers(1, 100))
def test_it_is_the_beginning_of_the_repr_of_anything_nested(value: Any, most: int) -> None:
    assert preview(value, most).rstrip("'\"") == repr(value)[:most].rstrip("'\"") or '"' in repr(value)


def test_what_holds_itself_ends() -> None:
    items: list[Any] = []
    items.append(items)
    assert preview(items) == repr(items)
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert preview(deep).startswith("[[[[")


LARGE = 5_000_000
FRAME = pd.DataFrame({"a": ["x" * 1000] * 2000, "b": range(2000)})
MANY = list(range(LARGE // 8))
HUGE = {
    "str": "x" * LARGE,
    "bytes": bytes(LARGE),
    "bytearray": bytearray(LARGE),
    "list": MANY,
    "dict": dict.fromkeys(range(100_000), "x"),
    "set": set(MANY),
    "deque": collections.deque(MANY),
    "counter": collections.Counter(range(100_000)),
    "dataclass": Data("x" * LARGE, MANY),
    "slotted": Slotted(MANY),
    "struct": Record("x" * LARGE),
    "namedtuple": Named(MANY),
    "model": Model(text="x" * LARGE),
    "exception": ValueError("x" * LARGE),
    "array": np.zeros(LARGE),
    "object array": np.array(["x" * LARGE, None], dtype=object),
    "frame": FRAME,
    "table": pa.table({"a": ["x" * LARGE, "y"]}),
    "int": 1 << LARGE,
}


@pytest.mark.parametrize("value", HUGE.values(), ids=list(HUGE))
@pytest.mark.parametrize("around", [lambda value: value, lambda value: [value], lambda value: {"a": (value,)}])
def test_it_makes_no_more_than_it_shows(value: Any, around: Any) -> None:
    value = around(value)
    tracemalloc.start()
    try:
        text = preview(value, 200)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0 < len(text) <= 200
    assert peak < 100_000


def test_a_large_table_or_array_is_said_by_its_shape() -> None:
    assert preview(np.zeros((1000, 3))) == "<ndarray of shape (1000, 3), float64>"
    assert preview(FRAME) == "<DataFrame of shape (2000, 2), columns 'a', 'b'>"
    assert preview(pa.table({"a": [1]})) == "<Table of shape (1, 1), columns 'a'>"


class Unseeable:
    def __repr__(self) -> str:
        raise RuntimeError("not connected")


def test_a_repr_that_raises_is_named() -> None:
    assert preview(Unseeable()) == "<Unseeable, whose repr raises RuntimeError>"


def test_the_repr_of_what_people_hold_is_bounded() -> None:
    with RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", b"\0" * LARGE, add)
        error = ProcessingError("no")
        error.__cause__ = ValueError("x" * LARGE)
        held = [
            runtime,
            runtime.snapshot(),
            Activity(payload=bytes(LARGE)),
            Outcome(1, 1, "a", False, "failed", 0.0, 0.0, 0.0, bytes(LARGE), bytes(LARGE), error),
        ]
        tracemalloc.start()
        try:
            texts = [repr(each) for each in held]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert all(len(text) < 5_000 for text in texts)
    assert peak < LARGE // 10
