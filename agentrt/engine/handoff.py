"""Who steps the processing of a runtime: its task or, for a moment, whoever waits for it.

A round trip through the event loop costs several times what an activity does. So a coroutine on the agents' loop that
waits for an idle runtime runs it inline: the processing goes on at once, in its own context and as its own task, for
one activity or until that suspends. What it suspends on is passed to the task, which goes on from there.

The body of the task is `Driver.drive`: it steps the processing, a coroutine, and tells the event loop what that waits
for. The processing itself waits at two places only: with `YIELD` between two activities, so that others can run, and
with `SLEEP` when its lanes are empty. There, and nowhere else, somebody else may step it.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context as Variables
from typing import Any, Protocol

from ..asyncio_compat import current_tasks, ready_handles, yield_future
from .protocols import Host

__all__ = [
    "COMPILED_SLICE", "MOST_INLINE", "SLICE", "SLICE_SECONDS", "Driver", "InlineBudget", "ProcessingTask",
    "wait_for_wakeup", "yield_to_loop",
]  # fmt: skip

YIELD, SLEEP = object(), object()
SLICE = 32  # activities, and
# As many as take no longer in the compiled core, on real time: a turn of the loop takes as long as four of them. On any
# other clock both cores take turns alike, so that what a seed says is the same on both.
COMPILED_SLICE = 96
SLICE_SECONDS = 0.002  # seconds that all busy runtimes may take together before the event loop gets a turn
SHORT = SLICE_SECONDS / 64
MOST_INLINE = 64  # inline turns in a row, and for as long as a slice; then who waits goes through the event loop once
MOST_NESTED = 8  # inline turns inside of each other: each takes of the recursion depth that a workflow has
MOST_ASLEEP = 256  # tasks that are kept for idle runtimes: making one costs as much as two activities
Steps = Generator[Any, Any, None]


@types.coroutine
def yield_to_loop() -> Steps:
    """Let the event loop run everything else that is ready, once."""
    yield YIELD


@types.coroutine
def wait_for_wakeup() -> Steps:
    """Wait until there is something to do."""
    yield SLEEP


class Driven(Protocol):
    """A runtime entry, as its driver sees it."""

    id: str
    host: Host
    held: bool
    scheduled: bool
    driver: Any

    def detach_driver(self) -> None:
        """No task processes any more."""

    def fault(self, error: BaseException) -> None:
        """Go on after something that is not the workflow's went wrong."""


class ProcessingTask(asyncio.Task[None]):
    """The task of a driver. It distinguishes the end of its loop from the cancellation of one activity.

    A failed task group, an old timeout helper or the workflow itself may cancel the task it runs in: that fails one
    activity. Whoever ends a loop (`asyncio.run`) cancels what is left once the loop has stopped: that ends the runtime.
    """

    is_cancelled_once = False  # `cancel` was called; the next activity must not run in this task
    is_shut_down = False

    def cancel(self, msg: Any = None) -> bool:
        """Cancel, and remember it."""
        self.is_cancelled_once = True
        if not self.get_loop().is_running():
            self.is_shut_down = True
        return super().cancel(msg)

    def clear_cancellations(self) -> None:
        """Forget the requests, for another attempt at the same activity."""
        while self.cancelling():
            self.uncancel()


class Driver:
    """Steps one coroutine of processing, from its start to its end. The loop's thread only.

    `open` is whether somebody else may step it now, `single` whether it shall stop after one activity.
    """

    __slots__ = ("entry", "open", "passed", "process", "single", "sleeper", "task", "variables")

    def __init__(self, entry: Driven) -> None:
        self.entry = entry
        self.open = self.single = False
        self.process: Any = None
        # In a context of its own: neither what a sender has set nor what the last activity left reaches the next.
        self.variables = Variables()
        self.task: Any = None  # the ProcessingTask, once it is made
        self.sleeper: asyncio.Future[None] | None = None  # what the task waits for while the runtime is idle
        self.passed: tuple[Any] | None = None  # what an activity waits for that was begun inline

    @types.coroutine
    def drive(self, process: Coroutine[Any, Any, None]) -> Steps:
        """Step the processing, as the body of the task."""
        entry = self.entry
        if entry.driver is not self:  # another was started in its place
            process.close()
            return
        self.process = process
        step: Any = process.send
        value: Any = None
        while True:
            self.open = False
            try:
                asked = step(value)
            except StopIteration:
                return
            step, value = process.send, None
            while True:
                self.open = asked is YIELD or asked is SLEEP
                try:
                    yield self._future(asked)
                except GeneratorExit:  # collected with its manager, in any order
                    process.close()
                    raise
                except BaseException as error:
                    step, value = process.throw, error
                if entry.driver is not self:  # it ended, or was replaced, in somebody else's turn
                    return
                passed, self.passed = self.passed, None
                if passed is None:
                    break
                asked = passed[0]
                if value is not None:
                    _cancel(asked)
                    break

    def _future(self, asked: Any) -> Any:
        """What the event loop is told for what the processing waits for: a future, or None for one turn."""
        if asked is YIELD:
            return None
        if asked is not SLEEP:
            return asked
        host = self.entry.host
        sleeper = self.sleeper = host.loop.create_future()
        if self.entry.scheduled:  # a signal handler or a finalizer has sent since the lanes were found empty
            self.sleeper = None
            return None
        host.asleep[self] = None
        if len(host.asleep) > MOST_ASLEEP:
            next(iter(host.asleep)).dismiss()
        return yield_future(sleeper)

    def wake(self) -> None:
        """Have the task take its next step, if it sleeps."""
        sleeper = self.sleeper
        if sleeper is not None and not sleeper.done():  # done: its task is being cancelled
            self.entry.host.asleep.pop(self, None)
            sleeper.set_result(None)
        self.sleeper = None  # last: a call that is interrupted before it is completed by the next one

    def dismiss(self) -> None:
        """End the task of an idle runtime; its next activity makes another."""
        self.wake()
        self.entry.host.asleep.pop(self, None)
        self.entry.detach_driver()  # after `wake`: the task finds itself replaced when its turn comes
        self.process.close()

    def run_inline(self, promise: Any, once: bool = False) -> None:
        """Step the processing in the turn of who waits for `promise`, until that is decided or the activity suspends.

        Call it only while `open`, with the activity of `promise` the next to run. `once`: one activity and no more,
        as `promise` is decided later.
        """
        host = self.entry.host
        budget, loop = host.inline_budget, host.loop
        if not budget.allows():
            return
        waiter, nested = current_tasks.get(loop), budget.nested
        if waiter is None:  # a bare callback of the loop, which can't wait anyway
            return
        try:
            budget.nested = nested + 1
            current_tasks[loop] = self.task
            while promise.value is None and self.open and self.entry.driver is self and budget.count < MOST_INLINE:
                budget.count += 1
                self._step_inline()
                if once:
                    break
        finally:
            budget.nested = nested
            current_tasks[loop] = waiter
        outcome = promise.value
        if outcome is not None and outcome.started is not None:
            budget.charge(outcome.finished - outcome.started, host.clock.pace)

    def _step_inline(self) -> None:
        """One activity, or as far as it goes before it waits."""
        sleeper = self.sleeper
        self.open, self.single = False, True
        try:
            asked = self.variables.run(self.process.send, None)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):  # its loop is being shut down
                self.entry.host.leave(self.entry)
            elif not isinstance(error, StopIteration):
                self.entry.fault(error)
            if sleeper is not None and not sleeper.done():
                sleeper.set_result(None)
            return
        if asked is YIELD or asked is SLEEP:
            self.open = True
        else:
            self.passed = (asked,)
            self.wake()


def _cancel(asked: Any) -> None:
    """Cancel what an activity begun inline waits for, as the cancellation of its task would have."""
    if asked is not None:
        asked.cancel()


class InlineBudget:
    """How often runtimes of one event loop were run inline since the loop had a turn."""

    __slots__ = ("_coin", "count", "nested", "ready")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.count = self.nested = 0
        ready = ready_handles(loop)  # the callbacks of the loop's next turn
        self.ready = () if ready is None else ready
        self._coin: Callable[[], bool] | None = getattr(loop, "coin", None)  # of a loop that tries every order

    def allows(self) -> bool:
        """Whether one more runtime may be run inline, or who waits has to yield to the event loop."""
        if self.nested >= MOST_NESTED:
            return False
        if self.count < MOST_INLINE:
            return self._coin is None or self._coin()
        self.count = 0
        return False

    def charge(self, seconds: float, pace: float) -> None:
        """Count an activity that took long as several. `pace`: the clock's seconds in a real one."""
        if seconds > SHORT:
            self.count += int(seconds * MOST_INLINE / (SLICE_SECONDS * pace))
