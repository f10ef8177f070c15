"""Where an activity is stopped, and what lets it go on."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Any

import msgspec

from ..engine.protocols import Host
from ..interruptible import InterruptibleEvent

__all__ = ["GO_ON", "Retry", "Stop", "StopGate", "StopKind"]

POLL = 0.1  # real seconds after which a thread that is stopped looks whether its activity is over


class StopKind(StrEnum):
    """At what an activity is stopped."""

    STEP = "step"  # a `ctx.step` begins
    STEP_END = "step_end"  # a `ctx.step` is over
    ERROR = "error"  # the workflow has raised, and the activity has not failed yet
    DONE = "done"  # the workflow has returned, and its new state is not the state yet
    PYTHON = "python"  # another debugger, as debugpy or pdb, has stopped the thread


class Stop(msgspec.Struct, frozen=True):
    """Where an activity is stopped.

    Args:
        at: The name of the breakpoint, or of the command that has led here.
        kind: At what.
        activity: The id of the activity.
        steps: The steps that it is in, outermost first.
        error: What the workflow has raised, in short.
        new: The new state that the workflow has returned, in short.
        payload: Its payload as JSON, to be edited; empty if that can't hold it.
        state: The state of its runtime as JSON, to be edited.
        code: The source of its workflow, to be edited; empty if there is none.
    """

    at: str
    kind: StopKind
    activity: int
    steps: tuple[str, ...] = ()
    error: str = ""
    new: str = ""
    payload: str = ""
    state: str = ""
    code: str = ""


class Retry(BaseException):
    """Raised in a workflow that is stopped, to run its activity again from the beginning."""


GO_ON = object()


class StopGate:
    """What a stopped activity waits at. `open(action)` lets it go on; the first action counts."""

    def __init__(self, host: Host) -> None:
        self.action: Any = None
        self._host = host
        self._event = InterruptibleEvent()
        self._future: asyncio.Future[None] | None = None

    def open(self, action: Any) -> None:
        """Let it go on: `GO_ON`, or an exception that is raised where it is stopped. Any thread."""
        if self.action is None:
            self.action = action
            self._event.set()
            self._host.post(self._wake)

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def wait(self) -> Any:
        """Wait on the agents' loop; returns the action."""
        self._future = self._host.loop.create_future()
        if self.action is None:
            await self._future
        return self.action

    def wait_in_thread(self, is_over: Any) -> Any:
        """Wait on a worker thread; returns the action. `is_over()` says that nobody waits for this thread any more."""
        while not self._event.wait(POLL):
            if is_over():
                return asyncio.CancelledError()
        return self.action
