"""Values as bytes, and back: what comes back equals what went in and has its type, or is refused when it is written.

The bytes are msgpack. What msgpack does not have is an array that begins with the number of its type (`kinds.py`); an
object of a class is the values of its fields and the name of the class (`stored_types.py`). Pickle is not involved:
bytes from anybody can make values, and can't run code.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from ..errors import JournalError
from ..schema.record_types import is_record_type
from .kinds import KINDS, KINDS_BY_TAG, Kind, Tag
from .records import make_record, record_values
from .stored_types import find_class, find_registration, name_of
from .tables import MAKERS, table_parts

__all__ = ["Codec"]

PLAIN, TAGGED = b"\0", b"\1"  # the first byte: whether there is any tag in what follows
DEEPEST = 200  # containers in containers
LOWEST, HIGHEST = -(2**63), 2**64 - 1  # of an integer in msgpack
TAGS = {int(tag): Ext(int(tag), b"") for tag in Tag}
NATIVE = {type(None), bool, float, bytes}  # what msgpack has, exactly as Python has it
SIMPLE = {*NATIVE, int, str}  # most payloads and many states: a tenth of the time
encode_simple = msgspec.msgpack.Encoder().encode
BY_TYPE = {kind.type: kind for kind in KINDS}


class Codec:
    """Writes values as bytes, and makes them again.

    Args:
        modules: The modules that may be imported to find a class that bytes name; by default only those count that are
            imported already.

    >>> codec = Codec()
    >>> codec.decode(codec.encode({"a": (1, 2.5), 3: {"x"}}))
    {'a': (1, 2.5), 3: {'x'}}
    """

    def __init__(self, modules: Collection[str] = ()) -> None:
        self.modules = frozenset(modules)

    def encode(self, value: Any, what: str = "value") -> bytes:
        """Write a value.

        Args:
            value: Anything of the types that are known, see `agentrt.journal.register` for more.
            what: What it is, for the message of an error: "state", "payload".

        Raises:
            JournalError: It can't come back as it is; the message names the field and the ways out.
        """
        if type(value) in SIMPLE:
            try:  # not `suppress`, which takes as long as all the rest
                return PLAIN + encode_simple(value)
            except (OverflowError, ValueError):  # no number or text of msgpack: the long way says how
                pass
        writer = _FormEncoder()
        try:
            form = writer.form(value, 0)
            data = msgspec.msgpack.encode(form)
        except UnstorablePartError as refusal:
            raise JournalError(f"{what}{''.join(refusal.path)} can't be stored: {refusal.reason}") from None
        except RecursionError:
            raise JournalError(f"{what} can't be stored: it contains itself, or is nested too deeply") from None
        except (OverflowError, ValueError) as error:
            raise JournalError(f"{what} can't be stored: {error}") from None
        return (TAGGED if writer.tagged else PLAIN) + data

    def decode(self, data: bytes, what: str = "value") -> Any:
        """Make the value again.

        Args:
            data: As `encode` has written it; it may be anything.
            what: What it is, for the message of an error.

        Raises:
            JournalError: The bytes are damaged, or the value no longer fits its class.
        """
        return self._decode(data, what, _FormDecoder(self.modules))

    def decode_plain(self, data: bytes, what: str = "value") -> Any:
        """The value with a dict in place of each record and a name in place of each enum: it needs no class."""
        return self._decode(data, what, _PlainDecoder(self.modules))

    def _decode(self, data: bytes, what: str, reader: _FormDecoder) -> Any:
        try:
            tree = msgspec.msgpack.decode(memoryview(data)[1:])
            if data[:1] == PLAIN:
                return tree
            return reader.value(tree)
        except JournalError as error:
            raise JournalError(f"{what}{''.join(reader.path)}: {error}") from error.__cause__
        except Exception as error:  # written by anybody: whatever is wrong with it, it is not a value
            why = f"{type(error).__name__}: {str(error)[:200]}"
            raise JournalError(f"{what}{''.join(reader.path)} can't be read: {why}") from error


class UnstorablePartError(Exception):
    """A part of a value can't be stored; `path` leads there."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []


class _FormEncoder:
    """Makes trees of msgpack's own types. What has a tag is an array that begins with an `Ext`; no plain array does."""

    def __init__(self) -> None:
        self.tagged = False
        self._shapes: dict[tuple[str, tuple[str, ...]], int] = {}  # a class is named once; then a number stands for it

    def form(self, value: Any, depth: int) -> Any:
        """The form of a value of any type."""
        kind = type(value)
        if kind in NATIVE:
            return value
        if kind is int:
            return value if LOWEST <= value <= HIGHEST else self._tag(BY_TYPE[int], value, depth)
        if kind is str:
            return value if value.isascii() or _is_text(value) else self._tag(BY_TYPE[str], value, depth)
        if depth > DEEPEST:
            raise UnstorablePartError("it contains itself, or is nested too deeply")
        if kind is list:
            return self.forms(value, depth + 1)
        if kind is dict and all(type(key) is str and (key.isascii() or _is_text(key)) for key in value):
            return dict(zip(value, self.forms(value.values(), depth + 1, list(value)), strict=True))
        known = BY_TYPE.get(kind)
        if known is not None:
            return self._tag(known, value, depth)
        return self._rare_form(value, depth)

    def forms(self, values: Iterable[Any], depth: int, names: Any = None, step: str = "[{!r}]") -> list[Any]:
        """The forms of several values. `names` are what they are called, for an error."""
        forms = []
        for value in values:
            try:
                forms.append(self.form(value, depth))
            except UnstorablePartError as refusal:
                place = len(forms)
                refusal.path.insert(0, step.format(place if names is None else names[place]))
                raise
        return forms

    def _tag(self, kind: Kind, value: Any, depth: int) -> list[Any]:
        self.tagged = True
        try:
            parts = kind.parts(value)
        except ValueError as error:
            raise UnstorablePartError(f"{error}") from None
        if issubclass(kind.type, dict):
            *head, keys, values = parts
            return [TAGS[kind.tag], *head, self.forms(keys, depth + 1), self.forms(values, depth + 1, keys)]
        return [TAGS[kind.tag], *self.forms(parts, depth + 1)]

    def _rare_form(self, value: Any, depth: int) -> Any:
        self.tagged = True
        kind = type(value)
        registration = find_registration(kind)
        if registration is not None and registration.encode is not None:
            return [
                TAGS[Tag.REGISTERED],
                registration.name,
                self.form(_call_encode(registration.encode, value), depth + 1),
            ]
        try:
            table = table_parts(value)
        except ValueError as error:
            raise UnstorablePartError(str(error)) from None
        if table is not None:
            return [TAGS[table[0]], *self.forms(table[1], depth + 1)]
        if not is_record_type(kind):
            raise UnstorablePartError(
                f"it is an object of {kind.__module__}.{kind.__qualname__}; make it of plain values, dataclasses, "
                "Structs, pydantic models, NamedTuples or enums, or agentrt.journal.register its class"
            )
        name = name_of(kind)
        if name is None:
            raise UnstorablePartError(
                f"its class {kind.__qualname__} is not found by its name in {kind.__module__}; define it at the top "
                "of a module or a cell, or agentrt.journal.register it"
            )
        if isinstance(value, enum.Enum):
            return self._enum_form(value, name, depth)
        return self._record_form(value, name, depth)

    def _enum_form(self, value: enum.Enum, name: str, depth: int) -> Any:
        if value.name in type(value).__members__:
            return [TAGS[Tag.ENUM], name, value.name]
        return [TAGS[Tag.ENUM], name, None, self.form(value.value, depth + 1)]  # several flags at once

    def _record_form(self, value: Any, name: str, depth: int) -> Any:
        try:
            names, values = record_values(value)
        except ValueError as error:
            raise UnstorablePartError(str(error)) from None
        shape = (name, tuple(names))
        place = self._shapes.get(shape)
        if place is None:
            self._shapes[shape] = len(self._shapes)
        head = [name, *names] if place is None else place
        return [TAGS[Tag.RECORD], head, *self.forms(values, depth + 1, names, ".{}")]


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: it has no lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _call_encode(function: Callable[[Any], Any], value: Any) -> Any:
    """What a registered function makes of a value."""
    try:
        return function(value)
    except Exception as error:  # it is user code
        raise UnstorablePartError(
            f"the encode= of {type(value).__qualname__} raised {type(error).__name__}: {error}"
        ) from error


class _FormDecoder:
    """Makes values of the trees that a `_FormEncoder` has made."""

    def __init__(self, modules: Collection[str]) -> None:
        self._modules = modules
        self._shapes: list[tuple[str, list[str]]] = []
        self.path: list[str] = []  # where it stands; read when something is wrong there

    def value(self, form: Any) -> Any:
        kind = type(form)
        if kind is list:
            if form and type(form[0]) is Ext:
                return self._tagged_value(form)
            return self.values(form, range(len(form)))
        if kind is dict:
            return dict(zip(form, self.values(form.values(), form), strict=True))
        if kind is Ext or kind is msgspec.Raw:
            raise JournalError("a form that is not used")
        return form

    def values(self, forms: Iterable[Any], names: Iterable[Any], step: str = "[{!r}]") -> list[Any]:
        """The values of several forms."""
        found = []
        for form, name in zip(forms, names, strict=True):
            if type(form) is list or type(form) is dict or type(form) is Ext:
                self.path.append(step.format(name))
                form = self.value(form)
                self.path.pop()
            found.append(form)
        return found

    def _tagged_value(self, form: list[Any]) -> Any:
        tag, parts = form[0].code, form[1:]
        if tag == Tag.RECORD:
            return self._record(*parts)
        if tag == Tag.ENUM:
            return self._enum(*parts)
        if tag == Tag.REGISTERED:
            return self._registered_value(*parts)
        kind = KINDS_BY_TAG.get(tag)
        make = MAKERS.get(tag) if kind is None else kind.make
        if make is None:
            raise JournalError(f"a type with the number {tag}, which this version of agentrt does not know")
        return make(*self.values(parts, range(len(parts))))

    def _shape(self, head: Any) -> tuple[str, list[str]]:
        if type(head) is list:
            self._shapes.append((head[0], head[1:]))
            head = -1
        shape: tuple[str, list[str]] = self._shapes[head]
        return shape

    def _record(self, head: Any, *forms: Any) -> Any:
        name, names = self._shape(head)
        values = self.values(forms, names, ".{}")
        return make_record(find_class(name, self._modules), names, values)

    def _enum(self, name: str, member: str | None, form: Any = None) -> Any:
        cls: Any = find_class(name, self._modules)
        if not issubclass(cls, enum.Enum):
            raise JournalError(f"{name} is no enum any more")
        if member is None:
            if not issubclass(cls, enum.Flag):
                raise JournalError(f"{name} is no Flag any more")
            return cls(self.value(form))
        if member not in cls.__members__:
            raise JournalError(f"{name} has no {member} any more; it has {', '.join(cls.__members__)}")
        return cls.__members__[member]

    def _registered_value(self, name: str, form: Any) -> Any:
        registration = find_registration(find_class(name, self._modules))
        if registration is None or registration.decode is None:
            raise JournalError(f"{name} is not registered here: agentrt.journal.register it first")
        return registration.decode(self.value(form))


class _PlainDecoder(_FormDecoder):
    """Makes dicts of records, and names of enums."""

    def _record(self, head: Any, *forms: Any) -> Any:
        _, names = self._shape(head)
        return dict(zip(names, self.values(forms, names, ".{}"), strict=True))

    def _enum(self, name: str, member: str | None, form: Any = None) -> Any:
        return self.value(form) if member is None else member

    def _registered_value(self, name: str, form: Any) -> Any:
        try:
            find_class(name, self._modules)
        except JournalError:
            return self.value(form)
        return super()._registered_value(name, form)
