"""A value as Python source, with the imports that it needs: what a recorded test is written of."""

from __future__ import annotations

import ast
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import inspect
import math
import pathlib
import sys
import types
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ..errors import ConfigurationError
from ..schema.equality import is_same
from ..schema.preview import preview
from .case import Returned, make_error

__all__ = ["NAN", "SourceWriter"]

NAN = 'float("nan")'

PLAIN = (int, bool, bytes, bytearray, type(None))
LIBRARY = ("datetime", "agentrt.history.case")
# Names that the source uses besides what it imports.
RESERVED = ("case", "float", "frozenset", "set", "range", "date", "time", "timedelta", "datetime", "timezone")
BRACKETS = {list: ("[", "]"), tuple: ("(", ")"), set: ("{", "}")}
OF_LIBRARY = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID)
DEEPEST = 50


class SourceWriter:
    """Writes values and functions as source, and remembers what has to be imported."""

    def __init__(self) -> None:
        self._imports: dict[str, dict[str, str]] = {}  # by module: each name, and what it is called in the file
        self._used = set(RESERVED)

    def import_lines(self) -> list[str]:
        """The lines that import everything that was written."""
        found: list[str] = []
        for module, names in sorted(self._imports.items()):
            parts = [name if name == used else f"{name} as {used}" for name, used in sorted(names.items())]
            found.append(f"from {module} import {', '.join(parts)}")
        return found

    def reserve(self, name: str) -> None:
        """Let nothing that is imported have this name."""
        self._used.add(name)

    def import_name(self, module: str, name: str) -> str:
        """Import a name; returns what it is called, which is another one if that is taken."""
        names = self._imports.setdefault(module, {})
        if name not in names:
            used = name
            if used in self._used and module not in LIBRARY:
                prefix, n = f"{module.rpartition('.')[2]}_{name}", 1
                used = prefix
                while used in self._used:
                    n += 1
                    used = f"{prefix}_{n}"
            names[name] = used
            self._used.add(used)
        return names[name]

    def name(self, thing: Any) -> str:
        """A class or a function by the name that a module has it under, which is imported.

        Raises:
            ConfigurationError: No module has it at its top.
        """
        module, path = find_name(thing)
        if module == "builtins":
            return path
        first, dot, rest = path.partition(".")
        return self.import_name(module, first) + dot + rest

    def value(self, value: Any, depth: int = 0) -> str:
        """A value as source.

        Raises:
            ConfigurationError: There is no source that makes it.
        """
        kind: Any = type(value)
        if kind is str:
            return text_source(value)
        if kind in PLAIN or kind is range:
            return repr(value)
        if depth > DEEPEST:
            raise _refuse_value(value)
        if kind is float:
            return repr(value) if math.isfinite(value) else f'float("{value}")'
        if kind in BRACKETS or kind is frozenset:
            return self._collection(value, kind, depth + 1)
        if kind is dict:
            pairs = (f"{self.value(key, depth + 1)}: {self.value(each, depth + 1)}" for key, each in value.items())
            return f"{{{', '.join(pairs)}}}"
        if kind is complex and math.isfinite(abs(value)):
            return repr(value)
        if isinstance(value, enum.Enum):
            return self._enum(value, kind)
        if isinstance(value, BaseException):
            return self._exception(value, depth)
        if isinstance(value, type | types.FunctionType):
            return self.name(value)
        return self._record(value, kind, depth)

    def _collection(self, value: Any, kind: Any, depth: int) -> str:
        items: Iterable[Any] = sorted(value, key=repr) if kind in (set, frozenset) else value
        inside = ", ".join(self.value(each, depth) for each in items)
        if kind is frozenset or (kind is set and not value):
            return f"{kind.__name__}({f'{{{inside}}}' if inside else ''})"
        opening, closing = BRACKETS[kind]
        return f"{opening}{inside}{',' if kind is tuple and len(value) == 1 else ''}{closing}"

    def _enum(self, value: enum.Enum, kind: Any) -> str:
        if value.name in kind.__members__:
            return f"{self.name(kind)}.{value.name}"
        return f"{self.name(kind)}({value.value!r})"  # several flags

    def _exception(self, value: BaseException, depth: int) -> str:
        """An exception as its class is called, if that makes the same one; else with everything that it has."""
        kind, args = type(value), value.args
        with suppress(Exception):
            again = kind(*args)
            if again.args == args and value.__cause__ is None and is_same(vars(again), vars(value)):
                return f"{self.name(kind)}({', '.join(self.value(each, depth + 1) for each in args)})"
        with suppress(Exception):
            again = make_error(kind, *args, **vars(value))
            if type(again) is kind and str(again) == str(value):
                return self._made_error(value, depth + 1)
        raise _refuse_value(value)

    def _made_error(self, value: BaseException, depth: int) -> str:
        attributes: dict[str, Any] = {name: each for name, each in vars(value).items() if name != "__notes__"}
        if value.__cause__ is not None:
            attributes["cause"] = value.__cause__
        parts = [self.name(type(value)), *(self.value(each, depth) for each in value.args)]
        parts += [f"{name}={self.value(each, depth)}" for name, each in attributes.items()]
        return f"{self.import_name('agentrt.history.case', 'make_error')}({', '.join(parts)})"

    def _record(self, value: Any, kind: Any, depth: int) -> str:
        fields = _changed_fields(value)
        if fields is not None:
            return self._call(value, (), fields, depth)
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            return self._call(value, (), value._asdict(), depth)
        if isinstance(value, collections.deque):
            return self._call(value, (list(value),), {} if value.maxlen is None else {"maxlen": value.maxlen}, depth)
        if isinstance(value, collections.defaultdict):
            return self._call(value, (value.default_factory, dict(value)), {}, depth)
        if isinstance(value, collections.Counter | collections.OrderedDict):
            return self._call(value, (dict(value),), {}, depth)
        if isinstance(value, fractions.Fraction):
            return self._call(value, value.as_integer_ratio(), {}, depth)
        if isinstance(value, Returned):
            return self._call(value, tuple(value), {}, depth)
        if isinstance(value, pathlib.PurePath):
            return self._call(value, (str(value),), {}, depth)
        if isinstance(value, OF_LIBRARY):
            return self._of_library(value)
        if "__reduce__" in vars(kind):
            made_by, args, *more = value.__reduce__()
            if made_by is kind and not any(more):
                return self._call(value, args, {}, depth)
        raise _refuse_value(value)

    def _of_library(self, value: Any) -> str:
        if isinstance(value, decimal.Decimal | uuid.UUID):
            return self._call(value, (str(value),), {}, 0)
        text = repr(value)
        if "tzinfo" in text and "timezone.utc" not in text:
            raise _refuse_value(value)
        self.import_name("datetime", type(value).__name__)
        if "timezone" in text:
            self.import_name("datetime", "timezone")
        return text.replace("datetime.", "")

    def _call(self, value: Any, args: tuple[Any, ...], fields: Mapping[str, Any], depth: int) -> str:
        """The call that makes it, once it is sure that this makes the same."""
        try:
            again = type(value)(*args, **fields)
        except Exception:
            raise _refuse_value(value) from None
        if not is_same(again, value):
            raise _refuse_value(value)
        parts = [self.value(each, depth + 1) for each in args]
        parts += [f"{name}={self.value(each, depth + 1)}" for name, each in fields.items()]
        return f"{self.name(type(value))}({', '.join(parts)})"


def text_source(text: str) -> str:
    """A text as source, in double quotes where it has none itself.

    >>> print(text_source("it's"), text_source('say "it"'))
    "it's" 'say "it"'
    """
    source = repr(text)
    return source if '"' in source else f'"{source[1:-1]}"'.replace("\\'", "'")


def find_name(thing: Any) -> tuple[str, str]:
    """The module and the name in it that a class or a function is imported by.

    What a call has returned, such as a workflow of `tool_workflow(...)`, has no name of its own. It is imported by the
    name that a module has given to it.

    Raises:
        ConfigurationError: No module has it at its top.
    """
    module, path = module_of(thing), str(getattr(thing, "__qualname__", ""))
    found: Any = sys.modules.get(thing.__module__)
    for part in path.split("."):
        found = getattr(found, part, None)
    if found is thing and path and "<" not in path:
        return module, path
    names = list(_find_names(thing))
    if not names:
        raise ConfigurationError(
            f"{preview(thing, 80)} is not found by its name in the module {module!r}, so a test can't import it: "
            "define it at the top of a module. What a call returns needs a name there, such as "
            "`workflow = tool_workflow(...)`, and the runtime is created with that: manager.create(id, state, workflow)"
        )
    place, name = next((each for each in names if _assigns(*each)), names[0])
    return importable_name(place, name), name


def _find_names(thing: Any) -> Iterator[tuple[str, str]]:
    """Each module and name at its top that stands for this."""
    for place, module in list(sys.modules.items()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is thing and str(name).isidentifier():
                yield place, name


def _assigns(module: str, name: str) -> bool:
    """Whether a module gives this name to something, and has not only imported it."""
    try:
        body = ast.parse(inspect.getsource(sys.modules[module])).body
    except (OSError, TypeError, SyntaxError):  # it has no source
        return False
    targets = [target for each in body if isinstance(each, ast.Assign) for target in each.targets]
    targets += [each.target for each in body if isinstance(each, ast.AnnAssign)]
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def module_of(thing: Any) -> str:
    """The module that has a class or a function; of a script that runs, the name that it is imported by."""
    return importable_name(str(getattr(thing, "__module__", "")), getattr(thing, "__qualname__", thing))


def importable_name(module: str, thing: Any) -> str:
    """The name that a module is imported by, which that of a script that runs is not."""
    if module != "__main__":
        return module
    file = getattr(sys.modules["__main__"], "__file__", None)
    if file is None:
        raise ConfigurationError(
            f"{thing} is defined in a notebook or at a prompt, and a test can't import it: move it to a module"
        )
    return Path(file).stem


def _changed_fields(value: Any) -> dict[str, Any] | None:
    """The fields of a record that have not their default; None if it is no record."""
    fields: Any = None
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
    elif dataclasses.is_dataclass(value):
        fields = [each for each in dataclasses.fields(value) if each.init]
    if fields is not None:
        return {each.name: getattr(value, each.name) for each in fields if _differs(value, each)}
    fields = getattr(type(value), "model_fields", None)
    if isinstance(fields, dict):  # pydantic
        return {name: getattr(value, name) for name in fields}
    return None


def _differs(value: Any, field: Any) -> bool:
    """Whether a field has another value than it has when it is left out."""
    nothing = (dataclasses.MISSING, msgspec.NODEFAULT)
    return any(field.default is each for each in nothing) or not is_same(getattr(value, field.name), field.default)


def _refuse_value(value: Any) -> ConfigurationError:
    return ConfigurationError(
        f"a {type(value).__qualname__} can't be written into a test: {preview(value, 80)}. Records, enums, exceptions "
        "and collections of plain values can"
    )
