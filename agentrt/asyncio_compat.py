"""What agentrt needs of asyncio and asyncio does not promise: all of it stands here, by name.

Each is looked up so that a loop or a future of another make, which lacks it, is served as if there were nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from types import CodeType
from typing import Any

__all__ = [
    "TASK_GROUP_CODE", "WAIT_CODE", "awaited_future", "children", "current_tasks", "forget_destruction",
    "ready_handles", "set_loop_thread", "yield_future",
]  # fmt: skip

_tasks: Any = asyncio.tasks

# Which task it is that runs on each loop: what `asyncio.current_task` reads, also where that is written in C. It is set
# in one step, so that an exception from outside finds that done or not begun, and in a quarter of the time of a call.
current_tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[Any]] = _tasks._current_tasks

# The functions in which a task waits for several at once: `asyncio.wait` with its kin, and the end of a task group.
WAIT_CODE: CodeType = _tasks._wait.__code__
TASK_GROUP_CODE: CodeType = getattr(asyncio.TaskGroup, "_aexit", asyncio.TaskGroup.__aexit__).__code__


def ready_handles(loop: asyncio.AbstractEventLoop) -> Collection[Any] | None:
    """The callbacks that a loop runs in its next turn; None where they can't be read."""
    return getattr(loop, "_ready", None)


def awaited_future(task: asyncio.Future[Any]) -> asyncio.Future[Any] | None:
    """What a task waits for; None if it is ready to run, or done."""
    return getattr(task, "_fut_waiter", None)


def children(future: object) -> Collection[Any] | None:
    """The futures that one made by `gather` waits for; None of any other."""
    return getattr(future, "_children", None)


def forget_destruction(task: asyncio.Task[Any]) -> None:
    """Let a task that waits go with its loop, without a line in the log."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def yield_future(future: asyncio.Future[Any]) -> asyncio.Future[Any]:
    """A future as `await` gives it to the task, for a generator that yields it."""
    future._asyncio_future_blocking = True
    return future


def set_loop_thread(loop: asyncio.AbstractEventLoop, thread: int | None) -> None:
    """Say on which thread a loop runs."""
    loop._thread_id = thread  # type: ignore[attr-defined]
