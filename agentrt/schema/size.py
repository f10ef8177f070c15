"""About how many bytes a value keeps alive, found out in a bounded time.

Up to a number of objects each is looked at, and what several share is counted once. Of larger values a sample is looked
at: of each collection a few parts, of each of those a few parts, and each stands for the others beside it (Knuth 1975,
"Estimating the efficiency of backtrack programs"). So the time is bounded whatever the size.
"""

from __future__ import annotations

import array
import enum
import gc
import logging
import math
import sys
import threading
import types
from collections import Counter, deque
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

import msgspec

__all__ = ["EXACT", "ROUGH", "estimate_size"]

ROUGH, EXACT = 200, 1_000  # objects that are looked at: where a size is only counted, and where it is a limit
UNKNOWN_SIZE = 200  # bytes of an object that can't be looked at
WINDOW = 2_500  # parts at the ends of a collection without an index that are sampled
INLINE = 40  # bytes besides the attributes themselves of an object that has no dict for them yet
LARGE_TEXT = 10_000  # characters or bytes: such parts of the outermost collection are counted one by one
DEEPEST = 100  # values inside of each other that a sample follows
MANY, FEW = 1_000, 8
GOLDEN = 0.6180339887498949

LEAVES = frozenset({int, float, complex, bool, str, bytes, bytearray, type(None), range, array.array})
COLLECTIONS = frozenset({list, tuple, set, frozenset, deque})
TEXTS = frozenset({str, bytes, bytearray})
# What belongs to the program and not to a value: not counted, and nothing behind it either.
PROGRAM: tuple[type, ...] = (
    type, types.ModuleType, types.BuiltinFunctionType, types.CodeType, types.FrameType, types.TracebackType,
    types.GeneratorType, types.CoroutineType, enum.Enum, logging.Logger, threading.Thread,
)  # fmt: skip
PROGRAM_PACKAGES = frozenset({"asyncio", "_asyncio", "concurrent", "threading", "_thread", "selectors", "logging"})


class _Memory(NamedTuple):
    """A block of memory that is no Python object."""

    address: int
    size: int


class _Anatomy(NamedTuple):
    """The bytes of an object itself, and the collections of objects that it keeps alive."""

    size: float
    parts: tuple[Any, ...] = ()


class _Part(NamedTuple):
    """An object of a sample: for how many it stands, how many looks there are for what is behind it, and how deep."""

    item: Any
    factor: float
    looks: int
    depth: int


NOTHING = _Anatomy(0)


def estimate_size(values: Iterable[Any], looks: int = ROUGH) -> int:
    """About how many bytes these values keep alive.

    Arrays count with the memory they are a view of, exceptions with the variables that only their frames hold. It is
    exact up to `looks` objects. Beyond that it is an estimate, which misses a large part among very many small ones,
    and what is behind more than 100 levels. It never raises.

    Args:
        values: Any objects.
        looks: How many objects are looked at, about. One takes a microsecond.

    >>> estimate_size(["x" * 10_000]) // 1000
    10
    """
    roots = list(values)
    if len(roots) == 1 and type(roots[0]) in LEAVES:
        return sys.getsizeof(roots[0])
    size = _measure(roots, looks)
    return int(_estimate_from_sample(roots, looks) if size is None else size)


def _measure(roots: list[Any], looks: int) -> float | None:
    """The bytes of everything that is reached from here; None if that are more than `looks` objects."""
    seen: set[int] = set()
    todo, total = roots[:], 0.0
    while todo:
        item = todo.pop()
        key = item.address if type(item) is _Memory else id(item)
        if key in seen:
            continue
        seen.add(key)
        if type(item) in LEAVES:
            total += sys.getsizeof(item)
            continue
        size, groups = _look(item)
        total += size
        if len(seen) + len(todo) + sum(map(len, groups)) > looks:
            return None
        for group in groups:
            todo.extend(_take(group))
    return total


def _estimate_from_sample(roots: list[Any], looks: int) -> float:
    """An estimate of the bytes of everything that is reached from here."""
    seen: set[int] = set()
    total = 0.0
    todo = [_Part(part, factor, looks, 0) for part, factor in _choose(roots, looks, True)]
    while todo:
        item, factor, looks_here, depth = todo.pop()
        key = item.address if type(item) is _Memory else id(item)
        if key in seen:
            continue
        seen.add(key)
        size, groups = _look(item)
        total += factor * size
        if depth >= DEEPEST:
            continue
        looks_here = looks_here if len(seen) < 2 * looks else 1
        for group in groups:
            chosen = _choose(group, looks_here, with_texts=factor == 1 and depth < FEW)
            each = looks_here if len(group) <= FEW else max(1, looks_here // max(1, len(chosen)))
            todo += [_Part(part, factor * share, each, depth + 1) for part, share in chosen]
    return total


def _choose(group: Any, looks: int, with_texts: bool) -> list[tuple[Any, float]]:
    """Some parts of a collection, and how many parts each stands for."""
    count = len(group)
    take = max(1, math.isqrt(looks), FEW if looks > 1 else 1)
    if count <= take:
        return [(part, 1.0) for part in _take(group)]
    # Of a list, any; of a set, a dict or a deque, those near its ends. Spread evenly, but in step with nothing.
    has_index = hasattr(group, "__getitem__") and not isinstance(group, deque)
    window = [] if has_index and not with_texts else _window(group)
    source = group if has_index else window
    chosen = _take(source[int((i + 0.5) * GOLDEN % 1 * len(source))] for i in range(take))
    times = Counter(map(id, chosen))
    # Large texts are counted one by one, and what was met several times is shared by many and counts once.
    texts = [part for part in window if type(part) in TEXTS and len(part) > LARGE_TEXT] if with_texts else []
    times.update(map(id, texts))
    return [(part, count / take if times[id(part)] == 1 else 1.0) for part in chosen] + [(part, 1.0) for part in texts]


def _window(group: Any) -> list[Any]:
    """Parts from both ends of a collection."""
    try:
        first = list(islice(group, WINDOW))
        if len(group) > WINDOW and hasattr(group, "__reversed__"):
            first += islice(reversed(group), min(WINDOW, len(group) - WINDOW))
    except Exception:  # another thread changes it meanwhile, or it is not what it seems
        return []
    return first


def _take(parts: Iterable[Any]) -> list[Any]:
    """All of these; none if they can't be taken now."""
    try:
        return list(parts)
    except Exception:
        return []


def _look(item: Any) -> _Anatomy:
    """The anatomy of any object; of one that can't be looked at, a guess."""
    try:
        return _anatomy(item)
    except Exception:  # an object of a user's class
        return _Anatomy(UNKNOWN_SIZE)


def _anatomy(item: Any) -> _Anatomy:
    kind = type(item)  # asked of the class: an object may answer `isinstance` with code of its own
    if kind in LEAVES:
        return _Anatomy(sys.getsizeof(item))
    if kind in COLLECTIONS:
        return _Anatomy(sys.getsizeof(item), (item,))
    if issubclass(kind, dict):
        return _Anatomy(sys.getsizeof(item), (item.keys(), item.values()))
    if kind is _Memory:
        return _Anatomy(item.size)
    if issubclass(kind, PROGRAM) or _belongs_to_program(kind):
        return NOTHING
    if issubclass(kind, msgspec.Struct):
        fields = [getattr(item, name) for name in item.__struct_fields__ if name != "receipt"]
        return _Anatomy(sys.getsizeof(item), (fields,))
    if issubclass(kind, BaseException):
        return _Anatomy(sys.getsizeof(item), (_held_by_exception(item),))
    if issubclass(kind, types.FunctionType):
        return _Anatomy(0, ([item.__defaults__, item.__kwdefaults__, item.__closure__],))
    if issubclass(kind, list | tuple | set | frozenset | deque) and len(item) > MANY:
        return _Anatomy(sys.getsizeof(item), (item,))
    return _anatomy_of_library(item, kind) or _anatomy_of_object(item, kind)


def _belongs_to_program(kind: type) -> bool:
    """Whether objects of this class are machinery: event loops, threads, runtimes and their manager."""
    package = kind.__module__.partition(".")[0]
    if package == "agentrt":
        return not issubclass(kind, msgspec.Struct | BaseException)
    return package in PROGRAM_PACKAGES


def _anatomy_of_object(item: Any, kind: Any) -> _Anatomy:
    parts = [part for part in gc.get_referents(item) if part is not kind]
    if isinstance(kind.__sizeof__, types.FunctionType):  # written in Python: of a table it walks all that it holds
        size: float = object.__sizeof__(item)
    else:
        size = sys.getsizeof(item)
    if kind.__dictoffset__ and not any(type(part) is dict for part in parts):
        size += INLINE + 8 * len(parts)
    return _Anatomy(size if parts else max(size, _buffer_size(item, kind)), (parts,))


def _buffer_size(item: Any, kind: Any) -> int:
    """The bytes of an object that says how many it has, or that offers a buffer; 0 for any other."""
    if isinstance(getattr(kind, "nbytes", None), types.GetSetDescriptorType):
        return int(item.nbytes)
    try:
        return memoryview(item).nbytes
    except TypeError:
        return 0


def _held_by_exception(error: BaseException) -> list[Any]:
    """The arguments, attributes and causes of an exception, and the variables that only it keeps alive."""
    return [error.args, vars(error), error.__cause__, error.__context__, *_held_by_frames(error.__traceback__)]


def _held_by_frames(trace: types.TracebackType | None) -> list[Any]:
    """The variables of the frames of a traceback, but for those of which something else holds the value too.

    What something else holds lives on when the traceback is let go, and would count for each of many.
    """
    found: list[Any] = []
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_globals.get("__name__", "").partition(".")[0] != "agentrt" and frame.f_locals is not frame.f_globals:
            of_others = frame.f_code.co_freevars
            found += [value for name, value in frame.f_locals.items() if name not in of_others]
        trace = trace.tb_next
    times = Counter(map(id, found))
    # A frame holds a value twice, as the variable and in `f_locals`, and `found` once; two more are of this loop.
    return [value for value in found if sys.getrefcount(value) <= 3 * times[id(value)] + 2]


def _anatomy_of_library(item: Any, kind: Any) -> _Anatomy | None:
    """The anatomy of arrays and tables whose memory Python's collector does not see; None for any other object."""
    if hasattr(kind, "__array_interface__") and hasattr(item, "base"):  # numpy
        groups: list[Any] = [gc.get_referents(item)]
        if item.base is not None:
            groups.append([item.base])
        if item.dtype.hasobject:
            groups.append(item.flat)
        return _Anatomy(sys.getsizeof(item), tuple(groups))
    if kind.__module__.partition(".")[0] == "pyarrow":
        memory = _arrow_memory(item)
        return None if memory is None else _Anatomy(object.__sizeof__(item), (memory,))
    if hasattr(kind, "estimated_size"):  # polars
        return _Anatomy(item.estimated_size())
    return None


def _arrow_memory(item: Any) -> list[_Memory] | None:
    """The buffers that something of PyArrow keeps alive; None if it has none."""
    if hasattr(item, "parent") and hasattr(item, "address"):
        while item.parent is not None:
            item = item.parent
        return [_Memory(item.address, item.size)]
    if not hasattr(item, "get_total_buffer_size"):
        return None
    columns = getattr(item, "columns", [item])
    arrays = [chunk for column in islice(columns, MANY) for chunk in islice(getattr(column, "chunks", [column]), MANY)]
    if len(arrays) > MANY:
        return [_Memory(id(item), item.get_total_buffer_size())]
    buffers = [each for chunk in arrays for each in chunk.buffers() if each is not None]
    return [_Memory(each.address, each.size) for each in buffers]
