"""Stack frames of a suspended coroutine or of a running thread, as plain records. Reading them runs no user code."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import itertools
import linecache
import os
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import (
    AsyncGeneratorType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
)
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from .asyncio_compat import children

__all__ = [
    "RUNNERS",
    "AwaitNumbers",
    "StackFrame",
    "awaited_object",
    "class_name",
    "debugger_of",
    "definition_of",
    "hide_from_debuggers",
    "is_core",
    "is_users_file",
    "location_of",
    "package_of",
    "safe_repr",
    "stack_of",
    "suspended_frames",
    "suspended_stack",
    "thread_frames",
    "thread_stack",
]

MAX_FRAMES = 100
MAX_LOCALS = 20  # of one frame
MAX_TEXT = 60  # characters of one text, digits of one number
MAX_ITEMS = 6  # of one container
PACKAGE = Path(__file__).parent
COMPILED = "_core.pyx"  # how the compiled core names its file
CORE_FOLDERS = (PACKAGE, PACKAGE / "engine", PACKAGE / "debugger")
DEMO = str(PACKAGE / "demo")
LIBRARIES = (
    str(PACKAGE) + os.sep,
    COMPILED,
    "<frozen",
    *{sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")},
)
# The functions in which a debugger of Python keeps a thread stopped, by the name of their file without suffix.
DEBUGGERS = {
    ("pydevd", "do_wait_suspend"): "debugpy",
    ("pydevd", "_do_wait_suspend"): "debugpy",
    ("pdb", "interaction"): "pdb",
    ("pdb", "_interaction"): "pdb",
}
SUSPENDABLE = (CoroutineType, GeneratorType, AsyncGeneratorType)
# The functions that call a workflow, by package: only the frames inside the innermost of these are the workflow's.
RUNNERS = {
    *(("asyncio", name) for name in ("_run_once", "_run")),
    *(("agentrt", name) for name in ("_loop", "_process", "attempt", "_call_workflow", "_step_workflow")),
}


class StackFrame(msgspec.Struct, frozen=True):
    """One frame of a stack.

    Args:
        file: Path of the source file.
        line: Number of the line that runs, or that waits.
        function: Qualified name of the function.
        source: Text of that line; empty where the file can't be read.
        locals: The values of its first 20 variables by name, shortened; see `safe_repr`.
        types: The class names of the same variables.
        first: Number of the line where the function begins.
        awaits: Number of what it awaits. At the same line with another number it has gone on and has come back; 0 if
            that can't be said.
    """

    file: str
    line: int
    function: str
    source: str
    locals: dict[str, str] = {}
    types: dict[str, str] = {}
    first: int = 1
    awaits: int = 0


class AwaitNumbers:
    """Gives each object that is awaited a number, for as long as it exists."""

    def __init__(self) -> None:
        self._numbers: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        self._next = itertools.count(1)

    def of(self, awaited: object) -> int:
        """The number of this object, or of what it wraps if nobody can refer to it weakly; 0 if there is none."""
        for each in (awaited, awaited_object(awaited)):
            try:
                return self._numbers.setdefault(each, next(self._next))
            except TypeError:
                continue
        return 0


def suspended_stack(awaitable: object, numbers: AwaitNumbers | None = None) -> list[StackFrame]:
    """The frames in which a suspended coroutine waits, through the tasks, futures and generators that it awaits.

    Args:
        awaitable: A coroutine, a task, a generator, or anything else; what has no frames gives an empty list.
        numbers: What numbers the objects that are awaited; without it they have the number 0.

    Returns:
        At most 100 frames, outermost first.
    """
    return [
        _stack_frame(frame, numbers.of(awaited) if numbers is not None else 0)
        for frame, awaited in suspended_frames(awaitable)
    ]


def thread_stack(thread: int) -> list[StackFrame]:
    """The frames that a thread runs now. If it runs a workflow, only those of the workflow.

    Args:
        thread: Identifier of the thread, as `threading.get_ident()` returns it.

    Returns:
        At most the 100 innermost frames, outermost first; none for a thread that has ended.
    """
    return stack_of(thread_frames(thread))


def stack_of(frames: Iterable[FrameType]) -> list[StackFrame]:
    """The records of these frames, 100 at most."""
    return [_stack_frame(frame) for frame in list(frames)[-MAX_FRAMES:]]


def thread_frames(thread: int) -> list[FrameType]:
    """The frames that `thread_stack` makes records of: those of the workflow, without those of a debugger in it."""
    frame = sys._current_frames().get(thread)
    frames: list[FrameType] = []
    is_debugged = False
    while frame is not None and _package_and_function(frame) not in RUNNERS:
        frames.append(frame)
        if _file_and_function(frame) in DEBUGGERS:
            is_debugged = True
            frames.clear()
        frame = frame.f_back
    while is_debugged and frames and is_debugger_frame(frames[0]):
        del frames[0]
    return frames[::-1]


def debugger_of(thread: int) -> str:
    """The debugger of Python that keeps a thread stopped now, "debugpy" or "pdb"; empty if none does."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        found = DEBUGGERS.get(_file_and_function(frame))
        if found is not None:
            return found
        frame = frame.f_back
    return ""


def hide_from_debuggers(thread: threading.Thread) -> None:
    """Have debugpy leave a thread of this package alone: it goes on while the user's code is stopped there."""
    # Attributes that pydevd reads; ipykernel does the same for its own threads.
    for name in ("pydev_do_not_trace", "is_pydev_daemon_thread"):
        setattr(thread, name, True)


def is_debugger_frame(frame: FrameType) -> bool:
    """Whether it is of the machinery of a debugger, on the way to where it waits."""
    file = frame.f_code.co_filename
    return Path(file).stem in ("pdb", "bdb", "cmd") or "pydevd" in file or "debugpy" in file


def is_core(frame: FrameType) -> bool:
    """Whether it is of the core of this package."""
    return package_of(frame.f_code.co_filename) == "agentrt"


def is_users_file(file: str) -> bool:
    """Whether a source file is the user's: not of this package, of Python or of an installed package."""
    return file.startswith(DEMO) or not file.startswith(LIBRARIES)


def definition_of(call: object) -> StackFrame | None:
    """Where the source of a function, a method or a callable object begins; None if it is not written in Python."""
    while isinstance(call, functools.partial):
        call = call.func
    if not isinstance(call, FunctionType | MethodType):
        call = inspect.getattr_static(type(call), "__call__", None)
    function = call.__func__ if isinstance(call, MethodType) else call
    if not isinstance(function, FunctionType):
        return None
    code = function.__code__
    first = code.co_firstlineno
    return StackFrame(
        code.co_filename, first, code.co_qualname, linecache.getline(code.co_filename, first), first=first
    )


def package_of(file: str) -> str:
    """The package of a source file: "agentrt" for its core, "asyncio", else the name of the file without suffix."""
    path = Path(file)
    if path.parent in CORE_FOLDERS or file == COMPILED:
        return "agentrt"
    return "asyncio" if path.parent.name == "asyncio" else path.stem


def location_of(function: Callable[..., object]) -> tuple[str, str]:
    """The package and the qualified name by which the frames of a function written in Python are found.

    >>> location_of(asyncio.sleep), location_of(asyncio.Event.wait)
    (('asyncio', 'sleep'), ('asyncio', 'Event.wait'))
    """
    code = inspect.unwrap(function).__code__
    return package_of(code.co_filename), code.co_qualname


def _file_and_function(frame: FrameType) -> tuple[str, str]:
    return Path(frame.f_code.co_filename).stem, frame.f_code.co_name


def _package_and_function(frame: FrameType) -> tuple[str, str]:
    return package_of(frame.f_code.co_filename), frame.f_code.co_name


def suspended_frames(awaitable: object) -> Iterator[tuple[FrameType, object | None]]:
    """The frames that `suspended_stack` makes records of, each with what it awaits."""
    thing: object | None = awaitable
    for _ in range(MAX_FRAMES):
        awaited = awaited_object(thing)
        for name in ("cr_frame", "gi_frame", "ag_frame"):
            frame = getattr(thing, name, None)
            if frame is not None:
                yield frame, awaited
        thing = awaited
        if thing is None:
            return


def awaited_object(thing: object) -> object | None:
    """What a suspended coroutine, generator, task or future awaits; None if it awaits nothing that can be read."""
    if isinstance(thing, GeneratorType) and thing.gi_code.co_qualname == "Driver.drive" and thing.gi_frame is not None:
        process: object = thing.gi_frame.f_locals["process"]  # this generator steps the processing of a runtime
        return process
    for name in ("cr_await", "gi_yieldfrom", "ag_await"):
        # As a class made in C has it: this runs nobody's code.
        if isinstance(vars(type(thing)).get(name), GetSetDescriptorType | MemberDescriptorType):
            awaited: object | None = getattr(thing, name, None)
            return awaited
    if isinstance(thing, asyncio.Task):
        return thing.get_coro()
    if isinstance(thing, asyncio.Future):
        # `gather` makes one future of several: the first child that is not done is what it waits for.
        return next((child for child in children(thing) or () if not child.done()), None)
    # An iterator made in C (of a future, a coroutine, an async generator) shows what it wraps to the collector only.
    for held in gc.get_referents(thing):
        if isinstance(held, (*SUSPENDABLE, asyncio.Future)):
            return held
    return None


def _stack_frame(frame: FrameType, awaits: int = 0) -> StackFrame:
    code, line = frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno
    source = linecache.getline(code.co_filename, line, frame.f_globals).strip()
    found = list(frame.f_locals.items())[:MAX_LOCALS] if code.co_name != "<module>" else []
    values = {name: safe_repr(value) for name, value in found}
    types = {name: class_name(type(value)) for name, value in found}
    return StackFrame(code.co_filename, line, code.co_qualname, source, values, types, code.co_firstlineno, awaits)


def safe_repr(value: Any, depth: int = 2) -> str:
    """A short text of a value. It runs no code of the value's class: of what is not plain data only the class is named.

    Args:
        value: Anything, also what another thread is changing.
        depth: How many levels of containers and Structs are written out.

    >>> safe_repr({"a": [1, 2, 3], "b": object()})
    "{'a': [1, 2, 3], 'b': <object>}"
    """
    kind: Any = type(value)
    if value is None or kind in (bool, float, complex):
        return repr(value)
    if kind is int:
        return repr(value) if abs(value) < 10**MAX_TEXT else "<int>"
    if issubclass(kind, str):
        value, kind = str.__str__(value), str  # of an enum: its text, not what its class makes of it
    if kind in (str, bytes):
        return repr(value) if len(value) <= MAX_TEXT else repr(value[:MAX_TEXT])[:-1] + "..."
    if kind in (list, tuple, set, frozenset, dict) and depth:
        return _container_repr(value, depth)
    if isinstance(value, msgspec.Struct):
        names = kind.__struct_fields__[:MAX_ITEMS] if depth else ()
        return f"{class_name(kind)}({', '.join(f'{n}={safe_repr(getattr(value, n, None), depth - 1)}' for n in names)})"
    return f"<{class_name(kind)}>"


def class_name(kind: type) -> str:
    """What a class is called where people read it: one that is another only for the collector has the other's name."""
    name = vars(kind).get("SHOWN_AS", kind.__name__)
    return name if type(name) is str else kind.__name__


def _container_repr(value: Any, depth: int) -> str:
    brackets = "[]" if isinstance(value, list) else "()" if isinstance(value, tuple) else "{}"
    parts = []
    # tuple() copies at once: another thread may be changing it.
    for item in tuple(value.items() if isinstance(value, dict) else value)[:MAX_ITEMS]:
        pair = item if isinstance(value, dict) else (item,)
        parts.append(": ".join(safe_repr(part, depth - 1) for part in pair))
    more = ["..."] if len(value) > MAX_ITEMS else []
    return brackets[0] + ", ".join(parts + more) + brackets[1]
