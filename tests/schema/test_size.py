"""size.py: an estimate that is never far under what a value keeps alive, and never takes long."""

import array
import collections
import ctypes
import dataclasses
import datetime
import decimal
import enum
import functools
import io
import threading
import tracemalloc
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pydantic
import pytest

import agentrt
from agentrt.schema import size
from agentrt.schema.size import EXACT, ROUGH, estimate_size

KB = 1_000
TEXT = 100 * KB


@dataclasses.dataclass
class Data:
    text: Any
    number: int = 1


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    text: Any
    number: int = 1


class Slots:
    __slots__ = ("__private", "text")

    def __init__(self, text: Any) -> None:
        self.text = text
        self.__private = text[::-1]


class Plain:
    def __init__(self, text: Any) -> None:
        self.text = text


class Record(msgspec.Struct, frozen=True):
    text: Any


class Untracked(msgspec.Struct, frozen=True, gc=False):
    text: Any


class Named(NamedTuple):
    text: Any


class Model(pydantic.BaseModel):
    text: Any


class Texts(list[Any]):
    def __init__(self, texts: list[Any]) -> None:
        super().__init__(texts)
        self.also = text()


def text(n: int = TEXT) -> str:
    return "x" * n


def texts(n: int, length: int = 40) -> list[str]:
    return [f"{i:0{length}}" for i in range(n)]


def failed() -> Exception:
    big = bytearray(TEXT)
    try:
        raise ValueError(len(big))
    except ValueError as error:
        return error


def caused() -> Exception:
    try:
        try:
            raise ValueError(text())
        except ValueError as error:
            raise RuntimeError("no") from error
    except RuntimeError as error:
        return error.with_traceback(None)


def noted() -> Exception:
    error = ValueError("no")
    error.add_note(text())
    return error


def closure() -> Callable[[], Any]:
    big = text()
    return lambda: big


def linked(n: int) -> Any:
    node: Any = None
    for i in range(n):
        node = [f"{i:050}", node]
    return node


def nested(depth: int, width: int) -> Any:
    return text(40) if depth == 0 else [nested(depth - 1, width) for _ in range(width)]


# What each keeps alive is measured by tracemalloc as it is made.
KINDS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: bytes(TEXT),
    "bytearray": lambda: bytearray(TEXT),
    "str": text,
    "int": lambda: 1 << (8 * TEXT),
    "list": lambda: texts(2000),
    "list of small numbers": lambda: [i % 100 for i in range(50_000)],
    "tuple": lambda: tuple(texts(2000)),
    "set": lambda: set(texts(2000)),
    "frozenset": lambda: frozenset(texts(2000)),
    "dict": lambda: {each: each * 2 for each in texts(2000)},
    "few large": lambda: {"a": text(), "b": [bytes(TEXT)], "c": (1, {2: text()})},
    "one large among many": lambda: [*range(2400), bytes(TEXT * 10), *range(2600)],
    "nested": lambda: nested(4, 10),
    "deep": lambda: nested(10, 2),
    "chain": lambda: linked(90),
    "dict of dicts": lambda: {i: {"name": f"{i:030}", "tags": [f"{i}-{j}" for j in range(5)]} for i in range(3000)},
    "deque": lambda: collections.deque(texts(5000)),
    "OrderedDict": lambda: collections.OrderedDict.fromkeys(texts(2000), 1),
    "defaultdict": lambda: collections.defaultdict(list, {i: texts(5) for i in range(1000)}),
    "Counter": lambda: collections.Counter(texts(2000)),
    "dataclass": lambda: Data(text()),
    "dataclass with slots": lambda: Slotted(bytes(TEXT)),
    "dict of dataclasses with slots": lambda: {i: Slotted(text(200)) for i in range(2000)},
    "many small objects": lambda: [Plain(i) for i in range(5000)],
    "many dataclasses": lambda: [Data(f"{i:020}") for i in range(5000)],
    "slots": lambda: Slots(text()),
    "object": lambda: Plain(text()),
    "Struct": lambda: Record(text()),
    "Struct without gc": lambda: [Untracked(f"{i:050}") for i in range(5000)],
    "NamedTuple": lambda: Named(text()),
    "pydantic": lambda: [Model(text=f"{i:050}") for i in range(1000)],
    "list with attributes": lambda: Texts(texts(10)),
    "namespace": lambda: types.SimpleNamespace(a=text()),
    "memoryview": lambda: memoryview(bytes(TEXT))[:10],
    "array.array": lambda: array.array("d", bytes(TEXT)),
    "BytesIO": lambda: io.BytesIO(bytes(TEXT) + b"1"),
    "ctypes": lambda: ctypes.create_string_buffer(TEXT),
    "partial": lambda: functools.partial(print, text()),
    "closure": closure,
    "method": lambda: Plain(text()).__init__,  # type: ignore[misc]
    "exception": lambda: ValueError(text()),
    "exception with notes": noted,
    "exception with a cause": caused,
    "exception with variables": failed,
    "decimals": lambda: [decimal.Decimal(i) for i in range(2000)],
    "dates": lambda: [datetime.datetime(2000, 1, 1) + datetime.timedelta(i) for i in range(2000)],
    "numpy": lambda: np.ones(TEXT),
    "numpy slice": lambda: np.ones(TEXT)[:10],
    "numpy slice of a slice": lambda: np.ones((100, KB))[3:50][::2].T,
    "numpy of objects": lambda: np.array(texts(3000), dtype=object),
    "numpy of a buffer": lambda: np.frombuffer(bytes(TEXT))[:2],
    "numpy in slots in a dict": lambda: {"a": [Slotted(np.ones(TEXT)[:3])]},
    "Series": lambda: pd.Series(np.ones(TEXT)),
    "DataFrame": lambda: pd.DataFrame({"a": np.ones(TEXT), "b": np.arange(TEXT)}),
    "DataFrame of objects": lambda: pd.DataFrame({"a": pd.Series(texts(20_000), dtype=object), "b": range(20_000)}),
    "rows of a DataFrame": lambda: pd.DataFrame({"a": np.ones(TEXT), "b": np.ones(TEXT)})[:5],
    "index": lambda: pd.Index(np.arange(TEXT) * 2),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("looks", [ROUGH, EXACT])
def test_an_estimate_is_not_far_from_what_a_value_keeps_alive(name: str, looks: int) -> None:
    make = KINDS[name]
    make()  # what a class makes once is not counted
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        value = make()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    estimate = estimate_size([value], looks)
    assert kept / 2 <= estimate <= kept * (5 if "small numbers" in name else 2.5) + KB


# PyArrow has memory of its own.
ARROW: dict[str, Callable[[], Any]] = {
    "table": lambda: pa.table({"a": np.ones(TEXT), "b": np.ones(TEXT)}),
    "rows of a table": lambda: pa.table({"a": np.ones(TEXT), "b": np.ones(TEXT)}).slice(0, 3),
    "chunks": lambda: pa.concat_tables([pa.table({"a": np.ones(TEXT)}), pa.table({"a": np.zeros(TEXT)})]),
    "batch": lambda: pa.RecordBatch.from_arrays([pa.array(np.ones(2 * TEXT))], names=["a"]),
    "array": lambda: pa.array(np.ones(2 * TEXT)),
    "slice of an array": lambda: pa.array(np.ones(2 * TEXT))[:3],
    "texts": lambda: pa.array([text(160)] * 10 * KB),
    "buffer": lambda: pa.py_buffer(bytes(16 * TEXT)).slice(0, 10),
    "strings of a DataFrame": lambda: pd.DataFrame({"a": pd.Series([text(160)] * 10 * KB, dtype="string[pyarrow]")}),
}


@pytest.mark.parametrize("name", ARROW)
def test_memory_that_is_not_of_python_counts(name: str) -> None:
    assert 16 * TEXT <= estimate_size([ARROW[name]()]) <= 17 * TEXT


def test_shared_parts_count_once() -> None:
    big, frame, table = text(), np.ones(TEXT), pa.array(np.ones(TEXT))
    assert estimate_size([[big, big], big]) < 1.2 * TEXT
    assert estimate_size([frame[:3], frame[3:], {"a": frame}]) < 8 * TEXT + KB
    assert estimate_size([table[:3], table[3:], table]) < 8 * TEXT + KB
    assert estimate_size([text(), text()]) > 2 * TEXT
    assert estimate_size([[big] * 1_000_000], ROUGH) < 8_000_000 + 2 * TEXT


class Color(enum.Enum):
    RED = text()


def test_what_belongs_to_the_program_does_not_count() -> None:
    with agentrt.RuntimeManager(loop="thread") as manager:
        runtime = manager.create("a", text(), lambda activity, state: state)
        receipt = runtime.send_nowait(1)
        receipt.result(60)
        for value in (manager, runtime, manager.loop, Color.RED, Data, np, threading.current_thread(), print):
            assert estimate_size([[value]]) < KB, value


class Counted:
    """Counts how often it is looked at."""

    looks = 0

    def __init__(self) -> None:
        self.text = "x"

    def __sizeof__(self) -> int:
        raise AssertionError("slow")


def test_the_number_of_looks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def look(item: Any, look: Any = size._look) -> Any:
        nonlocal looks
        looks += 1
        return look(item)

    monkeypatch.setattr(size, "_look", look)
    flat = [Counted() for _ in range(100_000)]
    wide = [[[i, [j]] for j in range(100)] for i in range(500)]
    for value in (flat, wide, [wide, flat], dict(enumerate(wide)), linked(100_000), nested(14, 2)):
        for most in (ROUGH, EXACT):
            looks = 0
            assert estimate_size([value], most) > 0
            assert looks < 8 * most


class Unseeable:
    """Looks at nothing but raises."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not connected")

    def __sizeof__(self) -> int:
        raise RuntimeError("not connected")

    def __len__(self) -> int:
        raise RuntimeError("not connected")


class Pretends(list[Any]):
    def __iter__(self) -> Any:
        raise RuntimeError("no")

    def __len__(self) -> int:
        return 10_000_000


def test_what_can_not_be_looked_at_is_estimated_all_the_same() -> None:
    assert estimate_size([Unseeable(), [Unseeable()], Pretends()]) > 0


def test_what_changes_meanwhile_is_estimated_all_the_same() -> None:
    changing = dict.fromkeys(range(5_000))
    stop = threading.Event()

    def change() -> None:
        n = 5_000
        while not stop.is_set():
            changing[n] = None
            changing.pop(n - 5_000, None)
            n += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        assert all(estimate_size([changing]) > 0 for _ in range(200))
    finally:
        stop.set()
        thread.join()
