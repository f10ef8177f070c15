"""Where code stands: frames of a suspended coroutine or of a thread, as plain records. Nothing of the code runs."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, FrameType, FunctionType, GeneratorType, MethodType
from typing import Any

import msgspec

__all__ = ["RUNNERS", "StackFrame", "awaiting", "beginning", "brief", "package_of", "running"]

DEEPEST = 100
LOCALS = 20
TEXT = 60
CORE = (Path(__file__).parent, Path(__file__).parent / "engine")
SUSPENDABLE = (CoroutineType, GeneratorType, AsyncGeneratorType)
# The functions that call a workflow, by package: frames outside of the last of these are not the workflow's.
RUNNERS = {
    *(("asyncio", name) for name in ("_run_once", "_run")),
    *(("agentrt", name) for name in ("_loop", "_again", "_called")),
}


class StackFrame(msgspec.Struct, frozen=True):
    """One level of where code stands: file, line, function, the line's text, and its variables, shortened.

    `first` is the line its function begins at, `types` the type of each of `locals` by name.
    """

    file: str
    line: int
    function: str
    source: str
    locals: dict[str, str] = {}
    types: dict[str, str] = {}
    first: int = 1


def awaiting(thing: Any) -> list[StackFrame]:
    """The frames a suspended coroutine waits in, outermost first, through tasks and generators it awaits."""
    return [_record(frame) for frame in _suspended(thing)]


def running(thread: int) -> list[StackFrame]:
    """The frames a thread runs now, outermost first, from the workflow on if it runs one."""
    frame = sys._current_frames().get(thread)
    frames: list[FrameType] = []
    while frame is not None and _runner(frame) not in RUNNERS:
        frames.append(frame)
        frame = frame.f_back
    return [_record(frame) for frame in reversed(frames[:DEEPEST])]


def beginning(call: Any) -> StackFrame | None:
    """Where a function, a method or an object that can be called begins; None if it is not written in Python."""
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
    """The package that a file belongs to: "agentrt" for the core, "asyncio", else the name of the file itself."""
    path = Path(file)
    if path.parent in CORE:
        return "agentrt"
    return "asyncio" if path.parent.name == "asyncio" else path.stem


def _runner(frame: FrameType) -> tuple[str, str]:
    return package_of(frame.f_code.co_filename), frame.f_code.co_name


def _suspended(thing: Any) -> Iterator[FrameType]:
    for _ in range(DEEPEST):
        for name in ("cr_frame", "gi_frame", "ag_frame"):
            frame = getattr(thing, name, None)
            if frame is not None:
                yield frame
        thing = _inner(thing)
        if thing is None:
            return


def _inner(thing: Any) -> Any:
    """What it awaits."""
    if isinstance(thing, GeneratorType) and thing.gi_code.co_name == "drive" and thing.gi_frame is not None:
        return thing.gi_frame.f_locals["process"]  # it steps the processing of a runtime by hand
    if isinstance(thing, SUSPENDABLE):
        for name in ("cr_await", "gi_yieldfrom", "ag_await"):
            if hasattr(thing, name):
                return getattr(thing, name)
    if isinstance(thing, asyncio.Task):
        return thing.get_coro()
    if isinstance(thing, asyncio.Future):
        # What `gather` waits for.
        return next((child for child in getattr(thing, "_children", ()) if not child.done()), None)
    # An iterator made in C (of a future, a coroutine, an async generator) tells what it is about only to the collector.
    for held in gc.get_referents(thing):
        if isinstance(held, (*SUSPENDABLE, asyncio.Future)):
            return held
    return None


def _record(frame: FrameType) -> StackFrame:
    code, line = frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno
    source = linecache.getline(code.co_filename, line, frame.f_globals).strip()
    found = list(frame.f_locals.items())[:LOCALS] if code.co_name != "<module>" else []
    values = {name: brief(value) for name, value in found}
    types = {name: type(value).__name__ for name, value in found}
    return StackFrame(code.co_filename, line, code.co_qualname, source, values, types, code.co_firstlineno)


def brief(value: Any, deep: int = 2) -> str:
    """A value in a few characters. Runs no code of its class: what is not plain is named only.

    >>> brief({"a": [1, 2, 3], "b": object()})
    "{'a': [1, 2, 3], 'b': <object>}"
    """
    kind: Any = type(value)
    if value is None or kind in (bool, float, complex):
        return repr(value)
    if kind is int:
        return repr(value) if abs(value) < 10**TEXT else "<int>"
    if issubclass(kind, str):
        value, kind = str.__str__(value), str  # of an enum, say: its text, not what its class makes of it
    if kind in (str, bytes):
        return repr(value) if len(value) <= TEXT else repr(value[:TEXT])[:-1] + "..."
    if kind in (list, tuple, set, frozenset, dict) and deep:
        return _brief_container(value, deep)
    if isinstance(value, msgspec.Struct):
        names = kind.__struct_fields__[:6] if deep else ()
        return f"{kind.__name__}({', '.join(f'{n}={brief(getattr(value, n, None), deep - 1)}' for n in names)})"
    return f"<{type(value).__name__}>"


def _brief_container(value: Any, deep: int) -> str:
    brackets = "[]" if isinstance(value, list) else "()" if isinstance(value, tuple) else "{}"
    parts = []
    # A copy in one go: another thread may be changing it.
    for item in tuple(value.items() if isinstance(value, dict) else value)[:6]:
        one = ": ".join(brief(part, deep - 1) for part in item) if isinstance(value, dict) else brief(item, deep - 1)
        parts.append(one)
    more = ["..."] if len(value) > 6 else []
    return brackets[0] + ", ".join(parts + more) + brackets[1]
