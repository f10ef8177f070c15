"""How a manager ends that nobody closes: at the exit of the interpreter, or when it is collected.

A notebook's first cell that is run again drops the manager that it made before. Such a manager is a circle of objects,
which only the collector frees; it may come late, and each manager has threads and a loop.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from .isolation import Workers
from .loop_thread import LoopThread
from .watchdog import Watchdog

__all__ = ["Disposal"]

FEW = 4  # managers with a thread of their own that are open before the collector is called
_open: weakref.WeakSet[Any] = weakref.WeakSet()


class Disposal:
    """Ends a manager that nobody has any more; `cancel` once it is closed.

    Args:
        manager: The manager; it is not kept alive.
        own: Its thread, if it has one.
    """

    _collect_at = FEW

    def __init__(self, manager: Any, own: LoopThread | None) -> None:
        self._at_exit = partial(_close_at_exit, weakref.ref(manager))
        if own is not None:
            atexit.register(self._at_exit)
            self._collect()
        if own is not None or manager.journal is not None:
            _open.add(manager)
        parts = (manager.loop, own, manager.watchdog, manager.workers, manager.journal, self._at_exit)
        self._finalizer = weakref.finalize(manager, _end_soon, *parts)
        self._finalizer.atexit = False
        self._manager = weakref.ref(manager)

    @classmethod
    def _collect(cls) -> None:
        """Free those that were dropped, when there may be some; less often in a program that keeps many open."""
        if len(_open) >= cls._collect_at:
            gc.collect()
            Disposal._collect_at = max(FEW, 2 * len(_open))

    def cancel(self) -> None:
        """The manager is closed: nothing is left to do when it is collected."""
        self._finalizer.detach()
        _open.discard(self._manager())

    def cancel_at_exit(self) -> None:
        """All of the manager has ended: nothing is left to do at the exit."""
        atexit.unregister(self._at_exit)


def _close_at_exit(reference: weakref.ref[Any]) -> None:
    manager = reference()
    if manager is not None:
        manager.close()


def _end_soon(
    loop: asyncio.AbstractEventLoop,
    own: LoopThread | None,
    watchdog: Watchdog,
    workers: Workers,
    journal: Any,
    at_exit: Callable[[], None],
) -> None:
    """End the threads of a manager that was collected. It may be called anywhere, so it only asks the loop to do it."""

    def end() -> None:
        atexit.unregister(at_exit)
        watchdog.stop_soon()
        workers.close()
        if journal is not None:
            journal.close()
        if own is not None:
            own.stop_soon()

    try:
        loop.call_soon_threadsafe(end)
    except RuntimeError:  # closed: nothing runs on it that could hold a lock of these
        end()
