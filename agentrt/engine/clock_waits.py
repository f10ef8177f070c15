"""Whether a runtime waits for nothing but the clock: then time may leap, since nothing else can happen.

`LoopHost.sleep` and `Promise.wait` put the future that they wait for into `Clock.waiting`: the clock sets it, or
another runtime. Whatever else a task may wait for takes real time: a thread, a process, a socket, an event, a timer of
asyncio. A task that is ready to run waits for nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from types import CodeType, FrameType
from typing import Any

from ..asyncio_compat import TASK_GROUP_CODE, WAIT_CODE, awaited_future, children
from ..frames import awaited_object
from ..subscription import Subscription

__all__ = ["waits_for_clock"]

Waiting = set[asyncio.Future[Any]]
MOST_STEPS = 100  # from a coroutine to the innermost one that it awaits
# What waits for several tasks at once: the function, and where its frame has them. `gather` makes a future of its own.
JOINING: dict[CodeType, Callable[[FrameType], Iterable[Any]]] = {
    TASK_GROUP_CODE: lambda f: f.f_locals["self"]._tasks,
    WAIT_CODE: lambda f: f.f_locals["fs"],
}
if sys.version_info < (3, 12):  # it makes a task there
    JOINING[asyncio.wait_for.__code__] = lambda f: (f.f_locals["fut"],)
# What waits for another task of the same loop, or for what a runtime does. Neither can come from another thread.
OTHERS = {asyncio.Lock.acquire.__code__, asyncio.Semaphore.acquire.__code__, Subscription._more.__code__}


def waits_for_clock(awaited: Any, waiting: Waiting) -> bool:
    """Whether a task or a future will be done by the clock or by another runtime, and by nothing else.

    Args:
        awaited: A task or a future.
        waiting: The futures that the clock or a runtime will set: `Clock.waiting`.
    """
    pending = [awaited]
    while pending:
        task, future = None, pending.pop()
        while isinstance(future, asyncio.Task):
            task, future = future, awaited_future(future)
        if future is None or future.done():
            return False
        if future in waiting:
            continue
        joined = children(future)
        frame = None if task is None or joined is not None else _find_frame(task)
        if frame is not None and frame.f_code in OTHERS:
            continue
        several = joined or () if frame is None else JOINING[frame.f_code](frame)
        undone = [each for each in several if not each.done()]
        if not undone:
            return False
        pending += undone
    return True


def _find_frame(task: asyncio.Task[Any]) -> FrameType | None:
    """The frame of a suspended task that says what it waits for; None if none does."""
    awaited: Any = task
    for _ in range(MOST_STEPS):
        awaited = awaited_object(awaited)
        if awaited is None or isinstance(awaited, asyncio.Future):
            return None
        frame: FrameType | None = getattr(awaited, "cr_frame", None)
        if frame is not None and (frame.f_code in JOINING or frame.f_code in OTHERS):
            return frame
    return None
