"""What Python's own types look like in a journal: a number for the type, and its parts."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import pathlib
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

__all__ = ["CONSTANTS", "KINDS", "KINDS_BY_TAG", "Kind", "Tag"]


class Tag(enum.IntEnum):
    """The numbers of the types. They stand in files: a number is never used for something else."""

    INT = 1
    TEXT = 2
    BYTEARRAY = 3
    TUPLE = 4
    SET = 5
    FROZENSET = 6
    DEQUE = 7
    DICT = 8
    ORDERED_DICT = 9
    COUNTER = 10
    DEFAULT_DICT = 11
    COMPLEX = 12
    DECIMAL = 13
    FRACTION = 14
    UUID = 15
    DATE = 16
    TIME = 17
    DATETIME = 18
    TIMEDELTA = 19
    TIMEZONE = 20
    ZONE = 21
    RANGE = 22
    CONSTANT = 23
    POSIX_PATH = 24
    WINDOWS_PATH = 25
    PURE_POSIX_PATH = 26
    PURE_WINDOWS_PATH = 27
    ENUM = 30
    RECORD = 31
    REGISTERED = 32
    ARRAY = 40
    SCALAR = 41
    TABLE = 42
    COLUMN = 43


class Kind(NamedTuple):
    """How one type is stored: `parts` makes values that can be stored of it, `make` the value of those."""

    tag: Tag
    type: type
    parts: Callable[[Any], list[Any]]
    make: Callable[..., Any]


CONSTANTS: dict[str, Any] = {
    "...": Ellipsis,
    "NotImplemented": NotImplemented,
    "UNSET": msgspec.UNSET,
    "NODEFAULT": msgspec.NODEFAULT,
}
CONSTANT_TYPES = {type(value): name for name, value in CONSTANTS.items()}
FACTORIES: dict[str, Any] = {each.__name__: each for each in (int, float, str, bool, bytes, list, dict, set, tuple)}


def _time_parts(value: Any) -> list[Any]:
    return [value.hour, value.minute, value.second, value.microsecond, value.tzinfo, value.fold]


def _datetime_parts(value: datetime.datetime) -> list[Any]:
    return [value.year, value.month, value.day, *_time_parts(value)]


def _zone_parts(value: zoneinfo.ZoneInfo) -> list[Any]:
    if value.key is None or zoneinfo.ZoneInfo(value.key) is not value:
        raise ValueError("a time zone that is not found by its name")
    return [value.key]


def _default_parts(value: collections.defaultdict[Any, Any]) -> list[Any]:
    factory = value.default_factory
    name = None if factory is None else getattr(factory, "__name__", "")
    if name is not None and FACTORIES.get(name) is not factory:
        raise ValueError("a defaultdict whose default_factory is no plain type, such as int or list")
    return [name, list(value.keys()), list(value.values())]


def _mapping_parts(value: Any) -> list[Any]:
    return [list(value.keys()), list(value.values())]


def _make_mapping(cls: Any) -> Callable[[list[Any], list[Any]], Any]:
    def make(keys: list[Any], values: list[Any]) -> Any:
        new = cls()
        for key, value in zip(keys, values, strict=True):
            new[key] = value
        return new

    return make


def _make_default(name: str | None, keys: list[Any], values: list[Any]) -> Any:
    return collections.defaultdict(None if name is None else FACTORIES[name], zip(keys, values, strict=True))


def _path_kind(tag: Tag, cls: Any) -> Kind:
    return Kind(
        tag,
        cls,
        lambda value: [str(value).encode("utf-8", "surrogatepass")],
        lambda data: cls(data.decode("utf-8", "surrogatepass")),
    )


def _integer_bytes(value: int) -> list[Any]:
    return [value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)]


KINDS = (
    Kind(Tag.INT, int, _integer_bytes, lambda data: int.from_bytes(data, "big", signed=True)),
    Kind(
        Tag.TEXT,
        str,
        lambda value: [value.encode("utf-8", "surrogatepass")],
        lambda data: data.decode("utf-8", "surrogatepass"),
    ),
    Kind(Tag.BYTEARRAY, bytearray, lambda value: [bytes(value)], bytearray),
    Kind(Tag.TUPLE, tuple, list, lambda *items: items),
    Kind(Tag.SET, set, list, lambda *items: set(items)),
    Kind(Tag.FROZENSET, frozenset, list, lambda *items: frozenset(items)),
    Kind(
        Tag.DEQUE,
        collections.deque,
        lambda value: [value.maxlen, *value],
        lambda most, *items: collections.deque(items, most),
    ),
    Kind(Tag.DICT, dict, _mapping_parts, _make_mapping(dict)),
    Kind(Tag.ORDERED_DICT, collections.OrderedDict, _mapping_parts, _make_mapping(collections.OrderedDict)),
    Kind(Tag.COUNTER, collections.Counter, _mapping_parts, _make_mapping(collections.Counter)),
    Kind(Tag.DEFAULT_DICT, collections.defaultdict, _default_parts, _make_default),
    Kind(Tag.COMPLEX, complex, lambda value: [value.real, value.imag], complex),
    Kind(Tag.DECIMAL, decimal.Decimal, lambda value: [str(value)], decimal.Decimal),
    Kind(Tag.FRACTION, fractions.Fraction, lambda value: [value.numerator, value.denominator], fractions.Fraction),
    Kind(Tag.UUID, uuid.UUID, lambda value: [value.bytes], lambda data: uuid.UUID(bytes=data)),
    Kind(Tag.DATE, datetime.date, lambda value: [value.toordinal()], datetime.date.fromordinal),
    Kind(Tag.TIME, datetime.time, _time_parts, lambda *parts: datetime.time(*parts[:-1], fold=parts[-1])),
    Kind(
        Tag.DATETIME,
        datetime.datetime,
        _datetime_parts,
        lambda *parts: datetime.datetime(*parts[:-1], fold=parts[-1]),
    ),
    Kind(
        Tag.TIMEDELTA,
        datetime.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        datetime.timedelta,
    ),
    Kind(Tag.TIMEZONE, datetime.timezone, lambda value: list(value.__getinitargs__()), datetime.timezone),
    Kind(Tag.ZONE, zoneinfo.ZoneInfo, _zone_parts, zoneinfo.ZoneInfo),
    Kind(Tag.RANGE, range, lambda value: [value.start, value.stop, value.step], range),
    *(
        Kind(Tag.CONSTANT, cls, lambda value: [CONSTANT_TYPES[type(value)]], CONSTANTS.__getitem__)
        for cls in CONSTANT_TYPES
    ),
    _path_kind(Tag.POSIX_PATH, pathlib.PosixPath),
    _path_kind(Tag.WINDOWS_PATH, pathlib.WindowsPath),
    _path_kind(Tag.PURE_POSIX_PATH, pathlib.PurePosixPath),
    _path_kind(Tag.PURE_WINDOWS_PATH, pathlib.PureWindowsPath),
)
KINDS_BY_TAG = {int(kind.tag): kind for kind in KINDS}
