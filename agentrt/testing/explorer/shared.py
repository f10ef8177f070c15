"""Objects that several processes reach and one of them changes: their steps depend on each other as well.

What a function reaches is read from its closure, its default values, the globals that it names, its arguments and
`self`; from there on through containers and attributes. After each step the objects that its process shares with others
are compared with what they were: a step that has changed one writes it, every other step of those processes reads it.
"""

from __future__ import annotations

import asyncio
import dis
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from random import Random
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from ...schema.immutability import ATOMS
from .footprint import Keys
from .processes import Process

__all__ = ["Sharing", "Tracked", "roots_of_coroutine", "roots_of_function"]

MOST_OBJECTS = 1_000  # that are followed from one function
FOREIGN = {*sys.stdlib_module_names, "agentrt", "msgspec", "param", "pytest", "_pytest"} - {"__main__"}
CONTAINERS = (list, dict, set, deque, bytearray)


class Tracked:
    """An object that can be changed in place, and the processes that reach it."""

    __slots__ = ("key", "name", "pids", "value", "was")

    def __init__(self, value: Any, name: str, key: int) -> None:
        self.value = value
        self.name = name
        self.key = key
        self.pids: set[int] = set()
        self.was = _contents(value)

    def has_changed(self) -> bool:
        """Whether it is another one than when this was last asked."""
        now = _contents(self.value)
        was = self.was
        if len(now) == len(was) and all(map(_is_same, now, was)):
            return False
        self.was = now
        return True


class Sharing:
    """The objects that the processes of one trial share. `changed` has those that were changed, by their names."""

    def __init__(self, keys: Keys, processes: dict[int, Process]) -> None:
        self._keys = keys
        self._processes = processes
        self._objects: dict[int, Tracked] = {}
        self._shared: dict[int, list[Tracked]] = {}
        self.changed: dict[str, Tracked] = {}
        self.unseen: set[str] = set()

    def reach(self, pid: int, roots: Iterable[tuple[str, Any]], others: Iterable[int] = ()) -> None:
        """A process reaches these; so do those that have begun it, and `others`."""
        todo, seen = [(name, value) for name, value in roots if not _is_nothing(type(value))], set[int]()  # type: ignore[arg-type]
        if not todo:
            return
        pids = [*self._line_of(pid), *others]
        while todo:
            name, value = todo.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if len(seen) > MOST_OBJECTS:
                self.unseen.add(name)
                return
            if _is_mutable(value):
                self._track(name, value, pids)
            todo += [(path, part) for path, part in _parts_within(name, value) if not _is_nothing(type(part))]  # type: ignore[arg-type]

    def _line_of(self, pid: int) -> Iterator[int]:
        """A process, the one that has begun it, and so on."""
        process = self._processes.get(pid)
        yield pid
        while process is not None and process.parent not in (-1, process.pid):
            yield process.parent
            process = self._processes.get(process.parent)

    def _track(self, name: str, value: Any, pids: list[int]) -> None:
        tracked = self._objects.get(id(value))
        if tracked is None:
            tracked = self._objects[id(value)] = Tracked(value, name, self._keys.bit("object", name))
        new = [pid for pid in pids if pid not in tracked.pids]
        if not new:
            return
        tracked.pids.update(new)
        if len(tracked.pids) > 1:
            for pid in tracked.pids if len(tracked.pids) - len(new) < 2 else new:
                self._shared.setdefault(pid, []).append(tracked)
                process = self._processes.get(pid)
                if process is not None:
                    process.base |= tracked.key

    def base_of(self, pid: int) -> int:
        """The keys of what a process shares with others."""
        keys = 0
        for tracked in self._shared.get(pid, ()):
            keys |= tracked.key
        return keys

    def find_changes(self, pid: int) -> int:
        """The keys of what a step of this process has changed."""
        keys = 0
        for tracked in [*self._shared.get(pid, ())]:
            if tracked.has_changed():
                keys |= tracked.key
                self.changed[tracked.name] = tracked
                for other in tracked.pids:
                    self.reach(other, _parts_within(tracked.name, tracked.value))
        return keys


# ---- what a function, a task, an object reaches


def roots_of_function(function: Any) -> Iterator[tuple[str, Any]]:
    """What a function reaches by name: its closure, its defaults and the globals that it names."""
    while isinstance(function, partial):
        yield from enumerate_parts("an argument", (*function.args, *function.keywords.values()))
        function = function.func
    if isinstance(function, MethodType):
        yield "self", function.__self__
        function = function.__func__
    if not isinstance(function, FunctionType):
        yield getattr(type(function), "__name__", "object"), function
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            continue
    yield from enumerate_parts("a default", (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()))
    yield from roots_of_globals(function.__code__, function.__globals__)


def roots_of_coroutine(coroutine: Any) -> Iterator[tuple[str, Any]]:
    """What a coroutine that has not begun reaches: its arguments, its closure, the globals that it names."""
    frame = getattr(coroutine, "cr_frame", None)
    if frame is not None:
        yield from frame.f_locals.items()
        yield from roots_of_globals(frame.f_code, frame.f_globals)


def roots_of_globals(code: CodeType, variables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The globals that the code of a function names, and the functions inside of it."""
    if str(variables.get("__name__", "")).split(".")[0] in FOREIGN:
        return
    for name in _names_in(code):
        if name in variables:
            yield name, variables[name]


@cache
def _names_in(code: CodeType) -> tuple[str, ...]:
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    # Not `co_names`: that has the names of attributes as well.
    own = [each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    return tuple({*own, *(name for each in inner for name in _names_in(each))})


def enumerate_parts(name: str, values: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Values without names of their own."""
    for value in values:
        yield name, value


def _parts_within(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds."""
    if isinstance(value, FunctionType | MethodType | partial):
        yield from roots_of_function(value)
    elif isinstance(value, BuiltinFunctionType):
        if isinstance(value.__self__, Random):  # such as `from random import random`
            yield name, value.__self__
    elif isinstance(value, ModuleType):
        yield from _parts_of_module(name, value)
    elif isinstance(value, dict):
        yield from enumerate_parts(f"{name}[...]", value.values())
    elif isinstance(value, list | tuple | set | frozenset | deque):
        yield from enumerate_parts(f"{name}[...]", value)
    elif isinstance(value, type):
        if not _is_foreign(value):
            yield from ((f"{value.__name__}.{key}", part) for key, part in vars(value).items() if key[:2] != "__")
    elif not _is_foreign(type(value)):
        yield type(value).__name__, type(value)
        yield from ((f"{name}.{key}", part) for key, part in _fields_of(value))


def _parts_of_module(name: str, module: ModuleType) -> Iterator[tuple[str, Any]]:
    """What a module holds that can be changed in place; not what its functions reach."""
    if module is random:
        yield name, random._inst
    elif not _is_foreign_module(module):
        found = {key: value for key, value in vars(module).items() if isinstance(value, CONTAINERS) and key[:2] != "__"}
        yield from ((f"{name}.{key}", value) for key, value in found.items())


def _is_foreign_module(module: ModuleType) -> bool:
    return module.__name__.split(".")[0] in FOREIGN


def _fields_of(value: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(value, "__dict__", {}).items()
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                yield name, getattr(value, name)


@cache
def _is_nothing(kind: type) -> bool:
    """Whether objects of this class neither can be changed nor hold others, or are agentrt's own."""
    followed = (*CONTAINERS, tuple, frozenset, FunctionType, MethodType, partial, type, asyncio.Future, Random)
    if kind in ATOMS or issubclass(kind, asyncio.AbstractEventLoop | asyncio.Task):
        return True
    if kind in (ModuleType, BuiltinFunctionType):
        return False
    is_asyncio = kind.__module__.split(".")[0] == "asyncio"
    return _is_foreign(kind) and not is_asyncio and not issubclass(kind, followed) and not hasattr(kind, "__next__")


def _is_foreign(kind: type) -> bool:
    return kind.__module__.split(".")[0] in FOREIGN


def _is_mutable(value: Any) -> bool:
    """Whether an object of this class can be changed in place, as far as its class says."""
    kind = type(value)
    if isinstance(value, CONTAINERS):
        return True
    if isinstance(value, FunctionType | BuiltinFunctionType | MethodType | partial | type | tuple | frozenset):
        return False
    if isinstance(value, ModuleType):
        return not _is_foreign_module(value)
    if kind.__module__.split(".")[0] == "asyncio" or isinstance(value, asyncio.Future | Random):
        return True
    return hasattr(kind, "__next__") or (not _is_foreign(kind) and _is_open(kind))  # type: ignore[arg-type]


@cache
def _is_open(kind: type) -> bool:
    """Whether the attributes of a class can be set."""
    parameters = getattr(kind, "__dataclass_params__", None)
    if parameters is not None and parameters.frozen:
        return False
    config = getattr(kind, "__struct_config__", None)
    return config is None or not config.frozen


_READ: dict[type, Callable[[Any], list[Any]]] = {
    dict: lambda value: [part for item in value.items() for part in item],
    bytearray: lambda value: [bytes(value)],
    Random: lambda value: [hash(value.getstate())],
    ModuleType: lambda value: [part for item in vars(value).items() for part in item],
}


def _contents(value: Any) -> list[Any]:
    """What an object holds now. Only what it holds itself: what that holds is tracked for its own."""
    kind = type(value)
    read = _READ.get(kind)
    if read is not None:
        return read(value)
    if isinstance(value, list | set | deque):
        return list(value)
    if isinstance(value, asyncio.Future):
        return [value._state]
    if hasattr(kind, "__next__"):
        frame = getattr(value, "gi_frame", None)
        place = None if frame is None else frame.f_lasti
        hint = getattr(value, "__length_hint__", None)
        return [place, hint() if hint is not None else None, repr(value)]
    found = []
    for name, part in _fields_of(value):
        found += [name, part]
        if isinstance(part, deque | list | set | dict):  # of a lock or a queue: not tracked for its own
            found += [len(part), *part]
    return found


def _is_same(one: Any, other: Any) -> bool:
    return one is other or (type(one) in ATOMS and type(one) is type(other) and one == other) or _are_same(one, other)


def _are_same(one: Any, other: Any) -> bool:
    return type(one) is tuple and type(other) is tuple and len(one) == len(other) and all(map(_is_same, one, other))
