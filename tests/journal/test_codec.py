"""codec.py: what comes back equals what went in and has its type, or is refused with the path of the field."""

import collections
import contextlib
import dataclasses
import datetime
import enum
import math
import sys
import types
import zoneinfo
from decimal import Decimal
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple, TypedDict

import msgspec
import numpy
import pandas
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.errors import JournalError
from agentrt.journal import Codec, register
from agentrt.schema.equality import is_same
from agentrt.schema.record_types import record_fields


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: Any
    y: Any = 0


class Order(msgspec.Struct, frozen=True):
    item: Any
    count: int = 1


class Doubling(msgspec.Struct):
    n: int

    def __post_init__(self) -> None:
        self.n *= 2


@dataclasses.dataclass
class Flight:
    number: str
    seats: Any = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Gate:
    name: Any


class Plane(pydantic.BaseModel):
    kind: str
    seats: int = 4
    extra: Any = None


class Ticket(TypedDict):
    price: float


class Opaque:
    pass


def register_here(cls: Any) -> Any:
    """Have a class of this file found by its name, whatever the test runner calls the file."""
    return register(cls, name=f"tests:{cls.__qualname__}")


for each in (Colour, Access, Point, Order, Doubling, Flight, Gate, Plane):
    register_here(each)


def back(value: Any) -> Any:
    codec = Codec()
    return codec.decode(codec.encode(value))


def check(value: Any) -> None:
    found = back(value)
    assert type(found) is type(value)
    assert is_identical(found, value), (found, value)


def is_identical(a: Any, b: Any) -> bool:
    """Equal, of the same type at any depth, and NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return math.copysign(1, a) == math.copysign(1, b) and (a == b or (a != a and b != b))
    if isinstance(a, complex):
        return is_identical(a.real, b.real) and is_identical(a.imag, b.imag)
    if isinstance(a, Decimal):
        return str(a) == str(b)
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(is_identical, a.items(), b.items()))
    if isinstance(a, list | tuple | collections.deque):
        return len(a) == len(b) and all(map(is_identical, a, b))
    if isinstance(a, Order | Flight | Gate | Plane):
        return is_identical(
            [getattr(a, name) for name in record_fields(type(a))], [getattr(b, name) for name in record_fields(type(a))]
        )
    if isinstance(a, set | frozenset):
        return len(a) == len(b) and all(any(is_identical(each, other) for other in b) for each in a)
    if isinstance(a, datetime.datetime | datetime.time):
        return a.replace(tzinfo=None) == b.replace(tzinfo=None) and a.fold == b.fold and a.tzinfo == b.tzinfo
    return bool(is_same(a, b))


hashable = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(2**63, 2**70),
        st.floats(),
        st.complex_numbers(),
        st.text(st.characters()),
        st.text(st.characters(categories=["Cs", "Ll"])),
        st.binary(),
        st.decimals(allow_nan=False),
        st.just(Decimal("-NaN12")),
        st.fractions(),
        st.uuids(),
        st.dates(),
        st.times(timezones=st.just(datetime.UTC)),
        st.datetimes(timezones=st.one_of(st.none(), st.timezones()), allow_imaginary=True),
        st.timedeltas(),
        st.sampled_from([*Colour, *Access, Access.READ | Access.WRITE, Access(0), ..., msgspec.UNSET]),
        st.sampled_from([datetime.timezone(datetime.timedelta(hours=2), "CEST"), zoneinfo.ZoneInfo("Europe/Berlin")]),
        st.sampled_from([PurePosixPath("a/b"), PureWindowsPath("c:/x"), PurePosixPath("\udc80"), range(1, 2**70, 3)]),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner),
        st.frozensets(inner, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Gate, inner),
    ),
    max_leaves=6,
)
values = st.recursive(
    hashable,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(), inner, max_size=4),
        st.dictionaries(hashable, inner, max_size=4),
        st.sets(hashable, max_size=4),
        st.builds(Order, inner, st.integers()),
        st.builds(Flight, st.text(), inner),
        st.builds(Plane, kind=st.text(), extra=inner),
        st.builds(collections.deque, st.lists(inner, max_size=3), st.one_of(st.none(), st.just(5))),
        st.builds(collections.OrderedDict, st.dictionaries(hashable, inner, max_size=3)),
        st.builds(lambda d: collections.defaultdict(list, d), st.dictionaries(hashable, inner, max_size=3)),
        st.builds(bytearray, st.binary()),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(values)
def test_what_comes_back_is_what_went_in(value: Any) -> None:
    codec = Codec()
    assert is_identical(codec.decode(codec.encode(value)), value)


@pytest.mark.parametrize(
    "value",
    [
        numpy.arange(6).reshape(2, 3),
        numpy.asfortranarray(numpy.eye(3)),
        numpy.array(["a", "bc"]),
        numpy.array(["2026-01-01"], "datetime64[D]"),
        numpy.zeros(2, [("a", "i4"), ("b", "f8")]),
        numpy.array(5),
        numpy.float32(1.5),
        numpy.int8(-3),
        numpy.bool_(True),
        numpy.str_("abc"),
        numpy.datetime64("2026-01-01T00:00:00.000001"),
        pandas.DataFrame({"a": [1, 2], "b": ["x", None], "c": pandas.to_datetime(["2026-01-01", "2026-01-02"])}),
        pandas.DataFrame({"a": [1.5, 2]}, index=pandas.Index(["x", "y"], name="key")),
        pandas.Series([1, 2, 3], name="n"),
        pandas.DataFrame(),
    ],
    ids=repr,
)
def test_arrays_and_tables(value: Any) -> None:
    found = back(value)
    assert type(found) is type(value)
    if isinstance(value, pandas.DataFrame | pandas.Series):
        assert found.equals(value)
        assert found.index.equals(value.index)
    else:
        assert found.dtype == value.dtype
        assert found.tobytes() == value.tobytes()
        assert found.shape == value.shape


def test_a_typed_dict_is_a_dict() -> None:
    check(Ticket(price=2.5))


def test_a_struct_comes_back_as_it_was_not_as_its_post_init_makes_it() -> None:
    assert Doubling(2).n == 4
    check(Doubling(2))


def test_a_model_keeps_which_fields_were_set() -> None:
    assert back(Plane(kind="A320")).model_fields_set == {"kind"}


class Cyclic(list):  # type: ignore[type-arg]
    pass


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def with_attribute() -> Flight:
    flight = Flight("LH1")
    flight.note = "lost"  # type: ignore[attr-defined]
    return flight


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, Opaque()]}, "state['a'][1] can't"),
        (Flight("LH1", {"x": (1, Opaque())}), "state.seats['x'][1] can't"),
        (Plane(kind="a", extra={1: Opaque()}), "state.extra[1] can't"),
        (with_attribute(), "'note'"),
        (Cyclic(), "Cyclic"),
        (endless(), "contains itself"),
        (lambda: 1, "function"),
        (numpy.array([object()]), "objects"),
        (numpy.str_("a\0"), "numpy"),
        (pandas.DataFrame({"a": [1, "x"]}), "Arrow"),
        (pandas.DataFrame({"a": [Opaque()]}), "Arrow"),
        (pandas.Timestamp("2026-01-01"), "Timestamp"),
        (collections.defaultdict(lambda: 1), "default_factory"),
        (enum.Enum("Local", "A").A, "not found by its name"),
    ],
)
def test_what_would_not_come_back_is_refused_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(JournalError) as caught:
        Codec().encode(value, "state")
    assert path in str(caught.value)


def test_a_registered_class_comes_back_by_its_functions() -> None:
    class Celsius:
        def __init__(self, degrees: float) -> None:
            self.degrees = degrees

    register(Celsius, encode=lambda value: value.degrees, decode=Celsius)
    found = back([Celsius(3.5)])
    assert type(found[0]) is Celsius
    assert found[0].degrees == 3.5


@pytest.mark.parametrize("name", ["os:system", "subprocess:Popen", "builtins:eval", "agentrt.manager:RuntimeManager"])
def test_no_class_but_a_record_is_made_whatever_the_bytes_say(name: str) -> None:
    data = b"\1" + msgspec.msgpack.encode([msgspec.msgpack.Ext(31, b""), [name, "x"], 1])
    with pytest.raises(JournalError, match=r"no record|not here"):
        Codec().decode(data)


def test_no_module_is_imported_unless_the_reader_names_it(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brought_in.py").write_text("import msgspec\nclass A(msgspec.Struct):\n    x: int\n")
    monkeypatch.syspath_prepend(tmp_path)
    data = b"\1" + msgspec.msgpack.encode([msgspec.msgpack.Ext(31, b""), ["brought_in:A", "x"], 1])
    with pytest.raises(JournalError, match="not here"):
        Codec().decode(data)
    assert "brought_in" not in sys.modules
    try:
        assert Codec(modules=["brought_in"]).decode(data).x == 1
    finally:
        sys.modules.pop("brought_in", None)


@settings(max_examples=150, deadline=None)
@given(values, st.data())
def test_damaged_bytes_are_a_value_or_an_error_of_the_journal(value: Any, data: st.DataObject) -> None:
    codec = Codec()
    try:
        good = bytearray(codec.encode(value))
    except JournalError:
        return
    good[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(JournalError):
        codec.decode(bytes(good))


def evolve(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> Codec:
    """A module whose class has these fields now."""
    module = types.ModuleType("evolving")
    cls = dataclasses.make_dataclass("State", list(fields.items()))
    cls.__module__ = "evolving"
    module.State = cls  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "evolving", module)
    return Codec()


def test_a_class_that_has_changed_is_said_with_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = evolve(monkeypatch, a=int, b=int)
    data = codec.encode({"s": [sys.modules["evolving"].State(1, 2)]})
    evolve(monkeypatch, a=int)
    with pytest.raises(JournalError, match=r"state\['s'\]\[0\].*no field 'b'"):
        codec.decode(data, "state")
    assert codec.decode_plain(data) == {"s": [{"a": 1, "b": 2}]}


def test_a_new_field_with_a_default_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = evolve(monkeypatch, a=int)
    data = codec.encode(sys.modules["evolving"].State(1))
    module = sys.modules["evolving"]
    added = ("b", list, dataclasses.field(default_factory=list))
    module.State = dataclasses.make_dataclass("State", [("a", int), added])
    assert codec.decode(data).b == []
    evolve(monkeypatch, a=int, c=int)
    with pytest.raises(JournalError, match="new field 'c'"):
        codec.decode(data)
