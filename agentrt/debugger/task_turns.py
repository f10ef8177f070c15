"""A task that a workflow has started, as `gather` does: it takes its turns on a thread of its own too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from .turn_thread import TurnThread

__all__ = ["TaskTurns"]


class TaskTurns(Coroutine[Any, Any, Any]):
    """Stands for the coroutine of such a task.

    Args:
        coroutine: The coroutine.
        begin: Makes its thread, when the task takes its first step.
        end: Is given this when it is over.
    """

    # In this order: who looks what it awaits finds the coroutine first, see `awaited_object`.
    __slots__ = ("_begin", "_end", "_turns", "coroutine", "task", "thread")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        begin: Callable[[TaskTurns], TurnThread],
        end: Callable[[TaskTurns], object],
    ) -> None:
        self.coroutine = coroutine
        self.task: asyncio.Task[Any] | None = None
        self.thread: TurnThread | None = None
        self._begin, self._end = begin, end
        self._turns: Generator[Any, Any, Any] | None = None

    def send(self, value: Any) -> Any:
        """Take a turn."""
        if self._turns is None:
            self.task = asyncio.current_task()
            self._turns = self._drive(self._begin(self))
        return self._turns.send(value)

    def throw(self, *error: Any) -> Any:
        """Take a turn with an exception."""
        return self.coroutine.throw(*error) if self._turns is None else self._turns.throw(*error)

    def close(self) -> None:
        """Throw it away."""
        if self._turns is None:
            self.coroutine.close()
        else:
            self._turns.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._drive(self._begin(self))

    def _drive(self, thread: TurnThread) -> Generator[Any, Any, Any]:
        self.thread = thread
        try:
            return (yield from thread.drive(self.coroutine))
        finally:
            self._end(self)
            thread.end()
