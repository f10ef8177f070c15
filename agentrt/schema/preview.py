"""The beginning of a value's repr, at a cost that is bounded by what is shown."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

__all__ = ["preview"]

Pieces = Iterator[str]

DEEPEST = 20  # values inside of each other
LARGEST = 64  # elements of an array whose repr is made
MANY_BITS = 4_000
FEW = 1_000  # elements that are sorted for their repr
INSIDE_ITSELF: dict[type, str] = {list: "[...]", dict: "{...}", tuple: "(...)"}
LIBRARIES = frozenset({"numpy", "pandas", "polars", "pyarrow", "scipy", "torch", "xarray"})


def preview(value: Any, most: int = 60) -> str:
    """The first `most` characters of a value's repr, for a message. It never raises.

    Of the classes of Python, dataclasses, Structs, NamedTuples and pydantic models it reads what is shown and no more.
    Of large arrays and tables it says the type and the shape. A class with a `__repr__` of its own makes all of its
    text first, however long that is: what somebody else's code does can't be bounded.

    >>> preview("x" * 100, 10)
    "'xxxxxxxxx"
    """
    found, length = [], 0
    try:
        for piece in _ReprWriter(most).pieces(value):
            found.append(piece)
            length += len(piece)
            if length >= most:
                break
    except Exception as error:  # a repr is user code
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return "".join(found)[:most]


class _ReprWriter:
    """Makes the repr of a value piece by piece, for somebody who reads `most` characters of it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._path: list[int] = []  # the ids of the values around this one

    def pieces(self, value: Any) -> Pieces:
        """The repr of a value, in pieces."""
        write = WRITERS.get(type(value).__repr__) or _find_generated_writer(value)
        if write is None:
            yield repr(value)
        elif id(value) in self._path:
            yield INSIDE_ITSELF.get(type(value), "...")
        elif len(self._path) >= DEEPEST:
            yield f"<{type(value).__name__}>"
        else:
            self._path.append(id(value))
            yield from write(self, value)
            self._path.pop()

    def items(self, values: Iterable[Any]) -> Pieces:
        """Values with commas between them."""
        # As many as can be shown, taken at once: another thread may change the collection.
        for i, value in enumerate(list(islice(values, self.most + 1))):
            if i:
                yield ", "
            yield from self.pieces(value)

    def pairs(self, pairs: Iterable[tuple[Any, Any]]) -> Pieces:
        """Keys and values of a dict."""
        for i, (key, value) in enumerate(list(islice(pairs, self.most + 1))):
            if i:
                yield ", "
            yield from self.pieces(key)
            yield ": "
            yield from self.pieces(value)

    def fields(self, value: Any, names: Iterable[str], name: str | None = None) -> Pieces:
        """A class's name and its fields in parentheses."""
        yield f"{name or type(value).__name__}("
        for i, field in enumerate(names):
            yield f"{', ' if i else ''}{field}="
            yield from self.pieces(getattr(value, field))
        yield ")"


Write = Callable[[_ReprWriter, Any], Pieces]


def _write_text(writer: _ReprWriter, value: Any) -> Pieces:
    yield repr(value[: writer.most])


def _write_int(writer: _ReprWriter, value: int) -> Pieces:
    bits = value.bit_length()
    yield int.__repr__(value) if bits < MANY_BITS else f"<int of {bits:,} bits>"


def _write_tuple(writer: _ReprWriter, value: Any) -> Pieces:
    yield "("
    yield from writer.items(value)
    yield ",)" if len(value) == 1 else ")"


def _write_list(writer: _ReprWriter, value: Any) -> Pieces:
    yield "["
    yield from writer.items(value)
    yield "]"


def _write_set(writer: _ReprWriter, value: Any) -> Pieces:
    name = type(value).__name__
    if not value:
        yield f"{name}()"
        return
    yield "{" if type(value) is set else f"{name}({{"
    yield from writer.items(value)
    yield "}" if type(value) is set else "})"


def _write_dict(writer: _ReprWriter, value: Any) -> Pieces:
    yield "{"
    yield from writer.pairs(value.items())
    yield "}"


def _write_ordered_dict(writer: _ReprWriter, value: OrderedDict[Any, Any]) -> Pieces:
    yield f"{type(value).__name__}("
    if value:
        items = iter(value.items())
        yield from _write_dict(writer, value) if sys.version_info >= (3, 12) else _write_list(writer, items)
    yield ")"


def _write_defaultdict(writer: _ReprWriter, value: defaultdict[Any, Any]) -> Pieces:
    yield f"{type(value).__name__}({value.default_factory!r}, "
    yield from _write_dict(writer, value)
    yield ")"


def _write_counter(writer: _ReprWriter, value: Counter[Any]) -> Pieces:
    yield f"{type(value).__name__}("
    if value:
        yield from _write_dict(writer, dict(value.most_common()) if len(value) <= FEW else value)
    yield ")"


def _write_deque(writer: _ReprWriter, value: deque[Any]) -> Pieces:
    yield f"{type(value).__name__}("
    yield from _write_list(writer, value)
    yield ")" if value.maxlen is None else f", maxlen={value.maxlen})"


def _write_exception(writer: _ReprWriter, value: BaseException) -> Pieces:
    yield f"{type(value).__name__}("
    yield from writer.items(value.args)
    yield ")"


def _write_struct(writer: _ReprWriter, value: Any) -> Pieces:
    return writer.fields(value, value.__struct_fields__)


def _write_dataclass(writer: _ReprWriter, value: Any) -> Pieces:
    names = [field.name for field in dataclasses.fields(value) if field.repr]
    return writer.fields(value, names, type(value).__qualname__)


def _write_namedtuple(writer: _ReprWriter, value: Any) -> Pieces:
    return writer.fields(value, value._fields)


def _write_model(writer: _ReprWriter, value: Any) -> Pieces:
    return writer.fields(value, type(value).model_fields)


def _write_namespace(writer: _ReprWriter, value: types.SimpleNamespace) -> Pieces:
    return writer.fields(value, list(vars(value)), "namespace" if type(value) is types.SimpleNamespace else None)


def _write_shape(writer: _ReprWriter, value: Any) -> Pieces:
    yield f"<{type(value).__name__} of shape {tuple(value.shape)}"
    if hasattr(value, "dtype"):
        yield f", {value.dtype}"
    elif hasattr(value, "columns"):
        yield ", columns "
        yield from writer.items(getattr(value, "column_names", value.columns))
    yield ">"


# By the function that makes the repr: a subclass that has none of its own is written as its parent is.
WRITERS: dict[Any, Write] = {
    str.__repr__: _write_text,
    bytes.__repr__: _write_text,
    bytearray.__repr__: _write_text,
    int.__repr__: _write_int,
    tuple.__repr__: _write_tuple,
    list.__repr__: _write_list,
    set.__repr__: _write_set,
    frozenset.__repr__: _write_set,
    dict.__repr__: _write_dict,
    OrderedDict.__repr__: _write_ordered_dict,
    defaultdict.__repr__: _write_defaultdict,
    Counter.__repr__: _write_counter,
    deque.__repr__: _write_deque,
    BaseException.__repr__: _write_exception,
    types.SimpleNamespace.__repr__: _write_namespace,
    msgspec.Struct.__repr__: _write_struct,
}


def _find_generated_writer(value: Any) -> Write | None:
    """How to write a value whose repr a library has made; None if `repr` has to."""
    kind = type(value)
    made_by = getattr(kind.__repr__, "__module__", None) or ""
    if made_by == "collections" and isinstance(value, tuple):
        return _write_namedtuple
    if made_by == "pydantic.main" and hasattr(kind, "model_fields"):
        return _write_model
    wrapped = getattr(kind.__repr__, "__wrapped__", None)
    if dataclasses.is_dataclass(kind) and "__create_fn__" in getattr(wrapped, "__qualname__", ""):
        return _write_dataclass
    return _write_shape if _is_large_array(value) else None


def _is_large_array(value: Any) -> bool:
    """Whether this is an array or a table of which only the shape is said."""
    if type(value).__module__.partition(".")[0] not in LIBRARIES or not hasattr(value, "shape"):
        return False
    size, kind = getattr(value, "size", None), str(getattr(value, "dtype", ""))
    return not isinstance(size, int) or size > LARGEST or hasattr(value, "columns") or kind.startswith(("obj", "str"))
