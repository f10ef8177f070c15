"""Tasks that workflows start and nobody awaits: a failure is reported at once.

asyncio reports such an exception when the garbage collector removes the task: late where something refers to it, and
never where something always does. Here it becomes an event of kind "background" of the runtime that started the task,
and a line in the log.
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

TURNS = 3  # of the loop, until whoever awaits the task (through `gather`, `wait`, a group) has read its exception


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Report the failures of tasks that workflows start on this loop. Doing it twice changes nothing."""
    factory = loop.get_task_factory()
    if not isinstance(factory, _Factory):
        loop.set_task_factory(_Factory(factory))


class _Factory:
    """A task factory around the one that was there before."""

    def __init__(self, before: Any) -> None:
        self.before = before

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        starter = CURRENT.get()
        if starter is None:
            return self._make(loop, coro, options)
        activity = starter.current
        entry: Member = starter.entry if isinstance(starter, Branch) else starter
        if entry.breakpoints is not None and activity is not None:
            coro = entry.breakpoints.carry(activity.id, coro)
        if activity is not None and starter is entry and options.get("context") is None:
            options["context"] = context = copy_context()
            context.run(CURRENT.set, Branch(entry, activity))
        task = self._make(loop, coro, options)
        task.add_done_callback(partial(_report_failure, entry, None if activity is None else activity.id, TURNS))
        return task

    def _make(self, loop: asyncio.AbstractEventLoop, coro: Any, options: dict[str, Any]) -> Any:
        if self.before is None:
            return asyncio.Task(coro, loop=loop, **options)
        return self.before(loop, coro, **options)


def _report_failure(starter: Member, activity: int | None, turns: int, task: asyncio.Task[Any]) -> None:
    if not getattr(task, "_log_traceback", False):  # it has no exception, or somebody has read it
        return
    if turns:
        task.get_loop().call_soon(_report_failure, starter, activity, turns - 1, task)
        return
    error = task.exception()  # after this asyncio does not report it a second time
    starter.record_event("background", {"activity": activity, "task": task.get_name(), "error": error})
    log_safely(logger, "task %r, started by %r, failed and nobody awaits it", task.get_name(), starter.id, error=error)
