"""codec.py: values as data, made again without running foreign code."""

import collections
import contextlib
import dataclasses
import datetime
import enum
import os
import pickle
import typing
import zoneinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from uuid import UUID

import attrs
import msgspec
import numpy
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.engine.codec import decode, encode, find_record_types
from agentrt.schema.record_types import is_record_type


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: typing.Any = None

    def __post_init__(self):
        assert self.x != 13, "the code of a dataclass does not run when it is decoded"


@dataclasses.dataclass(slots=True)
class Slotted:
    inner: "Point | None"
    later: int = dataclasses.field(init=False)


class Plane(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    tail_number: str
    seats: int = 0

    def __post_init__(self):
        if self.seats < 0:
            raise ValueError("no such seats")


class Pair(typing.NamedTuple):
    first: int
    second: object


class Colour(enum.StrEnum):
    RED = "red"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Model(pydantic.BaseModel):
    n: int
    text: str = "?"


@attrs.frozen
class Thing:
    n: int


class Plain:
    pass


TYPES = [Point, Slotted, Plane, Pair, Colour, Rights, Model, Thing]
UTC = datetime.UTC
VALUES = [
    *(None, True, 1.5, -0.0, "text", b"bytes", bytearray(b"b"), 0, -(2**63), 2**64 - 1, 2**64, -(2**200), 1 + 2j),
    *([], [1, [2, [3]]], (), (1, ("a",)), {1, 2}, frozenset({"a"}), range(1, 9, 3), [2**70, 1], [True, 1]),
    *({}, {"a": {"b": 1}}, {1: 2, (1, 2): "tuple", None: []}, collections.Counter("abca")),
    *(collections.OrderedDict(b=1, a=2), collections.deque([1, 2], 5), collections.deque()),
    *(Decimal("1.50"), Fraction(1, 3), UUID(int=5), Path("/a/b"), PurePosixPath("c")),
    *(datetime.date(2013, 7, 22), datetime.timedelta(1, 2, 3), datetime.time(5, 6, tzinfo=UTC), UTC),
    *(datetime.datetime(2013, 7, 22, 5, 6, 7, 8), datetime.datetime(2013, 10, 27, 2, 30, tzinfo=UTC, fold=1)),
    datetime.datetime(2013, 7, 22, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    *(Point(1, [Point(2)]), Plane(tail_number="D-1", seats=3), Pair(1, Pair(2, None)), Colour.RED, Rights.READ),
    *(Rights.READ | Rights.WRITE, Rights(0), Model(n=3), Thing(4), {Colour.RED: [Thing(1)]}),
    *(msgspec.UNSET, ..., NotImplemented),
]


def same(value):
    return decode(encode(value, TYPES), TYPES)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was(value):
    again = same(value)
    assert type(again) is type(value)
    assert again == value
    assert repr(again) == repr(value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_any_plain_value_comes_back(value):
    assert same(value) == value
    assert repr(same(value)) == repr(value)


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(6.0).reshape(2, 3),
        numpy.asfortranarray(numpy.arange(6).reshape(2, 3)),
        numpy.array(["a", "bc"]),
        numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        numpy.array("2013-07-22", "M8[D]"),
        numpy.array([]),
    ],
)
def test_arrays_come_back(array):
    again = same({"a": array})["a"]
    assert type(again) is numpy.ndarray
    assert again.dtype == array.dtype
    numpy.testing.assert_array_equal(again, array)


@pytest.mark.parametrize(
    "number", [numpy.float64(1.5), numpy.int8(3), numpy.bool_(True), numpy.datetime64("2013", "D")]
)
def test_numbers_of_numpy_come_back(number):
    assert type(same(number)) is type(number)
    assert same([number]) == [number]


def test_a_field_that_is_not_set_stays_so():
    again = same(Slotted(Point(1)))
    assert again.inner == Point(1)
    assert not hasattr(again, "later")


def test_of_a_class_only_the_init_of_a_struct_is_called():
    thirteen = object.__new__(Point)
    object.__setattr__(thirteen, "x", 13)
    assert same(thirteen).x == 13
    data = encode(Plane(tail_number="x", seats=1), TYPES).replace(b"\x01", b"\xff")  # -1 seats, by anybody
    with pytest.raises(ValueError, match="no such seats"):
        decode(data, TYPES)


class Evil:
    def __reduce__(self):
        return os.abort, ()


@pytest.mark.parametrize(
    "value", [Evil(), [Evil()], {"a": Evil()}, {Evil(): 1}, Point(1, Evil()), Plain(), object(), print, lambda: 1, int]
)
def test_what_is_no_data_is_refused_with_its_type_and_the_ways_out(value):
    with pytest.raises(TypeError, match=r"can't come back .*name its type in the annotations.*'process-pickle'"):
        encode(value, TYPES)


def test_a_record_of_a_type_that_is_not_in_the_list_is_refused():
    with pytest.raises(TypeError, match=r"test_codec\.Point can't come back"):
        encode(Point(1), [])


def test_subclasses_of_plain_types_and_arrays_of_objects_are_refused():
    class Text(str):
        pass

    for value in (Text("a"), collections.defaultdict(list), numpy.array([Evil()], object), numpy.ma.array([1])):
        with pytest.raises(TypeError, match="can't come back"):
            encode(value, TYPES)


def test_what_contains_itself_and_texts_that_are_none_are_errors():
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match="contains itself"):
        encode(endless, TYPES)
    with pytest.raises(ValueError, match="surrogates"):
        encode("\ud800", TYPES)


@pytest.mark.parametrize(
    "form",
    [
        *(
            ["record", 99, [], []],
            ["record", -1, [], []],
            ["record", 0, ["x", "__class__"], [1, 2]],
            ["enum", 4, "BLUE"],
        ),
        *(["record", "0", [], []], ["record", 4, [], []], ["nothing", 1], [], [[]], [1], ["value_of", 1], {"a": 1}),
        *(
            ["tuple"],
            ["array", b"\x93NUMPY"],
            ["ZoneInfo", "../../etc/passwd"],
            ["constant", "print"],
            ["set", [["list", []]]],
        ),
    ],
    ids=repr,
)
def test_what_anybody_writes_is_an_error_and_nothing_else(form):
    with pytest.raises(ValueError, match="not a value as data"):
        decode(msgspec.msgpack.encode(form), TYPES)


def test_a_pickle_is_no_data():
    array = numpy.array([Evil()], object)
    for data in (pickle.dumps(Evil()), b"", b"\xc1", os.urandom(1000), b"\x91" * 100_000, _npy_with_pickle(array)):
        with pytest.raises(ValueError, match="not a value as data"):
            decode(data, TYPES)


def _npy_with_pickle(array):
    import io

    file = io.BytesIO()
    numpy.save(file, array, allow_pickle=True)
    return msgspec.msgpack.encode(["array", file.getvalue()])


@given(st.binary())
def test_no_bytes_do_anything_else(data):
    with contextlib.suppress(ValueError):
        decode(data, TYPES)


def test_which_classes_are_records():
    assert all(map(is_record_type, TYPES))
    for kind in (int, tuple, Plain, Evil, Exception, type, list[int], 3, None):
        assert not is_record_type(kind)


class Base(msgspec.Struct):
    other: "dict[str, Point] | None" = None


class Derived(Base):
    rights: Rights = Rights.READ


class Shape(typing.TypedDict):
    colour: typing.NotRequired[Colour]


def test_annotations_name_types_at_any_depth():
    hint = typing.Annotated[list[Base | int] | Shape, "doc"]
    assert set(find_record_types([hint, None, typing.Literal[3]])) == {Base, Derived, Rights, Point, Colour}
    assert find_record_types([int, typing.Any, list[typing.Any], collections.abc.Callable[..., int]]) == []


def test_annotations_that_can_not_be_read_name_nothing():
    @dataclasses.dataclass
    class Odd:
        n: "Missing"  # noqa: F821 - it does not exist, and that is the point

    assert find_record_types([Odd]) == [Odd]
