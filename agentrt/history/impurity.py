"""What makes a replay dishonest: a workflow that reads the clock, chance or the world otherwise than through `ctx`."""

from __future__ import annotations

import gc
import random
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any, NamedTuple

import msgspec

from ..frames import is_users_file
from ..schema.immutability import is_frozen
from ..schema.preview import preview
from .playback_loop import PlaybackLoop

__all__ = ["GivenValue", "Impurity", "Unrecorded", "begin_of", "shared_values", "watch_calls"]

CLOCK = "reads the real clock"
CHANCE = "uses chance that is not recorded"
EFFECT = "has an effect that is not recorded"
ADVICE = {CLOCK: "ctx.now()", CHANCE: "ctx.random", EFFECT: "ctx.effect(name, function, ...)"}
MODULES = {
    "time": CLOCK, "datetime": CLOCK, "random": CHANCE, "_random": CHANCE, "secrets": CHANCE, "uuid": CHANCE,
    "_uuid": CHANCE, "_socket": EFFECT, "socket": EFFECT, "_io": EFFECT, "io": EFFECT, "subprocess": EFFECT,
    "_posixsubprocess": EFFECT, "_sqlite3": EFFECT, "sqlite3": EFFECT, "posix": EFFECT, "os": EFFECT,
}  # fmt: skip
CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "now", "utcnow", "today"}
CLOCKS |= {"localtime", "gmtime", "ctime", "process_time"}
EFFECTS = {"open", "connect", "send", "sendall", "recv", "system", "fork_exec", "listdir", "scandir", "stat", "remove"}
EFFECTS |= {"unlink", "rename", "mkdir", "getenv", "open_code"}
DATES = ("datetime", "date")
# What these do is for people to read, or the machinery of waiting.
EXEMPT = {"logging", "asyncio", "warnings", "linecache", "traceback", "inspect", "threading", "futures"}


MOST_FUNCTIONS = 50  # that are followed from a workflow to what they share
THREAD_CALL = PlaybackLoop.run_in_executor.__code__


class Unrecorded(BaseException):
    """The workflow needs what is not in the record."""


class Impurity(msgspec.Struct, frozen=True):
    """One thing that makes what an activity comes to depend on more than its record.

    Args:
        activity: Its number.
        runtime: The id of the runtime.
        what: What it does, as in "reads the real clock".
        call: What it calls, or which name it is about.
        file: Where, in the code of the user.
        line: The line.
    """

    activity: int
    runtime: str
    what: str
    call: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f" at {Path(self.file).name}:{self.line}" if self.file else ""
        instead = f"; use {ADVICE[self.what]}" if self.what in ADVICE else ""
        return f"activity {self.activity} of {self.runtime!r} {self.what} ({self.call}){where}{instead}"


class GivenValue(NamedTuple):
    """A value that could be changed in place.

    Args:
        what: What it is: "its payload", "its state", "the result of an effect" or "an answer".
        name: Which one: a variable, the name of the effect, the id of the runtime that answered.
        recorded: As the record has it.
        copy: What the workflow was given.
    """

    what: str
    name: str
    recorded: Any
    copy: Any


class CallWatch:
    """Told of every call on one thread, it notes those that no record can repeat, and stops before an effect."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], tuple[str, int]] = {}
        self.blocked: Unrecorded | None = None
        self.thread = threading.get_ident()
        self.is_collecting = False

    def begin_collection(self, phase: str, _info: object) -> None:
        """The collector begins, as `gc.callbacks` tell: what it calls (finalizers, others) is not the workflow's."""
        if phase == "start" and threading.get_ident() == self.thread:
            self.is_collecting = True

    def end_collection(self, phase: str, _info: object) -> None:
        """The collector has ended."""
        if phase == "stop" and threading.get_ident() == self.thread:
            self.is_collecting = False

    def __call__(self, frame: types.FrameType, event: str, argument: Any) -> None:
        """Look at one call, as `sys.setprofile` tells of it."""
        if self.is_collecting:
            return
        if event == "c_call":
            self._look(frame, argument)
        elif event == "call" and frame.f_code.co_filename == random.__file__ and _is_global(frame.f_locals.get("self")):
            self._note(frame, CHANCE, f"random.{frame.f_code.co_name}")

    def _look(self, frame: types.FrameType, function: Any) -> None:
        name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
        if isinstance(owner, random.Random):
            is_global = _is_global(owner) and frame.f_code.co_filename != random.__file__
            if is_global or isinstance(owner, random.SystemRandom):
                self._note(frame, CHANCE, f"random.{name}")
            return
        module = owner.__name__ if isinstance(owner, types.ModuleType) else getattr(function, "__module__", None) or ""
        if isinstance(owner, type) and owner.__module__ == "datetime":
            module, name = "datetime", name if owner.__name__ in DATES else ""
        what = MODULES.get(module)
        if what is CLOCK and name in CLOCKS:
            self._note(frame, CLOCK, f"{module}.{name}")
        elif name in EFFECTS and (what is EFFECT or isinstance(owner, socket)):
            self._note(frame, EFFECT, f"{module.lstrip('_') or 'socket'}.{name}")
        elif what is not None and name in ("urandom", "generate_time_safe"):
            self._note(frame, CHANCE, f"os.{name}")

    def _note(self, frame: types.FrameType | None, what: str, call: str) -> None:
        """Note a call for the line of the user's code that it came from."""
        in_thread = False
        while frame is not None and not is_users_file(frame.f_code.co_filename):
            file = Path(frame.f_code.co_filename)
            in_thread = in_thread or frame.f_code is THREAD_CALL  # what asyncio calls there is the workflow's
            if EXEMPT & {file.stem, file.parent.name} and not in_thread:
                return
            frame = frame.f_back
        if frame is not None and not frame.f_code.co_filename.startswith("<frozen"):
            self.found.setdefault((what, call), (frame.f_code.co_filename, frame.f_lineno))
            if what is EFFECT:
                self.blocked = Unrecorded(f"it {what}: {call}")
                raise self.blocked  # before it is called: nothing is done again


def _is_global(owner: object) -> bool:
    """Whether this is the generator behind the functions of `random`."""
    return owner is vars(random)["_inst"]


@contextmanager
def watch_calls() -> Iterator[CallWatch]:
    """Note the calls of this thread that no record can repeat."""
    watch = CallWatch()
    gc.callbacks.insert(0, watch.begin_collection)  # before others that are called, and after them
    gc.callbacks.append(watch.end_collection)
    sys.setprofile(watch)
    try:
        yield watch
    finally:
        sys.setprofile(None)
        gc.callbacks.remove(watch.begin_collection)
        gc.callbacks.remove(watch.end_collection)


def begin_of(function: Callable[..., Any]) -> tuple[str, int]:
    """The file and the line where a function begins; ("", 0) of one that is not written in Python."""
    code = getattr(_plain_function(function)[0], "__code__", None)
    return ("", 0) if code is None else (code.co_filename, code.co_firstlineno)


def _plain_function(function: Any) -> tuple[Any, dict[str, Any]]:
    """The function that is called in the end, and what it is called with each time, by name."""
    bound: dict[str, Any] = {}
    if isinstance(function, partial):
        bound |= {f"argument {n}": each for n, each in enumerate(function.args)} | function.keywords
        function = function.func
    if not isinstance(function, types.FunctionType | types.MethodType):  # an object that can be called
        function = getattr(function, "__call__", function)  # noqa: B004
    if isinstance(function, types.MethodType):
        bound["self"] = getattr(function.__self__, "__dict__", None)
        function = function.__func__
    return function, bound


def shared_values(function: Callable[..., Any]) -> dict[str, str]:
    """What a function shares with others, by name, as text: compare it before and after."""
    plain, shared = _plain_function(function)
    code = getattr(plain, "__code__", None)
    if code is not None:
        shared |= _globals_of(plain)
        shared |= _closed_over(plain)
    texts = ((name, _text_of(value)) for name, value in shared.items())
    return {name: text for name, text in texts if text}


def _globals_of(function: types.FunctionType) -> dict[str, Any]:
    """The globals that a function names, and those that the user's functions among them name, by name."""
    found: dict[str, Any] = {}
    todo, followed = [function], {function}
    while todo:
        each = todo.pop()
        scope = each.__globals__
        named = {name: scope[name] for name in _names_of(each.__code__) if name in scope}
        found |= {name: value for name, value in named.items() if name not in found}
        for value in named.values():
            is_users = isinstance(value, types.FunctionType) and is_users_file(value.__code__.co_filename)
            if is_users and value not in followed and len(followed) < MOST_FUNCTIONS:
                followed.add(value)
                todo.append(value)
    return found


def _names_of(code: types.CodeType) -> set[str]:
    """The names in a code, and in the functions inside of it."""
    inner = (each for each in code.co_consts if isinstance(each, types.CodeType))
    return set(code.co_names).union(*map(_names_of, inner))


def _closed_over(function: Any) -> dict[str, Any]:
    """The variables of the functions around it, by name."""
    found: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        with suppress(ValueError):  # it is empty
            found[name] = cell.cell_contents
    return found


def _text_of(value: Any) -> str:
    """The text of a collection that could be changed in place, or of a number; nothing of what is code."""
    if isinstance(value, types.ModuleType | types.FunctionType | type) or callable(value):
        return ""
    if isinstance(value, list | dict | set | bytearray):
        return f"{len(value)} {preview(value, 2_000)}"  # of a long one only the beginning is compared
    if is_frozen(value):
        return preview(value, 2_000)
    return preview(vars(value), 2_000) if hasattr(value, "__dict__") else ""
