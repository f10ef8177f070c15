"""Errors of another process: as data, and as an error again that a view can draw. No class of a user is needed."""

from __future__ import annotations

import linecache
import traceback
from functools import lru_cache
from types import CodeType
from typing import Any, NamedTuple

import msgspec

from .. import errors
from ..errors import AgentError
from ..frames import RUNNERS, package_of
from ..schema.outline import clean

__all__ = [
    "LONGEST_WHOLE",
    "FailureRecord",
    "SourcePlace",
    "error_of",
    "failure_of",
    "identity_of",
    "lengths_of",
    "places",
    "traceback_of",
]

AROUND, DEEPEST, CHAIN = 2, 8, 4
LONGEST_MESSAGE, LONGEST_TRACE = 2_000, 8_000  # characters
LONGEST_WHOLE = 1_000_000  # characters of each, where all of it was asked for
KINDS = {name: getattr(errors, name) for name in errors.__all__}
NO_TRACE = "Its traceback was not sent: many activities failed at once.\n"


class SourcePlace(NamedTuple):
    """A frame of a traceback: file, line, function, and the lines around it by number."""

    file: str
    line: int
    function: str
    around: tuple[tuple[int, str], ...]


class FailureRecord(msgspec.Struct, frozen=True):
    """An error as data.

    Args:
        kind: The name of its class.
        message: What it says, bounded.
        runtime: The runtime that it is about.
        activity: The activity that it is about.
        problems: Of an `ActivityValidationError`, what is wrong with which part.
        trace: Its traceback as text, with its causes.
        places: Its frames with the source around them.
        cause: What caused it.
        follows: Whether `cause` was only being handled when it was raised.
        lengths: How many characters the message and the traceback have where they are.
    """

    kind: str
    message: str
    runtime: str | None = None
    activity: int | None = None
    problems: dict[str, str] = {}
    trace: str = ""
    places: tuple[SourcePlace, ...] = ()
    cause: FailureRecord | None = None
    follows: bool = False
    lengths: tuple[int, int] = (0, 0)


class DistantError(Exception):
    """An exception of another process. Its classes here have the names of those there."""

    trace: str = ""
    places: tuple[SourcePlace, ...] = ()
    lengths: tuple[int, int] = (0, 0)


# ---- where the agents are


def failure_of(error: BaseException, traced: bool = True, whole: bool = False) -> FailureRecord:
    """Write an error as data. With `traced` its traceback and its source lines come with it. It never raises.

    `whole`: with up to a million characters of its message and of its traceback.
    """
    return _failure_record(error, traced, (LONGEST_WHOLE, LONGEST_WHOLE) if whole else (LONGEST_MESSAGE, LONGEST_TRACE))


def _failure_record(error: BaseException, traced: bool, longest: tuple[int, int], depth: int = 0) -> FailureRecord:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    text = depth == 1 or (depth == 0 and error.__cause__ is None)  # the one that a view shows; it has its causes in it
    message = clean(_error_message(error))
    trace = "" if not text else clean(_format(error)) if traced else NO_TRACE
    return FailureRecord(
        kind=_kind_of(error),
        message=message[: longest[0]],
        runtime=_clean_text(getattr(error, "runtime", None)) if isinstance(error, AgentError) else None,
        activity=error.activity if isinstance(error, AgentError) else None,
        problems=_problems(error),
        trace=trace[-longest[1] :],
        places=tuple(places(error)) if traced else (),
        cause=_failure_record(cause, traced, longest, depth + 1) if cause is not None and depth + 1 < CHAIN else None,
        follows=error.__cause__ is None,
        lengths=(len(message), len(trace)),
    )


def _kind_of(error: BaseException) -> str:
    """The name of its class; of a kind of one of `agentrt.errors`, the name of that."""
    kind = next((kind for kind in type(error).__mro__ if KINDS.get(kind.__name__) is kind), type(error))
    return clean(kind.__name__)[:200]


def _error_message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as fault:  # user code
        return f"(its message can't be shown: {type(fault).__name__})"


def _clean_text(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) else None


def _problems(error: BaseException) -> dict[str, str]:
    found = getattr(error, "problems", None) if isinstance(error, AgentError) else None
    pairs = list(found.items())[:100] if isinstance(found, dict) else []
    return {clean(str(path))[:200]: clean(str(text))[:LONGEST_MESSAGE] for path, text in pairs}


def places(error: BaseException) -> list[SourcePlace]:
    """The frames of an error, outermost first: those of the workflow, without those of this package around them."""
    if isinstance(error, DistantError):
        return list(error.places)
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    heads = [n for n, (code, _) in enumerate(frames, 1) if (package_of(code.co_filename), code.co_name) in RUNNERS]
    own = frames[heads[-1] if heads else 0 :] or frames
    while len(own) > 1 and _is_of_package(own[-1][0]):
        own.pop()
    return [_source_place(code.co_filename, line, code.co_qualname) for code, line in own[-DEEPEST:]]


def _is_of_package(code: CodeType) -> bool:
    return package_of(code.co_filename) == "agentrt"


def _source_place(file: str, line: int, function: str) -> SourcePlace:
    numbers = range(max(1, line - AROUND), line + AROUND + 1)
    found = [(number, clean(linecache.getline(file, number).rstrip("\n"))[:400]) for number in numbers]
    while found and not found[-1][1]:
        found.pop()
    return SourcePlace(clean(file), line, clean(function), tuple(found))


def identity_of(error: BaseException) -> object:
    """What is equal for two that are one error. One that has travelled twice is two objects."""
    return (type(error).__name__, error.args) if isinstance(error, DistantError) else id(error)


def traceback_of(error: BaseException) -> str:
    """The traceback of what the workflow raised, without the frames of this package above it."""
    cause = error.__cause__ or error
    return cause.trace if isinstance(cause, DistantError) else _format(cause)


def lengths_of(error: BaseException) -> tuple[int, int]:
    """How many characters the message and the traceback have, where the error was raised."""
    cause = error.__cause__ or error
    message, trace = getattr(cause, "lengths", (0, 0))
    return max(message, len(_error_message(cause))), max(trace, len(traceback_of(error)))


def _format(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error, limit=-12, chain=True))
    except Exception as fault:  # its message is user code
        return f"{type(error).__name__}, whose traceback can't be read: {type(fault).__name__}\n"


# ---- where they are looked at


def error_of(failure: FailureRecord) -> AgentError:
    """Make an error again: one of `agentrt.errors`, or an `AgentError` that another one has caused."""
    kind = KINDS.get(failure.kind)
    if kind is None:
        error = AgentError(failure.message, runtime=failure.runtime, activity=failure.activity)
        error.__cause__ = _distant(failure)
        return error
    made: AgentError = kind.__new__(kind)
    made.args = (failure.message,)
    vars(made).update(
        runtime=failure.runtime, activity=failure.activity, missing=None, chain=(), lengths=failure.lengths
    )
    vars(made)["problems"] = failure.problems or {"": failure.message}
    if failure.cause is not None:
        made.__cause__ = _distant(failure.cause)
    return made


def _distant(failure: FailureRecord) -> DistantError:
    error = _class_of(failure.kind)(failure.message)
    error.trace, error.places, error.lengths = failure.trace, failure.places, failure.lengths
    if failure.cause is not None:
        setattr(error, "__context__" if failure.follows else "__cause__", _distant(failure.cause))
    return error


@lru_cache(256)
def _class_of(name: str) -> type[DistantError]:
    """A class of this name: it is what a view shows."""
    return type(name.replace("\0", "") or "Exception", (DistantError,), {"__module__": "builtins"})
