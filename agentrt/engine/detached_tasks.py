"""Tasks that workflows start and nobody awaits: a failure is told at once, not when the garbage is collected.

asyncio reports such an exception when the task is collected: late where somebody keeps it, and never where it is kept
for good. Here it becomes an event of kind "background" of the runtime that started the task, and a line in the log.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import copy_context
from functools import partial
from typing import Any

from ..logs import log_safely
from .deadlock import CURRENT, Branch
from .protocols import Member

__all__ = ["watch"]

logger = logging.getLogger(__name__)

TURNS = 3  # of the loop, until whoever awaits the task (through `gather`, `wait`, a group) has taken its exception


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Look after the tasks that workflows start on this loop. Once does for all managers on it; other tasks pass by."""
    factory = loop.get_task_factory()
    if not isinstance(factory, _Factory):
        loop.set_task_factory(_Factory(factory))


class _Factory:
    """A task factory around the one that was there before."""

    def __init__(self, before: Any) -> None:
        self.before = before

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        make = partial(asyncio.Task, coro, loop=loop) if self.before is None else partial(self.before, loop, coro)
        starter = CURRENT.get()
        if starter is None:
            return make(**options)
        activity = starter.current
        entry: Member = starter.entry if isinstance(starter, Branch) else starter
        if activity is not None and starter is entry and options.get("context") is None:
            options["context"] = context = copy_context()
            context.run(CURRENT.set, Branch(entry, activity))
        task = make(**options)
        task.add_done_callback(partial(_done, entry, None if activity is None else activity.id, TURNS))
        return task


def _done(starter: Member, activity: int | None, turns: int, task: asyncio.Task[Any]) -> None:
    if not getattr(task, "_log_traceback", False):  # no exception, or somebody has taken it
        return
    if turns:
        task.get_loop().call_soon(_done, starter, activity, turns - 1, task)
        return
    error = task.exception()  # from now on asyncio holds it for taken, and does not report it a second time
    starter.record_event("background", {"activity": activity, "task": task.get_name(), "error": error})
    log_safely(logger, "task %r, started by %r, failed and nobody awaits it", task.get_name(), starter.id, error=error)
