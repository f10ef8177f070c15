"""What the callbacks of an event loop are: those of asyncio that only pass on what is done, and others."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

__all__ = ["callback_of", "counts_only", "function_label", "is_inner", "may_take"]


def function_label(function: Any) -> str:
    """What a function or a partial is called, with parentheses."""
    while isinstance(function, partial):
        function = function.func
    return f"{getattr(function, '__name__', type(function).__name__)}()"


def may_take(entry: Any) -> bool:
    """Whether a runtime that does nothing has something that it may take."""
    if entry.closed or not len(entry.mailbox):
        return False
    return not entry.held or entry.steps > 0 or bool(entry.breakpoints)


def callback_of(handle: Any) -> Any:
    """The function that a handle calls, without its partials."""
    callback = handle._callback
    while isinstance(callback, partial):
        callback = callback.func
    return callback


def is_inner(handle: Any) -> bool:
    """Whether a callback belongs to asyncio or to agentrt; a timeout does, but may come before or after others."""
    callback = callback_of(handle)
    module = getattr(callback, "__module__", None) or ""
    return str(module).split(".")[0] in ("asyncio", "agentrt") and callback.__name__ != "_on_timeout"


def counts_only(callback: Any, done: Any) -> bool:
    """Whether a callback of asyncio only counts what is done: the last one wakes, whichever that is."""
    base: Any = asyncio.Task if isinstance(done, asyncio.Task) else asyncio.Future
    name: str = callback.__qualname__
    code = getattr(callback, "__code__", None)
    cells = {} if code is None else dict(zip(code.co_freevars, callback.__closure__ or (), strict=False))
    wanted = cells["return_when"].cell_contents if "return_when" in cells else ""
    if name.startswith("gather.") and cells["return_exceptions"].cell_contents:
        return True
    if base.cancelled(done) or base.exception(done) is not None:
        return bool(wanted == asyncio.ALL_COMPLETED)
    return name.startswith(("gather.", "TaskGroup.")) or wanted in (asyncio.ALL_COMPLETED, asyncio.FIRST_EXCEPTION)
