"""Values as data: bytes from which a process that trusts nobody makes values again, without running foreign code.

Plain values, containers and numpy arrays have a form of their own. An object of a class (a record: a dataclass, a
Struct, a NamedTuple, an attrs or pydantic class, an enum) is written as its fields and the place of the class in a list
of types. Both sides must have the same list, so the reader makes only what it knows. Pickle is not involved.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import io
import pathlib
import sys
import typing
import uuid
import zoneinfo
from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args, get_origin, is_typeddict

import msgspec

from ..schema.annotations import alias_target
from ..schema.record_types import is_record_type, record_fields

__all__ = ["decode", "encode", "find_record_types"]

NATIVE = {type(None), bool, float, str, bytes}  # what msgpack has, exactly as Python has it
LOWEST, HIGHEST = -(2**63), 2**64 - 1  # of an integer in msgpack
CONSTANTS = {"UNSET": msgspec.UNSET, "NODEFAULT": msgspec.NODEFAULT, "...": Ellipsis, "NotImplemented": NotImplemented}
SEQUENCES: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "list": list,
    "set": set,
    "frozenset": frozenset,
    "deque": lambda items: collections.deque(items[1:], items[0]),
    "range": lambda items: range(*items),
    "timedelta": lambda items: datetime.timedelta(*items),
    "timezone": lambda items: datetime.timezone(*items),
    "datetime": lambda items: datetime.datetime(*items[:-1], fold=items[-1]),
    "time": lambda items: datetime.time(*items[:-1], fold=items[-1]),
}
MAPPINGS: dict[str, Any] = {"dict": dict, "OrderedDict": collections.OrderedDict, "Counter": collections.Counter}
TEXTS: dict[str, Callable[[str], Any]] = {
    "int": lambda text: int(text, 16),
    "complex": complex,
    "date": datetime.date.fromisoformat,
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "UUID": uuid.UUID,
    "ZoneInfo": zoneinfo.ZoneInfo,
    **{kind.__name__: kind for kind in (type(pathlib.Path()), pathlib.PurePosixPath, pathlib.PureWindowsPath)},
}
# What is written of a value, by its exact type: the items of those of SEQUENCES, the text of those of TEXTS.
ITEMS: dict[type, Callable[[Any], Iterable[Any]]] = {
    **dict.fromkeys((tuple, list, set, frozenset), lambda value: value),
    collections.deque: lambda value: (value.maxlen, *value),
    range: lambda value: (value.start, value.stop, value.step),
    datetime.timedelta: lambda value: (value.days, value.seconds, value.microseconds),
    datetime.timezone: lambda value: value.__getinitargs__(),
    datetime.datetime: lambda value: (
        *(value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond),
        *(value.tzinfo, value.fold),
    ),
    datetime.time: lambda value: (value.hour, value.minute, value.second, value.microsecond, value.tzinfo, value.fold),
}
TEXT: dict[type, Callable[[Any], str]] = {
    int: hex,
    zoneinfo.ZoneInfo: lambda value: value.key or str(value),
    **dict.fromkeys((complex, datetime.date, decimal.Decimal, fractions.Fraction, uuid.UUID), str),
    **dict.fromkeys((type(pathlib.Path()), pathlib.PurePosixPath, pathlib.PureWindowsPath), str),
}


def encode(value: Any, types: Sequence[type]) -> bytes:
    """Write a value as data.

    Args:
        value: Plain values, containers, numpy arrays, and objects of `types`.
        types: The record types that the reader knows, in the same order.

    Raises:
        TypeError: Something in it is of another type; the message names it and the ways out.
        ValueError: It contains itself, or a text that is no text (a lone surrogate).

    >>> decode(encode({"a": (1, 2.5)}, []), [])
    {'a': (1, 2.5)}
    """
    try:
        return msgspec.msgpack.encode(_FormWriter(types).form_of(value))
    except RecursionError:
        raise ValueError("the value contains itself, or is nested too deeply, and can't be sent as data") from None


def decode(data: bytes, types: Sequence[type]) -> Any:
    """Make the value again that `encode` has written.

    Of the classes in `types` no method is called but the `__init__` of a Struct, with its `__post_init__`.

    Args:
        data: From anybody; it may be anything.
        types: The record types that may be made.

    Raises:
        ValueError: It is no such data.
    """
    try:
        return _Reader(types).value_of(msgspec.msgpack.decode(data))
    except Exception as error:  # written by anybody: whatever is wrong with it, it is not a value
        raise ValueError(f"what came is not a value as data: {type(error).__name__}: {str(error)[:200]}") from error


class _FormWriter:
    """Makes trees of msgpack's own types: what is not `NATIVE` is an array that begins with the word for its form."""

    def __init__(self, types: Sequence[type]) -> None:
        self._places = {id(cls): place for place, cls in enumerate(types)}

    def form_of(self, value: Any) -> Any:
        kind = type(value)
        if kind in NATIVE or (kind is int and LOWEST <= value <= HIGHEST):
            return value
        if kind in ITEMS:
            return [kind.__name__, self.forms_of(ITEMS[kind](value))]
        if kind is dict or kind in MAPPINGS.values():
            return [kind.__name__, self.forms_of(value.keys()), self.forms_of(value.values())]
        if kind in TEXT:
            return [kind.__name__, TEXT[kind](value)]
        if kind is bytearray:
            return ["bytearray", bytes(value)]
        place = self._places.get(id(kind))
        if place is not None:
            return self._record_form(value, kind, place)
        return self._rare_form(value)

    def forms_of(self, values: Iterable[Any]) -> list[Any]:
        values = list(values)
        kinds = set(map(type, values))
        if kinds <= NATIVE or (kinds == {int} and min(values) >= LOWEST and max(values) <= HIGHEST):
            return values
        return [self.form_of(value) for value in values]

    def _record_form(self, value: Any, kind: Any, place: int) -> Any:
        if issubclass(kind, enum.Enum):
            return ["enum", place, value.name if value.name in kind.__members__ else value._value_]
        if issubclass(kind, tuple):
            return ["record", place, [], self.forms_of(tuple(value))]
        names = [name for name in record_fields(kind) or () if hasattr(value, name)]
        return ["record", place, names, self.forms_of(getattr(value, name) for name in names)]

    def _rare_form(self, value: Any) -> Any:
        for name, constant in CONSTANTS.items():
            if value is constant:
                return ["constant", name]
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None and (type(value) is numpy.ndarray or isinstance(value, numpy.generic)):
            if value.dtype.hasobject:
                raise _unknown_type(value, "a numpy array of objects")
            return ["array" if type(value) is numpy.ndarray else "number", _npy(numpy.asarray(value))]
        raise _unknown_type(value)


def _npy(array: Any) -> bytes:
    from numpy.lib.format import write_array

    with io.BytesIO() as file:
        write_array(file, array, allow_pickle=False)
        return file.getvalue()


def _unknown_type(value: Any, what: str = "") -> TypeError:
    what = what or f"an object of {type(value).__module__}.{type(value).__qualname__}"
    return TypeError(
        f"{what} can't come back from another process as data. "
        "Two ways out: make it of plain values, dataclasses, Structs, NamedTuples and enums, and name its type in the "
        "annotations of the workflow (`state: T`, or `-> T`); or create the runtime with isolation='process-pickle', "
        "with which code of that process can run in this one (docs/grants.md)"
    )


class _Reader:
    """Makes values of the trees that a `_FormWriter` has made."""

    def __init__(self, types: Sequence[type]) -> None:
        self._types = types

    def value_of(self, form: Any) -> Any:
        if type(form) is not list:
            if type(form) is dict or isinstance(form, msgspec.msgpack.Ext):
                raise ValueError("a form that is not used")
            return form
        word, *parts = form
        if word in SEQUENCES:
            return SEQUENCES[word](self.values_of(parts[0]))
        if word in MAPPINGS:
            return MAPPINGS[word](dict(zip(self.values_of(parts[0]), self.values_of(parts[1]), strict=True)))
        if word in TEXTS:
            return TEXTS[word](parts[0])
        return getattr(self, f"_make_{word}")(*parts)

    def values_of(self, forms: list[Any]) -> list[Any]:
        if list not in set(map(type, forms)):
            return forms
        return [self.value_of(form) for form in forms]

    def _make_bytearray(self, data: bytes) -> Any:
        return bytearray(data)

    def _make_constant(self, name: str) -> Any:
        return CONSTANTS[name]

    def _make_array(self, data: bytes) -> Any:
        from numpy.lib.format import read_array

        return read_array(io.BytesIO(data), allow_pickle=False)

    def _make_number(self, data: bytes) -> Any:
        return self._make_array(data)[()]

    def _make_enum(self, place: int, name: str | int) -> Any:
        cls: Any = self._type_at(place)
        return cls[name] if isinstance(name, str) else cls(name)  # a combination of flags has a number

    def _make_record(self, place: int, names: list[str], forms: list[Any]) -> Any:
        return _make_record(self._type_at(place), names, self.values_of(forms))

    def _type_at(self, place: int) -> type:
        if type(place) is not int or not 0 <= place < len(self._types):
            raise ValueError("no type has this place")
        return self._types[place]


def _make_record(cls: Any, names: list[str], values: list[Any]) -> Any:
    if issubclass(cls, tuple):
        return tuple.__new__(cls, values) if len(values) == len(cls._fields) else cls(*values)
    fields = dict(zip(names, values, strict=True))
    unknown = set(fields).difference(record_fields(cls) or ())
    if unknown:
        raise ValueError(f"{cls.__name__} has no fields {sorted(unknown)}")
    if issubclass(cls, msgspec.Struct):
        return cls(**fields)
    if hasattr(cls, "model_construct"):
        return cls.model_construct(**fields)
    new = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(new, name, value)
    return new


# ---- which types


def find_record_types(hints: Iterable[Any]) -> list[type]:
    """Return the record types that annotations name, at any depth: in containers, in fields, and as subclasses.

    >>> class Point(msgspec.Struct):
    ...     x: int
    >>> find_record_types([list[Point] | None])
    [<class 'agentrt.engine.codec.Point'>]
    """
    found: dict[int, Any] = {}
    waiting = list(hints)
    while waiting:
        hint = waiting.pop()
        if id(hint) in found or hint is None:
            continue
        found[id(hint)] = hint
        waiting += get_args(hint)
        waiting += filter(None, (get_origin(hint), alias_target(hint)))
        if isinstance(hint, type) and (is_record_type(hint) or is_typeddict(hint)):
            waiting += _hints_of_fields(hint)
            waiting += () if issubclass(hint, enum.Enum) else type.__subclasses__(hint)
        elif isinstance(hint, enum.Enum):  # in a Literal
            waiting.append(type(hint))
    return [hint for hint in found.values() if is_record_type(hint)]


def _hints_of_fields(cls: Any) -> list[Any]:
    try:
        return list(typing.get_type_hints(cls).values())
    except Exception:  # annotations are user code: what can't be read names no type, and an answer with it is refused
        return []
