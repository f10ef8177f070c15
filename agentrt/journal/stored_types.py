"""Which classes a journal may make values of: those that are registered, and record classes by their names.

A record class is nothing but its fields: a dataclass, a Struct, a pydantic model, an attrs class, a NamedTuple or an
enum. Its name is `module:qualname`. The reader looks in modules that are imported already; others are imported only if
it was given their names. So no file can have code imported, or called, that the reader did not choose.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection
from functools import cached_property
from types import ModuleType
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from ..errors import ConfigurationError, JournalError
from ..schema.record_types import is_record_type, record_fields

__all__ = ["Registration", "find_class", "find_registration", "name_of", "register"]

T = TypeVar("T")


class Registration(NamedTuple):
    """How the objects of a registered class are stored. Without functions: as a record of its fields."""

    name: str
    encode: Callable[[Any], Any] | None
    decode: Callable[[Any], Any] | None


# A class is one in a process, not one of a journal; both tables are weak.
_registrations: WeakKeyDictionary[type, Registration] = WeakKeyDictionary()
_classes: WeakValueDictionary[str, type] = WeakValueDictionary()


def register(
    cls: type[T], *, encode: Callable[[T], Any] | None = None, decode: Callable[[Any], T] | None = None, name: str = ""
) -> type[T]:
    """Have journals store the objects of a class.

    Args:
        cls: The class. Objects of its subclasses are not meant.
        encode: Makes a value that can be stored of an object. Without it the class must be a record.
        decode: Makes the object again. What comes back must equal what went in.
        name: How the class is called in journals; its module and name if left out. Registered again by the same name,
            as when a cell is run again, the newest class counts.

    Returns:
        The class, so that this can be a decorator of records.

    Raises:
        ConfigurationError: Only one of the functions is given, or none for a class that is no record.

    >>> class Celsius:
    ...     def __init__(self, degrees):
    ...         self.degrees = degrees
    >>> register(Celsius, encode=lambda value: value.degrees, decode=Celsius)
    <class 'agentrt.journal.stored_types.Celsius'>
    """
    if not isinstance(cls, type):
        raise ConfigurationError(f"register takes a class, not {cls!r}")
    if (encode is None) != (decode is None):
        raise ConfigurationError(f"give both encode= and decode= for {cls.__qualname__}, or neither for a record")
    if encode is None and not is_record_type(cls):
        raise ConfigurationError(f"{cls.__qualname__} is no record: give encode= and decode=")
    entry = Registration(name or f"{cls.__module__}:{cls.__qualname__}", encode, decode)
    _registrations[cls] = entry
    _classes[entry.name] = cls
    return cls


def find_registration(cls: type) -> Registration | None:
    """How a class is stored, if it is registered."""
    return _registrations.get(cls)


def extra_attribute(value: Any, names: Collection[str]) -> str | None:
    """An attribute of an object that is no field of it, and would be lost; None if there is none."""
    for name in getattr(value, "__dict__", ()):
        if name not in names and not isinstance(getattr(type(value), name, None), cached_property):
            return str(name)
    return None


def name_of(cls: type) -> str | None:
    """The name by which a reader finds a class; None if it would not."""
    registration = _registrations.get(cls)
    if registration is not None:
        return registration.name
    name = f"{cls.__module__}:{cls.__qualname__}"
    found = _look_up(name)
    if found is cls:
        return name
    # A class whose cell was run again: its objects come back as those of the new one.
    same = found is not None and is_record_type(found) and record_fields(found) == record_fields(cls)
    return name if same else None


def find_class(name: str, modules: Collection[str] = ()) -> type:
    """The class of a name in a journal.

    Args:
        name: As `name_of` has given it.
        modules: The modules that may be imported for it.

    Raises:
        JournalError: There is none, or it is none that may be made.
    """
    cls = _classes.get(name)
    if cls is not None:
        return cls
    module = name.partition(":")[0]
    if module in modules and module not in sys.modules:
        importlib.import_module(module)
    found = _look_up(name)
    if found is None:
        raise JournalError(
            f"the journal has objects of {name}, which is not here: run the code that defines it first, "
            "or agentrt.journal.register a class with this name"
        )
    if not is_record_type(found):
        raise JournalError(f"the journal names {name}, which is no record class: nothing is made of it")
    return found


def _look_up(name: str) -> type | None:
    """A class by its name, in an imported module."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for step in path.split("."):
        if not isinstance(found, type | ModuleType):
            return None
        found = vars(found).get(step)
    return found if isinstance(found, type) else None
